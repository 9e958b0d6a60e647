"""The pump, with a toy protocol of lines: what holds for every protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twistmail.facts import Closed, Facts, Line
from twistmail.servers import pump as pumps
from twistmail.servers.pump import Pump
from twistmail.wire.buffer import Buffer
from twistmail.wire.contract import NEED_DATA, PAUSED, Ask, PeerGone, Wants


@dataclass(frozen=True)
class Said(Ask):
    line: bytes


class LineWire:
    """One line is one Ask; `quit` closes, `tls` wants TLS, `content` counts as content."""

    lone_lf = False

    def __init__(self) -> None:
        self.buffer = Buffer()
        self.wants = None
        self.in_content = False
        self.asked: bytes | None = None
        self.eof = False
        self.last = b""
        self.upgraded = 0

    @property
    def buffered(self) -> int:
        return len(self.buffer)

    def receive_bytes(self, data: bytes) -> None:
        self.buffer.feed(data)

    def receive_eof(self) -> None:
        self.eof = True

    def next_event(self) -> Any:
        if self.asked is not None:
            return PAUSED
        line = self.buffer.line(1_000_000)
        if line is None:
            if self.eof:
                self.eof = False
                return PeerGone()
            return NEED_DATA
        self.asked = self.last = line
        self.in_content = line == b"content"
        return Said(line)

    def send(self, response: bytes) -> bytes:
        if response.startswith(b"."):  # the final response
            self.wants = {b"quit": Wants.CLOSE, b"tls": Wants.START_TLS}.get(self.asked or b"")
            self.asked = None
        return response + b"\r\n"

    def tls_started(self) -> None:
        self.wants = None
        self.upgraded += 1

    def said(self) -> bytes:
        return self.last


class EchoSession:
    def __init__(self) -> None:
        self.patience = 60.0
        self.minimum_rate = 0
        self.slow: Deferred[None] | None = None
        self.news: list[bytes] = []
        self.ended = ""
        self.unwound = 0
        self.departures = 0
        self.poke: Any = None

    def attach(self, poke: Any) -> None:
        self.poke = poke

    async def admit(self) -> bool:
        return True

    async def greet(self) -> Any:
        yield b"hello"

    async def answer(self, event: Any) -> Any:
        if isinstance(event, PeerGone):
            return
        if event.line == b"bug":
            raise ZeroDivisionError
        if event.line == b"slow":
            self.slow = Deferred()
            await self.slow
        try:
            if event.line == b"much":
                for _ in range(100):
                    yield b"x" * 10_000
        finally:
            self.unwound += 1
        yield b"." + event.line

    async def pending_updates(self) -> Any:
        news, self.news = self.news, []
        for line in news:
            yield line

    def last_words(self, why: str) -> Any:
        return [b"bye: " + why.encode()]

    def tls_started(self, tls: Any) -> None:
        pass

    def departed(self) -> None:
        self.departures += 1

    def closed(self, why: str) -> None:
        assert not self.ended, "closed twice"
        self.ended = why


class TerseSession(EchoSession):
    """Has one response to everything, or none, as SMTP's."""

    async def answer(self, event: Any) -> Any:
        if isinstance(event, PeerGone):
            return None
        if event.line == b"bug":
            raise ZeroDivisionError
        if event.line == b"slow":
            self.slow = Deferred()
            await self.slow
        return b"." + event.line + (b"x" * 10_000 if event.line == b"long" else b"")


class Connection:
    def __init__(self, kind: type[EchoSession] = EchoSession, **session: Any) -> None:
        self.clock = Clock()
        self.wire = LineWire()
        self.session = kind()
        for name, value in session.items():
            setattr(self.session, name, value)
        self.facts = Facts()
        self.told: list[Any] = []
        self.transport = StringTransport()
        self.transport.abortConnection = self.transport.loseConnection  # StringTransport's own raises nothing either
        self.freed: list[Pump] = []
        self.pump = Pump("id-1", self.wire, self.session, self.clock, self.facts, epoch=self.clock.seconds, on_closed=self.freed.append)

    def connect(self) -> Connection:
        self.pump.makeConnection(self.transport)
        return self

    def lose(self) -> None:
        self.pump.connectionLost(Failure(ConnectionDone()))

    def said(self) -> bytes:
        said = self.transport.value()
        self.transport.clear()
        return said


def test_it_greets_answers_and_closes_when_the_wire_wants_it() -> None:
    c = Connection().connect()
    assert c.said() == b"hello\r\n"
    c.pump.dataReceived(b"one\r\ntwo\r\nqu")
    assert c.said() == b".one\r\n.two\r\n"
    c.pump.dataReceived(b"it\r\nnever answered\r\n")
    assert c.said() == b".quit\r\n"
    assert c.transport.disconnecting
    assert c.session.ended == "quit"


def test_answers_keep_their_order_behind_a_slow_one_and_what_was_said_before_it_goes_out_at_once() -> None:
    c = Connection().connect()
    c.said()
    c.pump.dataReceived(b"a\r\nslow\r\nb\r\n")
    assert c.said() == b".a\r\n"
    c.pump.dataReceived(b"c\r\n")
    assert c.said() == b""
    c.session.slow.callback(None)
    assert c.said() == b".slow\r\n.b\r\n.c\r\n"


