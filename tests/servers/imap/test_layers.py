"""What lies between an IMAP session and its client, and comes and goes: compression, the login, what is hidden."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from typing import Any

import pytest

from tests.dialogues.imap_house import THREE, Guest, ImapHouse, mail
from tests.dialogues.player import FakeTransport
from twistmail.facts import Facts, Introduced
from twistmail.servers import pump as pumps
from twistmail.servers.imap.service import OPTIONS
from twistmail.wire import deflate
from twistmail.wire.deflate import Deflate


class Deflating(Guest):
    """A Guest who has said COMPRESS."""

    layer: Any = None  # (deflater, inflater)

    def compress(self) -> None:
        assert self.say("z COMPRESS DEFLATE") == ["z OK DEFLATE begins"]
        self.layer = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def feed(self, octets: bytes, *, singly: bool = False, flush: int = zlib.Z_SYNC_FLUSH) -> None:
        if self.layer is not None:
            octets = self.layer[0].compress(octets) + self.layer[0].flush(flush)
        super().feed(octets, singly=singly)

    def said(self) -> bytes:
        octets = self.transport.value()[self._read :]
        self._read += len(octets)
        return octets if self.layer is None else self.layer[1].decompress(octets)

    def heard(self) -> list[str]:
        return self.said().decode().split("\r\n")[:-1]


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse(settings={"compress": True})
    house.put(*THREE)
    return house


@pytest.fixture
def guest(house: ImapHouse) -> Deflating:
    guest = Deflating(house, select="INBOX")
    guest.compress()
    return guest


# ----- COMPRESS


def test_everything_behind_the_OK_is_deflated(guest: Deflating) -> None:
    assert guest.say("a FETCH 1 UID") == ["* 1 FETCH (UID 1)", "a OK Done"]
    guest.feed(b"b NOOP\r\nc NOOP\r\n", singly=True)
    assert guest.heard() == ["b OK Done", "c OK Done"]


def test_an_idling_client_can_read_the_news_when_they_come(house: ImapHouse, guest: Deflating) -> None:
    assert guest.say("a IDLE") == ["+ idling"]
    house.put(mail("four"))
    assert guest.heard() == ["* 4 EXISTS", "* 4 RECENT"]


def test_compression_is_offered_when_it_is_switched_on(house: ImapHouse) -> None:
    assert "COMPRESS=DEFLATE" in Guest(house).say("a CAPABILITY")[0]
    house.settings = {}
    assert "COMPRESS=DEFLATE" not in Guest(house).say("a CAPABILITY")[0]


@pytest.mark.parametrize(("command", "answer"), [
    pytest.param("a COMPRESS DEFLATE", "a BAD [COMPRESSIONACTIVE] COMPRESS is on already", id="twice"),
    pytest.param("a COMPRESS LZ4", "a BAD COMPRESS knows DEFLATE only", id="another-algorithm"),
])  # fmt: skip
def test_what_cannot_be_compressed_is_refused(guest: Deflating, command: str, answer: str) -> None:
    assert guest.say(command) == [answer]
    assert guest.say("b NOOP") == ["b OK Done"]


def test_a_big_message_goes_in_and_comes_out(house: ImapHouse, guest: Deflating) -> None:
    message = mail("big", body="".join(f"line {number} of what was said\r\n" for number in range(7_000)))
    guest.feed(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    assert guest.said().split(b"\r\n")[-2].startswith(b"a OK [APPENDUID")
    guest.feed(b"b FETCH 4 BODY.PEEK[]\r\n")
    assert b"* 4 FETCH (BODY[] {%d}\r\n%b)\r\nb OK Done\r\n" % (len(message), message) == guest.said()


@pytest.mark.parametrize("octets", [pytest.param(b"a NOOP\r\n" * 9, id="plain"), pytest.param(b"\xff" * 99, id="noise")])
def test_what_is_not_deflated_ends_the_connection_with_a_word(guest: Deflating, octets: bytes) -> None:
    guest.pump.dataReceived(octets)
    assert guest.heard() == ["* BYE What you have compressed cannot be read, or is too much"]
    assert guest.transport.closed


def test_a_bomb_ends_the_connection_before_it_has_gone_off(guest: Deflating) -> None:
    received = []
    take = guest.pump.wire.receive_bytes
    guest.pump.wire.receive_bytes = lambda data: (received.append(len(data)), take(data))[1]  # type: ignore[method-assign]
    guest.feed(b"a APPEND INBOX {30000000+}\r\n" + bytes(30_000_000))
    assert guest.transport.closed
    assert max(received) <= deflate.STEP
    assert sum(received) <= deflate.GRACE + deflate.RATIO * deflate.PIECE * 2


def test_what_waits_to_be_inflated_stops_the_reading(guest: Deflating, monkeypatch: pytest.MonkeyPatch) -> None:
    guest.pump.pauseProducing()  # the client takes nothing, so nothing of it is answered
    guest.feed(b"a NOOP\r\n")
    noise = zlib.compressobj(0, zlib.DEFLATED, -15)
    octets = noise.compress(b"b NOOP\r\n" * 100_000) + noise.flush()
    for start in range(0, len(octets), 65_536):
        guest.pump.dataReceived(octets[start : start + 65_536])
        if guest.transport.producerState == "paused":
            break
    assert start < pumps.READ_AHEAD + 3 * 65_536


class Unread(FakeTransport):
    """Takes as much as a socket does, and the rest never."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > 2 * pumps.COALESCE:
            self.pump.pauseProducing()  # type: ignore[attr-defined]


