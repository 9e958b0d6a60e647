"""Who may do what where, at this moment: the access lists of all accounts in use, and who must hear when one changes.

One object for the whole process, so that a right that is taken away in one
session is gone in every other at once. The lists are kept with the mailboxes
(`mail.acl.ENTRY`); here they are read once and kept up. What holds where no list
says anything, the house says: an owner may everything in his own mailboxes, the
members of a role what the role lets them, and so on (`House`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail import acl
from twistmail.mail.acl import ALL, NOBODY, OWNER, Acl, Rights
from twistmail.mail.circles import Circles
from twistmail.mail.values import frozen

log = Logger()

#: In a mailbox that is his own nobody can lock himself out: it is always granted (LISTRIGHTS tells so).
ALWAYS: Rights = frozenset("la")
#: Accounts whose lists are read before others have their turn.
PIECE = 100
OWNERS = Acl({OWNER: ALL})

Lists = Mapping[str, Acl]


@frozen
class House:
    """What the configuration says: who belongs together, the account with the mailboxes of the house, and who may everything there."""

    circles: Circles = field(default_factory=Circles)
    account: str = ""
    admins: Acl = NOBODY

    def rule(self, account: str) -> Acl:
        """What holds in the mailboxes of *account* unless their lists say otherwise."""
        if account in self.circles.roles:
            return self.circles.roles[account].acl
        return self.admins if account == self.account else OWNERS

    def is_personal(self, account: str) -> bool:
        """Whether *account* is a user's, who owns what is in it."""
        return account not in self.circles.roles and account != self.account

    def identifiers(self, person: str, account: str) -> frozenset[str]:
        """All that means *person* in the lists of *account*."""
        return acl.identifiers(person, self.circles.groups_of(person), owns=person == account and self.is_personal(account))


