"""The grammar of paths (RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3), on str that is known to be printable.

Ordinary addresses take one regular expression; everything else a parser that
looks at each character once. What it refuses is a `BadSyntax` with the Status
to answer.
"""

from __future__ import annotations

import ipaddress
import re

from twistmail.mail.address import ASCII_DOMAIN, LONGEST_DOMAIN, LONGEST_LOCAL_PART, Address, canonical_domain
from twistmail.mail.status import Status

#: More hops than any source route had: RFC 5321 §4.5.3.1.3 allows a path 256 octets.
LONGEST_PATH = 1024

POSTMASTER = Address("postmaster")

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_ORDINARY = re.compile(rf" *<([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@((?i:{ASCII_DOMAIN}))>")
_DOT_STRING = re.compile(rf"[{_ATEXT}.\u0080-\U0010ffff]+")
_DOMAIN = re.compile(r"[A-Za-z0-9._\-\u0080-\U0010ffff]+")


class BadSyntax(Exception):
    """An argument that the grammar does not admit; `status` is the answer."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.status = Status(code, enhanced, text)


def reverse_path(text: str, *, bare_names: bool = False) -> tuple[Address | None, str]:
    """The sender at the start of *text* (None for `<>`), and what follows it. *bare_names*: it may have no domain."""
    if ordinary := _ordinary(text):
        return ordinary
    stripped = text.lstrip(" ")
    if stripped.startswith("<>"):
        return None, stripped[2:]
    return _path(stripped, "5.1.7", bare_names)


def forward_path(text: str, *, bare_names: bool = False) -> tuple[Address, str]:
    """The recipient at the start of *text*, and what follows it; `<postmaster>` is `POSTMASTER`. As `reverse_path`."""
    if ordinary := _ordinary(text):
        return ordinary
    stripped = text.lstrip(" ")
    if stripped[:12].lower() == "<postmaster>":
        return POSTMASTER, stripped[12:]
    return _path(stripped, "5.1.3", bare_names)


def _ordinary(text: str) -> tuple[Address, str] | None:
    match = _ORDINARY.match(text)
    if match is None:
        return None
    local, domain = match.groups()
    if len(local) > LONGEST_LOCAL_PART or len(domain) > LONGEST_DOMAIN:
        return None
    return Address(local, domain.lower()), text[match.end() :]


def _path(text: str, enhanced: str, bare_names: bool) -> tuple[Address, str]:
    """A path in any of its forms: source routes (read and ignored), quoted local parts, address literals."""
    if not text.startswith("<"):
        raise BadSyntax(501, "5.5.4", "The address must stand between < and >")
    try:
        at = _skip_route(text, 1)
        local, at = _local_part(text, at)
        if at >= len(text) or text[at] != "@":
            _refuse_route(local)
            if bare_names and text[at : at + 1] == ">":
                return Address(local), text[at + 1 :]
            raise ValueError("the address has no domain" if text[at : at + 1] == ">" else "no address can be read there")
        domain, at = _domain_at(text, at + 1)
        if text[at : at + 1] == "@":
            _refuse_route("@")
        if text[at : at + 1] != ">":
            raise ValueError("a > is missing, or something stands before it")
    except ValueError as error:
        raise BadSyntax(501, enhanced, f"Bad address syntax: {error}") from None
    if at > LONGEST_PATH:
        raise BadSyntax(501, enhanced, "Bad address syntax: the path is too long")
    return Address(local, domain), text[at + 1 :]


def _refuse_route(local: str) -> None:
    """What once meant "by way of": refused in so many words, because whoever tries it looks for an open relay."""
    if "@" in local or "!" in local or "%" in local:
        raise BadSyntax(550, "5.7.1", "Mail is not routed by way of this system")


def _skip_route(text: str, at: int) -> int:
    """Where the mailbox begins behind `@one,@two:` (RFC 5321 appendix C: accepted, ignored)."""
    if text[at : at + 1] != "@":
        return at
    while text[at : at + 1] == "@":
        _, at = _domain_at(text, at + 1)
        if text[at : at + 1] == ",":
            at += 1
    if text[at : at + 1] != ":":
        raise ValueError("the source route has no end")
    return at + 1


def _local_part(text: str, at: int) -> tuple[str, int]:
    """The unquoted local part at *at*, and where it ends."""
    if text[at : at + 1] == '"':
        local, at = _quoted_string(text, at + 1)
    else:
        match = _DOT_STRING.match(text, at)
        local = match[0] if match else ""
        at += len(local)
        if local.startswith(".") or local.endswith(".") or ".." in local:
            raise ValueError("a dot stands where none may")
    if not local:
        raise ValueError("nothing stands before the @")
    if len(local) > LONGEST_LOCAL_PART or (not local.isascii() and len(local.encode()) > LONGEST_LOCAL_PART):
        raise ValueError(f"the part before the @ is longer than {LONGEST_LOCAL_PART} octets")
    return local, at


def _quoted_string(text: str, at: int) -> tuple[str, int]:
    characters: list[str] = []
    while at < len(text):
        character = text[at]
        if character == '"':
            return "".join(characters), at + 1
        if character == "\\":
            at += 1
            character = text[at : at + 1]
        characters.append(character)
        at += 1
    raise ValueError("the quoted part has no end")


def _domain_at(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == "[":
        end = text.find("]", at)
        if end < 0:
            raise ValueError("the address literal has no end")
        return address_literal(text[at : end + 1]), end + 1
    match = _DOMAIN.match(text, at)
    if not match:
        raise ValueError("nothing that could be a domain stands behind the @")
    return _domain(match[0]), match.end()


def _domain(text: str) -> str:
    if text.endswith("."):
        raise ValueError("the domain ends with a dot")
    if len(text) > LONGEST_DOMAIN:
        raise ValueError(f"the domain is longer than {LONGEST_DOMAIN} octets")
    return canonical_domain(text)


def address_literal(text: str) -> str:
    """*text*, an address literal with its brackets, in its one spelling (RFC 5321 §4.1.3). ValueError where it is none."""
    inner = text[1:-1].lower()
    try:
        if "%" in inner:  # a zone, which the ipaddress module takes with anything behind it
            raise ValueError
        if inner.startswith("ipv6:"):
            return f"[ipv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise ValueError(f"{text} is no address literal") from None


def hello_name(text: str) -> str:
    """The name behind EHLO or HELO: one word. Whether it is a good name is policy."""
    name = text.strip(" ")
    if not name:
        raise BadSyntax(501, "5.5.4", "EHLO and HELO want the name of your host")
    if " " in name or len(name) > 255:
        raise BadSyntax(501, "5.5.4", "That is no name of a host")
    return name
