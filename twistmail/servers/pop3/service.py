"""What all POP3 connections have in common: the settings, whose maildrop is open, and who logged in when."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twistmail.endpoints import ENDPOINTS
from twistmail.facts import Facts
from twistmail.mail.values import frozen
from twistmail.networks import NETWORKS
from twistmail.options import COUNT, DURATION, SWITCH, Option, Reload, Section, Settings, choice, duration_or
from twistmail.servers.census import Census
from twistmail.servers.login import Login
from twistmail.servers.pop3 import languages, uniqueids
from twistmail.servers.pop3.uniqueids import UNIQUE_IDS
from twistmail.servers.typed import LONE_LF

OPTIONS = Section(
    "pop3",
    "Mail for programs that fetch it and (mostly) delete it here.",
    Option("listen", ENDPOINTS, "off", "Endpoints, one per line; off switches the service off. The usual: tls:port=995 and tcp:110.",
           starter="tls:port=2995:interface=127.0.0.1\ntcp:2110:interface=127.0.0.1"),
    Option("tls", choice("required", "offered", "off"), "required", "Whether users must use TLS before they log in.", Reload.NEW),
    Option("lock_timeout", DURATION, "10m", "How long a silent client keeps his mailbox locked (RFC 1939 §3: at least 10m).", Reload.NEW),
    Option("apop", SWITCH, "no", "Offer APOP (RFC 1939) where passwords are kept in clear: weak, for programs that know nothing better.",
           Reload.NEW),
    Option("uidl_format", UNIQUE_IDS, uniqueids.DEFAULT, "What clients know a message by (UIDL), spelled as for Dovecot: %u is its UID.",
           Reload.NEW),
    Option("expire", duration_or("never"), "never",
           "When mail goes, at QUIT, that clients have fetched and left here (RFC 2449 §6.7): 30d after it came; 0s: at once.", Reload.NEW),
    Option("utf8_headers", choice("converted", "refused", "raw"), "converted",
           "How clients that cannot do UTF8 (RFC 6856) get mail whose header is UTF-8; converted: in ASCII (RFC 6857).", Reload.NEW),
    Option("login_delay", DURATION, "0s", "How long after a login the same user may not log in again (RFC 2449 §6.5): 5m.", Reload.NEW),
    Option("login_timeout", DURATION, "3m", "How long a client may take to log in.", Reload.NEW),
    Option("max_bad_commands", COUNT, "20", "Senseless commands after which a connection is closed.", Reload.NEW),
    Option("max_connections", COUNT, "500", "Connections of this service at a time."),
    Option("max_connections_per_ip", COUNT, "30", "Connections at a time from one address that have not logged in.", Reload.NEW),
    Option("proxy_from", NETWORKS, "", "Proxies that say for whom they speak, before anything else (PROXY protocol).", Reload.NEW,
           example="192.0.2.1 10.0.0.0/8"),
    LONE_LF,
    Option("language", choice(*languages.NAMES), languages.ENGLISH, "What a client hears that asks for the usual language (LANG *).",
           Reload.NEW),
)


class Locks:
    """Whose maildrop is open (RFC 1939 §4: one session at a time). One object for the life of the server."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self.visits = Visits()

    def take(self, account: str) -> bool:
        """True where *account* was free; it is no longer."""
        if account in self._held:
            return False
        self._held.add(account)
        return True

    def release(self, account: str) -> None:
        self._held.discard(account)


class Visits:
    """When accounts last logged in (RFC 2449 §6.5). Seconds of any one clock. Forgets what no longer matters."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, float] = OrderedDict()

    def wait(self, account: str, now: float, delay: float) -> float:
        """Seconds until *account* may log in again, where logins are *delay* apart; 0: it may."""
        return max(0.0, self._latest[account] + delay - now) if account in self._latest else 0.0

    def came(self, account: str, now: float, delay: float) -> None:
        """*account* has logged in; nothing is kept where there is no *delay*."""
        while self._latest and next(iter(self._latest.values())) + delay <= now:
            self._latest.popitem(last=False)
        if delay:
            self._latest[account] = now
            self._latest.move_to_end(account)


@frozen
class Pop3Service:
    """What all POP3 connections have in common. `tls_available`: there is a certificate, so STLS can be offered."""

    hostname: str
    store: Any  # IMailStore
    login: Login
    facts: Facts
    settings: Settings  # of OPTIONS
    threads: Any
    clock: Any
    epoch: Callable[[], float]
    tls_available: bool
    locks: Locks
    census: Census
