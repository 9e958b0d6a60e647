"""Mail into a file that an alias, or a user, has named: an mbox, a maildir (`/var/archive/`) or an MH folder (`/var/archive/.`).

Whoever can write an alias, or a folder on the way to the file, shall not gain
what the writer may do: the file lies below a folder that an operator has named,
no symbolic link is followed below that, nobody else may put another file in its
place, and it is an ordinary file of our own (row R27). An mbox is written under
both locks (`locks`). What has been written is on disk when this returns.

Blocking. Used by `delivery.files`, and by `piping_helper` as another user.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from twistmail.formats import mh
from twistmail.formats.locks import TIMEOUT, Held, MailboxBusy, locked
from twistmail.formats.mbox import MBOX, append
from twistmail.formats.streamed import write_lf
from twistmail.mail.content import CHUNK, Content
from twistmail.mail.mailbox import NewMessage
from twistmail.mail.values import frozen

LONGEST_PATH = 4096
#: Mail for it is thrown away; no other device is written to.
NOWHERE = "/dev/null"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_TO_ALL = stat.S_IWOTH
_RUNS = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class Unfit(OSError):
    """Mail is not written there: the text says why, for an operator. It waits until he has seen to it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EPERM, why, path)

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class Shape(Enum):
    """What lies at a path, as its end tells it."""

    MBOX = ""
    MAILDIR = "/"
    MH = "/."


@frozen
class Way:
    """A path, taken apart: `names` lead from `root`, a folder that was allowed, to the mailbox; there is at least one."""

    path: str
    root: str
    names: tuple[str, ...]
    shape: Shape


