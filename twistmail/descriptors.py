"""Descriptors: how many this process may have, and how many of them connections may take.

A connection without a file to write into is no use: where the peers have all descriptors, nothing can be delivered, and
the listeners only take and drop. So half of them is kept for drafts, the queue and mailboxes (limits.md net.fd_reserve asks
for 64; an account that is in use was seen to take ten, and 64 accounts keep theirs open).
"""

from __future__ import annotations

import resource
from contextlib import suppress

#: Enough for every default of `max_connections` together; more than that nobody has asked for.
ENOUGH = 65_536
#: Mailboxes that are open, their databases, messages on their way: those of the latest accounts are kept open only.
FOR_FILES = 8192


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
    """How many of *limit* descriptors connections may take: half, and of a large one all but what files ever need."""
    return limit - min(limit // 2, FOR_FILES)
