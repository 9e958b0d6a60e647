"""DEFLATE between wire and transport: whole, bounded, and with an end."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.wire import deflate
from twistmail.wire.deflate import Damaged, Deflate


class Peer:
    """The other side, as zlib has it."""

    def __init__(self) -> None:
        self.deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.inflater = zlib.decompressobj(-15)

    def says(self, octets: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        return self.deflater.compress(octets) + self.deflater.flush(flush)


def inflated(layer: Deflate) -> bytes:
    """All that waits."""
    steps = []
    while layer.waiting:
        steps.append(layer.inflate())
        assert len(steps[-1]) <= deflate.STEP
    return b"".join(steps)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 40), st.booleans())
def test_what_the_peer_says_arrives_however_it_is_cut(said: list[bytes], cut: int, at_once: bool) -> None:
    layer, peer, heard = Deflate(), Peer(), b""
    octets = b"".join(peer.says(words) for words in said)
    for start in range(0, len(octets), cut):
        layer.receive(octets[start : start + cut])
        heard += b"" if at_once else inflated(layer)
    assert heard + inflated(layer) == b"".join(said)


@settings(max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8))
def test_the_peer_can_read_each_answer_when_it_comes(said: list[bytes]) -> None:
    layer, peer = Deflate(), Peer()
    for words in said:
        assert peer.inflater.decompress(layer.deflate(words)) == words
    assert peer.inflater.decompress(layer.finish(b"end") + b"plain") == b"end"
    assert peer.inflater.unused_data == b"plain"


@pytest.mark.parametrize("flush", [pytest.param(zlib.Z_SYNC_FLUSH, id="flushed"), pytest.param(zlib.Z_FINISH, id="ended")])
@pytest.mark.parametrize("cut", [pytest.param(1, id="octet-by-octet"), pytest.param(10_000, id="whole")])
def test_what_follows_the_peers_end_is_plain(flush: int, cut: int) -> None:
    layer, peer = Deflate(), Peer()
    octets = peer.says(b"a UNAUTHENTICATE\r\n", flush) + b"b LOGIN ann secret\r\n"
    heard = b""
    for start in range(0, len(octets), cut):
        layer.receive(octets[start : start + cut])
        if not heard:
            heard = layer.inflate()
            while layer.waiting and not heard.endswith(b"\n"):
                heard += layer.inflate()
        if heard and not heard.endswith(b"\n"):
            heard += layer.inflate()
    assert heard == b"a UNAUTHENTICATE\r\n"
    rest = layer.rest()
    assert rest.endswith(b"b LOGIN ann secret\r\n")
    assert flush == zlib.Z_FINISH or cut == 1 or rest == b"b LOGIN ann secret\r\n"


def test_a_flush_and_an_end_are_both_passed_over() -> None:
    layer, peer = Deflate(), Peer()
    layer.receive(peer.says(b"bye") + peer.says(b"", zlib.Z_FINISH) + b"plain")
    assert layer.inflate() == b"bye"
    assert layer.rest() == b"plain"


@pytest.mark.parametrize("octets", [
    pytest.param(b"a NOOP\r\n" * 20, id="plain"),
    pytest.param(zlib.compress(b"a NOOP\r\n"), id="with-a-header-of-zlib"),
    pytest.param(random.Random(7).randbytes(4000), id="noise"),
    pytest.param(Peer().says(b"a", zlib.Z_FINISH) + b"more", id="behind-the-end"),
])  # fmt: skip
def test_what_is_no_DEFLATE_is_damaged(octets: bytes) -> None:
    layer = Deflate()
    layer.receive(octets)
    with pytest.raises(Damaged):
        inflated(layer)


def test_a_bomb_is_damaged_before_it_has_cost_much() -> None:
    layer, peer = Deflate(), Peer()
    layer.receive(peer.says(bytes(200_000_000)))
    came: list[int] = []
    with pytest.raises(Damaged):
        came.extend(len(layer.inflate()) for _ in range(100_000))
    assert sum(came) <= deflate.GRACE + deflate.RATIO * deflate.PIECE * 2


def test_mail_of_a_kind_that_is_sent_is_no_bomb() -> None:
    layer, peer = Deflate(), Peer()
    text = b"".join(b"line %d of a log that says the same all day\r\n" % number for number in range(100_000))
    layer.receive(peer.says(text))
    assert inflated(layer) == text