def test_a_client_that_compresses_and_never_reads_costs_a_bounded_buffer_and_is_dropped(house: ImapHouse) -> None:
    noise = random.Random(1).randbytes(150_000).hex()
    house.put(mail("noise", body="".join(noise[at : at + 60] + "\r\n" for at in range(0, len(noise), 60))))
    pump, transport = house.pump(), Unread()
    transport.pump = pump  # type: ignore[attr-defined]
    pump.makeConnection(transport)
    pump.dataReceived(b"l LOGIN ann secret\r\n")
    pump.dataReceived(b"s SELECT INBOX\r\n")
    pump.dataReceived(b"z COMPRESS DEFLATE\r\n")
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    for _ in range(20):
        pump.dataReceived(deflater.compress(b"f FETCH 4 BODY.PEEK[]\r\n" * 500) + deflater.flush(zlib.Z_SYNC_FLUSH))
        house.clock.advance(0)
        assert len(transport.value()) + pump._out_size + pump.wire.buffered < 8 * pumps.COALESCE
    house.clock.advance(pumps.STALL + 1)
    assert transport.closed


def test_a_client_that_idles_compressed_costs_little_memory() -> None:
    tracemalloc.start()
    layers = [Deflate() for _ in range(20)]
    peer = zlib.compressobj(6, zlib.DEFLATED, -15)
    octets = peer.compress(b"a IDLE\r\n") + peer.flush(zlib.Z_SYNC_FLUSH)
    for layer in layers:
        layer.receive(octets)
        layer.inflate()
        layer.deflate(b"+ idling\r\n")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(layers) < 120 * 1024


