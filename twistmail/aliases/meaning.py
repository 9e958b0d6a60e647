"""From items to goals: what is allowed, and what lists in files hold. A source whose entries are written as in aliases(5) has one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twisted.logger import Logger

from twistmail.aliases import members, trust
from twistmail.aliases.items import Include, Item
from twistmail.aliases.members import Members
from twistmail.aliases.permits import Permits
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.alias import Goal
from twistmail.watched import WatchedFile, WatchedFiles

log = Logger()

#: Lists that include lists that include lists ...
DEEPEST = 10


class Meaning:
    """What items mean where *permits* hold. Lists in files are read by *files*, which are watched."""

    def __init__(self, permits: Permits, files: WatchedFiles) -> None:
        self.permits = permits
        self._files = files
        self._told: dict[Path, Members] = {}

    async def goals(self, items: Sequence[Item], origin: str) -> tuple[Goal, ...]:
        """What *items*, which are written at *origin*, lead to. Unavailable where that is not allowed, or cannot be told now."""
        for item in items:
            if why := self.permits.refusal(item):
                raise Unavailable(f"{origin} {why}")
        if not any(isinstance(item, Include) for item in items):
            return tuple(items)  # type: ignore[arg-type]
        found: list[Goal] = []
        for item in items:
            if isinstance(item, Include):
                found += await self._included(item.path, (origin,))
            else:
                found.append(item)
        if not found:
            raise Unavailable(f"{origin} leads nowhere: nobody stands in the lists that it includes")
        return tuple(found)

    def tell(self, path: str, special: Sequence[tuple[int, Address, Item]]) -> None:
        """Log those of the *special* entries of the file at *path* that are not allowed."""
        for line, address, item in special:
            if why := self.permits.refusal(item):
                log.warn("{path}:{line}: {address} {why}; mail for it has to wait", path=path, line=line, address=str(address), why=why)

    async def troubles(self, special: Sequence[tuple[int, Address, Item]]) -> list[tuple[int, Address, str]]:
        """What is wrong with the *special* entries of a file: (line, alias, text) each."""
        found = []
        for line, address, item in special:
            if why := self.permits.refusal(item):
                found.append((line, address, why))
            elif isinstance(item, Include):
                wrong = await self._files.file(Path(item.path), members.parse, members.MOST_OCTETS).examined()
                found += [(line, address, f"{item.path}{f':{number}' if number else ''}: {text}") for number, text in wrong]
                if not wrong:
                    try:
                        await self.goals((item,), str(address))
                    except Unavailable as trouble:
                        found.append((line, address, str(trouble)))
        return found

    async def _included(self, path: str, trail: tuple[str, ...]) -> Sequence[Goal]:
        """The goals in the file at *path*, reached by *trail*."""
        if path in trail:
            raise Unavailable(f"{path} includes itself: {' > '.join((*trail, path))}")
        if len(trail) > DEEPEST:
            raise Unavailable(f"{path} is included by more than {DEEPEST} others: {' > '.join(trail)}")
        if why := trust.leads_astray(path):
            raise Unavailable(f"{path} {why}, and could lead to any file that the server may read")
        file: WatchedFile[Members] = self._files.file(Path(path), members.parse, members.MOST_OCTETS)
        await file.freshen()
        listed = file.value
        self._judge(file.path, listed)
        if listed.is_plain:
            return listed.items  # type: ignore[return-value]
        found: list[Goal] = []
        for item in listed.items:
            if isinstance(item, Include):
                if why := trust.doubt(path):
                    raise Unavailable(f"{path} {why}, so it may not include {item.path}")
                found += await self._included(item.path, (*trail, path))
            else:
                found.append(item)
        return found

    def _judge(self, path: Path, listed: Members) -> None:
        """Unavailable where a member is not allowed; the operator hears of each once."""
        if not listed.special:
            return
        refused = [(line, why) for line, item in listed.special if (why := self.permits.refusal(item, included=True))]
        if self._told.get(path) is not listed:
            self._told[path] = listed
            for line, why in refused:
                log.warn("{path}:{line}: a member {why}; mail for that list has to wait", path=str(path), line=line, why=why)
        if refused:
            raise Unavailable(f"{path}:{refused[0][0]} {refused[0][1]}")
