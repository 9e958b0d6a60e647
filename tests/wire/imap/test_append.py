"""APPEND: the one command whose literal streams."""

from __future__ import annotations

import pytest

from tests.wire.imap.playing import FEEDINGS, fresh, obliging, play
from twistmail.wire.contract import Wants
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import responses as r
from twistmail.wire.imap.uploads import (
    AppendAbandoned,
    AppendBegin,
    AppendChunk,
    AppendEnd,
    AppendMore,
    Head,
    Literal,
    Replaced,
    Url,
)

BEHIND = "Behind the message comes the end of the line, or a space and one more"
feedings = pytest.mark.parametrize("cut", FEEDINGS)


def refusing(event):
    if isinstance(event, AppendBegin):
        yield r.Tagged(event.tag, r.NO, "No such mailbox", b"TRYCREATE")
    else:
        yield from obliging(event)


@feedings
@pytest.mark.parametrize(("plus", "leave"), [(b"", b"+ Go ahead\r\n"), (b"+", b"")], ids=["waits", "does-not-wait"])
def test_a_message_streams(cut, plus, leave):
    octets = b'1 APPEND Sent (\\seen $x) "17-Jul-1996 02:44:25 -0700" {12' + plus + b"}\r\nA: b\r\n\r\nTEXT\r\n2 NOOP\r\n"
    events, said = play(fresh(), cut(octets))
    assert events == [
        AppendBegin(b"1", "Sent", (Head(("\\Seen", "$x"), 837596665.0),), Literal(12)),
        AppendChunk(b"A: b\r\n\r\nTEXT"),
        AppendEnd(b"1"),
        c.Noop(b"2"),
    ]
    assert said == leave + b"1 OK Done\r\n2 OK Done\r\n"


@pytest.mark.parametrize(
    ("head", "mailbox", "first"),
    [
        pytest.param(b"x {3}", "x", Head((), None), id="mailbox-only"),
        pytest.param(b"inbox () {3}", "INBOX", Head((), None), id="no-flags"),
        pytest.param(b'"a b" " 1-Jan-1970 00:00:00 +0000" {3}', "a b", Head((), 0.0), id="day-with-a-space"),
        pytest.param(b'x "01-Jan-1970 01:00:00 +0100" {3}', "x", Head((), 0.0), id="zone"),
        pytest.param(b'x "31-Dec-1998 23:59:60 +0000" {3}', "x", Head((), 915148799.0), id="leap-second"),
        pytest.param(b"{1}\r\nx {3}", "x", Head((), None), id="mailbox-as-a-literal"),
        pytest.param(b"{1+}\r\nx (\\Draft) {3}", "x", Head(("\\Draft",), None), id="mailbox-as-a-quick-literal"),
    ],
)
def test_what_stands_before_the_message(head, mailbox, first):
    events, _ = play(fresh(), [b"1 APPEND " + head + b"\r\nabc\r\n"])
    begin = AppendBegin(b"1", mailbox, (first,), Literal(3))
    assert [event for event in events if not isinstance(event, c.Continue)] == [begin, AppendChunk(b"abc"), AppendEnd(b"1")]


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
    assert events[1:] == [AppendChunk(b"abc"), AppendAbandoned(), c.Bad(b"1", BEHIND), c.Noop(b"2")]
    assert said == b"+ Go ahead\r\n1 BAD Behind the message comes the end of the line, or a space and one more\r\n2 OK Done\r\n"


def test_an_endless_line_behind_the_message_closes():
    wire = fresh()
    events, said = play(wire, [b"1 APPEND x {3}\r\nabc" + b"x" * 70_000])
    assert events[2:] == [AppendAbandoned(), c.Bad(b"1", "What follows the message is too long", close=True)]
    assert said.endswith(b"* BYE What follows the message is too long\r\n")
    assert wire.wants is Wants.CLOSE


def test_the_last_mistake_behind_a_message_closes():
    wire = fresh(bad_commands=1)
    events, _ = play(wire, [b"1 APPEND x {3}\r\nabcd\r\n2 NOOP\r\n"])
    assert events[2:] == [AppendAbandoned(), c.Bad(b"1", "Too many mistakes", close=True)]


@feedings
def test_a_refused_message_that_waits_never_comes(cut):
    events, said = play(fresh(), cut(b"1 APPEND x {3}\r\n2 NOOP\r\n"), refusing)
    assert events == [AppendBegin(b"1", "x", (Head((), None),), Literal(3)), c.Noop(b"2")]
    assert said == b"1 NO [TRYCREATE] No such mailbox\r\n2 OK Done\r\n"


