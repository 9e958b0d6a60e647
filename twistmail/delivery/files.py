"""The courier for files (ICourier): mboxes, maildirs and MH folders that aliases or users' forwards name (row R27).

What makes a file fit to be written to is the business of `formats.filing`. Files
of system-wide aliases are written by the server, or by the user that the
configuration names; those of a user's own forward as that user, by the helper.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail import disk, tasks
from twistmail.delivery.batches import batches
from twistmail.formats import filing
from twistmail.interfaces import Batch, ICourier, Unavailable
from twistmail.mail.content import Content
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.letter import Letter, letter
from twistmail.mail.outcome import Foreseen, Outcome, outcome_of
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.values import frozen
from twistmail.piping import Piper, Run, Wanted
from twistmail.piping_helper import NOT_FILED

log = Logger()

#: Rows of the helper's table: files of the house, and files of those who work at this machine. No [pipe:NAME] is called so.
HOUSE_FILES, OWN_FILES = "delivery/files", "delivery/own files"
FILED = Status(250, "2.0.0", "Put into the file")
DISCARDED = Status(250, "2.0.0", "Thrown away, as the alias of that address says")
UNFIT = Status(451, "4.3.5", "Mail for that address goes into a file that it cannot go into")
LOCKED = Status(451, "4.2.0", "The mailbox of that address is in use, please try again later")
NOT_SET_UP = Status(451, "4.3.5", "Mail for that address goes into a file, and that is not set up here")


@frozen
class Writers:
    """Who writes files: `piper` as others, for those rows that it `names`; `threads` as we are. `apart`: files of the house are
    written by somebody else."""

    threads: Any
    piper: Piper | None = None
    apart: bool = False


@implementer(ICourier)
class FileCourier:
    """For targets of Kind FILE. *allowed*: folders below which files may lie. *uid_of*(account name): his number, None where he has none.

    *patience*: seconds for which a locked mbox is waited for.
    """

    name = "files"

    def __init__(
        self, allowed: Sequence[str], writers: Writers, uid_of: Callable[[str], Awaitable[int | None]], patience: float, most: int = 4
    ) -> None:
        self._allowed = tuple(allowed)
        self._writers = writers
        self._uid_of = uid_of
        self._patience = patience
        self._limit = tasks.Limit(max(most, 1))

    def batches(self, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
        """Each file is a place of its own: one that is locked for long delays no other."""
        return batches("file", item, targets)

    async def foresee(self, item: Item, target: Target) -> Foreseen:
        if target.way == filing.NOWHERE:
            return Foreseen("nowhere: it is thrown away")
        where = f"the file {target.way}" + (f", as {target.account}" if target.account else "")
        try:
            return Foreseen(where, await self._known(target))
        except OSError as error:
            return Foreseen(where, status_of(error), str(error))

    async def _known(self, target: Target) -> Status | None:
        """What is known to keep mail from the file, as far as we may see it ourselves. OSError as when it is brought."""
        if target.account:
            await self._owner(target)
            return self._missing(OWN_FILES)
        way = filing.way_to(target.way, self._allowed)
        if self._writers.apart:
            return self._missing(HOUSE_FILES)
        await self._writers.threads.run(filing.look, way)
        return None

    def _missing(self, row: str) -> Status | None:
        return None if self._writers.piper is not None and row in self._writers.piper.names else NOT_SET_UP

    async def carry(self, item: Item, targets: Sequence[Target], content: Content) -> list[Outcome]:
        return list(await tasks.gather(*(self._bring(item, target, content) for target in targets)))

    async def _bring(self, item: Item, target: Target, content: Content) -> Outcome:
        if target.way == filing.NOWHERE:
            return outcome_of(target, DISCARDED, "nobody", local=True)
        try:
            async with self._limit:
                status = await self._put(target, letter(item, target, content))
        except Unavailable as error:
            log.error("delivery: {id}: whose {path} is cannot be told: {error}", id=item.id, path=target.way, error=str(error))
            status = UNAVAILABLE
        except OSError as error:
            log.error("delivery: {id} is not put into {path}: {error}", id=item.id, path=target.way, error=error.strerror or error)
            status = status_of(error)
        return outcome_of(target, status, f"file {target.way}", local=True)

    async def _put(self, target: Target, message: Letter) -> Status:
        """OSError where it could not be put there."""
        if target.account:
            return await self._put_as(target, message)
        way = filing.way_to(target.way, self._allowed)
        if self._writers.apart:
            return await self._ask(Wanted(HOUSE_FILES, path=way.path), message)
        await self._writers.threads.run(partial(filing.deliver, way, message, timeout=self._patience))
        return FILED

    async def _put_as(self, target: Target, message: Letter) -> Status:
        """Into a file of a user of this machine, as he may. Nobody else has files."""
        return await self._ask(Wanted(OWN_FILES, user=await self._owner(target), path=target.way), message)

    async def _owner(self, target: Target) -> int:
        number = await self._uid_of(target.account)
        if number is None:
            raise filing.Unfit(target.way, f"{target.account} is no user of this machine, so there is nobody to write it as")
        return number

    async def _ask(self, wanted: Wanted, message: Letter) -> Status:
        piper = self._writers.piper
        if piper is None or wanted.name not in piper.names:
            log.error("delivery: {path}: there is no helper that writes as others; the log of the start says why", path=wanted.path)
            return NOT_SET_UP
        run: Run = await self._writers.threads.run(piper.do, wanted, message.chunks())
        if run.status == 0:
            return FILED
        raise trouble(run, wanted.path)


def trouble(run: Run, path: str) -> OSError:
    """What has kept the helper from writing, as it would have been raised here."""
    number, _, why = run.output.partition(" ")
    if run.status != NOT_FILED or not number.isdigit():
        return OSError(errno.EAGAIN, run.output or f"the helper has ended with {run.status}", path)
    return filing.Unfit(path, why) if int(number) == errno.EPERM else OSError(int(number), why, path)


def status_of(error: OSError) -> Status:
    """What the sender's side hears; never a detail."""
    if isinstance(error, filing.Unfit) or error.errno in (errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENXIO):
        return UNFIT
    return LOCKED if error.errno == errno.ETIMEDOUT else disk.status_of(error)


def is_ours(user: str, names: Callable[[str], int]) -> bool:
    """Whether files that are written as *user* are written by this process. *names*(user): his number."""
    return not user or names(user) == os.geteuid()
