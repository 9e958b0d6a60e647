"""Hours of the day: what may be written, when they are open, and what the change of the clock makes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.hours import ALWAYS, Hours, read

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = read("23:00-06:00")


def at(text: str, zone=UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(("text", "written"), [
    pytest.param("", "", id="always"),
    pytest.param("00:00-24:00", "", id="the-whole-day-is-always"),
    pytest.param("23:00-06:00", "00:00-06:00 23:00-24:00", id="over-midnight"),
    pytest.param("9:00-10:00, 10:00-11:30", "09:00-11:30", id="what-touches-is-one"),
    pytest.param("18:00-20:00 12:00-13:00 12:30-12:45", "12:00-13:00 18:00-20:00", id="sorted-and-merged"),
    pytest.param("22:00-00:00", "22:00-24:00", id="until-midnight"),
    pytest.param("12:00-11:59", "00:00-11:59 12:00-24:00", id="all-but-a-minute"),
])
def test_what_is_written_is_read(text, written):
    assert str(read(text)) == written
    assert read(str(read(text))) == read(text)


@pytest.mark.parametrize(("text", "told"), [
    pytest.param("23-6", "is no span of hours", id="no-minutes"),
    pytest.param("25:00-06:00", "hours go from 00:00 to 24:00", id="no-such-hour"),
    pytest.param("10:60-11:00", "hours go from 00:00 to 24:00", id="no-such-minute"),
    pytest.param("24:00-06:00", "hours go from 00:00 to 24:00", id="begins-at-24"),
    pytest.param("06:00-06:00", "has no length", id="empty-span"),
    pytest.param("night", "write 23:00-06:00", id="a-word"),
    pytest.param("٠٩:00-10:00", "is no span of hours", id="digits-of-another-script"),
    pytest.param(" ".join(["10:00-11:00"] * 51), "are too many", id="too-many"),
])
def test_what_makes_no_sense_is_told(text, told):
    with pytest.raises(ValueError, match=told):
        read(text)


@pytest.mark.parametrize(("now", "opens"), [
    pytest.param("2027-01-15T12:00", "2027-01-15T23:00", id="in-the-evening"),
    pytest.param("2027-01-15T23:00", "2027-01-15T23:00", id="at-the-minute"),
    pytest.param("2027-01-16T03:30", "2027-01-16T03:30", id="open"),
    pytest.param("2027-01-16T06:00", "2027-01-16T23:00", id="just-closed"),
])
def test_when_it_opens(now, opens):
    assert NIGHT.opens_at(at(now), UTC) == at(opens)
    assert NIGHT.is_open(at(now), UTC) is (now == opens)


@pytest.mark.parametrize(("day", "hours"), [
    pytest.param("2027-03-27", 6, id="an-hour-is-left-out"), pytest.param("2027-10-30", 8, id="an-hour-comes-twice"),
    pytest.param("2027-01-15", 7, id="a-usual-night"),
])
def test_a_night_of_the_wall_s_clock(day, hours):
    noon = at(f"{day}T12:00", BERLIN)
    opens = NIGHT.opens_at(noon, BERLIN)
    assert opens == at(f"{day}T23:00", BERLIN)
    closed = NIGHT.closed_between(noon, opens + 12 * 3600, BERLIN)
    assert closed == 11 * 3600 + (12 - hours) * 3600


SPANS = st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda span: span[0] != span[1]), max_size=4)


def written(spans) -> str:
    return " ".join(f"{a // 60}:{a % 60:02}-{b // 60}:{b % 60:02}" for a, b in spans)


@given(SPANS, st.floats(1.7e9, 1.9e9), st.sampled_from([UTC, BERLIN, ZoneInfo("Pacific/Chatham")]))
def test_it_is_open_when_it_opens_and_was_not_just_before(spans, now, zone):
    hours = read(written(spans))
    opens = hours.opens_at(now, zone)
    assert now <= opens <= now + 26 * 3600
    assert hours.is_open(opens, zone)
    assert opens == now or (not hours.is_open(opens - 1, zone) and not hours.is_open(now, zone))


@given(SPANS, st.floats(1.7e9, 1.9e9), st.floats(0, 9 * 86400), st.floats(0, 9 * 86400))
def test_closed_times_add_up(spans, start, first, second):
    hours = read(written(spans))
    whole = hours.closed_between(start, start + first + second, BERLIN)
    parts = hours.closed_between(start, start + first, BERLIN) + hours.closed_between(start + first, start + first + second, BERLIN)
    assert whole == pytest.approx(parts, abs=0.01)
    assert -0.001 <= whole <= first + second + 0.001


def test_a_very_long_time_is_no_long_computation():
    assert NIGHT.closed_between(0.0, 1.8e9, UTC) == pytest.approx(400 * 17 * 3600, rel=0.01)
    assert ALWAYS.closed_between(0.0, 1.8e9) == 0
    assert Hours(((0, 60),)).opens_at(0.0, UTC) == 0.0
