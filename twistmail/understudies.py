"""What stands in for the parts that keep mail while a message is only rehearsed: each says what the real one would say, and keeps nothing.

The real ones may be None, where no server runs: then every mailbox is taken for empty, and the queue too.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.mailbox import Delivery, Quota
from twistmail.mail.outcome import Foreseen, Outcome
from twistmail.mail.values import frozen
from twistmail.mailflow import Dispatch


@frozen
class Copy:
    """What would lie in a mailbox. `error`: why it would not."""

    account: str
    folder: str
    octets: int
    error: BaseException | None = None


class Store:
    """As much of an IMailStore as a Reception needs. *terms*: `terms.Terms`. What was delivered is in `copies`."""

    def __init__(self, store: Any, terms: Any) -> None:
        self.copies: list[Copy] = []
        self._store = store
        self._terms = terms

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        taken: dict[str, tuple[int, int]] = {}
        errors: list[BaseException | None] = []
        for delivery in deliveries:
            octets, messages = taken.get(delivery.account, (0, 0))
            own = len(delivery.prefix) + delivery.content.size
            error = await self._objection(delivery.account, octets + own, messages + 1)
            if error is None:
                taken[delivery.account] = octets + own, messages + 1
            self.copies.append(Copy(delivery.account, delivery.folder, own, error))
            errors.append(error)
        return errors

    async def _objection(self, account: str, octets: int, messages: int) -> BaseException | None:
        try:
            limits = await self._terms.quota_of(account)
            if limits == (None, None):
                return None
            boxes = await self._store.peek(account) if self._store is not None else None
            has_room = Quota(0, 0, *limits).allows(octets, messages) if boxes is None else await boxes.room_for(octets, messages)
        except OSError as error:
            return error
        return None if has_room else OSError(errno.EDQUOT, "the mailbox is full")

    async def mailboxes(self, account: str) -> Any:
        boxes = await self._store.peek(account) if self._store is not None else None
        if boxes is None:
            raise OSError(errno.ENOENT, f"{account} has no mailboxes yet")
        return boxes


class Queue:
    """As much of an IQueue and its Runner as a Reception needs. What would wait is in `items`."""

    def __init__(self, queue: Any) -> None:
        self.items: list[Item] = []
        self._queue = queue

    def room_for(self, size: int, *, report: bool = False) -> OSError | None:
        return None if self._queue is None else self._queue.room_for(size, report=report)  # type: ignore[no-any-return]

    async def submit(self, item: Item, content: Content) -> None:
        if (full := self.room_for(item.size, report=item.sender is None)) is not None:
            raise full
        self.items.append(item)


class NotingDispatch(Dispatch):
    """`item` is the message whose mailboxes were served, as it was before."""

    item: Item | None = None

    async def attempt_mailboxes(self, item: Item, content: Content) -> Sequence[Outcome]:
        self.item = item
        return await super().attempt_mailboxes(item, content)

    async def foresee(self, item: Item, target: Target) -> Foreseen | None:
        """What its courier knows of *target*; None where that knows nothing. Raises Unavailable."""
        foresee = getattr(self._couriers.get(target.kind), "foresee", None)
        return None if foresee is None else await foresee(item, target)  # type: ignore[no-any-return]


@frozen
class Piper:
    """Where no helper runs: what it would have been told to do (`names`). It does nothing."""

    names: frozenset[str]


class Relay:
    """Whom nobody asks for anything."""

    async def carry_along(self, *about: Any) -> Sequence[Outcome]:
        raise AssertionError("a rehearsal brings nothing anywhere")


class Drafts:
    """Long contents stay in memory: whoever rehearses has them there already."""

    def open(self) -> Draft:
        return Draft()


class Draft:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    def finish(self) -> Content:
        return Memory(b"".join(self._pieces))

    def discard(self) -> None:
        self._pieces.clear()


@frozen
class Understudies:
    """What `receiving.reception_of` takes for a foundation."""

    ground: Any
    store: Store
    queue: Queue

    @property
    def runner(self) -> Queue:
        return self.queue
