"""Durable, in bulk: the one way in which anything of ours becomes safe on disk (spec D0 to D3).

A `Job` writes its files under temporary names, the committer makes all that
wait durable at once, and only then the jobs publish them under their real
names, the directories are made durable, and the callers hear about it:

    write (each job) -> sync (once for the batch) -> publish (each job) -> sync directories -> done

A job with an attribute `redo` can be made durable by that log (`store.redolog`),
with less writing; where the log cannot take it, it goes the way above.

One `Committer` serves everything, with one thread; a large batch costs one syncfs
for each file system in it. While a batch is being synced the next one gathers, so the batch grows with the load by itself and a
lone message waits for nobody. Measured on ext4: alone 0.27 ms a message, twenty
together 0.06 ms each.

`FileContent` is here too: the content of a message that lies in a file.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twistmail.mail.content import CHUNK
from twistmail.mail.status import BUG, DISK_TROUBLE, NO_ROOM, OVER_QUOTA, Status
from twistmail.syncfs import syncfs

log = Logger()

#: Where a batch had so many jobs, the next one is given so many seconds to gather.
CROWD, GATHER = 4, 0.002
MOST_JOBS = 64
MOST_BYTES = 32 * 1024 * 1024
#: From this many files on, one syncfs costs less than an fdatasync each (spec D2).
SYNCFS_FROM = 8


#: What a sync is for: an open descriptor, or the path of a file or a folder, which may have gone.
Unsynced = int | Path


class Job(Protocol):
    """A change to the disk that becomes visible and durable as a whole, or not at all. All methods run in the committer's thread."""

    size: int

    def write(self) -> Iterable[Unsynced]:
        """Write under temporary names; what must be synced. OSError condemns this job only."""

    def publish(self) -> Iterable[int]:
        """Give the files their names (rename, link); descriptors of the directories that must be synced."""

    def close(self) -> None:
        """Close every descriptor; remove what was not published."""


class RedoLog(Protocol):
    """Another way to make jobs durable. Its method runs in the committer's thread."""

    def commit(self, jobs: Sequence[Any]) -> list[BaseException | None] | None:
        """One batch; for each job what stopped it, or None. None instead of the list: nothing was done, the log cannot take them."""