def test_a_session_may_answer_with_a_coroutine_of_the_only_response() -> None:
    c = Connection(TerseSession).connect()
    c.said()
    c.pump.dataReceived(b"a\r\nslow\r\nb\r\n")
    assert c.said() == b".a\r\n"
    c.session.slow.callback(None)
    assert c.said() == b".slow\r\n.b\r\n"
    c.pump.dataReceived(b"bug\r\nnever answered\r\n")
    assert c.said() == b"bye: bug\r\n"
    assert c.session.ended == "bug"


def test_what_single_responses_add_up_to_is_bounded_while_the_peer_reads_nothing() -> None:
    c = Connection(TerseSession).connect()
    c.said()
    c.transport.write = lambda octets: (StringTransport.write(c.transport, octets), c.pump.pauseProducing())  # the transport is full
    c.pump.dataReceived(b"long\r\n" * 100)
    assert 0 < len(c.said()) <= pumps.COALESCE + 10_010
    c.clock.advance(pumps.STALL + 1)
    assert c.transport.disconnecting


@pytest.mark.parametrize("kind", [EchoSession, TerseSession])
def test_the_reactor_has_its_turn_between_two_commands_that_took_long(kind: type[EchoSession]) -> None:
    c = Connection(kind).connect()
    c.said()
    answer = c.session.answer

    def slowly(event: Any) -> Any:
        c.clock.rightNow += pumps.TURN_AFTER * 1.1
        return answer(event)

    c.session.answer = slowly  # type: ignore[method-assign]
    written: list[bytes] = []
    c.transport.write = written.append
    c.pump.dataReceived(b"a\r\nb\r\nc\r\n")
    assert written == [b".a\r\n"]
    c.clock.advance(0)  # with all the turns that there are
    assert written == [b".a\r\n", b".b\r\n", b".c\r\n"]


def test_a_peer_that_talks_on_while_we_work_is_not_read_beyond_the_bound() -> None:
    c = Connection().connect()
    c.pump.dataReceived(b"slow\r\n")
    for _ in range(10):
        if c.transport.producerState == "producing":
            c.pump.dataReceived(b"x" * 60_000)
    assert c.transport.producerState == "paused"
    assert c.wire.buffered <= pumps.READ_AHEAD + 60_000
    c.session.slow.callback(None)


def test_a_peer_that_never_reads_costs_a_bounded_buffer_and_is_dropped_after_the_stall_time() -> None:
    c = Connection().connect()
    c.said()
    c.transport.write = lambda octets: (StringTransport.write(c.transport, octets), c.pump.pauseProducing())  # the transport is full
    c.pump.dataReceived(b"much\r\n")
    assert 0 < len(c.said()) <= pumps.COALESCE + 10_002
    c.clock.advance(pumps.STALL + 1)
    assert c.transport.disconnecting
    c.lose()
    assert c.session.ended == "timed out"
    assert c.session.unwound == 1, "the generator was closed, so that its finally ran"


def test_what_was_held_back_follows_when_the_peer_reads_again() -> None:
    c = Connection().connect()
    c.said()
    c.pump.pauseProducing()
    c.pump.dataReceived(b"much\r\n")
    c.pump.resumeProducing()
    for _ in range(3):
        c.clock.advance(0)
    assert c.said().endswith(b".much\r\n")


def test_a_peer_that_goes_away_while_we_work_lets_the_work_end() -> None:
    c = Connection().connect()
    c.pump.dataReceived(b"slow\r\n")
    c.lose()
    assert not c.session.ended
    c.session.slow.callback(None)
    assert c.session.ended == "peer gone"
    assert c.session.unwound == 1


def test_a_silent_peer_is_told_and_dropped_when_patience_ends() -> None:
    c = Connection(patience=60.0).connect()
    c.said()
    c.clock.advance(59)
    c.pump.dataReceived(b"still here\r\n")
    c.clock.advance(59)
    assert c.said() == b".still here\r\n"
    c.clock.advance(2)
    assert c.said() == b"bye: timed out\r\n"
    assert c.session.ended == "timed out"


def test_content_that_trickles_is_timed_out_although_the_peer_is_never_silent() -> None:
    c = Connection(patience=60.0, minimum_rate=500).connect()
    c.pump.dataReceived(b"content\r\n")
    for _ in range(9):
        c.clock.advance(10)
        if not c.session.ended:
            c.pump.dataReceived(b"z")
    assert c.session.ended == "timed out"


def test_content_that_flows_is_not() -> None:
    c = Connection(patience=60.0, minimum_rate=500).connect()
    c.pump.dataReceived(b"content\r\n")
    for _ in range(20):
        c.clock.advance(10)
        c.pump.dataReceived(b"z" * 9000)
    assert not c.session.ended


