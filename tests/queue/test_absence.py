"""R42: whether the line is up, in a file that outlives everything."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.hours import read as hours
from twistmail.pacing import Uplink, paused
from twistmail.queue.absence import FILE, MOST_SPANS, REMEMBERED, UP, Absence, read, write

NOW = 1_800_000_000.0


def test_what_is_written_is_there_after_a_restart(tmp_path):
    uplink = Uplink.of(tmp_path)
    assert not uplink.is_down
    assert uplink.go(offline=True, now=NOW) is True
    assert uplink.go(offline=True, now=NOW + 5) is False
    again = Uplink.of(tmp_path)
    assert (again.is_down, again.absence.since) == (True, NOW)
    assert again.go(offline=False, now=NOW + 60) is True
    assert Uplink.of(tmp_path).absence == Absence(None, ((NOW, NOW + 60),))
    assert stat.S_IMODE(os.stat(tmp_path / FILE).st_mode) == 0o600
    assert os.listdir(tmp_path) == [FILE]


@pytest.mark.parametrize("text", [
    pytest.param(b"", id="empty"), pytest.param(b"{}", id="nothing-in-it"), pytest.param(b'{"since": "x", "spans": []}', id="no-number"),
    pytest.param(b'{"since": NaN, "spans": []}', id="no-instant"), pytest.param(b'{"since": true, "spans": []}', id="a-truth"),
    pytest.param(b'{"since": null, "spans": [[1]]}', id="half-a-span"), pytest.param(b"[" * 100_000, id="deep"),
    pytest.param(b"\xff", id="no-text"),
])
def test_a_file_that_makes_no_sense_keeps_nobody_from_starting(tmp_path, text):
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(ValueError, match="makes no sense"):
        read(tmp_path / FILE)
    uplink = Uplink.of(tmp_path)
    assert not uplink.is_down
    uplink.go(offline=True, now=NOW)
    assert Uplink.of(tmp_path).is_down


def test_what_the_disk_does_not_take_changes_nothing(tmp_path):
    uplink = Uplink(tmp_path / "none" / FILE, UP)
    with pytest.raises(FileNotFoundError):
        uplink.go(offline=True, now=NOW)
    assert not uplink.is_down


def test_a_leftover_of_a_crash_does_not_stand_in_the_way(tmp_path):
    (tmp_path / (FILE + ".new")).write_text("half")
    write(tmp_path / FILE, Absence(NOW))
    assert read(tmp_path / FILE) == Absence(NOW)


def test_what_is_long_ago_is_forgotten():
    absence = Absence()
    for number in range(3 * MOST_SPANS):
        absence = absence.go(offline=True, now=NOW + 20 * number).go(offline=False, now=NOW + 20 * number + 10)
    assert len(absence.spans) == MOST_SPANS
    later = absence.go(offline=True, now=NOW + 2 * REMEMBERED).go(offline=False, now=NOW + 2 * REMEMBERED + 1)
    assert len(later.spans) == 1


@given(st.lists(st.floats(0, 1e6), max_size=10, unique=True), st.floats(0, 1e6), st.floats(0, 1e6))
def test_times_within_a_span(instants, start, end):
    absence, down = UP, False
    for instant in sorted(instants):
        down = not down
        absence = absence.go(offline=down, now=NOW + instant)
    parts = absence.within(NOW + start, NOW + end)
    assert all(NOW + start <= a <= b <= NOW + end for a, b in parts)
    assert sum(b - a for a, b in parts) <= max(0.0, end - start) + 0.01
    whole = absence.within(NOW, NOW + 1e6)
    assert sum(b - a for a, b in whole) == pytest.approx(
        sum(b - a for a, b in zip(sorted(instants)[::2], [*sorted(instants)[1::2], 1e6], strict=False)), abs=0.01)


def test_an_hour_counts_once_though_the_line_was_down_out_of_hours(tmp_path):
    uplink = Uplink(tmp_path / FILE, Absence(None, ((NOW, NOW + 86400.0),)))
    window = hours("23:00-06:00")
    assert paused(uplink, window, NOW, NOW + 86400.0) == pytest.approx(86400.0)
    assert paused(uplink, window, NOW + 86400.0, NOW + 2 * 86400.0) == pytest.approx(17 * 3600.0)
