"""One message stays one message: no false ending, wherever it stands and however it is cut, ends it or begins a second one.

Whoever gets two readers to see different ends of a message can put words into the mouth of a server (SMTP smuggling).
"""

from __future__ import annotations

import pytest

from tests.abuse.conftest import Peer
from tests.interop.house import House, Person

ENDINGS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRLF": b"\r\r\n.\r\r\n",
    "CRLFLF.CR": b"\r\n\n.\r\x00",
    "NUL-behind-the-dot": b"\r\n.\x00\r\n",
    "NUL-before-the-dot": b"\r\n\x00.\r\n",
    "NUL-inside-the-line-end": b"\r\n.\r\x00\n",
    "NUL-inside-the-first-line-end": b"\r\x00\n.\r\n",
    "space-behind-the-dot": b"\r\n. \r\n",
    "two-dots": b"\r\n..\r\n",
    "dot-in-another-encoding": b"\r\n\xc0\xae\r\n",
    "line-separator": b"\xe2\x80\xa8.\xe2\x80\xa8",
    "next-line": b"\x85.\x85",
    "vertical-tab": b"\x0b.\x0b",
    "form-feed": b"\x0c.\x0c",
}
#: Those that have no CR and no LF out of place are text like any other.
HARMLESS = {"NUL-behind-the-dot", "NUL-before-the-dot", "space-behind-the-dot", "two-dots", "dot-in-another-encoding", "line-separator",
            "next-line", "vertical-tab", "form-feed"}  # fmt: skip


def begin(peer: Peer, guest: Person) -> None:
    assert peer.ask(b"MAIL FROM:<eve@red.test>\r\n").startswith("250")
    assert peer.ask(f"RCPT TO:<{guest.address}>\r\n".encode()).startswith("250")


def smuggled(guest: Person, ending: bytes) -> bytes:
    """A message with a second one inside, behind *ending*."""
    inner = f"MAIL FROM:<admin@blue.test>\r\nRCPT TO:<{guest.address}>\r\nDATA\r\nSubject: smuggled\r\n\r\nPay at once.".encode()
    return b"Subject: outer\r\n\r\nfirst" + ending + inner


@pytest.mark.parametrize("name", ENDINGS)
def test_a_false_ending_is_no_ending(house: House, peer: Peer, guest: Person, name: str) -> None:
    begin(peer, guest)
    assert peer.ask(b"DATA\r\n").startswith("354")
    answer = peer.ask(smuggled(guest, ENDINGS[name]) + b"\r\n.\r\n")
    assert answer.startswith("250 2.0.0" if name in HARMLESS else "550 5.6.11")
    assert peer.everything() == ["221 2.0.0 Goodbye"], "one message, one answer"
    stored = house.stored(guest)
    assert len(stored) == (name in HARMLESS)
    assert all(b"Return-Path: <eve@red.test>" in octets for octets in stored)


@pytest.mark.parametrize("name", ["LF.LF", "LF.CRLF", "CRLF.CR", "CR.CRLF", "NUL-inside-the-line-end", "two-dots"])
def test_nor_is_one_that_comes_in_pieces(house: House, peer: Peer, guest: Person, name: str) -> None:
    whole = smuggled(guest, ENDINGS[name]) + b"\r\n.\r\n"
    start = whole.index(b"first") + 5
    cuts = [*range(start - 1, start + len(ENDINGS[name]) + 2), *range(len(whole) - 5, len(whole))]
    for cut in cuts:
        begin(peer, guest)
        assert peer.ask(b"DATA\r\n").startswith("354")
        peer.say(whole[:cut], whole[cut:])
        assert peer.hear().startswith("250 2.0.0" if name in HARMLESS else "550 5.6.11")
    assert peer.everything() == ["221 2.0.0 Goodbye"]
    assert len(house.stored(guest)) == (len(cuts) if name in HARMLESS else 0)


@pytest.mark.parametrize("name", ["LF.LF", "CRLF.CR", "NUL-behind-the-dot"])
def test_nor_is_one_octet_by_octet(house: House, peer: Peer, guest: Person, name: str) -> None:
    begin(peer, guest)
    assert peer.ask(b"DATA\r\n").startswith("354")
    peer.say(*(bytes([octet]) for octet in smuggled(guest, ENDINGS[name]) + b"\r\n.\r\n"))
    assert peer.hear().startswith("250 2.0.0" if name in HARMLESS else "550 5.6.11")
    assert peer.everything() == ["221 2.0.0 Goodbye"]


@pytest.mark.parametrize("name", [*ENDINGS, "CRLF.CRLF"])
def test_in_a_chunk_nothing_is_an_ending(house: House, peer: Peer, guest: Person, name: str) -> None:
    ending = ENDINGS.get(name, b"\r\n.\r\n")
    content = smuggled(guest, ending) + b"\r\n.\r\nQUIT\r\n"
    begin(peer, guest)
    answer = peer.ask(b"BDAT %d LAST\r\n" % len(content) + content)
    fine = name in HARMLESS or name == "CRLF.CRLF"
    assert answer.startswith("250 2.0.0" if fine else "550 5.6.11")
    assert peer.everything() == ["221 2.0.0 Goodbye"]
    assert len(house.stored(guest)) == fine


@pytest.mark.parametrize("size", [b"1", b"3", b"10"])
def test_what_stands_behind_a_chunk_is_a_command(house: House, peer: Peer, guest: Person, size: bytes) -> None:
    begin(peer, guest)
    content = b"A" * int(size)
    answers = [peer.ask(b"BDAT " + size + b"\r\n" + content + b"NOOP\r\n"), peer.hear()]
    assert [answer[:3] for answer in answers] == ["250", "250"]
    peer.say(b"BDAT 0 LAST\r\nBDAT 3\r\n.\r\n")
    assert [peer.hear()[:3], peer.hear()[:3]] == ["250", "503"]
    assert peer.everything() == ["221 2.0.0 Goodbye"]
    assert len(house.stored(guest)) == 1


def test_dots_come_through_as_they_were_meant(house: House, peer: Peer, guest: Person) -> None:
    begin(peer, guest)
    assert peer.ask(b"DATA\r\n").startswith("354")
    assert peer.ask(b"Subject: dots\r\n\r\n..\r\n...\r\n..a\r\n.b\r\n \r\n.\r\n").startswith("250")
    (octets,) = house.stored(guest)
    assert octets.partition(b"\n\n")[2] == b".\n..\n.a\nb\n \n"
