"""Bringing files from one place to another: by hard link where that is possible, else by copy; whole or not at all. Blocking."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

CHUNK = 1024 * 1024


def link_or_copy(source: Path, target: Path) -> str:
    """*target* is *source* now, with its date, replacing what was there; the SHA-256 of what was copied, empty where it was linked.

    Raises OSError; FileNotFoundError where *source* has gone.
    """
    if not _linked(source, target):
        return copy(source, target)
    return ""


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except FileExistsError:
        os.unlink(target)
        return _linked(source, target)
    except OSError:  # another file system, one without links, too many links, a file of somebody else's
        return False
    return True


def copy(source: Path, target: Path) -> str:
    """As `link_or_copy`, always by copy: the SHA-256."""
    temporary = target.with_name(f".part{os.getpid()}")
    digest = hashlib.sha256()
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as origin, temporary.open("wb", buffering=0) as file:
            os.fchmod(file.fileno(), 0o600)
            while chunk := origin.read(CHUNK):
                digest.update(chunk)
                _write(file.fileno(), chunk)
            status = os.fstat(descriptor)
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.rename(temporary, target)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return digest.hexdigest()


def write(target: Path, data: bytes, mtime_ns: int) -> str:
    """A small file with *data*: its SHA-256."""
    temporary = target.with_name(f".part{os.getpid()}")
    with temporary.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
    os.utime(temporary, ns=(mtime_ns, mtime_ns))
    os.rename(temporary, target)
    return hashlib.sha256(data).hexdigest()


def _write(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(folder: Path) -> None:
    """Make everything on the file system of *folder* durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno() or errno.EIO, "the file system could not be synced", str(folder))
    finally:
        os.close(descriptor)