@feedings
def test_a_refused_message_that_does_not_wait_is_thrown_away(cut):
    events, said = play(fresh(), cut(b"1 APPEND x {11+}\r\n9 LOGOUT\r\nx\r\n2 NOOP\r\n"), refusing)
    assert events == [AppendBegin(b"1", "x", (Head((), None),), Literal(11)), c.Noop(b"2")]
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
    assert events == [AppendBegin(b"1", "x", (Head((), None),), Literal(0)), AppendEnd(b"1")]


def test_content_is_content_while_it_comes_and_chunks_are_bounded():
    wire = fresh()
    play(wire, [b"1 APPEND x {200000}\r\n"])
    assert wire.in_content
    wire.receive_bytes(b"x" * 200_000)
    sizes = [len(wire.next_event().data) for _ in range(4)]
    assert (max(sizes), sum(sizes)) == (65_536, 200_000)
    play(wire, [b"\r\n"])
    assert not wire.in_content


# ----- several messages, and messages put together


DRAFT = Head(("\\Draft",), None)


@feedings
@pytest.mark.parametrize("plus", [b"", b"+"], ids=["waits", "does-not-wait"])
def test_several_messages_come_with_one_command(cut, plus):
    octets = b"1 APPEND x {1%b}\r\na (\\Draft) {2%b}\r\nbb ~{3%b}\r\nccc\r\n2 NOOP\r\n" % (plus, plus, plus)
    events, said = play(fresh(), cut(octets))
    assert events == [
        AppendBegin(b"1", "x", (Head(),), Literal(1)),
        AppendChunk(b"a"),
        AppendMore(b"1", (DRAFT,), Literal(2)),
        AppendChunk(b"bb"),
        AppendMore(b"1", (Head(),), Literal(3, binary=True)),
        AppendChunk(b"ccc"),
        AppendEnd(b"1"),
        c.Noop(b"2"),
    ]
    assert said == (b"" if plus else b"+ Go ahead\r\n" * 3) + b"1 OK Done\r\n2 OK Done\r\n"


@feedings
def test_a_message_is_put_together_from_texts_and_urls(cut):
    octets = b'1 APPEND x (\\Draft) CATENATE (URL /;UID=1 TEXT {2}\r\nab url "/;UID=2" Text ~{1+}\r\nc URL {6}\r\n/;UID=)\r\n2 NOOP\r\n'
    events, said = play(fresh(), cut(octets))
    assert [event for event in events if not isinstance(event, c.Continue)] == [
        AppendBegin(b"1", "x", (DRAFT, Url("/;UID=1")), Literal(2)),
        AppendChunk(b"ab"),
        AppendMore(b"1", (Url("/;UID=2"),), Literal(1, binary=True)),
        AppendChunk(b"c"),
        AppendEnd(b"1", (Url("/;UID="),)),
        c.Noop(b"2"),
    ]
    assert said == b"+ Go ahead\r\n" * 2 + b"1 OK Done\r\n2 OK Done\r\n"


@feedings
def test_a_message_of_urls_only_has_no_literal(cut):
    events, said = play(fresh(), cut(b"1 APPEND x CATENATE (URL a URL {1}\r\nb URL c)\r\n2 NOOP\r\n"))
    assert [event for event in events if not isinstance(event, c.Continue)] == [
        AppendBegin(b"1", "x", (Head(), Url("a"), Url("b"), Url("c")), None), AppendEnd(b"1"), c.Noop(b"2"),
    ]  # fmt: skip
    assert said == b"+ Go ahead\r\n1 OK Done\r\n2 OK Done\r\n"


@feedings
def test_a_header_in_utf8_is_marked_so(cut):
    octets = b"1 APPEND x UTF8 (~{2}\r\nab) CATENATE (UTF8 (~{1+}\r\nc) TEXT {1+}\r\nd)\r\n2 NOOP\r\n"
    events, _ = play(fresh(), cut(octets))
    assert [event.literal for event in events if isinstance(event, AppendBegin | AppendMore)] == [
        Literal(2, binary=True, utf8=True), Literal(1, binary=True, utf8=True), Literal(1),
    ]  # fmt: skip
    assert events[-2:] == [AppendEnd(b"1"), c.Noop(b"2")]


