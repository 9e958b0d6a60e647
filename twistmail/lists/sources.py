"""Where the members of a list are written: a file that is read again when it changes, a group, the configuration itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twistmail.mail.address import Address, parse
from twistmail.watched import Partly, lines_of

MOST_MEMBERS = 100_000
#: Octets of a line that is looked at.
LONGEST_LINE = 1000


class Written:
    """Addresses that do not change before a reload. `origin`: where they stand, for people."""

    def __init__(self, origin: str, addresses: Iterable[Address]) -> None:
        self.origin = origin
        self._addresses = {str(address.folded): address for address in addresses}

    async def addresses(self) -> dict[str, Address]:
        """The members by their folded addresses."""
        return self._addresses


class Listed:
    """*file*: WatchedFile that `read` has read. Names without a domain are in *domain*. Long ones are looked through in *threads*."""

    def __init__(self, file: Any, domain: str, threads: Any) -> None:
        self.origin = str(file.path)
        self._file = file
        self._domain = domain
        self._threads = threads
        self._read: Any = None
        self._addresses: dict[str, Address] = {}

    async def addresses(self) -> dict[str, Address]:
        """As `Written.addresses`. Raises Unavailable where the file was never in order."""
        await self._file.freshen()
        if (value := self._file.value) is not self._read:
            self._addresses = await self._threads.run(_by_name, value, self._domain)
            self._read = value
        return self._addresses


def _by_name(addresses: Iterable[Address], domain: str) -> dict[str, Address]:
    whole = (one if one.domain else Address(one.local, domain) for one in addresses)
    return {str(address.folded): address for address in whole}


def read(text: str) -> Partly[tuple[Address, ...]]:
    """The members in a file: an address a line, `Anna <anna@blue.example>` too; from # on it is a remark. Wrong lines are told.

    A file of nobody is hollow: an editor that has begun to save it shall not take everybody off the list.
    """
    found: list[Address] = []
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(lines_of(text), 1):
        word = line[:LONGEST_LINE].partition("#")[0].strip()
        if not word:
            continue
        if word.endswith(">"):
            word = word[:-1].rpartition("<")[2]
        if len(found) >= MOST_MEMBERS:
            problems.append((number, f"a list has at most {MOST_MEMBERS} members"))
            break
        try:
            found.append(parse(word))
        except ValueError as trouble:
            problems.append((number, str(trouble)))
    return Partly(tuple(found), tuple(problems), is_hollow=not found)
