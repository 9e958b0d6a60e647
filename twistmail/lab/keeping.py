"""What the offices keep of passwords: made once for each password, and for many in threads.

A hash and its keys take a tenth of a second. Almost everybody here has the same password, but of a class each student has his
own, and nobody is to be kept waiting while thirty are hashed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twistmail import tasks
from twistmail.accounts.fresh import keep
from twistmail.mail.evidence import ScramKeys

Kept = tuple[str, tuple[ScramKeys, ...]]


class Keeping:
    """`accounts.fresh.keep`, remembered. `threads` (`tasks.Threads`) are for what takes long."""

    def __init__(self, threads: Any) -> None:
        self.threads = threads
        self._kept: dict[tuple[str, tuple[str, ...]], Kept] = {}

    async def ahead(self, passwords: Iterable[str], kinds: tuple[str, ...]) -> None:
        """From now on `of` has these at hand. As many are hashed at a time as there are threads."""
        missing = [one for one in dict.fromkeys(passwords) if (one, kinds) not in self._kept]
        made = await tasks.gather(*(self.threads.run(keep, password, kinds) for password in missing))
        self._kept.update(zip(((password, kinds) for password in missing), made, strict=True))

    def of(self, password: str, kinds: tuple[str, ...]) -> Kept:
        """What `ahead` has made; where it has not, it is made now."""
        if (password, kinds) not in self._kept:
            self._kept[password, kinds] = keep(password, kinds)
        return self._kept[password, kinds]
