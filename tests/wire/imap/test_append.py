"""APPEND: the one command whose literal streams."""

from __future__ import annotations

import pytest

from tests.wire.imap.playing import FEEDINGS, fresh, obliging, play
from twistmail.wire.contract import Wants
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import responses as r

feedings = pytest.mark.parametrize("cut", FEEDINGS)


def refusing(event):
    if isinstance(event, c.AppendBegin):
        yield r.Tagged(event.tag, r.NO, "No such mailbox", b"TRYCREATE")
    else:
        yield from obliging(event)


@feedings
@pytest.mark.parametrize(("plus", "leave"), [(b"", b"+ Go ahead\r\n"), (b"+", b"")], ids=["waits", "does-not-wait"])
def test_a_message_streams(cut, plus, leave):
    octets = b'1 APPEND Sent (\\seen $x) "17-Jul-1996 02:44:25 -0700" {12' + plus + b"}\r\nA: b\r\n\r\nTEXT\r\n2 NOOP\r\n"
    events, said = play(fresh(), cut(octets))
    assert events == [
        c.AppendBegin(b"1", "Sent", ("\\Seen", "$x"), 837596665.0, 12),
        c.AppendChunk(b"A: b\r\n\r\nTEXT"),
        c.AppendEnd(b"1"),
        c.Noop(b"2"),
    ]
    assert said == leave + b"1 OK Done\r\n2 OK Done\r\n"


@pytest.mark.parametrize(
    ("head", "begin"),
    [
        pytest.param(b"x {3}", c.AppendBegin(b"1", "x", (), None, 3), id="mailbox-only"),
        pytest.param(b"inbox () {3}", c.AppendBegin(b"1", "INBOX", (), None, 3), id="no-flags"),
        pytest.param(b'"a b" " 1-Jan-1970 00:00:00 +0000" {3}', c.AppendBegin(b"1", "a b", (), 0.0, 3), id="day-with-a-space"),
        pytest.param(b'x "01-Jan-1970 01:00:00 +0100" {3}', c.AppendBegin(b"1", "x", (), 0.0, 3), id="zone"),
        pytest.param(b'x "31-Dec-1998 23:59:60 +0000" {3}', c.AppendBegin(b"1", "x", (), 915148799.0, 3), id="leap-second"),
        pytest.param(b"{1}\r\nx {3}", c.AppendBegin(b"1", "x", (), None, 3), id="mailbox-as-a-literal"),
        pytest.param(b"{1+}\r\nx (\\Draft) {3}", c.AppendBegin(b"1", "x", ("\\Draft",), None, 3), id="mailbox-as-a-quick-literal"),
    ],
)
def test_what_stands_before_the_message(head, begin):
    events, _ = play(fresh(), [b"1 APPEND " + head + b"\r\nabc\r\n"])
    assert [event for event in events if not isinstance(event, c.Continue)] == [begin, c.AppendChunk(b"abc"), c.AppendEnd(b"1")]


@pytest.mark.parametrize(
    ("head", "text"),
    [
        pytest.param(b"x{3+}", "one space", id="no-space-before-the-message"),
        pytest.param(b"x ((a)) {3+}", "a flag", id="list-in-a-list"),
        pytest.param(b"x (\\Recent) {3+}", "backslash", id="recent"),
        pytest.param(b'x "yesterday" {3+}', "date and time", id="not-a-date"),
        pytest.param(b'x "31-Feb-2024 00:00:00 +0000" {3+}', "no such date", id="no-such-day"),
        pytest.param(b'x "01-Jan-2024 24:00:00 +0000" {3+}', "no such date", id="no-such-hour"),
        pytest.param(b'x "01-Jan-2024 00:00:00 +0000" () {3+}', "end of the line", id="wrong-order"),
        pytest.param(b"x {1+}\r\na {3+}", "one message", id="two-messages"),
    ],
)
def test_a_badly_spelled_append_is_thrown_away_with_its_message(head, text):
    events, _ = play(fresh(), [b"1 APPEND " + head + b"\r\n\r\n2\r\n2 NOOP\r\n"])
    bad, noop = events[-2:]
    assert isinstance(bad, c.Bad)
    assert text in bad.text
    assert noop == c.Noop(b"2")


