"""What has been made for mailboxes and may not be durable yet.

Many mailboxes that are made at once shall cost one or two commits of the
file system's journal: so whoever makes files and folders notes them here, and
whoever promises something syncs all that stands here first (`folders.settle`,
or the committer for all accounts of a batch). What could not be synced stays,
for the next one who promises something.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from itertools import count
from pathlib import Path

#: {number: path}: what `Unsynced.now` has told, for `Unsynced.synced`.
Made = dict[int, Path]


class Unsynced:
    """The paths of files, and of folders with new names in them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._numbers = count()
        self._made: Made = {}

    def add(self, *paths: Path) -> None:
        with self._guard:
            self._made.update(zip(self._numbers, paths, strict=False))

    def now(self) -> Made:
        """All that stands here."""
        with self._guard:
            return dict(self._made)

    def synced(self, numbers: Iterable[int]) -> None:
        """These are durable; what was added since, under other numbers, is not."""
        with self._guard:
            for number in numbers:
                self._made.pop(number, None)


class Grounds:
    """What a promise rests on: all that stands in *places* now. To be synced before it is given, and then told to be `synced`."""

    def __init__(self, places: Collection[Unsynced] = ()) -> None:
        self._made = {place: made for place in places if (made := place.now())}

    @property
    def paths(self) -> list[Path]:
        return [path for made in self._made.values() for path in made.values()]

    def synced(self) -> None:
        for place, made in self._made.items():
            place.synced(made)
