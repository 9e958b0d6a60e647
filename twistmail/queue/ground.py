"""Whether a file system keeps what it is given: a queue in memory, or behind a network, breaks the promise of a 250 (spec D5).

The kernel's own list of mounts is asked, so nothing is written. Blocking; stdlib only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
MEMORY, NETWORK = "MEMORY", "NETWORK"
_TYPES = {
    MEMORY: {"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"},
    NETWORK: {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs"},
}
_WHY = {
    MEMORY: "lies in memory ({type}): whoever is told 250 loses his mail when the machine stops",
    NETWORK: "lies behind a network ({type}), where a sync promises less than a queue needs",
}


def trouble(root: Path, allowed: Iterable[str], mounts: Path = MOUNTS) -> tuple[str, str] | None:
    """Why a queue in *root* (which may not exist yet) is not safe: what is wrong, and what would be right. None: it is.

    *allowed*: MEMORY and NETWORK, as far as the operator lives with that. Where the kernel tells nothing, there is nothing to say.
    """
    devices = {folder.stat().st_dev for name in ("ready", "tmp", "corrupt") if (folder := root / name).is_dir()}
    if len(devices) > 1:
        return f"{root} is divided: ready, tmp and corrupt lie on different file systems", "put them on one: a rename must be one step"
    kind = file_system(root, mounts)
    for word, types in _TYPES.items():
        if kind in types and word not in allowed:
            what = _WHY[word].format(type=kind)
            return f"{root} {what}", f"choose a folder on a disk, or set [queue] allow = {word.lower()} if you know better"
    return None


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system on which *path* lies, or would lie: "ext4". Empty where that cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place = os.path.realpath(path)
    best, found = "", ""
    for line in lines:
        before, dash, after = line.partition(" - ")
        words = before.split(" ")
        if dash and len(words) > 4:
            point = _plain(words[4])
            if len(point) >= len(best) and _is_below(place, point):  # of two mounts at one place the later one is seen
                best, found = point, after.split(" ", 1)[0]
    return found


def _is_below(place: str, point: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")


def _plain(word: str) -> str:
    """Spaces, tabs, line ends and backslashes are written as octal numbers there (proc(5))."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word)
