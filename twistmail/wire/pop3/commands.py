"""What a POP3 client may ask, and what may be answered (RFC 1939, RFC 2449, RFC 2595 §4, RFC 5034, RFC 6856), as values.

Message numbers are as the client wrote them, from 1; whether there is such a
message is the session's business.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from twistmail.mail.values import frozen
from twistmail.wire.contract import Ask


class State(Enum):
    """RFC 1939 §3. The UPDATE state is what happens between QUIT and its answer."""

    AUTHORIZATION = "before login"
    EXCHANGE = "in a SASL exchange"
    TRANSACTION = "after login"


# ----- what the client says


@frozen
class User(Ask):
    name: bytes


@frozen
class Pass(Ask):
    password: bytes = field(repr=False)


@frozen
class Apop(Ask):
    """RFC 1939 §7. `digest`: 32 hex digits in lower case."""

    name: bytes
    digest: bytes = field(repr=False)


@frozen
class Auth(Ask):
    """`mechanism` in upper case, empty for a bare AUTH (then: what is there?). `initial` is base64 still; None: there is none."""

    mechanism: str
    initial: bytes | None = field(repr=False, default=None)


@frozen
class Response(Ask):
    """The client's answer to a challenge, in base64 still; `*` gives up."""

    line: bytes = field(repr=False)


@frozen
class Stls(Ask):
    pass


@frozen
class Utf8(Ask):
    """RFC 6856 §2.1: header fields may be UTF-8 from now on."""


@frozen
class Lang(Ask):
    """RFC 6856 §3: `wanted` is a language range in lower case, `*` for the usual one; empty: which are there?"""

    wanted: str = ""


@frozen
class Capa(Ask):
    pass


@frozen
class Noop(Ask):
    pass


@frozen
class Quit(Ask):
    pass


@frozen
class Stat(Ask):
    pass


@frozen
class List(Ask):
    """`number` None: all messages."""

    number: int | None = None


@frozen
class Uidl(Ask):
    """`number` None: all messages."""

    number: int | None = None


@frozen
class Retr(Ask):
    number: int


@frozen
class Top(Ask):
    """The header and the first `lines` lines of the body."""

    number: int
    lines: int


@frozen
class Dele(Ask):
    number: int


@frozen
class Rset(Ask):
    pass


@frozen
class Bad(Ask):
    """A line that is no command, or no command now. `text` (one of `server.SENTENCES`) says why and quotes nothing.

    `fatal`: where the next command begins cannot be known; the connection must be closed.
    """

    text: str
    fatal: bool = False


# ----- what we say; `is_final` ends the answer to one Ask. A `text` with {} in it has `values` for them, so that it is the same
# sentence whatever they are, and can be said in another language (RFC 6856 §3). It is said in UTF-8.


@frozen
class Good:
    """+OK and a sentence."""

    text: str
    values: tuple[object, ...] = ()
    is_final = True


@frozen
class Err:
    """-ERR and a sentence; `code` is a response code without brackets (RFC 2449 §8): "IN-USE", "AUTH", "SYS/TEMP", "UTF8"."""

    text: str
    code: str = ""
    values: tuple[object, ...] = ()
    is_final = True


@frozen
class Welcome:
    """+OK to a login: TRANSACTION begins."""

    text: str
    values: tuple[object, ...] = ()
    is_final = True


@frozen
class Challenge:
    """A SASL challenge, not yet base64: the next line is its answer."""

    data: bytes
    is_final = True


@frozen
class GoAhead:
    """+OK to STLS: the handshake comes next."""

    text: str
    values: tuple[object, ...] = ()
    is_final = True


@frozen
class Farewell:
    """The last word: the answer to QUIT, or why we close unasked."""

    text: str
    good: bool = True
    code: str = ""
    values: tuple[object, ...] = ()
    is_final = True


@frozen
class Listing:
    """+OK and lines: `lines` are octets that end with CRLF, none of which begins with a dot."""

    text: str
    lines: bytes
    values: tuple[object, ...] = ()
    is_final = True


@frozen
class Message:
    """+OK and a whole message, CRLF line ends; dots are stuffed here."""

    text: str
    content: bytes
    values: tuple[object, ...] = ()
    is_final = True
    is_mail = True


@frozen
class MessageBegins:
    """+OK; Chunks follow, and MessageEnds."""

    text: str
    values: tuple[object, ...] = ()
    is_final = False


@frozen
class Chunk:
    """The next octets of a message."""

    data: bytes
    is_final = False
    is_mail = True


@frozen
class MessageEnds:
    """The end of a message that came in chunks."""

    is_final = True
