"""Root acts as whom the server runs as, else the server could not read what a command makes."""

from __future__ import annotations

import codecs
import os
import time
from pathlib import Path

#: What Python imports only where it is used for the first time. Whoever we become may not be able to read it, as below /root.
_CODECS = ("ascii", "latin-1", "utf-8", "utf-8-sig", "idna", "punycode", "unicode_escape", "quopri", "base64", "uu")


def become_owner(folder: Path) -> None:
    """From now on be the owner of *folder*, where that is somebody else and we are root."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        get_ready()
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def get_ready() -> None:
    """Import what would else be imported by another user."""
    for name in _CODECS:
        codecs.lookup(name)
    time.strptime("0", "%S")
