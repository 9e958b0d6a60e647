"""Answers that come later: in order, each once, and nobody waits longer than he must."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from tests.helpers import result_of
from twistmail import tasks
from twistmail.servers.imap.pending import HELD, MOST, Pending
from twistmail.wire.imap.responses import OK, Tagged


@pytest.fixture
def begun():
    """A Pending with three commands under way: (pending, what each waits for, how often there was news)."""
    news = []
    pending = Pending(lambda: news.append(1))
    gates = [Deferred() for _ in range(3)]

    async def answer(tag, gate):
        await gate
        return Tagged(tag, OK, "done")

    for tag, gate in zip((b"a", b"b", b"c"), gates, strict=True):
        pending.begin(tag, answer(tag, gate), 0)
    return pending, gates, news


def tags(answers):
    return [answer.tag for answer in answers]


def test_answers_are_said_in_the_order_of_their_commands(begun):
    pending, gates, news = begun
    gates[1].callback(None)
    assert (tags(pending.take()), len(news)) == ([], 1)
    gates[0].callback(None)
    assert tags(pending.take()) == [b"a", b"b"]
    assert tags(pending.take()) == []
    assert pending
    gates[2].callback(None)
    assert tags(pending.take()) == [b"c"]
    assert not pending


def test_who_waits_for_all_hears_of_none_before(begun):
    pending, gates, _ = begun
    waiting = tasks.shielded(pending.known())
    for gate in gates:
        assert not waiting.called
        gate.callback(None)
    assert waiting.called
    assert tags(pending.take()) == [b"a", b"b", b"c"]
    result_of(pending.known())


def test_what_fails_is_an_answer_too(begun):
    pending, gates, _ = begun
    gates[0].errback(OSError("no room"))
    (answer,) = pending.take()
    assert isinstance(answer.error, OSError)
    assert answer.response is None


def test_there_are_not_arbitrarily_many():
    pending = Pending(lambda: None)

    async def never():
        await Deferred()

    for number in range(MOST):
        assert not pending.is_full
        pending.begin(b"%d" % number, never(), 0)
    assert pending.is_full


def test_nor_may_they_hold_arbitrarily_much():
    pending, gates = Pending(lambda: None), [Deferred() for _ in range(3)]

    async def answer(gate):
        await gate
        return Tagged(b"a", OK, "done")

    for gate in gates:
        assert not pending.is_full
        pending.begin(b"a", answer(gate), HELD // 3 + 1)
    assert pending.is_full
    gates[1].callback(None)
    assert not pending.is_full
