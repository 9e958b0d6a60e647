"""How mail goes on, as a value: the next hop, how to reach it, and how operators write it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import field
from enum import Enum
from functools import lru_cache

from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.relay.proxy import Proxy

SMTP_PORT, SMTPS_PORT, LMTP_PORT = 25, 465, 24  # RFC 2033 §5: LMTP is never spoken on port 25
#: Stands in front of the path of a UNIX socket in `Route.next_hop`.
UNIX = "unix:"


class Tls(Enum):
    """How much encryption a route wants."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"  # where offered; no certificate is checked (RFC 7435)
    REQUIRED = "required"  # no mail in clear; no certificate is checked
    VERIFIED = "verified"  # and the certificate must be the host's
    DANE = "dane"  # and the certificate must be the one that the domain publishes, signed, in the DNS (RFC 7672 §6)


class Transport(Enum):
    """What brings the mail there."""

    SMTP = "smtp"
    LMTP = "lmtp"  # RFC 2033: to a mail store, which answers for each recipient
    LOCAL = "local"  # to somebody here: `Route.next_hop` is who (empty: the same name)
    PIPE = "pipe"  # to a program: `Route.next_hop` is the name of its section
    COURIER = "courier"  # by a courier of another package: `Route.next_hop` is its name
    DISCARD = "discard"  # to nobody, and nobody is told
    ERROR = "error"  # to nobody, and the sender is told `Route.answer`

    @property
    def has_servers(self) -> bool:
        """Whether a connection to somebody else is made."""
        return self in (Transport.SMTP, Transport.LMTP)


