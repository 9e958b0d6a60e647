"""One open mailbox with somebody's rights in front of it (IMailbox): every command family works on it as on any other.

What may not be done raises StoreError NOPERM; flags that may not be set are left
out, as RFC 4314 §4 wants it. Rights are those of this moment: when they change,
whoever watches hears a Change, with `gone` where the mailbox may not even be read
any more.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from zope.interface import implementer

from twistmail.mail import acl
from twistmail.mail.acl import Rights
from twistmail.mail.mailbox import FLAG_NAMES, Change, Column, Copied, FlagChange, NewMessage, SortKey, StoreError, Threading
from twistmail.servers.imap.sharing.places import Place
from twistmail.store_interfaces import IMailbox

#: Rights that a flag may need.
FLAG_RIGHTS: Rights = frozenset("stw")


class Guide(Protocol):
    """The tree, as one of its mailboxes needs it."""

    def rights_now(self, place: Place) -> Rights: ...

    def released(self, guarded: Guarded) -> None: ...

    async def transfer(self, source: Guarded, uids: Sequence[int], target: str, by: Any, *, moving: bool) -> Copied: ...


def of_one_account(one: IMailbox, other: IMailbox) -> bool:
    """Whether two open mailboxes count against one quota."""
    return getattr(one, "account", "") == getattr(other, "account", "")


def forbidden(what: str) -> StoreError:
    return StoreError(f"You may not {what}", "NOPERM")


@implementer(IMailbox)
class Guarded:
    """*inner* (IMailbox), which is at *place*. Its rights are told by *guide*; call `look` when they may have changed."""

    def __init__(self, inner: Any, place: Place, guide: Guide) -> None:
        self.inner = inner
        self.name: str = place.alias or place.prefix + inner.name
        self.account = place.account
        self._place = place
        self._guide = guide
        self.rights = guide.rights_now(place)
        self._watchers: list[Callable[[Change], None]] = []

    def look(self) -> None:
        """See whether the rights are still the same."""
        had, self.rights = self.rights, self._guide.rights_now(self._place)
        if had != self.rights:
            for watcher in tuple(self._watchers):
                watcher(Change(gone="r" in had and "r" not in self.rights))

    def need(self, right: str, what: str) -> None:
        """StoreError where the right to *what* is lacking."""
        if right not in self.rights:
            raise forbidden(what)

    # ----- what it is

    @property
    def uidvalidity(self) -> int:
        return self.inner.uidvalidity  # type: ignore[no-any-return]

    @property
    def mailboxid(self) -> str:
        return self.inner.mailboxid  # type: ignore[no-any-return]

    @property
    def uidnext(self) -> int:
        return self.inner.uidnext  # type: ignore[no-any-return]

    @property
    def highest_modseq(self) -> int:
        return self.inner.highest_modseq  # type: ignore[no-any-return]

    @property
    def uids(self) -> array[int]:
        return self.inner.uids  # type: ignore[no-any-return]

    @property
    def bits(self) -> array[int]:
        return self.inner.bits  # type: ignore[no-any-return]

    @property
    def modseqs(self) -> array[int]:
        return self.inner.modseqs  # type: ignore[no-any-return]

    @property
    def keywords(self) -> list[str]:
        return self.inner.keywords  # type: ignore[no-any-return]

    def watch(self, watcher: Callable[[Change], None]) -> None:
        self._watchers.append(watcher)
        self.inner.watch(watcher)

    def unwatch(self, watcher: Callable[[Change], None]) -> None:
        self._watchers = [other for other in self._watchers if other != watcher]
        self.inner.unwatch(watcher)

    def close(self) -> None:
        self._guide.released(self)
        self.inner.close()

    async def refresh(self) -> None:
        await self._reading().refresh()

    async def claim_recent(self) -> tuple[int, ...]:
        return await self.inner.claim_recent() if "r" in self.rights else ()

    # ----- reading

    def _reading(self) -> Any:
        self.need("r", "read this mailbox")
        return self.inner

    async def rows(self, uids: Sequence[int], columns: Sequence[Column]) -> Any:
        return await self._reading().rows(uids, columns)

    async def read(self, uids: Sequence[int]) -> Any:
        return await self._reading().read(uids)

    async def load(self, uids: Sequence[int]) -> Any:
        return await self._reading().load(uids)

    async def unique_ids(self) -> dict[int, bytes]:
        return await self._reading().unique_ids()  # type: ignore[no-any-return]

    async def span(self, uid: int, start: int, length: int) -> bytes | None:
        return await self._reading().span(uid, start, length)  # type: ignore[no-any-return]

    async def text_search(self, uids: Sequence[int], needle: str, headers: bool) -> set[int]:
        return await self._reading().text_search(uids, needle, headers)  # type: ignore[no-any-return]

    async def header_search(self, uids: Sequence[int], field: str, needle: str) -> set[int]:
        return await self._reading().header_search(uids, field, needle)  # type: ignore[no-any-return]

    async def sort(self, uids: Sequence[int], keys: Sequence[tuple[SortKey, bool]]) -> list[int]:
        return await self._reading().sort(uids, keys)  # type: ignore[no-any-return]

    async def thread(self, uids: Sequence[int], how: Threading) -> Any:
        return await self._reading().thread(uids, how)

    def changed_since(self, modseq: int) -> list[int]:
        return self._reading().changed_since(modseq)  # type: ignore[no-any-return]

    async def vanished_since(self, modseq: int) -> list[int]:
        return await self._reading().vanished_since(modseq)  # type: ignore[no-any-return]

    # ----- changing

    async def store(
        self, uids: Sequence[int], change: FlagChange, flags: Sequence[str], by: Any = None, unchanged_since: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Those of *flags* that may be changed are; StoreError where none may (RFC 4314 §4, STORE)."""
        if self.rights >= FLAG_RIGHTS:
            return await self.inner.store(uids, change, flags, by, unchanged_since)  # type: ignore[no-any-return]
        allowed = acl.permitted(flags, self.rights)
        if not (self.rights & FLAG_RIGHTS) or (flags and not allowed):
            raise forbidden("change these flags")
        if change is not FlagChange.SET:
            return await self.inner.store(uids, change, allowed, by, unchanged_since)  # type: ignore[no-any-return]
        return await self._replace(uids, allowed, by, unchanged_since)

    async def _replace(
        self, uids: Sequence[int], flags: Sequence[str], by: Any, unchanged_since: int | None
    ) -> tuple[list[int], list[int]]:
        """Set *flags* and clear others, but only others that may be changed."""
        kept = {flag.lower() for flag in flags}
        cleared = [flag for flag in acl.permitted((*FLAG_NAMES, *self.keywords), self.rights) if flag.lower() not in kept]
        changed, failed = await self.inner.store(uids, FlagChange.REMOVE, cleared, by, unchanged_since)
        left = [uid for uid in uids if uid not in set(failed)] if failed else uids
        more, _ = await self.inner.store(left, FlagChange.ADD, flags, by)
        return sorted({*changed, *more}), failed

    async def expunge(self, uids: Sequence[int], by: Any = None, durable: bool = False) -> list[int]:
        self.need("e", "expunge messages here")
        return await self.inner.expunge(uids, by, durable)  # type: ignore[no-any-return]

    async def append(self, messages: Sequence[NewMessage], freed: Sequence[int] = ()) -> Copied:
        """Flags that may not be set are left out."""
        self.need("i", "put messages into this mailbox")
        if not self.rights >= FLAG_RIGHTS:
            messages = [replace(message, flags=acl.permitted(message.flags, self.rights)) for message in messages]
        return await self.inner.append(messages, freed)  # type: ignore[no-any-return]

    async def room_for(self, octets: int, messages: int) -> bool:
        return await self.inner.room_for(octets, messages)  # type: ignore[no-any-return]

    async def copy(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        self._reading()
        return await self._guide.transfer(self, uids, target, by, moving=False)

    async def move(self, uids: Sequence[int], target: str, by: Any = None) -> Copied:
        """RFC 6851 §4.2: the rights of STORE, COPY and EXPUNGE together."""
        self._reading()
        self.need("t", "delete messages here")
        self.need("e", "expunge messages here")
        return await self._guide.transfer(self, uids, target, by, moving=True)
