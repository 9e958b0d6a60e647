"""A queue in memory. Implements IQueue; forgets everything with its process."""

from __future__ import annotations

import errno

from zope.interface import implementer

from twistmail.interfaces import IQueue
from twistmail.mail.bounds import Bounds
from twistmail.mail.content import Content, Memory
from twistmail.mail.item import Item
from twistmail.mail.outcome import Event


@implementer(IQueue)
class MemoryQueue:
    """`recorded`: every (identifier, event) in order, for tests. `full` True makes `add` fail with ENOSPC."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.bytes = 0
        self.full = False
        self.recorded: list[tuple[str, Event]] = []
        self._items: dict[str, Item] = {}
        self._contents: dict[str, Memory] = {}

    async def recover(self) -> tuple[Item, ...]:
        return self.items()

    async def add(self, item: Item, content: Content) -> None:
        if item.id in self._items:
            raise FileExistsError(errno.EEXIST, "the queue has an item of this name", item.id)
        if (full := self.room_for(item.size, report=item.sender is None)) is not None:
            raise full
        self._contents[item.id] = Memory(b"".join(content.chunks()))
        self._items[item.id] = item
        self.bytes += item.size

    def room_for(self, size: int, *, report: bool = False) -> OSError | None:
        why = "the queue is full" if self.full else self.bounds.refusal(len(self._items), self.bytes, size, report=report)
        return OSError(errno.ENOSPC, why) if why else None

    async def record(self, identifier: str, event: Event) -> Item:
        item = self._items[identifier].after(event)
        self.recorded.append((identifier, event))
        self._items[identifier] = item
        return item

    async def hold(self, identifier: str, held: bool, why: str = "") -> Item:
        item = self._items[identifier].on_hold(held, why)
        self._items[identifier] = item
        return item

    async def remove(self, identifier: str) -> None:
        self.bytes -= self._items.pop(identifier).size
        del self._contents[identifier]

    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def content(self, identifier: str) -> Memory:
        return self._contents[identifier]
