"""What the index of an account says, read without changing it, and where that is not what lies on the disk.

An index may be behind: then the times of the directories in it are not those
of the disk, and whoever opens the mailbox looks. It must not be wrong where they
are the same, because then nobody looks. Works beside a running server: what
changes while we read is left alone. Blocking.
"""

from __future__ import annotations

import os
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import field
from pathlib import Path

from twistmail.mail.values import frozen
from twistmail.store import names, uidlist
from twistmail.store.database import FILE, SCHEMA_VERSION, span
from twistmail.store.index import KNOWN, Known
from twistmail.store.listing import read_list
from twistmail.store.loading import is_true
from twistmail.store.maildir import Stamp
from twistmail.store.namebook import path_of, unpacked

#: Differences that are told in words; the others are counted.
SHOWN = 3


@frozen
class Indexed:
    """A mailbox as the index has it: `paths` and `sizes` by UID, the largest modification sequence of a message, and its `directory`."""

    directory: str
    known: Known
    paths: dict[int, bytes] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    largest_modseq: int = 0


def read_index(root: Path) -> Iterator[Indexed]:
    """Every mailbox in the index of the account in *root*. Raises sqlite3.Error, and ValueError where the columns do not fit."""
    path = root / FILE
    if not path.exists():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
        if database.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
            return  # of another version: it is thrown away when the account is opened
        rows = database.execute(f"SELECT id, directory, {KNOWN} FROM mailbox").fetchall()
        for number, directory, *known in rows:
            if known[0]:
                yield _mailbox(database, number, directory, Known(*known))


def _mailbox(database: sqlite3.Connection, number: int, directory: str, known: Known) -> Indexed:
    paths: dict[int, bytes] = {}
    sizes: dict[int, int] = {}
    largest = 0
    blocks = database.execute(
        "SELECT uids, sizes, entries, named, modseqs FROM block JOIN flags USING (id) WHERE id BETWEEN ? AND ? ORDER BY id", span(number)
    )
    for uids, size_column, entries, named_column, modseq_column in blocks:
        entry_of = unpacked(uids, entries)
        modseqs = array("Q", modseq_column)
        if not len(modseqs) == len(entry_of) == len(uids) // 4:
            raise ValueError(f"the columns of {directory or names.INBOX} have different lengths")
        for uid, named, size in zip(entry_of, array("Q", named_column), array("Q", size_column), strict=True):
            paths[uid], sizes[uid] = path_of(entry_of[uid], named), size
        largest = max([largest, *modseqs])
    return Indexed(directory, known, paths, sizes, largest)


def differences(root: Path, indexed: Indexed) -> list[str]:
    """What the index says otherwise than the disk although it believes that nothing has changed: a line each."""
    folder = root / indexed.directory
    before = _times(folder)
    if before is None or not is_true(indexed.known, before, indexed.known.uidnext, len(indexed.paths)):
        return []
    listing = read_list(folder / uidlist.FILE)
    uidnext = max(listing.nextuid, max(listing.uids, default=0) + 1)
    if (listing.uidvalidity, uidnext) != (indexed.known.uidvalidity, indexed.known.uidnext):
        return []
    present = {names.base_of(path): path for path in _listing(folder)}
    disk = {uid: present[base] for uid, base in zip(listing.uids, listing.bases, strict=True) if base in present}
    found = list(_compared(indexed, disk))
    return found if _times(folder) == before else []


def _compared(indexed: Indexed, disk: dict[int, bytes]) -> Iterator[str]:
    for uid in sorted(disk.keys() | indexed.paths.keys()):
        there, said = disk.get(uid), indexed.paths.get(uid)
        if there is None:
            yield f"UID {uid} has no file"
        elif said is None:
            yield f"UID {uid} is not in it"
        elif there != said:
            yield f"UID {uid} is called {os.fsdecode(said)!r} instead of {os.fsdecode(there)!r}"
        elif names.crlf_size(names.base_of(there)) not in (None, indexed.sizes[uid]):
            yield f"UID {uid} has {indexed.sizes[uid]} octets"
    if indexed.largest_modseq > indexed.known.modseq:
        yield f"a message has the modification sequence {indexed.largest_modseq}, above that of the mailbox"


def _times(folder: Path) -> Stamp | None:
    """When its directories were last changed; None where it is no mailbox any more."""
    try:
        return Stamp(os.stat(folder / "new").st_mtime_ns, os.stat(folder / "cur").st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _listing(folder: Path) -> Iterator[bytes]:
    for place in (b"new", b"cur"):
        for name in os.listdir(os.path.join(os.fsencode(folder), place)):
            if not name.startswith((b".", b":")) and b"\n" not in name:
                yield place + b"/" + name


def told(found: Sequence[str]) -> str:
    """The first of *found*, and how many there are."""
    rest = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + rest
