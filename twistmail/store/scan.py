"""Looking at a maildir: what is there, compared with what we know. The truth about changes by others.

Blocking, in threads, under the lock of the UID list, so that no publication
falls between the list and the directories. Nothing is changed here: `mailbox`
applies what was found, on the reactor thread.
"""

from __future__ import annotations

import sqlite3
from array import array
from dataclasses import dataclass, field

from twisted.logger import Logger

from twistmail.store import keywords, names
from twistmail.store.index import Index, Known, Row
from twistmail.store.jobs import details_of
from twistmail.store.maildir import Maildir, Stamp

log = Logger()

#: How often a file must be missing beyond the first time, before its message is told to be expunged.
LOOKS = 3


@dataclass(slots=True)
class Before:
    """Copies of what was known when a scan began."""

    uidvalidity: int
    uids: array[int]
    paths: list[bytes]


@dataclass(slots=True)
class Findings:
    """What a scan has found. `moved`: (uid, old path, new path). `strangers`: paths without a UID that we know of."""

    uidvalidity: int
    uidnext: int
    keywords: list[str]
    looked: int  # when it began, nanoseconds
    vanished: list[tuple[int, bytes]] = field(default_factory=list)
    moved: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    strangers: list[bytes] = field(default_factory=list)


def scan(maildir: Maildir, before: Before, looked: int) -> Findings:
    """Compare the directories with *before*; from then on `maildir.known` is what was seen. *looked*: now, nanoseconds."""
    with maildir.uids.locked():
        findings = Findings(maildir.uids.uidvalidity, maildir.uids.nextuid, keywords.read(maildir.path), looked)
        if findings.uidvalidity != before.uidvalidity:
            return findings
        stamp = maildir.stamp()
        present = present_in(maildir)
        for uid, path in zip(before.uids, before.paths, strict=True):
            now = present.pop(names.base_of(path), None)
            if now is None:
                findings.vanished.append((uid, path))
            elif now != path:
                findings.moved.append((uid, path, now))
        _look_again(maildir, findings)
        findings.strangers = list(present.values())
        maildir.seen(stamp)
    return findings


def present_in(maildir: Maildir) -> dict[bytes, bytes]:
    """{base name: path} of all message files; cur/ wins over new/."""
    return {names.base_of(path): path for path in maildir.listing()}


def _look_again(maildir: Maildir, findings: Findings) -> None:
    """A file that is renamed while its directory is read may be missed; what is missing every time has vanished."""
    for _ in range(LOOKS):
        if not findings.vanished:
            return
        again = present_in(maildir)
        missed = [(uid, path, now) for uid, path in findings.vanished if (now := again.get(names.base_of(path)))]
        found = {uid for uid, _, _ in missed}
        findings.vanished = [(uid, path) for uid, path in findings.vanished if uid not in found]
        findings.moved += [(uid, path, now) for uid, path, now in missed if now != path]


@dataclass(slots=True)
class Loaded:
    """All that is known of a mailbox that was not in memory."""

    uidvalidity: int
    uidnext: int
    modseq: int
    keywords: list[str]
    looked: int
    rows: list[Row]
    strangers: list[bytes]
    forgotten: list[int]  # UIDs in the index without a file
    changed: list[int]  # UIDs whose row in the index is missing or different


def load(maildir: Maildir, index: Index, directory: str, now: float) -> Loaded:
    """From the index where it is still true, else by a scan. *now*: POSIX seconds. Raises NotAMaildir."""
    looked = int(now * 1e9)
    stamp = maildir.stamp()
    maildir.remove_leftovers(now)
    known, rows = _indexed(index, directory)
    with maildir.uids.locked():
        words = keywords.read(maildir.path)
        if known and known.uidvalidity != maildir.uids.uidvalidity:
            _forgotten(index, directory)
            known, rows = None, []
        # A fresh index must not count modification sequences again that clients have seen: it starts at the clock.
        loaded = Loaded(
            maildir.uids.uidvalidity, maildir.uids.nextuid, known.modseq if known else int(now * 1000), words, looked, rows, [], [], []
        )
        if known and is_true(known, stamp, maildir.uids.nextuid):
            loaded.looked = known.looked
        else:
            _compare(loaded, maildir)
        maildir.seen(stamp)
    return loaded


def _indexed(index: Index, directory: str) -> tuple[Known | None, list[Row]]:
    try:
        return index.load(directory)
    except sqlite3.DatabaseError as error:
        log.warn("{path} is damaged and is built anew: {error}", path=index.path, error=error)
        index.start_again()
        return None, []


def _forgotten(index: Index, directory: str) -> None:
    try:
        index.forget(directory)
    except sqlite3.DatabaseError:
        index.start_again()


def is_true(known: Known, stamp: Stamp, uidnext: int) -> bool:
    """Whether nothing has changed since the index was written."""
    return (known.new_changed, known.cur_changed, known.uidnext) == (stamp.new, stamp.cur, uidnext) and stamp.is_older_than(known.looked)


def _compare(loaded: Loaded, maildir: Maildir) -> None:
    """Take the rows of the index for what still exists, and make rows for files that the UID list names."""
    present = present_in(maildir)
    for _ in range(LOOKS):
        if any(names.base_of(row[1]) not in present for row in loaded.rows):
            present = present_in(maildir) | present  # renamed while the directory was read, or gone
    uids, bases = maildir.uids.read()
    loaded.uidvalidity, loaded.uidnext = maildir.uids.uidvalidity, maildir.uids.nextuid
    listed = {base: uid for uid, base in zip(uids, bases, strict=True) if base in present}
    old = {row[0]: row for row in loaded.rows}
    rows: list[Row] = []
    for base, uid in sorted(listed.items(), key=lambda pair: pair[1]):
        path = present.pop(base)
        row = _row(loaded, maildir, uid, path, old.get(uid))
        if row is not None:
            rows.append(row)
            if row is not old.get(uid):
                loaded.changed.append(uid)
    loaded.rows = rows
    loaded.forgotten = sorted(set(old).difference(row[0] for row in rows))
    loaded.strangers = list(present.values())
    if len(uids) > 1000 + 2 * len(rows):
        _compact(maildir)


def _row(loaded: Loaded, maildir: Maildir, uid: int, path: bytes, old: Row | None) -> Row | None:
    """The row of a file at *path*: the index's where it is true; flags that have not reached the file yet win over its name."""
    if old is not None and names.base_of(old[1]) == names.base_of(path):
        if old[1] == path:
            return old
        if old[6]:
            return (uid, path, *old[2:])
        loaded.modseq += 1
        return (uid, path, names.bits_of(names.letters_of(path), len(loaded.keywords)), loaded.modseq, *old[4:])
    details = details_of(maildir, path)
    if details is None:
        return None
    return (uid, path, names.bits_of(names.letters_of(path), len(loaded.keywords)), loaded.modseq, *details, 0)


def _compact(maildir: Maildir) -> None:
    """Rewrite a UID list of which most is about messages that have gone."""
    present = {**present_in(maildir), **present_in(maildir)}
    lines = [(uid, base) for uid, base in zip(*maildir.uids.read(), strict=True) if base in present]
    maildir.uids.rewrite([uid for uid, _ in lines], [base for _, base in lines])