class Opened:
    """What an open file holds. See `mail.content.Content`; LF line ends will do where it is put into a mailbox."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def chunks(self) -> Iterator[bytes]:
        at = 0
        while piece := os.pread(self._descriptor, CHUNK, at):
            at += len(piece)
            yield piece

    def beginning(self, limit: int) -> bytes:
        return os.pread(self._descriptor, limit, 0)


def way_to(path: str, allowed: Sequence[str]) -> Way:
    """How *path* is reached below one of the folders *allowed*. Unfit where it is no plain path, or below none of them."""
    shape = next(shape for shape in (Shape.MH, Shape.MAILDIR, Shape.MBOX) if path.endswith(shape.value))
    bare = path.removesuffix(shape.value)
    if not bare.startswith("/") or len(path) > LONGEST_PATH or not bare.isprintable():
        raise Unfit(path, "is no plain path that begins with /")
    if any(name in ("", ".", "..") for name in bare[1:].split("/")):
        raise Unfit(path, "has . or .. or an empty name in it")
    roots = [root for root in (one.rstrip("/") or "/" for one in allowed) if bare.startswith(root.rstrip("/") + "/")]
    if not roots:
        raise Unfit(path, f"does not lie below {' or '.join(allowed)}" if allowed else "no folder is named below which files may lie")
    root = max(roots, key=len)
    return Way(path, root, tuple(bare[len(root.rstrip("/")) + 1 :].split("/")), shape)


def deliver(way: Way, content: Content, *, timeout: float = TIMEOUT, now: float | None = None) -> None:
    """Put *content* into the mailbox at the end of *way*, durable; it is made where it is missing, the folders above it are not.

    *timeout* in seconds, for a mailbox that somebody else has locked (MailboxBusy). OSError, Unfit: nothing was put there.
    """
    at = time.time() if now is None else now
    with _opened(way) as folder:
        match way.shape:
            case Shape.MBOX:
                _to_mbox(way, folder, content, timeout, at)
            case Shape.MAILDIR:
                with _inner(way, folder) as maildir:
                    _to_maildir(way, maildir, content, at)
            case Shape.MH:
                with _inner(way, folder) as mailbox:
                    _to_mh(way, mailbox, content, timeout, at)


def look(way: Way, writer: int | None = None) -> None:
    """Find what is known to keep mail from being put there by the user *writer* (None: us). Nothing is made. OSError, Unfit, as `deliver`.
    """
    with _opened(way) as folder:
        status = _status(folder, way.names[-1])
        if status is None:
            if writer in (None, os.geteuid()) and not os.access(_path_of(folder), os.W_OK | os.X_OK, effective_ids=True):
                raise Unfit(way.path, "no file can be made in that folder")
        elif way.shape is Shape.MBOX:
            _is_fit(way, status, writer)
        else:
            mailbox = _open_inside(way, folder, way.names[-1])
            try:
                _is_ours(way, os.fstat(mailbox), writer)
            finally:
                os.close(mailbox)


# ----- the way there


@contextmanager
def _opened(way: Way) -> Iterator[int]:
    """The folder in which the mailbox of *way* lies, reached without a symbolic link."""
    folder = os.open(way.root, _FOLDER & ~os.O_NOFOLLOW)  # how the allowed folder itself is reached is its operator's business
    try:
        _look_at(way, folder, way.root)
        for name in way.names[:-1]:
            inner = _open_inside(way, folder, name)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _inner(way: Way, folder: int) -> Iterator[int]:
    """The folder that is the mailbox itself; made where it is missing."""
    name = way.names[-1]
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
        os.fsync(folder)
    mailbox = _open_inside(way, folder, name)
    try:
        _is_ours(way, os.fstat(mailbox))
        yield mailbox
    finally:
        os.close(mailbox)


def _open_inside(way: Way, folder: int, name: str) -> int:
    try:
        inner = os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Unfit(way.path, f"{name} is a symbolic link, or no folder") from None
        raise OSError(error.errno, f"{name}: {error.strerror}", way.path) from None
    try:
        _look_at(way, inner, name)
    except BaseException:
        os.close(inner)
        raise
    return inner


def _look_at(way: Way, folder: int, name: str) -> None:
    if os.fstat(folder).st_mode & _OPEN_TO_ALL:
        raise Unfit(way.path, f"everybody may write to the folder {name}")


def _path_of(folder: int) -> Path:
    """A name of the very folder that is open, whatever has been put in its place since."""
    return Path("/proc/self/fd") / str(folder)


# ----- what is written


def _to_mbox(way: Way, folder: int, content: Content, timeout: float, now: float) -> None:
    name = way.names[-1]
    _is_fit(way, _status(folder, name))
    try:
        with locked(_path_of(folder) / name, create=True, follow=False, timeout=timeout) as held:
            _is_fit(way, os.fstat(held.descriptor))
            _append(held, content, now)
            os.fsync(folder)
    except MailboxBusy as busy:
        raise MailboxBusy(busy.errno, busy.strerror, way.path) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unfit(way.path, "is a symbolic link") from None
        raise


def _append(held: Held, content: Content, now: float) -> None:
    start = os.fstat(held.descriptor).st_size
    append(MBOX, held.descriptor, NewMessage(content), now)
    try:
        os.fsync(held.descriptor)
    except OSError:
        os.ftruncate(held.descriptor, start)
        raise


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_fit(way: Way, status: os.stat_result | None, writer: int | None = None) -> None:
    """Unfit where what is there is not an ordinary file of ours. It is looked at before it is opened: opening a device does something."""
    if status is None:
        return
    if stat.S_ISLNK(status.st_mode):
        raise Unfit(way.path, "is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise Unfit(way.path, "is no ordinary file")
    _is_ours(way, status, writer)
    if status.st_nlink > 1:
        raise Unfit(way.path, "has another name, too (a hard link)")
    if status.st_mode & _RUNS:
        raise Unfit(way.path, "is a program")
    if status.st_mode & _OPEN_TO_ALL:
        raise Unfit(way.path, "everybody may write to it")


def _is_ours(way: Way, status: os.stat_result, writer: int | None = None) -> None:
    writer = os.geteuid() if writer is None else writer
    if status.st_uid != writer:
        raise Unfit(way.path, f"belongs to the user {status.st_uid}, and mail is written as {writer}")


def _to_mh(way: Way, mailbox: int, content: Content, timeout: float, now: float) -> None:
    _is_fit(way, _status(mailbox, mh.SEQUENCES))
    is_there = False
    try:
        with mh.writing(_path_of(mailbox), timeout=timeout, now=lambda: now, durable=True) as writer:
            writer.add(NewMessage(content))
            is_there = True
    except OSError:
        if not is_there:  # else only that it is unseen could not be noted; to bring it once more would be worse
            raise
    os.fsync(mailbox)


def _to_maildir(way: Way, maildir: int, content: Content, now: float) -> None:
    for name in ("tmp", "new", "cur"):
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=maildir)
    temporary = _open_inside(way, maildir, "tmp")
    try:
        new = _open_inside(way, maildir, "new")
        try:
            _put_into(temporary, new, content, now)
        finally:
            os.close(new)
    finally:
        os.close(temporary)
    os.fsync(maildir)


def _put_into(temporary: int, new: int, content: Content, now: float) -> None:
    """A file that gets its name in the folder *new* when it is whole."""
    host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
    name = f"{int(now)}.M{int(now % 1 * 1_000_000):06d}P{os.getpid()}R{secrets.token_hex(8)}.{host}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=temporary)
    try:
        stored = write_lf(descriptor, content)
        os.fsync(descriptor)
        os.rename(name, f"{name},S={stored}", src_dir_fd=temporary, dst_dir_fd=new)
    except BaseException:
        os.unlink(name, dir_fd=temporary)
        raise
    finally:
        os.close(descriptor)
    os.fsync(new)
