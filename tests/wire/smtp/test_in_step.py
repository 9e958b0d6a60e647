"""Who has to wait for an answer and does not is sent away (RFC 2920 §3.1); who may go on goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.wire.smtp.test_server import kind_answer, spoken
from twistmail.mail.status import Status
from twistmail.wire.contract import NEED_DATA, Ask, Wants
from twistmail.wire.smtp.commands import Bad, Chunk, ContentEnd, LastChunk, Quit
from twistmail.wire.smtp.content import BASIC, Limits
from twistmail.wire.smtp.server import OUT_OF_STEP

IN_STEP = Limits(in_step=True, extensions=BASIC | {"CHUNKING", "SMTPUTF8", "XCLIENT"})
HELLO, MAIL, RCPT, DATA = b"EHLO a\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<a@b>\r\n", b"DATA\r\n"


def heard(*writes: bytes, limits: Limits = IN_STEP) -> tuple[Any, list[Any]]:
    """A wire that has heard *writes*, each after the one before was answered, and its events."""
    wire, events = spoken(writes[0], limits=limits)
    for write in writes[1:]:
        wire.receive_bytes(write)
        more: list[Any] = []
        _answer_all(wire, more)
        events += more
    return wire, events


def _answer_all(wire: Any, events: list[Any]) -> None:
    while (event := wire.next_event()) is not NEED_DATA:
        events.append(event)
        if isinstance(event, Ask):
            wire.send(kind_answer(event))


def out_of_step(*writes: bytes, limits: Limits = IN_STEP) -> bool:
    """Whether the last of *writes* ended the connection for want of waiting; everything before it was fine."""
    wire, events = heard(*writes, limits=limits)
    return bool(events) and isinstance(events[-1], Bad) and events[-1].status is OUT_OF_STEP and wire.wants is Wants.CLOSE


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param([HELLO + MAIL], id="behind-EHLO"),
        pytest.param([b"HELO a\r\n" + MAIL], id="behind-HELO"),
        pytest.param([HELLO + b"M"], id="half-a-command"),
        pytest.param([b"NOOP\r\nNOOP\r\n"], id="before-EHLO"),
        pytest.param([b"RSET\r\nEHLO a\r\n"], id="EHLO-behind-something"),
        pytest.param([b"nonsense\r\nEHLO a\r\n"], id="nonsense-before-EHLO"),
        pytest.param([b"HELO a\r\n", MAIL + RCPT], id="after-HELO"),
        pytest.param([b"HELO a\r\n", b"RSET\r\nRSET\r\n"], id="anything-after-HELO"),
        pytest.param([HELLO, MAIL + RCPT + DATA + b"Subject: x\r\n"], id="content-before-354"),
        pytest.param([HELLO, MAIL + DATA + b"Subject: x\r\n"], id="content-behind-a-DATA-that-fails"),
        pytest.param([HELLO, b"data\r\nx"], id="in-small-letters"),
        pytest.param([HELLO, b"STARTTLS\r\n\x16\x03"], id="a-handshake-behind-STARTTLS"),
        pytest.param([HELLO, b"STARTTLS\r\nEHLO a\r\n"], id="a-command-behind-STARTTLS"),
        pytest.param([HELLO, b"AUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\n"], id="behind-AUTH"),
        pytest.param([HELLO, b"AUTH LOGIN\r\nYQ==\r\n"], id="an-answer-before-its-challenge"),
        pytest.param([HELLO, b"AUTH LOGIN\r\n", b"YQ==\r\nYg==\r\n"], id="two-answers"),
        pytest.param([HELLO, b"AUTH LOGIN\r\n", b"not base64!\r\nNOOP\r\n"], id="behind-an-answer-that-is-none"),
        pytest.param([HELLO, b"VRFY a\r\nNOOP\r\n"], id="behind-VRFY"),
        pytest.param([HELLO, b"NOOP\r\nNOOP\r\n"], id="behind-NOOP"),
        pytest.param([HELLO, b"XCLIENT ADDR=192.0.2.1\r\nEHLO a\r\n"], id="behind-XCLIENT"),
    ],
)
def test_who_does_not_wait_is_sent_away(writes: list[bytes]) -> None:
    assert out_of_step(*writes)
    assert not out_of_step(*writes, limits=replace(IN_STEP, in_step=False))


@pytest.mark.parametrize(
    ("writes", "last"),
    [
        pytest.param([HELLO, MAIL + RCPT + RCPT + DATA], None, id="a-group-that-ends-with-DATA"),
        pytest.param([HELLO, MAIL + RCPT + b"RSET\r\n" + MAIL + b"QUIT\r\n"], Quit, id="RSET-within-a-group"),
        pytest.param([HELLO, MAIL + RCPT + DATA, b"x\r\n.\r\n" + MAIL + b"QUIT\r\n"], Quit, id="behind-the-end-of-content"),
        pytest.param([b"HELO a\r\n", MAIL, RCPT, DATA, b"x\r\n.\r\nQUIT\r\n"], Quit, id="behind-the-end-of-content-after-HELO"),
        pytest.param([HELLO, MAIL + RCPT + b"BDAT 1\r\nxBDAT 1\r\nx"], Chunk, id="chunks"),
        pytest.param([HELLO, MAIL + RCPT + b"BDAT 1\r\nxBDAT 1 LAST\r\nx" + MAIL], None, id="behind-the-last-chunk"),
        pytest.param([HELLO, MAIL + RCPT + b"BDAT 2 LAST\r\nx", b"x"], LastChunk, id="a-chunk-that-comes-in-pieces"),
        pytest.param([HELLO, MAIL, b"QUIT\r\nanything\r\n"], Quit, id="behind-QUIT"),
        pytest.param([HELLO, b"HELP\r\nHELP\r\n"], None, id="what-ends-no-group"),
    ],
)
def test_who_may_go_on_goes_on(writes: list[bytes], last: type | None) -> None:
    _, events = heard(*writes)
    assert not any(isinstance(event, Bad) for event in events)
    assert last is None or type(events[-1]) is last


def test_without_PIPELINING_in_the_list_nobody_goes_on() -> None:
    limits = replace(IN_STEP, extensions=IN_STEP.extensions - {"PIPELINING"})
    assert out_of_step(HELLO, MAIL + RCPT, limits=limits)
    assert not out_of_step(HELLO, MAIL, RCPT, limits=limits)


def test_under_TLS_everything_begins_anew() -> None:
    wire, _ = heard(HELLO, b"STARTTLS\r\n")
    wire.tls_started()
    wire.receive_bytes(MAIL + RCPT)
    assert wire.next_event().status is OUT_OF_STEP


def test_octets_that_come_in_time_are_nothing_to_complain_of() -> None:
    """What is fed in pieces is answered in between: then nobody has been early."""
    lines = HELLO + MAIL + RCPT + DATA + b"x\r\n.\r\n"
    _, events = spoken(lines, limits=IN_STEP, piece=1)
    assert isinstance(events[-1], ContentEnd)


def test_what_closes_the_connection_anyway_keeps_its_reason() -> None:
    wire, events = heard(b"EHLO a\nMAIL FROM:<>\r\nNOOP\r\n")
    assert events[-1].status != OUT_OF_STEP
    assert events[-1].fatal
    assert wire.send(Status(421, "4.3.0", "bye"))
