"""Command lines become commands: the spelling of every verb and its arguments (RFC 5321 §4.1.1 and the extensions).

The wire has made sure that a line is printable; where a command may stand is
the business of `states`. What cannot be obeyed comes back as a `Bad`, or is
raised as `BadSyntax`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from twistmail.mail import xtext
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.wire.sasl.spelling import decode
from twistmail.wire.smtp import parameters
from twistmail.wire.smtp.commands import (
    Auth,
    Bad,
    Data,
    Etrn,
    Expn,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    XClient,
)
from twistmail.wire.smtp.content import TOO_BIG, Limits
from twistmail.wire.smtp.grammar import BadSyntax, forward_path, hello_name, reverse_path

NOT_KNOWN = Status(500, "5.5.1", "That is no command")
NOT_IMPLEMENTED = Status(502, "5.5.1", "That command is not offered here")
NO_ARGUMENTS = Status(501, "5.5.4", "That command takes no argument")
NOT_BASE64 = Status(501, "5.5.2", "That is not base64")
NOT_SMTP = Status(421, "4.7.0", "This is SMTP and nothing else; closing")
NOT_LMTP = Status(500, "5.5.1", "This is LMTP; say LHLO")
BAD_CHUNK = Status(501, "5.5.4", "Write BDAT, the number of octets, and LAST if it is so; closing")

_BDAT = re.compile(r"([0-9]{1,20})( +LAST)? *", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([A-Za-z]{1,20})=([!-*,-~]|\+[0-9A-Fa-f]{2})*")
#: What XCLIENT may tell, and what its client says instead of what it does not know.
ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "DESTADDR", "DESTPORT")
_NOT_KNOWN_THERE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})


@frozen
class BeginChunk:
    """BDAT: so many octets follow at once, whatever is wrong with the command (RFC 3030 §2)."""

    octets: int
    last: bool


@frozen
class Borrow:
    """BURL: what `url` means follows (RFC 4468)."""

    url: str
    last: bool


def command(verb: str, rest: str, limits: Limits) -> Any:
    """The command *verb* (upper case) with its argument *rest*: an Ask of `commands`, a BeginChunk or a Borrow. BadSyntax."""
    parser = PARSERS.get(verb)
    return _stranger(verb) if parser is None else parser(rest, limits)


def verbs(limits: Limits, offered: Collection[str]) -> tuple[str, ...]:
    """The verbs that are known under *limits*, for HELP; of those that belong to extensions the ones that are *offered* now."""
    hellos = ("LHLO",) if limits.lmtp else ("EHLO", "HELO")
    return (*hellos, *(verb for verb in PARSERS if verb not in _HELLOS and _EXTENSION_OF.get(verb) in (None, *offered)))


def _hello(verb: str, extended: bool) -> Callable[[str, Limits], Any]:
    def parse(rest: str, limits: Limits) -> Any:
        if limits.lmtp != (verb == "LHLO"):
            return Bad(NOT_LMTP if limits.lmtp else NOT_IMPLEMENTED)
        return Hello(hello_name(rest), extended=extended)

    return parse


def _mail(rest: str, limits: Limits) -> Mail:
    if rest[:5].upper() != "FROM:":
        raise BadSyntax(501, "5.5.4", "Write MAIL FROM:<address>")
    path, rest = reverse_path(rest[5:], bare_names=limits.bare_names)
    return Mail(path, parameters.read(rest, parameters.MAIL, limits.extensions) if rest else {})


def _rcpt(rest: str, limits: Limits) -> Rcpt:
    if rest[:3].upper() != "TO:":
        raise BadSyntax(501, "5.5.4", "Write RCPT TO:<address>")
    path, rest = forward_path(rest[3:], bare_names=limits.bare_names)
    return Rcpt(path, parameters.read(rest, parameters.RCPT, limits.extensions) if rest else {})


def _bdat(rest: str, limits: Limits) -> Any:
    """A chunk that cannot be counted, or that nobody could wait for, ends the connection: its octets would be read as commands."""
    if "CHUNKING" not in limits.extensions:
        return Bad(NOT_IMPLEMENTED, fatal=True)
    match = _BDAT.fullmatch(rest)
    if match is None:
        return Bad(BAD_CHUNK, fatal=True)
    octets = int(match[1])
    if limits.message is not None and octets > 2 * limits.message + limits.discarded:
        return Bad(TOO_BIG, fatal=True)
    return BeginChunk(octets, bool(match[2]))


def _burl(rest: str, limits: Limits) -> Any:
    """RFC 4468 §3.5."""
    if "BURL" not in limits.extensions:
        return Bad(NOT_IMPLEMENTED)
    url, *more = rest.split() or [""]
    if not url or [word.upper() for word in more] not in ([], ["LAST"]):
        raise BadSyntax(501, "5.5.4", "Write BURL, a URL, and LAST if it is so")
    return Borrow(url, bool(more))


def _auth(rest: str, limits: Limits) -> Auth:
    mechanism, _, initial = rest.rstrip(" ").partition(" ")
    if not mechanism or not mechanism.replace("-", "").replace("_", "").isalnum():
        raise BadSyntax(501, "5.5.4", "Write AUTH and the name of a mechanism")
    if not initial:
        return Auth(mechanism.upper())
    return Auth(mechanism.upper(), decoded(initial.encode()))


def decoded(response: bytes) -> bytes:
    """The octets of an AUTH response (RFC 4954 §4); `=` is the empty one."""
    if (data := decode(response)) is None:
        raise BadSyntax(NOT_BASE64.code, NOT_BASE64.enhanced, NOT_BASE64.text)
    return data


def _etrn(rest: str, limits: Limits) -> Any:
    """RFC 1985 §5.2. On a port for users it is not known (RFC 6409 §7)."""
    if "ETRN" not in limits.extensions:
        return Bad(NOT_IMPLEMENTED)
    node = rest.strip(" ")
    if not node or " " in node or len(node) > 256:
        raise BadSyntax(501, "5.5.4", "Write ETRN and the name of a domain")
    return Etrn(node[1:], node[0]) if node[0] in "@#" else Etrn(node)


def _xclient(rest: str, limits: Limits) -> Any:
    if "XCLIENT" not in limits.extensions:
        return Bad(NOT_IMPLEMENTED)
    attributes: dict[str, str | None] = {}
    for word in rest.split():
        name, _, value = word.partition("=")
        name = name.upper()
        if not _ATTRIBUTE.fullmatch(word) or name not in ATTRIBUTES or name in attributes:
            raise BadSyntax(501, "5.5.4", "Write XCLIENT and some of " + " ".join(f"{known}=value" for known in ATTRIBUTES))
        attributes[name] = None if value.upper() in _NOT_KNOWN_THERE else xtext.decoded(value)
    if not attributes:
        raise BadSyntax(501, "5.5.4", "XCLIENT wants at least one attribute")
    return XClient(attributes)


def _question(event: Callable[[str, bool], Any]) -> Callable[[str, Limits], Any]:
    """VRFY and EXPN; a SMTPUTF8 behind the name asks for an answer in UTF-8 (RFC 6531 §3.7.4.2)."""

    def parse(rest: str, limits: Limits) -> Any:
        name = rest.strip(" ")
        if "SMTPUTF8" in limits.extensions and name.upper().endswith(" SMTPUTF8"):
            return event(name[: -len(" SMTPUTF8")].rstrip(" "), True)
        return event(name, False)

    return parse


def _bare(event: Callable[[], Any]) -> Callable[[str, Limits], Any]:
    """The parser of a command that takes no argument; blanks at the end are forgiven (RFC 5321 §4.1.1)."""

    def parse(rest: str, limits: Limits) -> Any:
        return Bad(NO_ARGUMENTS) if rest.strip(" ") else event()

    return parse


#: The verbs of SMTP, in upper case, and what reads their arguments.
PARSERS: dict[str, Callable[[str, Limits], Any]] = {
    "EHLO": _hello("EHLO", extended=True),
    "HELO": _hello("HELO", extended=False),
    "LHLO": _hello("LHLO", extended=True),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _bare(Data),
    "BDAT": _bdat,
    "BURL": _burl,
    "RSET": _bare(Rset),
    "NOOP": lambda rest, limits: Noop(),
    "QUIT": _bare(Quit),
    "VRFY": _question(Vrfy),
    "EXPN": _question(Expn),
    "HELP": lambda rest, limits: Help(rest),
    "STARTTLS": _bare(StartTls),
    "AUTH": _auth,
    "ETRN": _etrn,
    "XCLIENT": _xclient,
}
_HELLOS = frozenset({"EHLO", "HELO", "LHLO"})
_EXTENSION_OF = {"BDAT": "CHUNKING", "BURL": "BURL", "STARTTLS": "STARTTLS", "AUTH": "AUTH", "ETRN": "ETRN", "XCLIENT": "XCLIENT"}

#: Browsers and their forgers (cross-protocol attacks), and what speaks to a web server.
_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "CONNECT", "TRACE", "PATCH", "HOST:", "USER-AGENT:", "CONTENT-TYPE:"})
_UNOFFERED = frozenset({"TURN", "ATRN", "SEND", "SOML", "SAML"})


def _stranger(verb: str) -> Bad:
    if verb in _HTTP:
        return Bad(NOT_SMTP, fatal=True)
    return Bad(NOT_IMPLEMENTED if verb in _UNOFFERED else NOT_KNOWN)
