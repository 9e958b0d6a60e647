"""The courier for `|program words` of aliases and users' forwards (ICourier; row R28, spec/limits.md section 4).

A command names a section [pipe:NAME], or a program of one folder; whatever path is
written before it does not count, and no shell sees it. How programs are run is
`piping`'s business, what their ends mean that of `programs`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import tasks
from twistmail.delivery.batches import batches
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.mail.commands import program_of, words_of
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.letter import letter
from twistmail.mail.outcome import Foreseen, Outcome, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.values import frozen
from twistmail.piping import Piper, Wanted
from twistmail.programs import BAD_NAME, GONE, may_be_given, status_of, values_of

log = Logger()

#: Rows of the helper's table: programs of the house, and those that somebody at this machine has asked for himself.
HOUSE_PROGRAMS, OWN_PROGRAMS = "delivery/programs", "delivery/own programs"
BAD_COMMAND = Status(451, "4.3.5", "Mail for that address goes to a program whose command is not in order")
NOT_SET_UP = Status(451, "4.3.5", "Mail for that address goes to a program that is not set up here")


class Named(Protocol):
    """A program with a section of its own."""

    async def run(self, item: Item, target: Target, content: Content) -> Status: ...


@frozen
class Runners:
    """Who runs programs: `piper`, asked in `threads`. `extension`(target) is what stands behind his separator."""

    threads: Any
    piper: Piper | None
    extension: Callable[[Target], str] = lambda target: ""


@implementer(ICourier)
class ProgramCourier:
    """For targets of Kind PROGRAM. *named*: by the names of their sections. *uid_of*(account name): his number, None where he has none."""

    name = "programs"

    def __init__(
        self, named: Mapping[str, Named], runners: Runners, uid_of: Callable[[str], Awaitable[int | None]], most: int = 4
    ) -> None:
        self._named = named
        self._runners = runners
        self._uid_of = uid_of
        self._limit = tasks.Limit(max(most, 1))

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        """Each command is a place of its own: one program that is slow delays no other."""
        return batches("program", item, targets)

    async def foresee(self, item: Item, target: Target) -> Foreseen:
        where = f"the program {target.way}" + (f", as {target.account}" if target.account else "")
        try:
            words = words_of(target.way)
        except ValueError as error:
            return Foreseen(where, BAD_COMMAND, str(error))
        if not target.account and len(words) == 1 and words[0] in self._named:
            return Foreseen(f"the program of [pipe:{words[0]}]")
        if target.account and await self._uid_of(target.account) is None:
            return Foreseen(where, NOT_SET_UP, f"{target.account} is no user of this machine, so there is nobody to run it as")
        if not may_be_given(values_of(item, target, self._runners.extension(target))):
            return Foreseen(where, BAD_NAME)
        piper, row = self._runners.piper, OWN_PROGRAMS if target.account else HOUSE_PROGRAMS
        if piper is None or row not in piper.names:
            return Foreseen(where, NOT_SET_UP, "no programs are run for it")
        return Foreseen(where)

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> list[Outcome]:
        return list(await tasks.gather(*(self._bring(item, target, content) for target in targets)))

    async def _bring(self, item: Item, target: Target, content: Content) -> Outcome:
        try:
            words = words_of(target.way)
        except ValueError as error:
            log.error("delivery: {id}: |{command}: {error}", id=item.id, command=target.way, error=str(error))
            return outcome_of(target, BAD_COMMAND, "program", local=True)
        program = program_of(words)
        if not target.account and len(words) == 1 and words[0] in self._named:
            status = await self._named[words[0]].run(item, target, content)
        else:
            status = await self._run((program, *words[1:]), item, target, content)
        return outcome_of(target, status, f"program {program}", local=True)

    async def _run(self, words: tuple[str, ...], item: Item, target: Target, content: Content) -> Status:
        """A program of the folder."""
        row, user = HOUSE_PROGRAMS, None
        if target.account:
            try:
                row, user = OWN_PROGRAMS, await self._uid_of(target.account)
            except Unavailable as error:
                log.error("delivery: {id}: whose |{command} is cannot be told: {error}", id=item.id, command=target.way, error=str(error))
                return UNAVAILABLE
            if user is None:
                why = f"{target.account} is no user of this machine, so there is nobody to run it as"
                log.error("delivery: {id}: |{command}: {why}", id=item.id, command=target.way, why=why)
                return NOT_SET_UP
        values = values_of(item, target, self._runners.extension(target))
        if not may_be_given(values):
            return BAD_NAME
        return await self._ask(Wanted(row, values, user, words), item, target, content)

    async def _ask(self, wanted: Wanted, item: Item, target: Target, content: Content) -> Status:
        piper = self._runners.piper
        if piper is None or wanted.name not in piper.names:
            why = "no programs are run for it; the log of the start says why"
            log.error("delivery: {id}: |{command}: {why}", id=item.id, command=target.way, why=why)
            return NOT_SET_UP
        try:
            async with self._limit:
                run = await self._runners.threads.run(piper.do, wanted, letter(item, target, content).chunks())
        except OSError as error:
            log.error("delivery: {id}: |{command}: {error}", id=item.id, command=target.way, error=str(error))
            return GONE
        if run.status or run.late:
            log.warn("delivery: {id}: |{command} ended with {run}", id=item.id, command=target.way, run=run)
        return status_of(run)
