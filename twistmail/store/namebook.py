"""How the message files of one mailbox are called.

A name is long, a mailbox may have a million of them, and few are asked for: so
they are not kept in memory but read from the index, a block at a time. What is
kept for each message, in `Snapshot.named`, is which flags its name shows; with
the base name, which never changes, that is the path:

    NEW         new/BASE
    ODD         the book has the whole path: somebody gave it a name that we would not
    flag bits   cur/BASE:2,LETTERS
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable

from twistmail.store import names
from twistmail.store.pigeonholes import Book

NEW = 1 << 62
ODD = 1 << 63
#: Blocks of names that one mailbox keeps decoded: about 100 KiB each.
MOST_BLOCKS = 12


class Letters(dict[int, bytes]):
    """Flag bits -> the letters that stand for them in a file name."""

    def __missing__(self, bits: int) -> bytes:
        if len(self) > 4096:
            self.clear()
        letters = self[bits] = names.letters_of(names.wanted_path(b"new/", bits, names.MOST_KEYWORDS))
        return letters


LETTERS = Letters()


def path_of(entry: bytes, named: int) -> bytes:
    """Where the file lies whose entry in the book is *entry*."""
    if named == ODD:
        return entry
    return b"new/" + entry if named == NEW else b"cur/" + entry + names.INFO + LETTERS[named]


def classified(path: bytes, keywords: int) -> tuple[bytes, int, int]:
    """(entry, named, flag bits) of a file at *path* in a mailbox with so many *keywords*."""
    folder, (base, info, letters) = path[:4], path[4:].partition(names.INFO)
    if folder == b"new/" and not info:
        return base, NEW, 0
    bits = names.bits_of(letters, keywords)
    if folder == b"cur/" and info and LETTERS[bits] == letters:
        return base, bits, bits
    return path, ODD, bits


def wanted(entry: bytes, named: int, bits: int, keywords: int) -> bytes:
    """Where that file belongs when the flags are *bits*."""
    if named == ODD:
        return names.wanted_path(entry, bits, keywords)
    return b"cur/" + entry + names.INFO + LETTERS[bits]


class NameBook:
    """{UID: entry} of one mailbox. *block_of*(uid) tells in which block of the index the entry of *uid* lies, and *load* gives that
    block's entries; it may raise LookupError: then *recover* looks at the disk for all of them.
    """

    def __init__(
        self, block_of: Callable[[int], int], load: Callable[[int], dict[int, bytes]], recover: Callable[[], Book[int, bytes]]
    ) -> None:
        self.fresh: Book[int, bytes] = {}  # what the index does not know yet
        self._block_of = block_of
        self._load = load
        self._recover = recover
        self._blocks: OrderedDict[int, dict[int, bytes]] = OrderedDict()

    def entry(self, uid: int) -> bytes:
        """The entry of a message that exists. Where no name can be found: one that no file has."""
        found = self.fresh.get(uid)
        return found if found is not None else self._in_block(uid)

    def entries(self, uids: Iterable[int]) -> list[bytes]:
        return [self.entry(uid) for uid in uids]

    def set(self, uid: int, entry: bytes) -> None:
        self.fresh[uid] = entry

    def forget(self, uids: Iterable[int]) -> None:
        for uid in uids:
            self.fresh.pop(uid, None)

    def saved(self, start: int, uids: bytes, joined: bytes) -> None:
        """The index has the entries of a block now, as they are stored; those that have changed meanwhile stay fresh."""
        entries = unpacked(uids, joined)
        fresh = self.fresh
        for uid in fresh.keys() & entries.keys():
            if fresh[uid] == entries[uid]:
                del fresh[uid]
        self._keep(start, entries)

    def let_go(self) -> None:
        """Keep nothing that can be read again."""
        self._blocks.clear()

    def _in_block(self, uid: int) -> bytes:
        start = self._block_of(uid)
        block = self._blocks.get(start)
        if block is None:
            try:
                block = self._load(start)
            except LookupError:
                return self._recovered(uid)
            self._keep(start, block)
        else:
            self._blocks.move_to_end(start)
        found = block.get(uid)
        return found if found is not None else self._recovered(uid)

    def _recovered(self, uid: int) -> bytes:
        recovered = self._recover()
        recovered.update(self.fresh)
        self.fresh = recovered
        return self.fresh.setdefault(uid, b"?")

    def _keep(self, start: int, entries: dict[int, bytes]) -> None:
        self._blocks[start] = entries
        self._blocks.move_to_end(start)
        if len(self._blocks) > MOST_BLOCKS:
            self._blocks.popitem(last=False)


def unpacked(uids: bytes, joined: bytes) -> dict[int, bytes]:
    """{UID: entry} of one block as the index stores it: an array of UIDs, and the entries joined by newlines."""
    return dict(zip(array("I", uids), joined.split(b"\n"), strict=True)) if uids else {}
