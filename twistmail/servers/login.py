"""Letting people in: which mechanisms are offered, and what a right or a wrong password costs.

All services share one `Login`. Who somebody is is the authenticator's answer, or
that of the certificate which he has shown (`tls.clients`); here are the rules
around it: no password in clear without TLS, failures answered late and seldom,
successes at once, and a fact of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.bans import Bans
from twistmail.facts import Fact, Facts, LoggedIn, LoginFailed
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import TlsState
from twistmail.networks import NETWORKS, covers
from twistmail.options import COUNT, RATES, SWITCH, WORDS, Option, Section, duration_or
from twistmail.servers.gate import Gate, Terms
from twistmail.servers.throttle import Throttle
from twistmail.wire import sasl

#: limits.md auth.min_response_time: seconds, and the share of it that chance adds.
SHORTEST_FAILURE = 0.1
CHANCE = 0.2
#: Seconds after which a login looks again whether those before it from the same peer have ended.
TURN = 0.05
#: One line for each failure, for programs that read logs (docs/guessing.md). What a stranger has typed stands last, in quotes.
FAILURE = "login failed: service={service} address={address} mechanism={mechanism} login={login}"
log = Logger()

OPTIONS = Section(
    "auth",
    "How people prove who they are.",
    Option("mechanisms", WORDS, "PLAIN LOGIN EXTERNAL", "SASL mechanisms to offer: PLAIN, LOGIN, EXTERNAL ([tls] client_ca)."),
    Option("failures", RATES, "10/1m 50/1d", "Wrong passwords after which an address (IPv6: a /64) is not listened to for a while."),
    Option("max_failures", COUNT, "3", "Wrong passwords on one connection after which it is closed."),
    Option("ban", duration_or("off"), "15m", "How long whoever has reached `failures` is kept out; twice as long each time."),
    Option("never_ban", NETWORKS, "127.0.0.0/8 ::1", "Addresses that are never banned, nor refused for their failures."),
    Option("log_failures", SWITCH, "no", "Write a line to the log for each failed login, for programs such as fail2ban."),
)


def is_welcome(account: Account, address: str) -> bool:
    """Whether whoever has proved to be *account* may come in from *address*."""
    return account.enabled and (not account.login_from or covers(account.login_from, address))


class Login:
    """Offers mechanisms and checks credentials. *jitter*() gives chance: a float from 0 to 1. *epoch*() gives POSIX seconds.

    *accounts* (IAccounts; None: no EXTERNAL) has those to whom certificates lead; a name without a domain is one in *default_domain*.
    *service* is the word for facts. *gate* (None: one that is open to all) shuts guessers out; *logs_failures*: with a line in the log.
    """

    def __init__(self, authenticator: Any, throttle: Throttle, clock: Any, facts: Facts, epoch: Callable[[], float], *,
                 jitter: Callable[[], float], plaintext_allowed: bool = False, mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "EXTERNAL"),
                 max_failures: int = 3, accounts: Any = None, default_domain: str = "", service: str = "",
                 gate: Gate | None = None, logs_failures: bool = False) -> None:
        self.plaintext_allowed = plaintext_allowed
        #: Failures after which a session closes its connection.
        self.max_failures = max_failures
        self._authenticator = authenticator
        self._throttle = throttle
        self._clock = clock
        self._facts = facts
        self._epoch = epoch
        self._jitter = jitter
        self._accounts = accounts
        self._default_domain = default_domain
        self._service = service
        self._gate = gate or Gate(Bans(), facts, epoch, Terms(lasts=None))
        self._logs_failures = logs_failures
        self._mechanisms = tuple(name for name in mechanisms if name in sasl.EXCHANGES)
        self._external = sasl.EXTERNAL in mechanisms and accounts is not None

    def allowed(self, *, tls: bool) -> bool:
        """May a password be sent now?"""
        return tls or self.plaintext_allowed

    async def mechanisms(self, tls: TlsState | None) -> tuple[str, ...]:
        """The SASL mechanisms to offer on a connection with this TLS. EXTERNAL only where it would succeed (RFC 4422 appendix A)."""
        offered = self._mechanisms if self.allowed(tls=tls is not None) else ()
        if tls is not None and tls.client and self._external:
            try:
                account = await self.account_of(tls.client)
            except Unavailable:
                account = None
            if account is not None and account.enabled:
                offered += (sasl.EXTERNAL,)
        return offered

    def begin(self, mechanism: str, tls: TlsState | None) -> sasl.Exchange | None:
        """A new exchange in *mechanism* (any case), or None where it is not offered: EXTERNAL, to nobody without a certificate."""
        name = mechanism.upper()
        if name == sasl.EXTERNAL:
            return sasl.begin(name, tls.client) if tls and self._external else None
        return sasl.begin(name) if name in self._mechanisms else None

    async def check(
        self, credentials: sasl.Credentials | sasl.Proven, peer_address: str, mechanism: str, connection: str
    ) -> Account | None:
        """The Account that *credentials* open, at once; or None, after the wait that failures earn. Raises interfaces.Unavailable.

        *mechanism* is the word for facts ("PLAIN", "USER", "LOGIN"), *connection* the id of the connection.
        """
        began = self._clock.seconds()
        if isinstance(credentials, sasl.Proven):  # nothing to guess
            account = await self.account_of(credentials.login)
        else:
            account = await self._compared(credentials, peer_address)
        if account is not None and is_welcome(account, peer_address) and _acts_for_himself(credentials, account):
            self._throttle.succeeded(credentials.login, peer_address)
            self._tell(connection, LoggedIn(account.name, mechanism, self._service, peer_address))
            return account
        await self._fail(credentials, LoginFailed(credentials.login, mechanism, self._service, peer_address), connection, began)
        return None

    async def _compared(self, credentials: sasl.Credentials, peer_address: str) -> Account | None:
        """Whose the password is; nobody's, without a look at it, where the peer is not listened to."""
        throttle, now = self._throttle, self._clock.seconds
        if hold := throttle.hold(peer_address, credentials.login, now()):
            await tasks.sleep(self._clock, hold)
        while throttle.is_crowded(peer_address, now()):
            await tasks.sleep(self._clock, TURN)
        if throttle.refuses(peer_address, now()) or self._gate.is_shut_to(peer_address):
            return None
        with throttle.trying(peer_address):
            account: Account | None = await self._authenticator.authenticate(credentials.login, credentials.password, self._service)
        return account

    async def _fail(self, credentials: sasl.Credentials | sasl.Proven, what: LoginFailed, connection: str, began: float) -> None:
        """Note the failure, tell it, and let its answer wait."""
        now = self._clock.seconds()
        delay = self._throttle.failed(what.address, what.login, now, getattr(credentials, "password", ""))
        self._tell(connection, what)
        if self._logs_failures:
            log.info(FAILURE, service=what.service, address=what.address, mechanism=what.mechanism, login=json.dumps(what.login))
        if self._throttle.refuses(what.address, now):
            self._gate.shut_out(what.address, "too many failed logins", connection)
        await self._let_wait(began, delay)

    async def account_of(self, client: str) -> Account | None:
        """The account that is called *client*, in a certificate or a URL, by its own address: no alias leads to it. Unavailable."""
        if self._accounts is None:
            return None
        try:
            address = parse(client).folded
        except ValueError:
            return None
        account: Account | None = await self._accounts.find(address if address.domain else Address(address.local, self._default_domain))
        return account

    async def _let_wait(self, began: float, delay: float) -> None:
        """Until *delay* has passed since *began*, but never less than the shortest answer to a failure: time tells nothing."""
        least = SHORTEST_FAILURE * (1.0 + CHANCE * self._jitter())
        left = began + max(delay, least) - self._clock.seconds()
        if left > 0:
            await tasks.sleep(self._clock, left)

    def _tell(self, connection: str, what: LoggedIn | LoginFailed) -> None:
        if self._facts.listened:
            self._facts.tell(Fact(self._epoch(), connection, what))


def _acts_for_himself(credentials: sasl.Credentials | sasl.Proven, account: Account) -> bool:
    """RFC 4616 §2, RFC 4422 appendix A: an authorization identity must be one that the login may act for; here that is himself only."""
    wanted = credentials.authzid.lower()
    return wanted in ("", credentials.login.lower(), account.name)