def test_commands_behind_COMPRESS_are_not_guessed_at(house: ImapHouse) -> None:
    guest = Guest(house)
    guest.feed(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
    assert guest.heard() == ["* BYE Nothing may follow STARTTLS or COMPRESS before it is answered"]
    assert guest.transport.closed


def test_a_client_that_says_all_it_has_and_closes_its_side_is_answered(guest: Deflating) -> None:
    deflater = guest.layer[0]
    octets = b"".join(deflater.compress(b"%d NOOP\r\n" % number) + deflater.flush(zlib.Z_SYNC_FLUSH) for number in range(50))
    guest.pump._idle = False  # as if a command were being answered
    guest.pump.dataReceived(octets)
    guest.pump.readConnectionLost()
    guest.pump._drive(None)
    guest.settle()
    assert guest.heard()[-1] == "49 OK Done"
    assert guest.transport.closed


# ----- UNAUTHENTICATE


@pytest.mark.parametrize("flush", [pytest.param(zlib.Z_SYNC_FLUSH, id="flushed"), pytest.param(zlib.Z_FINISH, id="ended")])
def test_UNAUTHENTICATE_ends_the_compression_of_both_sides(guest: Deflating, flush: int) -> None:
    plain = b"b LOGIN bob {9+}\r\ntwo words\r\n"
    deflater, inflater = guest.layer
    guest.layer = None
    guest.feed(deflater.compress(b"a UNAUTHENTICATE\r\n") + deflater.flush(flush) + plain)
    octets = guest.said()
    assert inflater.decompress(octets).startswith(b"a OK [CAPABILITY IMAP4rev1 ")
    assert inflater.unused_data.startswith(b"b OK [CAPABILITY ")
    assert guest.say("c NOOP") == ["c OK Done"]
    guest.compress()
    assert guest.say("d NOOP") == ["d OK Done"]


def test_nothing_that_was_enabled_outlives_the_login(house: ImapHouse) -> None:
    guest = Guest(house)
    guest.pump.session.client.enabled.add("X")  # type: ignore[attr-defined]
    guest.say("a UNAUTHENTICATE")
    assert not guest.pump.session.client.enabled  # type: ignore[attr-defined]


def test_sessions_are_counted_for_whom_they_are() -> None:
    house = ImapHouse(settings={"max_connections_per_user": 1, "max_connections_per_ip": 2})
    first = Guest(house)
    second = Guest(house, login=False)
    assert second.say("a LOGIN ann secret")[0].startswith("a NO [LIMIT]")
    assert first.say("b UNAUTHENTICATE")[0].startswith("b OK")
    assert second.say("c LOGIN ann secret")[0].startswith("c OK")
    Guest(house, login=False)
    assert second.say("d UNAUTHENTICATE")[0] == "* BYE [UNAVAILABLE] There are too many connections from where you are"
    assert second.transport.closed


# ----- who is told of what

RULES = """
client *outlook*: MOVE UNSELECT
user bob@*: special-use
uidplus
"""


def hiding(text: str) -> Any:
    option = OPTIONS.option("hide_capabilities")
    assert option is not None
    return option.kind.read(text)


def test_capabilities_are_hidden_from_programs_and_from_users() -> None:
    house = ImapHouse(settings={"hide_capabilities": hiding(RULES)})
    words = {"MOVE", "UNSELECT", "SPECIAL-USE", "UIDPLUS"}
    ann, bob = Guest(house), Guest(house, login=False)
    assert words & set(ann.say("a CAPABILITY")[0].split()) == words - {"UIDPLUS"}
    bob.say('b LOGIN bob "two words"')
    told, done = bob.say("c CAPABILITY")[0], ann.say('b ID ("NAME" "Microsoft Outlook" "version" "16")')
    assert words & set(told.split()) == {"MOVE", "UNSELECT"}
    assert [line.split()[1] for line in done] == ["ID", "CAPABILITY", "OK"]
    assert words & set(done[1].split()) == {"SPECIAL-USE"}
    assert len(ann.say('c ID ("name" "Outlook")')) == 2, "nothing new"


@pytest.mark.parametrize(("text", "wrong"), [
    pytest.param("MOOVE", "did you mean MOVE?", id="misspelled"),
    pytest.param("IMAP4rev1", "IMAP4rev1 is no capability that can be hidden", id="what-everybody-needs"),
    pytest.param("users bob: MOVE", "write WORDS, user NAME: WORDS or client NAME: WORDS", id="for-nobody"),
    pytest.param("user: MOVE", "write WORDS, user NAME: WORDS or client NAME: WORDS", id="for-no-name"),
])  # fmt: skip
def test_what_cannot_be_hidden_is_told_to_the_operator(text: str, wrong: str) -> None:
    with pytest.raises(ValueError) as error:
        hiding(text)
    assert wrong in str(error.value)


def test_rules_are_written_as_they_are_read() -> None:
    option = OPTIONS.option("hide_capabilities")
    assert option is not None
    assert option.kind.write(hiding(RULES)) == "client *outlook*: MOVE UNSELECT\nuser bob@*: SPECIAL-USE\nUIDPLUS"
    assert hiding(option.kind.write(hiding(RULES))) == hiding(RULES)


def test_what_a_program_says_of_itself_is_a_fact() -> None:
    house, told = ImapHouse(facts=Facts()), []
    house.facts.listen(told.append)
    Guest(house).say('a ID ("name" "mutt" "version" NIL "Support-URL" "x")')
    assert Introduced((("name", "mutt"), ("support-url", "x"))) in [fact.what for fact in told]


def test_with_LITERAL_minus_a_big_literal_waits_for_leave() -> None:
    house = ImapHouse(settings={"literal": "minus"})
    guest = Guest(house)
    guest.feed(b"a APPEND INBOX {4097+}\r\n" + b"x" * 4097 + b"\r\n")
    assert guest.heard() == ["a BAD A literal of more than 4096 octets waits for leave here"]
    assert guest.say("b APPEND INBOX {4096+}\r\n" + "x" * 4096)[0].startswith("b OK")
