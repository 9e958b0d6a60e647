"""When an item is tried, warned of and returned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.address import Address
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.schedule import DAY, HOUR, MINUTE, Schedule
from twistmail.queue import timing
from twistmail.queue.timing import LAST_CALL

T0 = 1_800_000_000.0
BOB = Address("bob", "far.test")
SCHEDULE = Schedule()


def item(notify=(), sender=BOB, **wishes) -> Item:
    errand = Errand(Target(Kind.REMOTE, BOB, BOB), notify=frozenset(notify))
    return Item("i1", sender, (errand,), T0, 10, wishes=Wishes(**wishes))


def returned(after: float) -> Deadline:
    return Deadline(T0 + after, returns=True)


@pytest.mark.parametrize(("wishes", "attempts", "now", "due"), [
    pytest.param({}, 0, 0, 5 * MINUTE, id="as-planned"),
    pytest.param({"hold_until": T0 + DAY}, 0, DAY, DAY + 5 * MINUTE, id="held-first"),
    pytest.param({"hold_until": T0 + DAY}, 9, 5.5 * DAY, 5.5 * DAY + 4 * HOUR, id="days-count-from-the-end-of-the-hold"),
    pytest.param({"deadline": returned(HOUR)}, 0, 0, 5 * MINUTE, id="long-before-a-deadline"),
    pytest.param({"deadline": returned(HOUR)}, 4, 50 * MINUTE, HOUR - LAST_CALL, id="one-more-before-the-deadline"),
    pytest.param({"deadline": returned(HOUR)}, 4, HOUR - LAST_CALL, HOUR, id="then-it-is-returned"),
    pytest.param({"deadline": returned(HOUR)}, 4, HOUR, None, id="at-once"),
    pytest.param({"deadline": returned(9 * DAY)}, 99, 5 * DAY, None, id="a-deadline-after-the-time-in-which-we-try"),
    pytest.param({"deadline": Deadline(T0 + HOUR, returns=False)}, 3, 50 * MINUTE, 110 * MINUTE, id="a-deadline-that-returns-nothing"),
    pytest.param({}, 99, 5 * DAY, None, id="after-five-days"),
])  # fmt: skip
def test_the_next_attempt(wishes, attempts, now, due):
    assert timing.next_due(item(**wishes), attempts + 1, T0 + now, SCHEDULE) == (None if due is None else T0 + due)


@given(st.floats(60, 10 * DAY), st.floats(0, 10 * DAY), st.integers(0, 50), st.floats(1.0, 1.1))
def test_the_last_attempt_comes_before_the_deadline_and_the_end_at_it(deadline, now, attempts, stretch):
    one = item(deadline=returned(deadline))
    due = timing.next_due(one, attempts + 1, T0 + now, SCHEDULE, stretch)
    if due is None:
        assert now >= deadline or now > SCHEDULE.give_up_after - 4 * HOUR
    else:
        assert T0 + now < due <= T0 + deadline
        assert due <= T0 + deadline - LAST_CALL or due == T0 + deadline


NOTED = Deadline(T0 + HOUR, returns=False)


@pytest.mark.parametrize(("one", "late", "overdue"), [
    pytest.param(item(), 4 * HOUR, None, id="as-usual"),
    pytest.param(item((Notify.DELAY,)), 4 * HOUR, None, id="asked-for"),
    pytest.param(item((Notify.FAILURE, Notify.SUCCESS)), None, None, id="not-asked-for"),
    pytest.param(item((Notify.NEVER,), deadline=NOTED), None, None, id="never"),
    pytest.param(item(sender=None, deadline=NOTED), None, None, id="nobody-to-tell"),
    pytest.param(item(deadline=NOTED), 4 * HOUR, HOUR, id="a-deadline"),
    pytest.param(item(deadline=returned(HOUR)), 4 * HOUR, None, id="a-deadline-that-returns"),
    pytest.param(item(hold_until=T0 + DAY), DAY + 4 * HOUR, None, id="held-first"),
    pytest.param(replace(item(deadline=NOTED), warned=True), None, HOUR, id="warned-already"),
    pytest.param(replace(item(deadline=NOTED), overdue_told=True), 4 * HOUR, None, id="told-of-the-deadline-already"),
])  # fmt: skip
def test_when_the_sender_is_told(one, late, overdue):
    assert timing.warn_at(one, SCHEDULE) == (None if late is None else T0 + late)
    assert timing.overdue_at(one) == (None if overdue is None else T0 + overdue)
