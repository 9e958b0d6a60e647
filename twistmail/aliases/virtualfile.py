"""Virtual user tables as sources of aliases: in which order a table is asked, and what comes of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from zope.interface import implementer

from twistmail.aliases.file import BREATH
from twistmail.aliases.listed import Listed
from twistmail.aliases.virtual import POSTFIX, SENDMAIL, Dialect, Line, Table
from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.mail.alias import Goal, Step
from twistmail.mail.values import frozen
from twistmail.watched import WatchedFile, WatchedFiles


def read_postfix(text: str) -> Table:
    """A table in the syntax of virtual(5). Broken. Runs in a thread."""
    return Table(text, POSTFIX, lambda: time.sleep(BREATH))


def read_sendmail(text: str) -> Table:
    """A virtusertable. Broken. Runs in a thread."""
    return Table(text, SENDMAIL, lambda: time.sleep(BREATH))


_READERS = {POSTFIX: read_postfix, SENDMAIL: read_sendmail}


@frozen
class House:
    """`default` is the domain of names that have none; `own` are those in which a name alone in a table holds.

    `spellings` tells how an address is spelled without its suffix.
    """

    default: str
    own: Collection[str]
    spellings: Callable[[Address], Sequence[Address]]


#: A key, %1 %2 %3, and the suffix that is to be kept.
_Try = tuple[str, tuple[str, str, str], str]


@implementer(IAliasResolver)
class VirtualFile:
    """The table in the file at *path*. It is watched; a broken one is told, and the old one stays (`watched`).

    `exact` knows names, `rest` what @domain and +*@domain stand for; `lookup` is both, in that order.
    """

    def __init__(self, path: Path, dialect: Dialect, files: WatchedFiles, house: House) -> None:
        self.path = path
        self._house = house
        self._dialect = dialect
        self._file: WatchedFile[Table] = files.file(path, _READERS[dialect])

    async def lookup(self, address: Address) -> Step | None:
        return await self.exact(address) or await self.rest(address)

    async def exact(self, address: Address) -> Step | None:
        """What the table says of that very name, with or without its suffix."""
        await self._file.freshen()
        return self._first(address, _sendmail_names(address) if self._dialect is SENDMAIL else self._postfix_names(address))

    async def rest(self, address: Address) -> Step | None:
        """What the table says of everybody in the domain who has no line of his own."""
        await self._file.freshen()
        return self._first(address, _sendmail_rest(address) if self._dialect is SENDMAIL else _postfix_rest(address))

    async def listed(self) -> list[Listed]:
        """All lines. Unavailable."""
        await self._file.freshen()
        return list(self._file.value.listed(str(self.path)))

    async def troubles(self) -> list[tuple[str, str, str]]:
        """What is wrong with the file as it is now: ("-", text, where) each."""
        return [("-", text, f"{self.path}:{line}" if line else str(self.path)) for line, text in await self._file.examined()]

    def _first(self, address: Address, tries: Iterator[_Try]) -> Step | None:
        table = self._file.value
        for name, gaps, suffix in tries:
            if (line := table.find(name)) is not None:
                return self._step(line, address, gaps, suffix)
        return None

    def _step(self, line: Line, address: Address, gaps: tuple[str, str, str], suffix: str) -> Step | None:
        try:
            goals = line.goals(address, gaps)
        except ValueError:  # what the stranger has written makes no address there: nobody is called so
            return None
        return Step(tuple(self._whole(goal, suffix) for goal in goals), f"{self.path}:{line.number}")

    def _whole(self, goal: Goal, suffix: str) -> Goal:
        """*goal* in a domain, with the suffix that was not looked for (propagate_unmatched_extensions of Postfix)."""
        if not isinstance(goal, Address):
            return goal
        return Address(goal.local + suffix, goal.domain or self._house.default)

    def _postfix_names(self, address: Address) -> Iterator[_Try]:
        """user+x@domain, user@domain; and where the domain is the house's own, user+x and user alone."""
        names = self._house.spellings(address)
        for domain in (address.domain, "") if address.domain in self._house.own else (address.domain,):
            for name in names:
                yield f"{name.local}@{domain}", ("", "", ""), address.local[len(name.local) :]


def _postfix_rest(address: Address) -> Iterator[_Try]:
    yield f"@{address.domain}", ("", "", ""), ""


def _sendmail_names(address: Address) -> Iterator[_Try]:
    """user+detail@domain, user++@domain (where there is a detail), user+*@domain, user@domain."""
    local, domain = address.local, address.domain
    yield f"{local}@{domain}", (local, "", ""), ""
    user, plus, detail = local.partition("+")
    if plus and user:
        for pattern in ("++", "+*", "") if detail else ("+*", ""):
            yield f"{user}{pattern}@{domain}", (user, detail, plus + detail), ""


def _sendmail_rest(address: Address) -> Iterator[_Try]:
    """++@domain, +*@domain, @domain."""
    user, plus, detail = address.local.partition("+")
    if plus and user:
        for pattern in ("++", "+*", "") if detail else ("+*", ""):
            yield f"{pattern}@{address.domain}", (user, detail, plus + detail), ""
    else:
        yield f"@{address.domain}", (address.local, "", ""), ""
