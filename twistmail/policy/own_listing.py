"""Whether a list in the DNS has us ourselves: told in the log once a day, before our mail begins to come back.

The lists are those that we ask about others; our addresses are those of this
machine that the world can see. Behind a translating router there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.networks import covers
from twistmail.policy.dnslists import DnsList, reversed_name
from twistmail.policy.neighbours import LOOPBACK, PRIVATE

log = Logger()

DAY = 86_400.0


class OwnListing:
    """*own_addresses*() are those of this machine; *clock* gives seconds."""

    def __init__(self, lists: Sequence[DnsList], own_addresses: Callable[[], frozenset[str]], clock: Any) -> None:
        self._lists = lists
        self._own_addresses = own_addresses
        self._clock = clock
        self._due = float("-inf")

    def look(self) -> None:
        """Look, if a day has gone by. Returns at once."""
        now = self._clock.seconds()
        if self._lists and now >= self._due:
            self._due = now + DAY
            tasks.start(self._look(), "looking for our own addresses in lists in the DNS")

    async def _look(self) -> None:
        for address in sorted(self._own_addresses()):
            if covers((*LOOPBACK, *PRIVATE), address):
                continue
            for one in self._lists:
                if listing := await one.find(reversed_name(address)):
                    log.error(
                        "our own address {address} is listed by {rule}: {reason}", address=address, rule=listing.rule, reason=listing.reason
                    )
