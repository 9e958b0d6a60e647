"""Drafts: content too big for memory, on disk while it is being received, and forgotten at the end.

Nothing here is durable and nothing needs to be: before the 250 nothing is
promised (spec D0). Whoever takes the message over copies it; a draft never
outlives its connection, and what a killed process left is removed at start.

Blocking. The sessions call `write` and `finish` through `tasks.Threads`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twistmail.disk import FileContent

_SUFFIX = ".draft"


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


class Draft:
    """One content under way. Ends with `discard`, whatever came before."""

    __slots__ = ("_descriptor", "path", "size")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Append *data*. OSError when the disk is full."""
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self.size += written
            view = view[written:]

    def finish(self) -> FileContent:
        """No more comes: the content, readable until `discard`."""
        self._close()
        return FileContent(self.path, size=self.size)

    def discard(self) -> None:
        """Forget it. May be called at any time, also again."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
