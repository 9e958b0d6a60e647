"""The settings of [mx], [submission] and [lmtp]; values and their reasons in the table of limits."""

from __future__ import annotations

from itertools import chain

from twistmail.endpoints import ENDPOINTS
from twistmail.mail.address import parse
from twistmail.networks import NETWORKS
from twistmail.options import (
    COUNT,
    DURATION,
    RATES_OR_UNLIMITED,
    SIZE,
    SWITCH,
    TEXT,
    WORDS,
    Kind,
    Option,
    Reload,
    Section,
    choice,
    duration_or,
)
from twistmail.policy.blocklists import OPTIONS as BLOCKLISTS
from twistmail.policy.greylist import OPTIONS as GREYLIST
from twistmail.policy.hello import OPTIONS as HELLO
from twistmail.policy.limits import OPTIONS as LIMITS
from twistmail.policy.quota import OPTIONS as QUOTA
from twistmail.policy.rates import OPTIONS as RATES
from twistmail.policy.relay_domains import DOMAINS
from twistmail.policy.reverse import OPTIONS as REVERSE
from twistmail.policy.soliciting import OPTIONS as SOLICITING
from twistmail.policy.tarpit import OPTIONS as TARPIT
from twistmail.servers.typed import LONE_LF

MX_EXTENSIONS = (
    "PIPELINING SIZE 8BITMIME BINARYMIME CHUNKING SMTPUTF8 ENHANCEDSTATUSCODES DSN STARTTLS AUTH REQUIRETLS LIMITS ETRN "
    "NO-SOLICITING"
)
SUBMISSION_EXTENSIONS = (
    "PIPELINING SIZE 8BITMIME BINARYMIME CHUNKING SMTPUTF8 ENHANCEDSTATUSCODES DSN STARTTLS AUTH REQUIRETLS LIMITS "
    "FUTURERELEASE DELIVERBY MT-PRIORITY XVERP BURL"
)
LMTP_EXTENSIONS = "PIPELINING SIZE 8BITMIME BINARYMIME CHUNKING SMTPUTF8 ENHANCEDSTATUSCODES DSN STARTTLS LIMITS"

MX_STAGES = ("limits tarpit rates hello room reverse access blocklists senders relaying recipients quota greylist loops lists soliciting "
             "checks")
SUBMISSION_STAGES = "limits hello room access senders recipients loops lists submission checks allowance"

#: Which settings of [mx] which stage looks at.
STAGE_OPTIONS = {"tarpit": TARPIT, "rates": RATES, "hello": HELLO, "reverse": REVERSE, "blocklists": BLOCKLISTS, "soliciting": SOLICITING,
                 "greylist": GREYLIST}

LMTP_STAGES = "limits hello room relaying recipients quota loops lists"


def _read_extensions(text: str) -> list[str]:
    words = [word.upper() for word in WORDS.read(text)]
    for word in words:
        if word not in KNOWN:
            raise ValueError(f"{word} is no extension that is spoken here\nthese are: {' '.join(sorted(KNOWN))}")
    return words


KNOWN = frozenset(f"{MX_EXTENSIONS} {SUBMISSION_EXTENSIONS}".split())
EXTENSIONS = Kind("extensions", _read_extensions, " ".join)


#: Names of ours, with or without their domains.
NAMES = Kind("names", lambda text: tuple(parse(word).folded for word in WORDS.read(text)), lambda names: " ".join(map(str, names)))


def _asking(key: str, what: str) -> Option:
    return Option(key, choice("nobody", "users", "everybody"), "users", f"Who is answered when asking {what}.", Reload.NEW)


_COMMON = (
    Option("banner", TEXT, "ESMTP twistmail", "What follows the host name in the greeting.", Reload.NEW),
    Option("max_message", SIZE, "36700160", "The biggest message accepted, in octets.", Reload.NEW),
    *LIMITS,
    Option("max_transactions", COUNT, "100", "Messages on one connection before it is closed.", Reload.NEW),
    Option("timeout", DURATION, "5m", "How long we wait for the next command or the next piece of content.", Reload.NEW),
    Option("min_data_rate", COUNT, "500", "Octets a second that content must bring, averaged over a minute.", Reload.NEW),
    Option("soft_errors", COUNT, "10", "Refused commands after which each further one is answered a second later.", Reload.NEW),
    Option("hard_errors", COUNT, "20", "Refused commands after which the connection is closed.", Reload.NEW),
    Option("max_junk_commands", COUNT, "100", "NOOP, RSET, further EHLOs and such without a message before we close.", Reload.NEW),
    Option("unauth_pipelining", choice("reject", "off"), "reject",
           "Whoever does not wait for an answer where he has to (RFC 2920) is sent away.", Reload.NEW),
    Option("bare_newline", choice("reject", "normalize"), "reject",
           "Content with a bare CR or LF: refused, or each one made a line end.", Reload.NEW),
    LONE_LF,
    Option("disk_reserve", SIZE, "256M", "Room on the disk that is kept: with less (or 2 % of the disk) new mail is told to come later."),
    _asking("vrfy", "whether there is such a user (VRFY)"),
    _asking("expn", "who is on a list (EXPN)"),
    Option("xclient_from", NETWORKS, "", "Proxies that may say for whom they speak (XCLIENT): addresses and networks.", Reload.NEW,
           example="192.0.2.7"),
    Option("proxy_from", NETWORKS, "", "Proxies that say for whom they speak, before anything else (PROXY protocol).", Reload.NEW,
           example="192.0.2.1 10.0.0.0/8"),
    Option("max_hops", COUNT, "50", "Received fields from which on a message is taken to run in circles.", Reload.NEW),
)

