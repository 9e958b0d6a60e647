"""The PROXY protocol: what proxies say, however it is cut, and what nobody says who means well."""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.proxy import ITSELF, LONGEST_LINE, MOST_BODY, SIGNATURE, BadHeader, Client, HeaderReader

V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.25") + b"\x9c\x40\x00\x19"
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::25") + b"\x9c\x40\x00\x19"


def block(body: bytes = V4, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([command, family]) + (len(body) if length is None else length).to_bytes(2, "big") + body


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


GOOD = [
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n", Client("192.0.2.7", 40000), id="v1-ipv4"),
    pytest.param(b"PROXY TCP6 2001:db8::7 2001:db8::25 40000 25\r\n", Client("2001:db8::7", 40000), id="v1-ipv6"),
    pytest.param(b"PROXY TCP6 2001:DB8:0:0::7 ::1 0 65535\r\n", Client("2001:db8::7", 0), id="v1-another-spelling"),
    pytest.param(b"PROXY UNKNOWN\r\n", ITSELF, id="v1-unknown"),
    pytest.param(b"PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535\r\n", ITSELF, id="v1-unknown-with-anything-behind-it"),
    pytest.param(b"PROXY UNKNOWN " + b"x" * (LONGEST_LINE - 16) + b"\r\n", ITSELF, id="v1-of-all-107-octets"),
    pytest.param(block(), Client("192.0.2.7", 40000), id="v2-ipv4"),
    pytest.param(block(V6, family=0x21), Client("2001:db8::7", 40000), id="v2-ipv6"),
    pytest.param(block(V4 + tlv(0x03, b"\1\2\3\4") + tlv(0x04, b"")), Client("192.0.2.7", 40000), id="v2-with-tlvs"),
    pytest.param(block(V4 + tlv(0xEE, b"x" * (MOST_BODY - 15))), Client("192.0.2.7", 40000), id="v2-of-the-most-octets"),
    pytest.param(block(b"", command=0x20, family=0), ITSELF, id="v2-local"),
    pytest.param(block(b"what ever", command=0x20, family=0x77), ITSELF, id="v2-local-with-anything-behind-it"),
    pytest.param(block(b"", family=0), ITSELF, id="v2-unspecified"),
    pytest.param(block(b"/run/x".ljust(216, b"\0"), family=0x31), ITSELF, id="v2-unix"),
]

BAD = [
    pytest.param(b"EHLO spam.example\r\n", id="a-client-that-is-no-proxy"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01", id="tls"),
    pytest.param(b"proxy TCP4 192.0.2.7 192.0.2.25 40000 25\r\n", id="v1-in-small-letters"),
    pytest.param(b"PROXY TCP5 192.0.2.7 192.0.2.25 40000 25\r\n", id="v1-unknown-family"),
    pytest.param(b"PROXY TCP4  192.0.2.7 192.0.2.25 40000 25\r\n", id="v1-two-spaces"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 40000\r\n", id="v1-a-word-short"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25 x\r\n", id="v1-a-word-long"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\n" + b"x" * 80, id="v1-bare-line-feed"),
    pytest.param(b"PROXY TCP4 192.0.2.07 192.0.2.25 40000 25\r\n", id="v1-octal"),
    pytest.param(b"PROXY TCP4 2001:db8::7 2001:db8::25 40000 25\r\n", id="v1-ipv6-called-ipv4"),
    pytest.param(b"PROXY TCP6 fe80::1%eth0 2001:db8::25 40000 25\r\n", id="v1-a-zone"),
    pytest.param(b"PROXY TCP4 192.0.2.7 mx.example 40000 25\r\n", id="v1-a-name"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 65536 25\r\n", id="v1-port-too-big"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 +4 25\r\n", id="v1-port-with-a-sign"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 040 25\r\n", id="v1-port-with-a-nought"),
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.25 \xb2 25\r\n", id="v1-port-that-only-unicode-calls-a-digit"),
    pytest.param(b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", id="v1-of-108-octets"),
    pytest.param(b"PROXY UNKNOWN " + b"x" * 1000, id="v1-without-end"),
    pytest.param(b"PROXY \r\n", id="v1-of-nothing"),
    pytest.param(block(command=0x11), id="v2-version-1"),
    pytest.param(block(command=0x22), id="v2-unknown-command"),
    pytest.param(block(family=0x12), id="v2-datagrams"),
    pytest.param(block(family=0x41), id="v2-unknown-family"),
    pytest.param(block(V4[:-1]), id="v2-addresses-cut-off"),
    pytest.param(block(V4, family=0x21), id="v2-too-short-for-ipv6"),
    pytest.param(block(V4 + b"\x03\x00"), id="v2-tlv-without-length"),
    pytest.param(block(V4 + b"\x03\x00\x05four"), id="v2-tlv-cut-off"),
    pytest.param(block(b"", length=MOST_BODY + 1), id="v2-too-long-by-one"),
    pytest.param(block(b"", length=65535), id="v2-as-long-as-can-be"),
]


def read(*pieces: bytes) -> tuple[Any, bytes]:
    """What a reader makes of *pieces*: the Client (or "bad", or None) and what it left of them."""
    reader = HeaderReader()
    for at, piece in enumerate(pieces):
        try:
            client = reader.feed(piece)
        except BadHeader:
            return "bad", b""
        if client is not None:
            return client, reader.rest + b"".join(pieces[at + 1 :])
    return None, b""


@pytest.mark.parametrize(("header", "client"), GOOD)
def test_a_header_names_the_client_and_what_follows_is_left_alone(header: bytes, client: Client) -> None:
    assert read(header + b"EHLO a.example\r\n") == (client, b"EHLO a.example\r\n")


@pytest.mark.parametrize(("header", "client"), GOOD)
def test_a_header_may_come_octet_by_octet(header: bytes, client: Client) -> None:
    assert read(*(bytes([octet]) for octet in header)) == (client, b"")
    assert read(header[:-1]) == (None, b"")


@pytest.mark.parametrize("header", BAD)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    assert read(header)[0] == "bad"
    assert read(*(bytes([octet]) for octet in header))[0] == "bad"


headers = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([param.values[0] for param in (*GOOD, *BAD)]),
    st.builds(block, st.binary(max_size=60), st.sampled_from([0x20, 0x21, 0x22]), st.sampled_from([0, 0x11, 0x12, 0x21, 0x31])),
    st.binary(max_size=120).map(lambda rest: b"PROXY " + rest),
)


@given(headers, st.lists(st.integers(0, 400), max_size=8))
def test_no_octets_break_the_reader_and_it_does_not_matter_how_they_are_cut(octets: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(octets), *(min(cut, len(octets)) for cut in cuts)})
    pieces = [octets[start:end] for start, end in pairwise(places)]
    assert read(*pieces) == read(octets)
