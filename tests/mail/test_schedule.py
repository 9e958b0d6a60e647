from __future__ import annotations

import pytest

from twistmail.mail.schedule import DAY, HOUR, MINUTE, Schedule, next_attempt, warning_due

NOW = 1_800_000_000.0


@pytest.mark.parametrize(("attempts", "hours_old", "wait"), [
    pytest.param(1, 0, 5 * MINUTE, id="first-retry-after-five-minutes"),
    pytest.param(2, 1, 15 * MINUTE, id="then-a-quarter-of-an-hour"),
    pytest.param(6, 4, 4 * HOUR, id="the-last-wait"),
    pytest.param(40, 100, 4 * HOUR, id="the-last-wait-repeats"),
    pytest.param(30, 116, 4 * HOUR, id="the-last-try-may-be-just-in-time"),
    pytest.param(30, 117, None, id="gives-up-when-the-next-try-would-be-too-late"),
    pytest.param(1, 500, None, id="a-message-that-was-held-for-long"),
])
def test_wait_before_the_next_attempt(attempts, hours_old, wait):
    due = next_attempt(NOW - hours_old * HOUR, attempts, NOW, Schedule())
    assert due == (None if wait is None else NOW + wait)


def test_an_untried_item_is_due_now_and_has_no_next_attempt():
    with pytest.raises(ValueError):
        next_attempt(NOW, 0, NOW, Schedule())


@pytest.mark.parametrize("waits", [(), (0.0,), (300.0, -1.0)])
def test_a_schedule_without_waits_is_none(waits):
    with pytest.raises(ValueError):
        Schedule(waits=waits)


def test_when_the_sender_is_warned():
    assert warning_due(NOW, Schedule()) == NOW + 4 * HOUR
    assert warning_due(NOW, Schedule(warn_after=None)) is None
    assert Schedule().give_up_after == 5 * DAY
