"""Reports about mail that left with a sender for each recipient (VERP, or of a list): they go to these senders too, one for each.

Stands before `queue.reports.Reports`, which is given the item as if it had that
sender, and the recipients of that address only. What is left is due at once.
Who wrote to a list does not hear of its members: that is their own sender's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twistmail.leaving.departure import Leaving
from twistmail.mail.item import Errand, Item


class SeparateReports:
    """*reports* (`queue.reports.Reports`) for items of which *leaving* says to whom a report about each recipient goes."""

    def __init__(self, reports: Any, leaving: Leaving) -> None:
        self._reports = reports
        self._leaving = leaving

    def __getattr__(self, name: str) -> Any:
        """All that is not about who is written to."""
        return getattr(self._reports, name)

    async def failures(self, item: Item) -> Any:
        """As `Reports.failures`, about those failures of *item* that belong into one report."""
        return await self._reports.failures(self._part(item, item.unreported))

    async def successes(self, item: Item) -> Any:
        """As `Reports.successes`, about what belongs into one report."""
        return await self._reports.successes(self._part(item, item.unconfirmed))

    async def warning(self, item: Item, give_up_at: float) -> Any:
        """As `Reports.warning`, about what the sender himself has sent."""
        mine = tuple(errand for errand in item.errands if errand.target.sender is None)
        return await self._reports.warning(item if len(mine) == len(item.errands) else replace(item, errands=mine), give_up_at)

    def _part(self, item: Item, owed: Sequence[Errand]) -> Item:
        """*item* with the sender, and the owed errands, of one report: the first that is due."""
        if item.sender is None:
            return item
        addresses = self._leaving.report_addresses(item, owed)
        first = addresses[0]
        if first == item.sender and addresses.count(first) == len(addresses):
            return item
        mine = tuple(errand for errand, address in zip(owed, addresses, strict=True) if address == first)
        return replace(item, sender=first, errands=mine)
