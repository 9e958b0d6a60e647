"""The protocol in which other daemons ask who may log in: Dovecot's auth protocol 1.2, the server's side; pure.

Lines of fields divided by tabs. We say first what there is (VERSION, MECH, SPID,
CUID, COOKIE, DONE); the daemon says VERSION and CPID, and then AUTH, CONT and
CANCEL, each with a number of its own choice, many of them at a time. Postfix
(`smtpd_sasl_type = dovecot`) and Exim (`driver = dovecot`) speak it.

All events are Tells: an answer comes when it is known, and tells its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from twistmail.mail.values import frozen
from twistmail.wire.contract import NEED_DATA, PAUSED, LocalProtocolError, PeerGone, Signal, Tell, Wants
from twistmail.wire.sasl.spelling import decode, encode

VERSION = (1, 2)
#: Octets of a line: SASL's 12,288, and what stands beside it.
LONGEST_LINE = 16_384
MOST_FIELDS = 64
MOST_DIGITS = 10
#: What a mechanism is told to be: Postfix compares it with `smtpd_sasl_security_options`.
PROPERTIES = {
    "PLAIN": ("plaintext",),
    "LOGIN": ("plaintext",),
    "CRAM-MD5": ("dictionary", "active"),
    "SCRAM-SHA-1": ("mutual-auth",),
    "SCRAM-SHA-256": ("mutual-auth",),
    "OAUTHBEARER": ("private",),
    "XOAUTH2": ("private",),
    "GSSAPI": ("mutual-auth",),
}


# ----- what a daemon says


@frozen
class Begin(Tell):
    """AUTH: somebody wants in at the daemon. *parameters* as they were said ("rip", "service"), without a value "".

    `initial`: the decoded initial response; None: there was none.
    """

    number: int
    mechanism: str
    parameters: Mapping[str, str]
    initial: bytes | None = field(repr=False, default=None)


@frozen
class Continue(Tell):
    """CONT: the client's answer to our challenge, decoded."""

    number: int
    data: bytes = field(repr=False)


@frozen
class Cancel(Tell):
    """CANCEL: the client has given up, or has gone."""

    number: int


@frozen
class Bad(Tell):
    """Something that cannot be understood; the connection must be closed. `text` says why and quotes nothing."""

    text: str


# ----- what we say


@frozen
class Handshake:
    """The first words. `process` and `connection` are numbers of ours, `cookie` 32 hexadecimal digits."""

    mechanisms: tuple[str, ...]
    process: int
    connection: int
    cookie: str
    is_final = True


@frozen
class Challenge:
    number: int
    data: bytes = field(repr=False)
    is_final = True


@frozen
class Welcome:
    """`user` is who has come in; `final` octets to be told him with the success."""

    number: int
    user: str
    final: bytes = b""
    is_final = True


@frozen
class Refused:
    """Nobody has come in. `later`: because it cannot be known at the moment. `reason`, where there is one, is for the client's eyes."""

    number: int
    reason: str = ""
    later: bool = False
    is_final = True


@frozen
class Farewell:
    """We close."""

    is_final = True


