"""The courier for mailboxes where others keep some of them (ICourier; row R06): delivery agents, files of users, servers by LMTP.

Our own store takes what is left, and does so before the 250; an agent gets its mail
from the queue, as long as it takes. A copy that is to lie in a certain folder (of
what was sent as a role) is our own store's in any case: an agent cannot be told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.delivery import files
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.mail.account import account_directory
from twistmail.mail.address import parse
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.letter import letter
from twistmail.mail.outcome import Foreseen, Outcome, Result, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.piping import Piper, Run, Wanted
from twistmail.programs import BAD_NAME, GONE, may_be_given, safe, status_of, values_of

log = Logger()

NOT_SET_UP = Status(451, "4.3.5", "The mailboxes of that domain are kept by a program that is not set up here")


class Agent(Protocol):
    """Somebody else who keeps mailboxes. `place`: a word for lists and pacing."""

    place: str

    def objection(self) -> Status | None:
        """What is known to come of whatever is brought there; None: nothing ill."""

    def batches(self, targets: Sequence[Target]) -> tuple[Batch, ...]:
        """*targets*, divided into those of which it is told together what came of them."""

    async def deliver(self, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Outcome]:
        """One Outcome per target, in order."""


@implementer(ICourier)
class AgentCourier:
    """For targets of Kind MAILBOX. *own*: the courier to our own store. *agent_of*(account name): who keeps his mailbox; None: we do."""

    name = "mailbox"

    def __init__(self, own: Any, agent_of: Callable[[str], Agent | None]) -> None:
        self._own = own
        self._agent_of = agent_of

    def at_once(self, target: Target) -> bool:
        """Whether it may be brought while the peer waits."""
        return self._agent(target) is None

    async def foresee(self, item: Item, target: Target) -> Foreseen | None:
        agent = self._agent(target)
        return None if agent is None else Foreseen(f"the mailbox of {target.account}, kept by {agent.place}", agent.objection())

    def _agent(self, target: Target) -> Agent | None:
        return None if target.folder else self._agent_of(target.account)

    def _divided(self, targets: Sequence[Target]) -> dict[Agent | None, list[Target]]:
        groups: dict[Agent | None, list[Target]] = {}
        for target in targets:
            groups.setdefault(self._agent(target), []).append(target)
        return groups

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        batches: list[Batch] = []
        for agent, group in self._divided(targets).items():
            batches += self._own.batches(item, group) if agent is None else agent.batches(group)
        return tuple(batches)

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> list[Outcome]:
        groups = self._divided(targets)
        carried = await tasks.gather(*(
            self._own.carry(item, group, content) if agent is None else agent.deliver(item, group, content)
            for agent, group in groups.items()
        ))  # fmt: skip
        outcomes = {target: outcome for group, got in zip(groups.values(), carried, strict=True)
                    for target, outcome in zip(group, got, strict=True)}  # fmt: skip
        return [outcomes[target] for target in targets]


class HelperAgent:
    """What the helper does for each recipient. *row*: of its table. *uid_of*(account name): his number, or None.

    *own*: it is done as the user whose mail it is.
    """

    def __init__(
        self, row: str, piper: Piper | None, threads: Any, uid_of: Callable[[str], Awaitable[int | None]], *, own: bool, most: int = 4
    ) -> None:
        self.place = row
        self._row = row
        self._piper = piper
        self._threads = threads
        self._uid_of = uid_of
        self._own = own
        self._limit = tasks.Limit(max(most, 1))

    def objection(self) -> Status | None:
        return None if self._piper is not None and self._row in self._piper.names else NOT_SET_UP

    def batches(self, targets: Sequence[Target]) -> tuple[Batch, ...]:
        """Each by himself: who has got it is noted at once, and does not get it again should the server stop before all have it."""
        return tuple(Batch(self.place, (target,)) for target in targets)

    async def deliver(self, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Outcome]:
        return await tasks.gather(*(self._one(item, target, content) for target in targets))

    async def _one(self, item: Item, target: Target, content: Content) -> Outcome:
        try:
            number = await self._uid_of(target.account)
        except Unavailable as error:
            log.error("delivery: {id}: who {account} is cannot be told: {error}", id=item.id, account=target.account, error=str(error))
            return outcome_of(target, UNAVAILABLE, self._row, local=True)
        return outcome_of(target, await self._bring(item, target, content, number), self._row, local=True)

    async def _bring(self, item: Item, target: Target, content: Content, number: int | None) -> Status:
        if self._own and number is None:
            why = f"{target.account} is no user of this machine; set user"
            log.error("delivery: {id}: [{row}] {why}", id=item.id, row=self._row, why=why)
            return NOT_SET_UP
        if self._piper is None or self._row not in self._piper.names:
            log.error("delivery: {id}: [{row}] is not done; the log of the start says why", id=item.id, row=self._row)
            return NOT_SET_UP
        wanted = self._wanted(item, target, is_system=number is not None)
        if wanted is None:
            return BAD_NAME
        try:
            async with self._limit:
                run = await self._threads.run(
                    self._piper.do, replace(wanted, user=number if self._own else None), letter(item, target, content).chunks())
        except OSError as error:
            log.error("delivery: {id}: [{row}] {error}", id=item.id, row=self._row, error=str(error))
            return GONE
        if run.status or run.late:
            log.warn("delivery: {id}: [{row}] ended for {account} with {run}", id=item.id, row=self._row, account=target.account, run=run)
        return self._meaning(run)

    def _wanted(self, item: Item, target: Target, *, is_system: bool) -> Wanted | None:
        """What the helper is asked for; None where it cannot be for a recipient of that name."""
        raise NotImplementedError

    def _meaning(self, run: Run) -> Status:
        raise NotImplementedError


class ProgramAgent(HelperAgent):
    """A program such as procmail. *extension*(target): what stands behind his separator."""

    def __init__(self, *where: Any, extension: Callable[[Target], str] = lambda target: "", **how: Any) -> None:
        super().__init__(*where, **how)
        self._extension = extension

    def _wanted(self, item: Item, target: Target, *, is_system: bool) -> Wanted | None:
        values = values_of(item, target, self._extension(target)) | safe(_names(target.account, is_system=is_system))
        return Wanted(self._row, values) if may_be_given(values) else None

    def _meaning(self, run: Run) -> Status:
        return status_of(run)


class FileAgent(HelperAgent):
    """A file for each user, such as ~/Maildir/ or /var/mail/%n: *file*, with its gaps."""

    def __init__(self, *where: Any, file: str, **how: Any) -> None:
        super().__init__(*where, **how)
        self._file = file

    def _wanted(self, item: Item, target: Target, *, is_system: bool) -> Wanted | None:
        try:
            return Wanted(self._row, path=account_directory(self._file.replace("%u", "%n") if is_system else self._file, target.account))
        except ValueError:
            return None

    def _meaning(self, run: Run) -> Status:
        return files.FILED if run.status == 0 else files.status_of(files.trouble(run, self._file))


def _names(account: str, *, is_system: bool) -> dict[str, str]:
    """Who the owner of a mailbox is, in the words of a command."""
    local, _, domain = account.rpartition("@")
    return {"account": account, "login": local if is_system else account, "user": local, "domain": domain}


class ServerAgent:
    """Another server, by LMTP (RFC 2033). *bring*(item, targets, content): carries them there, and tells an Outcome for each target.

    It is asked for the mailbox by the account's name, whatever the recipient was called when he was written to.
    """

    def __init__(self, place: str, bring: Callable[[Item, Sequence[Target], Content], Coroutine[Any, Any, Sequence[Outcome]]]) -> None:
        self.place = place
        self._bring = bring

    def objection(self) -> Status | None:
        return None

    def batches(self, targets: Sequence[Target]) -> tuple[Batch, ...]:
        """One transaction for all."""
        return (Batch(self.place, tuple(targets)),)

    async def deliver(self, item: Item, targets: Sequence[Target], content: Content) -> Sequence[Outcome]:
        renamed = {target: replace(target, address=parse(target.account)) for target in targets}
        item = replace(item, errands=tuple(replace(one, target=renamed.get(one.target, one.target)) for one in item.errands))
        said = await self._bring(item, list(renamed.values()), content)
        by_target = {outcome.target: outcome for outcome in said}
        return [_at_home(by_target[renamed[target]], target) for target in targets]


def _at_home(outcome: Outcome, target: Target) -> Outcome:
    """What the server has taken lies in the mailbox."""
    result = Result.DELIVERED if outcome.result is Result.RELAYED else outcome.result
    return replace(outcome, target=target, result=result, passed_on=False)
