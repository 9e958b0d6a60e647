"""Reading a mailbox that is not in memory: from the index where that is still true, else from the disk.

Blocking, in a thread. The result has no file read and no directory listed where
nothing has changed since the index was written, however big the mailbox is.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.logger import Logger

from twistmail import heap
from twistmail.mail.mailbox import MODSEQS_A_SECOND
from twistmail.stamps import is_past
from twistmail.store import keywords, namebook, names
from twistmail.store.blocks import MOST, Blocks, divided
from twistmail.store.database import is_damage
from twistmail.store.index import Flags, Index, Known, Names, News, StoredBlock
from twistmail.store.jobs import details_of
from twistmail.store.maildir import Maildir, Stamp
from twistmail.store.pigeonholes import Book, book
from twistmail.store.scan import present_in, still_there
from twistmail.store.snapshot import Message, Snapshot, missing

log = Logger()

#: Messages that are put into the columns together.
TOGETHER = 2000


@dataclass(slots=True)
class Loaded:
    """All that is known of a mailbox. `fresh` and `expunged` (uid, modseq) are what the index does not know yet.

    `begun`: what the index has of it is true, except for the `blocks` that are to be written; `told`: the directories'
    times in it; `crashed`: it may lack the last changes.
    """

    uidvalidity: int
    uidnext: int
    modseq: int
    keywords: list[str]
    forgotten: int = 0
    snapshot: Snapshot = field(default_factory=Snapshot)
    blocks: Blocks = field(default_factory=Blocks)
    fresh: Book[int, bytes] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)
    strangers: list[bytes] = field(default_factory=list)
    begun: bool = False
    told: Stamp | None = None
    crashed: bool = False
    mailboxid: str = ""


def mailboxid(guid: str) -> str:
    """As RFC 8474 §4 wants it: the name that the UID list has, which it keeps when the mailbox is renamed."""
    return "F" + guid


def load(maildir: Maildir, index: Index, directory: str, now: float, boot: str) -> Loaded:
    """*now*: POSIX seconds; *boot*: see Workshop. Raises NotAMaildir."""
    stamp = maildir.stamp()
    maildir.remove_leftovers(now)
    known, snapshot, blocks = _indexed(index, directory)
    with maildir.uids.locked():
        if known and known.uidvalidity != maildir.uids.uidvalidity:
            _forgotten(index, directory)
            known, snapshot, blocks = None, Snapshot(), Blocks()
        certain = known is not None and is_true(known, stamp, maildir.uids.nextuid, len(snapshot.uids))
        loaded = _begun(maildir, known, now, boot, certain=certain)
        loaded.snapshot, loaded.blocks, loaded.begun = snapshot, blocks, known is not None
        loaded.mailboxid = mailboxid(maildir.uids.guid)
        loaded.told = Stamp(known.new_changed, known.cur_changed) if known and known.new_changed else None
        if certain and loaded.crashed and known and not known.clean:  # the power has failed: both may lack what clients have seen
            snapshot.modseqs = array("Q", [loaded.modseq]) * len(snapshot.uids)
            blocks.changed.update(blocks.starts)
        if not certain:
            _compare(loaded, maildir, all_entries(index, directory) if blocks.starts else book(0))
            if known and any(uid < known.uidnext and snapshot.place(uid) < 0 for uid in loaded.snapshot.uids):
                loaded.forgotten = loaded.modseq  # what was expunged is there again, because something went wrong: the log is not true
        maildir.seen(stamp, sure=certain or is_past(max(stamp.new, stamp.cur), int(now * 1e9)))
    return loaded


def _begun(maildir: Maildir, known: Known | None, now: float, boot: str, *, certain: bool) -> Loaded:
    """Nothing yet but the numbers.

    Modification sequences follow the clock (MODSEQS_A_SECOND), so that an index that was lost, or that has lost its last
    seconds, never counts again what clients have seen (RFC 7162 §3.1). What was expunged in such seconds nobody knows:
    the log is told to begin now. Nothing was lost where nothing followed, nor where it is *certain* that nothing has
    changed, unless the power has failed since.
    """
    modseq = int(now * MODSEQS_A_SECOND)
    words = keywords.read(maildir.path)
    if known is None:
        return Loaded(maildir.uids.uidvalidity, maildir.uids.nextuid, modseq, words, modseq)
    if boot and known.boot == boot and (known.clean or certain):
        return Loaded(maildir.uids.uidvalidity, maildir.uids.nextuid, known.modseq, words, known.forgotten)
    modseq = max(modseq, known.modseq + 1)
    return Loaded(maildir.uids.uidvalidity, maildir.uids.nextuid, modseq, words, modseq, crashed=True)


def _indexed(index: Index, directory: str) -> tuple[Known | None, Snapshot, Blocks]:
    """What the index tells; nothing where it is damaged, and where it cannot even be read."""
    try:
        known, snapshot, blocks = _columns(index.load, directory)
        if known and (border := index.prune(directory)):
            known = replace(known, forgotten=border)
        if known and len(blocks.starts) > 8 + 4 * len(snapshot.uids) // MOST:  # mostly holes
            blocks = _divided_anew(index, directory, known, snapshot, blocks.starts)
        return known, snapshot, blocks
    except (sqlite3.Error, ValueError, TypeError) as error:
        if is_damage(error):
            return _thrown_away(index, error)
        index.trouble.begins(error)
    try:
        return _columns(index.look, directory)
    except (sqlite3.Error, ValueError, TypeError) as error:
        return _thrown_away(index, error) if is_damage(error) else (None, Snapshot(), Blocks())


def _thrown_away(index: Index, error: Exception) -> tuple[None, Snapshot, Blocks]:
    log.warn("{path} is damaged and is built anew: {error}", path=index.path, error=error)
    index.start_again()
    return None, Snapshot(), Blocks()


def _columns(read: Callable[..., Known | None], directory: str) -> tuple[Known | None, Snapshot, Blocks]:
    """What *read* (of Index) brings. ValueError where its blocks do not follow each other."""
    snapshot, blocks = Snapshot(), Blocks()
    place = 0

    def take(start: int, uids: bytes, *columns: bytes) -> None:
        nonlocal place
        blocks.starts.append(start)
        before, place = place, snapshot.fill(place, uids, *columns)
        if before == place or snapshot.uids[before] < start or (before and snapshot.uids[before - 1] >= start):
            raise ValueError(f"block {start} of {directory!r} does not follow the one before")

    known = read(directory, snapshot.make_room, take)
    if place != len(snapshot.uids):
        raise ValueError(f"blocks of {directory!r} are missing")
    snapshot.count()
    return known, snapshot, blocks


def _divided_anew(index: Index, directory: str, known: Known, snapshot: Snapshot, starts: Sequence[int]) -> Blocks:
    """Put what is in few messages' blocks together. In one transaction: blocks of two divisions must not lie side by side."""
    blocks, entries = divided(snapshot.uids), index.all_entries(directory)
    stored = []
    for start in sorted(blocks.rebuilt):
        places = blocks.places(start, snapshot)
        names_of_it = [entries.get(uid, b"?") for uid in snapshot.uids[places.start : places.stop]]
        stored.append(StoredBlock(start, flags_of(snapshot, places), names_in(snapshot, places, names_of_it)))
    dropped = [start for start in starts if start not in blocks.rebuilt]
    index.save(directory, News(replace(known, clean=False), stored, dropped, (), True))
    blocks.rebuilt.clear()
    return blocks


