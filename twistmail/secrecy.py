"""What this process has in its memory is nobody else's business: no core files, and no look inside by others of the same user.

Passwords are there while they are compared, and so are the keys of certificates. A core file would bring them to the disk
(limits.md section 4: LimitCORE=0); a process that is not dumpable cannot be traced, nor its memory read, by anybody but root.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress

PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_memory_private() -> None:
    """From now on, and for every process that we start, no core is written; this one cannot be traced by others than root.

    Call it after root is given up: with a change of the user the kernel decides anew whether a process is dumpable. Where the
    system has no prctl, the limit holds alone.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
