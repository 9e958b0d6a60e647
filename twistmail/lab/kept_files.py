"""Files of an office as they were before a lesson wrote them: a copy beside each, until it is put back. Blocking.

The copy outlives the process: what was not put back when the classroom ended is put back when it starts again (`town`).
"""

from __future__ import annotations

from pathlib import Path

#: Behind the name of a file: how it was before; empty where there was none.
BEFORE = ".before-lesson"


def keep(path: Path) -> None:
    """Copy the file at *path*; a copy that is there already is of an earlier lesson, and stays."""
    copy = path.with_name(path.name + BEFORE)
    if not copy.exists():
        copy.write_bytes(_content(path))


def put_back(path: Path) -> bool:
    """Make *path* what it was when it was kept, and whether it was something else by now."""
    copy = path.with_name(path.name + BEFORE)
    if not copy.exists():
        return False
    before = copy.read_bytes()
    is_changed = _content(path) != before
    if is_changed:
        path.write_bytes(before)
    copy.unlink()
    return is_changed


def put_back_all(folder: Path) -> None:
    """All that were kept in *folder*."""
    for copy in folder.glob(f"*{BEFORE}"):
        put_back(copy.with_name(copy.name.removesuffix(BEFORE)))


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