def flags_of(snapshot: Snapshot, places: range) -> Flags:
    """The flags of a block, as the index keeps them."""
    part = slice(places.start, places.stop)
    return Flags(snapshot.bits[part].tobytes(), snapshot.named[part].tobytes(), snapshot.modseqs[part].tobytes())


def names_in(snapshot: Snapshot, places: range, entries: Sequence[bytes]) -> Names:
    """The rest of it; *entries* are the name book's."""
    part = slice(places.start, places.stop)
    return Names(snapshot.uids[part].tobytes(), snapshot.sizes[part].tobytes(), snapshot.dates[part].tobytes(), b"\n".join(entries))


def _forgotten(index: Index, directory: str) -> None:
    try:
        index.forget(directory)
    except sqlite3.Error as error:
        if is_damage(error):
            index.start_again()


def all_entries(index: Index, directory: str) -> Book[int, bytes]:
    """The name book of a mailbox, as far as the index can be read."""
    try:
        return index.all_entries(directory)
    except (sqlite3.Error, ValueError) as error:
        index.trouble.begins(error)
        return {}


def listed_paths(maildir: Maildir) -> Book[int, bytes]:
    """{UID: path} by list and directories."""
    with maildir.uids.locked():
        uids, bases = maildir.uids.read()
        present = present_in(maildir)
    return book(len(uids), ((uid, present[base]) for uid, base in zip(uids, bases, strict=True) if base in present))


