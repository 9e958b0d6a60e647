"""Who is it really for: follows aliases to the end.

Order for one local address: an alias of that name, then an account; the same
two without the +suffix (an account's mail may be forwarded); then what only the world knows by that name (a sender
that we have rewritten; in somebody else's domain too); then the same name in the domain whose users this one
has; then the domain's catch-all; then, for postmaster, the house's own box; then the domain's second server. An alias
hides an account of the same name; an
alias that names itself means the account behind it (aliases(5)). Addresses in
other people's domains are remote targets.

Asked by the `recipients` stage and by the SMTP session at RCPT, and by
`mailflow` for redirections. Looking up is the business of IAliasResolver and
IAccounts; only the rules are here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from twistmail.interfaces import IAccounts, IAliasResolver, IForwards
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Discard, Final, Refusal, Step, ToFile, ToList, ToProgram
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.forward import settled
from twistmail.mail.readdressed import Shown
from twistmail.mail.status import Status

UNKNOWN = Status(550, "5.1.1", "There is no mailbox of that name here")
LOOP = Status(550, "5.4.6", "The aliases of that name lead in a circle")
TOO_MANY = Status(550, "5.4.6", "The aliases of that name lead too far")

#: Where an address leads that only the world knows by that name, a Status where it led somewhere once, None for any other.
Home = Callable[[Address], Awaitable[Address | Status | None]]

#: Answers are remembered this long (seconds): RCPT asks twice within microseconds, and a load asks the same all day.
MEMORY = 1.0
MOST_REMEMBERED = 1024


@dataclass(slots=True)
class _Walk:
    """One expansion under way. `path` of an address are the aliases that led to it."""

    original: Address
    targets: dict[tuple[Kind, str], Target] = field(default_factory=dict)
    steps: int = 0
    looped: bool = False
    too_far: bool = False
    fault: Status | None = None  # what was said of an address on the way that leads nowhere any more


@dataclass(frozen=True, slots=True)
class Followed:
    """Where an address leads: `targets`, or (when there are none) the `fault`."""

    targets: tuple[Target, ...]
    fault: Status | None = None


class Expansion:
    """The rules above, over one alias resolver and one table of accounts.

    `like` maps domains to those whose users they have; `catchalls` maps domains to the address that gets what nobody else
    does; `postmaster` is where mail for postmaster goes when no alias or account of that name exists. Where that is None, or
    leads nowhere, there is the mailbox postmaster@ in the default domain, which nobody may log in to, but which loses nothing.
    `home` knows what was rewritten when it left (`leaving.departure`); None: nothing was.
    `elsewhere`(an address that is not local) tells who that is here, or why mail for it is not taken, or None. `second_servers`
    maps domains of which a second server has mailboxes too to whether it gets a copy of everything: unknown names are there.
    `forwards` knows what people themselves have said of their mail; None: only what is set for their accounts counts.
    `canonical`(what somebody has written) tells whom he means (`canonical.rules`); None: as it stands there.
    """

    def __init__(
        self,
        aliases: IAliasResolver,
        accounts: IAccounts,
        local_domains: frozenset[str],
        default_domain: str,
        *,
        separators: str = "+",
        depth_limit: int = 10,
        limit: int = 1000,
        like: Mapping[str, str] | None = None,
        catchalls: Mapping[str, Address] | None = None,
        postmaster: Address | None = None,
        home: Home | None = None,
        elsewhere: Callable[[Address], Awaitable[Address | Status | None]] | None = None,
        second_servers: Mapping[str, bool] | None = None,
        forwards: IForwards | None = None,
        canonical: Callable[[Address], Awaitable[Shown]] | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.aliases = aliases
        self.accounts = accounts
        self.local_domains = local_domains
        self.default_domain = default_domain
        self._separators = separators
        self._depth_limit = depth_limit
        self._limit = limit
        self._like = dict(like or {})
        self._catchalls = dict(catchalls or {})
        self._postmaster = postmaster
        self._home = home
        self._elsewhere = elsewhere
        self._second_servers = dict(second_servers or {})
        self._forwards = forwards
        self._canonical = canonical
        self._clock = clock
        self._remembered: dict[Address, tuple[float, Followed]] = {}

    def is_local(self, address: Address) -> bool:
        """Whether *address* is ours to deliver (it may still be unknown)."""
        return not address.domain or address.domain in self.local_domains

    def complete(self, address: Address) -> Address:
        """*address*, in the default domain where it has none."""
        return address if address.domain else Address(address.local, self.default_domain)

    async def follow(self, address: Address) -> tuple[Target, ...]:
        """All targets of *address*, without duplicates, in written order; empty when it leads nowhere. Raises Unavailable."""
        return (await self.explain(address)).targets

    async def judge(self, address: Address) -> Status | None:
        """None when *address* leads somewhere, else why not. Raises Unavailable."""
        return (await self.explain(address)).fault

    async def explain(self, address: Address) -> Followed:
        """Targets and fault of *address*. Raises Unavailable."""
        now = self._clock()
        remembered = self._remembered.get(address)
        if remembered is not None and now - remembered[0] < MEMORY:
            return remembered[1]
        followed = await self._follow(address)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[address] = (now, followed)
        return followed

    def forget(self) -> None:
        """Aliases or accounts have changed: ask again."""
        self._remembered.clear()

    async def _follow(self, address: Address) -> Followed:
        walk = _Walk(address)
        begin = address if self._canonical is None else (await self._canonical(address)).address
        waiting: list[tuple[Address, tuple[Address, ...]]] = [(begin, ())]
        while waiting:
            here, path = waiting.pop()
            walk.steps += 1
            if walk.steps > self._limit or len(path) > self._depth_limit:
                walk.too_far = True
                continue
            waiting.extend(reversed(await self._step(walk, here, path)))
        if not walk.targets and self._is_postmaster(address):  # his alias may lead nowhere; his mail must not
            self._to_the_box(walk, address)
        if walk.targets:
            return Followed(tuple(walk.targets.values()))
        return Followed((), walk.fault or (TOO_MANY if walk.too_far else LOOP if walk.looped else UNKNOWN))

    async def _step(self, walk: _Walk, address: Address, path: tuple[Address, ...]) -> list[tuple[Address, tuple[Address, ...]]]:
        """One address: note its targets, or return where its aliases lead, with the path so far."""
        if not self.is_local(address):
            if (way_home := await self._way_home(walk, address, path)) is not None:
                return way_home
            return await self._abroad(walk, address, path)
        here = Address(address.local.lower(), address.domain or self.default_domain)
        for name in self.spellings(here):
            # an alias that names itself means the account
            if name not in path and (found := await self.aliases.lookup(name)):
                for goal in found.goals:
                    if isinstance(goal, ToList):
                        _add(walk, Target(Kind.LIST, here, walk.original, way=goal.name))
                return [(_in_domain(target, name.domain), (*path, name)) for target in found.addresses]
            if account := await self.accounts.find(name):
                own = parse(account.name)
                forward = await self._forward(account, here.local[len(name.local) + 1 :]) if own not in path else None
                onward = self._sent_on(walk, here, account, forward)
                if self._second_servers.get(here.domain):
                    _add(walk, Target(Kind.REMOTE, here, walk.original))
                return [(target, (*path, own)) for target in onward]
        way_home = await self._way_home(walk, Address(address.local, here.domain), path)
        return self._last_resort(walk, here, path) if way_home is None else way_home

    async def _forward(self, account: Account, extension: str) -> Step | None:
        """What *account* wants done with his mail; None: it stays in his mailbox."""
        return await self._forwards.lookup(account, extension) if self._forwards is not None else settled(account)

    def _sent_on(self, walk: _Walk, here: Address, account: Account, forward: Step | None) -> list[Address]:
        """Where *forward* of *account* leads on; what ends here is noted."""
        own, onward = parse(account.name), []
        for goal in forward.goals if forward else (Final(own),):
            match goal:
                case Final(address) if _in_domain(address, own.domain) == own:
                    _add(walk, Target(Kind.MAILBOX, here, walk.original, account.name))
                case Address() | Final():
                    onward.append(_in_domain(goal if isinstance(goal, Address) else goal.address, own.domain))
                case ToFile(path):
                    _add(walk, Target(Kind.FILE, here, walk.original, account.name, way=path))
                case ToProgram(command):
                    _add(walk, Target(Kind.PROGRAM, here, walk.original, account.name, way=command))
                case Discard():
                    _add(walk, Target(Kind.DISCARD, here, walk.original))
                case Refusal(status):
                    walk.fault = status
        return onward

    async def _way_home(
        self, walk: _Walk, address: Address, path: tuple[Address, ...]
    ) -> list[tuple[Address, tuple[Address, ...]]] | None:
        """Where *address* leads as one that only the world knows; None where it is none. Its case has not been changed.

        Whoever has his mail sent on to that very address is not meant.
        """
        found = await self._home(address) if self._home is not None and address not in path else None
        if isinstance(found, Status):
            walk.fault = found
            return []
        if found is None or (self.is_local(found) and not await self._is_somebody(found, path)):
            return None
        return [(found, (*path, address))]

    async def _is_somebody(self, address: Address, path: tuple[Address, ...]) -> bool:
        """Whether an alias or an account has that name, and the walk has not come from there."""
        names = self.spellings(self.complete(address.folded))
        if any(name in path for name in names):
            return False
        for name in names:
            if await self.aliases.lookup(name) or await self.accounts.find(name):
                return True
        return False

    async def comes_home(self, address: Address) -> bool:
        """Whether *address*, in somebody else's domain, is ours all the same: the world knows somebody here by it. Raises Unavailable."""
        if self.is_local(address) or self._home is None:
            return False
        found = await self._home(address)
        return isinstance(found, Address) and self.is_local(found) and await self._is_somebody(found, ())

    async def _abroad(self, walk: _Walk, address: Address, path: tuple[Address, ...]) -> list[tuple[Address, tuple[Address, ...]]]:
        """An address in somebody else's domain: a remote target, unless its route says that it is somebody here, or nobody.

        A refusal is the answer to whoever writes to it; where an alias led here, the relay reports it to the sender.
        """
        found = await self._elsewhere(address) if self._elsewhere is not None else None
        if isinstance(found, Address) and address not in path:
            return [(found, (*path, address))]
        if isinstance(found, Status) and not path:
            walk.fault = found
        elif not isinstance(found, Address):
            _add(walk, Target(Kind.REMOTE, address, walk.original))
        else:
            walk.looped = True
        return []

    def _last_resort(self, walk: _Walk, here: Address, path: tuple[Address, ...]) -> list[tuple[Address, tuple[Address, ...]]]:
        if other := self._like.get(here.domain):
            there = Address(here.local, other)
            return [(there, (*path, here))] if here not in path or there not in path else []
        catchall = self._catchalls.get(here.domain)
        if catchall is not None and catchall not in path and catchall != here:
            return [(catchall, (*path, here))]
        named = self._postmaster
        if here.local == "postmaster" and named is not None and named != here and named not in path:
            return [(named, (*path, here))]
        if self._is_postmaster(here):
            self._to_the_box(walk, here)
        elif here.domain in self._second_servers:
            _add(walk, Target(Kind.REMOTE, here, walk.original))
        elif here in path:
            walk.looped = True
        return []

    def _is_postmaster(self, address: Address) -> bool:
        """Always accepted (RFC 5321 §4.5.1), under that name and under the one that the configuration gives him."""
        return self.is_local(address) and (address.local.lower() == "postmaster" or address.folded == self._postmaster)

    def _to_the_box(self, walk: _Walk, address: Address) -> None:
        here = Address(address.local.lower(), address.domain or self.default_domain)
        _add(walk, Target(Kind.MAILBOX, here, walk.original, f"postmaster@{self.default_domain}"))

    def spellings(self, address: Address) -> tuple[Address, ...]:
        """The address itself, then without its +suffix (RFC 5233)."""
        return spellings(address, self._separators)


def spellings(address: Address, separators: str) -> tuple[Address, ...]:
    """*address* itself, then without what follows the first of *separators* that is in it (RFC 5233)."""
    for separator in separators:
        stem, found, _ = address.local.partition(separator)
        if found and stem:
            return (address, Address(stem, address.domain))
    return (address,)


def _add(walk: _Walk, target: Target) -> None:
    walk.targets.setdefault(target.place, target)


def _in_domain(target: Address, domain: str) -> Address:
    return target if target.domain else Address(target.local, domain)
