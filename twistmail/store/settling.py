"""Giving files the names that their flags ask for, in the background. Blocking; in a thread, one bounded block at a time."""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.store import names
from twistmail.store.maildir import Maildir
from twistmail.store.scan import present_in

#: Renames in one block: about 2 ms.
BLOCK = 200

#: uid, the path as we know it, the path that it shall have
Move = tuple[int, bytes, bytes]


def settle(maildir: Maildir, moves: Sequence[Move]) -> list[Move]:
    """Rename; what has been moved. A file that somebody else has renamed is looked for; one that has gone is left out."""
    with maildir.own_change():
        lost = [move for move in moves if not maildir.rename(move[1], move[2])]
    if not lost:
        return list(moves)
    present = present_in(maildir)
    found = {uid for uid, old, new in lost if (path := present.get(names.base_of(old))) and maildir.rename(path, new)}
    missing = {uid for uid, _, _ in lost} - found
    return [move for move in moves if move[0] not in missing]
