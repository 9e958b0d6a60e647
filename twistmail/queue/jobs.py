"""What is done to the files of a spool, as jobs for the committer (`disk.Job`): all methods run in its thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress

from twistmail.disk import FileContent
from twistmail.mail.content import Content
from twistmail.mail.item import Item
from twistmail.queue import records
from twistmail.queue.folders import Folders

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Add:
    """Content and envelope, written under temporary names, published in this order."""

    def __init__(self, folders: Folders, lengths: dict[str, int], item: Item, content: Content) -> None:
        self.folders, self.lengths, self.item, self.content = folders, lengths, item, content
        self.size = item.size
        self.open: list[int] = []
        self.left: list[str] = []  # temporary names that are still in use

    def write(self) -> Iterable[int]:
        self.left += self.folders.temporary(self.item.id)
        content, envelope = self.left
        if not self._linked(content):
            self._write(content, self.content.chunks(), self.item.size - len(self.item.prefix))
        record = records.written(self.item)
        self._write(envelope, (record,), len(record))
        self.lengths[self.item.id] = len(record)
        return self.open

    def _linked(self, name: str) -> bool:
        """A whole file (a draft, which never changes any more) on this file system gets a second name instead of a copy."""
        source = self.content
        if not isinstance(source, FileContent) or source.start or source.path.stat().st_size != source.size:
            return False
        try:
            os.link(source.path, name, follow_symlinks=False)
        except OSError:
            return False
        self.open.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        return True

    def _write(self, name: str, chunks: Iterable[bytes], size: int) -> None:
        descriptor = os.open(name, _NEW, 0o600)
        self.open.append(descriptor)
        total = 0
        for chunk in chunks:
            _write_all(descriptor, chunk)
            total += len(chunk)
        if total != size:
            raise OSError(errno.EIO, f"{total} octets came where {size} were promised", name)

    def publish(self) -> Iterable[int]:
        os.rename(self.left[0], self.folders.content(self.item.id))
        os.rename(self.left[1], self.folders.envelope(self.item.id))
        self.left.clear()
        return (self.folders.descriptor,)

    def close(self) -> None:
        for descriptor in self.open:
            os.close(descriptor)
        for name in self.left:
            _unlink(name)


class Append:
    """One more record at the end of an envelope. What a failed write left behind is written over by the next one."""

    def __init__(self, folders: Folders, lengths: dict[str, int], identifier: str, line: bytes) -> None:
        self.folders, self.lengths, self.identifier, self.line = folders, lengths, identifier, line
        self.size = len(line)
        self.descriptor = -1

    def write(self) -> Iterable[int]:
        if self.identifier not in self.lengths:
            raise KeyError(self.identifier)
        self.descriptor = os.open(self.folders.envelope(self.identifier), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        end = self.lengths[self.identifier]
        if os.pwrite(self.descriptor, self.line, end) != len(self.line):
            raise OSError(errno.ENOSPC, "the record was written in part only", self.identifier)
        self.lengths[self.identifier] = end + len(self.line)
        return (self.descriptor,)

    def publish(self) -> Iterable[int]:
        return ()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class Remove:
    """The envelope goes first: from then on the content is a leftover."""

    size = 0

    def __init__(self, folders: Folders, lengths: dict[str, int], identifier: str) -> None:
        self.folders, self.lengths, self.identifier = folders, lengths, identifier

    def write(self) -> Iterable[int]:
        return ()

    def publish(self) -> Iterable[int]:
        _unlink(self.folders.envelope(self.identifier))
        _unlink(self.folders.content(self.identifier))
        self.lengths.pop(self.identifier, None)
        return (self.folders.descriptor,)

    def close(self) -> None:
        pass


def _unlink(name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
