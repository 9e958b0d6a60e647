"""The lesson's clock: what is due comes at its time, and at once where the time jumps."""

from __future__ import annotations

import pytest
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import Clock

from tests.lab.towns import PaperTown
from tests.web.visits import Connection
from twistmail.lab import site as sites
from twistmail.lab.clock import MOST_AHEAD, LessonClock
from twistmail.lab.fault_settings import NotNow
from twistmail.web.page import Asked


def test_it_goes_as_the_real_one():
    real, called = Clock(), []
    clock = LessonClock(real)
    clock.callLater(5, called.append, "five")
    real.advance(4.9)
    assert called == []
    real.advance(0.2)
    assert called == ["five"]
    assert clock.getDelayedCalls() == []


def test_a_jump_makes_due_what_is_due_by_then_in_its_order():
    real, called = Clock(), []
    clock = LessonClock(real)
    for seconds in (90, 10, 3600):
        clock.callLater(seconds, called.append, seconds)
    clock.jump(100)
    assert called == [], "each gets its turn of the reactor"
    real.advance(0)
    assert called == [10, 90]
    assert clock.seconds() == 100
    real.advance(3499.9)
    assert called == [10, 90]
    real.advance(0.1)
    assert called == [10, 90, 3600]


def test_it_goes_only_so_far_ahead_and_a_reset_sets_it_back():
    real, called = Clock(), []
    clock = LessonClock(real)
    clock.callLater(MOST_AHEAD + 10, called.append, "late")
    clock.jump(MOST_AHEAD)
    with pytest.raises(NotNow, match="at most 10 years"):
        clock.jump(1)
    assert clock.seconds() == MOST_AHEAD
    clock.reset()
    assert clock.seconds() == 0
    real.advance(20)
    assert called == [], "it waits as long as the real time has it"


def test_who_lets_it_jump_too_far_is_told_so_in_words():
    town = PaperTown()
    town.jump = town.clock.jump
    town.clock.jump(MOST_AHEAD)
    site = sites.make(town)
    told = Connection(site).ask("POST", "/api/v1/clock", b'{"jump": 60}', content_type="application/json")
    assert (told.code, "at most 10 years" in told.body) == (409, True)
    browser = "b" * 22
    token = site.guard.token(Asked("POST", "/clock", cookies={"browser": browser}))
    fields = {"content_type": "application/x-www-form-urlencoded", "cookie": f"browser={browser}"}
    told = Connection(site).ask("POST", "/clock", f"token={token}&seconds=60".encode(), **fields)
    assert (told.code, "at most 10 years" in told.body) == (409, True)


def test_a_call_can_be_put_off_and_taken_back():
    real, called = Clock(), []
    clock = LessonClock(real)
    off, back = clock.callLater(10, called.append, "off"), clock.callLater(10, called.append, "back")
    off.delay(10)
    back.cancel()
    clock.jump(15)
    real.advance(0)
    assert (called, off.active(), off.getTime()) == ([], True, 20)
    off.reset(1)
    real.advance(1)
    assert called == ["off"]
    with pytest.raises(AlreadyCalled):
        off.cancel()
    with pytest.raises(AlreadyCancelled):
        back.cancel()
