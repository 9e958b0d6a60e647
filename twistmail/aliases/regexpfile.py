"""A table of regular expressions as a source of aliases."""

from __future__ import annotations

from pathlib import Path

from zope.interface import implementer

from twistmail.aliases.listed import Listed
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.regexp import Rules
from twistmail.interfaces import IAliasResolver
from twistmail.mail.address import Address
from twistmail.mail.alias import Final, Goal, Step
from twistmail.watched import WatchedFile, WatchedFiles


def read(text: str) -> Rules:
    """The rules in *text*. Broken. Runs in a thread."""
    return Rules(text)


@implementer(IAliasResolver)
class RegexpFile:
    """The rules in the file at *path*, held against whole addresses; names without a domain on the right are in the domain *default*."""

    def __init__(self, path: Path, files: WatchedFiles, default: str, meaning: Meaning) -> None:
        self.path = path
        self._default = default
        self._meaning = meaning
        self._file: WatchedFile[Rules] = files.file(path, read)

    async def lookup(self, address: Address) -> Step | None:
        await self._file.freshen()
        found = self._file.value.find(str(address))
        if found is None:
            return None
        rule, led = found
        origin = f"{self.path}:{rule.line}"
        return Step(tuple(map(self._whole, await self._meaning.goals(led, origin))), origin)

    async def listed(self) -> list[Listed]:
        """All rules, in order. Unavailable."""
        await self._file.freshen()
        return self._file.value.listed(str(self.path))

    async def troubles(self) -> list[tuple[str, str, str]]:
        """What is wrong with the file as it is now: ("-", text, where) each."""
        return [("-", text, f"{self.path}:{line}" if line else str(self.path)) for line, text in await self._file.examined()]

    def _whole(self, goal: Goal) -> Goal:
        if isinstance(goal, Address) and not goal.domain:
            return Address(goal.local, self._default)
        return Final(Address(goal.address.local, self._default)) if isinstance(goal, Final) and not goal.address.domain else goal
