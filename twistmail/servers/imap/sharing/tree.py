"""All that one user sees (IMailboxes): his own mailboxes, those that others share with him, those of the house and its roles.

A name is looked up (`places`), the rights of its mailbox are looked at (`lists`),
and then the account that has it does the work; the command families know of none
of this. A mailbox that may not be listed is answered as one that is not there,
whatever else is wrong (RFC 4314 §6).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from zope.interface import implementer

from twistmail import tasks
from twistmail.facts import Entered, Fact, Facts, Granted
from twistmail.mail import address as addresses
from twistmail.mail.acl import WRITING, Rights
from twistmail.mail.annotations import PRIVATE, SERVERS_OWN
from twistmail.mail.mailbox import Copied, Folder, MailboxStatus, NoSuchMailbox, Quota, StoreError
from twistmail.mail.names import INBOX, SEPARATOR, parents
from twistmail.mail.values import frozen
from twistmail.servers.imap.sharing.guard import Guarded, forbidden
from twistmail.servers.imap.sharing.lists import AccessLists
from twistmail.servers.imap.sharing.news import Hearing, Watcher
from twistmail.servers.imap.sharing.places import Place, Places
from twistmail.servers.imap.sharing.transfer import copied
from twistmail.store_interfaces import IMailboxes

T = TypeVar("T")

#: RFC 5464 §3: who may do one of these may see and set annotations, if he may list the mailbox.
ANNOTATING: Rights = frozenset("rswip")


@frozen
class Circumstances:
    """Where a tree stands. *store* is an IMailStore, *accounts* IAccounts, *connection* the id for facts, *epoch*() POSIX seconds."""

    store: Any
    accounts: Any
    lists: AccessLists
    facts: Facts
    epoch: Callable[[], float]
    connection: str = ""
    default_domain: str = ""


@implementer(IMailboxes)
class SharedTree:
    """The tree of *person*, an account name, whose names are *places*; *own* are his own mailboxes."""

    def __init__(self, person: str, places: Places, own: Any, around: Circumstances) -> None:
        self.person = person
        self.places = places
        self.lists = around.lists
        self.accounts = around.accounts
        self.default_domain = around.default_domain
        self._own = own
        self._around = around
        self._hearings: list[Hearing] = []

    # ----- who may what

    async def rights(self, name: str) -> Rights:
        """What the user may do with mailbox *name*, whether or not there is one."""
        return await self._rights(self.places.find(name))

    async def _rights(self, place: Place) -> Rights:
        await self.lists.learn([place.account])
        return self.lists.rights(place.account, place.inner, self.person)

    def rights_teller(self) -> Callable[[str], Rights]:
        """The user's rights by names that `folders` has told."""
        accounts: dict[str, Callable[[str], Rights]] = {}

        def rights(name: str) -> Rights:
            place = self.places.find(name)
            of = accounts.get(place.account) or accounts.setdefault(place.account, self.lists.rights_in(place.account, self.person))
            return of(place.inner)

        return rights

    async def allowed(self, name: str, right: str, what: str) -> Place:
        """Where mailbox *name* is, if the user has *right* there. NoSuchMailbox, StoreError NOPERM."""
        place = self._found(name)
        rights = await self._rights(place)
        if right not in rights:
            raise forbidden(what) if "l" in rights else NoSuchMailbox(name)
        return place

    def _found(self, name: str) -> Place:
        try:
            return self.places.find(name)
        except NoSuchMailbox:
            raise NoSuchMailbox(name) from None

    async def mailboxes(self, account: str) -> Any:
        """The mailboxes of *account*, which must be somebody who has let the user in: they are made at first use.

        NoSuchMailbox where he is none of us any more, whatever his lists have said.
        """
        if account == self.person:
            return self._own
        if self.lists.house.is_personal(account) and await self.accounts.find(addresses.parse(account)) is None:
            raise NoSuchMailbox(self.places.prefix(account).removesuffix(SEPARATOR))
        return await self._around.store.mailboxes(account)

    # ----- the tree

    async def folders(self) -> tuple[Folder, ...]:
        await self.lists.learn([self.person])
        await self.lists.learn_everybody(self.accounts)
        own = list(await self._own.folders())
        if self.lists.of(self.person):
            own = _visible(own, self._sight(self.person))
        subscribed = set(await self._own.subscriptions())
        own = [self._as_called(folder, subscribed) for folder in own]
        found: list[Folder] = []
        for account in self._hosts():
            prefix = self.places.prefix(account)
            with suppress(NoSuchMailbox):
                folders = await (await self.mailboxes(account)).folders()
                seen = _visible(folders, self._sight(account))
                found += [replace(one, name=prefix + one.name, subscribed=prefix + one.name in subscribed, uses=()) for one in seen]
        return (*own, *_with_levels(found))

    def _as_called(self, own: Folder, subscribed: Collection[str]) -> Folder:
        """One of the user's own, which may be called otherwise than it is."""
        name = self.places.called(self.person, own.name)
        return own if name == own.name else replace(own, name=name, subscribed=name in subscribed)

    def _sight(self, account: str) -> Callable[[str], bool]:
        """Whether the user may list a mailbox of *account*."""
        rights = self.lists.rights_in(account, self.person)
        if account == self.places.account:
            return lambda name: name.partition(SEPARATOR)[0] != INBOX and "l" in rights(name)
        return lambda name: "l" in rights(name)

    def _hosts(self) -> list[str]:
        """The accounts of others in which there may be something to see, sorted."""
        house = self.lists.house
        found = {account for account in self.lists.sharers(self.person) if any(map(self._sight(account), self.lists.of(account)))}
        found |= {account for account in (*house.circles.roles, house.account)
                  if account and house.rule(account).grants(house.identifiers(self.person, account))}  # fmt: skip
        return sorted(found - {self.person})

    async def create(self, name: str, uses: Sequence[str] = ()) -> None:
        place = self._to_be(name)
        mailboxes, above = await self._above(place)
        if uses and place.prefix:
            raise StoreError("A mailbox that is shared has no special use", "USEATTR")
        await mailboxes.create(place.inner, uses)
        inherited = self.lists.of(place.account).get(above)
        if inherited:
            for level in (*parents(place.inner), place.inner):
                if len(level) > len(above):  # what was made now: whoever may list the one above may list it too
                    await self.lists.change(place.account, mailboxes, level, lambda _: inherited)

    def _to_be(self, name: str) -> Place:
        """Where a mailbox called *name* would be made. StoreError CANNOT where none can."""
        try:
            return self.places.find(name.removesuffix(SEPARATOR))
        except NoSuchMailbox:
            raise StoreError("That is not a name for a mailbox", "CANNOT") from None

    async def _above(self, place: Place) -> tuple[Any, str]:
        """The mailboxes of the account, and the nearest one above *place* that there is ("": none), in which one may be made."""
        await self.lists.learn([place.account])
        if not self.lists.of(place.account) and not place.prefix:
            return self._own, ""
        if not self._may_enter(place):
            raise forbidden("make a mailbox there")
        mailboxes = await self.mailboxes(place.account)
        existing = {folder.name for folder in await mailboxes.folders() if folder.selectable}
        above = next((level for level in reversed(parents(place.inner)) if level in existing), "")
        if "k" not in self.lists.rights(place.account, above, self.person):
            raise forbidden("make a mailbox there")
        return mailboxes, above

    def _may_enter(self, place: Place) -> bool:
        """Whether the user may make anything in some level above *place*: else the account need not even be one."""
        return any("k" in self.lists.rights(place.account, level, self.person) for level in ("", *parents(place.inner)))

    async def set_uses(self, name: str, uses: Sequence[str]) -> None:
        place = await self._annotated(name)
        if place.prefix:
            raise StoreError("Mailboxes of others have no private annotations", "METADATA NOPRIVATE")
        await self._own.set_uses(place.inner, uses)

    async def delete(self, name: str) -> None:
        place = await self.allowed(name, "x", "delete this mailbox")
        await (await self.mailboxes(place.account)).delete(place.inner)
        await self._look_again(place.account)

    async def rename(self, old: str, new: str) -> None:
        source, target = await self.allowed(old, "x", "rename this mailbox"), self._to_be(new)
        if source.account != target.account:
            raise StoreError("A mailbox cannot be renamed into somebody else's; copy its messages", "CANNOT")
        mailboxes, _ = await self._above(target)
        await mailboxes.rename(source.inner, target.inner)
        await self._look_again(source.account)

    async def _look_again(self, account: str) -> None:
        if self.lists.of(account):
            await self.lists.look_again(account)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._own.subscribe(name, subscribed)

    async def subscriptions(self) -> tuple[str, ...]:
        return await self._own.subscriptions()  # type: ignore[no-any-return]

    # ----- news

    def watch(self, watcher: Watcher) -> None:
        hearing = Hearing(watcher, lambda account: tasks.start(self._hear_others(hearing, account), "watching shared mailboxes"))
        self._hearings.append(hearing)
        hearing.listen(self.person, self._own, self._caller(self.person), partial(self._rights_of, self.person), own=True)
        tasks.start(self._hear_others(hearing, "", at_first=True), "watching shared mailboxes")
        self.lists.watch_all(hearing.look)

    async def _hear_others(self, hearing: Hearing, where: str, *, at_first: bool = False) -> None:
        """Hear of all that others share now in the account *where*, or ("") anywhere."""
        async with hearing.looking:
            await self.lists.learn_everybody(self.accounts)
            for account in sorted(hearing.accounts.union(self._hosts())):
                if where in ("", account):
                    await self._hear(hearing, account, at_first=at_first)

    async def _hear(self, hearing: Hearing, account: str, *, at_first: bool) -> None:
        called, names = self._caller(account), set()
        with suppress(NoSuchMailbox):
            mailboxes = await self.mailboxes(account)
            names = {folder.name for folder in _visible(await mailboxes.folders(), self._sight(account)) if folder.selectable}
            hearing.listen(account, mailboxes, called, partial(self._rights_of, account), own=False)
        hearing.sees(account, called, names, at_first=at_first)

    def _caller(self, account: str) -> Callable[[str], str]:
        return partial(self.places.called, account)

    def _rights_of(self, account: str, name: str) -> Rights:
        return self.lists.rights(account, name, self.person)

    def unwatch(self, watcher: Watcher) -> None:
        for hearing in [one for one in self._hearings if one.watcher == watcher]:
            self._hearings.remove(hearing)
            self.lists.unwatch_all(hearing.look)
            hearing.end()

    # ----- annotations

    async def annotations(self, name: str) -> dict[str, bytes]:
        """Those that clients may know; what is private to an owner stays so."""
        if not name:
            return _shown(await self._own.annotations(""))
        place = await self._annotated(name)
        return _shown(await (await self.mailboxes(place.account)).annotations(place.inner), private=not place.prefix)

    async def annotations_of(self, names: Sequence[str]) -> dict[str, dict[str, bytes]]:
        found: dict[str, dict[str, bytes]] = {}
        for account, inner in (await self._by_account(names, _may_annotate)).items():
            some = await (await self.mailboxes(account)).annotations_of(inner)
            own = account == self.person
            found |= self._named(account, {name: shown for name, values in some.items() if (shown := _shown(values, private=own))})
        return found

    async def annotate(self, name: str, values: Mapping[str, bytes | None]) -> None:
        if any(entry.lower().startswith(SERVERS_OWN) for entry in values):
            raise StoreError("That is not a name for an annotation", "CANNOT")
        if not name:
            await self._own.annotate("", values)
            return
        place = await self._annotated(name)
        if place.prefix and any(entry.lower().startswith(PRIVATE) for entry in values):
            raise StoreError("Mailboxes of others have no private annotations", "METADATA NOPRIVATE")
        await (await self.mailboxes(place.account)).annotate(place.inner, values)

    async def _annotated(self, name: str) -> Place:
        place = await self.allowed(name, "l", "see this mailbox")
        if not _may_annotate(await self._rights(place)):
            raise forbidden("see the annotations of this mailbox")
        return place

    # ----- mailboxes

    async def status(self, name: str, *, deleted: bool = False) -> MailboxStatus:
        place = await self.allowed(name, "r", "read this mailbox")
        return await (await self.mailboxes(place.account)).status(place.inner, deleted=deleted)  # type: ignore[no-any-return]

    async def statuses(self, names: Sequence[str], *, deleted: bool = False) -> dict[str, MailboxStatus]:
        found: dict[str, MailboxStatus] = {}
        for account, inner in (await self._by_account(names, lambda rights: "r" in rights)).items():
            some = await (await self.mailboxes(account)).statuses(inner, deleted=deleted)
            found |= self._named(account, some)
        return found

    async def _by_account(self, names: Sequence[str], admits: Callable[[Rights], bool]) -> dict[str, list[str]]:
        """Those of *names* in which the user has rights that *admits* wants: {account: what it calls them}."""
        found: dict[str, list[str]] = {}
        for name in names:
            with suppress(NoSuchMailbox):
                place = self.places.find(name)
                if admits(await self._rights(place)):
                    found.setdefault(place.account, []).append(place.inner)
        return found

    def _named(self, account: str, found: Mapping[str, T]) -> dict[str, T]:
        """What was found in the mailboxes of *account*, under the names that the user calls them."""
        return {self.places.called(account, inner): one for inner, one in found.items()}

    async def quota(self) -> Quota:
        return await self._own.quota()  # type: ignore[no-any-return]

    async def quota_of(self, name: str) -> tuple[str, Quota]:
        """Whose quota mailbox *name* counts against, and how much of it is used. NoSuchMailbox, StoreError NOPERM."""
        place = await self.allowed(name, "r", "read this mailbox")
        return place.account, await (await self.mailboxes(place.account)).quota()

    async def open(self, name: str) -> Guarded:
        """For whoever may read it, or put something into it. What else he may do is told by its `rights`, and enforced there."""
        place = self._found(name)
        rights = await self._rights(place)
        if rights.isdisjoint("ri"):
            raise forbidden("read this mailbox") if "l" in rights else NoSuchMailbox(name)
        guarded = await self._opened(place)
        if place.prefix:
            self._tell(Entered(self.person, place.account, place.inner, writes=not rights.isdisjoint(WRITING)))
        return guarded

    async def _opened(self, place: Place) -> Guarded:
        try:
            inner = await (await self.mailboxes(place.account)).open(place.inner)
        except NoSuchMailbox:
            raise NoSuchMailbox(place.name) from None
        guarded = Guarded(inner, place, self)
        self.lists.watch(place.account, guarded.look)
        return guarded

    def rights_now(self, place: Place) -> Rights:
        """The user's rights at *place*, where he has something open."""
        return self.lists.rights(place.account, place.inner, self.person)

    def released(self, guarded: Guarded) -> None:
        """The user has closed it."""
        self.lists.unwatch(guarded.account, guarded.look)

    def tell_granted(self, place: Place, identifier: str, rights: str) -> None:
        """The user has given *identifier* these *rights* at *place*."""
        self._tell(Granted(self.person, place.account, place.inner, identifier, rights))

    def _tell(self, what: Entered | Granted) -> None:
        if self._around.facts.listened:
            self._around.facts.tell(Fact(self._around.epoch(), self._around.connection, what))

    # ----- COPY and MOVE

    async def transfer(self, source: Guarded, uids: Sequence[int], target: str, by: Any, *, moving: bool) -> Copied:
        """Within one account the store does it at once, as long as no flag has to be left out."""
        place = await self.allowed(target, "i", "put messages into that mailbox")
        other = await self._opened(place)
        try:
            if source.account == place.account and other.rights >= frozenset("stw"):
                how = source.inner.move if moving else source.inner.copy
                return await how(uids, place.inner, by)  # type: ignore[no-any-return]
            made = await copied(source.inner, uids, other)
        finally:
            other.close()
        if moving and made.source:
            await source.inner.expunge(made.source, by)
        return made


