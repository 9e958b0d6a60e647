"""The tables of the house, asked by hand (row R23): who has an account, and what an address stands for, source by source.

A table is called `users` or `aliases`, which means all its sources in order; or
`users:SOURCE`, `aliases:SOURCE`, one of them by its word in the configuration.
Where only one table has that word, the word alone will do. What is kept of a
password is never told, only how it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from twistmail.account_sources import words_of
from twistmail.accounts.secrets import Entry
from twistmail.config.settled import Config
from twistmail.control import Refusal, Verb
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.mail.values import frozen

USAGE, TEMPORARY = 64, 75  # sysexits
USERS, ALIASES = "users", "aliases"
#: The addresses of the mailing lists, as a source of aliases.
LISTS = "lists"
#: `{SCHEME}`, or the name between the first dollar signs.
_SCHEME = re.compile(r"\{([A-Za-z0-9.-]+)\}|\$([a-z0-9-]+)\$")


@frozen
class Table:
    """One source of a kind, USERS or ALIASES."""

    kind: str
    word: str
    source: Any

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.word}"


class Tables:
    """The tables of *people* (`assembly.People`), built by *config*."""

    def __init__(self, config: Config, people: Any) -> None:
        self._default_domain = people.default_domain
        resolver = people.expansion.aliases
        resolvers = getattr(resolver, "sources", (resolver,))
        self._tables = (
            *(Table(USERS, word, source) for word, source in zip(words_of(config), people.accounts.sources, strict=True)),
            *(Table(ALIASES, word, source) for word, source in zip(_alias_words(config), resolvers, strict=True)),
        )

    def names(self) -> list[dict[str, str]]:
        """All tables, in the order in which they are asked."""
        return [{"table": table.name, "kind": table.kind, "source": table.word} for table in self._tables]

    async def query(self, name: str, key: str) -> dict[str, Any]:
        """What the table called *name* says of the address *key*: {"table", "key", "found"} and what was found, with its "source".

        Refusal where there is no such table, *key* is no address, or the answer cannot be had now.
        """
        chosen, address = list(self._chosen(name)), self._address(key)
        for table in chosen:
            try:
                said = await _ask(table, address)
            except Unavailable as trouble:
                raise Refusal(f"{table.name} does not answer: {trouble}", TEMPORARY, "try again later; the log says more") from None
            if said is not None:
                return {"table": name, "key": str(address), "found": True, "source": table.name} | said
        return {"table": name, "key": str(address), "found": False}

    def _chosen(self, name: str) -> Iterator[Table]:
        chosen = [table for table in self._tables if name in (table.kind, table.name)] or [
            table for table in self._tables if name == table.word
        ]
        if not chosen:
            names = [USERS, ALIASES, *(table.name for table in self._tables)]
            near = get_close_matches(name, [*names, *(table.word for table in self._tables)], 1, 0.6)
            raise Refusal(f"no table is called {name}", USAGE, f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}")
        if name not in (USERS, ALIASES) and len(chosen) > 1:
            raise Refusal(f"more than one table is called {name}", USAGE, f"write {' or '.join(table.name for table in chosen)}")
        return iter(chosen)

    def _address(self, key: str) -> Address:
        try:
            address = parse(key).folded
        except ValueError as trouble:
            raise Refusal(str(trouble).partition("\n")[0], USAGE, f"write an address, such as anna@{self._default_domain}") from None
        return address if address.domain else Address(address.local, self._default_domain)


def _alias_words(config: Config) -> tuple[str, ...]:
    """The words of the sources of aliases, in the order in which they are asked."""
    return (*((LISTS,) if config.named("list") else ()), *config["aliases"].source)


async def _ask(table: Table, address: Address) -> dict[str, Any] | None:
    if table.kind == ALIASES:
        step = await table.source.lookup(address)
        return None if step is None else {"targets": [str(target) for target in step.goals]}
    entry = await table.source.lookup(str(address))
    return None if entry is None else _told(entry, judges=hasattr(table.source, "verify"))


def _told(entry: Entry, *, judges: bool) -> dict[str, Any]:
    """*entry* without its secrets."""
    account = entry.account
    scheme = _SCHEME.match(entry.secret)
    kept = (scheme[1] or scheme[2]).upper() if scheme else "of an unnamed kind"
    return {
        "account": account.name,
        "name": account.display_name,
        "addresses": list(account.addresses),
        "quota": account.quota,
        "enabled": account.enabled,
        "password": kept if entry.secret else "checked by the source" if judges else "none",
    }


class TableDesk:
    """The verbs over *service* (`service.MailService`), as it is at that moment."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def verbs(self) -> dict[str, Verb]:
        return {"table.list": self._list, "table.query": self._query}

    def _tables(self) -> Tables:
        return Tables(self._service.config, self._service.parts.people)

    async def _list(self, arguments: Mapping[str, Any]) -> Any:
        return self._tables().names()

    async def _query(self, arguments: Mapping[str, Any]) -> Any:
        name, key = arguments.get("table"), arguments.get("key")
        if not isinstance(name, str) or not isinstance(key, str):
            raise Refusal("which table, and which key?", USAGE)
        return await self._tables().query(name, key)
