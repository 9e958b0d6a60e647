"""Locks on a mailbox that is one file, as every program that works on such files takes them: fcntl and dot lock, both.

Neither lock is waited for while the other is held, so that programs which take
them in another order cannot block us, nor we them (Debian Policy §11.6). The
fcntl lock is tied to the open file where the system can do that: it then holds
between threads too, and reading the mailbox by another descriptor does not
lose it. A stale dot lock is removed only by who has the fcntl lock.

Blocking. Used by `mbox`, and by whoever delivers into such files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twistmail.mail.values import frozen

#: A dot lock whose holder has ended is removed when it is older than this; one that names no holder, too. Who began after it was
#: made does not hold it.
STALE_AFTER = 300.0
TIMEOUT = 30.0

_SUFFIX = ".lock"
_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.2
_CANNOT_LEAVE_A_FILE = {errno.EACCES, errno.EPERM, errno.EROFS}


class MailboxBusy(TimeoutError):
    """Somebody else has had the mailbox locked for all the time that we were ready to wait. The text says who, where that is known."""


@frozen
class Held:
    """A mailbox that is locked. `descriptor` is open for reading (exclusive: and writing) and is closed with the lock."""

    path: Path
    descriptor: int
    dot_lock: Path | None

    def touch(self) -> None:
        """Say that the holder still works: to be called every few minutes, for programs that judge a dot lock by its age alone."""
        if self.dot_lock:
            with suppress(FileNotFoundError):
                os.utime(self.dot_lock)


@contextmanager
def locked(
    path: Path,
    *,
    exclusive: bool = True,
    create: bool = False,
    follow: bool = True,
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Iterator[Held]:
    """The mailbox file *path* while nobody else reads or writes it.

    *exclusive* False is for reading: it also does without a dot lock where none can be made (a backup on a read-only
    disk). *create*: an empty mailbox is made where there is none. *follow* False: a symbolic link is
    an OSError. *timeout* in seconds of *clock*; *now* is what file times are compared with. Raises MailboxBusy, and OSError of
    opening.
    """
    flags = (os.O_RDWR if exclusive else os.O_RDONLY) | (os.O_CREAT if create else 0) | (0 if follow else os.O_NOFOLLOW)
    held = _waited_for(path, flags, _Patience(timeout, clock, sleep), now)
    try:
        yield held
    finally:
        _release(held)


@dataclass
class _Patience:
    timeout: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def _waited_for(path: Path, flags: int, patience: _Patience, now: Callable[[], float]) -> Held:
    deadline = patience.clock() + patience.timeout
    pause = _FIRST_WAIT
    while True:
        held = _attempt(path, flags, now)
        if held:
            return held
        if patience.clock() >= deadline:
            raise MailboxBusy(errno.ETIMEDOUT, f"locked by {_holder_words(path)} for more than {patience.timeout:g} s", str(path))
        patience.sleep(pause)
        pause = min(pause * 2, _LONGEST_WAIT)


def _attempt(path: Path, flags: int, now: Callable[[], float]) -> Held | None:
    """Both locks, or None and neither."""
    exclusive = bool(flags & os.O_RDWR)
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    try:
        if _lock_file(descriptor, exclusive) and _is_at(descriptor, path):
            dot_lock = path.with_name(path.name + _SUFFIX)
            try:
                if _made(dot_lock, now):
                    return Held(path, descriptor, dot_lock)
            except OSError as error:
                if exclusive or error.errno not in _CANNOT_LEAVE_A_FILE:
                    raise
                return Held(path, descriptor, None)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock_file(descriptor: int, exclusive: bool) -> bool:
    """The fcntl lock, without waiting."""
    try:
        if hasattr(fcntl, "F_OFD_SETLK"):
            kind = fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_SET, 0, 0, 0))
        else:
            fcntl.lockf(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether *path* still leads to what was opened: somebody may have put another file in its place meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _made(dot_lock: Path, now: Callable[[], float]) -> bool:
    """Whether the dot lock is ours now; False where somebody else has it."""
    for _ in range(2):
        try:
            descriptor = os.open(dot_lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            if not _removed_when_stale(dot_lock, now()):
                return False
        else:
            _name_us(descriptor, dot_lock)
            return True
    return False


def _name_us(descriptor: int, dot_lock: Path) -> None:
    """Write who holds the lock; where that cannot be done (a full disk), none is left behind."""
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(b"%d\n" % os.getpid())
    except OSError:
        dot_lock.unlink(missing_ok=True)
        raise


def _removed_when_stale(dot_lock: Path, now: float) -> bool:
    """Whether the lock was left behind by somebody who has ended; then it is gone now."""
    try:
        made = dot_lock.stat().st_mtime
        holder = _holder(dot_lock)
        if now - made < STALE_AFTER or (holder and _is_alive(holder) and _began(holder) <= made):
            return False
        dot_lock.unlink()
    except FileNotFoundError:
        pass  # released just now
    return True


def _holder(dot_lock: Path) -> int:
    """The process that a dot lock names (liblockfile, Dovecot, ours), 0 where it names none (procmail)."""
    with dot_lock.open("rb") as file:
        digits = file.read(64).partition(b":")[0].strip()
    return int(digits) if digits.isdigit() and len(digits) < 10 else 0


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, and somebody else's
    return True


def _began(process: int) -> float:
    """When that process began (seconds since 1970); 0 where nobody tells.

    One that is younger than a lock has only the number of whoever made it: after a start of the machine, or of a
    container, in which the server has the same number each time.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        ticks = int(fields[19])  # the 22nd of all, after a name that may hold anything (proc(5))
    except (OSError, IndexError, ValueError):
        return 0.0
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def _holder_words(path: Path) -> str:
    try:
        holder = _holder(path.with_name(path.name + _SUFFIX))
    except OSError:
        return "another program"
    return f"process {holder}" if holder else "another program"


def _release(held: Held) -> None:
    if held.dot_lock:
        held.dot_lock.unlink(missing_ok=True)
    os.close(held.descriptor)
