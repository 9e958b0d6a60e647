"""The letters that wait in the offices' queues, as the queue page shows them; and the schedule by which they are tried again, drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from twistmail.lab.ring import Ring
from twistmail.mail.item import Item
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.routes import OPTIONS as RELAY
from twistmail.rows import View, sender_of
from twistmail.steering.desk import QueueDesk

#: Letters of one office that are shown.
MOST = 100
#: (state of `rows.STATES`): (class of its colour, in words).
STATES = {
    "active": ("waiting", "is being tried"),
    "held": ("not-yet", "held"),
    "new": ("waiting", "not tried yet"),
    "deferred": ("waiting", "waits"),
}
#: How a chart is drawn: the width of a step, where the line is, and how many tries it shows.
STEP, LINE, TRIES = 110, 58, 7


@frozen
class Recipient:
    """Whom a letter has still to reach, or has not reached, with the last answer."""

    address: str
    state: str
    answer: Status | None
    host: str


@frozen
class Letter:
    """A letter in the queue of `office`. Times are POSIX seconds; `due` None: it hangs on something else than time (`why`)."""

    office: str
    id: str
    subject: str
    sender: str
    recipients: tuple[Recipient, ...]
    state: str
    size: int
    attempts: int
    arrived: float
    tried: float
    due: float | None
    returned: float
    why: str

    @property
    def shown(self) -> tuple[str, str]:
        """(class of its colour, in words)."""
        return STATES[self.state]

    @property
    def since(self) -> float:
        """From when on it waits for the next try."""
        return self.tried or self.arrived

    @property
    def is_held(self) -> bool:
        return self.state == "held"


def waiting(town: Any) -> tuple[Letter, ...]:
    """All that waits in offices that are on, oldest first in each."""
    subjects = subjects_in(town.ring)
    found = []
    for office in town.offices:
        if (service := town.service(office.name)) is not None:
            view, runner = QueueDesk(service.foundation).view(), service.foundation.runner
            expire = service.config["relay"].expire
            found += [letter(office.name, item, view, expire, subjects) for item in runner.queue.items()[:MOST]]
    return tuple(found)


def letter(office: str, item: Item, view: View, expire: float, subjects: Mapping[str, str]) -> Letter:
    outlook = view.outlook(item)
    tried = max((errand.tried for errand in item.errands), default=0.0)
    return Letter(
        office=office,
        id=item.id,
        subject=subjects.get(item.id, ""),
        sender=sender_of(item),
        recipients=tuple(
            Recipient(str(errand.target.address), errand.result.value if errand.result else "waiting", errand.status, errand.host)
            for errand in item.errands
        ),
        state=view.state(item),
        size=item.size,
        attempts=max((errand.attempts for errand in item.errands), default=0),
        arrived=item.arrived,
        tried=tried,
        due=None if item.held else outlook.at,
        returned=item.since + expire,
        why=item.held_for if item.held else outlook.why,
    )


def subjects_in(ring: Ring) -> dict[str, str]:
    """The subjects of the letters that were accepted lately, by their ids."""
    return {
        event.about: str(event.what.get("subject") or "")
        for event in ring.since(0)
        if event.kind == "mail" and event.what.get("state") == "accepted"
    }


# ----- the chart


@frozen
class Try:
    """One try in the chart: `number` from 1 on, at `x`; `here` and `real`: seconds since the try before (0: the first), in the
    classroom and by the server's usual settings; `count`: letters whose next try this is."""

    number: int
    x: int
    here: float
    real: float
    count: int


@frozen
class Chart:
    """`tries`, then the letter goes back after `here` or `real` seconds in all; of that the letters know nothing yet at `x`."""

    tries: tuple[Try, ...]
    x: int
    here: float
    real: float

    @property
    def width(self) -> int:
        return self.x + STEP


def usual(key: str) -> Any:
    """What a server has where nobody sets it."""
    option = RELAY.option(key)
    assert option is not None
    return option.kind.read(option.default)


def chart(waits: Iterable[float], expire: float, attempts: Iterable[int]) -> Chart:
    """The schedule *waits* and *expire* (seconds), and where letters with so many *attempts* behind them stand in it."""
    here, real = tuple(waits), usual("retry")
    counts = list(attempts)
    shown = max(2, min(TRIES, 1 + sum(1 for at in accumulate(_wait(here, n) for n in range(1, TRIES)) if at <= expire)))
    tries = tuple(
        Try(
            number, STEP // 2 + (number - 1) * STEP, _wait(here, number - 1), _wait(real, number - 1),
            sum(1 for done in counts if done + 1 == number or (number == shown and done >= shown)),
        )
        for number in range(1, shown + 1)
    )  # fmt: skip
    return Chart(tries, STEP // 2 + shown * STEP, expire, usual("expire"))


def _wait(waits: tuple[float, ...], number: int) -> float:
    """The wait before try *number* + 1; the last one repeats."""
    return waits[min(number, len(waits)) - 1] if number else 0.0
