"""The map: offices and links as they are, messages with what has become of them."""

from __future__ import annotations

import pytest

from tests.lab.towns import PaperTown
from tests.web.visits import Connection
from twistmail.lab import site as sites
from twistmail.lab.pages import map as maps

ACCEPTED = {"state": "accepted", "sender": "alice@blue.test", "recipients": ["carol@green.test"], "subject": "Lunch?"}


@pytest.fixture
def town() -> PaperTown:
    return PaperTown()


@pytest.fixture
def browser(town: PaperTown) -> Connection:
    return Connection(sites.make(town))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([], "accepted", id="just-come"),
        pytest.param([("mail", "relayed")], "handed over", id="relayed"),
        pytest.param([("mail", "deferred"), ("queue", "waiting")], "waiting", id="waits"),
        pytest.param([("queue", "waiting"), ("mail", "delivered"), ("mail", "removed")], "delivered", id="delivered-at-last"),
        pytest.param([("mail", "failed"), ("queue", "returned"), ("mail", "removed")], "returned", id="returned"),
    ],
)
def test_a_message_says_what_has_become_of_it(town, events, words):
    town.ring.add("blue", "mail", "one", ACCEPTED)
    for kind, state in events:
        town.ring.add("blue", kind, "one", {"state": state})
    assert [row.words for row in maps.latest(town.ring.since(0))] == [words]


def test_the_newest_messages_come_first_and_not_too_many(town):
    for number in range(40):
        town.ring.add("blue", "mail", str(number), ACCEPTED)
    rows = maps.latest(town.ring.since(0))
    assert [row.key for row in rows] == [str(number) for number in range(39, 39 - maps.MOST, -1)]


def test_an_id_of_another_office_is_another_message(town):
    town.ring.add("blue", "mail", "one", ACCEPTED)
    town.ring.add("green", "mail", "one", {"state": "delivered"})
    assert [row.words for row in maps.latest(town.ring.since(0))] == ["accepted"]


def test_what_is_broken_is_said_in_words_and_drawn_otherwise(town, browser):
    assert "broken" not in browser.ask("GET", "/map/picture").body
    town.broken["blue", "green"] = "black hole"
    town.off.add("red")
    drawn = browser.ask("GET", "/map/picture").body
    assert "blue to green: black hole" in drawn
    assert "192.0.2.30, OFF" in drawn


def test_what_a_message_is_called_stays_text(town, browser):
    town.ring.add("blue", "mail", "<b>", ACCEPTED | {"subject": "<script>alert(1)</script>", "sender": '"><img src=x>@evil.test'})
    for path in ("/", "/map/latest"):
        shown = browser.ask("GET", path).body
        assert "<script>alert" not in shown
        assert "<img" not in shown


def test_every_way_has_its_line_and_every_office_its_box(town):
    assert set(maps.WAYS) == {(one.name, other.name) for one in town.offices for other in town.offices if one != other}
    assert set(maps.BOXES) == {office.name for office in town.offices}
