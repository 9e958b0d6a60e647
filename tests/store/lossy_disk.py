"""A directory as it would be after a power loss: names as of the last sync of anything (a journal commits them all at once),
and of each file what was synced of it, what was written since, a piece of that, or zeros. What ext4 with delayed allocation
may do, and worse.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from random import Random


class LossyDisk:
    """Stands in for the calls of `os` that change or sync files below *root*. `event` is called before each of them."""

    def __init__(self, root: Path, event) -> None:
        self.root = root
        self.event = event
        self.names: dict[str, int] = {}  # {relative path: inode, 0 for a directory}
        self._synced: dict[int, bytes] = {}
        self._held: dict[int, int] = {}
        self._real = {name: getattr(os, name) for name in ("rename", "link", "unlink", "pwrite", "mkdir")}

    def patch(self, monkeypatch) -> None:
        for name, real in self._real.items():
            monkeypatch.setattr(os, name, self._watched(real))
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        for place in ("twistmail.disk.syncfs", "twistmail.syncfs.syncfs"):
            monkeypatch.setattr(place, self.sync_all)

    def _watched(self, real):
        def call(*arguments, **keywords):
            self.event()
            return real(*arguments, **keywords)

        return call

    def after_a_kill(self, target: Path, event) -> LossyDisk:
        """This disk, at *target*, as another process finds it: all is there that was done, and what was not synced still is not."""
        shutil.copytree(self.root, target, symlinks=True)
        other = LossyDisk(target, event)
        for name, inode in self._walk().items():
            copy = target / name
            if inode:
                other._hold(copy.stat().st_ino, str(copy))
                other._synced[copy.stat().st_ino] = self._synced.get(inode, b"")
            if name in self.names:
                other.names[name] = copy.stat().st_ino if inode else 0
        return other

    def fsync(self, descriptor: int) -> None:
        self.event()
        self._save(descriptor)
        self.names = self._walk()

    def fdatasync(self, descriptor: int) -> None:
        self.event()
        self._save(descriptor)

    def sync_all(self, _descriptor: int) -> int:
        self.event()
        self.names = self._walk()
        for inode in self.names.values():
            if inode:
                self._synced[inode] = self._current(inode)
        return 0

    def _save(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._hold(status.st_ino, f"/proc/self/fd/{descriptor}")
            self._synced[status.st_ino] = self._current(status.st_ino)

    def _hold(self, inode: int, path: str) -> None:
        """So that the inode is not given to another file."""
        if inode not in self._held:
            self._held[inode] = os.open(path, os.O_RDONLY)

    def _current(self, inode: int) -> bytes:
        return os.pread(self._held[inode], os.fstat(self._held[inode]).st_size, 0)

    def _walk(self) -> dict[str, int]:
        found = {}
        for folder, folders, files in os.walk(self.root):
            here = os.path.relpath(folder, self.root)
            found |= {os.path.join(here, name): 0 for name in folders}
            for name in files:
                path = os.path.join(folder, name)
                inode = os.stat(path).st_ino
                self._hold(inode, path)
                found[os.path.join(here, name)] = inode
        return found

    def after_power_loss(self, target: Path, chance: Random) -> None:
        """Make the directory *target* what may be left."""
        names = chance.choice((self.names, self._walk()))
        has_index = chance.random() < 0.5
        for name, inode in sorted(names.items()):
            if not inode:
                (target / name).mkdir(parents=True, exist_ok=True)
            elif "sqlite" not in name:
                (target / name).write_bytes(self._left_of(inode, chance))
            elif has_index:
                (target / name).write_bytes(self._current(inode))

    def _left_of(self, inode: int, chance: Random) -> bytes:
        synced, current = self._synced.get(inode, b""), self._current(inode)
        if synced == current:
            return current
        if len(synced) == len(current):  # written over: pages in any order
            pages = [chance.choice((synced, current))[place : place + 4096] for place in range(0, len(current), 4096)]
            return b"".join(pages)
        cut = chance.randint(len(synced), len(current))
        return chance.choice(
            (synced, current, current[:cut], synced + bytes(len(current) - len(synced)), synced + bytes(cut - len(synced)) + current[cut:])
        )

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
