"""Accounts that an HTTP service knows: a program of your own, or a bridge to whatever keeps your people.

[users]                       [http]
source = http                 url = https://people.blue.example/mail
                              token = file:/etc/twistmail/people.token

Each question is a POST of one JSON object, and so is each answer; docs/accounts.md
has the whole contract, and `columns` what the members of an account mean.
Whatever is no answer by it (another status than 200, a redirection, broken JSON,
too much of it) is a temporary failure: only `"account": null` says that somebody
is unknown. Blocking, in threads of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

from zope.interface import implementer

from twistmail.accounts.asking import LONGEST_PASSWORD, Asking, Connections, can_be_asked
from twistmail.accounts.columns import entry_of
from twistmail.accounts.house import House
from twistmail.accounts.leads import DirectoryAliases
from twistmail.accounts.secrets import Entry
from twistmail.accounts.sqldrivers import is_here
from twistmail.interfaces import IAccountSource
from twistmail.mail.account import Account
from twistmail.options import COUNT, DURATION, SWITCH, TEXT, Kind, Option, Section, Settings, choice

#: Octets of an answer: of one about somebody, and of the list of all.
LONGEST_ANSWER, LONGEST_LIST = 1024 * 1024, 64 * 1024 * 1024


def _read_url(text: str) -> SplitResult | None:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment):
        raise ValueError(f"{text} is not the URL of a service\nwrite https://people.blue.example/mail")
    return parts if text else None


URL = Kind("an http:// or https:// URL", _read_url, lambda parts: parts.geturl() if parts else "")

OPTIONS = Section(
    "http",
    "Accounts that an HTTP service knows: [users] source = http. docs/accounts.md says what it is asked.",
    Option("url", URL, "", "Where questions are posted to. Only this machine may be asked by http://.",
           example="https://people.blue.example/mail"),
    Option("token", TEXT, "", "What shows that it is us who ask (Authorization: Bearer ...).", secret=True,
           example="file:/etc/twistmail/people.token"),
    Option("tls_ca", TEXT, "", "Who has signed its certificate, where the system does not know: a PEM file.", example="/etc/ssl/ca.pem"),
    Option("password", choice("verify", "stored"), "verify",
           "verify: the service is asked whether a password is right. stored: it tells what is kept, which is compared here."),
    Option("namesakes", SWITCH, "no", "Whether it is asked who is meant by a login without a domain."),
    Option("list", SWITCH, "no", "Whether it is asked for the list of all accounts."),
    Option("connections", COUNT, "4", "So many connections at most."),
    Option("timeout", DURATION, "5s", "How long an answer may take; then it is a temporary failure."),
)  # fmt: skip


def check(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    if settings.url is None:
        yield "url", "there is no service to ask", "write https://people.blue.example/mail"
    elif settings.url.scheme == "http" and not is_here(settings.url.hostname):
        yield "url", "passwords would go over the network in clear", "write https://"


def build_aliases(settings: Settings, house: House) -> DirectoryAliases:
    """The aliases of these settings."""
    source = build(settings, house)
    return DirectoryAliases(source.targets, source.asking, "http")


def build(settings: Settings, house: House) -> HttpSource:
    """The source of these settings."""
    from twistmail.accounts.posting import Service

    service = Service(settings, str(house.path(settings.tls_ca)) if settings.tls_ca else "")
    connections = house.lasting.keep("http", settings, lambda: Connections(service.connect, service.close, settings.connections))
    asking = Asking("the HTTP service", house.reactor, house.lasting.threads("http", settings.connections), settings.timeout)
    return _KINDS[settings.password == "verify", settings.list](settings, service, connections, asking)


@implementer(IAccountSource)
class HttpSource:
    """The accounts that *service* tells of through *connections*."""

    def __init__(self, settings: Settings, service: Any, connections: Connections[Any], asking: Asking) -> None:
        self._namesakes = settings.namesakes
        self._service = service
        self._connections = connections
        self.asking = asking

    async def lookup(self, name: str) -> Entry | None:
        if not can_be_asked(name):
            return None
        answer = await self._ask({"question": "lookup", "name": name})
        found = self._member(answer, "account", dict | None)
        return None if found is None else self._entry(name, found)

    async def namesakes(self, local: str) -> tuple[Entry, ...]:
        if not self._namesakes or not can_be_asked(local):
            return ()
        answer = await self._ask({"question": "namesakes", "local": local})
        return tuple(self._entry("", found) for found in self._accounts(answer)[:2])

    async def targets(self, name: str) -> list[Any]:
        """What the address *name* stands for."""
        told: list[Any] = self._member(await self._ask({"question": "alias", "name": name}), "targets", list)
        return told

    async def _ask(self, question: Mapping[str, Any], most: int = LONGEST_ANSWER) -> dict[str, Any]:
        return await self.asking.ask(lambda: self._service.read(*self._connections.use(partial(self._service.post, question, most))))

    def _member(self, answer: dict[str, Any], name: str, kind: Any) -> Any:
        """A member of an answer, which must be there: nobody is unknown because something is misspelled."""
        if name not in answer or not isinstance(answer[name], kind):
            raise self.asking.unavailable(f"its answer has no {name}, or a strange one")
        return answer[name]

    def _accounts(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[Any] = self._member(answer, "accounts", list)
        return [one for one in found if isinstance(one, dict)]

    def _entry(self, name: str, columns: dict[str, Any]) -> Entry:
        try:
            return entry_of(name, columns)
        except ValueError as error:
            raise self.asking.unavailable(f"what is told of {name or 'somebody'} cannot be understood: {error}") from error


class VerifyingHttpSource(HttpSource):
    """A source whose service checks passwords itself; what it should tell of them is not looked at."""

    async def verify(self, entry: Entry, password: str) -> bool:
        if not can_be_asked(password, LONGEST_PASSWORD):
            return False
        answer = await self._ask({"question": "verify", "name": entry.account.name, "password": password})
        return bool(self._member(answer, "right", bool))

    def _entry(self, name: str, columns: dict[str, Any]) -> Entry:
        return super()._entry(name, {column: value for column, value in columns.items() if column != "password"})


class _Listing(HttpSource):
    """A source that tells all accounts."""

    async def list(self) -> tuple[Account, ...]:
        found = self._accounts(await self._ask({"question": "list"}, LONGEST_LIST))
        read = (self.asking.understood(partial(entry_of, "", one)) for one in found)
        return tuple(entry.account for entry in read if entry is not None)


class ListedHttpSource(_Listing):
    """Compared here, and listed."""


class ListedVerifyingHttpSource(_Listing, VerifyingHttpSource):
    """Checked there, and listed."""


_KINDS = {
    (True, False): VerifyingHttpSource, (True, True): ListedVerifyingHttpSource,
    (False, False): HttpSource, (False, True): ListedHttpSource,
}  # fmt: skip
