"""The route table: a file that says for domains and addresses where their mail goes (row R47). Text to a table. Pure.

    # whom it is for        where it goes
    partner.example         smtp:[10.0.0.2]:2525
    .part.example           smtp:mx.part.example       # no: a comment has a line of its own
    info@shop.example       local:anna
    old.example             error:5.1.6 moved to new.example
    *                       smtp:[relay.example]:587

The right side is what sendmail's mailertable and Postfix's transport(5) have
there (`route.parse_via`), and `hold:`, in front of one of those or alone: the
mail is kept until it is called for. A line that begins with white space belongs
to the one before. The most specific name wins: an address, its domain, the
nearest domain above it that begins with a dot, and then `*` (or `.`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.values import frozen
from twistmail.relay.route import WORDS, Route, parse_via
from twistmail.watched import keyed

T = TypeVar("T")

MOST_ENTRIES = 1_000_000
DEFAULT = "*"
HOLD = "hold:"


@frozen
class Entry:
    """One line. `held`: mail for it is kept until it is called for."""

    key: str
    route: Route
    number: int
    held: bool = False


#: By "local@domain" (folded), "domain", ".domain" or "*".
Table = dict[str, Entry]


def keys(domain: str) -> Iterator[str]:
    """The names under which *domain* (A-labels, lower case) may stand, the most specific first."""
    yield domain
    above = domain
    while "." in above and not domain.startswith("["):
        above = above.partition(".")[2]
        yield "." + above
    yield DEFAULT


def nearest(table: Mapping[str, T], domain: str) -> T | None:
    """The entry of *table* for *domain* itself, or the nearest above it whose name begins with a dot."""
    return next((table[key] for key in keys(domain) if key in table), None) if table else None


def key_of(address: Address) -> str:
    """The name of *address* in a table."""
    return f"{address.local.lower()}@{address.domain}"


def parse(text: str) -> Table:
    """The lines of *text*. Broken where there are mistakes."""
    return keyed(text, _entry, MOST_ENTRIES, _twice, "routes")


def _twice(key: str, earlier: Entry) -> str:
    return f"{key} stands in line {earlier.number} already; remove one of them"


def _entry(number: int, line: str) -> tuple[str, Entry]:
    word, *rest = line.split(None, 1)
    if not rest:
        raise ValueError(f"{word} goes nowhere; write where behind it, such as smtp:[10.0.0.2]:25")
    where = rest[0].strip()
    key, held = _key(word), where.lower().startswith(HOLD)
    if held:
        if "@" in key:
            raise ValueError(f"{word}: mail is kept for whole domains only; write {HOLD} for {key.partition('@')[2]}")
        where = where[len(HOLD) :].strip() or "smtp:"
    route = parse_via(_spelled(where))
    if held and not route.transport.has_servers:
        raise ValueError(f"{where} has nobody who could call for mail; write {HOLD}smtp:[10.0.0.2]")
    return key, Entry(key, route, number, held)


def _spelled(where: str) -> str:
    """*where* with the colon that Postfix lets one leave out. A bare word of ours is rather a mistake than a server's name."""
    if where == ":":
        return "smtp:"
    if where.isalnum() and where.isascii():
        if where.lower() not in WORDS:
            raise ValueError(f"{where} is no transport that there is here; write smtp:{where}, if it is a server")
        return where + ":"
    return where


def _key(word: str) -> str:
    if word in (DEFAULT, "."):
        return DEFAULT
    if "@" in word:
        address = addresses.parse(word)
        if not address.domain:
            raise ValueError(f"{word} has no domain; write {word}partner.example")
        return key_of(address)
    return "." + canonical_domain(word[1:]) if word.startswith(".") else canonical_domain(word)
