"""What this package offers to twistmail."""

from twistmail_webhook import WebhookFactory

webhook = WebhookFactory()
