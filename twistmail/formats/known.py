"""The formats by name, and which of them lies at a path."""

from __future__ import annotations

from pathlib import Path

from twistmail.formats import maildir, mbox, mh
from twistmail.formats.contract import Format, NotThisFormat

NAMES = ("mbox", "mboxo", "mmdf", "mh", "maildir")


def named(name: str, *, local_time: bool = False) -> Format:
    """The format called *name*. *local_time*: what `mbox.reading` says."""
    kinds = {kind.name: kind for kind in (mbox.MBOX, mbox.MBOXO, mbox.MMDF)}
    if name in kinds:
        return mbox.format_of(kinds[name], local_time=local_time)
    return {"mh": mh.FORMAT, "maildir": maildir.FORMAT}[name]


def found_at(path: Path, *, local_time: bool = False) -> Format:
    """The format of what lies at *path*. NotThisFormat where it is none of them; FileNotFoundError."""
    path.stat()
    for name in ("maildir", "mh", "mbox", "mmdf") if path.is_dir() else ("mbox", "mmdf"):
        candidate = named(name, local_time=local_time)
        if candidate.folders(path):
            return candidate
    raise NotThisFormat(f"{path} is neither Maildir nor MH nor mbox nor MMDF")
