"""The items in the queue as they are now, and how something new about one of them is written down and told."""

from __future__ import annotations

from typing import Any

from twistmail.facts import Fact, Facts, Queued, Removed
from twistmail.interfaces import IQueue
from twistmail.mail.item import Item
from twistmail.mail.outcome import Event, Outcome
from twistmail.mail.values import changed


class Register:
    """`items` by id. What is true here is durable in `queue`, but for what settles an item: removing it says so."""

    def __init__(self, queue: IQueue, facts: Facts, clock: Any) -> None:
        self.queue = queue
        self.items: dict[str, Item] = {}
        self._facts = facts
        self._clock = clock

    def took(self, item: Item) -> None:
        """*item* is new in the queue, and durable there."""
        self.items[item.id] = item
        self._tell(item.id, Queued(len(item.pending)))

    async def record(self, identifier: str, event: Event) -> Item:
        """Write *event* down; the item after it. Several may be under way for one item. OSError."""
        if isinstance(event, Outcome):
            event = changed(event, tried=self._clock.seconds())
        item = self.items[identifier].after(event)
        if not item.is_settled:
            await self.queue.record(identifier, event)
            item = self.items[identifier].after(event)  # which may have changed meanwhile
        self.items[identifier] = item
        self._tell(identifier, event)
        return item

    async def remove(self, identifier: str, why: str) -> None:
        """The item is done with. OSError."""
        await self.queue.remove(identifier)
        self._tell(identifier, Removed(why))  # whoever hears of it may still ask for it
        del self.items[identifier]

    def _tell(self, about: str, what: Any) -> None:
        if self._facts.listened:
            self._facts.tell(Fact(self._clock.seconds(), about, what))
