"""A message that leaves, as a value: made by `leaving.departure`, brought to a server by the relay."""

from __future__ import annotations

from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.values import frozen


@frozen
class Departure:
    """A message as it is said to a server: `item` has the sender that is said, and the errands of `targets` only."""

    item: Item
    targets: tuple[Target, ...]
    content: Content
