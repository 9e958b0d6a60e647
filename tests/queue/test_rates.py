"""So many in so long, in every span of that length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twistmail.queue.rates import Rates

RATES = st.lists(st.tuples(st.integers(1, 5), st.floats(1, 100)), max_size=3)
STEPS = st.lists(st.floats(0, 30), max_size=60)


def broken(times: list[float], rates: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The rates that *times* do not keep."""
    return [(n, s) for n, s in rates if any(times[i + n] - times[i] < s * (1 - 1e-9) for i in range(len(times) - n))]


@given(RATES, STEPS)
def test_no_rate_is_ever_passed_and_nobody_waits_for_nothing(rates, steps):
    kept, now, times = Rates(rates), 1000.0, []
    for step in steps:
        now += step
        at = kept.next(now)
        if at <= now:
            kept.take(now)
            times.append(now)
        else:
            assert broken([*times, at - 1e-3], rates)
    assert not broken(times, rates)


@given(RATES, STEPS)
def test_turns_are_given_in_order_and_within_the_rates(rates, steps):
    kept, now, turns = Rates(rates), 1000.0, []
    for step in steps:
        now += step
        turns.append(kept.reserve(now))
        assert turns[-1] >= now
    assert turns == sorted(turns)
    assert not broken(turns, rates)


def test_without_a_rate_everything_goes_at_once():
    assert [Rates().reserve(5.0) for _ in range(3)] == [5.0] * 3


def test_it_is_idle_when_nothing_counts_any_more():
    rates = Rates([(2, 10.0), (5, 60.0)])
    assert rates.is_idle(0.0)
    rates.take(100.0)
    assert (rates.is_idle(159.0), rates.is_idle(160.0)) == (False, True)
