"""Fetches the letter head of a journey from where the letter lies now: a mailbox, else a queue, else what was seen of it before.

Content is in no event: what a page shows of a letter it asks the office for, as a mail program would.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twistmail.interfaces import Unavailable
from twistmail.lab.journey import Copy, Journey, Leg
from twistmail.lab.ring import Event
from twistmail.mail import headers
from twistmail.mail.mailbox import StoreError

#: Octets of a header that are looked at: a letter may consist of nothing else.
MOST_HEADER = 64 * 1024
#: Heads that are remembered, and octets of each.
MOST_KEPT, LONGEST_KEPT = 200, 16 * 1024


class Heads:
    """*service*(office's name): its `MailService`, None while it is off. `note` listens to the ring."""

    def __init__(self, service: Callable[[str], Any]) -> None:
        self._service = service
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def note(self, event: Event) -> None:
        """Remember the head of what goes into a queue: what is refused by others is nowhere a moment later."""
        if event.kind == "queue" and event.what.get("state") == "queued":
            header = self._queued(event.office, event.about)
            if header and len(header) <= LONGEST_KEPT:
                self._kept[event.office, event.about] = header
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)

    async def of(self, journey: Journey) -> bytes:
        """The header block, or b"" where nobody has it any more. The one with the most Received fields is asked for first."""
        for copy in reversed(journey.copies):
            if header := await self._filed(copy):
                return header
        for leg in reversed(journey.legs):
            if header := self._queued(leg.office, leg.id) or self._kept.get(leg.node, b""):
                return header
        return b""

    def _queued(self, office: str, identifier: str) -> bytes:
        """From the queue. A few kilobytes of a local file that has just been written: not worth a thread."""
        runner = runner_of(self._service(office))
        if runner is None or (item := runner.item(identifier)) is None:
            return b""
        try:
            content: bytes = runner.queue.content(identifier).beginning(MOST_HEADER)
        except (OSError, KeyError):
            return b""
        return bytes(item.prefix) + headers.split(content)[0]

    async def _filed(self, copy: Copy) -> bytes:
        service = self._service(copy.office)
        if service is None or not copy.uid:
            return b""
        try:
            boxes = await service.foundation.store.peek(copy.account)
            mailbox = await boxes.open(copy.mailbox) if boxes is not None else None
        except (OSError, StoreError, Unavailable):
            return b""
        if mailbox is None:
            return b""
        try:
            found = await mailbox.span(copy.uid, 0, MOST_HEADER)
            return headers.split(found)[0] if found else b""
        except (OSError, StoreError):
            return b""
        finally:
            mailbox.close()


def is_held(service: Any, leg: Leg) -> bool:
    """Whether an operator holds the item of *leg*."""
    runner = runner_of(service)
    item = runner.item(leg.id) if runner is not None else None
    return bool(item is not None and item.held)


def runner_of(service: Any) -> Any:
    """The queue's runner of an office; None while it is off, or not yet on."""
    foundation = getattr(service, "foundation", None)
    return foundation.runner if foundation is not None else None
