"""What a spool holds when a server starts: the crash table of `queue.spool`, carried out. Blocking, in a thread.

What cannot be read is put aside with an alarm, and nothing there is ever deleted
by us. Where it is not the file that is wrong but the process has no memory or no
descriptors left, the start fails instead: the files stay where they are.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from twisted.logger import Logger

from twistmail.mail.item import Item
from twistmail.queue import records
from twistmail.queue.folders import ENVELOPE, Folders

log = Logger()

OUR_OWN_TROUBLE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

def scan(folders: Folders) -> list[tuple[Item, int]]:
    """Empty tmp, drop leftovers, put damage aside; every item with the sound length of its envelope."""
    for entry in list(os.scandir(folders.tmp)):
        os.unlink(entry.path)
    names = {entry.name for entry in os.scandir(folders.ready)}
    found: list[tuple[Item, int]] = []
    for name in sorted(names):
        stem, _, kind = name.rpartition(".")
        if kind == "content" and stem + ENVELOPE not in names:
            os.unlink(folders.ready / name)
        elif kind == "envelope":
            try:
                found.append(_sound(folders, stem))
            except (records.Damaged, OSError) as error:
                if isinstance(error, OSError) and error.errno in OUR_OWN_TROUBLE:
                    raise
                _put_aside(folders, stem, error)
        elif kind not in ("content", "envelope"):
            log.warn("queue: {name} in {folder} is none of ours; left alone", name=name, folder=str(folders.ready))
    os.fsync(folders.descriptor)
    return found


def _sound(folders: Folders, identifier: str) -> tuple[Item, int]:
    item, length = records.read(Path(folders.envelope(identifier)).read_bytes())
    if item.id != identifier:
        raise records.Damaged(f"it is the envelope of {item.id}")
    size = os.stat(folders.content(identifier)).st_size
    if size != item.size - len(item.prefix):
        raise records.Damaged(f"its content has {size} octets instead of {item.size - len(item.prefix)}")
    return item, length


def _put_aside(folders: Folders, identifier: str, error: Exception) -> None:
    log.critical("queue: {id} is damaged and was moved to {folder}: {error}", id=identifier, folder=str(folders.corrupt), error=error)
    for path in (Path(folders.envelope(identifier)), Path(folders.content(identifier))):
        if path.exists():
            path.rename(_free_name(folders.corrupt / path.name))


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number, free = number + 1, path.with_name(f"{path.name}.{number}")
    return free
