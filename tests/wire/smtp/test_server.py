"""Lines and content, as peers send them that mean no good."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.status import Status
from twistmail.wire.contract import NEED_DATA, Ask, Wants
from twistmail.wire.dotted import BareNewline
from twistmail.wire.smtp.commands import Auth, Bad, ContentChunk, ContentEnd, Data, Hello, Mail, Noop
from twistmail.wire.smtp.content import Limits
from twistmail.wire.smtp.replies import Reply, render
from twistmail.wire.smtp.server import SmtpServerWire

OK = Status(250, "2.0.0", "ok")
BEGIN = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"


def spoken(data: bytes, *, limits: Limits | None = None, piece: int = 0) -> tuple[SmtpServerWire, list[Any]]:
    """A wire that has heard *data* (in pieces of so many octets), all of it answered kindly; and its events."""
    wire = SmtpServerWire(limits or Limits())
    wire.send(Status(220, "", "hello"))
    events: list[Any] = []
    for at in range(0, len(data), piece or len(data) or 1):
        wire.receive_bytes(data[at : at + (piece or len(data))])
        while (event := wire.next_event()) is not NEED_DATA:
            events.append(event)
            if isinstance(event, Ask):
                wire.send(kind_answer(event))
    return wire, events


def kind_answer(event: Ask) -> Status:
    match event:
        case Bad(status):
            return status
        case Data():
            return Status(354, "", "go")
        case Auth():
            return Status(334, "", "")
        case ContentEnd(_, fault) if fault:
            return fault
    return OK


def content_of(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, ContentChunk))


def end_of(events: list[Any]) -> ContentEnd:
    ends = [event for event in events if isinstance(event, ContentEnd)]
    assert len(ends) == 1, "one message was sent, and one only"
    return ends[0]


PIECES = [pytest.param(0, id="whole"), pytest.param(1, id="byte-by-byte"), pytest.param(7, id="in-sevens")]


@pytest.mark.parametrize("piece", PIECES)
def test_content_comes_out_as_it_was_meant(piece: int) -> None:
    wire, events = spoken(BEGIN + b"A: b\r\n\r\n..x\r\n.\r\nNOOP\r\n", piece=piece)
    assert content_of(events) == b"A: b\r\n\r\n.x\r\n"
    assert end_of(events) == ContentEnd(12)
    assert type(events[-1]) is Noop
    assert not wire.in_content


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("ending", [
    pytest.param(b"\n.\n", id="LF-dot-LF"),
    pytest.param(b"\r\n.\n", id="CRLF-dot-LF"),
    pytest.param(b"\n.\r\n", id="LF-dot-CRLF"),
    pytest.param(b"\r.\r", id="CR-dot-CR"),
    pytest.param(b"\r\n.\r", id="CRLF-dot-CR"),
    pytest.param(b"\r.\r\n", id="CR-dot-CRLF"),
    pytest.param(b"\r\n\x00.\r\n", id="NUL-before-the-dot"),
    pytest.param(b"\r\n.\x00\r\n", id="NUL-behind-the-dot"),
    pytest.param(b"\r\r\n.\r\r\n", id="CR-CRLF"),
    pytest.param(b"\r\n.\r\r\n", id="CRLF-dot-CR-CRLF"),
])
def test_no_false_ending_starts_a_second_message(ending: bytes, piece: int) -> None:
    smuggled = b"MAIL FROM:<evil@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nboo\r\n"
    _, events = spoken(BEGIN + b"A: b\r\n\r\nx" + ending + smuggled + b".\r\nNOOP\r\n", piece=piece)
    assert sum(type(event) is Mail for event in events) == 1
    assert type(events[-1]) is Noop
    fault = end_of(events).fault
    has_bare = ending.replace(b"\r\n", b"").strip(b".\x00") != b""
    assert (fault is not None) == has_bare
    if fault:
        assert fault.code == 550


def test_bare_newlines_can_be_made_line_ends() -> None:
    limits = Limits(bare_newline=BareNewline.NORMALIZE)
    _, events = spoken(BEGIN + b"A: b\n\nx\n.\nNOOP\r\n.\r\n", limits=limits)
    assert content_of(events) == b"A: b\r\n\r\nx\r\n.\r\nNOOP\r\n"
    assert end_of(events).fault is None


@pytest.mark.parametrize("piece", PIECES)
def test_content_over_the_limit_is_read_to_its_end_and_kept_by_nobody(piece: int) -> None:
    _, events = spoken(BEGIN + b"A: b\r\n\r\n" + b"x" * 500 + b"\r\n.\r\nNOOP\r\n", limits=Limits(message=100), piece=piece)
    assert len(content_of(events)) <= 100
    fault = end_of(events).fault
    assert fault is not None
    assert (fault.code, fault.enhanced) == (552, "5.3.4")
    assert type(events[-1]) is Noop


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize(("header", "refused"), [
    pytest.param(b"A: b\r\n" * 10 + b"\r\n", False, id="ten-lines"),
    pytest.param(b"A: b\r\n" * 11 + b"\r\n", True, id="eleven-lines"),
    pytest.param(b"A: " + b"b" * 95 + b"\r\n\r\n", False, id="a-hundred-octets"),
    pytest.param(b"A: " + b"b" * 96 + b"\r\n\r\n", True, id="one-more"),
    pytest.param(b"\r\n" + b"x\r\n" * 50, False, id="the-body-is-not-counted"),
])
def test_headers_have_limits_of_their_own(header: bytes, refused: bool, piece: int) -> None:
    _, events = spoken(BEGIN + header + b"body\r\n" * 30 + b".\r\n", limits=Limits(header=100, header_lines=10), piece=piece)
    assert (end_of(events).fault is not None) == refused


@pytest.mark.parametrize("piece", [0, 1000])
def test_a_line_that_is_too_long_is_one_error(piece: int) -> None:
    wire, events = spoken(b"NOOP " + b"x" * 20_000 + b"\r\nNOOP\r\n", piece=piece)
    assert [type(event) for event in events] == [Bad, Noop]
    assert events[0].status.code == 500
    assert wire.wants is None


@pytest.mark.parametrize("piece", [0, 1000])
def test_a_line_without_an_end_closes_the_connection(piece: int) -> None:
    wire, events = spoken(b"NOOP " + b"x" * 1_000_000, piece=piece)
    assert [event.status.code for event in events] == [421]
    assert wire.wants is Wants.CLOSE


def test_a_megabyte_line_with_an_end_closes_the_connection_too() -> None:
    wire, events = spoken(b"NOOP " + b"x" * 1_000_000 + b"\r\n")
    assert [event.status.code for event in events] == [421]
    assert wire.wants is Wants.CLOSE


def test_what_is_kept_of_an_endless_line_is_bounded() -> None:
    wire = SmtpServerWire()
    wire.send(Status(220, "", "hello"))
    for _ in range(60):
        wire.receive_bytes(b"x" * 1000)
        wire.next_event()
        assert wire.buffered <= 13_000


def test_AUTH_may_be_longer_than_other_commands() -> None:
    _, events = spoken(b"EHLO a\r\nAUTH PLAIN " + b"QUJD" * 2500 + b"\r\n")
    assert events[1] == Auth("PLAIN", b"ABC" * 2500)
    _, events = spoken(b"EHLO a\r\nNOOP " + b"QUJD" * 2500 + b"\r\n")
    assert events[1].status.code == 500


@pytest.mark.parametrize("line", [
    pytest.param(b"NOOP\nNOOP\r\n", id="LF-inside"),
    pytest.param(b"NOOP\rNOOP\r\n", id="CR-inside"),
    pytest.param(b"NOOP\n", id="LF-at-the-end"),
    pytest.param(b"NOOP\r\r\n", id="CR-before-CRLF"),
])
@pytest.mark.parametrize("piece", PIECES)
def test_bare_line_ends_in_commands_close_the_connection(line: bytes, piece: int) -> None:
    wire, events = spoken(line + b"NOOP\r\n", piece=piece)
    assert [event.status.code for event in events] == [500]
    assert wire.wants is Wants.CLOSE


@pytest.mark.parametrize("verb", [b"GET / HTTP/1.1", b"POST / HTTP/1.0", b"CONNECT a:25 HTTP/1.1", b"Host: x", b"User-Agent: x"])
def test_web_browsers_are_hung_up_on(verb: bytes) -> None:
    wire, events = spoken(verb + b"\r\nEHLO a\r\n")
    assert [event.status.code for event in events] == [421]
    assert wire.wants is Wants.CLOSE


def test_commands_are_read_in_any_case_and_blanks_at_their_end_are_forgiven() -> None:
    _, events = spoken(b"ehlo  Peer.Example  \r\nmail from:<A@B.example> size=5 \r\nrSeT \r\n")
    assert events[0] == Hello("Peer.Example", extended=True)
    assert str(events[1].path) == "A@b.example"
    assert events[1].parameters == {"SIZE": "5"}
    assert not any(isinstance(event, Bad) for event in events)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"EHLO a", b"MAIL FROM:<a@b>", b"RCPT TO:<a@b>", b"DATA", b"\r\n", b".", b"\r", b"\n", b"\0", b"\xff",
                                 b"AUTH LOGIN", b"QUIT", b"STARTTLS", b"*", b" ", b"<"]), max_size=40), st.integers(1, 9))
def test_whatever_comes_and_however_it_is_cut_the_events_are_the_same(words: list[bytes], piece: int) -> None:
    data = b"".join(words)
    for limits in (Limits(), Limits(lone_lf=True)):
        _, whole = spoken(data, limits=limits)
        _, cut = spoken(data, limits=limits, piece=piece)
        assert _told(whole) == _told(cut)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b".", b"..", b"\n", b"a", b"\r", b"MAIL FROM:<a@b>", b"QUIT", b"\n.\n"]), max_size=30), st.integers(0, 9))
def test_where_lone_lf_may_be_said_a_dialogue_with_crlf_is_what_it_is_elsewhere(words: list[bytes], piece: int) -> None:
    data = BEGIN + b"".join(words) + b"\r\n.\r\nNOOP\r\n"
    assert spoken(data, limits=Limits(lone_lf=True), piece=piece)[1] == spoken(data, piece=piece)[1]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b".", b"..", b"\n", b"a", b"\n.\n", b"MAIL FROM:<a@b>", b"QUIT", b" "]), max_size=30), st.integers(0, 9))
def test_a_dialogue_of_lone_lf_means_what_it_means_with_crlf(words: list[bytes], piece: int) -> None:
    data = BEGIN + b"".join(words) + b"\n.\nNOOP\n"
    _, meant = spoken(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    wire, events = spoken(data.replace(b"\r\n", b"\n"), limits=Limits(lone_lf=True), piece=piece)
    assert wire.lone_lf
    assert _told(events) == _told(meant)


def _told(events: list[Any]) -> list[Any]:
    """Events without the accident of how content was cut; a line that ends badly is told with or without what follows it."""
    told: list[Any] = []
    for event in events:
        if isinstance(event, ContentChunk) and told and isinstance(told[-1], bytes):
            told[-1] += event.data
        elif isinstance(event, ContentChunk):
            told.append(event.data)
        else:
            told.append(event)
    faults = [event for event in told if isinstance(event, ContentEnd) and event.fault]
    return [event for event in told if not isinstance(event, bytes)] if faults else told


@pytest.mark.parametrize(("reply", "octets"), [
    pytest.param(Status(250, "2.1.0", "ok"), b"250 2.1.0 ok\r\n", id="one-line"),
    pytest.param(Status(354, "", "go"), b"354 go\r\n", id="no-enhanced-code"),
    pytest.param(Status(550, "5.7.1", "one\ntwo"), b"550-5.7.1 one\r\n550 5.7.1 two\r\n", id="several-lines"),
    pytest.param(Status(550, "5.7.1", "a\rb\x00\u00fc"), b"550 5.7.1 a?b??\r\n", id="nothing-unprintable"),
    pytest.param(Reply(Status(250, "", "host"), ("SIZE 5", "8BITMIME")), b"250-host\r\n250-SIZE 5\r\n250 8BITMIME\r\n", id="a-list"),
    pytest.param(Reply(Status(250, "", "host")), b"250 host\r\n", id="an-empty-list"),
    pytest.param(Status(250, "", "x" * 2000), b"250 " + b"x" * 480 + b"\r\n", id="cut-to-length"),
])
def test_replies(reply: Status | Reply, octets: bytes) -> None:
    assert render(reply) == octets
