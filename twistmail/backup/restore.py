"""Bringing mail back from a backup, while the server runs or not.

A mailbox that holds nothing now comes back as it was: UID list first, then the
messages under the names that it tells of, so UIDs and UIDVALIDITY are those of
the backup. Into a mailbox that holds mail only messages that it lacks are put:
one of the same base name, or of the same date and content, is there already.
They get new names, and so new UIDs: a client that was told that a message has
gone would not look for it under its old UID (RFC 3501 §2.3.1.1).

Every message is compared with the SHA-256 of the manifest before it is put in
place. An interrupted restore goes on when it is called again: what it has made
of an empty account is marked until it is complete, and is continued as such.

Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from twistmail.backup.copying import link_or_copy, sync, write
from twistmail.backup.create import Step
from twistmail.backup.manifest import MAIL, MANIFESTS, Entry, Summary, digest_of, read_manifest
from twistmail.mail.values import frozen
from twistmail.store import kept, names, uidlist
from twistmail.store.folders import FolderTree
from twistmail.store.listing import read_list, still

#: In the maildir of an account that is being restored as a whole; holds the name of the backup.
MARK = "twistmail-restoring"
_COUNTERS = "dovecot-uidvalidity"
#: The folder's own files, in the order in which they are put back: the UID list first.
_FIRST = (uidlist.FILE, "dovecot-keywords")


@frozen
class Wish:
    """What shall come back: `folders` (names; empty: all), `uids` of one folder (empty: all)."""

    folders: tuple[str, ...] = ()
    uids: frozenset[int] = frozenset()


@dataclass(slots=True)
class Outcome:
    """What came back: `restored` messages, `present` ones that were there, folders as they were (`exact`); `problems` are lines."""

    restored: int = 0
    present: int = 0
    exact: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def entries_of(backup: Path, summary: Summary, account: str) -> dict[str, list[Entry]]:
    """The files of *account* by folder name. Raises DamagedBackup."""
    found: dict[str, list[Entry]] = {}
    for entry in read_manifest(backup / MANIFESTS / account, summary.accounts[account].sha256):
        directory = os.path.dirname(os.path.dirname(entry.path) if entry.is_message else entry.path)
        name = names.name_of(directory) if directory else names.INBOX
        if name and _stays_inside(entry.path):
            found.setdefault(name, []).append(entry)
    return found


def _stays_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def restore_account(
    backup: Path, account: str, found: dict[str, list[Entry]], tree: FolderTree, wish: Wish, step: Step, *, dry_run: bool = False
) -> Outcome:
    """Put *found* (from `entries_of`) into the account of *tree*. OSError where the disk will not."""
    work = _Restore(backup, account, tree, step, dry_run=dry_run)
    chosen = {name: entries for name, entries in found.items() if not wish.folders or name in wish.folders}
    whole = not wish.uids
    with work.marked(everything=whole and not wish.folders):
        for name, entries in sorted(chosen.items(), key=lambda pair: (pair[0] != names.INBOX, pair[0])):
            if whole and work.is_empty(name):
                work.exactly(name, entries)
            else:
                work.merge(name, entries, wish.uids)
    return work.outcome


class _Restore:
    def __init__(self, backup: Path, account: str, tree: FolderTree, step: Step, *, dry_run: bool) -> None:
        self.source = backup / MAIL / account
        self.tree = tree
        self.step = step
        self.outcome = Outcome()
        self._dry_run = dry_run
        self._mark = f"{backup.name} {account}"
        self._goes_on = False

    @contextmanager
    def marked(self, *, everything: bool) -> Iterator[None]:
        """While an account that was empty is being restored, it says so."""
        mark = self.tree.root / MARK
        with suppress(FileNotFoundError):
            self._goes_on = mark.read_text() == self._mark
        begins = everything and not self._dry_run and not self._goes_on and all(map(self.is_empty, self._folders()))
        if begins:
            self.tree.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.write_text(self._mark)
        yield
        if not self._dry_run and self.tree.root.is_dir():
            sync(self.tree.root)
        if (begins or self._goes_on) and everything and not self._dry_run:
            mark.unlink(missing_ok=True)

    def _folders(self) -> list[str]:
        return self.tree.names() if self.tree.root.is_dir() else []

    def is_empty(self, name: str) -> bool:
        """Whether the mailbox holds no message, or only what we have put there ourselves."""
        if self._goes_on:
            return True
        for place in ("new", "cur"):
            with suppress(FileNotFoundError), os.scandir(self.tree.root / names.directory_of(name) / place) as entries:
                if any(not entry.name.startswith(".") for entry in entries):
                    return False
        return True

    # ----- as it was

    def exactly(self, name: str, entries: Sequence[Entry]) -> None:
        self.outcome.exact.append(name)
        folder = self.tree.root / names.directory_of(name)
        if not self._dry_run:
            for place in ("tmp", "new", "cur"):
                (folder / place).mkdir(mode=0o700, parents=True, exist_ok=True)
            small = [entry for entry in entries if not entry.is_message]
            with still(folder / uidlist.FILE, changing=True):
                for entry in sorted(small, key=lambda entry: _place(entry.path)):
                    self._small(entry, folder)
            uidlist.sync_directory(folder)
        there = _bases(folder)
        for entry in entries:
            if entry.is_message:
                self._put(entry, folder, _tail(entry), is_there=names.base_of(_tail(entry)) in there)
                self.step(1, name)

    def _small(self, entry: Entry, folder: Path) -> None:
        target = folder / os.path.basename(entry.path)
        if target.name.startswith(_COUNTERS) and target.exists():
            return  # ours only ever increases
        if self._is_whole(entry):
            write(target, (self.source / entry.path).read_bytes(), entry.mtime_ns)

    def _is_whole(self, entry: Entry) -> bool:
        """Whether the backup still has what was put into it."""
        path = self.source / entry.path
        try:
            if path.stat().st_size == entry.size and digest_of(path) == entry.sha256:
                return True
        except FileNotFoundError:
            pass
        self.outcome.problems.append(f"{path} is missing, or not what was backed up; left out")
        return False

    # ----- beside what there is

    def merge(self, name: str, entries: Sequence[Entry], uids: frozenset[int]) -> None:
        self.outcome.merged.append(name)
        folder = self.tree.root / names.directory_of(name)
        if not self._dry_run and not self.tree.exists(name):
            self.tree.create(name)
        there = _Present(folder)
        source = self.source / names.directory_of(name)
        wanted = _chosen(source, entries, uids)
        letters = (lambda letters: letters) if self._dry_run else kept.translation(source, folder)
        for entry in wanted:
            base, _, flags = _tail(entry)[4:].partition(names.INFO)
            sizes = base.partition(b",")
            path = b"cur/" + self.tree.fresh_name() + sizes[1] + sizes[2] + names.INFO + bytes(sorted(letters(flags)))
            self._put(entry, folder, path, is_there=there.has(base, entry))
            self.step(1, name)

    def _put(self, entry: Entry, folder: Path, path: bytes, *, is_there: bool) -> None:
        """One message to its place, by way of tmp/, so that nobody sees it in part."""
        if is_there:
            self.outcome.present += 1
            return
        if not self._is_whole(entry):
            return
        self.outcome.restored += 1
        if not self._dry_run:
            temporary = folder / "tmp" / os.fsdecode(self.tree.fresh_name())
            link_or_copy(self.source / entry.path, temporary)
            os.rename(temporary, os.fsencode(folder) + b"/" + path)


class _Present:
    """The messages that a mailbox has: asked by base name, and by date and content."""

    def __init__(self, folder: Path) -> None:
        self._bases: set[bytes] = set()
        self._dated: dict[tuple[int, int], list[Path]] = {}
        for place in ("new", "cur"):
            with suppress(FileNotFoundError), os.scandir(os.fsencode(folder / place)) as entries:
                for entry in entries:
                    self._bases.add(entry.name.partition(names.INFO)[0])
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        key = (status.st_size, status.st_mtime_ns // 1_000_000_000)
                        self._dated.setdefault(key, []).append(Path(os.fsdecode(entry.path)))

    def has(self, base: bytes, entry: Entry) -> bool:
        if base in self._bases:
            return True
        for path in self._dated.get((entry.size, entry.mtime_ns // 1_000_000_000), ()):
            with suppress(FileNotFoundError):
                if digest_of(path) == entry.sha256:
                    return True
        return False


def _chosen(source: Path, entries: Sequence[Entry], uids: frozenset[int]) -> list[Entry]:
    """The messages among *entries*; of them those with *uids*, unless that is empty."""
    messages = [entry for entry in entries if entry.is_message]
    if not uids:
        return messages
    listing = read_list(source / uidlist.FILE)
    bases = {base for uid, base in zip(listing.uids, listing.bases, strict=True) if uid in uids}
    return [entry for entry in messages if names.base_of(_tail(entry)) in bases]


def _tail(entry: Entry) -> bytes:
    """`cur/NAME` of a message."""
    return b"/".join(os.fsencode(entry.path).split(b"/")[-2:])


def _bases(folder: Path) -> set[bytes]:
    found: set[bytes] = set()
    for place in ("new", "cur"):
        with suppress(FileNotFoundError):
            found.update(name.partition(names.INFO)[0] for name in os.listdir(os.fsencode(folder / place)))
    return found


def _place(path: str) -> int:
    name = os.path.basename(path)
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)
