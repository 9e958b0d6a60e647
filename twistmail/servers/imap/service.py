"""What every IMAP session is given: the settings of [imap] and the parts of the house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twistmail.endpoints import ENDPOINTS
from twistmail.facts import Facts
from twistmail.networks import NETWORKS
from twistmail.options import COUNT, DURATION, SIZE, SWITCH, TEXT, WORDS, Option, Reload, Section, Settings, choice, count_from
from twistmail.servers.census import Census
from twistmail.servers.imap.hiding import HIDDEN
from twistmail.servers.imap.kept import Kept
from twistmail.servers.imap.sharing.sharing import Sharing
from twistmail.servers.login import Login
from twistmail.servers.typed import LONE_LF
from twistmail.servers.urls import Urls
from twistmail.wire.imap.framing import ImapLimits

OPTIONS = Section(
    "imap",
    "Mailboxes for mail programs (IMAP4rev1).",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tls:port=993 and tcp:143.",
           starter="tls:port=2993:interface=127.0.0.1\ntcp:2143:interface=127.0.0.1"),
    Option("tls", choice("required", "offered", "off"), "required", "Whether users must use TLS before they log in.", Reload.NEW),
    Option("login_timeout", DURATION, "60s", "How long a client may take to log in.", Reload.NEW),
    Option("idle_timeout", DURATION, "30m", "How long a client that has logged in may be silent (RFC 3501: 30m or more).", Reload.NEW),
    Option("max_connections", COUNT, "10000", "Connections of this service at a time."),
    Option("max_connections_per_ip", COUNT, "30", "Connections at a time from one address that have not logged in.", Reload.NEW),
    Option("max_connections_per_user", COUNT, "50", "Sessions of one user at a time.", Reload.NEW),
    Option("max_connections_per_user_ip", COUNT, "20", "Sessions of one user at a time from one address.", Reload.NEW),
    Option("proxy_from", NETWORKS, "", "Proxies that say for whom they speak, before anything else (PROXY protocol).", Reload.NEW,
           example="192.0.2.1 10.0.0.0/8"),
    Option("max_message", SIZE, "36700160", "The biggest message that a client may append, in octets.", Reload.NEW),
    Option("message_limit", count_from(1000), "unlimited",
           "Messages that one command may be about; programs that know MESSAGELIMIT ask again for the others, most do not.", Reload.NEW),
    Option("save_limit", count_from(1000), "100000", "Messages that one COPY or APPEND may make.", Reload.NEW),
    Option("raw_headers", SWITCH, "no",
           "Whether messages with 8-bit octets in their header may be appended by programs that have not enabled UTF8=ACCEPT.", Reload.NEW),
    Option("utf8_headers", choice("converted", "raw"), "converted",
           "How programs that have not enabled UTF8=ACCEPT are shown headers in UTF-8; converted: in ASCII (RFC 6857).", Reload.NEW),
    Option("comment", TEXT, "", "What mail programs are told of this server, if they ask (METADATA /shared/comment).", Reload.NEW,
           example="Mail of the Example company"),
    Option("contact", TEXT, "", "How to reach the administrator, a URI, for programs that ask (METADATA /shared/admin).", Reload.NEW,
           example="mailto:postmaster@example.org"),
    Option("quota_admins", WORDS, "", "Accounts that may set the quotas of others (SETQUOTA).", Reload.NEW, example="anna@blue.example"),
    Option("submission_servers", WORDS, "", "Accounts by which other submission servers read what URLs for them mean (URLAUTH, submit+); "
           "ours needs none.", Reload.NEW, example="submit@blue.example"),
    Option("max_bad_commands", COUNT, "10", "Commands in a row that make no sense before the connection is closed.", Reload.NEW),
    Option("compress", SWITCH, "no", "Whether clients may compress (COMPRESS=DEFLATE); it costs 100 KiB for each that does.", Reload.NEW),
    Option("literal", choice("plus", "minus"), "plus",
           "What a client may send without leave: LITERAL+ any message, LITERAL- up to 4096 octets.", Reload.NEW),
    LONE_LF,
    Option("hide_capabilities", HIDDEN, "", "Capabilities that are not told: to all, to users, or to programs (by ID); a line for each.",
           Reload.NEW, example="client *outlook*: MOVE\nuser bob@example.org: IDLE"),
)  # fmt: skip

#: Octets of a literal that LITERAL- lets a client send without leave (RFC 7888 §5).
UNASKED = 4096


@dataclass(frozen=True, slots=True)
class ImapService:
    """The parts of the IMAP service. `settings` are those of [imap].

    `store` is an IMailStore, `threads` a `tasks.Threads`, `drafts` a `drafts.Drafts` for appended messages too big for
    memory, `clock` an IReactorTime, `epoch` gives POSIX seconds. `tls_available`: there is a certificate, so STARTTLS can be
    offered. `census` outlives a reload: give the new service the old one's. `kept`: blocks of FETCH that are rendered. `sharing`: None
    where everybody sees his own mailboxes only. `urls`: what URLs of messages here mean.
    `quotas`: a quota.QuotaOffice, None where clients may not set any.
    """

    hostname: str
    settings: Settings
    store: Any
    login: Login
    facts: Facts
    threads: Any
    drafts: Any
    clock: Any
    epoch: Callable[[], float]
    tls_available: bool = False
    census: Census = field(default_factory=Census)
    kept: Kept = field(default_factory=Kept)
    sharing: Sharing | None = None
    quotas: Any = None
    urls: Urls = field(init=False)

    def __post_init__(self) -> None:
        urls = Urls(self.hostname, self.store, self.login.account_of, self.threads, self.epoch)
        object.__setattr__(self, "urls", urls)


def wire_limits(settings: Settings) -> ImapLimits:
    """What the wire admits under *settings*."""
    unlimited = 1 << 40
    unasked = UNASKED if settings.literal == "minus" else unlimited
    return ImapLimits(append=settings.max_message or unlimited, unasked_append=unasked, bad_commands=settings.max_bad_commands,
                      lone_lf=settings.lone_lf)
