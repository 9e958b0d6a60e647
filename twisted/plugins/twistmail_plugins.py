"""What twistmail offers to twistd and to itself: one line per part, no logic."""

from twisted.application.service import ServiceMaker

twistmail = ServiceMaker("twistmail", "twistmail.service", "An all-in-one mail server: SMTP, submission, POP3, IMAP.", "twistmail")
