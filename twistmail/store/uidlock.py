"""Dovecot's lock on a UID list: the file `dovecot-uidlist.lock` while somebody gives UIDs.

Dovecot knows no other lock, and our processes agree by flock(2) (`uidlist`); so
the file is made only where Dovecot has left an index, which it makes before it
reads the list for the first time, and it is waited for wherever it lies. A
Dovecot whose indexes are elsewhere (`INDEX=` in its mail_location) leaves no such
mark: then only one of the two may deliver at a time.

What a lock file says ("<process>:<host>") and when it is stale is Dovecot's way,
so that each removes what the other has left behind in a crash.

Blocking; used by `uidlist`.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SUFFIX = ".lock"
#: Dovecot's first trace in a mailbox.
MARK = "dovecot.index.log"
#: A lock whose holder has ended is stale after so many seconds, one that names no process of this host after so many.
ENDED_AFTER = 2.0
STALE_AFTER = 120.0
#: Dovecot holds it for the time of one look at a maildir. In seconds, in all about 15.
PAUSES = (0.002,) * 50 + (0.05,) * 100 + (0.2,) * 50


class UidLock:
    """The lock file beside the list at *path*. *now*: POSIX seconds, as files are stamped."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time, pause: Callable[[float], None] = time.sleep) -> None:
        self._file = os.fspath(path) + SUFFIX
        self._mark = os.fspath(path.with_name(MARK))
        self._now = now
        self._pause = pause
        self._held = False

    def acquire(self) -> None:
        """Wait for the lock, where one is needed. Raises OSError: it could not be had (EAGAIN), or no file can be made."""
        if not os.path.lexists(self._mark) and not os.path.lexists(self._file):
            return
        for seconds in PAUSES:
            if self._made():
                self._held = True
                return
            if not self._removed_when_stale():
                self._pause(seconds)
        raise OSError(errno.EAGAIN, "somebody keeps the UID list locked", self._file)

    def release(self) -> None:
        if self._held:
            self._held = False
            with suppress(FileNotFoundError):
                os.unlink(self._file)

    def _made(self) -> bool:
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, b"%d:%s" % (os.getpid(), socket.gethostname().encode()))
        finally:
            os.close(descriptor)
        return True

    def _removed_when_stale(self) -> bool:
        """Whether the lock is gone now: released, or left behind by somebody who has ended."""
        try:
            status = os.lstat(self._file)
            age = self._now() - max(status.st_mtime, status.st_ctime)
            if age < ENDED_AFTER or not _is_left_behind(_holder(self._file), age):
                return False
            if os.lstat(self._file).st_ino == status.st_ino:
                os.unlink(self._file)
        except FileNotFoundError:
            pass
        return True


def _holder(file: str) -> int:
    """The process of this host that has made the lock file; 0 where it names none."""
    with open(file, "rb") as lock:
        process, _, host = lock.read(512).strip().partition(b":")
    return int(process) if process.isdigit() and len(process) < 10 and host == socket.gethostname().encode() else 0


def _is_left_behind(process: int, age: float) -> bool:
    if not process:
        return age > STALE_AFTER
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # alive, and somebody else's
    return process == os.getpid()  # we wait for it, so a process before us had our number
