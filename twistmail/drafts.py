"""Drafts: content too big for memory, on disk while it is being received, and forgotten at the end.

A draft is written as the store will keep it, with LF line ends, so that a
mailbox gets it by one copy inside the kernel. Content in which a CR or an LF
stands alone cannot be had back from that; its draft has the octets as they came.

Nothing here is durable and nothing needs to be: before the 250 nothing is
promised (spec D0). Whoever takes the message over copies it; a draft never
outlives its connection, and what a killed process left is removed at start.

Blocking. The sessions call `write` and `finish` through `tasks.Threads`.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twisted.logger import Logger

from twistmail.disk import FileContent
from twistmail.mail import lines
from twistmail.mail.content import CHUNK, Content

log = Logger()

_SUFFIX = ".draft"
#: What a kernel or file system answers that cannot copy between these two files.
_NO_COPY = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


class Drafts:
    """The folder of drafts, `data_dir/drafts`; made when missing, emptied of drafts. OSError where it cannot be had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(f"*{_SUFFIX}"):
            left.unlink(missing_ok=True)

    def open(self) -> Draft:
        """A new, empty draft. OSError where there is no room or no descriptor."""
        descriptor, name = tempfile.mkstemp(suffix=_SUFFIX, dir=self.folder)
        return Draft(Path(name), descriptor)


class Drafted:
    """The content of a finished draft: CRLF line ends for who reads it, LF in the file, which has `stored` octets."""

    __slots__ = ("path", "size", "stored")

    def __init__(self, path: Path, size: int, stored: int) -> None:
        self.path = path
        self.size = size
        self.stored = stored

    def chunks(self) -> Iterator[bytes]:
        with self.path.open("rb", buffering=0) as file:
            while piece := file.read(CHUNK // 2):  # twice as much with CRLF, at most
                yield piece.replace(b"\n", b"\r\n")

    def beginning(self, limit: int) -> bytes:
        with self.path.open("rb") as file:
            return file.read(limit).replace(b"\n", b"\r\n")[:limit]

    def copy_to(self, descriptor: int) -> None:
        """Append the octets of the file to the one that *descriptor* has open for writing. OSError when the disk is full."""
        with self.path.open("rb", buffering=0) as file:
            left = self.stored
            while left > 0:
                copied = _copied(file.fileno(), descriptor, left)
                if not copied:
                    raise OSError(f"{self.path} is shorter than it was")
                left -= copied


def _copied(source: int, target: int, most: int) -> int:
    """Octets that went from one file to the other, inside the kernel where it can."""
    try:
        return os.copy_file_range(source, target, most)
    except OSError as error:
        if error.errno not in _NO_COPY:
            raise
    piece = os.read(source, min(most, CHUNK))
    left = memoryview(piece)
    while left:
        left = left[os.write(target, left) :]
    return len(piece)


class Draft:
    """One content under way. Ends with `discard`, whatever came before."""

    __slots__ = ("_after_cr", "_descriptor", "_is_plain", "_stored", "path", "size")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0  # octets that have come
        self._stored = 0
        self._is_plain = True  # so far, every line end was CRLF
        self._after_cr = False  # one that waits for its LF
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Append *data*. OSError when the disk is full."""
        self.size += len(data)
        if not self._is_plain:
            self._write(data)
            return
        data = b"\r" + data if self._after_cr else data
        self._after_cr = data.endswith(b"\r")
        stored = lines.plain_lf(data[:-1] if self._after_cr else data)
        if stored is None:
            self._give_up(data)
        else:
            self._write(stored)

    def finish(self) -> Content:
        """No more comes: the content, readable until `discard`."""
        if self._is_plain and self._after_cr:
            self._give_up(b"\r")
        self._close()
        return Drafted(self.path, self.size, self._stored) if self._is_plain else FileContent(self.path, size=self.size)

    def discard(self) -> None:
        """Forget it. May be called at any time, also again."""
        self._close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:  # a disk in trouble: the next start removes it
            log.warn("a draft stays behind: {error}", error=error)

    def _give_up(self, data: bytes) -> None:
        """From now on octets stand here as they come; what stands here already becomes so too, then *data* follows."""
        before = Drafted(self.path, 0, self._stored)
        self._is_plain, self._after_cr = False, False
        other, name = tempfile.mkstemp(suffix=_SUFFIX, dir=self.path.parent)
        try:
            self._descriptor, other = other, self._descriptor
            for chunk in before.chunks():
                self._write(chunk)
            self._write(data)
            os.rename(name, self.path)
        except BaseException:
            os.unlink(name)
            raise
        finally:
            os.close(other)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._stored += written
            view = view[written:]

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
