"""A mail address, as everything behind the protocol edge sees it.

`Address` keeps the local part unquoted and the domain as lower-case A-labels
(or as an address literal in brackets), so that two spellings of one address
are equal. Which spellings a protocol admits is the business of its grammar in
`wire/`; this module only knows what an address *is*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import idna

#: RFC 5321 §4.5.3.1.1 and §4.5.3.1.2, in octets.
LONGEST_LOCAL_PART = 64
LONGEST_DOMAIN = 255

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+)*")
#: A domain of A-labels in lower case, for regular expressions.
ASCII_DOMAIN = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
_ASCII_DOMAIN = re.compile(ASCII_DOMAIN)
_LITERAL = re.compile(r"\[[A-Za-z0-9.:\-]+\]")


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox name: who (`local`, unquoted) and where (`domain`, lower case).

    `domain` is empty only for a name that has none, such as `<postmaster>`
    (RFC 5321 §4.1.1.3) or the left side of an aliases file.
    """

    local: str
    domain: str = ""

    def __str__(self) -> str:
        local = self.local if _DOT_ATOM.fullmatch(self.local) else _quoted(self.local)
        return f"{local}@{self.domain}" if self.domain else local

    def __bytes__(self) -> bytes:
        return str(self).encode()

    @property
    def folded(self) -> Address:
        """The same address with its local part in lower case, for look-ups of local names."""
        lower = self.local.lower()
        return self if lower == self.local else Address(lower, self.domain)


def _quoted(local: str) -> str:
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse(text: str) -> Address:
    """The address written in *text*, with or without a domain.

    Raises ValueError, with a sentence that says what is wrong, where *text* is not one address.
    """
    text = text.strip()
    local, domain = _split(text)
    if not local:
        raise ValueError(f"{text!r} has nothing before the @")
    if len(local.encode()) > LONGEST_LOCAL_PART:
        raise ValueError(f"the part before the @ is longer than {LONGEST_LOCAL_PART} octets")
    return Address(local, canonical_domain(domain) if domain is not None else "")


def _split(text: str) -> tuple[str, str | None]:
    """The unquoted local part and the domain (None where there is no @)."""
    if text.startswith('"'):
        unquoted, at = [], 1
        while at < len(text) and text[at] != '"':
            if text[at] == "\\" and at + 1 < len(text):
                at += 1
            unquoted.append(text[at])
            at += 1
        rest = text[at + 1 :]
        if at >= len(text) or (rest and not rest.startswith("@")):
            raise ValueError(f"{text!r} has an unfinished quoted local part")
        return "".join(unquoted), rest[1:] if rest else None
    local, sign, domain = text.partition("@")
    if local and not _DOT_ATOM.fullmatch(local):
        raise ValueError(f"{text!r} is not an address: {local!r} has a character that needs quotes")
    return local, domain if sign else None


def canonical_domain(text: str) -> str:
    """*text* as lower-case A-labels; an address literal keeps its brackets.

    Raises ValueError where *text* is no domain name (RFC 5321 §4.1.2, RFC 5890).
    """
    lowered = text.lower().rstrip(".") if not text.startswith("[") else text.lower()
    if len(lowered) <= LONGEST_DOMAIN and _ASCII_DOMAIN.fullmatch(lowered):
        return lowered
    if _LITERAL.fullmatch(text):
        return lowered
    if lowered and not lowered.isascii():
        try:
            return idna.encode(lowered, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"{text!r} is not a domain name: {error}") from None
    raise ValueError(f"{text!r} is not a domain name")