MX = Section(
    "mx",
    "Mail from the world for us (SMTP).",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tcp:25.",
           starter="tcp:2525:interface=127.0.0.1"),
    Option("tls", choice("offered", "required", "off"), "offered", "Whether peers may, must or cannot use STARTTLS.", Reload.NEW),
    Option("extensions", EXTENSIONS, MX_EXTENSIONS, "What EHLO offers, in this order; what is not here is refused.", Reload.NEW),
    Option("also_submission", SWITCH, "no", "Whether users may log in here too, under TLS, and send as [submission] says.", Reload.NEW),
    Option("stages", WORDS, MX_STAGES, "Policy stages, asked in this order; the first opinion wins.", Reload.NEW),
    Option("max_recipients", COUNT, "200", "Recipients of one message.", Reload.NEW),
    Option("max_connections", COUNT, "1000", "Connections of this service at a time."),
    Option("stress_at", COUNT, "80", "Percent of max_connections from which on strangers get 10 s for a command, and one error."),
    Option("early_talker", choice("reject", "log", "off"), "reject", "What becomes of a peer that talks before it is greeted.", Reload.NEW),
    Option("greeting_delay", DURATION, "0s", "How long we wait before we greet, for peers that cannot wait; 0s: not at all.", Reload.NEW),
    Option("relay_networks", NETWORKS, "", "Clients that may send through us without logging in, by address; empty: none.", Reload.NEW,
           example="192.168.1.0/24"),
    Option("pop_before_smtp", duration_or("off"), "off", "How long after a login to POP3 or IMAP its address may send through us; weak, "
           "for old programs only: 20m.", Reload.NEW),
    Option("relay_domains", DOMAINS, "", "Domains of others whose mail we take and pass on to their servers (backup MX); "
           ".friend.example: all below it.", Reload.NEW, example="friend.example"),
    Option("relay_recipients", TEXT, "", "A file with who there is in relay_domains, one address or @domain a line; empty: anybody.",
           Reload.NEW, example="/etc/mail/relay_recipients"),
    Option("reject_unknown_sender_domain", SWITCH, "no", "Refuse senders whose domain has neither MX nor address.", Reload.NEW),
    *chain.from_iterable(STAGE_OPTIONS.values()),
    *QUOTA,
    *_COMMON,
)

SUBMISSION = Section(
    "submission",
    "Mail from our users for everybody (RFC 6409).",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tls:port=465 and tcp:587, and "
           "for twistmail-sendmail unix:/run/twistmail/submit.sock:mode=666, whose users the kernel names.",
           starter="tls:port=2465:interface=127.0.0.1\ntcp:2587:interface=127.0.0.1"),
    Option("tls", choice("required", "offered", "off"), "required", "Whether users must use TLS before they log in.", Reload.NEW),
    Option("extensions", EXTENSIONS, SUBMISSION_EXTENSIONS, "What EHLO offers, in this order; what is not here is refused.", Reload.NEW),
    Option("hold_longest", DURATION, "30d", "How far ahead a message may be held for later (FUTURERELEASE); 0s: not at all.", Reload.NEW),
    Option("stages", WORDS, SUBMISSION_STAGES, "Policy stages, asked in this order; the first opinion wins.", Reload.NEW),
    Option("max_recipients", COUNT, "1000", "Recipients of one message.", Reload.NEW),
    Option("max_connections", COUNT, "500", "Connections of this service at a time."),
    Option("own_addresses_only", SWITCH, "yes", "Users may write as themselves and as aliases that lead to them only.", Reload.NEW),
    Option("sender_map", TEXT, "", "A file with what else users may write as: an address or @domain a line, and behind it who may; "
           "read again when it changes.", Reload.NEW, example="/etc/mail/senders"),
    Option("trusted_users", NAMES, "root", "Users of this machine who may write as anybody over a UNIX socket in listen "
           "(sendmail -f).", Reload.NEW),
    Option("local_senders", choice("owner", "warn"), "owner", "What other users of this machine may call themselves there: only what is "
           "theirs, or anything, with a warning in the header.", Reload.NEW),
    Option("rate", RATES_OR_UNLIMITED, "200/1h 1000/1d", "Messages that a user may send; more have to wait.", Reload.NEW),
    Option("recipient_rate", RATES_OR_UNLIMITED, "1000/1h 5000/1d", "Recipients of these messages, all together.", Reload.NEW),
    Option("from_check", choice("add_sender", "reject", "off"), "add_sender",
           "When the header's From is somebody else: name the user in Sender, refuse, or nothing.", Reload.NEW),
    Option("add_missing_headers", SWITCH, "yes", "Add Date, Message-ID and From where they are missing, and the domain to names "
           "without one (who must be here); remove Bcc.", Reload.NEW),
    *_COMMON,
)

LMTP = Section(
    "lmtp",
    "Mail from other servers of ours for mailboxes here (LMTP, RFC 2033), with an answer for each recipient.",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: unix:run/lmtp.sock."),
    Option("tls", choice("offered", "required", "off"), "offered", "Whether peers may, must or cannot use STARTTLS.", Reload.NEW),
    Option("extensions", EXTENSIONS, LMTP_EXTENSIONS, "What LHLO offers, in this order; what is not here is refused.", Reload.NEW),
    Option("stages", WORDS, LMTP_STAGES, "Policy stages, asked in this order; the first opinion wins.", Reload.NEW),
    Option("max_recipients", COUNT, "1000", "Recipients of one message.", Reload.NEW),
    Option("max_connections", COUNT, "500", "Connections of this service at a time."),
    *QUOTA,
    *_COMMON,
)
