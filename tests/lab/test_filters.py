"""How times and sizes stand on the pages."""

from __future__ import annotations

import pytest

from twistmail.lab.filters import moment, octets, span, time_of_day

NOON = 1_800_014_400.0  # noon in UTC; no time zone in which tests run is half a day away


@pytest.mark.parametrize("ago", [0.0, 60.0])
def test_what_was_today_has_a_time(ago):
    assert moment(NOON - ago, NOON) == time_of_day(NOON - ago)


@pytest.mark.parametrize("ago", [5 * 86400.0, -5 * 86400.0])
def test_what_was_on_another_day_has_its_date(ago):
    said = moment(NOON - ago, NOON)
    assert said.split()[1] == "Jan"
    assert said.split()[2] == time_of_day(NOON - ago)[:5]


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (0.25, "0.2 s"), (90, "1 min 30 s"), (14_400, "4 h"), (432_000, "5 d")])
def test_a_time_that_passes(seconds, said):
    assert span(seconds) == said


@pytest.mark.parametrize(("size", "said"), [(812, "812 B"), (1400, "1.4 kB"), (2_000_000, "2.0 MB")])
def test_a_size(size, said):
    assert octets(size) == said
