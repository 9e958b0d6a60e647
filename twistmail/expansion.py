"""Who is it really for: follows aliases to the end. The rules are here and nowhere else; `docs/expansion.md` tells them to people.

Order for one local address: an alias of that name, then an account (whose mail may be forwarded); the same two for each shorter
name when what stands behind a separator is left out, the longest first, and before each of them the alias NAME-default (qmail);
then what only the world knows by that name (a sender that we have rewritten; in somebody else's domain too); then the same name
in the domain whose users this one has; then the domain's catch-all; then, for postmaster and those whose mail he gets, the
house's own box; then the domain's second server. An alias hides an account of the same name; an alias that names itself means
the account behind it (aliases(5)). Addresses in other people's domains are remote targets.

Each name is followed once, whoever leads to it; a circle is left where it closes. What cannot be told now, and what leads too
far, is the answer for the whole: mail for a part of a list is worse than a delay. Of names that lead nowhere for good only
those count that are alone; the others are told to the operator.

Asked by the `recipients` stage and by the SMTP session at RCPT, and by `mailflow` for redirections. Looking up is the business
of IAliasResolver and IAccounts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from twisted.logger import Logger

from twistmail.interfaces import IAccounts, IAliasResolver, IForwards, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Final, Refusal, Step, ToFile, ToList, ToProgram
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.forward import settled
from twistmail.mail.readdressed import Shown
from twistmail.mail.spelled import places, spellings
from twistmail.mail.srs import is_srs
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.trace import delivered_to
from twistmail.mail.trail import Move, above_of
from twistmail.mail.values import frozen
from twistmail.mail.walking import LOOP, TOO_LONG, TOO_MANY, UNKNOWN, Branch, Walk

log = Logger()

#: Where an address leads that only the world knows by that name, a Status where it led somewhere once, None for any other.
Home = Callable[[Address], Awaitable[Address | Status | None]]
#: Answers are remembered this long (seconds): RCPT asks twice within microseconds, and a load asks the same all day.
MEMORY = 1.0
MOST_REMEMBERED = 1024
#: Names that are followed before others have their turn: a few milliseconds of work.
PIECE = 200
#: Names that are looked at for each address that a recipient may become.
STEPS_PER_TARGET = 10
#: What stands behind a separator for "anything else" (qmail).
DEFAULT = "default"
DEFAULT_ALIAS = "\0"  # stands for no extension that there could be: the name is one of an alias only


@frozen
class Followed:
    """Where an address leads: `targets`, or (when there are none) the `fault`. `trail` tells how, in the order of the walk.

    `trouble` says what could not be asked; then the fault is UNAVAILABLE.
    """

    targets: tuple[Target, ...]
    fault: Status | None = None
    trail: tuple[Move, ...] = ()
    trouble: str = ""

    @property
    def rule(self) -> str:
        """What in the aliases decided the fault, for the operator; "" where no alias was met."""
        for place, move in enumerate(self.trail):
            if move.status is not None and move.status == self.fault and move.depth:
                above = above_of(self.trail, place)
                return f"{above.origin or above.address}: {move.name}: {move.what}"
        return ""


class Expansion:
    """The rules above, over one alias resolver and one table of accounts.

    `separators_of` maps domains to separators of their own. `like` maps domains to those whose users they have; `catchalls` maps
    domains to the address that gets what nobody else does; `postmaster` is where mail for postmaster goes when no alias or account
    of that name exists. Where that is None, or leads nowhere, there is the mailbox postmaster@ in the default domain, which nobody
    may log in to, but which loses nothing. `to_postmaster` are names whose mail he gets where nobody else does. `home` knows what
    was rewritten when it left (`leaving.departure`); None: nothing was. `elsewhere`(an address that is not local) tells who that is
    here, or why mail for it is not taken, or None. `second_servers` maps domains of which a second server has mailboxes too to
    whether it gets a copy of everything: unknown names are there. `forwards` knows what people themselves have said of their mail;
    None: only what is set for their accounts counts. `canonical`(what somebody has written) tells whom he means
    (`canonical.rules`); None: as it stands there. `pause`() lets others have their turn in the middle of a long list.
    """

    def __init__(
        self,
        aliases: IAliasResolver,
        accounts: IAccounts,
        local_domains: frozenset[str],
        default_domain: str,
        *,
        separators: str = "+",
        separators_of: Mapping[str, str] | None = None,
        depth_limit: int = 10,
        limit: int = 1000,
        like: Mapping[str, str] | None = None,
        catchalls: Mapping[str, Address] | None = None,
        postmaster: Address | None = None,
        to_postmaster: frozenset[str] = frozenset(),
        home: Home | None = None,
        elsewhere: Callable[[Address], Awaitable[Address | Status | None]] | None = None,
        second_servers: Mapping[str, bool] | None = None,
        forwards: IForwards | None = None,
        canonical: Callable[[Address], Awaitable[Shown]] | None = None,
        pause: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.aliases = aliases
        self.accounts = accounts
        self.local_domains = local_domains
        self.default_domain = default_domain
        self._separators = separators
        self._separators_of = dict(separators_of or {})
        self._depth_limit = depth_limit
        self._limit = limit
        self._like = dict(like or {})
        self._catchalls = dict(catchalls or {})
        self._postmaster = postmaster
        self._to_postmaster = to_postmaster
        self._home = home
        self._elsewhere = elsewhere
        self._second_servers = dict(second_servers or {})
        self._forwards = forwards
        self._canonical = canonical
        self._pause = pause
        self._clock = clock
        self._remembered: dict[Address, tuple[float, Followed]] = {}
        self._told: set[tuple[str, str]] = set()

    def is_local(self, address: Address) -> bool:
        """Whether *address* is ours to deliver (it may still be unknown)."""
        return not address.domain or address.domain in self.local_domains

    def complete(self, address: Address) -> Address:
        """*address*, in the default domain where it has none."""
        return address if address.domain else Address(address.local, self.default_domain)

    async def follow(self, address: Address) -> tuple[Target, ...]:
        """All targets of *address*, without duplicates, in written order; empty when it leads nowhere.

        Raises Unavailable, also where that is so for now only (`:defer:`).
        """
        followed = await self.explain(address)
        if not followed.targets and followed.fault is not None and followed.fault.is_temporary:
            raise Unavailable(f"{address}: {followed.fault}")
        return followed.targets

    async def judge(self, address: Address) -> Status | None:
        """None when *address* leads somewhere, else why not. Raises Unavailable."""
        return (await self.explain(address)).fault

    async def explain(self, address: Address) -> Followed:
        """Targets and fault of *address*, and the trail. Raises Unavailable."""
        now = self._clock()
        remembered = self._remembered.get(address)
        if remembered is not None and now - remembered[0] < MEMORY:
            return remembered[1]
        followed = await self.survey(address)
        if followed.trouble:
            raise Unavailable(followed.trouble)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[address] = (now, followed)
        return followed

    async def survey(self, address: Address) -> Followed:
        """As `explain`, but asked anew, and what cannot be asked now is told as the last move of the trail."""
        walk = Walk(address)
        try:
            await self._walk(walk, await self._begin(walk, address))
        except Unavailable as trouble:
            return Followed((), UNAVAILABLE, tuple(walk.trail), str(trouble) or "it cannot be asked now")
        if self._is_postmaster(address):  # his alias may lead nowhere; his mail must not
            if not walk.targets:
                self._to_the_box(walk, Branch(address, (), address), address)
            walk.whole = None
        self._tell_operator(walk)
        trail = tuple(walk.trail)
        if walk.targets and walk.whole is None:
            return Followed(tuple(walk.targets.values()), None, trail)
        return Followed((), walk.whole or walk.fault or UNKNOWN, trail)

    def forget(self) -> None:
        """Aliases or accounts have changed: ask again."""
        self._remembered.clear()
        self._told.clear()

    async def rest(self) -> None:
        """Let others have their turn: for whoever follows many addresses, one after the other."""
        if self._pause is not None:
            await self._pause()

    async def _begin(self, walk: Walk, address: Address) -> list[Branch]:
        """Where the walk begins: whom *address* means. Raises Unavailable."""
        branch = Branch(address, (), address)
        shown = None if self._canonical is None else await self._canonical(address)
        if shown is None or shown.address == address:
            return [branch]
        walk.lead(branch, address, "means somebody else", Step((shown.address,), shown.rule))
        return [Branch(shown.address, (f"canonical {address}",), address)]  # not a name that aliases may not lead back to

    async def _walk(self, walk: Walk, waiting: list[Branch]) -> None:
        while waiting:
            branch = waiting.pop()
            walk.steps += 1
            if len(branch.path) > self._depth_limit:
                walk.end(branch, branch.called, "too deep", TOO_MANY, whole=True)
                continue
            if not walk.steps % PIECE:
                await self.rest()
            try:
                waiting.extend(reversed(await self._step(walk, branch)))
            except Unavailable as trouble:
                walk.trail.append(Move(branch.name, len(branch.path), f"cannot be looked up: {trouble}", status=UNAVAILABLE))
                raise
            if len(walk.targets) > self._limit or walk.steps > self._limit * STEPS_PER_TARGET:
                walk.end(branch, branch.name, "too many addresses", TOO_LONG, whole=True)
                return

    async def _step(self, walk: Walk, branch: Branch) -> list[Branch]:
        """One goal: note what it is, or return where it leads."""
        goal = branch.goal
        if isinstance(goal, Address):
            return await self._address(walk, branch, goal)
        if isinstance(goal, Final):
            return await self._final(walk, branch, goal)
        if isinstance(goal, Refusal):
            what = "put off" if goal.status.is_temporary else "refused"
            walk.end(branch, branch.called, f"{what}: {goal.status}", goal.status, goal=goal)
        elif isinstance(goal, ToFile):
            walk.arrive(branch, Target(Kind.FILE, branch.called, walk.original, branch.account, way=goal.path), "file", goal)
        elif isinstance(goal, ToProgram):
            walk.arrive(branch, Target(Kind.PROGRAM, branch.called, walk.original, branch.account, way=goal.command), "program", goal)
        elif isinstance(goal, ToList):
            walk.arrive(branch, Target(Kind.LIST, branch.called, walk.original, way=goal.name), "mailing list", goal)
        else:
            assert isinstance(goal, Discard)
            walk.arrive(branch, Target(Kind.DISCARD, branch.called, walk.original), "thrown away", goal)
        return []

    async def _address(self, walk: Walk, branch: Branch, address: Address) -> list[Branch]:
        path = branch.path
        if not self.is_local(address):
            if walk.knows(branch, address, (address,)):
                return []
            way_home = await self._way_home(walk, branch, address)
            return await self._abroad(walk, branch, address) if way_home is None else way_home
        here = Address(address.local.lower(), address.domain or self.default_domain)
        names = self._names(here)
        if walk.knows(branch, here, (name for name, _ in names)):
            return []
        for name, extension in names:
            # an alias that names itself means the account
            if name not in path and (step := await self.aliases.lookup(name)):
                walk.lead(branch, here, "alias", step)
                return branch.onward(here, step, name)
            if extension != DEFAULT_ALIAS and (account := await self.accounts.find(name)):
                return await self._at_home(walk, branch, here, account, extension)
        way_home = await self._way_home(walk, branch, Address(address.local, here.domain))
        return self._last_resort(walk, branch, here) if way_home is None else way_home

    async def _at_home(self, walk: Walk, branch: Branch, here: Address, account: Account, extension: str) -> list[Branch]:
        """Somebody who has a mailbox: his mail goes on, or stays. What has come from him already stays."""
        step = await self._forward_of(walk, branch, here, account, extension) if account.name not in branch.path else None
        if step is None:
            self._to_account(walk, branch, here, account)
            return []
        walk.lead(branch, here, "forwarded" if account.name == str(here) else f"forwarded by {account.name}", step)
        self._to_second_server(walk, branch, here)
        return branch.onward(here, step, account.name, account.name)

    async def _forward_of(self, walk: Walk, branch: Branch, here: Address, account: Account, extension: str) -> Step | None:
        """What *account* wants. Who gets mail by an alias, with others, keeps it from nobody by what he has written: then it stays."""
        try:
            return await self._forward(account, extension)
        except Unavailable as trouble:
            if not branch.path:
                raise
            walk.trail.append(Move(here, len(branch.path), f"where it goes on to cannot be told, so it stays: {trouble}"))
            return None

    async def _forward(self, account: Account, extension: str) -> Step | None:
        """What *account* wants done with his mail; None: it stays in his mailbox."""
        return await self._forwards.lookup(account, extension) if self._forwards is not None else settled(account)

    def _to_account(self, walk: Walk, branch: Branch, here: Address, account: Account) -> None:
        what = "mailbox" if account.name == str(here) else f"mailbox {account.name}"
        walk.arrive(branch, Target(Kind.MAILBOX, here, walk.original, account.name), what)
        self._to_second_server(walk, branch, here)

    def _to_second_server(self, walk: Walk, branch: Branch, here: Address) -> None:
        if self._second_servers.get(here.domain):
            walk.arrive(branch, Target(Kind.REMOTE, here, walk.original), "a copy to the domain's second server", below=True)

    async def _final(self, walk: Walk, branch: Branch, goal: Final) -> list[Branch]:
        """The account of that name, past its aliases and where its mail goes on to."""
        if not self.is_local(goal.address):
            return await self._address(walk, branch, goal.address)
        here = self.complete(goal.address.folded)
        there = self._like.get(here.domain)
        for name in (*self.spellings(here), *(self.spellings(Address(here.local, there)) if there else ())):
            if account := await self.accounts.find(name):
                own = account.name == branch.account  # a copy that he keeps is called what it came as
                self._to_account(walk, branch, branch.called if own else here, account)
                return []
        walk.end(branch, here, "no user of that name", UNKNOWN, goal=goal)
        return []

    async def _way_home(self, walk: Walk, branch: Branch, address: Address) -> list[Branch] | None:
        """Where *address* leads as one that only the world knows; None where it is none. Its case has not been changed.

        Whoever has his mail sent on to that very address is not meant.
        """
        found = await self._home(address) if self._home is not None and address not in branch.path else None
        if isinstance(found, Status):
            walk.end(branch, address, f"refused: {found}", found)
            return []
        if found is None or (self.is_local(found) and not await self._is_somebody(found, branch.path)):
            return None
        walk.lead(branch, address, _known(address, is_local=self.is_local(address)), Step((found,)))
        return branch.to(found, address)

    async def _is_somebody(self, address: Address, path: tuple[Address | str, ...]) -> bool:
        """Whether an alias or an account has that name, and the walk has not come from there."""
        names = self.spellings(self.complete(address.folded))
        if any(name in path or str(name) in path for name in names):
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

    async def _abroad(self, walk: Walk, branch: Branch, address: Address) -> list[Branch]:
        """An address in somebody else's domain: a remote target, unless its route says that it is somebody here, or nobody.

        A refusal is the answer to whoever writes to it; where an alias led here, the relay reports it to the sender.
        """
        found = await self._elsewhere(address) if self._elsewhere is not None else None
        if isinstance(found, Address) and address not in branch.path:
            walk.lead(branch, address, "outside, and here by its route", Step((found,)))
            return branch.to(found, address)
        if isinstance(found, Status) and not branch.path:
            walk.end(branch, address, f"refused by its route: {found}", found)
        elif not isinstance(found, Address):
            walk.arrive(branch, Target(Kind.REMOTE, address, walk.original, front=_passed(branch)), "outside")
        else:
            walk.end(branch, address, _circle(branch.path, address), LOOP)
        return []

    def _last_resort(self, walk: Walk, branch: Branch, here: Address) -> list[Branch]:
        """Neither alias nor account: the rules of the domain and of the house."""
        if (found := self._caught(branch.path, here)) is not None:
            there, what = found
            walk.lead(branch, here, what, Step((there,)))
            return branch.to(there, here)
        if self._is_postmaster(here):
            self._to_the_box(walk, branch, here)
        elif here.domain in self._like:
            walk.end(branch, here, "neither alias nor user", UNKNOWN)
        elif here.domain in self._second_servers:
            walk.arrive(branch, Target(Kind.REMOTE, here, walk.original), "at the domain's second server")
        elif here in branch.path:
            walk.end(branch, here, _circle(branch.path, here), LOOP)
        else:
            walk.end(branch, here, "neither alias nor user", UNKNOWN)
        return []

    def _caught(self, path: tuple[Address | str, ...], here: Address) -> tuple[Address, str] | None:
        """(who gets the mail for *here* instead, in words why)."""
        if other := self._like.get(here.domain):
            there = Address(here.local, other)
            return (there, f"as in {other}") if here not in path or there not in path else None
        catchall = self._catchalls.get(here.domain)
        if catchall is not None and catchall not in path and catchall != here:
            return catchall, "caught by the domain's catch-all"
        named = self._postmaster
        if here.local == "postmaster" and named is not None and named != here and named not in path:
            return named, "postmaster, as the configuration says"
        if here.local in self._to_postmaster and here.domain not in self._second_servers and here.local != "postmaster":
            return Address("postmaster", here.domain), "postmaster gets it"
        return None

    def _is_postmaster(self, address: Address) -> bool:
        """Always accepted (RFC 5321 §4.5.1), under that name and under the one that the configuration gives him."""
        return self.is_local(address) and (address.local.lower() == "postmaster" or address.folded == self._postmaster)

    def _to_the_box(self, walk: Walk, branch: Branch, address: Address) -> None:
        here = Address(address.local.lower(), address.domain or self.default_domain)
        box = f"postmaster@{self.default_domain}"
        walk.arrive(branch, Target(Kind.MAILBOX, here, walk.original, box), f"the house's box, {box}")

    def _tell_operator(self, walk: Walk) -> None:
        """What aliases lead to that is nowhere: once for each line that says so."""
        for place, move in enumerate(walk.trail):
            if move.status is None or not move.depth or isinstance(move.goal, Refusal):
                continue
            above = above_of(walk.trail, place)
            if (key := (above.origin, move.name)) in self._told:
                continue
            if len(self._told) >= MOST_REMEMBERED:
                self._told.clear()
            self._told.add(key)
            log.warn("{above} ({origin}) leads to {name}: {what}",
                     above=str(above.address), origin=above.text, name=move.name, what=move.what)  # fmt: skip

    def spellings(self, address: Address) -> tuple[Address, ...]:
        """The address itself, then without its +suffix (RFC 5233), shorter and shorter."""
        return spellings(address, self._separators_of.get(address.domain, self._separators))

    def _names(self, here: Address) -> tuple[tuple[Address, str], ...]:
        """The names that *here* may have, each with what stands behind it in *here*; of a NAME-default, DEFAULT_ALIAS."""
        separators = self._separators_of.get(here.domain, self._separators)
        cuts = places(here.local, separators)
        if not cuts:
            return ((here, ""),)
        local, domain = here.local, here.domain
        found = [(here, "")]
        for cut in cuts:
            found.append((Address(local[: cut + 1] + DEFAULT, domain), DEFAULT_ALIAS))
            found.append((Address(local[:cut], domain), local[cut + 1 :]))
        return tuple(found)


def _known(address: Address, *, is_local: bool) -> str:
    """What *address*, which only the world knows, is in words."""
    if is_srs(address):
        return "made for reports about a forwarded message"
    return "how the world knows somebody here" if is_local else "outside, where somebody here is known by it"


def _passed(branch: Branch) -> bytes:
    """What tells whoever gets the mail next, and us when it comes back, by which name it has left: circles between hosts are found by it.

    Postfix says the same (prepend_delivered_header). Beyond ASCII nothing is said: it would need SMTPUTF8 on the whole way.
    """
    return delivered_to(branch.called) if branch.path and str(branch.called).isascii() else b""


def _circle(path: tuple[Address | str, ...], here: Address) -> str:
    """The names that lead in a circle, in words."""
    begin = path.index(here) if here in path else 0
    return "loop, ignored: " + " -> ".join(map(str, (*path[begin:], here)))
