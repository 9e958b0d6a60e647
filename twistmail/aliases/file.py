"""A file in the syntax of aliases(5), read again when it changes; `newaliases` is not needed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.aliases.parse import Entry, parse
from twistmail.aliases.table import AliasTable
from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.mail.alias import Step
from twistmail.watched import Broken, WatchedFile

log = Logger()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of the file gave: the aliases, and (line, text) of what is not done here."""

    table: AliasTable
    refusals: tuple[tuple[int, str], ...]


@implementer(IAliasResolver)
class AliasFile:
    """The aliases in the file at *path*; names without a domain hold in all local *domains*.

    A file that becomes broken is logged, with its lines, and the old aliases stay. Where there never was a good one every
    question raises Unavailable.
    """

    def __init__(self, path: Path, threads: Any, domains: Collection[str]) -> None:
        self.path = path
        self._domains = domains
        self._file = WatchedFile(path, self._read, threads)
        self._told: Reading | None = None

    async def lookup(self, address: Address) -> Step | None:
        return await (await self._table()).lookup(address)

    async def entries(self) -> tuple[Entry, ...]:
        """All entries of the file as it is now. Unavailable."""
        return (await self._table()).entries()

    async def _table(self) -> AliasTable:
        await self._file.freshen()
        reading = self._file.value
        if reading is not self._told:
            self._told = reading
            for line, why in reading.refusals:
                log.warn("{path}:{line}: {why}; mail for it has to wait", path=str(self.path), line=line, why=why)
        return reading.table

    def _read(self, text: str) -> Reading:
        parsed = parse(text)
        if parsed.problems:
            raise Broken(parsed.problems)
        return Reading(AliasTable(parsed.entries, self._domains, str(self.path)), tuple(parsed.refusals))
