"""Root acts as whom the server runs as, else the server could not read what a command makes."""

from __future__ import annotations

import os
from pathlib import Path


def become_owner(folder: Path) -> None:
    """From now on be the owner of *folder*, where that is somebody else and we are root."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
