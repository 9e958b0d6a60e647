"""Streams of events, on a fake clock."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.web.visits import Connection
from twistmail.lab.ring import Ring
from twistmail.web import live
from twistmail.web.guard import Guard
from twistmail.web.page import Asked, Live, Route
from twistmail.web.site import Site


class House:
    """A site whose one page is a stream of the kind "line" of a small ring."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ring = Ring(self.clock.seconds, most=300)

        async def stream(asked: Asked) -> Live:
            after = asked.query.get("after")
            return Live(self.ring, lambda event: (event.kind, event.about) if event.kind == "line" else None, int(after) if after else None)

        self.site = Site(self.clock, (Route("GET", "/", stream),), guard=Guard(b"secret"))

    def open(self, query: str = "", cookie: str = "", client: str = "127.0.0.1") -> tuple[Connection, bytes]:
        browser = Connection(self.site, client)
        return browser, browser.send(f"GET /{query} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())

    def tell(self, count: int = 1, kind: str = "line") -> None:
        for _ in range(count):
            self.ring.add("blue", kind, "words")


def numbers(octets: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"id: (\d+)\nevent: line", octets)]


@pytest.fixture
def house() -> House:
    return House()


def test_a_stream_begins_with_what_the_browser_has_to_know(house):
    _, said = house.open()
    assert b"text/event-stream" in said
    assert b"retry: 1000\n\n" in said


def test_events_come_together_a_moment_after_they_happened(house):
    browser, _ = house.open()
    house.tell(3)
    assert browser.heard() == b""
    house.clock.advance(live.COLLECT)
    assert numbers(browser.heard()) == [1, 2, 3]


def test_what_this_stream_does_not_show_is_left_out(house):
    browser, _ = house.open()
    house.tell(1, "dns")
    house.tell(1)
    house.clock.advance(1)
    assert numbers(browser.heard()) == [2]


def test_a_sign_of_life_comes_every_fifteen_seconds_and_tells_the_place(house):
    browser, _ = house.open()
    house.tell(1, "dns")
    house.clock.advance(live.PING)
    assert b": here\nid: 1\n\n" in browser.heard()


def test_who_comes_back_gets_what_was_missed(house):
    house.tell(10)
    assert numbers(house.open("?after=7")[1]) == [8, 9, 10]


@pytest.mark.parametrize("after", [pytest.param(3, id="forgotten-meanwhile"), pytest.param(9999, id="from-before-a-restart")])
def test_who_was_away_too_long_is_told_to_look_anew(house, after):
    house.tell(400)
    browser, said = house.open(f"?after={after}")
    assert b"id: 400\nevent: gap\n" in said
    house.tell(1)
    house.clock.advance(1)
    assert numbers(browser.heard()) == [401]


def test_many_events_are_told_in_turns(house):
    house.tell(290)
    browser, said = house.open("?after=1")
    assert len(numbers(said)) == live.AT_ONCE
    house.clock.advance(live.COLLECT)
    assert numbers(browser.heard())[-1] == 290


def test_a_browser_that_does_not_read_holds_nothing_and_gets_all_when_it_reads(house):
    browser, _ = house.open()
    browser.channel.pauseProducing()
    house.tell(100)
    house.clock.advance(20)
    assert browser.heard() == b""
    browser.channel.resumeProducing()
    assert len(numbers(browser.heard())) == 100


def test_a_browser_that_never_reads_is_given_up(house):
    browser, _ = house.open()
    browser.channel.pauseProducing()
    house.clock.advance(live.PATIENCE)
    assert browser.transport.disconnecting


def test_a_browser_that_goes_leaves_nothing_behind(house):
    browser, _ = house.open()
    house.tell()
    browser.leave()
    assert len(house.site.streams) == 0
    assert house.clock.getDelayedCalls() == []
    house.tell()
    assert house.clock.getDelayedCalls() == []


def test_streams_are_bounded_in_all_and_one_that_ends_makes_room(house):
    held = [house.open(cookie=f"browser={number:022}")[0] for number in range(house.site.streams.most)]
    assert b" 503 " in house.open()[1]
    held[0].leave()
    assert b" 200 " in house.open()[1]


def test_one_browser_cannot_take_the_streams_of_all(house):
    cookie = f"browser={7:022}"
    said = [house.open(cookie=cookie)[1] for _ in range(house.site.streams.most_each + 1)]
    assert b" 503 " in said[-1]
    assert b" 200 " in house.open(cookie=f"browser={8:022}")[1]


def test_one_computer_of_the_network_cannot_take_them_either_whatever_it_says_its_browser_is(house):
    said = [house.open(cookie=f"browser={n:022}", client="192.168.1.7")[1] for n in range(house.site.streams.most_each + 1)]
    assert b" 503 " in said[-1]


def test_streams_end_with_the_server(house):
    browser, _ = house.open()
    house.site.stopFactory()
    assert browser.heard().endswith(b"0\r\n\r\n")
    assert [call for call in house.clock.getDelayedCalls() if call.func.__name__ == "_ping"] == []


@given(st.text())
def test_whatever_an_event_holds_it_cannot_become_two(data):
    said = live.written(1, "line", data).decode()
    assert said.count("\n\n") == 1
    assert all(line.startswith(("id: ", "event: ", "data: ")) for line in said.rstrip("\n").split("\n") if line)
