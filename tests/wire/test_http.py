"""One request, one answer: what is understood, what is refused, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.wire.contract import NEED_DATA, PAUSED, LocalProtocolError, Wants
from twistmail.wire.http import LONGEST_BODY, LONGEST_LINE, MOST_LINES, Bad, Get, HttpServerWire, Page, Post, Silence

REQUEST = b"GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: mail.blue.example\r\nAccept: */*\r\n\r\n"


def listening() -> HttpServerWire:
    wire = HttpServerWire()
    assert wire.next_event() is PAUSED
    assert wire.send(Silence()) == b""
    return wire


@pytest.mark.parametrize(("octets", "event"), [
    pytest.param(REQUEST, Get("/.well-known/acme-challenge/abc"), id="get"),
    pytest.param(b"HEAD /x?y=z HTTP/1.0\r\n\r\n", Get("/x"), id="head-without-the-query"),
    pytest.param(b"GET /\xff HTTP/1.1\r\n\r\n", Get("/\ufffd"), id="not-ascii"),
    pytest.param(b"PUT / HTTP/1.1\r\n\r\n", Bad(405), id="another-method"),
    pytest.param(b"POST /x?y HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Post("/x", b"hello"), id="post"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Post("/", b""), id="post-nothing"),
    pytest.param(b"POST / HTTP/1.1\r\n\r\n", Bad(400), id="post-of-no-length"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", Bad(400), id="post-of-an-odd-length"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 6\r\n\r\n", Bad(400), id="post-of-two-lengths"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Bad(400), id="post-in-chunks"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY + 1), Bad(413), id="post-too-long"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (b"9" * 4000), Bad(413), id="post-of-a-length-without-end"),
    pytest.param(b"GET / HTTP/2\r\n\r\n", Bad(505), id="another-version"),
    pytest.param(b"GET /\r\n\r\n", Bad(400), id="no-version"),
    pytest.param(b"GET  / HTTP/1.1\r\n\r\n", Bad(400), id="two-spaces"),
    pytest.param(b"GET http://mail.blue.example/ HTTP/1.1\r\n\r\n", Bad(400), id="for-a-proxy"),
    pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Bad(400), id="with-a-body"),
    pytest.param(b"GET / HTTP/1.1\r\ntransfer-encoding : chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Bad(400), id="in-chunks"),
    pytest.param(b"GET /" + b"x" * LONGEST_LINE, Bad(431), id="a-line-without-end"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * MOST_LINES, Bad(431), id="lines-without-end"),
    pytest.param(b"\r\n\r\n\r\n", Bad(400), id="nothing"),
    pytest.param(b"EHLO peer.example\r\n\r\n", Bad(400), id="another-protocol"),
])
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_is_asked(octets: bytes, event: object, step: int) -> None:
    wire = listening()
    heard = NEED_DATA
    for at in range(0, len(octets), step):
        wire.receive_bytes(octets[at : at + step])
        heard = wire.next_event()
        if heard is not NEED_DATA:
            break
    assert heard == event
    assert wire.buffered == 0


@given(st.lists(st.binary(max_size=200), max_size=20))
@settings(max_examples=100)
def test_whatever_comes_there_is_one_event_at_most_and_an_end(pieces: list[bytes]) -> None:
    wire = listening()
    events = []
    for piece in pieces:
        wire.receive_bytes(piece)
        if (event := wire.next_event()) not in (NEED_DATA, PAUSED):
            events.append(event)
    assert len(events) <= 1
    if events:
        assert wire.send(Page(404)).startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert wire.wants is Wants.CLOSE


def test_a_page_says_how_long_it_is_and_that_the_connection_ends() -> None:
    wire = listening()
    wire.receive_bytes(REQUEST)
    wire.next_event()
    head, _, body = wire.send(Page(200, b"hello")).partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body, wire.wants) == (b"HTTP/1.1 200 OK", b"hello", Wants.CLOSE)
    assert {b"Content-Length: 5", b"Connection: close"} <= set(head.split(b"\r\n"))


def test_whoever_asks_for_the_head_gets_no_body() -> None:
    wire = listening()
    wire.receive_bytes(b"HEAD / HTTP/1.1\r\n\r\n")
    wire.next_event()
    assert wire.send(Page(200, b"hello")).endswith(b"Content-Length: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n")


def test_nothing_is_said_unasked() -> None:
    with pytest.raises(LocalProtocolError):
        listening().send(Page(200))
