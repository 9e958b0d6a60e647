"""Names without a domain in a submitted message: completed where somebody of that name is here, else the message is refused.

RFC 6409 §4.2 wants every domain in a header that we alter to be whole; §8.8
lets us make them so. Which names are here is `expansion`'s answer.
"""

from __future__ import annotations

from twistmail.expansion import Expansion
from twistmail.interfaces import Verdict
from twistmail.mail import headers
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.headers import Field
from twistmail.mail.status import Status
from twistmail.mail.unqualified import bare_names, qualified

FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc",
                    b"resent-from", b"resent-sender", b"resent-reply-to", b"resent-to", b"resent-cc"})  # fmt: skip
#: Different names that are looked up in one message; beyond that it is no letter of a person's.
MOST_NAMES = 100
#: Characters of a name that are said back.
LONGEST_SAID = 64

TOO_MANY = Status(554, "5.6.0", "The header has too many names without a domain")


async def complete(header: bytes, expansion: Expansion, account: Account) -> Verdict | bytes:
    """*header* of what *account* sends, with domains for all names that had none (the same object where none lacked), or a refusal.

    Raises Unavailable.
    """
    lacking = [(field, names) for field in headers.fields(header) if field.name.lower() in FIELDS and (names := _names(field))]
    if not lacking:
        return header
    if len(set().union(*(names for _, names in lacking))) > MOST_NAMES:
        return Verdict(TOO_MANY, "unqualified address")
    for field, names in lacking:
        for name in sorted(names):
            if not await _is_here(name, expansion, account):
                return Verdict(_unknown(field.name, name), "unqualified address")
    return _completed(header, lacking, expansion.default_domain.encode())


def _names(field: Field) -> frozenset[bytes]:
    return frozenset(bare.local for bare in bare_names(field.value))


async def _is_here(name: bytes, expansion: Expansion, account: Account) -> bool:
    try:
        address = Address(name.decode(), expansion.default_domain)
    except UnicodeDecodeError:
        return False
    return str(address.folded) == account.name or bool(await expansion.follow(address))


def _unknown(field: bytes, name: bytes) -> Status:
    said = "".join(c if c.isascii() and c.isprintable() else "?" for c in name.decode("utf-8", "replace")[:LONGEST_SAID])
    where = field.decode("ascii", "replace")
    return Status(554, "5.6.0", f"{where}: {said} has no domain, and nobody of that name is here; write the whole address")


def _completed(header: bytes, lacking: list[tuple[Field, frozenset[bytes]]], domain: bytes) -> bytes:
    """Everything but the new domains stays to the octet."""
    pieces, at = [], 0
    for field, names in lacking:
        begin = header.index(b":", field.start) + 1
        end = begin + len(field.value)
        pieces += [header[at:begin], qualified(field.value, dict.fromkeys(names, domain))]
        at = end
    return b"".join(pieces) + header[at:]
