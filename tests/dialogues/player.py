"""Plays a dialogue file against a real Pump, wire and session, on a transport and a clock of its own.

A dialogue is a text file in `tests/dialogues/<protocol>/`. Each line says who says what:

    # ...              a comment
    with: key=value    what the connection is opened with; handed to `connect` (several pairs, or several lines)
    C: text            the client says a line (CRLF is added)
    C! text            the client says octets, spelled as in a Python bytes literal (`\\r\\n`, `\\x00`); nothing is added
    S: text            we say a line that begins with these words
    S: text*           we say a line that begins with these characters
    S= text            we say exactly this line
    S: ...             we say any number of lines, up to one that fits the next S
    S: (closed)        we close the connection
    C: (gone)          the client is gone without a word
    T: seconds         the clock moves
    TLS                the handshake that was asked for succeeds
    TLS name           and the client has shown a certificate with this name, which is believed
    ---                what follows cannot be sent before what went before was answered

Each file is played in three feedings: every turn of the client whole, octet by octet, and with the next request
attached (all turns up to the next `---`, `T:`, `TLS` or `(gone)` in one piece). What we say must be the same.

    @pytest.mark.parametrize("feeding", Feeding)
    @pytest.mark.parametrize("script", scripts("smtp"))
    def test_dialogue(script, feeding):
        play(script, feeding, connect)        # connect(clock, settings: dict[str, str]) -> Pump, not yet connected
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twistmail.servers.pump import Pump

CLOSED = "(closed)"
GONE = "(gone)"
ANY_LINES = "..."


class Feeding(Enum):
    """How the client's octets reach us."""

    WHOLE = "whole"
    BYTES = "byte by byte"
    ATTACHED = "with the next request attached"


@dataclass(frozen=True)
class Turn:
    """The client says `octets`; we answer with lines that fit `expected`: pairs of an S line's mark and its text."""

    number: int  # of the line in the file
    octets: bytes = b""
    expected: tuple[tuple[str, str], ...] = ()
    action: str = ""  # "advance", "tls", "gone" or "barrier": done before the octets are sent
    seconds: float = 0.0
    certificate: str = ""  # the name in it


@dataclass(frozen=True)
class Script:
    """One dialogue: what the connection is opened with, and the turns."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()


def scripts(protocol: str) -> list[Any]:
    """A pytest parameter for each dialogue file of *protocol*, its file name as id."""
    files = sorted((Path(__file__).parent / protocol).glob("*.txt"))
    assert files, f"no dialogues of {protocol}"
    return [pytest.param(read(path.read_text("utf-8"), path.stem), id=path.stem) for path in files]


def read(text: str, name: str) -> Script:
    """The Script that *text* describes. AssertionError, with the line's number, where a line says nothing."""
    settings: dict[str, str] = {}
    turns = [Turn(0)]  # what we say before the client does
    for number, line in enumerate(text.split("\n"), 1):
        mark, _, words = line.partition(" ")
        last = turns[-1]
        if not line.strip() or mark == "#":
            continue
        if mark == "with:":
            settings.update(pair.split("=", 1) for pair in words.split())  # type: ignore[misc]
        elif mark in ("S:", "S="):
            turns[-1] = replace(last, expected=(*last.expected, (mark, words)))
        elif (turn := _turn(number, mark, words)).action or last.expected or not last.octets:
            turns.append(turn)
        else:
            turns[-1] = replace(last, octets=last.octets + turn.octets)
    return Script(name, settings, tuple(turns))


def _turn(number: int, mark: str, words: str) -> Turn:
    match mark, words:
        case "C:", "(gone)":
            return Turn(number, action="gone")
        case "C:", _:
            return Turn(number, words.encode() + b"\r\n")
        case "C!", _:
            return Turn(number, ast.literal_eval('b"' + words.replace('"', '\\"') + '"'))
        case "T:", _:
            return Turn(number, action="advance", seconds=float(words))
        case "TLS", _:
            return Turn(number, action="tls", certificate=words)
        case "---", _:
            return Turn(number, action="barrier")
    raise AssertionError(f"line {number} of the dialogue: {mark} {words}")


