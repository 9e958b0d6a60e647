"""Curing what `verify` finds in a mailbox, as far as no mail and no promise is lost by it. In this order:

1. Directories that are missing are made.
2. Files that hold no message (empty, shorter than their names say, no plain files) go to `damaged/` beside cur/: nothing is deleted.
3. Files whose names nobody can read get one of ours; of two with one base name the second does. Both get UIDs as new mail.
4. Files that are longer than their names say get the right sizes into their names, and keep their UIDs.
5. The UID list is written anew: every line that can be read keeps its UID. Of two names with one UID the first line's keeps it;
   of two UIDs of one name the last one counts, which is what was served. Only a list that does not tell UIDVALIDITY, or whether
   a UID was given before, gives way to a new one, whose UIDVALIDITY is larger than all before: nobody guesses (spec D6).
6. `dovecot-keywords` is written anew: a letter keeps the first word that it has; a word that comes again is called `unknown-N`.

The UID list is locked meanwhile, so a running server sees before or after.
Blocking. Every step is told as a `Cure`; on a dry run they are only told.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from twistmail.anomalies import text_of
from twistmail.mail import lines
from twistmail.mail.content import CHUNK
from twistmail.mail.values import frozen
from twistmail.store import keywords, names, uidlist
from twistmail.store.folders import FolderTree
from twistmail.store.index import Index
from twistmail.store.indexed import differences, read_index, told
from twistmail.store.listing import ListReading, read_list, still
from twistmail.store.message_check import size_oddity
from twistmail.store.verify import Found, keyword_lines, look

DAMAGED = "damaged"
_HOLDS_NO_MESSAGE = ("empty", "short")


@frozen
class Cure:
    """What was done (or, on a dry run, would be) to the file at `path`."""

    path: str
    did: str


def repair(tree: FolderTree, name: str, random: Callable[[int], bytes], *, dry_run: bool = False) -> list[Cure]:
    """Cure the mailbox *name* of an account. OSError where the disk will not; then what was told so far has been done."""
    work = _Repair(tree, name, random, dry_run=dry_run)
    work.run()
    return work.done


def repair_index(tree: FolderTree, *, dry_run: bool = False) -> list[Cure]:
    """Make the index of an account forget the mailboxes of which it says otherwise than the disk; they are read anew when they are opened.

    Only while no server runs: it would save what it has in memory beside what was forgotten.
    """
    index, done = Index(tree.root), []
    try:
        for one in read_index(tree.root):
            if found := differences(tree.root, one):
                done.append(Cure(text_of(index.path), f"{one.directory or names.INBOX} forgotten: {told(found)}"))
                if not dry_run:
                    index.forget(one.directory)
    except (sqlite3.Error, ValueError) as error:
        done.append(Cure(text_of(index.path), f"deleted: {error}"))
        if not dry_run:
            index.start_again()
    finally:
        index.close()
    return done


class _Repair:
    def __init__(self, tree: FolderTree, name: str, random: Callable[[int], bytes], *, dry_run: bool) -> None:
        self.tree = tree
        self.folder = tree.root / names.directory_of(name)
        self.done: list[Cure] = []
        self._root = os.fsencode(self.folder) + b"/"
        self._random = random
        self._dry_run = dry_run
        self._renamed: dict[bytes, bytes] = {}  # base names

    def run(self) -> None:
        if not self._make_directories():
            return
        with still(self.folder / uidlist.FILE, changing=not self._dry_run):
            found = look(self.folder)
            self._put_damage_aside(found)
            self._name_the_nameless(found)
            self._tell_sizes(found)
            self._write_list(read_list(self.folder / uidlist.FILE))
        self._write_keywords()
        if self.done and not self._dry_run:
            for place in ("new", "cur", ""):
                uidlist.sync_directory(self.folder / place)

    def _do(self, path: bytes, did: str, action: Callable[[], object]) -> None:
        self.done.append(Cure(text_of(self._root + path), did))
        if not self._dry_run:
            action()

    # ----- files

    def _make_directories(self) -> bool:
        """Whether new/ and cur/ are there now."""
        for place in ("new", "cur", "tmp"):
            if not (self.folder / place).is_dir():
                self._do(place.encode(), "made", (self.folder / place).mkdir)
        return (self.folder / "new").is_dir() and (self.folder / "cur").is_dir()

    def _put_damage_aside(self, found: Found) -> None:
        for path, status in list(found.files.items()):
            oddity = size_oddity(path, status.st_size)
            if oddity and oddity.kind in _HOLDS_NO_MESSAGE:
                self._aside(path, oddity.what)
                found.forget(path)
        for path in list(found.strange):
            with suppress(FileNotFoundError):
                if path[4:].startswith(b".") or not stat.S_ISREG(os.lstat(self._root + path).st_mode):
                    self._aside(path, "is no message file")
                    found.strange.remove(path)

    def _aside(self, path: bytes, what: str) -> None:
        self._do(path, f"moved to {DAMAGED}/: {what}", lambda: self._move_aside(path))

    def _move_aside(self, path: bytes) -> None:
        (self.folder / DAMAGED).mkdir(mode=0o700, exist_ok=True)
        target, number = path[4:], 0
        while os.path.lexists(self._root + DAMAGED.encode() + b"/" + target):
            number += 1
            target = b"%s.%d" % (path[4:], number)
        os.rename(self._root + path, self._root + DAMAGED.encode() + b"/" + target)

    def _name_the_nameless(self, found: Found) -> None:
        for path in found.strange:
            self._rename(path, b"cur/" + self.tree.fresh_name() + names.INFO, "has a name that nobody can read")
        for paths in found.paths.values():
            for path in paths[1:]:
                what = f"has the base name of {text_of(paths[0])}"
                if os.path.samefile(self._root + path, self._root + paths[0]):
                    self._do(path, f"removed: is a second name of {text_of(paths[0])}", partial(os.unlink, self._root + path))
                else:
                    self._rename(path, path[:4] + self.tree.fresh_name() + path[4 + len(names.base_of(path)) :], what)

    def _rename(self, path: bytes, wanted: bytes, what: str) -> None:
        self._do(path, f"renamed to {text_of(wanted)}: {what}", lambda: os.rename(self._root + path, self._root + wanted))

    def _tell_sizes(self, found: Found) -> None:
        for base, paths in found.paths.items():
            oddity = size_oddity(paths[0], found.files[paths[0]].st_size)
            if oddity:
                better = names.with_sizes(_without_sizes(base), *self._sizes(paths[0]))
                self._renamed[base] = better
                self._rename(paths[0], paths[0].replace(base, better), oddity.what)

    def _sizes(self, path: bytes) -> tuple[int, int]:
        """Octets in the file, and with CRLF line ends."""
        with open(self._root + path, "rb") as file:
            return os.fstat(file.fileno()).st_size, lines.size_with_crlf(iter(lambda: file.read(CHUNK), b""))

    # ----- the UID list

    def _write_list(self, reading: ListReading) -> None:
        errors = [trouble for trouble in reading.troubles if trouble.severity == "error"]
        renamed = self._renamed.keys() & set(reading.bases)
        if reading.is_missing or not (errors or renamed):
            return
        path = self.folder / uidlist.FILE
        if not reading.uidvalidity or not reading.nextuid:
            did = (
                "began a new list with a larger UIDVALIDITY, because the old one does not tell its own, or the next UID: " + errors[0].what
            )
            self._do(uidlist.FILE.encode(), did, lambda: self._begin_list(path, reading.uidvalidity))
            return
        lines_kept = kept_lines(reading)
        header = uidlist.Header(reading.uidvalidity, next_uid(reading), reading.guid or self._guid())
        bases = [self._renamed.get(base, base) for base in lines_kept.values()]
        data = uidlist.format_header(header) + uidlist.format_lines(list(lines_kept), bases)
        what = "; ".join(error.what for error in errors[:3]) or "base names have changed"
        self._do(uidlist.FILE.encode(), f"written anew, {len(lines_kept)} UIDs kept: {what}", lambda: _replace(path, data))

    def _begin_list(self, path: Path, above: int) -> None:
        _replace(path, uidlist.format_header(uidlist.Header(self.tree.next_uidvalidity(above), 1, self._guid())))

    def _guid(self) -> bytes:
        return self._random(16).hex().encode()

    # ----- keywords

    def _write_keywords(self) -> None:
        words, is_sound = keyword_lines(self.folder)
        if is_sound:
            return
        wanted = [words.get(number, f"unknown-{number}") for number in range(max(words, default=-1) + 1)]
        self._do(keywords.FILE.encode(), f"written anew: {' '.join(wanted)}", lambda: keywords.write(self.folder, wanted))


def kept_lines(reading: ListReading) -> dict[int, bytes]:
    """{UID: base name}, ascending: every UID that can be kept."""
    by_uid: dict[int, bytes] = {}
    for uid, base in zip(reading.uids, reading.bases, strict=True):
        by_uid.setdefault(uid, base)
    last_of = {base: uid for uid, base in sorted(by_uid.items())}
    return {uid: base for uid, base in sorted(by_uid.items()) if last_of[base] == uid}


def next_uid(reading: ListReading) -> int:
    """Above every UID that may have been given: each line that cannot be read may have told one."""
    unread = sum(trouble.kind == "list-line" for trouble in reading.troubles)
    return min(max(reading.nextuid, max(reading.uids, default=0) + 1) + unread, uidlist.LARGEST_UID)


def _without_sizes(base: bytes) -> bytes:
    first, *rest = base.split(b",")
    return b",".join([first, *(word for word in rest if not word.startswith((b"S=", b"W=")))])


def _replace(path: Path, data: bytes) -> None:
    """Durably, by a new file under the old name."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, path)
    uidlist.sync_directory(path.parent)
