"""The redo log: new mail is durable by one write and one fdatasync, whatever the number of messages and mailboxes.

A batch of jobs goes this way, instead of that in `disk`:

    write (each job, unsynced) -> lock the UID lists -> assign UIDs -> all records into the log, ONE fdatasync
        -> publish (rename) -> unlock -> done

What the files, lists and directories themselves hold reaches the disk later, by
a checkpoint: in the background when one of the two segments is full or nothing
has come for a second, and before anything that would not be found again by the
names in the records (a folder is renamed). Until then a message is *live*:
removing it leaves a record, copying it makes it durable first.

After a crash `replaying` completes from the records what is missing. The log
belongs to one process, which holds a lock on it; another one on the same store
works without it. What it cannot take (a large message, a batch while the file
is being made or a sync has failed) goes the way of `disk`.

Blocking. `commit` runs in the committer's thread, the rest in any.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from twisted.logger import Logger

from twistmail.segments import HEADER_SIZE
from twistmail.store import replaying
from twistmail.store.maildir import Maildir
from twistmail.store.redorecords import MOST_OVERHEAD, Record, Removed, Stored
from twistmail.store.segment import Segment
from twistmail.store.syncing import Syncer

log = Logger()

FILES = ("twistmail-redo.0", "twistmail-redo.1")
SEGMENT_SIZE = 16 * 1024 * 1024
#: Without a new message for so many seconds, the log is emptied; after a failure that is tried again after so many.
IDLE = 1.0
RETRY = 5.0
#: Kept free in a segment for taking back a batch that could not be published.
_RESERVE = 64 * 1024


class LoggedJob(Protocol):
    """A `disk.Job` that new messages come with. `size` and `count`: octets and messages, at most."""

    size: int
    count: int

    def stage(self) -> Iterable[Path]:
        """As `write`, but the messages will not be synced; only what was made so that they can be somewhere, which is returned."""

    def maildirs(self) -> Iterable[Maildir]:
        """Whose UIDs will be given."""

    def assign(self, locked: Mapping[Maildir, OSError | None]) -> list[Stored]:
        """Give the messages their UIDs. A list whose lock could not be had comes with what was in the way."""

    def publish(self) -> Iterable[int]: ...

    def close(self) -> None: ...


class RedoLog:
    """The log in *root*. Made by `begin`. *syncfs* False: a checkpoint syncs files one by one."""

    def __init__(self, root: Path, *, syncfs: bool = True, size: int = SEGMENT_SIZE, now: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._size = size
        self._now = now
        self._syncer = Syncer(syncfs=syncfs)
        self._segments = [Segment(root / name) for name in FILES]
        self._current, self._other = self._segments
        self._generation = 0
        self._batch = threading.RLock()  # while a batch is under way; no record is without its file then
        self._checkpointing = threading.RLock()  # taken before `_batch`
        self._appending = threading.Lock()
        self._signal = threading.Condition()  # something for the thread to do, or a segment is free
        self._thread: threading.Thread | None = None
        self._committer = 0  # the thread that is in `commit`
        self._last = 0.0
        self._said = ""  # the last trouble
        self._ready = self._broken = self._closed = False

    # ----- beginning and ending

    def open(self) -> bool:
        """Take the log, and complete what it speaks of. False where another process has it. Raises OSError."""
        is_first = not (self._root / FILES[0]).exists()
        for segment in self._segments:
            segment.open()
        try:
            fcntl.flock(self._segments[0].descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close_files()
            return False
        self._recover()
        if not is_first:
            self._syncer.sync_all(self._root)  # a mailbox that a killed process has made must be durable before the log speaks of it
        return True

    def _recover(self) -> None:
        found = [(segment, *content) for segment in self._segments if (content := segment.read())]
        found.sort(key=lambda entry: entry[1].generation)
        self._generation = max((header.generation for _, header, _ in found), default=0)
        records = [record for _, _, some in found for record in some]
        if not records:
            return
        began = self._now()
        self._replay(records, doubtful=any(header.doubtful for _, header, _ in found))
        for segment, _, _ in found:
            self._start_over(segment)
        log.info("redo log: {count} records looked at in {seconds:.1f} s", count=len(records), seconds=self._now() - began)

    def _replay(self, records: Sequence[Record], *, doubtful: bool) -> None:
        folders = []
        for name, mailbox in replaying.by_mailbox(records).items():
            path = self._path_of(name)
            try:
                repaired = replaying.replay(path, mailbox, doubtful=doubtful)
            except NotADirectoryError as error:
                log.warn("redo log: {error}; what was in it is not brought back", error=error)
                continue
            if repaired.files or repaired.lines:
                log.warn(
                    "redo log: {path}: {files} messages and {lines} UIDs were completed after a crash",
                    path=str(path),
                    files=len(repaired.files),
                    lines=len(repaired.lines),
                )
            folders.append((path, {record.base for record in mailbox.stored}))
        self._syncer.sync(folders)

    def close(self) -> None:
        """Make everything durable and let go. What cannot be is completed at the next start."""
        with self._signal:
            self._closed = True
            self._signal.notify_all()
        if self._thread is not None:
            self._thread.join()
        try:
            self.checkpoint()
        except OSError as error:
            log.warn("redo log: the last checkpoint: {error}", error=error)
        with self._checkpointing, self._batch:
            self._ready = False
            self._close_files()

    def _close_files(self) -> None:
        for segment in self._segments:
            segment.close()
        self._syncer.close()

    # ----- a batch

    def commit(self, jobs: Sequence[LoggedJob]) -> list[BaseException | None] | None:
        """Make *jobs* durable and visible; for each what stopped it, or None. None in all where the log cannot take them now."""
        size = sum(job.size + job.count * MOST_OVERHEAD for job in jobs) + _RESERVE
        while True:
            with self._batch:
                if not self._accepts(size):
                    return None
                if self._make_room(size):
                    return self._commit(jobs)
            self._wait_for_room()

    def _accepts(self, size: int) -> bool:
        if self._ready and not self._broken and not self._closed:
            return HEADER_SIZE + size <= self._size
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="redo log", daemon=True)
            self._thread.start()
        return False

    def _make_room(self, size: int) -> bool:
        """Whether the current segment has room, perhaps after it was changed. Hold `_batch`."""
        if self._current.has_room(size):
            return True
        if not self._turn():
            return False
        self._tell()
        return True

    def _turn(self) -> bool:
        """Go on in the other segment, if that is empty. Hold `_batch`."""
        with self._appending:
            if not self._other.is_empty:
                return False
            self._current, self._other = self._other, self._current
            return True

    def _wait_for_room(self) -> None:
        with self._signal:
            while not self._other.is_empty and not self._broken and not self._closed:
                self._signal.notify_all()
                self._signal.wait(0.1)

    def _commit(self, jobs: Sequence[LoggedJob]) -> list[BaseException | None]:
        errors: list[BaseException | None] = [None] * len(jobs)
        self._committer = threading.get_ident()
        with ExitStack() as locks:
            made: list[Iterable[Path]] = [()] * len(jobs)
            _each(jobs, errors, lambda job: job.stage(), made)
            self._sync_made([path for paths in made for path in paths], errors)
            locked = _locked(locks, jobs, errors)
            records: list[list[Stored]] = [[]] * len(jobs)
            _assign(jobs, errors, locked, records)
            self._log(locked, errors, records)
            for maildir in locked:
                with suppress(OSError):
                    locks.enter_context(maildir.own_change())
            _each(jobs, errors, lambda job: job.publish())
        self._committer = 0
        for job in jobs:
            try:
                job.close()
            except OSError as error:
                log.warn("redo log: closing after a batch: {error}", error=error)
        self._last = self._now()
        return errors

    def _sync_made(self, paths: Collection[Path], errors: list[BaseException | None]) -> None:
        """New mailboxes are durable before anything is said of them: a replay makes none."""
        try:
            self._syncer.sync_each(paths)
        except OSError as error:
            errors[:] = [other or error for other in errors]

    def _log(self, maildirs: Iterable[Maildir], errors: list[BaseException | None], records: Sequence[list[Stored]]) -> None:
        """One write, one fdatasync. If that fails nobody knows which pages were lost: the whole batch is condemned."""
        wanted = [record for place, some in enumerate(records) if errors[place] is None for record in some]
        if not wanted:
            return
        was_quiet = not self._current.live
        by_name = {maildir.logged_as: maildir for maildir in maildirs}
        for record in wanted:
            self._current.enliven(by_name[record.folder], record.base)
        try:
            with self._appending:
                if not self._current.append(wanted):
                    raise OSError("the records of a batch are larger than they can be")
            self._current.sync()
        except OSError as error:
            self._broken = True
            errors[:] = [other or error for other in errors]
            with suppress(OSError), self._appending:
                self._current.append([Removed(record.folder, record.base) for record in wanted])
        if was_quiet or self._broken:
            self._tell()

    # ----- what is live

    def name_of(self, path: Path) -> bytes:
        """What the mailbox at *path* is called in records: its path, relative to the root where it lies below."""
        return os.fsencode(path.relative_to(self._root) if path.is_relative_to(self._root) else path)

    def _path_of(self, name: bytes) -> Path:
        return self._root / os.fsdecode(name)

    def holds(self, maildir: Maildir, bases: Sequence[bytes]) -> bool:
        """Whether one of these messages is durable only in the log."""
        return any(segment.holds(maildir, bases) for segment in self._segments)

    def removed(self, maildir: Maildir, bases: Sequence[bytes], durable: bool = False) -> None:
        """These messages are to go: a replay does not bring them back. To be called before their files are unlinked.

        It may do so after a crash, with the UIDs that they had (spec D6), where no *durable* is asked for. OSError: where it is.
        """
        if self._closed or not self.holds(maildir, bases):
            return
        live = [base for base in bases if self.holds(maildir, (base,))]
        try:
            self._note_removed([Removed(maildir.logged_as, base) for base in live], durable=durable)
        except OSError:
            if durable:
                raise

    def _note_removed(self, records: Sequence[Removed], *, durable: bool) -> None:
        with self._appending:
            segment = self._current
            done = segment.append(records)
        if done and durable:
            segment.sync()
        elif not done and self._committer != threading.get_ident():
            self.checkpoint()

    # ----- checkpoints

    def checkpoint(self) -> None:
        """Whatever was committed before is durable without the log afterwards. OSError: it is not, and the log stays."""
        with self._checkpointing:
            while True:
                self._settle(self._other)
                with self._batch:
                    if self._current.is_empty or self._turn():
                        break
            self._settle(self._other)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """While nothing is in the log and nothing comes into it: for changes of the names that records go by. Raises OSError."""
        self.checkpoint()  # the long one, while mail still comes in
        with self._checkpointing, self._batch:
            self.checkpoint()
            yield

    def _settle(self, segment: Segment) -> None:
        """Make durable what *segment* speaks of, and start it over. It is not the current one. Hold `_checkpointing`."""
        if segment.is_empty:
            return
        try:
            if segment.header.doubtful:
                self._write_again(segment)
            self._syncer.sync([(maildir.path, bases) for maildir, bases in segment.live.items()])
        except OSError:
            self._broken = True
            with suppress(OSError):
                segment.doubt()
            self._tell()
            raise
        self._start_over(segment)
        self._tell()

    def _tell(self) -> None:
        with self._signal:
            self._signal.notify_all()

    def _start_over(self, segment: Segment) -> None:
        self._generation += 1
        segment.begin(self._generation)

    def _write_again(self, segment: Segment) -> None:
        """After a sync has failed: what the kernel gives us to read may never reach the disk, but the log has (STO-04)."""
        content = segment.read()
        if content is None:
            raise OSError("the redo log cannot be read")
        by_name = replaying.by_mailbox(content[1])
        for maildir in segment.live:
            mailbox = by_name.get(maildir.logged_as)
            if mailbox is not None and (maildir.path / "cur").is_dir():
                with maildir.uids.locked():
                    maildir.uids.rewrite(*maildir.uids.read())
                    with maildir.own_change():
                        gone = {record.base for record in mailbox.stored}
                        replaying.restore_files(maildir.path, mailbox.stored, gone, doubtful=True)

    # ----- the thread

    def _run(self) -> None:
        if not self._prepared():
            return
        while self._waited():
            try:
                if self._other.is_empty or self._broken:
                    self.checkpoint()
                else:
                    with self._checkpointing:
                        self._settle(self._other)
            except BaseException as error:  # whatever it is, the committer must not wait for us
                self._has_failed(error)
            else:
                self._broken, self._said = False, ""

    def _has_failed(self, error: BaseException) -> None:
        """Say so once, and let some time go by."""
        if str(error) != self._said:
            log.critical("redo log: checkpoint: {error}; mail is synced file by file meanwhile", error=error)
        self._broken, self._said = True, str(error)
        with self._signal:
            if not self._closed:
                self._signal.wait(RETRY)

    def _waited(self) -> bool:
        """Wait until there is something to do. False at the end."""
        with self._signal:
            while not self._closed and self._other.is_empty and not self._broken:
                if self._current.live and self._now() >= self._last + IDLE:
                    return True
                self._signal.wait(IDLE if self._current.live else None)
        return not self._closed

    def _prepared(self) -> bool:
        """Make the files. Without room for them, mail goes the other way until the next start."""
        try:
            status = os.statvfs(self._root)
            if status.f_bavail * status.f_frsize < 10 * self._size:
                raise OSError("too little room on the disk")
            for segment in self._segments:
                segment.prepare(self._size)
                self._start_over(segment)
        except OSError as error:
            log.warn("redo log: {error}; mail is synced file by file", error=error)
            for segment in self._segments:
                segment.give_back()
            return False
        self._ready = True
        return True


def begin(root: Path, committer: Any) -> RedoLog | None:
    """Complete what the log in *root* speaks of; the log itself for a *committer* that takes one. OSError: it could not be completed."""
    if not committer.takes_logs and not os.access(root / FILES[0], os.R_OK | os.W_OK):
        return None
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = RedoLog(root, syncfs=committer.syncfs)
    if not found.open():
        return None
    if committer.takes_logs:
        return found
    found.close()
    return None


def _each(jobs: Sequence[LoggedJob], errors: list[BaseException | None], step: Callable[[LoggedJob], Any], results: Any = None) -> None:
    """One step of every job that nothing has stopped yet; a job's trouble is its own."""
    for place, job in enumerate(jobs):
        if errors[place] is None:
            try:
                result = step(job)
            except BaseException as error:
                errors[place] = error
            else:
                if results is not None:
                    results[place] = result