class Family(Enum):
    """Which addresses of a server are used."""

    BOTH = "both"  # IPv6 first
    IPV4_FIRST = "ipv4-first"
    IPV4 = "ipv4"
    IPV6 = "ipv6"

    def chosen(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """*addresses* in the order in which to try them."""
        six, four = ([one for one in addresses if (":" in one) == is_six] for is_six in (True, False))
        match self:
            case Family.IPV4:
                return tuple(four)
            case Family.IPV6:
                return tuple(six)
            case Family.IPV4_FIRST:
                return (*four, *six)
        return (*six, *four)


@frozen
class Login:
    user: str
    password: str = field(repr=False)


@frozen
class Route:
    """How mail goes on. Two domains with equal routes share connections.

    `next_hop` is a domain, whose MX records count where `use_mx`, or the name or address of a server, or `unix:/path`.
    `source`: own addresses (at most one of each family) to connect from; none: what the system chooses.
    """

    next_hop: str
    use_mx: bool = True
    port: int = SMTP_PORT
    implicit_tls: bool = False
    tls: Tls = Tls.OPPORTUNISTIC
    login: Login | None = None
    require_tls: bool = False  # RFC 8689: for messages that must be encrypted all the way; `tls` is then VERIFIED
    tls_optional: bool = False  # RFC 8689 §3: what the next hop publishes about encryption does not count for this message
    transport: Transport = Transport.SMTP
    answer: Status | None = None
    source: tuple[str, ...] = ()
    family: Family = Family.BOTH
    proxy: Proxy | None = None
    written: bool = field(default=False, compare=False)  # an operator's word: that there is no such server costs no mail

    def __hash__(self) -> int:
        """Of what differs between most; the one that is generated hashes every field, which costs more than a look-up."""
        return hash((self.next_hop, self.port))

    def __str__(self) -> str:
        if not self.transport.has_servers:
            return f"{self.transport.value}:{self.next_hop}"
        front = "lmtp:" if self.transport is Transport.LMTP else ""
        if self.next_hop.startswith(UNIX):
            return front + self.next_hop
        name = self.next_hop if self.use_mx else f"[{self.next_hop.strip('[]')}]"
        usual = LMTP_PORT if front else SMTP_PORT
        return f"{front}{name}" if self.port == usual else f"{front}{name}:{self.port}"


@frozen
class Host:
    """One address of one server. The address of a UNIX socket is its path."""

    name: str
    address: str
    port: int


# ----- how operators write it ---------------------------------------------------

HOW = "write name, name:port, [name]:port or smtps://name"
_SERVER = re.compile(r"(\[[^\[\]\s]+\]|[^\[\]:/\s@]+)(?::([0-9]{1,5}))?/?")
_WORD = re.compile(r"([a-z]+):(//)?(.*)", re.IGNORECASE | re.DOTALL)
#: The mailers of sendmail's mailertable and the transports of Postfix's table, and what they mean here.
WORDS = {
    "smtp": Transport.SMTP, "esmtp": Transport.SMTP, "relay": Transport.SMTP, "smtps": Transport.SMTP, "lmtp": Transport.LMTP,
    "local": Transport.LOCAL, "pipe": Transport.PIPE, "courier": Transport.COURIER,
    "discard": Transport.DISCARD, "error": Transport.ERROR, "retry": Transport.ERROR,
}  # fmt: skip
#: What sendmail's error mailer says for a word (its sysexits).
_KEYWORDS = {
    "usage": "5.0.0", "nouser": "5.1.1", "nohost": "5.1.2", "unavailable": "5.3.0", "tempfail": "4.3.0", "protocol": "5.5.0",
    "config": "5.3.5",
}  # fmt: skip
_ENHANCED = re.compile(r"([45]\.[0-9]{1,3}\.[0-9]{1,3})(?::([45][0-9]{2}))?(?:\s+(.*))?", re.DOTALL)
_CODE = re.compile(r"([45][0-9]{2})(?:\s+(.*))?", re.DOTALL)
LONGEST_ANSWER = 400


def parse_via(text: str, tls: Tls = Tls.OPPORTUNISTIC, login: Login | None = None) -> Route:
    """The Route that *text* writes. Raises ValueError with a sentence.

    `name`, `name:port` (by its MX records, where it has some), `[name]:port`, `smtp://name:port`, `smtps://name` (this very
    server); with one of the words of sendmail's mailertable or Postfix's transport(5) in front: `smtp:[name]:port`,
    `lmtp:unix:/path`, `lmtp:[name]`, `local:fred`, `pipe:NAME`, `courier:NAME` (a plugin), `discard:`, `error:5.1.6 moved`. A
    word with nothing behind it (`smtp:`) means the servers of the domain itself: `next_hop` is then empty.

    A *login* makes a checked certificate of what is opportunistic: whoever stands between would hear the password.
    """
    text = text.strip()
    if login and tls is Tls.OPPORTUNISTIC:
        tls = Tls.VERIFIED
    match = _WORD.fullmatch(text)
    if match is None or match[3].isdigit():  # "relay:587" is a server called relay
        return _server(text.removeprefix(":") if text.startswith(":[") else text, tls, login)
    word, slashes, rest = match[1].lower(), bool(match[2]), match[3].strip()
    transport = WORDS.get(word)
    match transport:
        case Transport.LOCAL | Transport.DISCARD | Transport.PIPE | Transport.COURIER if not slashes:
            return _inside(transport, rest)
        case Transport.ERROR if not slashes:
            return Route("", use_mx=False, port=0, transport=transport, answer=_answer(rest, "4.0.0" if word == "retry" else "5.0.0"))
        case Transport.LMTP if not slashes:
            return _store(rest, tls, login)
        case Transport.SMTP:
            return _of_word(word, rest, tls, login, exact=slashes)
    raise ValueError(f"{text!r} is no mail server\n{HOW}")


def _server(text: str, tls: Tls, login: Login | None, usual: int = SMTP_PORT) -> Route:
    match = _SERVER.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no mail server\n{HOW}")
    name, port_text = match.groups()
    port = int(port_text or usual)
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port\nwrite a number from 1 to 65535")
    return Route(name.strip("[]").lower(), not name.startswith("["), port, port == SMTPS_PORT, tls, login)


def _of_word(word: str, rest: str, tls: Tls, login: Login | None, *, exact: bool) -> Route:
    """`smtp:`, `smtps:` and their like; with // this very server is meant."""
    port = SMTPS_PORT if word == "smtps" else SMTP_PORT
    if not rest:
        if exact:
            raise ValueError(f"{word}:// names no server\n{HOW}")
        return Route("", port=port, implicit_tls=port == SMTPS_PORT, tls=tls, login=login)
    route = _server(rest, tls, login, port)
    return Route(route.next_hop, route.use_mx and not exact, route.port, route.implicit_tls or word == "smtps", tls, login)


def _store(rest: str, tls: Tls, login: Login | None) -> Route:
    """LMTP: nobody's MX records count. What travels through a UNIX socket needs no encryption."""
    path = rest.removeprefix(UNIX)
    if path.startswith("/"):
        return Route(UNIX + path, use_mx=False, port=0, tls=Tls.OFF, login=None, transport=Transport.LMTP)
    if not rest or rest.startswith(UNIX):
        raise ValueError("lmtp: names no server\nwrite lmtp:unix:/path or lmtp:[name]:port")
    route = _server(rest.removeprefix("inet:"), tls, login, LMTP_PORT)
    return Route(route.next_hop, False, route.port, False, tls, login, transport=Transport.LMTP)


def _inside(transport: Transport, rest: str) -> Route:
    if transport is Transport.PIPE and not re.fullmatch(r"[A-Za-z0-9_.-]+", rest):
        raise ValueError(f"{rest!r} is no name of a program\nwrite pipe:NAME, and a section [pipe:NAME]")
    if transport is Transport.COURIER and not re.fullmatch(r"[A-Za-z0-9_.-]+", rest):
        raise ValueError(f"{rest!r} is no name of a courier\nwrite courier:NAME, as twistmail plugin list has it")
    if transport is Transport.LOCAL and not re.fullmatch(r"[^\s,<>]*", rest):
        raise ValueError(f"{rest!r} is nobody's name\nwrite local:fred, or local: for the same name here")
    return Route("" if transport is Transport.DISCARD else rest, use_mx=False, port=0, transport=transport)


def _answer(text: str, usual: str) -> Status:
    """`5.1.6 moved`, `5.1.6:551 moved`, `551 moved`, `nouser gone` or just words."""
    word, _, rest = text.partition(" ")
    if word in _KEYWORDS:
        text = f"{_KEYWORDS[word]} {rest}"
    if match := _ENHANCED.fullmatch(text):
        enhanced, code, said = match.groups()
    elif match := _CODE.fullmatch(text):
        code, said = match.groups()
        inner = _ENHANCED.fullmatch(said or "")
        enhanced, said = (inner[1], inner[3]) if inner else (f"{code[0]}.0.0", said)
    else:
        enhanced, code, said = usual, None, text
    code = code or ("450" if enhanced.startswith("4") else "550")
    if code[0] != enhanced[0]:
        raise ValueError(f"{code} and {enhanced} contradict each other\nwrite error:5.1.6 text")
    said = "".join(c if c.isprintable() else " " for c in (said or "").strip().strip('"'))
    return Status(int(code), enhanced, said[:LONGEST_ANSWER] or "Mail for that address is not taken")


@lru_cache(1024)
def literal(text: str) -> str | None:
    """The IP address that *text* is, with or without brackets and `IPv6:` (RFC 5321 §4.1.3); None where it is none."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if inner.lower().startswith("ipv6:"):
        inner = inner[5:]
    try:
        return str(ipaddress.ip_address(inner))
    except ValueError:
        return None
