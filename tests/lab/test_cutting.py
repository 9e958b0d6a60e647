"""The relay's connection, cut in the middle of the content or before the answer."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twistmail.lab.cutting import Cuttable
from twistmail.lab.links import Link
from twistmail.mail.address import parse
from twistmail.relay.client import GONE, Lost
from twistmail.wire.smtp import client as say
from twistmail.wire.smtp.client import Chunk, ContentEnd, Octets

LETTER = b"Subject: x\r\n\r\n" + b"0123456789" * 5 + b"\r\n"
DOTTED = [pytest.param((Chunk(b"Received: y\r\n"), Chunk(LETTER), ContentEnd()), id="DATA"),
          pytest.param((say.bdat(13 + len(LETTER)), Octets(b"Received: y\r\n"), Octets(LETTER)), id="BDAT")]  # fmt: skip


class Transport(StringTransport):
    """As the real ones, it does not mind when there is no producer."""

    def unregisterProducer(self) -> None:
        self.producer = None


def connected(state: str) -> Cuttable:
    link = Link("blue", "green")
    connection = Cuttable(Clock(), link)
    connection.makeConnection(Transport())
    connection.dataReceived(b"220 mx.green.test\r\n")
    connection.expect(1).addErrback(lambda _: None)
    link.state = state
    connection.send(say.mail(parse("alice@blue.test")))
    connection.dataReceived(b"250 fine\r\n")
    connection.expect(1).addErrback(lambda _: None)
    connection.transport.clear()
    return connection


@pytest.mark.parametrize("content", DOTTED)
def test_in_the_content_half_of_it_has_gone_and_then_the_line_is_cut(content):
    connection = connected("cut in content")
    with pytest.raises(Lost) as lost:
        connection.send(*content)
    said = connection.transport.value()
    assert lost.value.status == GONE
    assert said.endswith(LETTER[: len(LETTER) // 2])
    assert connection.transport.disconnecting


def test_a_content_in_pieces_is_cut_in_the_first():
    connection = connected("cut in content")
    connection.send(say.bdat(1000))
    with pytest.raises(Lost):
        connection.send(Octets(b"a" * 500))
    assert connection.transport.value() == b"BDAT 1000 LAST\r\n" + b"a" * 250


@pytest.mark.parametrize("content", DOTTED)
def test_after_the_dot_all_has_gone_and_nobody_hears_the_answer(content):
    connection = connected("cut after the dot")
    connection.send(*content)
    heard = []
    connection.expect(1).addErrback(lambda failure: heard.append(failure.value.status))
    assert LETTER in connection.transport.value()
    assert not heard
    connection.dataReceived(b"250 2.0.0 I have it\r\n")
    assert heard == [GONE]
    assert connection.transport.disconnected or connection.transport.disconnecting


@pytest.mark.parametrize("content", DOTTED)
@pytest.mark.parametrize("state", ["whole", "slow", "no STARTTLS", "wrong certificate"])
def test_otherwise_the_answer_is_heard(content, state):
    connection = connected(state)
    connection.send(*content)
    heard = []
    connection.expect(1).addCallback(lambda reply: heard.append(reply.code))
    connection.dataReceived(b"250 2.0.0 I have it\r\n")
    assert heard == [250]


def test_commands_and_an_empty_end_are_not_cut():
    connection = connected("cut in content")
    connection.send(say.RSET)
    connection.send(ContentEnd())
    assert connection.transport.value() == b"RSET\r\n.\r\n"
