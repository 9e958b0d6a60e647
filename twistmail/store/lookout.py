"""What others do to mailboxes that nobody has open, for those who watch a whole account: noticed, not read.

A look compares the times of new/ and cur/ with those of the last look; that something has happened is all that it tells. It
is cheap: two `stat` when the kernel gives a hint, and in any case every half minute (`hints`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from twistmail.store.folders import FolderTree
from twistmail.store.workshop import Workshop

#: Mailboxes of one account that are looked at; of the others only what we do ourselves is told.
MOST = 500

Times = tuple[int, int]


class Lookout:
    """See the module note. *stirred*(name) is called when something has happened there."""

    def __init__(self, tree: FolderTree, workshop: Workshop, stirred: Callable[[str], None]) -> None:
        self._tree = tree
        self._workshop = workshop
        self._stirred = stirred
        self._looks: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self._seen: dict[str, Times | None] = {}
        self._begun = False

    async def begin(self) -> None:
        self._begun = True
        for name in await self._workshop.threads.run(self._tree.names):
            self.add(name)

    def end(self) -> None:
        self._begun = False
        for name in tuple(self._looks):
            self.drop(name)

    def add(self, name: str) -> None:
        """There is a mailbox *name*."""
        if self._begun and name not in self._looks and len(self._looks) < MOST:
            path = self._tree.maildir(name).path
            self._seen[name] = _times(path)
            self._looks[name] = partial(self._look, name, path)
            self._workshop.hints.watch(path, self._looks[name])

    def drop(self, name: str) -> None:
        """There is none any more."""
        if look := self._looks.pop(name, None):
            self._workshop.hints.unwatch(look)
            del self._seen[name]

    async def _look(self, name: str, path: Path) -> None:
        times = await self._workshop.threads.run(_times, path)
        if name in self._looks and times != self._seen[name]:
            self._seen[name] = times
            self._stirred(name)


def _times(maildir: Path) -> Times | None:
    """When new/ and cur/ were last written to; None where they are gone."""
    try:
        return os.stat(maildir / "new").st_mtime_ns, os.stat(maildir / "cur").st_mtime_ns
    except OSError:
        return None