def is_true(known: Known, stamp: Stamp, uidnext: int, messages: int) -> bool:
    """Whether nothing has changed since the index was written, and it still has so many *messages*."""
    return (known.new_changed, known.cur_changed, known.uidnext, known.messages) == (stamp.new, stamp.cur, uidnext, messages)


def _compare(loaded: Loaded, maildir: Maildir, entries: Book[int, bytes]) -> None:
    """Take what the index tells of messages that still exist, and look at the others that the UID list names."""
    old = loaded.snapshot
    before = loaded.modseq
    loaded.modseq += 1  # for what has come or gone; clients may have seen the one before
    uids, bases = maildir.uids.read()
    present = still_there(maildir, [_base(entries[uid], named) for uid, named in zip(old.uids, old.named, strict=True) if uid in entries],
                          present_in(maildir))  # fmt: skip
    loaded.uidvalidity, loaded.uidnext = maildir.uids.uidvalidity, maildir.uids.nextuid
    # of a name that is there twice, too
    latest = book(len(uids), ((base, uid) for uid, base in zip(uids, bases, strict=True) if base in present))
    loaded.fresh = book(len(uids))
    found = Snapshot()
    messages: list[Sequence[Any]] = []
    for uid, base in zip(uids, bases, strict=True):
        if latest.get(base) != uid:
            continue
        del latest[base]
        path = present.pop(base)
        place = old.place(uid)
        known = old.message(place) if place >= 0 and uid in entries else None
        message = _message(loaded, maildir, path, uid, known, entries.get(uid, b""))
        if message is not None:
            messages.append(tuple(message))  # plain tuples of numbers the collector looks at once only
        if len(messages) == TOGETHER:  # a million of them at once would keep the interpreter for seconds, and the collector busy
            found.add(messages)
            messages = []
    if messages:
        found.add(messages)
    loaded.snapshot = found
    loaded.expunged = [(uid, loaded.modseq) for uid in missing(old.uids, found.uids)]
    if not loaded.expunged and loaded.modseq not in found.modseqs:
        loaded.modseq = before
    loaded.strangers = list(present.values())
    loaded.blocks.rebuild(found)
    if len(uids) > 1000 + 2 * len(found.uids):
        _compact(maildir)
    heap.let_go(bases)
    entries.clear()


def _base(entry: bytes, named: int) -> bytes:
    return names.base_of(entry) if named == namebook.ODD else entry


def _message(loaded: Loaded, maildir: Maildir, path: bytes, uid: int, known: Message | None, entry: bytes) -> Message | None:
    """The message at *path*: as the index has it where that is true.

    Its flags win over those of the name while the name shows what it showed then: they have not reached it yet. A name that
    shows others is younger than the index, which may have been out of order since.
    """
    fresh, named, bits = namebook.classified(path, len(loaded.keywords))
    loaded.fresh[uid] = fresh
    if known is not None and _base(entry, known.named) == names.base_of(path):
        before = namebook.path_of(entry, known.named)
        now = known.bits if path == before or bits == namebook.classified(before, len(loaded.keywords))[2] else bits
        # after a crash: flags that are as they were may have been told otherwise in between
        modseq = loaded.modseq if loaded.crashed or now != known.bits else known.modseq
        return known._replace(named=named, bits=now, modseq=modseq)
    details = details_of(maildir, path)
    if details is None:
        del loaded.fresh[uid]
        return None
    return Message(uid, bits, named, loaded.modseq, *details)


def is_unsettled(message: Message, entry: bytes, keywords: int) -> bool:
    """Whether the file is to get another name, because of its flags."""
    if message.named == namebook.ODD:
        return namebook.wanted(entry, message.named, message.bits, keywords) != entry
    return message.bits != (0 if message.named == namebook.NEW else message.named)


def _compact(maildir: Maildir) -> None:
    """Rewrite a UID list of which most is about messages that have gone."""
    present = present_in(maildir)
    present.update(present_in(maildir))
    lines = [(uid, base) for uid, base in zip(*maildir.uids.read(), strict=True) if base in present]
    maildir.uids.rewrite([uid for uid, _ in lines], [base for _, base in lines])