class AuthSocketWire:
    """One connection of a daemon. See `wire.contract.Wire`."""

    in_content = False
    lone_lf = False

    def __init__(self) -> None:
        self.wants: Wants | None = None
        self._data = bytearray()
        self._searched = 0
        self._said = b""
        self._greeted = False
        self._gone = False

    @property
    def buffered(self) -> int:
        return len(self._data)

    def receive_bytes(self, data: bytes) -> None:
        self._data += data

    def receive_eof(self) -> None:
        self._gone = True

    def next_event(self) -> Tell | Signal:
        if not self._greeted:
            return PAUSED
        while self.wants is not Wants.CLOSE:
            line = self._line()
            if line is None:
                break
            if (event := self._read(line)) is not None:
                return event
        if self._gone:
            self._gone = False
            return PeerGone()
        return NEED_DATA

    def _line(self) -> bytes | None:
        end = self._data.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._data)
            if len(self._data) <= LONGEST_LINE:
                return None
            end = LONGEST_LINE + 1
        line = bytes(self._data[:end])
        del self._data[: end + 1]
        self._searched = 0
        return line

    def _read(self, line: bytes) -> Tell | None:
        """What *line* says; None where it needs no answer."""
        command, *fields = line.split(b"\t", MOST_FIELDS)
        self._said = command if command in _READERS else b"(something else)"
        if len(line) > LONGEST_LINE:
            return Bad("a line is too long")
        read = _READERS.get(command)
        try:
            return read(fields) if read is not None else None  # of later versions
        except (ValueError, IndexError):
            return Bad(f"{command.decode()} cannot be understood")

    def said(self) -> bytes:
        return self._said

    def send(self, response: Any) -> bytes:
        match response:
            case Handshake():
                self._greeted = True
                return _handshake(response)
            case Challenge(number, data):
                return b"CONT\t%d\t%b\n" % (number, encode(data))
            case Welcome(number, user, final):
                told = b"\tresp=" + encode(final) if final else b""
                return b"OK\t%d\tuser=%b%b\n" % (number, _escaped(user), told)
            case Refused(number, reason, later):
                words = (b"\ttemp" if later else b"") + (b"\treason=" + _escaped(reason) if reason else b"")
                return b"FAIL\t%d%b\n" % (number, words)
            case Farewell():
                self.wants = Wants.CLOSE
                return b""
        raise LocalProtocolError(f"{response!r} is no response of the auth protocol")

    def tls_started(self) -> None:
        raise LocalProtocolError("there is no TLS on such a socket")


def _handshake(said: Handshake) -> bytes:
    lines = [f"VERSION\t{VERSION[0]}\t{VERSION[1]}"]
    lines += ["\t".join(("MECH", name, *PROPERTIES.get(name, ()))) for name in said.mechanisms]
    lines += [f"SPID\t{said.process}", f"CUID\t{said.connection}", f"COOKIE\t{said.cookie}", "DONE"]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


# ----- the spelling of lines


def _begin(fields: list[bytes]) -> Begin:
    """ValueError, IndexError where *fields* are none of AUTH."""
    number, mechanism, *rest = fields
    parameters: dict[str, str] = {}
    initial = None
    for word in rest:
        key, _, value = word.partition(b"=")
        if key == b"resp":  # the last one; its "=" are base64's. Exim says an empty one where there is none
            initial = _decoded(value) if value else None
        else:
            parameters[_text(key)] = _text(value)
    return Begin(_number(number), _text(mechanism).upper(), parameters, initial)


def _continue(fields: list[bytes]) -> Continue:
    return Continue(_number(fields[0]), _decoded(fields[1] if len(fields) > 1 else b""))


def _cancel(fields: list[bytes]) -> Cancel:
    return Cancel(_number(fields[0]))


def _version(fields: list[bytes]) -> Bad | None:
    return None if fields[0] == b"%d" % VERSION[0] else Bad("another major version")


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise ValueError
    return int(digits)


def _decoded(text: bytes) -> bytes:
    if (data := decode(text)) is None:
        raise ValueError
    return data


_ESCAPES = {"1": "\x01", "0": "\0", "t": "\t", "r": "\r", "n": "\n"}


def _text(octets: bytes) -> str:
    """What *octets* stand for: 0x01 and a letter is a character that cannot stand in a line."""
    first, *pieces = octets.decode().split("\x01")
    return first + "".join(_ESCAPES[piece[:1]] + piece[1:] if piece[:1] in _ESCAPES else piece for piece in pieces)


def _escaped(text: str) -> bytes:
    escaped = text.replace("\x01", "\x011")
    for letter, character in _ESCAPES.items():
        if character != "\x01":
            escaped = escaped.replace(character, "\x01" + letter)
    return escaped.encode()


_READERS = {b"VERSION": _version, b"CPID": lambda fields: None, b"AUTH": _begin, b"CONT": _continue, b"CANCEL": _cancel}
