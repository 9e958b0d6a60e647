"""How the queue is told what the configuration says of its pace, and whether the line is up.

`assembly` calls it at start and at every reload; `twistmail offline` and `online`
move the Uplink (`line_desk`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from twisted.logger import Logger

from twistmail.config.settled import Config
from twistmail.mail.hours import Hours
from twistmail.mail.schedule import Schedule
from twistmail.queue.absence import FILE, UP, Absence, read, write
from twistmail.queue.place import FIRST_REST, LONGEST_REST, Bounds
from twistmail.queue.reports import Reports
from twistmail.queue.rules import Attempts, Rules
from twistmail.relay.paces import Paces
from twistmail.relay.pickups import Pickups

log = Logger()


def schedule_of(config: Config) -> Schedule:
    """When to try again, to warn, to give up."""
    waits = config["relay"]
    return Schedule(waits.retry, waits.expire, waits.warn_sender_after, waits.jitter)


def bounds_of(config: Config) -> Bounds:
    """How many at a time. No place rests for longer than the waits between attempts are."""
    settings = config["relay"]
    rests = {"first_rest": min(FIRST_REST, settings.retry[0]), "longest_rest": min(LONGEST_REST, settings.retry[-1])}
    return Bounds(settings.concurrency, settings.concurrency_at_first, settings.concurrency_per_domain, **rests)


def rules_of(config: Config, dispatch: Attempts, reports: Reports, pickups: Pickups, uplink: Uplink) -> Rules:
    """All that the queue goes by. *uplink*: whether it is up, and was."""
    settings, keeps = config["relay"], pickups.keeps if pickups.any else None
    paces = Paces(settings, config.named("route"))
    rules = Rules(dispatch, schedule_of(config), reports, keeps, paces.of, paces.sender_rates)
    return replace(rules, paused=partial(paused, uplink, settings.window)) if settings.pause_expiry else rules


class Uplink:
    """Whether mail for others may go out at all. `file` says so durably; `of(data_dir)` reads it. Blocking, but short."""

    def __init__(self, file: Path, absence: Absence) -> None:
        self._file = file
        self.absence = absence

    @classmethod
    def of(cls, data_dir: Path) -> Uplink:
        """As the data folder says. OSError; what makes no sense is said in the log, and taken for up."""
        file = data_dir / FILE
        try:
            return cls(file, read(file))
        except ValueError as trouble:
            log.error("{trouble}; the line is taken to be up", trouble=str(trouble))
            return cls(file, UP)

    @property
    def is_down(self) -> bool:
        return self.absence.since is not None

    def go(self, *, offline: bool, now: float) -> bool:
        """Down or up from *now* on, durably; whether that is a change. OSError: it is as it was."""
        absence = self.absence.go(offline=offline, now=now)
        if absence is self.absence:
            return False
        write(self._file, absence)
        self.absence = absence
        return True


def paused(uplink: Uplink, window: Hours, start: float, end: float) -> float:
    """For how many of the seconds from *start* to *end* nothing could go out, by the hour or because the line was down."""
    down = uplink.absence.within(start, end)
    return window.closed_between(start, end) + sum(to - since - window.closed_between(since, to) for since, to in down)
