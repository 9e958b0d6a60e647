"""The ring of events: numbered without gaps, read from anywhere, heard by whoever listens."""

from __future__ import annotations

import pytest

from twistmail.lab.ring import Ring


def ring(most: int = 4) -> Ring:
    return Ring(lambda: 7.0, most)


def test_events_are_numbered_and_dated():
    events = ring()
    first, second = events.add("blue", "mail", "a-1", {"state": "accepted"}), events.add("green", "dns")
    assert (first.number, second.number, first.at) == (1, 2, 7.0)
    assert first.as_json() == {"n": 1, "at": 7.0, "office": "blue", "kind": "mail", "about": "a-1", "connection": "", "state": "accepted"}


def test_what_an_event_says_does_not_hide_what_it_is():
    assert ring().add("blue", "mail", "a-1", {"kind": "mailbox", "office": "x", "n": 9}).as_json() == {
        "n": 1, "at": 7.0, "office": "blue", "kind": "mail", "about": "a-1", "connection": ""}  # fmt: skip


@pytest.mark.parametrize(("after", "left"), [(0, [3, 4, 5, 6]), (2, [3, 4, 5, 6]), (4, [5, 6]), (6, []), (99, [])])
def test_whoever_comes_back_gets_what_is_still_remembered(after, left):
    events = ring()
    for _ in range(6):
        events.add("blue", "line")
    assert [event.number for event in events.since(after)] == left
    assert events.first == 3


def test_listeners_hear_until_they_stop():
    events, heard = ring(), []
    stop = events.listen(heard.append)
    events.add("blue", "line")
    stop()
    events.add("blue", "line")
    assert [event.number for event in heard] == [1]


def test_numbers_go_on_after_everything_is_forgotten():
    events = ring()
    events.add("blue", "line")
    events.forget()
    assert (events.since(0), events.first) == ((), 0)
    assert events.add("blue", "line").number == 2
