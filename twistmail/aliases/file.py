"""A file in the syntax of aliases(5), read again when it changes; or, where that is asked for, when `newaliases` has been run."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.aliases.index import Index, key
from twistmail.aliases.listed import Listed, listed
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.owner import owner_of
from twistmail.interfaces import IAliasResolver, Unavailable
from twistmail.mail.address import Address
from twistmail.mail.alias import Step
from twistmail.watched import WatchedFile, WatchedFiles

log = Logger()

#: Seconds that a thread which reads a large file rests now and then: who waits for the interpreter meanwhile gets it at once.
BREATH = 0.0002


def read(text: str) -> Index:
    """The aliases in *text*. Broken. Runs in a thread."""
    return Index(text, lambda: time.sleep(BREATH))


@implementer(IAliasResolver)
class AliasFile:
    """The aliases in the file at *path*; names without a domain hold in all local *domains*.

    A file that becomes broken is logged, with its lines, and the old aliases stay. Where there never was a good one every
    question raises Unavailable. *compiled*: the file that is read in its place, which `newaliases` has made of it (`compiled`).
    """

    def __init__(
        self, path: Path, files: WatchedFiles, domains: Collection[str], meaning: Meaning, *, compiled: Path | None = None
    ) -> None:
        self.path = path
        self._domains = domains
        self._meaning = meaning
        self._compiled = compiled
        self._file: WatchedFile[Index] = files.file(compiled or path, read)
        self._told: Index | None = None

    async def lookup(self, address: Address) -> Step | None:
        index = await self._index()
        entry = index.find(key(address))
        if entry is None and address.domain in self._domains:
            entry = index.find(f"{address.local}@")
        if entry is None:
            return None
        origin = f"{self.path}:{entry.line}"
        goals = await self._meaning.goals(entry.items, origin)
        return Step(goals, origin, owner_of(address, lambda owner: self._is_alias(index, owner)))

    async def listed(self) -> list[Listed]:
        """All entries of the file as it is now. Unavailable."""
        return [listed(entry.address, entry.items, f"{self.path}:{entry.line}") for entry in (await self._index()).entries()]

    async def troubles(self) -> list[tuple[str, str, str]]:
        """What is wrong with the file as it is now: (alias or "-", text, where) each."""
        if missing := self._missing():
            return [("-", str(missing), str(self.path))]
        wrong = await self._file.examined()
        found = [("-", text, f"{self.path}:{line}" if line else str(self.path)) for line, text in wrong]
        with suppress(Unavailable):
            await self._index()
        if self._file.is_read:
            special = await self._meaning.troubles(self._file.value.special)
            found += [(str(address), text, f"{self.path}:{line}") for line, address, text in special]
        return found

    def _is_alias(self, index: Index, address: Address) -> bool:
        return index.knows(key(address)) or (address.domain in self._domains and index.knows(f"{address.local}@"))

    async def _index(self) -> Index:
        try:
            await self._file.freshen()
        except Unavailable as error:
            raise self._missing() or error from error
        index = self._file.value
        if index is not self._told:
            self._told = index
            self._meaning.tell(str(self.path), index.special)
        return index

    def _missing(self) -> Unavailable | None:
        if self._compiled is None or self._compiled.exists():
            return None
        return Unavailable(f"{self.path} has never been compiled ([aliases] reload = newaliases): run newaliases")
