"""FETCH BINARY: parts with their transfer encoding undone, small and big (RFC 3516)."""

from __future__ import annotations

from base64 import encodebytes
from time import thread_time

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse
from tests.helpers import takes_linear_time
from twistmail.mail import binary
from twistmail.mail.parts import scan
from twistmail.servers.imap import bodies


def part(encoding: str, body: bytes, kind: str = "application/octet-stream") -> bytes:
    return f"--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body + b"\r\n"


def base64(octets: bytes) -> bytes:
    return encodebytes(octets).replace(b"\n", b"\r\n")


BLOB = bytes(range(256)) * 8
MAIL = (
    b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + part("base64", base64(BLOB))
    + part("quoted-printable", b"gr=C3=BCn=\r\nlich\r\nblau", "text/plain")
    + part("8bit", b"\xc3\xbc", "text/plain")
    + part("x-unheard-of", b"????")
    + part("7BIT", b"Content-Transfer-Encoding: base64\r\n\r\nYWJj", "message/rfc822")
    + part("base64 ", b"\r\n")
    + b"--b--\r\n"
)
SINGLE = b"Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n"


@pytest.fixture(params=["small", "big"])
def guest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Guest:
    """Messages are kept in memory while they are small; here they are small or big by decree."""
    if request.param == "big":
        monkeypatch.setattr(bodies, "TOGETHER", 10)
        monkeypatch.setattr("twistmail.servers.imap.binary.PIECE", 100)
        monkeypatch.setattr("twistmail.mail.texts.PIECE", 150)
    house = ImapHouse()
    house.put(MAIL, SINGLE)
    return Guest(house, select="INBOX")


def said(guest: Guest, line: str) -> bytes:
    before = len(guest.transport.value())
    guest.feed(line.encode() + b"\r\n")
    return guest.transport.value()[before:]


def fetched(guest: Guest, item: str, number: int = 1) -> bytes:
    begin, end = f"* {number} FETCH (".encode(), b")\r\na OK Done\r\n"
    answer = said(guest, f"a FETCH {number} {item}")
    assert (answer[: len(begin)], answer[-len(end) :]) == (begin, end)
    return answer[len(begin) : -len(end)]


@pytest.mark.parametrize(("item", "value"), [
    pytest.param("BINARY.PEEK[1]", b"BINARY[1] ~{2048}\r\n" + BLOB, id="base64-with-nul"),
    pytest.param("BINARY.PEEK[1]<1.5>", b"BINARY[1]<1> {5}\r\n\x01\x02\x03\x04\x05", id="of-it-a-piece-without-nul"),
    pytest.param("BINARY.PEEK[1]<2040.100>", b"BINARY[1]<2040> {8}\r\n" + BLOB[-8:], id="its-end"),
    pytest.param("BINARY.PEEK[1]<9999.5>", b"BINARY[1]<9999> {0}\r\n", id="behind-its-end"),
    pytest.param("BINARY.SIZE[1]", b"BINARY.SIZE[1] 2048", id="its-size"),
    pytest.param("BINARY.PEEK[2]", b"BINARY[2] {15}\r\ngr\xc3\xbcnlich\r\nblau", id="quoted-printable"),
    pytest.param("BINARY.PEEK[3]", b"BINARY[3] {2}\r\n\xc3\xbc", id="8bit"),
    pytest.param("BINARY.PEEK[5.1]", b"BINARY[5.1] {3}\r\nabc", id="in-a-message"),
    pytest.param("BINARY.PEEK[5]", b"BINARY[5] {41}\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj", id="a-message-is-as-it-is"),
    pytest.param("BINARY.PEEK[6]", b"BINARY[6] {0}\r\n", id="nothing"),
    pytest.param("BINARY.PEEK[7]", b"BINARY[7] NIL", id="no-such-part"),
    pytest.param("BINARY.SIZE[7]", b"BINARY.SIZE[7] 0", id="size-of-no-such-part"),
    pytest.param("BINARY.PEEK[]", b"BINARY[] {%d}\r\n%b" % (len(MAIL), MAIL), id="the-message-is-as-it-is"),
    pytest.param("(BINARY.SIZE[] BINARY.PEEK[3] BODY.PEEK[3] FLAGS)", b"FLAGS (\\Recent) BINARY.SIZE[] %d BINARY[3] {2}\r\n\xc3\xbc "
                 b"BODY[3] {2}\r\n\xc3\xbc" % len(MAIL), id="together"),
])  # fmt: skip
def test_what_is_told(guest: Guest, item: str, value: bytes) -> None:
    assert fetched(guest, item) == value


def test_a_message_with_one_part(guest: Guest) -> None:
    assert fetched(guest, "(BINARY.PEEK[1] BINARY.SIZE[1])", 2) == b"BINARY[1] {3}\r\nabc BINARY.SIZE[1] 3"


@pytest.mark.parametrize("item", ["BINARY[4]", "BINARY.SIZE[4]", "(BINARY.PEEK[1] BINARY.PEEK[4])"])
def test_an_unknown_encoding_ends_the_command(guest: Guest, item: str) -> None:
    assert said(guest, f"a FETCH 1 {item}").endswith(b"a NO [UNKNOWN-CTE] A part is encoded in a way that we do not know\r\n")
    assert b"BINARY" not in said(guest, f"b FETCH 1 {item}")


def test_it_is_seen_unless_one_only_peeks(guest: Guest) -> None:
    assert b"Seen" not in said(guest, "a FETCH 1 BINARY.SIZE[3]")
    assert b"Seen" not in said(guest, "b FETCH 1 BINARY.PEEK[3]")
    assert said(guest, "c FETCH 1 BINARY[3]") == b"* 1 FETCH (BINARY[3] {2}\r\n\xc3\xbc FLAGS (\\Seen \\Recent))\r\nc OK Done\r\n"


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"uuencode"])
@pytest.mark.parametrize("piece", [b"=", b"\r\n", b"YWJj", b"\r\n=\r", b"M\r\n"])
def test_decoding_takes_linear_time(encoding: bytes, piece: bytes) -> None:
    def seconds(count: int) -> float:
        message = b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + piece * count
        before = thread_time()
        binary.measured(binary.decoded(message, scan(message), (1,)))
        return thread_time() - before

    assert takes_linear_time(seconds, 10_000)
