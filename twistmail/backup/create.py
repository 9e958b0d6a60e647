"""Making a backup of maildirs that are in use.

A message file never changes once it has its name, so a link to it, or a copy,
is whole. Under the lock of its UID list a mailbox is only listed and its small
files are read; links and copies are made after that. A message whose flags
change meanwhile is looked for under its new name, one that is expunged is left
out: the list of the backup then tells of it as of any expunged message. So the
UIDs of a backup are those of one moment, and no message in it is partial.

What the last backup has already (same name, size and date) is linked from there
and not read again. An interrupted backup goes on where it stopped: an account
whose manifest was written within the last day is done, and files that are there are not copied again.
Flags that a running server has not yet given to the file names, which takes it
some seconds after large changes, come with the next backup.

Blocking.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from twistmail.backup.copying import link_or_copy, write
from twistmail.backup.manifest import MAIL, MANIFESTS, DamagedBackup, Entry, Share, digest_of, read_manifest, share_of, write_manifest
from twistmail.mail.values import frozen
from twistmail.store import names, uidlist
from twistmail.store.folders import FolderTree
from twistmail.store.listing import still

#: Small files that are made anew, or mean nothing elsewhere: the index, locks, what is being written, Dovecot's caches.
_NOT_KEPT = re.compile(r"twistmail-index.*|.*\.sqlite(-wal|-shm|-journal)?|.*\.lock|.*\.tmp\d+|dovecot[.-](index|list).*|\.part\d+")
_LOOKS = 5
#: Seconds: what an interrupted run has done before that is done again.
STALE_AFTER = 86400.0
LARGEST_SMALL_FILE = 64 * 1024 * 1024

Step = Callable[[int, str], None]


@dataclass(slots=True)
class Snapshot:
    """A mailbox at one moment: message paths by base name, and its small files with their dates."""

    messages: dict[bytes, bytes] = field(default_factory=dict)
    small: dict[str, tuple[bytes, int]] = field(default_factory=dict)


@frozen
class Making:
    """A backup that is being made: in directory `part`, after the `previous` one, at `now` (POSIX seconds).

    `step` hears of every message: how many (1), and the name of its folder.
    """

    part: Path
    previous: Path | None
    now: float
    step: Step


def back_up_account(tree: FolderTree, account: str, making: Making) -> tuple[Share, list[str]]:
    """Copy the maildir of *account*; what it holds, and lines about what could not be read."""
    manifest = making.part / MANIFESTS / account
    with suppress(DamagedBackup, FileNotFoundError):
        if manifest.stat().st_mtime > making.now - STALE_AFTER:  # an interrupted run has done it
            return share_of(manifest), []
    work = _Account(tree, making.part / MAIL / account, _entries_before(making.previous, account), making.step)
    share = write_manifest(manifest, work.run())
    return share, work.problems


def _entries_before(previous: Path | None, account: str) -> dict[tuple[str, str], tuple[Path, Entry]]:
    """{(directory, base name): (file, entry)} of the messages in the backup before."""
    found: dict[tuple[str, str], tuple[Path, Entry]] = {}
    if previous is not None:
        with suppress(DamagedBackup):
            for entry in read_manifest(previous / MANIFESTS / account):
                if entry.is_message:
                    found[_key(entry.path)] = (previous / MAIL / account / entry.path, entry)
    return found


def _key(path: str) -> tuple[str, str]:
    folder, name = os.path.split(path)
    return os.path.dirname(folder), name.partition(":2,")[0]


class _Account:
    def __init__(self, tree: FolderTree, target: Path, before: dict[tuple[str, str], tuple[Path, Entry]], step: Step) -> None:
        self.tree = tree
        self.target = target
        self.before = before
        self.step = step
        self.problems: list[str] = []

    def run(self) -> Iterator[Entry]:
        for name in self.tree.names():
            directory = names.directory_of(name)
            try:
                snapshot = snapshot_of(self.tree.root / directory)
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted or renamed meanwhile, or no mailbox
            for place in ("new", "cur", "tmp"):
                (self.target / directory / place).mkdir(mode=0o700, parents=True, exist_ok=True)
            for file, (data, mtime_ns) in snapshot.small.items():
                digest = write(self.target / directory / file, data, mtime_ns)
                yield Entry(os.path.join(directory, file), len(data), mtime_ns, digest)
            yield from self._messages(name, directory, snapshot.messages)

    def _messages(self, name: str, directory: str, wanted: dict[bytes, bytes]) -> Iterator[Entry]:
        there = _listing(self.target / directory)  # from an interrupted run
        for base in there.keys() - wanted.keys():
            (self.target / directory / os.fsdecode(there[base])).unlink()
        for _ in range(_LOOKS):
            missing = []
            for base, path in wanted.items():
                try:
                    entry = self._message(directory, path, there.get(base))
                except FileNotFoundError:
                    missing.append(base)
                    continue
                self.step(1, name)
                if entry:
                    yield entry
            if not missing:
                return
            with suppress(FileNotFoundError):  # the mailbox has gone
                now = _listing(self.tree.root / directory)
                wanted = {base: now[base] for base in missing if base in now}

    def _message(self, directory: str, path: bytes, there: bytes | None) -> Entry | None:
        """Bring one message; None where it cannot be read, or is no plain file. FileNotFoundError where it is not at *path*."""
        place = os.path.join(directory, os.fsdecode(path))
        source, target = self.tree.root / place, self.target / place
        status = os.lstat(source)
        if not stat.S_ISREG(status.st_mode):
            return None
        if there is not None and there != path:
            os.rename(self.target / directory / os.fsdecode(there), target)
        try:
            digest = self._bring(source, target, status)
        except FileNotFoundError:
            raise
        except OSError as error:
            self.problems.append(f"{source}: {error.strerror}")
            return None
        return Entry(place, status.st_size, status.st_mtime_ns, digest)

    def _bring(self, source: Path, target: Path, status: os.stat_result) -> str:
        """Make *target* the message at *source*: by what is there already, what the last backup has, or by itself. Its SHA-256."""
        with suppress(FileNotFoundError):
            here = os.lstat(target)
            if (here.st_size, here.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
                return digest_of(target)
        old, entry = self.before.get(_key(os.path.relpath(target, self.target)), (None, None))
        if old and entry and (entry.size, entry.mtime_ns) == (status.st_size, status.st_mtime_ns):
            with suppress(OSError):
                return link_or_copy(old, target) or entry.sha256
        return link_or_copy(source, target) or digest_of(target)


def snapshot_of(folder: Path) -> Snapshot:
    """What is in the mailbox in *folder*, while nobody adds to it. FileNotFoundError where it is none."""
    with still(folder / uidlist.FILE, changing=False):
        return Snapshot(_listing(folder), dict(_small_files(folder)))


def _listing(folder: Path) -> dict[bytes, bytes]:
    """Message paths by base name; cur/ wins over new/."""
    found: dict[bytes, bytes] = {}
    for place in (b"new", b"cur"):
        for name in os.listdir(os.path.join(os.fsencode(folder), place)):
            if not name.startswith((b".", b":")) and b"\n" not in name:
                path = place + b"/" + name
                found[names.base_of(path)] = path
    return found


def _small_files(folder: Path) -> Iterable[tuple[str, tuple[bytes, int]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not _NOT_KEPT.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_size <= LARGEST_SMALL_FILE:
                        yield entry.name, (Path(entry.path).read_bytes(), status.st_mtime_ns)
