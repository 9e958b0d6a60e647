"""The syntax of the sender map (row R56), which is that of generic(5) in Postfix and genericstable in sendmail.

    # who                  what the world sees
    root                   me@isp.example         # root, in any domain of this house
    ann@pc7.lan            ann@blue.example
    @lan                   office@blue.example    # everybody else there
    @old.lan               @blue.example          # everybody there, the same name elsewhere

`ann+list` is looked for before `ann`, an address before a name, a name before a
domain, and the first that is found counts: nothing is mapped twice. A line that begins with
a blank goes on with the line before. Every mistake is told with its line. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.values import frozen
from twistmail.watched import keyed

MOST_ENTRIES = 1_000_000


@frozen
class Line:
    """One line. `shown` has no local part where that stays. `who` is the left side; its local part or its domain may be empty."""

    number: int
    who: Address
    shown: Address


@frozen
class SenderMap:
    """The lines: `by_who` by the folded left side; `by_shown` the first line of each whole address that is shown, folded."""

    by_who: dict[Address, Line]
    by_shown: dict[Address, Line]

    def line_for(self, spellings: tuple[Address, ...], *, is_ours: bool) -> Line | None:
        """The line that maps an address of these *spellings* (folded). *is_ours*: its domain is this house's, names alone count."""
        return next((line for key in _keys(spellings, is_ours=is_ours) if (line := self.by_who.get(key))), None)


def _keys(spellings: tuple[Address, ...], *, is_ours: bool) -> Iterator[Address]:
    yield from spellings
    if is_ours:
        yield from (Address(one.local) for one in spellings)
    yield Address("", spellings[0].domain)


def parse(text: str) -> SenderMap:
    """The lines of *text*. Broken where there are mistakes."""
    by_who = keyed(text, _keyed_line, MOST_ENTRIES, _twice)
    by_shown: dict[Address, Line] = {}
    for line in by_who.values():
        if line.shown.local and line.who.local:
            by_shown.setdefault(line.shown.folded, line)
    return SenderMap(by_who, by_shown)


def _keyed_line(number: int, row: str) -> tuple[Address, Line]:
    line = _line(number, row.partition(" #")[0].split())
    return line.who, line


def _twice(who: Address, earlier: Line) -> str:
    return f"{who if who.local else '@' + who.domain} stands in line {earlier.number} already"


def _line(number: int, words: list[str]) -> Line:
    if len(words) != 2:
        raise ValueError(f"{words[0]} wants one address behind it; write {words[0]} me@isp.example, say")
    who, shown = words
    is_domain = who.startswith("@")
    return Line(number, Address("", canonical_domain(who[1:])) if is_domain else addresses.parse(who).folded, _shown(shown, is_domain))


def _shown(word: str, is_domain: bool) -> Address:
    if word.startswith(("@", "%1@")):
        if not is_domain:
            raise ValueError(f"{word} has no name; only @domain may become another @domain")
        return Address("", canonical_domain(word.partition("@")[2]))
    shown = addresses.parse(word)
    if not shown.domain:
        raise ValueError(f"{word} has no domain; write {word}@isp.example, say")
    if not shown.local.isascii():
        raise ValueError(f"{word} is not ASCII, and cannot be said to every server")
    return shown
