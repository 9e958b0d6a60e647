"""Everything that was written to a file system, durable by one call (syncfs(2))."""

from __future__ import annotations

import ctypes
import errno
import os

_LIBC = ctypes.CDLL(None, use_errno=True)


def syncfs(descriptor: int) -> None:
    """Sync the file system of *descriptor*. OSError.

    Linux answers that all is well where the file system is read-only, without having written anything; and one that has met
    an error of its own becomes so at any moment, with what waited lost.
    """
    if _LIBC.syncfs(descriptor) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
