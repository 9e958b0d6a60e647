"""Lists of ranges do what sets of numbers do."""

from __future__ import annotations

from array import array
from itertools import pairwise
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.ranges import common, gaps, runs

SETS = st.one_of(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 4000), max_size=80))


def numbers(ranges):
    assert all(low <= high for low, high in ranges)
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(ranges))
    return {number for low, high in ranges for number in range(low, high + 1)}


@pytest.mark.parametrize(("some", "ranges"), [
    pytest.param([], [], id="none"),
    pytest.param([7], [(7, 7)], id="one"),
    pytest.param([1, 2, 3], [(1, 3)], id="a-run"),
    pytest.param([1, 3, 4, 9], [(1, 1), (3, 4), (9, 9)], id="several"),
    pytest.param([*range(1, 100), *range(101, 200)], [(1, 99), (101, 199)], id="one-hole-among-many"),
])  # fmt: skip
def test_numbers_become_runs(some, ranges):
    assert runs(array("L", some)) == ranges


@given(SETS)
def test_runs_are_the_same_numbers(some):
    assert numbers(runs(sorted(some))) == some


@given(SETS, SETS)
def test_what_is_common_to_both(some, others):
    assert numbers(common(runs(sorted(some)), runs(sorted(others)))) == some & others


@given(SETS, st.integers(0, 70))
def test_gaps_are_what_is_missing(some, last):
    assert numbers(gaps(runs(sorted(some)), last)) == set(range(1, last + 1)) - some


def test_common_takes_time_by_ranges_not_by_numbers():
    assert common([(1, 1 << 32)], [(5, 1 << 31), (1 << 33, 1 << 34)]) == [(5, 1 << 31)]
    assert gaps([(2, 1 << 31)], 1 << 32) == [(1, 1), ((1 << 31) + 1, 1 << 32)]


def test_runs_of_scattered_numbers_take_linear_time():
    def seconds(count):
        some = range(1, 2 * count, 2)
        began = thread_time()
        assert len(runs(some)) == count
        return thread_time() - began

    assert takes_linear_time(seconds, 2000)
