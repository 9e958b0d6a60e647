"""The folders of a spool: which names its files have, and that all of them lie in one place.

A rename between `tmp` and `ready` must be one step, so the three folders lie on
one file system. Whether that file system keeps what it is given is asked by
`queue.ground`. Blocking.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

CONTENT, ENVELOPE = ".content", ".envelope"


class Folders:
    """The three folders of a spool, made where they are missing, and an open descriptor of the one whose names must be durable.

    Raises OSError; EXDEV where they do not lie on one file system.
    """

    def __init__(self, root: Path) -> None:
        self.ready, self.tmp, self.corrupt = root / "ready", root / "tmp", root / "corrupt"
        for folder in (root, self.ready, self.tmp, self.corrupt):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        devices = {folder.stat().st_dev for folder in (self.ready, self.tmp, self.corrupt)}
        if len(devices) > 1:
            raise OSError(errno.EXDEV, "ready, tmp and corrupt must lie on one file system", str(root))
        for folder in (root.parent, root):
            _sync_folder(folder)
        self.root = root
        self.descriptor = os.open(self.ready, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

        # text, because making a Path costs more than what the system does with it (measured: 60 us for the pair)
        self._ready, self._tmp = f"{self.ready}/", f"{self.tmp}/"

    def content(self, identifier: str) -> str:
        return self._ready + identifier + CONTENT

    def envelope(self, identifier: str) -> str:
        return self._ready + identifier + ENVELOPE

    def temporary(self, identifier: str) -> tuple[str, str]:
        """Where content and envelope are written."""
        return self._tmp + identifier + CONTENT, self._tmp + identifier + ENVELOPE


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


