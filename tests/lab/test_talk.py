"""A connection by hand: what both sides say is kept, answers are waited for, and nothing grows without bound."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol

from twistmail.lab import talk
from twistmail.lab.dialects import SmtpTalk
from twistmail.lab.talk import LONGEST, MOST_LINES, NotNow


class Server(Protocol):
    """Greets, and answers each line with what the test has said."""

    def __init__(self) -> None:
        self.answers = {b"QUIT": None, b"EHLO pc": b"250-one\r\n250 two\r\n"}

    def connectionMade(self) -> None:
        self.transport.write(b"220 hello\r\n")

    def dataReceived(self, data: bytes) -> None:
        for line in data.split(b"\r\n")[:-1]:
            answer = self.answers.get(line, b"500 what?\r\n")
            if answer is None:
                self.transport.loseConnection()
            elif answer:
                self.transport.write(answer)


@pytest.fixture
def server():
    from twisted.internet import reactor

    made = Server()
    factory = Factory.forProtocol(lambda: made)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    made.number = port.getHost().port
    yield made
    pytest_twisted.blockon(port.stopListening())


async def connected(server: Server):
    from twisted.internet import reactor

    made = await talk.connect(reactor, server.number, SmtpTalk())
    assert await made.answered()
    return made


def shown(held) -> list[str]:
    return [f"{said.side} {said.text}" for said in held.said]


@pytest_twisted.ensureDeferred
async def test_lines_of_both_sides_are_kept_in_their_order(server):
    held = await connected(server)
    held.say("EHLO pc")
    assert await held.answered()
    assert shown(held) == ["S 220 hello", "C EHLO pc", "S 250-one", "S 250 two"]
    assert held.dialect.state == "said hello"
    held.close()


@pytest_twisted.ensureDeferred
async def test_the_end_is_told_and_nothing_is_said_after_it(server):
    held = await connected(server)
    held.say("QUIT")
    assert not await held.answered()
    assert shown(held)[-1] == "- the server has closed the connection"
    with pytest.raises(NotNow, match="has closed"):
        held.say("NOOP")


@pytest.mark.parametrize("line", ["a\nb", "a\rb", "a\0b", "x" * (LONGEST + 1)], ids=["LF", "CR", "NUL", "long"])
@pytest_twisted.ensureDeferred
async def test_one_line_at_a_time(server, line):
    held = await connected(server)
    with pytest.raises(NotNow, match="one line"):
        held.say(line)
    held.close()


@pytest_twisted.ensureDeferred
async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(server):
    server.answers[b"NOOP"] = b""
    held = await connected(server)
    held.say("NOOP")
    assert not await held.answered(0.01)
    assert await held.until(lambda line: line == "nothing", 0, 0.01) == ""
    held.close()


@pytest_twisted.ensureDeferred
async def test_so_many_lines_are_kept_and_a_line_without_end_is_cut(server):
    server.answers[b"NOOP"] = b"250-more\r\n" * (2 * MOST_LINES) + b"250 " + b"y" * (2 * LONGEST) + b"\r\n"
    held = await connected(server)
    held.say("NOOP")
    assert await held.answered()
    assert len(held.said) == MOST_LINES
    assert len(held.said[-1].text) < LONGEST + 10
    server.answers[b"HELP"] = b"z" * (talk.MOST_HELD + 10) + b"\r\n250 end\r\n"
    held.say("HELP")
    assert await held.until(lambda line: line == "250 end", 0)
    held.close()


@pytest_twisted.ensureDeferred
async def test_where_nobody_listens_there_is_nobody(server):
    from twisted.internet import reactor

    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    number = port.getHost().port
    await port.stopListening()
    with pytest.raises(NotNow, match=f"nobody listens on port {number}"):
        await talk.connect(reactor, number, SmtpTalk())
