"""What the runner knows of an item that is on its way, beyond the item itself. Most items that wait need none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome
from twistmail.mail.status import Status
from twistmail.queue.line import Job

#: Stands for all domains in `Case.called_for`.
ANY = "*"


@dataclass(slots=True, eq=False)
class Case:
    """`jobs` stand in lines or run, `lined_since` then. `later`: when targets are due, where that is not the time of the item.

    `called_for`: domains whose mail is not kept at the next attempt. `forced`: all is due now. `reserved`: targets that have
    their turn under the rate of their sender already. `report_by`: when those that have failed are reported at the latest.
    `doubtful`: the disk has failed it, so it is written first and tried then; `unwritten`: what has happened meanwhile.

    Orders that came while it could not be touched: `doomed` (delete it), `over` (give it up, for this reason). `attended`:
    somebody writes about it at this moment; `again`: he must look once more.
    """

    jobs: set[Job] = field(default_factory=set)
    later: dict[Target, float] = field(default_factory=dict)
    called_for: set[str] = field(default_factory=set)
    reserved: set[Target] = field(default_factory=set)
    report_by: float | None = None
    lined_since: float | None = None
    forced: bool = False
    doubtful: bool = False
    unwritten: list[Outcome] = field(default_factory=list)
    doomed: bool = False
    over: Status | None = None
    attended: bool = False
    again: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether nothing would be forgotten with it."""
        return not (
            self.jobs or self.later or self.called_for or self.reserved or self.report_by or self.forced or self.doubtful or self.doomed
            or self.over or self.attended
        )  # fmt: skip

    @property
    def runs(self) -> bool:
        return any(not job.waits for job in self.jobs)

    @property
    def lined(self) -> list[Job]:
        """The jobs that wait in lines."""
        return [job for job in self.jobs if job.waits]

    def idle(self, item: Item) -> list[Target]:
        """What waits of *item*, and is in no line and not on its way."""
        waiting = [errand.target for errand in item.pending]
        if self.jobs:
            busy = {target for job in self.jobs for target in job.trip.targets}
            waiting = [target for target in waiting if target not in busy]
        return waiting

    def due_at(self, item: Item, target: Target) -> float:
        """From when on *target* may be tried."""
        if self.forced:
            return 0.0
        at = self.later.get(target) if self.later else None  # to hash a target is what costs
        return item.next_try if at is None else at

    def put_off(self, targets: Iterable[Target], at: float) -> None:
        self.later.update(dict.fromkeys(targets, at))

    def settle_down(self, item: Item) -> None:
        """Forget times that the item tells as well."""
        if not self.jobs and self.later:
            waiting = {errand.target for errand in item.pending}
            self.later = {target: at for target, at in self.later.items() if target in waiting}
            if len(self.later) == len(waiting) and set(self.later.values()) <= {item.due}:
                self.later = {}