def _visible(folders: Iterable[Folder], sees: Callable[[str], bool]) -> list[Folder]:
    """Those of *folders* that may be seen, and the levels above them. A level that may not be seen is as one that is not there."""
    kept = {folder.name: folder for folder in folders if folder.selectable and sees(folder.name)}
    levels = {level for name in kept for level in parents(name)}
    known = {folder.name: folder for folder in folders}
    return [
        replace(kept.get(name) or Folder(name, known[name].subscribed, selectable=False), has_children=name in levels)
        for name in known
        if name in kept or name in levels
    ]


def _with_levels(folders: Sequence[Folder]) -> list[Folder]:
    """*folders* sorted, with the levels above them that are none of them."""
    known = {folder.name: folder for folder in folders}
    for folder in folders:
        for level in parents(folder.name):
            known.setdefault(level, Folder(level, selectable=False, has_children=True))
    return [known[name] for name in sorted(known)]


def _may_annotate(rights: Rights) -> bool:
    return "l" in rights and not rights.isdisjoint(ANNOTATING)


def _shown(annotations: Mapping[str, bytes], *, private: bool = True) -> dict[str, bytes]:
    hidden = (SERVERS_OWN,) if private else (SERVERS_OWN, PRIVATE)
    return {entry: value for entry, value in annotations.items() if not entry.startswith(hidden)}
