"""One segment of the redo log: a `SegmentFile`, and the messages in it that are not known to be durable without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from twistmail.segments import Header, SegmentFile
from twistmail.store.maildir import Maildir
from twistmail.store.redorecords import MAGIC, Record, bodies_of, records_in


class Segment(SegmentFile):
    """`live`: the base names of the messages in it whose files are not known to be durable without it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MAGIC)
        self.live: dict[Maildir, set[bytes]] = {}

    def begin(self, generation: int) -> None:
        super().begin(generation)
        self.live = {}

    def append(self, records: Sequence[Record]) -> bool:
        """Write *records* behind the others, unsynced; False where they do not fit. OSError: nothing was appended."""
        return self.append_bodies(bodies_of(records))

    def enliven(self, maildir: Maildir, base: bytes) -> None:
        self.live.setdefault(maildir, set()).add(base)

    def holds(self, maildir: Maildir, bases: Iterable[bytes]) -> bool:
        """Whether one of *bases* is live."""
        return not self.live.get(maildir, frozenset()).isdisjoint(bases)

    def read(self) -> tuple[Header, list[Record]] | None:
        """What is in the file; None where it is no segment of this version."""
        found = self.read_bodies()
        return found and (found[0], list(records_in(found[1])))
