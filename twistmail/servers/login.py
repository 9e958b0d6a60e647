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
from twistmail.mail.evidence import Evidence
from twistmail.mail.values import frozen
from twistmail.networks import NETWORKS, covers
from twistmail.options import COUNT, RATES, SWITCH, WORDS, Option, Section, duration_or, words_of
from twistmail.servers.conversation import Conversation
from twistmail.servers.gate import Gate, Terms
from twistmail.servers.mechanisms import CLOSED, EVIDENCE, KNOWN, NEED_TOKENS, Caller, Denied, Mechanisms, Openness, Tools
from twistmail.servers.throttle import Throttle
from twistmail.wire.sasl.exchange import Credentials, Disproved, Exchange, Proven
from twistmail.wire.sasl.external import External
from twistmail.wire.sasl.gssapi import Gssapi

EXTERNAL = External.mechanism
GSSAPI = Gssapi.mechanism
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
    Option("mechanisms", words_of(*KNOWN), "SCRAM-SHA-256 PLAIN LOGIN EXTERNAL",
           "SASL mechanisms to offer, where they can succeed: " + ", ".join(KNOWN) + ". SCRAM is offered with -PLUS under TLS."),
    Option("cleartext_from", NETWORKS, "127.0.0.0/8 ::1",
           "Networks from which passwords may come without TLS, where a service does not require TLS."),
    Option("masters", WORDS, "", "Accounts that may log in as anybody, by an authorization identity.", example="admin@blue.example"),
    Option("failures", RATES, "10/1m 50/1d", "Wrong passwords after which an address (IPv6: a /64) is not listened to for a while."),
    Option("max_failures", COUNT, "3", "Wrong passwords on one connection after which it is closed."),
    Option("ban", duration_or("off"), "15m", "How long whoever has reached `failures` is kept out; twice as long each time."),
    Option("never_ban", NETWORKS, "127.0.0.0/8 ::1", "Addresses that are never banned, nor refused for their failures."),
    Option("log_failures", SWITCH, "no", "Write a line to the log for each failed login, for programs such as fail2ban."),
)

Claim = Credentials | Proven | Disproved


def is_welcome(account: Account, address: str) -> bool:
    """Whether whoever has proved to be *account* may come in from *address*."""
    return account.enabled and (not account.login_from or covers(account.login_from, address))


@frozen
class Admission:
    """Somebody who may come in, by the name *login*, and what is told of it when he does."""

    account: Account
    login: str
    connection: str
    what: LoggedIn