def _assign(jobs: Sequence[LoggedJob], errors: list[BaseException | None], locked: dict[Maildir, OSError | None], records: Any) -> None:
    """UIDs for all; one write for each list. A list that cannot be written stops every job that needs it."""
    usable = [maildir for maildir, error in locked.items() if error is None]
    for maildir in usable:
        maildir.uids.gather()
    _each(jobs, errors, lambda job: job.assign(locked), records)
    for maildir in usable:
        try:
            maildir.uids.write_gathered()
        except OSError as error:
            for place, job in enumerate(jobs):
                if maildir in job.maildirs():
                    errors[place] = errors[place] or error


def _locked(locks: ExitStack, jobs: Sequence[LoggedJob], errors: Sequence[BaseException | None]) -> dict[Maildir, OSError | None]:
    """Lock the UID lists of all jobs, in the order of their paths, so that nobody waits for us while we wait for him."""
    wanted = {maildir for job, error in zip(jobs, errors, strict=True) if error is None for maildir in job.maildirs()}
    locked: dict[Maildir, OSError | None] = {}
    for maildir in sorted(wanted, key=lambda maildir: maildir.path):
        try:
            locks.enter_context(maildir.uids.locked())
            locked[maildir] = None
        except OSError as error:
            locked[maildir] = error
    return locked