class FakeTransport(StringTransport):
    """A transport in memory that can do STARTTLS and says when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.TLS = False
        self.closed = False
        self.contexts: list[Any] = []
        self.certificate = ""  # the name in what the client has shown
        self.protocol = SimpleNamespace(getHandle=lambda: _Handle(self.certificate))

    def startTLS(self, context: Any, normal: bool = True) -> None:
        self.contexts.append(context)
        self.TLS = True

    def doRead(self) -> None:
        """Nothing has come before the test says so."""

    def loseConnection(self) -> None:
        super().loseConnection()
        self.closed = True

    def abortConnection(self) -> None:
        super().abortConnection()
        self.closed = True


class _Handle:
    """What the TLS library would tell of the handshake."""

    def __init__(self, certificate: str) -> None:
        self.shown = SimpleNamespace(client=certificate, fault="")

    def get_cipher_name(self) -> str:
        return "TLS_AES_256_GCM_SHA384"

    def get_servername(self) -> bytes:
        return b"mx.here.example"

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_bits(self) -> int:
        return 256


class Player:
    """One connection under test. Tests that need more than a file can say use it directly."""

    def __init__(self, connect: Callable[[Clock, dict[str, str]], Pump], settings: dict[str, str] | None = None,
                 clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.transport = FakeTransport()
        self.pump = connect(self.clock, dict(settings or {}))
        self.gone = False
        self._read = 0
        self.pump.makeConnection(self.transport)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due now."""
        for _ in range(1000):
            self.clock.advance(0)
            if not any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
                return
        raise AssertionError("it never comes to rest")

    def feed(self, octets: bytes, *, singly: bool = False) -> None:
        """Octets from the client, as long as there is a connection to bring them."""
        for piece in (octets[at : at + 1] for at in range(len(octets))) if singly else (octets,):
            if self.transport.closed or self.gone or not piece:
                return
            self.pump.dataReceived(piece)
        self.settle()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    def finish_tls(self, certificate: str = "") -> None:
        assert self.transport.contexts, "nobody has asked for TLS"
        self.transport.certificate = certificate
        self.pump.handshakeCompleted()
        self.settle()

    def leave(self) -> None:
        """The client is gone."""
        if not self.gone:
            self.gone = True
            self.pump.connectionLost(Failure(ConnectionDone()))
            self.settle()

    def say(self, *lines: str) -> list[str]:
        """The client says *lines*; what we answer."""
        self.feed(b"".join(line.encode() + b"\r\n" for line in lines))
        return self.heard()

    def heard(self) -> list[str]:
        """The lines that we have said since the last call; a line without its end has ` (unfinished)` behind it."""
        octets = self.transport.value()[self._read :]
        self._read += len(octets)
        *lines, rest = octets.decode("utf-8", "surrogateescape").split("\r\n")
        return [*lines, rest + " (unfinished)"] if rest else lines


def play(script: Script, feeding: Feeding, connect: Callable[[Clock, dict[str, str]], Pump]) -> Player:
    """Play *script*; AssertionError at the first line that is not what it says. The Player, for further questions."""
    player = Player(connect, script.settings)
    for batch in _batches(script.turns) if feeding is Feeding.ATTACHED else ((turn,) for turn in script.turns):
        _act(player, batch[0])
        player.feed(b"".join(turn.octets for turn in batch), singly=feeding is Feeding.BYTES)
        expected = [line for turn in batch for line in turn.expected]
        _compare(f"{script.name}, line {batch[0].number}, {feeding.value}", player, expected)
    if (script.turns[-1].expected[-1:] or [("", "")])[0][1] != CLOSED:
        assert player.gone or not player.transport.closed, f"{script.name}: we have closed the connection"
    player.leave()
    assert not player.clock.getDelayedCalls() or player.transport.closed, f"{script.name}: a timer is left behind"
    return player


def _batches(turns: Iterable[Turn]) -> Iterator[tuple[Turn, ...]]:
    """Turns that may be sent in one piece."""
    batch: list[Turn] = []
    for turn in turns:
        if batch and (turn.action or not batch[0].number):
            yield tuple(batch)
            batch = []
        batch.append(turn)
    yield tuple(batch)


def _act(player: Player, turn: Turn) -> None:
    match turn.action:
        case "advance":
            player.advance(turn.seconds)
        case "tls":
            player.finish_tls(turn.certificate)
        case "gone":
            player.leave()


def _compare(where: str, player: Player, expected: list[tuple[str, str]]) -> None:
    lines = player.heard()
    said = "\n  ".join(lines)
    place, skipping = 0, False
    for mark, text in expected:
        if text == ANY_LINES:
            skipping = True
            continue
        if text == CLOSED:
            assert player.transport.closed, f"{where}: the connection is still open; we said\n  {said}"
            continue
        while skipping and place < len(lines) and not _fits(lines[place], mark, text):
            place += 1
        assert place < len(lines), f"{where}: nothing fits\n  {mark} {text}\nwe said\n  {said}"
        assert _fits(lines[place], mark, text), f"{where}: wanted\n  {mark} {text}\nbut line {place + 1} of what we said differs\n  {said}"
        place, skipping = place + 1, False
    assert skipping or place == len(lines), f"{where}: more than expected from line {place + 1} on; we said\n  {said}"


def _fits(line: str, mark: str, text: str) -> bool:
    if mark == "S=":
        return line == text
    if text.endswith("*"):
        return line.startswith(text[:-1])
    return line == text or line.startswith(text + " ") or not text
