"""Whatever comes, however it is cut: the wire never raises, and its work grows with its input and no faster."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.imap.playing import byte_by_byte, drain, fresh, play, whole
from tests.wire.imap.test_commands import SAMPLES
from twistmail.wire.contract import PeerGone
from twistmail.wire.imap import commands as c
from twistmail.wire.imap.framing import Gathered
from twistmail.wire.imap.grammar import COMMANDS
from twistmail.wire.imap.rows import State
from twistmail.wire.imap.server import ImapWire
from twistmail.wire.imap.tokens import Cursor, Misspelled, Refused

# ----- any octets

OCTETS = b'1|A1| |  |\r\n|\r|\n|\0|(|)|[|]|<0.5>|"|"a b"|\\|\\Seen|*|1:*|%|abc|NIL|=|AAAA|DONE|\xff|&|{99}|{+}'
MARKS = [b"{3}\r\n", b"{3+}\r\n", b"{0}\r\n", b"{0+}\r\n", b"{5000+}\r\n"]
WORDS = b"BODY BODY.PEEK[ HEADER.FIELDS NOT OR CHARSET UTF-8 1-Feb-2024 +FLAGS RETURN USE"
LAYERS = (b"STARTTLS", b"COMPRESS")
NAMES = [name for name in COMMANDS if name not in LAYERS]
words = st.sampled_from([*OCTETS.split(b"|"), *MARKS, *WORDS.split(), *NAMES])
beginnings = st.sampled_from([*(b"1 " + name + b" " for name in NAMES), b"\r\n1 ", b""])


def damaged(sample: bytes, start: int, length: int, instead: bytes) -> bytes:
    return sample[:start] + instead + sample[start + length :]


samples = st.sampled_from([b"1 " + line + b"\r\n" for line, _ in SAMPLES if not line.startswith(LAYERS)])
nearly = st.builds(damaged, samples, st.integers(0, 40), st.integers(0, 3), words | st.just(b""))
noise = st.lists(words | beginnings | samples | nearly | st.binary(max_size=6), max_size=30).map(b"".join)
states = st.sampled_from(list(State))


def said_and_meant(octets: bytes, pieces: list[bytes], state: State) -> tuple[list[object], bytes, object]:
    """Events, answers and the state at the end, with the end of the peer behind *pieces*."""
    wire = fresh(state, bad_commands=50, append=6000)
    events, said = play(wire, pieces)
    wire.receive_eof()
    said += drain(wire, events)
    if events and isinstance(events[-1], PeerGone):
        events[-1] = PeerGone  # values of it are not equal
    return events, said, (wire.state, wire.wants)


@settings(max_examples=200, deadline=None)
@given(noise, states, st.data())
def test_however_octets_are_cut_they_mean_the_same(octets, state, data):
    """STARTTLS and COMPRESS are left out: what stands behind it in one packet is judged by the packet."""
    once = said_and_meant(octets, whole(octets), state)
    assert said_and_meant(octets, byte_by_byte(octets), state) == once
    cuts = sorted(data.draw(st.sets(st.integers(0, len(octets)), max_size=8)))
    pieces = [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert said_and_meant(octets, pieces, state) == once


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), states)
def test_random_octets_never_raise(octets, state):
    play(fresh(state), [octets, b"\r\n"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), st.lists(words | st.binary(max_size=4), max_size=12).map(b"".join))
def test_every_parser_understands_or_objects(name, arguments):
    """Straight at the parsers, for the wire filters what reaches them."""
    marks = arguments.count(b"\r\n")
    cursor = Cursor(arguments, [b"abc"] * marks)
    try:
        event = COMMANDS[name].parse(cursor, b"1")
    except (Misspelled, Refused):
        return
    assert isinstance(event, c.Command)


# ----- work: counted in calls, for octets are handled in C


def calls_of(work: Callable[[], object]) -> int:
    """How many calls, of Python and of C functions, *work* makes."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def on_a_wire(octets: bytes, cut: Callable[[bytes], list[bytes]]) -> Callable[[], object]:
    wire: ImapWire = fresh(State.SELECTED, bad_commands=10**9)
    pieces = cut(octets)
    return lambda: play(wire, pieces)


SHAPES = {
    "set": lambda n: b"1 FETCH " + b",".join(b"%d" % (3 * k + 1) for k in range(n)) + b" FLAGS\r\n",
    "flags": lambda n: b"1 STORE 1 FLAGS " + b" ".join([b"a%d" % k for k in range(n)]) + b"\r\n",
    "quoted": lambda n: b'1 SELECT "' + b'\\"a' * n + b'"\r\n',
    "unclosed": lambda n: b'1 SELECT "' + b"\\\\" * n + b"\r\n",
    "keys": lambda n: b"1 SEARCH " + b" ".join([b"OR ALL (NOT SEEN)"] * min(n, 120)) + b"\r\n",
    "fields": lambda n: b"1 FETCH 1 BODY[HEADER.FIELDS (" + b" ".join([b"a"] * min(n, 1000)) + b")]\r\n",
    "literals": lambda n: b"1 SEARCH" + b" FROM {1+}\r\na" * min(n, 498) + b"\r\n",
    "commands": lambda n: b"1 NOOP\r\n" * n,
    "mistakes": lambda n: b"(\r\n" * n,
    "opened": lambda n: b"1 SEARCH " + b"(" * n + b"\r\n",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_twice_the_input_is_twice_the_work(shape, cut):
    small, large = (calls_of(on_a_wire(SHAPES[shape](size), cut)) for size in (60, 120))
    assert large <= 2.3 * small + 200


def test_a_long_command_is_put_together_once(monkeypatch):
    """Not again for each of its literals, unless somebody listens."""
    texts = []
    original = Gathered.text
    monkeypatch.setattr(Gathered, "text", lambda gathered: texts.append(original(gathered)) or texts[-1])
    wire = fresh()
    wire.receive_bytes(SHAPES["literals"](400))
    assert isinstance(wire.next_event(), c.Search)
    assert len(texts) == 1


@pytest.mark.parametrize(
    "pattern_input",
    [
        pytest.param(b'"' + b"\\" * 20001, id="escapes"),
        pytest.param(b'"' + b"a" * 20000, id="unclosed"),
        pytest.param(b"{" + b"1" * 20000, id="mark"),
        pytest.param(b'"1-Feb-' + b"0" * 20000, id="date"),
        pytest.param(b"a" * 20000 + b"\xff", id="atom"),
    ],
)
def test_no_pattern_goes_back_and_forth(pattern_input):
    """A quadratic pattern would take minutes here (4 * 10^8 steps for each reader)."""
    readers = (Cursor.astring, Cursor.nstring, Cursor.date, Cursor.date_time, Cursor.flag, Cursor.sequence_set, Cursor.pattern)
    for read in readers:
        try:
            read(Cursor(pattern_input))
        except Misspelled:
            continue
