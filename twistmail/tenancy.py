"""Who lives here: one server to a data folder, and the sockets that a killed one has left behind.

The lock is the kernel's, on the folder itself, and goes with the process however that ends. A file that names a process
(Twisted's own way) is believed for as long as anybody has that number: after a crash in a container it is our own, and the
server never starts again.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path


class Occupied(Exception):
    """Another server lives in the folder."""


def occupy(folder: Path) -> int:
    """Take *folder*, made when missing, for this process; closing the descriptor gives it back. Occupied, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Occupied(f"another server uses {folder}") from None
    return descriptor


def clear(path: Path) -> None:
    """Remove the UNIX socket at *path* where nobody listens there any more; whatever else it is, is left alone."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            pass  # somebody is busy there, or it is not ours to ask: binding will tell
