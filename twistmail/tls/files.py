"""Files with certificates and keys: whether one has changed (others write them while we run), what is in it, writing one. Blocking."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL, crypto

#: What trouble with a file may be: that it cannot be read, is damaged, has a password (TypeError), or nothing that OpenSSL takes.
UNREADABLE = (OSError, ValueError, TypeError, UnsupportedAlgorithm, SSL.Error, crypto.Error)
#: Of one file.
MOST_OCTETS = 1024 * 1024

#: For each file: name, modified, changed (both in nanoseconds), inode, size; all 0 where there is none.
Stamp = tuple[tuple[str, int, int, int, int], ...]


def stamp_of(files: tuple[Path, ...]) -> Stamp:
    """What is another when a file was written anew, may be read at last, or when a link (certbot's are) leads elsewhere."""
    stamp = []
    for file in files:
        try:
            status = os.stat(file)
        except OSError:
            stamp.append((file.name, 0, 0, 0, 0))
        else:
            stamp.append((file.name, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size))
    return tuple(stamp)


def said(error: Exception, path: Path) -> str:
    """What is wrong with *path*, in words; with the name of the file in it where the error is about that."""
    if isinstance(error, OSError) and error.strerror:
        file = Path(os.fsdecode(error.filename or path))
        return error.strerror if file == path else f"{file.name}: {error.strerror}"
    if isinstance(error, crypto.Error | SSL.Error) and error.args and isinstance(error.args[0], list):
        return "; ".join(str(reason) for *_, reason in error.args[0])
    text = str(error).partition("\n")[0]
    return "it is damaged, or only a part of it is there" if "PEM file" in text or not text else text


def read(file: Path) -> bytes:
    """The octets of *file*. OSError; ValueError where it is far too large to be what it should be."""
    with file.open("rb") as opened:
        octets = opened.read(MOST_OCTETS + 1)
    if len(octets) > MOST_OCTETS:
        raise ValueError(f"{file.name} is larger than {MOST_OCTETS // 1024} KiB")
    return octets


def write_secret(path: Path, octets: bytes) -> None:
    """Put *octets* at *path* durably and whole, readable by the owner only; folders above are made. OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # an unfinished one of before may have been open to others
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