class Login:
    """Offers mechanisms and checks credentials. *jitter*() gives chance: a float from 0 to 1. *epoch*() gives POSIX seconds.

    *accounts* (IAccounts; None: no EXTERNAL) has those to whom certificates lead; a name without a domain is one in *default_domain*.
    *masters* are the names of accounts that may act for any other. *service* is the word for facts.
    *gate* (None: one that is open to all) shuts guessers out; *logs_failures*: with a line in the log.
    *tokens*.judge(token) tells a `mail.evidence.TokenOwner`, may raise Unavailable; None: no such mechanism. *threads* do what may block.
    """

    def __init__(self, authenticator: Any, throttle: Throttle, clock: Any, facts: Facts, epoch: Callable[[], float], *,
                 jitter: Callable[[], float], tools: Tools, openness: Openness = CLOSED,
                 mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "EXTERNAL"),
                 max_failures: int = 3, accounts: Any = None, default_domain: str = "", masters: frozenset[str] = frozenset(),
                 service: str = "", tokens: Any = None, threads: Any = None,
                 gate: Gate | None = None, logs_failures: bool = False) -> None:
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
        self._masters = masters
        self._service = service
        self._gate = gate or Gate(Bans(), facts, epoch, Terms(lasts=None))
        self._logs_failures = logs_failures
        self._tokens = tokens
        self._threads = threads
        self._mechanisms = Mechanisms(self._possible(mechanisms, tools), openness, tools)

    def _possible(self, words: Sequence[str], tools: Tools) -> tuple[str, ...]:
        """Those of *words* for which there is everything that they need."""
        missing = set() if hasattr(self._authenticator, "provable") else set(EVIDENCE)
        if self._tokens is None:
            missing |= NEED_TOKENS
        if tools.kerberos is None:
            missing.add(GSSAPI)
        if self._accounts is None:
            missing.add(EXTERNAL)
        return tuple(word for word in words if word not in missing)

    # ----- what is offered

    def may_send_password(self, caller: Caller) -> bool:
        """May *caller* send a password as things are?"""
        return self._mechanisms.may_send_password(caller)

    async def mechanisms(self, caller: Caller) -> tuple[str, ...]:
        """The SASL mechanisms to tell *caller*. EXTERNAL only where it would succeed (RFC 4422 appendix A)."""
        offered = self._mechanisms.offered(caller)
        if EXTERNAL in offered and caller.tls is not None and not await self._would_let_in(caller.tls.client):
            offered = tuple(name for name in offered if name != EXTERNAL)
        return tuple([name for name in offered if await self._provable(name)])

    async def _provable(self, mechanism: str) -> bool:
        """Whether *mechanism* can succeed for everybody: programs that prefer it do not try another after it."""
        kind = EVIDENCE.get(mechanism)
        try:
            return kind is None or bool(await self._authenticator.provable(kind))
        except Unavailable:
            return False

    async def _would_let_in(self, client: str) -> bool:
        try:
            account = await self.account_of(client)
        except Unavailable:
            return False
        return account is not None and account.enabled

    async def begin(self, mechanism: str, caller: Caller, *, final_with_success: bool = False) -> Conversation | Denied:
        """A new exchange of *caller* in *mechanism* (any case); `servers.conversation` says what to do with it."""
        exchange = self._mechanisms.begin(mechanism.upper(), caller)
        if isinstance(exchange, Denied):
            return exchange
        if not await self._provable(exchange.mechanism):
            return Denied.NO_SUCH_MECHANISM
        return Conversation(self, exchange, caller, final_with_success=final_with_success)

    async def takes_proofs(self) -> bool:
        """Whether whoever can log in can prove a password that is kept in clear, for a protocol's own way to do so (APOP)."""
        return hasattr(self._authenticator, "provable") and await self._provable("CRAM-MD5")

    def challenge(self) -> bytes:
        """A message-id that was never used before."""
        return self._mechanisms.challenge()

    def converse(self, exchange: Exchange, caller: Caller) -> Conversation | Denied:
        """The conversation of *caller* in *exchange*, a proof of a password that is none of SASL's."""
        return Conversation(self, exchange, caller) if self._mechanisms.may_prove(caller) else Denied.ENCRYPT_FIRST

    # ----- what exchanges need

    async def evidence(self, login: str, kind: str) -> Evidence | None:
        """What is kept for *login*, made up where there is nothing. Raises interfaces.Unavailable."""
        evidence: Evidence | None = await self._authenticator.evidence(login, kind, self._service)
        return evidence

    async def verdict(self, token: str) -> Any:
        """Whose *token* is (`mail.evidence.TokenOwner`). Raises interfaces.Unavailable."""
        return await self._tokens.judge(token)

    async def work(self, work: Callable[[], Any]) -> Any:
        """What *work*() returns, which may block."""
        return await self._threads.run(work)

    # ----- the end

    async def check(self, claim: Claim, peer_address: str, mechanism: str, connection: str) -> Account | None:
        """The Account that *claim* opens, at once; or None, after the wait that failures earn. Raises interfaces.Unavailable.

        *mechanism* is the word for facts ("PLAIN", "USER", "LOGIN"), *connection* the id of the connection.
        """
        admission = await self.admission(claim, peer_address, mechanism, connection)
        return self.admit(admission) if admission else None

    async def admission(self, claim: Claim, peer_address: str, mechanism: str, connection: str) -> Admission | None:
        """Like `check`, for whoever has one more thing to say: nobody has come in before `admit`."""
        began = self._clock.seconds()
        who = await self._identified(claim, peer_address)
        account = await self._acted_for(claim, who) if who is not None and is_welcome(who, peer_address) else None
        if who is not None and account is not None:
            by = who.name if account.name != who.name else ""
            what = LoggedIn(account.name, mechanism, self._service, peer_address, by, who.by_app_password)
            return Admission(account, claim.login, connection, what)
        await self._fail(claim, LoginFailed(claim.login, mechanism, self._service, peer_address), connection, began)
        return None

    def admit(self, admission: Admission) -> Account:
        """Let in whom `admission` has found to be right."""
        self._throttle.succeeded(admission.login, admission.what.address)
        self._tell(admission.connection, admission.what)
        return admission.account

    async def _identified(self, claim: Claim, peer_address: str) -> Account | None:
        """Who has proved to be somebody; nobody, without a look at what can be guessed, where the peer is not listened to."""
        if not isinstance(claim, Credentials) and not claim.guessable:
            return await self.account_of(claim.login) if isinstance(claim, Proven) else None
        if not await self._is_heard(claim.login, peer_address):
            return None
        with self._throttle.trying(peer_address):
            account: Account | None = None
            match claim:
                case Credentials():
                    account = await self._authenticator.authenticate(claim.login, claim.password, self._service)
                case Proven():
                    account = await self._authenticator.whose(claim.login)
            return account

    async def _is_heard(self, login: str, peer_address: str) -> bool:
        """Whether a guess of this peer is looked at, after it has waited for its turn."""
        throttle, now = self._throttle, self._clock.seconds
        if hold := throttle.hold(peer_address, login, now()):
            await tasks.sleep(self._clock, hold)
        while throttle.is_crowded(peer_address, now()):
            await tasks.sleep(self._clock, TURN)
        return not (throttle.refuses(peer_address, now()) or self._gate.is_shut_to(peer_address))

    async def _fail(self, claim: Claim, what: LoginFailed, connection: str, began: float) -> None:
        """Note the failure, tell it, and let its answer wait."""
        now = self._clock.seconds()
        delay = self._throttle.failed(what.address, what.login, now, claim.password if isinstance(claim, Credentials) else "")
        self._tell(connection, what)
        if self._logs_failures:
            log.info(FAILURE, service=what.service, address=what.address, mechanism=what.mechanism, login=json.dumps(what.login))
        if self._throttle.refuses(what.address, now):
            self._gate.shut_out(what.address, "too many failed logins", connection)
        await self._let_wait(began, delay)

    async def _acted_for(self, claim: Claim, who: Account) -> Account | None:
        """Whose session it becomes: *who*'s own, or that of whom a master acts for (RFC 4422 §3.4.1). Others act for themselves only."""
        wanted = "" if isinstance(claim, Disproved) else claim.authzid.lower()
        if wanted in ("", claim.login.lower(), who.name):
            return who
        account = await self.account_of(wanted)
        if account is None or not (account.name == who.name or (who.name in self._masters and account.enabled and not who.by_app_password)):
            return None
        return account

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