class AccessLists:
    """See the module note. *store* is an IMailStore; *clock* (IReactorTime) lets others have their turn, None: nobody waits."""

    def __init__(self, store: Any, clock: Any = None) -> None:
        self.house = House()
        self._store = store
        self._clock = clock
        self._known: dict[str, Lists] = {}
        self._granting: dict[str, set[str]] = {}  # identifier -> the accounts that have it in a list
        self._everybody_known = False
        self._busy = tasks.Limit(1)
        self._watchers: dict[str, set[Callable[[], None]]] = {}
        self._watchers_of_all: set[Callable[[str], Any]] = set()

    def adopt(self, house: House) -> None:
        """From now on the configuration says *house*: whoever has lost a right by that has lost it now."""
        if house != self.house:
            self.house = house
            self._everybody_known = False
            for watchers in tuple(self._watchers.values()):
                for watcher in tuple(watchers):
                    watcher()
            self._tell_all("")

    # ----- asking

    async def learn(self, accounts: Sequence[str]) -> None:
        """Know the lists of *accounts* from now on. Raises OSError."""
        if all(account in self._known for account in accounts):
            return
        async with self._busy:
            unknown = [account for account in accounts if account not in self._known]
            await self._read(unknown)

    async def learn_everybody(self, accounts: Any) -> None:
        """Know the lists of all accounts that *accounts* (IAccounts) has; read once. Raises OSError, Unavailable."""
        if not self._everybody_known:
            await self.learn([account.name for account in await accounts.list()])
            self._everybody_known = True

    def of(self, account: str) -> Lists:
        """The lists of *account*, which `learn` has read."""
        return self._known.get(account, {})

    def sharers(self, person: str) -> set[str]:
        """The accounts in whose lists somebody stands who may be *person*."""
        who = acl.identifiers(person, self.house.circles.groups_of(person))
        return {account for identifier in who for account in self._granting.get(identifier, ())}

    def effective(self, account: str, mailbox: str) -> Acl:
        """What holds in *mailbox*; for a name that has no list, what the house says."""
        rule = self.house.rule(account)
        own = self.of(account).get(mailbox)
        return own.over(rule) if own else rule

    def rights(self, account: str, mailbox: str, person: str) -> Rights:
        """What *person* (an account name) may do in *mailbox* of *account*, which `learn` has read."""
        return self.rights_in(account, person)(mailbox)

    def rights_in(self, account: str, person: str) -> Callable[[str], Rights]:
        """The same as a function of the mailbox, for those who ask about many."""
        rule, who, lists = self.house.rule(account), self.house.identifiers(person, account), self.of(account)
        by_rule = rule.rights_of(who)
        always = by_rule & ALWAYS
        return lambda mailbox: lists[mailbox].over(rule).rights_of(who) | always if mailbox in lists else by_rule

    def always(self, account: str, identifier: str) -> Rights:
        """What *identifier* has in the mailboxes of *account* whatever their lists say."""
        return self.house.rule(account).entries.get(identifier, acl.NONE) & ALWAYS

    # ----- changing

    async def change(self, account: str, mailboxes: Any, name: str, changed: Callable[[Acl], Acl]) -> None:
        """Give mailbox *name* among *mailboxes* (of *account*) what *changed* makes of its list, durable. NoSuchMailbox, OSError.

        One change after the other: none is lost that is made at the same time.
        """
        async with self._busy:
            wanted = changed(self.of(account).get(name, NOBODY))
            await mailboxes.annotate(name, {acl.ENTRY: wanted.dump() if wanted else None})
            lists = {other: some for other, some in self.of(account).items() if other != name}
            self._keep(account, {**lists, name: wanted} if wanted else lists)
        self._tell(account)

    async def look_again(self, account: str) -> None:
        """Mailboxes of *account* have been made, renamed or deleted, and their lists with them."""
        async with self._busy:
            await self._read([account])
        self._tell(account)

    async def _read(self, accounts: Sequence[str]) -> None:
        found = await self._store.annotated(accounts, acl.ENTRY)
        for number, account in enumerate(accounts, 1):
            self._keep(account, {name: _loaded(kept, account, name) for name, kept in found.get(account, {}).items()})
            if number % PIECE == 0 and self._clock is not None:
                await tasks.sleep(self._clock, 0)

    def _keep(self, account: str, lists: Lists) -> None:
        """From now on these are the lists of *account*."""
        before, after = _identifiers(self.of(account)), _identifiers(lists)
        self._known[account] = lists
        for identifier in after - before:
            self._granting.setdefault(identifier, set()).add(account)
        for identifier in before - after:
            self._granting[identifier].discard(account)
            if not self._granting[identifier]:
                del self._granting[identifier]

    # ----- hearing of it

    def watch(self, account: str, watcher: Callable[[], None]) -> None:
        """Call *watcher*() whenever rights in *account*'s mailboxes may have changed, until `unwatch`."""
        self._watchers.setdefault(account, set()).add(watcher)

    def unwatch(self, account: str, watcher: Callable[[], None]) -> None:
        watchers = self._watchers.get(account, set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop(account, None)

    def watch_all(self, watcher: Callable[[str], Any]) -> None:
        """Call *watcher*(account) whenever rights in an account's mailboxes may have changed ("": in any), until `unwatch_all`."""
        self._watchers_of_all.add(watcher)

    def unwatch_all(self, watcher: Callable[[str], Any]) -> None:
        self._watchers_of_all.discard(watcher)

    def _tell(self, account: str) -> None:
        for watcher in tuple(self._watchers.get(account, ())):
            watcher()
        self._tell_all(account)

    def _tell_all(self, account: str) -> None:
        for watcher in tuple(self._watchers_of_all):
            watcher(account)


def _identifiers(lists: Lists) -> set[str]:
    return {identifier for one in lists.values() for identifier in one.entries}


def _loaded(kept: bytes, account: str, name: str) -> Acl:
    """A list as it is kept. One that cannot be read lets nobody in but those whom the house lets in."""
    try:
        return acl.load(kept)
    except ValueError as error:
        log.error("the access list of {account}, {name} cannot be read: {error}", account=account, name=name, error=error)
        return NOBODY
