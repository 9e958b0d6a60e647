"""Everybody may change his own passwords, and where his mail goes on to, by the present one: over a UNIX socket that the users of
this machine may open.

    password.change         login, old, new                             {"account"}
    app-password.list       login, old                                  [rows of accounts.keyring]
    app-password.add        login, old, label, services, expires        the row, with "password"
    app-password.remove     login, old, label                           the row
    forward.show            login, old, extension                       as `forwarding` tells it
    forward.set             login, old, extension, text
    forward.clear           login, old, extension
    forward.home            -                                           {"home": whether ~/.forward counts for who asks}

Spoken as on the control socket, which is for operators. The old password counts
as at a login: failures are answered late, and are guesses of the user whom the
kernel names. App passwords open nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from twistmail.accounts import passwords
from twistmail.accounts.app_passwords import OWN
from twistmail.accounts.keyring import DONE_BY
from twistmail.control import ControlFactory, ControlProtocol, Refusal
from twistmail.forwarding import HOME
from twistmail.forwarding import VERBS as FORWARD_VERBS
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.servers.recognition import user_of
from twistmail.wire.sasl import exchange as sasl

USAGE, DATA, NOBODY, TEMPORARY, NO_PERMISSION = 64, 65, 67, 75, 77  # sysexits
CHANGE = "password.change"
VERBS = (CHANGE, "app-password.list", "app-password.add", "app-password.remove", *FORWARD_VERBS)
#: Seconds that a connection may be quiet; connections of one user at a time; octets of a request.
PATIENCE = 60.0
MOST_OF_ONE = 4
LONGEST_REQUEST = 8192


class Desk:
    """Takes new passwords from their owners.

    *login* (servers.login.Login) hears the old ones, *people* (accounts.people.People) keep the new, *keyring* (accounts.keyring)
    has the app passwords, *threads* do what blocks. *shortest*: characters of a new one. *identifiers* name each request in the facts.
    *forwards* (forwarding.ForwardDesk): where mail goes on to.
    """

    def __init__(
        self, login: Any, people: Any, keyring: Any, threads: Any, identifiers: Iterator[str], shortest: int, forwards: Any = None
    ) -> None:
        self._login = login
        self._people = people
        self._keyring = keyring
        self._threads = threads
        self._identifiers = identifiers
        self._shortest = shortest
        self.forwards = forwards

    async def answer(self, who: str, verb: str, arguments: Mapping[str, Any]) -> Any:
        """What *verb* does, asked by *who* ("uid 1000"). Refusal."""
        try:
            if verb in FORWARD_VERBS:
                return await self.forwards.answer(verb, await self._owner(who, arguments), arguments, who)
            return await (self.change(who, arguments) if verb == CHANGE else self._turn(who, verb.partition(".")[2], arguments))
        except Unavailable:
            raise Refusal("passwords cannot be looked at just now", TEMPORARY, "try again later") from None

    async def _turn(self, who: str, verb: str, arguments: Mapping[str, Any]) -> Any:
        """*verb* of the keyring, with those of *arguments* that it has."""
        account = await self._owner(who, arguments)
        given = _given(verb, arguments)
        try:
            return await self._threads.run(partial(getattr(self._keyring, DONE_BY[verb]), account.name, **given))
        except (ValueError, LookupError) as trouble:
            text, _, step = str(trouble.args[0]).partition("\n")
            raise Refusal(text, NOBODY if isinstance(trouble, LookupError) else DATA, step) from None

    async def change(self, who: str, arguments: Mapping[str, Any]) -> Any:
        """Another password for its owner. Refusal, Unavailable."""
        new = arguments.get("new")
        if not isinstance(new, str):
            raise Refusal("new is no text", USAGE)
        account = await self._owner(who, arguments)
        if said := passwords.complaint(new, self._shortest, account.name):
            raise Refusal(said, DATA, "take several words")
        if not await self._people.set_password(account.name, new):
            raise Refusal(f"the password of {account.name} is not kept here", NO_PERMISSION, "whoever keeps it can change it")
        return {"account": account.name}

    async def _owner(self, who: str, arguments: Mapping[str, Any]) -> Account:
        """The account that `login` and its present password `old` open. Refusal, Unavailable."""
        name, old = arguments.get("login"), arguments.get("old")
        if not isinstance(name, str) or not isinstance(old, str):
            raise Refusal("login and old are texts", USAGE)
        claim = sasl.credentials(name.encode("utf-8", "replace"), old.encode("utf-8", "replace"))
        if isinstance(claim, sasl.Malformed):
            raise Refusal("login and old password cannot be those", NO_PERMISSION)
        account: Account | None = await self._login.check(claim, who, OWN, next(self._identifiers))
        if account is None:
            raise Refusal("the old password is wrong", NO_PERMISSION, "who has forgotten it asks an administrator for a new one")
        return account


def _given(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What *verb* of the keyring takes, out of what a stranger has sent. Refusal."""
    if verb == "list":
        return {}
    label, services, expires = arguments.get("label"), arguments.get("services") or [], arguments.get("expires")
    if not isinstance(label, str) or not isinstance(services, list) or not isinstance(expires, int | float | None):
        raise Refusal("the request cannot be read", USAGE)
    return {"label": label} if verb == "remove" else {"label": label, "services": [str(one) for one in services], "expires": expires}


