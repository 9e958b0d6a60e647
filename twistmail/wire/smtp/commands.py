"""What a client can say in SMTP, as values. `server.SmtpServerWire` makes them; sessions answer them."""

from __future__ import annotations

from dataclasses import field

from twistmail.mail.address import Address
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.wire.contract import Ask, Tell
from twistmail.wire.smtp.content import ChunkReader


@frozen
class Hello(Ask):
    """EHLO (`extended`) or HELO; `domain` as it was given, printable ASCII without a space."""

    domain: str
    extended: bool


@frozen
class Mail(Ask):
    """MAIL FROM. `path` None: the null reverse-path. Parameter names are in upper case, known and well-formed."""

    path: Address | None
    parameters: dict[str, str] = field(default_factory=dict)


@frozen
class Rcpt(Ask):
    """RCPT TO. Only `postmaster` comes without a domain (RFC 5321 §4.1.1.3), unless the limits allow bare names."""

    path: Address
    parameters: dict[str, str] = field(default_factory=dict)


@frozen
class Data(Ask):
    pass


@frozen
class ContentChunk(Tell):
    """A piece of the content, dots undone, CRLF line ends."""

    data: bytes


@frozen
class ContentEnd(Ask):
    """The true end of the content, `size` octets in all. `fault`: why it cannot be accepted whatever its recipients say."""

    size: int
    fault: Status | None = None


@frozen
class Chunk(Ask):
    """The end of a BDAT chunk that is not the last (RFC 3030 §2); its octets came as ContentChunks. `size` octets so far."""

    size: int
    fault: Status | None = None


@frozen
class LastChunk(Ask):
    """The end of the last BDAT chunk: what ContentEnd is after DATA."""

    size: int
    fault: Status | None = None


@frozen
class Burl(Ask):
    """BURL (RFC 4468): what `url` means is content, as that of a chunk that is not the last; it goes through `measure`."""

    url: str
    measure: ChunkReader = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        """Octets so far."""
        return self.measure.size

    @property
    def fault(self) -> Status | None:
        """Why the content cannot be accepted whatever its recipients say."""
        return self.measure.fault


@frozen
class LastBurl(Burl):
    """BURL with LAST: what it means ends the content."""


@frozen
class Rset(Ask):
    pass


@frozen
class Noop(Ask):
    pass


@frozen
class Vrfy(Ask):
    """`utf8`: the answer may hold what is not ASCII (RFC 6531 §3.7.4.2)."""

    text: str
    utf8: bool = False


@frozen
class Expn(Ask):
    """As Vrfy."""

    text: str
    utf8: bool = False


@frozen
class Etrn(Ask):
    """ETRN (RFC 1985): `node` as it was given, without its option character; `option` "", "@" (its subdomains too) or "#"."""

    node: str
    option: str = ""


@frozen
class XClient(Ask):
    """XCLIENT: what a proxy says of the client behind it. Names in upper case; values decoded, None where it does not know."""

    attributes: dict[str, str | None] = field(default_factory=dict)


@frozen
class Help(Ask):
    topic: str


@frozen
class Quit(Ask):
    pass


@frozen
class StartTls(Ask):
    pass


@frozen
class Auth(Ask):
    """AUTH. `initial` is the decoded initial response, None where there is none (RFC 4954 §4)."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@frozen
class AuthResponse(Ask):
    """The decoded answer to a challenge; None where the client gives up (`*`)."""

    data: bytes | None = field(default=None, repr=False)


@frozen
class Bad(Ask):
    """Whatever cannot be obeyed, and what to answer. After a `fatal` one the wire wants to close."""

    status: Status
    fatal: bool = False
