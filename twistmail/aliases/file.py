"""A file in the syntax of aliases(5), read again when it changes; `newaliases` is not needed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.aliases.parse import Entry, parse
from twistmail.aliases.table import AliasTable
from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.watched import Broken, WatchedFile

log = Logger()


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

    async def lookup(self, address: Address) -> tuple[Address, ...]:
        await self._file.freshen()
        return await self._file.value.lookup(address)

    async def entries(self) -> tuple[Entry, ...]:
        """All entries of the file as it is now. Unavailable."""
        await self._file.freshen()
        return self._file.value.entries()

    def _read(self, text: str) -> AliasTable:
        parsed = parse(text)
        if parsed.problems:
            raise Broken(parsed.problems)
        for line, why in parsed.refusals:
            log.warn("{path}:{line}: {why}; mail for it has to wait", path=str(self.path), line=line, why=why)
        return AliasTable(parsed.entries, self._domains)
