"""One maildir: its open directories, its UID list, and the way of a message file from tmp/ to its name (spec D1).

A `Maildir` is used by several threads: the committer writes and publishes,
scans list, readers open. It knows when a directory was changed by us and by
nobody else (`own_change`), so that our own deliveries cause no scans.
Blocking. What the files mean (flags, UIDs) is told by `scan` and `mailbox`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from twistmail import heap
from twistmail.drafts import Drafted
from twistmail.giving import Owner
from twistmail.mail.values import frozen
from twistmail.store import names
from twistmail.store.uidlist import UidList

#: How often a file must be missing beyond the first time before it is believed to have gone: one that is renamed while its
#: directory is read may be missed.
LOOKS = 3
#: Seconds of a change of ours in which others may well have changed something too.
LONG_CHANGE = 0.005
#: Nobody needs this long to write a message; what is older is a leftover (maildir(5)).
LEFTOVER_AFTER = 36 * 3600.0
_FOLDERS = ("tmp", "new", "cur")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Where expunged mail goes, in houses that keep it for a while; see `kept`.
KEPT = "expunged"


class NotAMaildir(FileNotFoundError):
    """The mailbox has no directory (any more)."""


@frozen
class Stamp:
    """When new/ and cur/ were last changed, in nanoseconds."""

    new: int
    cur: int


@frozen
class Arrival:
    """A message file as it stands in its mailbox: `path` is `new/NAME` or `cur/NAME:2,FLAGS`, `size` with CRLF, `date` POSIX seconds."""

    uid: int
    path: bytes
    size: int
    date: float


@frozen
class Original:
    """A message to be copied: where it may lie, its new flag letters, its size with CRLF and its date."""

    paths: tuple[bytes, ...]
    letters: bytes
    size: int
    date: float


@dataclass(slots=True)
class Draft:
    """A file in tmp/, not yet published: `base` is what it will be called. `uid`: 0 until one is given. `content`: for the redo log."""

    descriptor: int
    temporary: bytes
    base: bytes
    size: int
    date: float
    uid: int = 0
    content: bytes = b""


class Redo(Protocol):
    """What a maildir tells the redo log (`redolog`)."""

    def name_of(self, path: Path) -> bytes: ...

    def removed(self, maildir: Maildir, bases: Sequence[bytes], durable: bool = False) -> None: ...

    def holds(self, maildir: Maildir, bases: Sequence[bytes]) -> bool: ...

    def checkpoint(self) -> None: ...

    def commit(self, jobs: Sequence[Any]) -> list[BaseException | None] | None: ...


class Maildir:
    """See the module note. Descriptors are opened when first needed, and again after `close`."""

    def __init__(self, path: Path, fresh_name: Callable[[], bytes], uids: UidList, *, keeps: bool = False, redo: Any = None,
                 owner: Owner | None = None) -> None:
        self.path = path
        self._looked_at = os.fsencode(path / "new"), os.fsencode(path / "cur")  # NOOP asks: putting paths together costs more than stat
        self.uids = uids
        self.keeps = keeps  # what is expunged
        self._owner = owner
        self.redo: Redo | None = redo
        self.logged_as = redo.name_of(path) if redo else b""
        self.known: Stamp | None = None  # what the last scan, and our own changes since, have left
        self.sure = False  # whoever changes a directory gives it another time than that
        self.doubtful = False  # somebody else may have changed something in the midst of a change of ours
        self.is_shared: Callable[[], bool] = lambda: False  # whether others have been seen to work here lately
        self.exists = False  # set by who has made it (`folders`)
        self._fresh_name = fresh_name
        self._guard = threading.Lock()
        self._descriptors: dict[str, int] = {}
        self._changing = threading.RLock()
        self._is_changing = False

    # ----- being there

    def make(self) -> list[Path]:
        """Make the directories that are missing; those that have new names in them, which are not synced."""
        missing = [name for name in _FOLDERS if not (self.path / name).is_dir()]
        changed = []
        if missing:
            changed = [*make_directory(self.path), self.path]
            for name in missing:
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
                if self._owner:
                    self.path.chmod(0o711)  # he may go through; what there is he knows
                    self._owner.takes_folder(self.path / name)
            if self.path.name.startswith("."):  # Maildir++: this is a folder, not an account
                (self.path / "maildirfolder").touch(mode=0o600)
        return changed

    def descriptor(self, folder: str) -> int:
        """The open directory tmp, new, cur, or KEPT. Raises NotAMaildir."""
        found = self._descriptors.get(folder, -1)
        return found if found >= 0 else self._open(folder)

    def _open(self, folder: str) -> int:
        with self._guard:
            if folder not in self._descriptors:
                try:
                    if folder == KEPT:
                        os.makedirs(self.path / KEPT, 0o700, exist_ok=True)
                    self._descriptors[folder] = os.open(self.path / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                except (FileNotFoundError, NotADirectoryError) as error:
                    raise NotAMaildir(error.errno, error.strerror, error.filename) from error
            return self._descriptors[folder]

    def close(self) -> None:
        """Let the descriptors go. Only where nobody uses them."""
        with self._guard:
            for descriptor in self._descriptors.values():
                os.close(descriptor)
            self._descriptors.clear()
        self.uids.close()  # outside: who holds the list's guard may want a descriptor

    def _close(self, folder: str) -> None:
        with self._guard:
            if folder in self._descriptors:
                os.close(self._descriptors.pop(folder))

    def forget(self) -> None:
        """The directories have gone under us: believe nothing."""
        self.exists = False
        self.known = None
        self.close()

    # ----- writing

    def write(self, chunks: Iterable[bytes | Drafted], date: float | None = None) -> Draft:
        """A new file in tmp/ with *chunks* (LF line ends), its times set to *date*. OSError leaves nothing behind."""
        base = self._fresh_name()
        descriptor = os.open(base, _NEW, 0o600, dir_fd=self.descriptor("tmp"))
        try:
            stored, crlf = _write_all(descriptor, chunks)
            if date is not None:
                os.utime(descriptor, (date, date))
            else:
                date = os.fstat(descriptor).st_mtime
            if self._owner:
                self._owner.takes_file(descriptor)
        except BaseException:
            os.close(descriptor)
            os.unlink(base, dir_fd=self.descriptor("tmp"))
            raise
        return Draft(descriptor, base, names.with_sizes(base, stored, crlf), crlf, date)

    def second(self, other: Maildir, draft: Draft) -> Draft | None:
        """Another name in our tmp/ for *draft* of *other*, which has been written. None where the file must be one of our own:
        it belongs to somebody, or the file system will not have it (another disk, too many names, no such thing).
        """
        if self._owner or other._owner:
            return None
        base = self._fresh_name()
        try:
            os.link(draft.temporary, base, src_dir_fd=other.descriptor("tmp"), dst_dir_fd=self.descriptor("tmp"), follow_symlinks=False)
        except OSError:
            return None  # whatever it is, to write the file tells it better
        return Draft(-1, base, base + draft.base.removeprefix(draft.temporary), draft.size, draft.date)

    def stage(self, chunks: Iterable[bytes | Drafted], date: float | None = None) -> Draft:
        """As `write`, for the redo log: with the content, and closed already."""
        content = b"".join(chunk if isinstance(chunk, bytes) else chunk.path.read_bytes() for chunk in chunks)
        draft = self.write((content,), date)
        draft.content = content
        os.close(draft.descriptor)
        draft.descriptor = -1
        return draft

    def publish(self, drafts: Sequence[Draft], letters: Sequence[bytes | None]) -> list[Arrival]:
        """Give *drafts* their UIDs and names: into new/, or into cur/ with flag *letters* where they are not None.

        The caller syncs `published_descriptors` afterwards. The UID list is locked meanwhile, so whoever reads list and
        directories under that lock sees both or neither.
        """
        with self.uids.locked():
            if not all(draft.uid for draft in drafts):
                self.assign(drafts)
            arrivals: list[Arrival] = []
            try:
                with self.own_change():
                    for draft, flags in zip(drafts, letters, strict=True):
                        arrivals.append(self._publish(draft, flags))
            except OSError:
                self._will_go([draft.base for draft in drafts])
                self.take_back([(arrival.path,) for arrival in arrivals])
                raise
        return arrivals

    def assign(self, drafts: Sequence[Draft]) -> None:
        """Give *drafts* their UIDs. Hold the lock of the list until they are published, so that it is not rewritten without them."""
        for uid, draft in zip(self.uids.append([draft.base for draft in drafts]), drafts, strict=True):
            draft.uid = uid

    def _publish(self, draft: Draft, flags: bytes | None) -> Arrival:
        name = draft.base if flags is None else draft.base + names.INFO + flags
        folder = "new" if flags is None else "cur"
        os.rename(draft.temporary, name, src_dir_fd=self.descriptor("tmp"), dst_dir_fd=self.descriptor(folder))
        draft.temporary = b""
        return Arrival(draft.uid, folder.encode() + b"/" + name, draft.size, draft.date)

    def link(self, source: Maildir, originals: Sequence[Original]) -> list[Arrival]:
        """Second names for files of *source* in our cur/, all or none, with UIDs. FileNotFoundError: one has gone."""
        bases = [self._fresh_name() + source.sizes_of(original) for original in originals]
        arrivals: list[Arrival] = []
        with self.uids.locked(), self.own_change():
            uids = self.uids.append(bases)
            try:
                for uid, base, original in zip(uids, bases, originals, strict=True):
                    name = base + names.INFO + original.letters
                    source.link_to(original, name, self.descriptor("cur"))
                    arrivals.append(Arrival(uid, b"cur/" + name, original.size, original.date))
            except OSError:
                self.take_back([(arrival.path,) for arrival in arrivals])
                raise
        return arrivals

    def sizes_of(self, original: Original) -> bytes:
        """What the name of a copy says about sizes: what the original's says, where that is right."""
        for path in original.paths:
            if (sizes := names.sizes_in(path, original.size)) is not None:
                return sizes
            with suppress(FileNotFoundError):
                stored = os.stat(path[4:], dir_fd=self.descriptor(path[:3].decode()), follow_symlinks=False).st_size
                return names.with_sizes(b"", stored, original.size)
        return b",W=%d" % original.size

    def link_to(self, original: Original, name: bytes, folder: int) -> None:
        """Another name, in the open directory *folder*, for a file of ours. FileNotFoundError: it has gone."""
        for path in original.paths:
            try:
                os.link(path[4:], name, src_dir_fd=self.descriptor(path[:3].decode()), dst_dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            return
        found = self.find(names.base_of(original.paths[0]))
        if found is None:
            raise FileNotFoundError("a message that is to be copied has gone")
        os.link(found[4:], name, src_dir_fd=self.descriptor(found[:3].decode()), dst_dir_fd=folder, follow_symlinks=False)

    def published_descriptors(self, arrivals: Sequence[Arrival]) -> set[int]:
        """What must be synced for *arrivals* to be durable."""
        return {self.uids.descriptor} | {self.descriptor(arrival.path[:3].decode()) for arrival in arrivals}

    def discard(self, draft: Draft) -> None:
        """Close the draft; remove its file if it was not published."""
        if draft.descriptor >= 0:
            os.close(draft.descriptor)
            draft.descriptor = -1
        if draft.temporary:
            with suppress(FileNotFoundError):
                os.unlink(draft.temporary, dir_fd=self.descriptor("tmp"))
            draft.temporary = b""

    def remove(self, messages: Iterable[Sequence[bytes]], durable: bool = False) -> set[bytes]:
        """Expunge message files; each may lie at one of several paths, or where somebody else has just renamed it to.

        The base names of those that were nowhere: gone already, or renamed by somebody again and again while we looked.
        *durable*: no crash brings one back; OSError, where that is not certain.
        """
        lost = self._each(messages, self._keep if self.keeps else self._unlink, durable=durable)
        if durable:
            for folder in ("new", "cur", *([KEPT] if self.keeps else ())):
                os.fsync(self.descriptor(folder))
        return lost

    def take_back(self, messages: Iterable[Sequence[bytes]]) -> None:
        """As `remove`, for files that were published and never promised: they are not kept."""
        self._each(messages, self._unlink)

    def _will_go(self, bases: Sequence[bytes], *, durable: bool = False) -> None:
        if self.redo and bases:
            self.redo.removed(self, bases, durable)

    def _each(self, messages: Iterable[Sequence[bytes]], away: Callable[[bytes], bool], *, durable: bool = False) -> set[bytes]:
        messages = list(messages)
        self._will_go([names.base_of(paths[0]) for paths in messages], durable=durable)
        with self.own_change():
            lost = {names.base_of(paths[0]) for paths in messages if not any(away(path) for path in paths)}
        for _ in range(LOOKS):
            if not lost:
                break
            lost -= {base for path in self.listing() if (base := names.base_of(path)) in lost and away(path)}
        return lost

    def _unlink(self, path: bytes) -> bool:
        try:
            os.unlink(path[4:], dir_fd=self.descriptor(path[:3].decode()))
        except FileNotFoundError:
            return False
        return True

    def _keep(self, path: bytes) -> bool:
        """Put a file where expunged mail is kept. Where that cannot be (no room, or somebody has removed the directory) it goes."""
        try:
            os.rename(path[4:], path[4:], src_dir_fd=self.descriptor(path[:3].decode()), dst_dir_fd=self.descriptor(KEPT))
        except OSError:
            if not self._unlink(path):
                return False
            self._close(KEPT)
        return True

    def rename(self, path: bytes, wanted: bytes) -> bool:
        """Give a message file new flags; False where it is not at *path*. Hold `own_change` around a series."""
        try:
            os.rename(path[4:], wanted[4:], src_dir_fd=self.descriptor(path[:3].decode()), dst_dir_fd=self.descriptor(wanted[:3].decode()))
        except FileNotFoundError:
            return False
        return True

    # ----- looking

    def stamp(self) -> Stamp:
        """The directories' times now. Looked up by path: a directory that was replaced is noticed. Raises NotAMaildir."""
        try:
            new, cur = self._looked_at
            return Stamp(os.stat(new).st_mtime_ns, os.stat(cur).st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotAMaildir(error.errno, error.strerror, error.filename) from error

    @contextmanager
    def own_change(self) -> Iterator[None]:
        """Around changes of ours: if nobody else has changed the directories since they were `known`, they stay so.

        What somebody else changes between our look at the times and the mark behind our change shows no time of its own. That is
        some 50 us, mostly; where it was long, or where others are at work too, it is `doubtful`.
        """
        with self._changing:
            if self._is_changing:  # within another one
                yield
                return
            before, began = self.known, time.monotonic()
            undisturbed = before is not None and self._stamp_of_descriptors() == before
            self._is_changing = True
            try:
                yield
            finally:
                self._is_changing = False
                if before is not None and undisturbed:
                    self.known = Stamp(self._marked("new", before.new), self._marked("cur", before.cur))
                    if self.is_shared() or time.monotonic() - began > LONG_CHANGE:
                        self.doubtful = True

    def _marked(self, folder: str, before: int) -> int:
        """The time of a directory after a change of ours. It becomes one that the kernel, which counts in steps, does not give:
        a change by others within the same step would else show no new time.
        """
        descriptor = self.descriptor(folder)
        changed = os.fstat(descriptor).st_mtime_ns
        if changed == before:
            return before
        mark = time.time_ns()
        try:
            os.utime(descriptor, ns=(mark, mark))
        except OSError:  # it is not ours
            self.sure = False
            return changed
        if os.fstat(descriptor).st_mtime_ns != mark:  # a file system that keeps seconds
            self.sure = False
            return os.fstat(descriptor).st_mtime_ns
        return mark

    def seen(self, stamp: Stamp, *, sure: bool) -> None:
        """A scan that began at *stamp* has seen everything; *sure*: also whatever was changed in the same time step."""
        with self._changing:
            self.known, self.sure = stamp, sure

    def undisturbed(self) -> bool | None:
        """True when the directories are as they are known; None while a change of ours is under way. Never waits."""
        if not self._changing.acquire(blocking=False):
            return None
        try:
            return self.known is not None and self.stamp() == self.known
        finally:
            self._changing.release()

    def _stamp_of_descriptors(self) -> Stamp:
        return Stamp(os.fstat(self.descriptor("new")).st_mtime_ns, os.fstat(self.descriptor("cur")).st_mtime_ns)

    def listing(self, folders: Sequence[str] = ("new", "cur")) -> list[bytes]:
        """Paths of all message files. Raises NotAMaildir."""
        paths: list[bytes] = []
        for folder in folders:
            self.descriptor(folder)
            there = os.fsencode(self.path) + b"/" + folder.encode()
            prefix, found = folder.encode() + b"/", os.listdir(there)
            while found:
                some = found[-heap.PIECE :]
                del found[-heap.PIECE :]
                paths += [prefix + name for name in some if not name.startswith((b".", b":")) and b"\n" not in name]
        return paths

    def open_file(self, path: bytes) -> int:
        """A descriptor of the message file at *path*. Raises FileNotFoundError.

        Its owner may have put a FIFO there since it was looked at: opening that waits for nobody.
        """
        return os.open(path[4:], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.descriptor(path[:3].decode()))

    def find(self, base: bytes) -> bytes | None:
        """Where the file with this base name is now, by looking through the directories."""
        return next((path for path in self.listing() if names.base_of(path) == base), None)

    def remove_leftovers(self, now: float) -> None:
        """Delete what somebody began to write in tmp/ and never finished."""
        folder = self.path / "tmp"
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if max(status.st_mtime, status.st_ctime) < now - LEFTOVER_AFTER:
                        os.unlink(folder / entry.name)


def _write_all(descriptor: int, chunks: Iterable[bytes | Drafted]) -> tuple[int, int]:
    """Octets written, and octets with CRLF line ends."""
    stored = crlf = 0
    last = b""
    for chunk in chunks:
        if isinstance(chunk, Drafted):
            chunk.copy_to(descriptor)
            stored, crlf, last = stored + chunk.stored, crlf + chunk.size, b""
            continue
        written = os.write(descriptor, chunk)
        while written < len(chunk):
            written += os.write(descriptor, chunk[written:])
        stored += len(chunk)
        crlf += len(chunk) + chunk.count(b"\n")
        if b"\r" in chunk or last == b"\r":  # an odd CR before a CRLF
            crlf -= chunk.count(b"\r\n") + (last == b"\r" and chunk[:1] == b"\n")
        last = chunk[-1:]
    return stored, crlf


def make_directory(path: Path) -> list[Path]:
    """Make *path* and the levels above it; the directories that have new names in them, which are not synced."""
    if path.is_dir():
        return []
    changed = make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    return [*changed, path.parent]