class Counter(ControlProtocol, TimeoutMixin):
    """One conversation at the desk."""

    MAX_LENGTH = LONGEST_REQUEST

    def __init__(self, reactor: Any, greet: Callable[[Counter], bool], gone: Callable[[ControlProtocol], None]) -> None:
        super().__init__({}, gone)
        self._reactor = reactor
        self._greet = greet
        self.user: int | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.user = user_of(self.transport.socket)
        if not self._greet(self):
            self.transport.abortConnection()
            return
        self.setTimeout(PATIENCE)

    def lineReceived(self, line: bytes) -> None:
        self.setTimeout(None)  # the answer may have to wait
        super().lineReceived(line)

    def _answer(self, answer: dict[str, Any]) -> None:
        super()._answer(answer)
        self.setTimeout(None if self._lost else PATIENCE)

    def connectionLost(self, reason: Failure | None = None) -> None:  # type: ignore[override]
        self.setTimeout(None)
        super().connectionLost(reason)

    def callLater(self, seconds: float, work: Callable[..., Any]) -> Any:
        """TimeoutMixin asks for it."""
        return self._reactor.callLater(seconds, work)

    def serve(self, verbs: Mapping[str, Any]) -> None:
        """From now on know *verbs*."""
        self._verbs = verbs


class DeskFactory(ControlFactory):
    """Makes a Counter per connection. *desk*() gives the Desk of now; it is asked for each conversation."""

    def __init__(self, reactor: Any, desk: Callable[[], Desk]) -> None:
        super().__init__({})
        self._reactor = reactor
        self._desk = desk

    def buildProtocol(self, addr: Any) -> ControlProtocol | None:
        return self.opened(partial(Counter, self._reactor, self._greet))

    def _greet(self, counter: Counter) -> bool:
        """Let *counter*'s user in, unless he is here often enough."""
        if sum(one.user == counter.user for one in self.open if isinstance(one, Counter)) > MOST_OF_ONE:
            return False
        who = "unix" if counter.user is None else f"uid {counter.user}"
        counter.serve({**{verb: partial(self._ask, who, verb) for verb in VERBS}, HOME: partial(self._home, counter.user)})
        return True

    async def _home(self, user: int | None, arguments: Mapping[str, Any]) -> Any:
        return await self._desk().forwards.has_home(user)

    async def _ask(self, who: str, verb: str, arguments: Mapping[str, Any]) -> Any:
        return await self._desk().answer(who, verb, arguments)
