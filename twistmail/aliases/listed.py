"""One alias as a list of them shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twistmail.aliases.items import Item
from twistmail.mail.address import Address
from twistmail.mail.values import frozen


@frozen
class Listed:
    """`name` is what stands on the left; `address` the same where it is one whole address, or a name for all local domains.

    `texts` is what it stands for, as it is written; `items` the same, where that is the same for everybody; `origin`: where.
    """

    name: str
    texts: tuple[str, ...]
    origin: str
    address: Address | None = None
    items: tuple[Item, ...] = ()
    owner: Address | None = None

    @property
    def targets(self) -> tuple[Address, ...]:
        """Those of the items that are addresses."""
        return tuple(item for item in self.items if isinstance(item, Address))

    def as_json(self) -> dict[str, Any]:
        owner = {"owner": str(self.owner)} if self.owner else {}
        return {"address": self.name, "targets": list(self.texts), "source": self.origin, **owner}


def listed(address: Address, items: Sequence[Item], origin: str, owner: Address | None = None) -> Listed:
    """An alias in the syntax of aliases(5)."""
    return Listed(str(address), tuple(map(str, items)), origin, address, tuple(items), owner)