def test_news_is_said_at_once_to_a_quiet_peer_and_after_the_answer_to_a_busy_one() -> None:
    c = Connection().connect()
    c.said()
    c.session.news = [b"* news"]
    c.session.poke()
    assert c.said() == b"* news\r\n"
    c.pump.dataReceived(b"slow\r\n")
    c.session.news = [b"* more"]
    c.session.poke()
    assert c.said() == b""
    c.session.slow.callback(None)
    assert c.said() == b".slow\r\n* more\r\n"


def test_a_bug_of_ours_is_an_apology_and_the_end_of_this_connection_only(caplog: Any) -> None:
    c = Connection().connect()
    c.said()
    c.pump.dataReceived(b"bug\r\n")
    assert c.said() == b"bye: bug\r\n"
    assert c.transport.disconnecting
    assert c.session.ended == "bug"


def test_octets_behind_the_command_that_starts_tls_close_the_connection() -> None:
    c = Connection()
    c.transport.startTLS = lambda context: pytest.fail("TLS must not start")
    c.pump._tls = object
    c.connect()
    c.pump.dataReceived(b"tls\r\ninjected\r\n")
    assert c.transport.disconnecting
    assert c.wire.upgraded == 0
    assert b"injected" not in c.said()


def test_tls_starts_after_the_answer_and_the_wire_hears_of_it_after_the_handshake() -> None:
    c = Connection()
    started: list[Any] = []
    c.transport.startTLS = started.append
    c.pump._tls = lambda: "context"
    c.connect()
    c.pump.dataReceived(b"tls\r\n")
    assert started == ["context"]
    assert c.wire.upgraded == 0
    c.pump.handshakeCompleted()
    assert c.wire.upgraded == 1
    c.pump.dataReceived(b"on\r\n")
    assert c.said().endswith(b".on\r\n")


def test_a_handshake_that_never_ends_is_cut_off() -> None:
    c = Connection()
    c.transport.startTLS = lambda context: None
    c.pump._tls = lambda: "context"
    c.connect()
    c.pump.dataReceived(b"tls\r\n")
    c.clock.advance(31)
    assert c.transport.disconnecting


def test_a_peer_that_has_said_all_and_still_listens_gets_its_answers() -> None:
    c = Connection().connect()
    c.said()
    c.pump.dataReceived(b"slow\r\nb\r\n")
    c.pump.readConnectionLost()
    c.session.slow.callback(None)
    assert c.said() == b".slow\r\n.b\r\n"
    assert c.session.ended == "peer gone"


def test_a_shutdown_is_said_after_the_present_answer() -> None:
    c = Connection().connect()
    c.said()
    c.pump.dataReceived(b"slow\r\n")
    c.pump.shut_down()
    assert c.said() == b""
    c.session.slow.callback(None)
    assert c.said() == b".slow\r\nbye: shutdown\r\n"


def test_whoever_is_shown_out_is_told_so() -> None:
    c = Connection().connect()
    c.said()
    c.pump.shut_down("kicked")
    assert c.said() == b"bye: kicked\r\n"
    assert c.pump.ended


def test_silence_is_counted_from_what_the_peer_said_last() -> None:
    c = Connection().connect()
    c.clock.advance(7.0)
    assert c.pump.silence == 7.0
    c.pump.dataReceived(b"half a li")
    assert c.pump.silence == 0.0
    c.clock.advance(3.0)
    c.pump.poke()  # what we say unasked is no word of the peer
    assert c.pump.silence == 3.0


def test_nothing_is_told_when_nobody_listens_and_lines_only_to_those_who_want_them() -> None:
    c = Connection()
    plain: list[Any] = []
    lines: list[Any] = []
    c.facts.listen(plain.append)
    stop = c.facts.listen(lines.append, lines=True)
    c.connect()
    c.pump.dataReceived(b"a\r\n")
    assert [fact.what for fact in lines] == [Line("S", b"hello\r\n"), Line("C", b"a"), Line("S", b".a\r\n")]
    stop()
    assert not c.facts.lines_wanted
    c.lose()
    assert isinstance(plain[-1].what, Closed)


def test_no_timer_is_left_when_a_connection_has_ended() -> None:
    c = Connection().connect()
    c.pump.dataReceived(b"quit\r\n")
    c.lose()
    assert c.clock.getDelayedCalls() == []


def test_a_connection_counts_until_its_descriptor_is_free_and_that_is_soon() -> None:
    """A peer that leaves the TLS farewell unanswered, or our last words unread, has said QUIT and is still there."""
    c = Connection().connect()
    c.pump.dataReceived(b"quit\r\n")
    assert c.session.ended == "quit"
    assert c.freed == []
    assert c.session.departures == 0
    c.transport.abortConnection = c.lose
    c.clock.advance(pumps.FAREWELL)
    assert c.freed == [c.pump]
    assert c.session.departures == 1


def test_a_peer_that_vanishes_is_counted_no_more_at_once() -> None:
    c = Connection().connect()
    c.lose()
    assert c.freed == [c.pump]
    assert c.session.departures == 1


def test_what_comes_behind_the_end_is_thrown_away() -> None:
    c = Connection().connect()
    c.pump.dataReceived(b"quit\r\n")
    for _ in range(10):
        c.pump.dataReceived(b"x" * 100_000)
    assert c.wire.buffered == 0
    assert c.transport.producerState == "producing"
