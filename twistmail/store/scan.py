"""Looking at a maildir: what is there, compared with what we know. The truth about changes by others.

Blocking, in threads, under the lock of the UID list, so that no publication
falls between the list and the directories. Nothing is changed here: `view`
applies what was found, on the reactor thread. How a mailbox is read that was not
in memory is in `loading`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twistmail import heap
from twistmail.stamps import is_past
from twistmail.store import keywords, names
from twistmail.store.maildir import LOOKS, Maildir
from twistmail.store.namebook import NEW, ODD, path_of
from twistmail.store.pigeonholes import Book, book


@dataclass(slots=True)
class Before:
    """Copies of what was known when a scan began; `entries` reads the name book. `cur`: the time of cur/ if another one means that
    somebody has changed it since, and the same that nobody has; else None.
    """

    uidvalidity: int
    uids: array[int]
    named: array[int]
    entries: Callable[[], Book[int, bytes]]
    cur: int | None


@dataclass(slots=True)
class Findings:
    """What a scan has found. `moved`: (uid, old path, new path). `strangers`: paths without a UID that we know of."""

    uidvalidity: int
    uidnext: int
    keywords: list[str]
    vanished: list[tuple[int, bytes]] = field(default_factory=list)
    moved: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    strangers: list[bytes] = field(default_factory=list)


def scan(maildir: Maildir, before: Before, looked: int) -> Findings:
    """Compare the directories with *before*; from then on `maildir.known` is what was seen. *looked*: now, nanoseconds."""
    with maildir.uids.locked():
        findings = Findings(maildir.uids.uidvalidity, maildir.uids.nextuid, keywords.read(maildir.path))
        if findings.uidvalidity != before.uidvalidity:
            return findings
        doubtful, maildir.doubtful = maildir.doubtful, False
        stamp = maildir.stamp()
        if stamp.cur == before.cur and not doubtful:
            _scan_new(maildir, before, findings)
        else:
            _scan_all(maildir, before, findings)
        maildir.seen(stamp, sure=(stamp.cur == before.cur or is_past(stamp.cur, looked)) and is_past(stamp.new, looked))
    return findings


def _scan_all(maildir: Maildir, before: Before, findings: Findings) -> None:
    present = present_in(maildir)
    entries = _entries(maildir, before, present)
    for uid, named in zip(before.uids, before.named, strict=True):
        entry = entries.get(uid)
        if entry is None:
            continue
        path = path_of(entry, named)
        now = present.pop(names.base_of(path), None)
        if now is None:
            findings.vanished.append((uid, path))
        elif now != path:
            findings.moved.append((uid, path, now))
    _look_again(maildir, findings)
    findings.strangers = list(present.values())


def _scan_new(maildir: Maildir, before: Before, findings: Findings) -> None:
    """Nobody has touched cur/, which may hold a million files: only what lies in new/ may have come or gone."""
    present: Book[bytes, bytes] = {names.base_of(path): path for path in maildir.listing(("new",))}
    entries = _entries(maildir, before, present)
    for uid, named in zip(before.uids, before.named, strict=True):
        path = path_of(entries[uid], named) if named >= NEW and uid in entries else b""
        if path.startswith(b"new/") and present.pop(names.base_of(path), None) is None:
            findings.vanished.append((uid, path))
    _look_again(maildir, findings)
    findings.strangers = list(present.values())


def _entries(maildir: Maildir, before: Before, present: Book[bytes, bytes]) -> Book[int, bytes]:
    """The name book; where the index has lost some of it, by the UID list. Hold the lock of that."""
    entries = before.entries()
    missing = book(len(before.uids), ((uid, named) for uid, named in zip(before.uids, before.named, strict=True) if uid not in entries))
    if missing:
        for uid, base in zip(*maildir.uids.read(), strict=True):
            if uid in missing:
                entries[uid] = present.get(base, base) if missing[uid] == ODD else base
    return entries


def present_in(maildir: Maildir) -> Book[bytes, bytes]:
    """{base name: path} of all message files; cur/ wins over new/."""
    paths = maildir.listing()
    present = book(len(paths), ((names.base_of(path), path) for path in paths))
    heap.let_go(paths)
    return present


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


def still_there(maildir: Maildir, bases: Sequence[bytes], present: Book[bytes, bytes]) -> Book[bytes, bytes]:
    """*present* with those of *bases* that it has missed, because they were renamed while the directories were read."""
    for _ in range(LOOKS):
        if all(base in present for base in bases):
            break
        again = present_in(maildir)
        again.update(present)
        present = again
    return present
