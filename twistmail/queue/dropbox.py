"""The folder in which users of this machine leave mail while the server does not run, seen from both sides.

    new/   NAME.mail   whole messages (`mail.dropped`); whoever may enter the folder may leave some
           tmp.NAME    being written
    bad/   NAME.mail   what was no message, or could not be taken, and NAME.mail.why: the reason

No program with the rights of another is needed. `new` is open for everybody to put files in and for nobody but us
to look in (mode 3733): names cannot be guessed, only their owner and we can remove them (sticky), and what is put there
belongs to our group (setgid, of the folder), so that we can read a file that nobody else can. Where that bit cannot be set
the file itself is left open for those who know its name.

Everything in there is a stranger's: it is read once, through a descriptor that was looked at, and copied, never linked.
Blocking; stdlib only, because the sendmail command imports it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from twistmail.mail.values import frozen
from twistmail.syncfs import syncfs

SUFFIX, UNFINISHED, WHY = ".mail", "tmp.", ".why"
#: Modes of `new`: as wanted, and where the folder may not have the setgid bit.
OPEN_FOR_ALL, WITHOUT_GROUP = 0o3733, 0o1733
#: Seconds after which a message that is still being written never will be (spec D5).
STALE = 36 * 3600.0
#: Nanoseconds after which a change of a folder has another time than the one before it, on any file system.
QUIET_NS = 2_000_000_000
#: So many files are kept in `bad`; a user who leaves rubbish shall not fill the disk with it under our name.
MOST_KEPT = 1000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: A user may hold a lease on his file, or leave a pipe there: neither shall keep us waiting.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Refused(Exception):
    """The file is not taken; the text says why. It is to be put aside."""


@frozen
class Left:
    """What lay in a file: `data`, which *user* (numeric) has left there `at` (POSIX seconds)."""

    user: int
    at: float
    data: bytes


def leave(folder: Path, data: bytes) -> None:
    """Put *data* into *folder* (the one that has `new` in it) as a file of ours; durable when this returns. Raises OSError."""
    new = folder / "new"
    name = f"{time.time_ns():020d}-{secrets.token_hex(16)}{SUFFIX}"
    unfinished = new / (UNFINISHED + name)
    mode = 0o640 if new.stat().st_mode & stat.S_ISGID else 0o644
    descriptor = os.open(unfinished, _NEW, mode)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask is: the server has to read it
            file.write(data)
            file.flush()
            os.fsync(descriptor)
            os.rename(unfinished, new / name)
            _sync_names(new, descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise


def _sync_names(folder: Path, descriptor: int) -> None:
    """Make a new name in *folder* durable; whoever may not look in there has the whole file system synced."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        syncfs(descriptor)
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class Dropbox:
    """The server's side of *folder*. `most`: octets of the largest file that is read."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self.most = most
        self._new, self._bad = folder / "new", folder / "bad"
        self._empty_at = 0  # when the folder last changed, where nothing at all was in it afterwards; nanoseconds

    def prepare(self) -> None:
        """Make what is missing. Raises OSError; EPERM where others could take away what is left there."""
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True)
            os.chmod(self.folder, 0o711)  # whatever the umask is: all may go through
        self._bad.mkdir(mode=0o700, exist_ok=True)
        if not self._new.is_dir():
            self._new.mkdir(mode=0o700)
            try:
                os.chmod(self._new, OPEN_FOR_ALL)
            except PermissionError:  # as with RestrictSUIDSGID= of systemd
                os.chmod(self._new, WITHOUT_GROUP)
        found = os.lstat(self._new)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()):
            raise OSError(errno.EPERM, "it must be a folder of the server's user, or of root", str(self._new))
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            raise OSError(errno.EPERM, "others can remove what is left there: chmod +t", str(self._new))

    def names(self) -> list[str]:
        """The messages that wait, oldest first. Raises OSError. What was begun long ago and never finished is removed."""
        found, is_empty, began = [], True, time.time_ns()
        changed = os.stat(self._new).st_mtime_ns
        with os.scandir(self._new) as entries:
            for entry in entries:
                is_empty = False
                if entry.name.endswith(SUFFIX) and not entry.name.startswith(UNFINISHED):
                    found.append(entry.name)
                elif entry.name.startswith(UNFINISHED):
                    self._tidy(entry)
        self._empty_at = changed if is_empty and changed + QUIET_NS < began else 0
        return sorted(found)

    def is_still_empty(self) -> bool:
        """Whether nothing has come since `names` found nothing. One look at the folder; where it says no, `names` knows."""
        try:
            return self._empty_at != 0 and os.stat(self._new).st_mtime_ns == self._empty_at
        except OSError:
            return False

    def _tidy(self, entry: os.DirEntry[str]) -> None:
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < time.time() - STALE:
                os.unlink(entry.path)

    def take(self, name: str) -> Left:
        """What lies in the file *name*; it stays there. Raises Refused, and OSError where it cannot be read now."""
        try:
            descriptor = os.open(self._new / name, _READ)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise Refused("it is no file") from None
            if error.errno == errno.EACCES:
                raise Refused("the server may not read it") from None
            raise
        try:
            found = os.fstat(descriptor)
            self._check(found)
            with open(descriptor, "rb", closefd=False) as file:
                return Left(found.st_uid, found.st_mtime, file.read(self.most + 1))
        finally:
            os.close(descriptor)

    def _check(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise Refused("it is no file")
        if found.st_nlink != 1:
            raise Refused("it has more than one name")  # then whose file it is does not tell who has left it here
        if found.st_mode & 0o022:
            raise Refused("others than its owner may write to it")
        if found.st_size > self.most:
            raise Refused(f"it has {found.st_size} octets; at most {self.most} are taken")

    def remove(self, names: Iterable[str]) -> None:
        """Forget these; durable. Raises OSError."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(self._new / name)
        descriptor = os.open(self._new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def put_aside(self, name: str, why: str) -> Path | None:
        """Move *name* to `bad`, with the reason beside it; where it lies now, None where there was no room. Raises OSError."""
        if len(os.listdir(self._bad)) >= 2 * MOST_KEPT:
            os.unlink(self._new / name)
            return None
        place = self._bad / f"{secrets.token_hex(4)}-{name}"
        os.rename(self._new / name, place)
        with open(os.open(f"{place}{WHY}", _NEW, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{why}\n")
        return place
