"""One store of several (IMailStore): each account's mailboxes lie in the store of its format."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from zope.interface import implementer

from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.mail.mailbox import Delivery
from twistmail.store_interfaces import IMailStore


@implementer(IMailStore)
class StoreByFormat:
    """*stores*: by the names of their formats; *format_of*(account) tells the one of an account, or raises Unavailable.

    *later*: what makes a store that is only made when the first account is found to be in it.
    """

    def __init__(
        self, stores: Mapping[str, Any], format_of: Callable[[str], Awaitable[str]], later: Mapping[str, Callable[[], Any]] | None = None
    ) -> None:
        self._stores = dict(stores)
        self._format_of = format_of
        self._later = dict(later or {})

    def _made(self, name: str) -> Any:
        if name in self._later:
            self._stores[name] = self._later.pop(name)()
        return self._stores[name]

    async def _store(self, account: str) -> Any:
        """Raises OSError where it cannot be told which."""
        try:
            return self._made(await self._format_of(account))
        except Unavailable as error:
            raise OSError(errno.EAGAIN, f"in which format {account} has mail cannot be told: {error}") from error

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[BaseException | None]:
        results: list[BaseException | None] = [None] * len(deliveries)
        parts: dict[Any, list[int]] = {}
        for place, delivery in enumerate(deliveries):
            try:
                parts.setdefault(await self._store(delivery.account), []).append(place)
            except OSError as error:
                results[place] = error
        answers = await tasks.gather(*(store.deliver([deliveries[place] for place in places]) for store, places in parts.items()))
        for places, answer in zip(parts.values(), answers, strict=True):
            for place, result in zip(places, answer, strict=True):
                results[place] = result
        return results

    async def mailboxes(self, account: str) -> Any:
        return await (await self._store(account)).mailboxes(account)

    async def peek(self, account: str) -> Any:
        return await (await self._store(account)).peek(account)

    async def annotated(self, accounts: Sequence[str], entry: str) -> dict[str, dict[str, bytes]]:
        parts: dict[Any, list[str]] = {}
        for account in accounts:
            parts.setdefault(await self._store(account), []).append(account)
        found: dict[str, dict[str, bytes]] = {}
        for store, names in parts.items():
            found |= await store.annotated(names, entry)
        return found

    async def poll(self) -> None:
        await tasks.gather(*(store.poll() for store in self._stores.values()))

    async def tidy(self) -> None:
        for store in tuple(self._stores.values()):  # meanwhile another may be made
            await store.tidy()

    async def remove_account(self, account: str) -> None:
        await (await self._store(account)).remove_account(account)

    async def rename_account(self, old: str, new: str) -> None:
        done: list[Any] = []
        try:
            for store in [self._made(name) for name in (*self._stores, *self._later)]:
                await store.rename_account(old, new)
                done.append(store)
        except OSError:
            for store in done:
                await store.rename_account(new, old)
            raise

    def close(self) -> None:
        for store in self._stores.values():
            store.close()
