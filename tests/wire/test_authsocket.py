"""Dovecot's auth protocol, spelled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.authsocket import (
    LONGEST_LINE,
    AuthSocketWire,
    Bad,
    Begin,
    Cancel,
    Challenge,
    Continue,
    Farewell,
    Handshake,
    Refused,
    Welcome,
)
from twistmail.wire.contract import NEED_DATA, PAUSED, PeerGone, Wants


def greeted() -> AuthSocketWire:
    wire = AuthSocketWire()
    wire.send(Handshake((), 1, 1, "0" * 32))
    return wire


def heard(wire: AuthSocketWire) -> list[Any]:
    events = []
    while (event := wire.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def test_we_speak_first_and_say_what_there_is() -> None:
    wire = AuthSocketWire()
    wire.receive_bytes(b"CANCEL\t1\n")
    assert wire.next_event() is PAUSED
    assert wire.send(Handshake(("PLAIN", "SCRAM-SHA-256"), 7, 3, "ab" * 16)) == (
        b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tSCRAM-SHA-256\tmutual-auth\nSPID\t7\nCUID\t3\nCOOKIE\t" + b"ab" * 16 + b"\nDONE\n"
    )
    assert wire.next_event() == Cancel(1)


@pytest.mark.parametrize(("line", "event"), [
    pytest.param(b"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=192.0.2.7\tsecured\tresp=AGFubgBzZWNyZXQ=",
                 Begin(1, "PLAIN", {"service": "smtp", "nologin": "", "lip": "192.0.2.1", "rip": "192.0.2.7", "secured": ""},
                       b"\0ann\0secret"),
                 id="postfix"),
    pytest.param(b"AUTH\t1\tlogin\tservice=smtp\trip=192.0.2.7\tlip=192.0.2.1\tnologin",
                 Begin(1, "LOGIN", {"service": "smtp", "rip": "192.0.2.7", "lip": "192.0.2.1", "nologin": ""}),
                 id="exim-without-initial-response"),
    pytest.param(b"AUTH\t4294967295\tPLAIN\tresp=", Begin(4294967295, "PLAIN", {}), id="exim-without-any"),
    pytest.param(b"AUTH\t1\tPLAIN\tresp==", Begin(1, "PLAIN", {}, b""), id="an-empty-initial-response"),
    pytest.param(b"AUTH\t2\tPLAIN\tsession=a\x01tb\x010\x01n", Begin(2, "PLAIN", {"session": "a\tb\0\n"}), id="escaped"),
    pytest.param(b"CONT\t7\tAGFubgBzZWNyZXQ=", Continue(7, b"\0ann\0secret"), id="cont"),
    pytest.param(b"CONT\t7\t", Continue(7, b""), id="cont-empty"),
    pytest.param(b"CONT\t7", Continue(7, b""), id="cont-without-field"),
    pytest.param(b"CANCEL\t7", Cancel(7), id="cancel"),
])  # fmt: skip
def test_what_daemons_say(line: bytes, event: Any) -> None:
    for pieces in ([line + b"\n"], [bytes([octet]) for octet in line + b"\n"]):
        wire = greeted()
        for piece in pieces:
            wire.receive_bytes(piece)
        assert heard(wire) == [event]


def test_what_needs_no_answer_is_passed_over() -> None:
    wire = greeted()
    wire.receive_bytes(b"VERSION\t1\t1\nCPID\t9\nSOMETHING\tof the future\nCANCEL\t1\n")
    assert heard(wire) == [Cancel(1)]


@pytest.mark.parametrize("line", [
    pytest.param(b"VERSION\t2\t0", id="another-version"),
    pytest.param(b"VERSION", id="no-version"),
    pytest.param(b"AUTH", id="nothing"),
    pytest.param(b"AUTH\t1", id="no-mechanism"),
    pytest.param(b"AUTH\tx\tPLAIN", id="no-number"),
    pytest.param(b"AUTH\t99999999999\tPLAIN", id="a-number-too-long"),
    pytest.param(b"AUTH\t-1\tPLAIN", id="a-sign"),
    pytest.param(b"AUTH\t1\tPLAIN\tresp=!", id="not-base64"),
    pytest.param(b"AUTH\t1\tPLAIN\trip=\xff", id="not-utf-8"),
    pytest.param(b"CONT\t1\t!", id="cont-not-base64"),
    pytest.param(b"CANCEL", id="cancel-nothing"),
    pytest.param(b"AUTH\t1\tPLAIN\tresp=" + b"A" * LONGEST_LINE, id="too-long"),
])
def test_what_cannot_be_understood(line: bytes) -> None:
    wire = greeted()
    wire.receive_bytes(line + b"\n")
    (event,) = heard(wire)
    assert isinstance(event, Bad)


def test_a_line_without_end_is_not_waited_for() -> None:
    wire = greeted()
    wire.receive_bytes(b"A" * (LONGEST_LINE + 2))
    assert isinstance(wire.next_event(), Bad)


@pytest.mark.parametrize(("response", "octets"), [
    pytest.param(Challenge(1, b"Username:"), b"CONT\t1\tVXNlcm5hbWU6\n", id="challenge"),
    pytest.param(Challenge(1, b""), b"CONT\t1\t\n", id="an-empty-challenge"),
    pytest.param(Welcome(1, "ann@here.example"), b"OK\t1\tuser=ann@here.example\n", id="welcome"),
    pytest.param(Welcome(1, "ann", b"v=1"), b"OK\t1\tuser=ann\tresp=dj0x\n", id="with-final-octets"),
    pytest.param(Refused(2), b"FAIL\t2\n", id="refused"),
    pytest.param(Refused(2, "a\tb", later=True), b"FAIL\t2\ttemp\treason=a\x01tb\n", id="later-and-why"),
])
def test_what_we_say(response: Any, octets: bytes) -> None:
    assert greeted().send(response) == octets


def test_after_our_farewell_nothing_is_heard() -> None:
    wire = greeted()
    wire.send(Farewell())
    wire.receive_bytes(b"CANCEL\t1\n")
    assert wire.wants is Wants.CLOSE
    assert heard(wire) == []


def test_the_end_is_told_behind_what_was_said() -> None:
    wire = greeted()
    wire.receive_bytes(b"CANCEL\t1\nCANC")
    wire.receive_eof()
    first, last = heard(wire)
    assert first == Cancel(1)
    assert isinstance(last, PeerGone)


def test_a_transcript_shows_no_secret() -> None:
    wire = greeted()
    wire.receive_bytes(b"AUTH\t1\tPLAIN\tresp=AGFubgBzZWNyZXQ=\n")
    assert wire.next_event() != NEED_DATA
    assert wire.said() == b"AUTH"


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"AUTH\t1\tPLAIN\t", b"CONT\t", b"\n", b"\t", b"\x01"])), max_size=20))
def test_no_octets_break_it(pieces: list[bytes]) -> None:
    wire = greeted()
    for piece in pieces:
        wire.receive_bytes(piece)
    assert all(isinstance(event, Begin | Continue | Cancel | Bad) for event in heard(wire))
