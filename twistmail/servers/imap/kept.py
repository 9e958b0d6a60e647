"""Blocks of rendered FETCH responses that are kept for the next who asks the same: another program of the same user, or the same one again.

What a message is never changes (RFC 3501 §2.3.1.1: its UID with the UIDVALIDITY
and the mailbox's name stand for it forever), and a block is known by all else that stands in it: what was
asked, the numbers, the UIDs and, where they were asked for, the flags. So nothing is ever wrong here and nothing has
to be told of changes; what nobody asks for any more is the first to go.

All sessions of a service share one `Kept`. It is bounded in octets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

#: Octets that are kept for all clients together, keys counted.
MOST_OCTETS = 32 * 1024 * 1024
#: A block of more octets is not kept: a few of them would take the place of all others.
BIGGEST = 1024 * 1024


class Kept:
    """See the module note. `octets`: how many there are now."""

    __slots__ = ("_blocks", "_most", "octets")

    def __init__(self, most: int = MOST_OCTETS) -> None:
        self._blocks: OrderedDict[Hashable, tuple[bytes, int]] = OrderedDict()
        self._most = most
        self.octets = 0

    def find(self, key: Hashable) -> bytes | None:
        found = self._blocks.get(key)
        if found is None:
            return None
        self._blocks.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, block: bytes, weight: int) -> None:
        """*weight*: octets of the key."""
        weight += len(block)
        if weight > min(BIGGEST, self._most):
            return
        before = self._blocks.pop(key, None)
        self.octets += weight - (before[1] if before else 0)
        self._blocks[key] = block, weight
        while self.octets > self._most:
            _, (_, gone) = self._blocks.popitem(last=False)
            self.octets -= gone