@feedings
def test_what_follows_the_message_is_the_end_of_the_line(cut):
    events, said = play(fresh(), cut(b"1 APPEND x {3}\r\nabcd\r\n2 NOOP\r\n"))
    assert events[1:] == [c.AppendChunk(b"abc"), c.AppendAbandoned(), c.Bad(b"1", "APPEND takes one message"), c.Noop(b"2")]
    assert said == b"+ Go ahead\r\n1 BAD APPEND takes one message\r\n2 OK Done\r\n"


def test_an_endless_line_behind_the_message_closes():
    wire = fresh()
    events, said = play(wire, [b"1 APPEND x {3}\r\nabc" + b"x" * 70_000])
    assert events[2:] == [c.AppendAbandoned(), c.Bad(b"1", "What follows the message is too long", close=True)]
    assert said.endswith(b"* BYE What follows the message is too long\r\n")
    assert wire.wants is Wants.CLOSE


def test_the_last_mistake_behind_a_message_closes():
    wire = fresh(bad_commands=1)
    events, _ = play(wire, [b"1 APPEND x {3}\r\nabcd\r\n2 NOOP\r\n"])
    assert events[2:] == [c.AppendAbandoned(), c.Bad(b"1", "Too many mistakes", close=True)]


@feedings
def test_a_refused_message_that_waits_never_comes(cut):
    events, said = play(fresh(), cut(b"1 APPEND x {3}\r\n2 NOOP\r\n"), refusing)
    assert events == [c.AppendBegin(b"1", "x", (), None, 3), c.Noop(b"2")]
    assert said == b"1 NO [TRYCREATE] No such mailbox\r\n2 OK Done\r\n"


@feedings
def test_a_refused_message_that_does_not_wait_is_thrown_away(cut):
    events, said = play(fresh(), cut(b"1 APPEND x {11+}\r\n9 LOGOUT\r\nx\r\n2 NOOP\r\n"), refusing)
    assert events == [c.AppendBegin(b"1", "x", (), None, 11), c.Noop(b"2")]
    assert said == b"1 NO [TRYCREATE] No such mailbox\r\n2 OK Done\r\n"


@feedings
@pytest.mark.parametrize("plus", [b"", b"+" + b"\r\n" + b"x" * 2000], ids=["waits", "does-not-wait"])
def test_a_message_that_is_too_large_is_refused_by_the_wire(cut, plus):
    head, _, message = plus.partition(b"\r\n")
    octets = b"1 APPEND x {2000" + head + b"}\r\n" + message + (b"\r\n" if message else b"") + b"2 NOOP\r\n"
    events, said = play(fresh(append=1999), cut(octets))
    assert events == [c.No(b"1", b"TOOBIG", "A message may have 1999 octets"), c.Noop(b"2")]
    assert said == b"1 NO [TOOBIG] A message may have 1999 octets\r\n2 OK Done\r\n"


def test_an_empty_message_has_no_chunks():
    events, _ = play(fresh(), [b"1 APPEND x {0}\r\n\r\n"])
    assert events == [c.AppendBegin(b"1", "x", (), None, 0), c.AppendEnd(b"1")]


def test_content_is_content_while_it_comes_and_chunks_are_bounded():
    wire = fresh()
    play(wire, [b"1 APPEND x {200000}\r\n"])
    assert wire.in_content
    wire.receive_bytes(b"x" * 200_000)
    sizes = [len(wire.next_event().data) for _ in range(4)]
    assert (max(sizes), sum(sizes)) == (65_536, 200_000)
    play(wire, [b"\r\n"])
    assert not wire.in_content
