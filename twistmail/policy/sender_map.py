"""The syntax of the sender map: which further addresses users may write as. Text to a table, with the line of every mistake. Pure.

    # address or @domain      who may write as it
    info@blue.example         anna@blue.example bert@blue.example
    @shop.example             sales@blue.example
    newsletter@blue.example   *

Whoever is named by an alias stands for all whom the alias leads to, so a group
is an alias. `*` is everybody who has logged in. Names without a domain are
meant in the default domain.
"""

from __future__ import annotations

from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.values import frozen
from twistmail.watched import Broken

MOST_ENTRIES = 1_000_000
MOST_MISTAKES = 20
EVERYBODY = "*"


@frozen
class Line:
    """One line: who may write as its address. `owners` are folded; `everybody` that has logged in may."""

    number: int
    owners: tuple[Address, ...]
    everybody: bool = False


#: By "local@domain" (folded) or "@domain".
SenderMap = dict[str, Line]


def parse(text: str) -> SenderMap:
    """The lines of *text*. Broken where there are mistakes."""
    found: SenderMap = {}
    mistakes: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key = _key(words[0])
            earlier = found.setdefault(key, _line(number, words[0], words[1:]))
            if earlier.number != number:
                raise ValueError(f"{key} stands in line {earlier.number} already; put all its users there")
        except ValueError as mistake:
            mistakes.append((number, str(mistake)))
        if len(found) > MOST_ENTRIES:
            mistakes.append((number, f"there are more than {MOST_ENTRIES} addresses"))
        if len(mistakes) >= MOST_MISTAKES or len(found) > MOST_ENTRIES:
            break
    if mistakes:
        raise Broken(mistakes)
    return found


def _key(word: str) -> str:
    if word.startswith("@"):
        return "@" + canonical_domain(word[1:])
    address = addresses.parse(word).folded
    if not address.domain:
        raise ValueError(f"{word} has no domain; write {word}@blue.example, say")
    return f"{address.local}@{address.domain}"


def _line(number: int, key: str, words: list[str]) -> Line:
    if not words:
        raise ValueError(f"nobody may write as {key}; write who may behind it, or * for everybody")
    return Line(number, tuple(addresses.parse(word).folded for word in words if word != EVERYBODY), EVERYBODY in words)
