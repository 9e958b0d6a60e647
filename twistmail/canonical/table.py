"""The syntax of a canonical table, which is that of canonical(5) in Postfix: a pattern, and the address that takes its place.

    # who              what it becomes
    ann                Ann.Smith              # ann in every domain of this house; the default domain is added
    fred@pc7.lan       Fred.Jones@blue.example
    @old.example       @blue.example          # everybody there, the same name elsewhere
    @lan               office@blue.example    # everybody else there

A line that begins with a blank goes on with the line before. `#` begins a comment at the beginning of a line; behind an address
too, which Postfix does not know. Case does not count on the left. Quotes mean nothing. Every mistake is told with its line. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.values import frozen
from twistmail.watched import keyed

MOST_ENTRIES = 1_000_000


@frozen
class Line:
    """One line. `who` has no local part for `@domain`, and no domain for a name alone; `becomes` has no local part where that stays."""

    number: int
    who: Address
    becomes: Address


@frozen
class Found:
    """What line `number` makes of an address: `becomes`, as in Line. `suffix` goes along: the line does not name it."""

    number: int
    becomes: Address
    suffix: str = ""


class Table(Protocol):
    """A table that has been read."""

    def find(self, address: Address, keys: Iterable[tuple[Address, str]]) -> Found | None:
        """The line for *address*, which has a domain. *keys*: what it may stand under, folded, each with the suffix that is not in it."""


class Listed(dict[Address, Line]):
    """The lines by the folded left side."""

    def find(self, address: Address, keys: Iterable[tuple[Address, str]]) -> Found | None:
        return next((Found(line.number, line.becomes, suffix) for key, suffix in keys if (line := self.get(key)) is not None), None)


def parse(text: str) -> Listed:
    """The lines of *text*. Broken where there are mistakes."""
    return _read(text, _line)


def parse_domains(text: str) -> Listed:
    """The lines of *text*, a domaintable of sendmail: `old.example new.example`, everybody there under the same name. Broken."""
    return _read(text, _domains)


def _read(text: str, read: Callable[[int, list[str]], Line]) -> Listed:
    def keyed_line(number: int, row: str) -> tuple[Address, Line]:
        line = read(number, row.partition(" #")[0].split())
        return line.who, line

    return Listed(keyed(text, keyed_line, MOST_ENTRIES, _twice))


def _twice(who: Address, earlier: Line) -> str:
    return f"{_spelled(who)} stands in line {earlier.number} already; remove one of them"


def _line(number: int, words: list[str]) -> Line:
    if len(words) != 2:
        raise ValueError(f"{words[0]} wants one address behind it; write {words[0]} Ann.Smith@blue.example, say")
    who, becomes = words
    return Line(number, _side(who).folded, _side(becomes))


def _domains(number: int, words: list[str]) -> Line:
    if len(words) != 2:
        raise ValueError(f"{words[0]} wants one domain behind it; write {words[0]} blue.example, say")
    old, new = (canonical_domain(word.removeprefix("@")) for word in words)
    return Line(number, Address("", old), Address("", new))


def _side(word: str) -> Address:
    return Address("", canonical_domain(word[1:])) if word.startswith("@") else addresses.parse(word)


def _spelled(who: Address) -> str:
    return str(who) if who.local else f"@{who.domain}"
