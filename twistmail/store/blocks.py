"""Which messages the index stores together, and which of those blocks must be written again. Pure.

A block is as many messages as are written at once without waste: 1,024. It is known by its
`start`: it holds the UIDs from there up to the start of the next one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from twistmail.store.snapshot import Snapshot

MOST = 1024
_BEYOND = 1 << 32


class Blocks:
    """`changed`: starts of blocks whose flags have changed; `rebuilt`: whose messages or names have changed too."""

    def __init__(self, starts: Sequence[int] = ()) -> None:
        self.starts = array("Q", starts)
        self.changed: set[int] = set()
        self.rebuilt: set[int] = set()

    def __bool__(self) -> bool:
        """Whether something must be written."""
        return bool(self.changed or self.rebuilt)

    def start_of(self, uid: int) -> int:
        """The block where *uid* is."""
        return self.starts[bisect_right(self.starts, uid) - 1]

    def places(self, start: int, snapshot: Snapshot) -> range:
        """Where the messages of a block are."""
        after = bisect_right(self.starts, start)
        end = self.starts[after] if after < len(self.starts) else _BEYOND
        return range(bisect_left(snapshot.uids, start), bisect_left(snapshot.uids, end))

    def touched(self, uids: Sequence[int]) -> set[int]:
        """The blocks of *uids*, which ascend."""
        if len(uids) < len(self.starts):
            return {self.start_of(uid) for uid in uids}
        found = set()
        at = 0
        while at < len(uids):
            start = self.start_of(uids[at])
            found.add(start)
            after = bisect_right(self.starts, start)
            at = bisect_left(uids, self.starts[after]) if after < len(self.starts) else len(uids)
        return found

    def arrived(self, snapshot: Snapshot, count: int) -> None:
        """The last *count* messages of *snapshot* are new."""
        end = len(snapshot.uids)
        first = self.places(self.starts[-1], snapshot).start + MOST if self.starts else 0
        if self.starts and first > end - count:
            self.rebuilt.add(self.starts[-1])
        for place in range(max(first, end - count), end, MOST):
            self.starts.append(snapshot.uids[place])
            self.rebuilt.add(snapshot.uids[place])

    def rebuild(self, snapshot: Snapshot) -> None:
        """All must be written again, and *snapshot* may have other messages than before.

        Borders between blocks stay: where the writing ends halfway, no message is in two of them.
        """
        uids = snapshot.uids
        if uids and (not self.starts or uids[0] < self.starts[0]):
            self.starts.insert(0, uids[0])
        for start in self.starts[:]:
            for place in self.places(start, snapshot)[MOST::MOST]:
                insort(self.starts, uids[place])
        self.rebuilt = set(self.starts)

    def dropped(self, start: int) -> None:
        """A block has no messages any more."""
        place = bisect_left(self.starts, start)
        if place < len(self.starts) and self.starts[place] == start:
            del self.starts[place]

    def take(self, most: int) -> list[tuple[int, bool]]:
        """Up to *most* blocks that must be written: (start, whether as a whole). They count as written from now on."""
        taken = [(start, start in self.rebuilt) for start in sorted(self.changed | self.rebuilt)[:most]]
        self.changed.difference_update(start for start, _ in taken)
        self.rebuilt.difference_update(start for start, _ in taken)
        return taken

    def give_back(self, taken: Sequence[tuple[int, bool]]) -> None:
        """They could not be written."""
        self.changed.update(start for start, whole in taken if not whole)
        self.rebuilt.update(start for start, whole in taken if whole)


def divided(uids: Sequence[int]) -> Blocks:
    """Blocks for messages that are in none yet."""
    blocks = Blocks(uids[::MOST])
    blocks.rebuilt = set(blocks.starts)
    return blocks
