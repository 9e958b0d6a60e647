"""When a certificate is renewed, and how soon it is tried again."""

from __future__ import annotations

import pytest

from twistmail.tls.acme.due import DAY, HOUR, Past, renewal_time


@pytest.mark.parametrize(("lifetime", "suggested", "at"), [
    pytest.param(90, None, 60, id="a-month-before-the-end-of-90-days"),
    pytest.param(6, None, 3, id="after-half-of-six-days"),
    pytest.param(90, 10, 10, id="as-early-as-the-authority-says"),
    pytest.param(90, 70, 70, id="or-later"),
    pytest.param(90, 400, 81, id="but-not-after-the-end"),
])
def test_when_it_is_time(lifetime: float, suggested: float | None, at: float) -> None:
    begins = 1_000 * DAY
    advice = None if suggested is None else begins + suggested * DAY
    assert renewal_time(begins, begins + lifetime * DAY, advice) == pytest.approx(begins + at * DAY)


@pytest.mark.parametrize(("failures", "hours"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 24), (60, 24)])
def test_waits_double_up_to_a_day(failures: int, hours: float) -> None:
    past = Past()
    for _ in range(failures):
        past = past.failed(1_000.0, "no")
    assert (past.failures, past.not_before) == (failures, 1_000.0 + hours * HOUR)


def test_without_a_failure_nothing_is_waited_for() -> None:
    assert Past().not_before == 0.0
