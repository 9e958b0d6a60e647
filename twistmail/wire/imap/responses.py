"""What an IMAP server says, as values, and the spelling of their parts.

A response is rendered by `octets`; `ImapWire.send` calls it after looking at
what the response means for the state. `Raw` is for bulk: a block of many lines
that the session has rendered already; it costs nothing here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from twistmail.mail import mutf7
from twistmail.mail.values import frozen
from twistmail.wire.imap.commands import Bad, No

OK, NO, BAD = "OK", "NO", "BAD"
NIL = b"NIL"
CRLF = b"\r\n"


#: Who has enabled one of these is told UTF-8 in quoted strings, and says it (RFC 6855 §3, RFC 9051 §5.1).
READ_UTF8 = frozenset({"UTF8=ACCEPT", "IMAP4REV2"})
#: A block of lines that is longer is not quoted in transcripts.
LONGEST_NEWS = 512


@frozen
class Raw:
    """Whole response lines, each with its CRLF, passed through untouched. Not final."""

    data: bytes
    is_final: ClassVar[bool] = False

    @property
    def is_mail(self) -> bool:
        """Whether it may hold what is in a message: a literal, or too much to be mere numbers."""
        return len(self.data) > LONGEST_NEWS or b"{" in self.data or b"ENVELOPE" in self.data

    def octets(self) -> bytes:
        return self.data


@frozen
class Untagged:
    """One untagged response; `data` is all behind "* ", without the last CRLF (b"23 EXISTS"). Not final, legal at any time."""

    data: bytes
    is_final: ClassVar[bool] = False

    def octets(self) -> bytes:
        return b"* " + self.data + CRLF


def untagged_ok(code: bytes, words: bytes) -> Untagged:
    """An OK before the end of a command; *code* may be empty."""
    return Untagged(b"OK [%b] %b" % (code, words) if code else b"OK " + words)


@frozen
class Enabled:
    """What ENABLE has turned on (RFC 5161 §3.2), in upper case. Not final."""

    names: tuple[str, ...]
    is_final: ClassVar[bool] = False

    def octets(self) -> bytes:
        names = ["IMAP4rev2" if name == "IMAP4REV2" else name for name in self.names]  # clients compare what they see
        return b"* " + " ".join(["ENABLED", *names]).encode("ascii") + CRLF


@frozen
class Tagged:
    """The final response to a command. `condition`: OK, NO or BAD; `code`: a response code without brackets, or empty."""

    tag: bytes
    condition: str
    text: str
    code: bytes = b""
    is_final: ClassVar[bool] = True

    def octets(self) -> bytes:
        return self.tag + b" " + self.condition.encode("ascii") + b" " + status_text(self.text, self.code) + CRLF


@frozen
class Continuation:
    """Leave to go on: the final answer to Continue, AppendBegin and Idle."""

    text: str = "Go ahead"
    is_final: ClassVar[bool] = True

    def octets(self) -> bytes:
        return b"+ " + status_text(self.text) + CRLF


@frozen
class Challenge:
    """A SASL challenge, not encoded yet: the final answer to Authenticate and AuthResponse, if more is to be said."""

    data: bytes = b""
    is_final: ClassVar[bool] = True

    def octets(self) -> bytes:
        return b"+ " + b64encode(self.data) + CRLF


@frozen
class Postponed:
    """The final response to AppendEnd will be said later, as `Late`; the client may go on."""

    is_final: ClassVar[bool] = True

    def octets(self) -> bytes:
        return b""


@frozen
class Late:
    """The final response to a command whose answer was postponed. Not final: nobody waits for it here."""

    response: Tagged
    is_final: ClassVar[bool] = False

    def octets(self) -> bytes:
        return self.response.octets()


@frozen
class Bye:
    """We are going to close; legal at any time. After it only the Tagged OK of LOGOUT may be said."""

    text: str
    code: bytes = b""
    is_final: ClassVar[bool] = True

    def octets(self) -> bytes:
        return b"* BYE " + status_text(self.text, self.code) + CRLF


Response = Raw | Untagged | Enabled | Tagged | Continuation | Challenge | Postponed | Late | Bye


def refusal(event: Bad | No) -> Tagged | Bye:
    """The answer to what the wire itself refuses."""
    if isinstance(event, No):
        return Tagged(event.tag, NO, event.text, event.code)
    return Bye(event.text) if event.close else Tagged(event.tag, BAD, event.text)


# ----- spelling

_NOT_TEXT = re.compile(rb"[\x00\r\n]")
_ATOM = re.compile(rb"[!#$&'+\-./0-9:;<=>?@A-Z\[^_`a-z|}~,]+")
_NOT_QUOTABLE = re.compile(rb"[^\x01-\x09\x0b\x0c\x0e-\x7f]")
_MONTHS = (b"", b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def status_text(text: str, code: bytes = b"") -> bytes:
    """`resp-text` (RFC 3501 §9): 7-bit, on one line, never empty, with [code] in front where there is one."""
    octets = _NOT_TEXT.sub(b" ", text.encode("ascii", "replace")) or b"."
    return b"[" + code + b"] " + octets if code else octets


def literal(value: bytes) -> bytes:
    """*value* as a literal: b"{3}\\r\\nabc"."""
    return b"{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """*value* as a quoted string, or as a literal where it holds CR, LF, NUL or an octet above 127, or is long."""
    if len(value) > 1000 or _NOT_QUOTABLE.search(value):
        return literal(value)
    if b'"' in value or b"\\" in value:
        value = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + value + b'"'


def nstring(value: bytes | None) -> bytes:
    """*value* as a string, None as NIL."""
    return NIL if value is None else string(value)


def astring(value: bytes) -> bytes:
    """*value* as an atom where it is one (and not NIL, which some clients misread), else as a string."""
    return value if _ATOM.fullmatch(value) and value.upper() != NIL else string(value)


def mailbox(name: str) -> bytes:
    """A mailbox name as the client shall see it: modified UTF-7, as an astring."""
    return astring(mutf7.encode(name).encode("ascii"))


def mailbox_in_utf8(name: str) -> bytes:
    """The same for a client that has enabled UTF-8: as an astring, quoted where it is not ASCII (RFC 6855 §3)."""
    octets = name.encode("utf-8")
    if octets.isascii():
        return astring(octets)
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def flag_list(flags: Iterable[str]) -> bytes:
    """Flag and keyword names as b"(\\\\Seen Junk)"."""
    return b"(" + " ".join(flags).encode("ascii", "replace") + b")"


def internaldate(seconds: float) -> bytes:
    """POSIX *seconds* as `date-time` in UTC, with its quotes: b'"17-Jul-1996 02:44:25 +0000"' (RFC 3501 §9)."""
    when = datetime.fromtimestamp(seconds, UTC)
    return b'"%2d-%b-%04d %02d:%02d:%02d +0000"' % (when.day, _MONTHS[when.month], when.year, when.hour, when.minute, when.second)
