"""A few declared sections, as small as they can be, for the tests of the configuration."""

from twistmail.config.server import OPTIONS
from twistmail.endpoints import ENDPOINTS
from twistmail.options import DURATION, SIZE, SWITCH, TEXT, WORDS, Option, Reload, Section

MX = Section(
    "mx",
    "Mail from the world.",
    Option("listen", ENDPOINTS, "off", "Where.", Reload.RESTART, starter="tcp:2525:interface=127.0.0.1"),
    Option("max_message", SIZE, "50M", "How large."),
)
SUBMISSION = Section("submission", "Mail of our people.", Option("listen", ENDPOINTS, "off", "Where."))
IMAP = Section(
    "imap", "Reading.", Option("listen", ENDPOINTS, "off", "Where."), Option("idle_timeout", DURATION, "30m", "How long.", Reload.NEW)
)
POP3 = Section(
    "pop3",
    "Fetching.",
    Option("listen", ENDPOINTS, "off", "Where."),
    Option("timeout", DURATION, "10m", "How long."),
    Option("keep", SWITCH, "yes", "Keep."),
)
RELAY = Section(
    "relay",
    "Sending.",
    Option("smarthost", TEXT, "", "Through whom.", example="mx.provider.example"),
    Option("smarthost_password", TEXT, "", "The password.", secret=True),
)
ROUTE = Section(
    "route",
    "One way.",
    Option("via", TEXT, "", "Through.", required=True, example="smtp://mx.example:25"),
    Option("words", WORDS, "a b", "Words."),
    pattern=True,
)
SECTIONS = (*OPTIONS, MX, SUBMISSION, IMAP, POP3, RELAY, ROUTE)
