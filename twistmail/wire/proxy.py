"""The PROXY protocol, versions 1 and 2, receiving side: a proxy says in front of everything else for whom it speaks.

Written after the specification that comes with HAProxy (proxy-protocol.txt, 2.1
and 2.2). Whether a peer may be believed is for others to say (`servers.listeners`);
here octets become a `Client`, or garbage a `BadHeader`. Bounded: a header of
version 1 has 107 octets at most, of one of version 2 we take no more than
MOST_BODY, and nothing is kept of what it says beyond addresses and ports.
"""

from __future__ import annotations

import ipaddress

from twistmail.mail.values import frozen

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # of version 2, 2.2
FIRST_WORD = b"PROXY "  # of version 1, 2.1
LONGEST_LINE = 107  # octets of version 1, its CRLF counted
HEAD = 16  # octets of version 2 before its addresses
MOST_BODY = 4096  # octets of addresses and TLVs; real ones have some hundred, with a certificate's name in them

_LOCAL, _PROXY = 0x20, 0x21  # version and command
_STREAM = {0x11: 4, 0x21: 16}  # family and protocol -> octets of an address: TCP over IPv4, over IPv6
_UNKNOWN = {0x00: 0, 0x31: 216}  # what may stand there and tells us nothing: unspecified, UNIX sockets -> octets of addresses


class BadHeader(Exception):
    """This is no header of the PROXY protocol; the text says why. The connection can only be closed."""


@frozen
class Client:
    """For whom the proxy speaks. `address` empty: for itself (LOCAL, UNKNOWN); the connection's own address stays."""

    address: str = ""  # "192.0.2.7", "2001:db8::7"
    port: int = 0


ITSELF = Client()


class HeaderReader:
    """Reads one header, however it is cut. After the Client, `rest` is what came behind it and is not the header's."""

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self._data = b""
        self.rest = b""

    def feed(self, data: bytes) -> Client | None:
        """The Client, or None while the header has not all come. BadHeader as soon as it cannot be one any more."""
        # one header's worth at most is copied again, however small the pieces
        self._data += data
        if self._data[: len(FIRST_WORD)] == FIRST_WORD[: len(self._data)]:
            return self._version_1()
        if self._data[: len(SIGNATURE)] == SIGNATURE[: len(self._data)]:
            return self._version_2()
        raise BadHeader("neither version of the PROXY protocol begins so")

    def _version_1(self) -> Client | None:
        end = self._data.find(b"\r\n", 0, LONGEST_LINE)
        if end >= 0:
            line, self.rest = self._data[:end], self._data[end + 2 :]
            return _client_of_line(line)
        if len(self._data) >= LONGEST_LINE:
            raise BadHeader("the line of version 1 does not end")
        return None

    def _version_2(self) -> Client | None:
        data = self._data
        if len(data) < HEAD:
            return None
        length = int.from_bytes(data[14:HEAD], "big")
        if length > MOST_BODY:
            raise BadHeader(f"{length} octets are too many for a header of version 2")
        if len(data) < HEAD + length:
            return None
        self.rest = data[HEAD + length :]
        return _client_of_block(data[12], data[13], data[HEAD : HEAD + length])


def _client_of_line(line: bytes) -> Client:
    """`PROXY TCP4 192.0.2.7 192.0.2.25 40000 25`, or `PROXY UNKNOWN` and whatever follows (2.1)."""
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return ITSELF
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise BadHeader("the line of version 1 has not the words that belong there")
    version = 4 if words[1] == b"TCP4" else 6
    client = _address(words[2], version)
    _address(words[3], version)
    port = _port(words[4])
    _port(words[5])
    return Client(client, port)


def _address(word: bytes, version: int) -> str:
    try:
        text = word.decode("ascii")
        parsed = ipaddress.ip_address(text)
    except ValueError:
        raise BadHeader("an address of version 1 is none") from None
    if parsed.version != version or "%" in text:
        raise BadHeader("an address of version 1 is not of the family that was said")
    return str(parsed)


def _port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and len(word) > 1) or int(word) > 65535:
        raise BadHeader("a port of version 1 is none")
    return int(word)


def _client_of_block(command: int, family: int, body: bytes) -> Client:
    """What version 2 says (2.2): what it does not name must not be sent, and is not to be believed."""
    if command == _LOCAL:
        return ITSELF
    if command != _PROXY:
        raise BadHeader("an unknown version or command")
    if family in _UNKNOWN:
        return ITSELF
    width = _STREAM.get(family)
    if width is None:
        raise BadHeader("an unknown family, or not a stream")
    addresses = 2 * width + 4
    if len(body) < addresses:
        raise BadHeader("the addresses of version 2 are cut off")
    _check_tlvs(body, addresses)
    client = ipaddress.ip_address(body[:width])
    return Client(str(client), int.from_bytes(body[2 * width : 2 * width + 2], "big"))


def _check_tlvs(body: bytes, at: int) -> None:
    """What stands behind the addresses: type, length and value, as often as there is room (2.2.1). None of it is for us."""
    while at < len(body):
        at += 3 + int.from_bytes(body[at + 1 : at + 3], "big")
    if at != len(body):
        raise BadHeader("a TLV of version 2 is cut off")