@feedings
@pytest.mark.parametrize(("name", "uid"), [(b"REPLACE", False), (b"uid replace", True)])
def test_a_message_replaces_another(cut, name, uid):
    events, _ = play(fresh(), cut(b"1 " + name + b" 4 Drafts (\\Draft) {1}\r\na\r\n2 NOOP\r\n"))
    begin = AppendBegin(b"1", "Drafts", (DRAFT,), Literal(1), Replaced(4, uid))
    assert events == [begin, AppendChunk(b"a"), AppendEnd(b"1"), c.Noop(b"2")]


@feedings
@pytest.mark.parametrize(
    ("said", "text"),
    [
        pytest.param(b"APPEND x {1+}\r\na (\\Recent) {1+}\r\nb", "backslash", id="second-head"),
        pytest.param(b"APPEND x CATENATE (TEXT {1+}\r\na)x", "Behind the message", id="behind-the-parts"),
        pytest.param(b"APPEND x CATENATE (TEXT {1+}\r\na", "one space", id="parts-without-an-end"),
        pytest.param(b"APPEND x CATENATE (TEXT {1+}\r\na FOO)", "CATENATE takes", id="unknown-part"),
        pytest.param(b"APPEND x CATENATE (TEXT {1+}\r\na URL {1+}\r\n\xff)", "URL", id="url-is-no-text"),
        pytest.param(b"APPEND x CATENATE (TEXT {1+}\r\na TEXT b)", "needs a message", id="text-is-a-literal"),
        pytest.param(b"APPEND x UTF8 (~{1+}\r\na", "Expected )", id="utf8-without-an-end"),
        pytest.param(b"REPLACE 1 x {1+}\r\na {1+}\r\nb", "Behind the message", id="replace-takes-one"),
    ],
)
def test_what_is_wrong_behind_a_literal_abandons_the_messages(cut, said, text):
    events, _ = play(fresh(), cut(b"1 " + said + b"\r\n2 NOOP\r\n"))
    abandoned, bad, noop = events[-3:]
    assert isinstance(abandoned, AppendAbandoned)
    assert isinstance(bad, c.Bad)
    assert text in bad.text
    assert noop == c.Noop(b"2")


@pytest.mark.parametrize(
    ("head", "text"),
    [
        pytest.param(b"APPEND x CATENATE {1+}", "parts", id="no-parenthesis"),
        pytest.param(b"APPEND x CATENATE () {1+}", "TEXT, URL", id="no-parts"),
        pytest.param(b"APPEND x UTF8 ({1+}", "literal", id="utf8-in-a-plain-literal"),
        pytest.param(b"REPLACE 0 x {1+}", "from 1", id="number-0"),
        pytest.param(b"REPLACE 1:2 x {1+}", "one space", id="several-numbers"),
        pytest.param(b"UID REPLACE x {1+}", "number", id="no-number"),
    ],
)
def test_a_badly_spelled_beginning_is_thrown_away_with_its_message(head, text):
    events, _ = play(fresh(), [b"1 " + head + b"\r\na\r\n2 NOOP\r\n"])
    assert isinstance(events[0], c.Bad)
    assert text in events[0].text
    assert events[1:] == [c.Noop(b"2")]


@feedings
def test_a_later_message_that_is_too_large_abandons_the_first(cut):
    events, _ = play(fresh(append=3), cut(b"1 APPEND x {3+}\r\nabc {4+}\r\nabcd {1+}\r\nx\r\n2 NOOP\r\n"))
    assert events[2:] == [AppendAbandoned(), c.No(b"1", b"TOOBIG", "A message may have 3 octets"), c.Noop(b"2")]


@feedings
def test_the_session_may_refuse_a_later_message(cut):
    def refusing_more(event):
        if isinstance(event, AppendMore):
            yield r.Tagged(event.tag, r.NO, "Full", b"OVERQUOTA")
        else:
            yield from obliging(event)

    events, said = play(fresh(), cut(b"1 APPEND x {1+}\r\na {2+}\r\nbb {3+}\r\nccc\r\n2 NOOP\r\n"), refusing_more)
    assert events[2:] == [AppendMore(b"1", (Head(),), Literal(2)), c.Noop(b"2")]
    assert said == b"1 NO [OVERQUOTA] Full\r\n2 OK Done\r\n"


def test_no_command_has_more_words_than_anybody_needs():
    events, _ = play(fresh(), [b"1 APPEND x CATENATE (" + b"URL a " * 2000 + b"URL a)\r\n2 NOOP\r\n"])
    assert events == [c.Bad(b"1", "A command may have 1000 messages or parts"), c.Noop(b"2")]