class Committer:
    """Makes jobs durable in batches. `commit` is called on the reactor thread and awaited there.

    *syncfs* False: never sync the whole file system, which writes other programs' data too. *fsync* False: for tests.
    """

    def __init__(self, reactor: Any, *, fsync: bool = True, syncfs: bool = True) -> None:
        self.reactor = reactor
        self.syncfs = syncfs
        self.takes_logs = fsync
        self._fsync = fsync
        self._waiting: list[tuple[Job, Deferred[None]]] = []
        self._wake = threading.Condition()
        self._stopping = False
        self._called = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    async def commit(self, job: Job) -> None:
        """Returns when *job* is durable; raises what stopped it (OSError: see `status_of`)."""
        done: Deferred[None] = Deferred()
        with self._wake:
            if self._stopping:
                raise OSError(errno.EIO, "the committer has stopped")
            self._waiting.append((job, done))
        if not self._called:
            self._called = True
            self.reactor.callLater(0, self._call)
        await done

    def _call(self) -> None:
        """Wake the thread, once for all jobs of one turn of the reactor: it takes them together, and disturbs the turn no earlier."""
        self._called = False
        with self._wake:
            self._wake.notify()

    def stop(self) -> None:
        """Finish what waits, then end the thread. Blocking; at shutdown only."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        crowd = 0
        while True:
            if crowd >= CROWD and not self._stopping:
                time.sleep(GATHER)  # who comes within a moment shares the sync; to be woken for each would cost all of them more
            with self._wake:
                while not self._waiting and not self._stopping:
                    self._wake.wait()
                if not self._waiting:
                    return
                batch = self._take()
                crowd = len(batch)
            for redo, part in _by_log(batch).items():
                jobs = [job for job, _ in part]
                results = self._logged(redo, jobs) or self._commit(jobs)
                self.reactor.callFromThread(_tell, [done for _, done in part], results)

    def _logged(self, redo: RedoLog | None, jobs: list[Job]) -> list[BaseException | None] | None:
        try:
            return redo.commit(jobs) if redo else None
        except BaseException as error:  # the thread must live
            return [error] * len(jobs)

    def _take(self) -> list[tuple[Job, Deferred[None]]]:
        total = 0
        for count, (job, _) in enumerate(self._waiting, 1):
            total += job.size
            if count == MOST_JOBS or total >= MOST_BYTES:
                break
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _commit(self, jobs: list[Job]) -> list[BaseException | None]:
        """One batch; for each job what stopped it, or None."""
        errors: list[BaseException | None] = [None] * len(jobs)
        files: list[Unsynced] = []
        for place, job in enumerate(jobs):
            try:
                files.extend(job.write())
            except BaseException as error:
                errors[place] = error
        self._attempt(jobs, errors, self._sync, files)
        folders: set[int] = set()
        for place, job in enumerate(jobs):
            if errors[place] is None:
                try:
                    folders.update(job.publish())
                except BaseException as error:
                    errors[place] = error
        self._attempt(jobs, errors, self._sync, sorted(folders))
        for job in jobs:
            try:
                job.close()
            except OSError as error:
                log.warn("committer: closing after a batch: {error}", error=error)
        return errors

    def _attempt(self, jobs: list[Job], errors: list[BaseException | None], sync: Any, descriptors: Sequence[Unsynced]) -> None:
        """A sync that fails condemns the whole batch: nobody knows whose pages were lost (spec D2)."""
        try:
            sync(descriptors)
        except OSError as error:
            for place in range(len(jobs)):
                errors[place] = errors[place] or error

    def _sync(self, unsynced: Sequence[Unsynced]) -> None:
        if self._fsync:
            make_durable(unsynced, syncfs=self.syncfs)


def make_durable(unsynced: Collection[Unsynced], *, syncfs: bool) -> None:
    """Sync each of *unsynced*, or, where they are many and *syncfs* allows it, their file systems. Blocking. OSError."""
    if syncfs and len(unsynced) >= SYNCFS_FROM:
        _sync_file_systems(unsynced)
        return
    for what in unsynced:
        with _opened(what) as descriptor:
            if descriptor is not None:
                os.fsync(descriptor)


def _sync_file_systems(unsynced: Iterable[Unsynced]) -> None:
    """One call for each: store and queue may lie on different ones."""
    done: set[int] = set()
    for what in sorted(unsynced, key=lambda what: isinstance(what, Path)):  # descriptors first: what is open already hears of more errors
        with _opened(what) as descriptor:
            if descriptor is not None and (device := os.fstat(descriptor).st_dev) not in done:
                syncfs(descriptor)
                done.add(device)


@contextmanager
def _opened(what: Unsynced) -> Iterator[int | None]:
    """A descriptor of *what*; None where there is no such thing any more."""
    if isinstance(what, int):
        yield what
        return
    try:
        descriptor = os.open(what, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _by_log(batch: list[tuple[Job, Deferred[None]]]) -> dict[RedoLog | None, list[tuple[Job, Deferred[None]]]]:
    """The jobs of each log in their order. Those without one come last: who hears first has the lower UID."""
    parts: dict[RedoLog | None, list[tuple[Job, Deferred[None]]]] = {}
    for entry in batch:
        parts.setdefault(getattr(entry[0], "redo", None), []).append(entry)
    if None in parts:
        parts[None] = parts.pop(None)
    return parts


def _tell(waiting: list[Deferred[None]], results: list[BaseException | None]) -> None:
    for done, error in zip(waiting, results, strict=True):
        if error is None:
            done.callback(None)
        else:
            done.errback(error)


class InlineCommitter:
    """A Committer that commits at once, in the caller: for tests, for the command line, and for stores on a fake clock."""

    takes_logs = False
    syncfs = False

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = fsync

    async def commit(self, job: Job) -> None:
        try:
            for what in job.write():
                with _opened(what) as descriptor:
                    if descriptor is not None:
                        self._sync(descriptor)
            for descriptor in job.publish():
                self._sync(descriptor)
        finally:
            job.close()

    def _sync(self, descriptor: int) -> None:
        if self._fsync:
            os.fsync(descriptor)

    def stop(self) -> None:
        pass


class FileContent:
    """The content of a message in a file, from *start* to its end, CRLF line ends. See `mail.content.Content`."""

    __slots__ = ("path", "size", "start")

    def __init__(self, path: Path, start: int = 0, size: int | None = None) -> None:
        self.path = path
        self.start = start
        self.size = path.stat().st_size - start if size is None else size

    def chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.size
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def beginning(self, limit: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(min(limit, self.size))

    def span(self, start: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start + start)
            return file.read(max(0, min(length, self.size - start)))


_NO_ROOM = {errno.ENOSPC, errno.EFBIG}


def status_of(error: BaseException) -> Status:
    """What an SMTP peer is told of *error* (spec D7): never a 5xx, never a detail."""
    if isinstance(error, OSError):
        if error.errno == errno.EDQUOT:
            return OVER_QUOTA
        return NO_ROOM if error.errno in _NO_ROOM else DISK_TROUBLE
    return BUG
