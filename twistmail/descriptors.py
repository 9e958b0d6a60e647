"""Descriptors: how many this process may have, and how many of them connections may take.

A connection without a file to write into is no use: where the peers have all descriptors, nothing can be delivered, and
the listeners only take and drop. So a part is kept from them (limits.md net.fd_reserve): a quarter, which is for drafts,
mailboxes and the queue, and never less than RESERVE.
"""

from __future__ import annotations

import resource
from contextlib import suppress

RESERVE = 64
#: Enough for every default of `max_connections` together; more than that nobody has asked for.
ENOUGH = 65_536


def raise_limit() -> int:
    """Raise the limit of this process as far as it may, but not beyond ENOUGH; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return ENOUGH if soft == resource.RLIM_INFINITY else soft


def for_connections(limit: int) -> int:
    """How many of *limit* descriptors connections may take; half of them where there are very few."""
    return max(limit - max(RESERVE, limit // 4), limit // 2)
