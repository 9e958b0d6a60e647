"""The player itself: it must fail where a dialogue and the server differ."""

from __future__ import annotations

import pytest

from tests.dialogues.player import Feeding, play, read
from twistmail.facts import Facts
from twistmail.servers.pump import Pump
from twistmail.wire.buffer import Buffer
from twistmail.wire.contract import NEED_DATA, Ask, Wants


class Word(Ask):
    def __init__(self, text):
        self.text = text


class EchoWire:
    """Says every line back; `bye` closes."""

    in_content = False
    lone_lf = False

    def __init__(self):
        self.buffer = Buffer()
        self.wants = None

    @property
    def buffered(self):
        return len(self.buffer)

    def receive_bytes(self, data):
        self.buffer.feed(data)

    def receive_eof(self):
        pass

    def next_event(self):
        line = self.buffer.line(100)
        return NEED_DATA if line is None else Word(line)

    def send(self, response):
        if response == b"bye":
            self.wants = Wants.CLOSE
        return response + b"\r\n"


class EchoSession:
    patience = 10.0
    minimum_rate = 0

    def attach(self, poke):
        pass

    async def greet(self):
        yield b"hello there"

    async def answer(self, event):
        yield event.text

    async def pending_updates(self):
        return
        yield

    def last_words(self, why):
        return (why.encode(),)

    def departed(self):
        pass

    def closed(self, why):
        pass


def connect(clock, settings):
    return Pump("c", EchoWire(), EchoSession(), clock, Facts(), epoch=clock.seconds)


@pytest.mark.parametrize("feeding", Feeding)
@pytest.mark.parametrize("dialogue", [
    pytest.param("S: hello\nC: one\nS: one\nC: two\nC: three\nS= two\nS: th*", id="prefixes-and-whole-lines"),
    pytest.param("S: ...\nC: one\nC: two\nC: three\nS: ...\nS: two\nS: three", id="any-lines-up-to-one-that-fits"),
    pytest.param("S: hello\nC! a\\x00b\\r\\nbye\\r\\n\nS= a\0b\nS: bye\nS: (closed)", id="octets-and-close"),
    pytest.param("S: hello\nT: 11\nS: timed out\nS: (closed)", id="the-clock-moves"),
    pytest.param("S: hello\nC: one\nS: one\nC: (gone)", id="the-client-goes"),
])
def test_a_dialogue_that_is_true_plays(dialogue, feeding):
    play(read(dialogue, "true"), feeding, connect)


@pytest.mark.parametrize("feeding", Feeding)
@pytest.mark.parametrize("dialogue", [
    pytest.param("S: hell\n", id="not-a-whole-word"),
    pytest.param("S= hello\n", id="not-the-whole-line"),
    pytest.param("S: hello\nC: one\nS: two", id="another-line"),
    pytest.param("S: hello\nC: one", id="a-line-more-than-expected"),
    pytest.param("S: hello\nC: one\nS: one\nS: two", id="a-line-that-never-comes"),
    pytest.param("S: hello\nC: one\nS: one\nS: (closed)", id="still-open"),
    pytest.param("S: hello\nC: bye\nS: bye", id="closed-without-a-word-of-it"),
])
def test_a_dialogue_that_is_not_true_fails(dialogue, feeding):
    with pytest.raises(AssertionError):
        play(read(dialogue, "untrue"), feeding, connect)
