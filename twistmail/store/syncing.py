"""Making whole mailboxes durable after the fact: what a checkpoint of the redo log does. Blocking."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from twistmail import syncfs as file_systems
from twistmail.disk import make_durable
from twistmail.store.names import INFO
from twistmail.store.uidlist import FILE


class Syncer:
    """By one syncfs for each file system, or, where other programs' data shall not be written too, file by file."""

    def __init__(self, *, syncfs: bool = True) -> None:
        self._syncfs = syncfs
        self._sync_all = file_systems.syncfs
        self._devices: dict[int, int] = {}

    def watch(self, path: Path) -> None:
        """Keep a descriptor of the file system of *path*: one that is open already hears of every error that comes later."""
        device = os.stat(path).st_dev
        if device not in self._devices:
            self._devices[device] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self, mailboxes: Iterable[tuple[Path, set[bytes]]]) -> None:
        """Maildirs, each with the base names of the files that matter. What has gone by now needs nothing. OSError: nothing is known."""
        for path, bases in mailboxes:
            with suppress(FileNotFoundError, NotADirectoryError):
                if self._syncfs:
                    self.watch(path)
                else:
                    _sync_files(path, bases)
        for descriptor in self._devices.values() if self._syncfs else ():
            self._sync_all(descriptor)

    def sync_all(self, path: Path) -> None:
        """Whatever anybody has written to the file system of *path*, whether or not that is usually allowed. OSError."""
        self.watch(path)
        for descriptor in self._devices.values():
            self._sync_all(descriptor)

    def sync_each(self, paths: Collection[Path]) -> None:
        """So many files and folders. What has gone by now needs nothing. OSError."""
        make_durable(paths, syncfs=self._syncfs)

    def close(self) -> None:
        for descriptor in self._devices.values():
            os.close(descriptor)
        self._devices.clear()


def _sync_files(path: Path, bases: set[bytes]) -> None:
    folder = os.fsencode(path)
    places = [FILE.encode()]
    for name in (b"new", b"cur"):
        places += [name + b"/" + file for file in os.listdir(folder + b"/" + name) if file.partition(INFO)[0] in bases]
    for place in [*places, b"new", b"cur", b""]:
        with suppress(FileNotFoundError):
            _sync_file(folder + b"/" + place)


def _sync_file(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
