"""The syntax of aliases(5): text to entries, with the line of everything that is wrong. Pure.

    # a comment
    flintstone: fred
    authors: tom, dick,
        harry@away.example
    "odd name": fred
    info@blue.example: anna

What a single item may be is `items`' business; a whole text as a table, `index`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twistmail.aliases import items, scan
from twistmail.aliases.items import Item
from twistmail.mail import address as addresses
from twistmail.mail.address import Address
from twistmail.mail.alias import Discard, Refusal
from twistmail.mail.values import frozen

MOST_ENTRIES = 1_000_000
MOST_TARGETS = 10_000
#: A text with more mistakes is not read any further.
MOST_PROBLEMS = 1000


@frozen
class Entry:
    """`address` (its domain empty: in every local domain) stands for `items` (addresses without a domain: in that of the alias).

    `line` is where it begins, `lines` those of the items.
    """

    address: Address
    items: tuple[Item, ...]
    line: int
    lines: tuple[int, ...] = ()

    @property
    def targets(self) -> tuple[Address, ...]:
        """Those of the items that are addresses."""
        return tuple(item for item in self.items if isinstance(item, Address))


@dataclass(slots=True)
class Parsed:
    """What a text holds. `problems` are pairs of line and text; where there are any, the entries are not to be trusted."""

    entries: list[Entry] = field(default_factory=list)
    problems: scan.Problems = field(default_factory=list)


def parse(text: str) -> Parsed:
    """All that *text* holds. Never raises; looks at each character a bounded number of times."""
    parsed = Parsed()
    first_lines: dict[Address, int] = {}
    scanner = scan.Scanner(text, parsed.problems, backslashes=True)
    while len(parsed.problems) < MOST_PROBLEMS and (found := scanner.next()):
        one = entry(found, parsed.problems)
        if one is None:
            continue
        first = first_lines.setdefault(one.address, one.line)
        if first != one.line:
            parsed.problems.append((one.line, f"{one.address} stands in line {first} already"))
        parsed.entries.append(one)
    return parsed


def entry(found: scan.Entry, problems: scan.Problems) -> Entry | None:
    """What *found* says; None, with something in *problems*, where it cannot be understood at all."""
    colon = items.find(found.text, 0, ":")
    if colon < 0:
        problems.append((found.line, "there is no colon; write NAME: TARGET, TARGET"))
        return None
    try:
        address = addresses.parse(found.text[:colon]).folded
    except ValueError as error:
        problems.append((found.line, str(error)))
        return None
    was_right = len(problems)
    read, lines = [], []
    for offset, item in items.split(found.text, colon + 1):
        try:
            read.append(items.read(item))
            lines.append(found.line_at(offset))
        except ValueError as error:
            problems.append((found.line_at(offset), str(error)))
    if len(read) > MOST_TARGETS:
        problems.append((found.line, f"{address} has more than {MOST_TARGETS} targets"))
    elif len(problems) == was_right:
        problems.extend((found.line, f"{address} {why}") for why in contradictions(read))
    return Entry(address, tuple(read), found.line, tuple(lines))


def contradictions(read: list[Item]) -> list[str]:
    """What is wrong with items together."""
    if not read:
        return ["leads nowhere"]
    if len(read) > 1 and any(isinstance(item, Refusal) for item in read):
        return ["cannot be refused and go somewhere too; let the answer stand alone"]
    if len(read) > 1 and all(isinstance(item, Discard) for item in read):
        return ["is thrown away twice"]
    return []
