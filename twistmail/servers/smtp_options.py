"""The settings of [mx] and [submission]; values and their reasons in the table of limits."""

from __future__ import annotations

from twistmail.endpoints import ENDPOINTS
from twistmail.networks import NETWORKS
from twistmail.options import COUNT, DURATION, SIZE, SWITCH, TEXT, WORDS, Option, Reload, Section, choice
from twistmail.policy.blocklists import OPTIONS as BLOCKLISTS
from twistmail.policy.relay_domains import DOMAINS

MX_STAGES = "limits hello room access blocklists senders relaying recipients loops"
SUBMISSION_STAGES = "limits hello room access senders recipients loops submission"

_COMMON = (
    Option("banner", TEXT, "ESMTP twistmail", "What follows the host name in the greeting.", Reload.NEW),
    Option("max_message", SIZE, "36700160", "The biggest message accepted, in octets.", Reload.NEW),
    Option("max_connections_per_ip", COUNT, "30", "Connections at a time from one address (IPv6: from one /64).", Reload.NEW),
    Option("max_rate_per_ip", COUNT, "300", "New connections a minute from one address (IPv6: from one /64).", Reload.NEW),
    Option("max_transactions", COUNT, "100", "Messages on one connection before it is closed.", Reload.NEW),
    Option("timeout", DURATION, "5m", "How long we wait for the next command or the next piece of content.", Reload.NEW),
    Option("min_data_rate", COUNT, "500", "Octets a second that content must bring, averaged over a minute.", Reload.NEW),
    Option("soft_errors", COUNT, "10", "Refused commands after which each further one is answered a second later.", Reload.NEW),
    Option("hard_errors", COUNT, "20", "Refused commands after which the connection is closed.", Reload.NEW),
    Option("max_junk_commands", COUNT, "100", "NOOP, RSET and the like without a message before the connection is closed.", Reload.NEW),
    Option("bare_newline", choice("reject", "normalize"), "reject",
           "Content with a bare CR or LF: refused, or each one made a line end.", Reload.NEW),
    Option("disk_reserve", SIZE, "256M", "Room on the disk that is kept: with less (or 2 % of the disk) new mail is told to come later."),
    Option("max_hops", COUNT, "50", "Received fields from which on a message is taken to run in circles.", Reload.NEW),
)

MX = Section(
    "mx",
    "Mail from the world for us (SMTP).",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tcp:25.",
           starter="tcp:2525:interface=127.0.0.1"),
    Option("tls", choice("offered", "required", "off"), "offered", "Whether peers may, must or cannot use STARTTLS.", Reload.NEW),
    Option("stages", WORDS, MX_STAGES, "Policy stages, asked in this order; the first opinion wins.", Reload.NEW),
    Option("max_recipients", COUNT, "200", "Recipients of one message.", Reload.NEW),
    Option("max_connections", COUNT, "1000", "Connections of this service at a time."),
    Option("relay_networks", NETWORKS, "", "Clients that may send through us without logging in, by address; empty: none.", Reload.NEW,
           example="192.168.1.0/24"),
    Option("relay_domains", DOMAINS, "", "Domains of others whose mail we take and pass on to their servers (backup MX); "
           ".friend.example: all below it.", Reload.NEW, example="friend.example"),
    Option("relay_recipients", TEXT, "", "A file with who there is in relay_domains, one address or @domain a line; empty: anybody.",
           Reload.NEW, example="/etc/mail/relay_recipients"),
    Option("reject_unknown_sender_domain", SWITCH, "no", "Refuse senders whose domain has neither MX nor address.", Reload.NEW),
    *BLOCKLISTS,
    *_COMMON,
)

SUBMISSION = Section(
    "submission",
    "Mail from our users for everybody (RFC 6409).",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tls:port=465 and tcp:587.",
           starter="tls:port=2465:interface=127.0.0.1\ntcp:2587:interface=127.0.0.1"),
    Option("tls", choice("required", "offered", "off"), "required", "Whether users must use TLS before they log in.", Reload.NEW),
    Option("stages", WORDS, SUBMISSION_STAGES, "Policy stages, asked in this order; the first opinion wins.", Reload.NEW),
    Option("max_recipients", COUNT, "1000", "Recipients of one message.", Reload.NEW),
    Option("max_connections", COUNT, "500", "Connections of this service at a time."),
    Option("own_addresses_only", SWITCH, "yes", "Users may write as themselves and as aliases that lead to them only.", Reload.NEW),
    Option("from_check", choice("add_sender", "reject", "off"), "add_sender",
           "When the header's From is somebody else: name the user in Sender, refuse, or nothing.", Reload.NEW),
    Option("add_missing_headers", SWITCH, "yes", "Add Date, Message-ID and From where they are missing; remove Bcc.", Reload.NEW),
    *_COMMON,
)
