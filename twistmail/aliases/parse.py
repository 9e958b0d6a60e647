"""The syntax of aliases(5): text to entries, with the line of everything that is wrong. Pure.

    # a comment
    flintstone: fred
    authors: tom, dick,
        harry@away.example
    "odd name": fred
    info@blue.example: anna

What stands for a command (`|program`), a file (`/path`), a list in a file
(`:include:/path`) or a special answer (`:fail:`) is understood and refused: such
an entry is no alias here, and mail for it waits instead of going astray. In
`\\james` the backslash says "no further"; it is dropped, because an alias that
names itself stops there anyway (`expansion`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from twistmail.mail import address as addresses
from twistmail.mail.address import Address

MOST_ENTRIES = 200_000
MOST_TARGETS = 10_000
#: Octets of one entry with all its continuation lines.
LONGEST_ENTRY = 1024 * 1024

#: How an item begins that is no address, and what it would be.
REFUSED = {"|": "a command", "/": "a file", ":include:": "a list in a file", ":": "a special answer"}


@dataclass(frozen=True, slots=True)
class Entry:
    """`address` (its domain empty: in every local domain) stands for `targets` (their domain empty: the same as the address').

    `line` is where it begins. `refused` says what of it we do not do; then it must not be used.
    """

    address: Address
    targets: tuple[Address, ...]
    line: int
    refused: str = ""


@dataclass(slots=True)
class Parsed:
    """What a text holds. `problems` and `refusals` are pairs of line and text; with problems, the entries are not to be trusted."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Logical:
    """One entry's text, its lines joined by a space each; `offsets` are where in it each of the lines `numbers` begins."""

    text: str
    offsets: list[int]
    numbers: list[int]

    def line_at(self, offset: int) -> int:
        return self.numbers[bisect_right(self.offsets, offset) - 1]


def parse(text: str) -> Parsed:
    """All that *text* holds. Never raises; looks at each character a bounded number of times."""
    parsed = Parsed()
    first_lines: dict[Address, int] = {}
    for logical in _logical_lines(text, parsed.problems):
        entry = _entry(logical, parsed)
        if entry is None:
            continue
        first = first_lines.setdefault(entry.address, entry.line)
        if first != entry.line:
            parsed.problems.append((entry.line, f"{entry.address} stands in line {first} already"))
        parsed.entries.append(entry)
        if len(parsed.entries) > MOST_ENTRIES:
            parsed.problems.append((entry.line, f"there are more than {MOST_ENTRIES} aliases"))
            break
    return parsed


def _logical_lines(text: str, problems: list[tuple[int, str]]) -> Iterator[_Logical]:
    """Entries: a line, and those behind it that begin with white space or follow a backslash. Comments stand anywhere."""
    parts: list[tuple[int, str]] = []
    size, continued = 0, False
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not continued and not line[0].isspace():
            if parts:
                yield _joined(parts)
            parts, size = [], 0
        elif not parts:
            problems.append((number, "the line begins with white space, but there is no entry that it could continue"))
            continue
        continued = line.endswith("\\")
        size += len(line)
        if size > LONGEST_ENTRY:
            problems.append((number, "the entry is too long"))
            return
        parts.append((number, line.removesuffix("\\")))
    if parts:
        yield _joined(parts)


def _joined(parts: list[tuple[int, str]]) -> _Logical:
    offsets, at = [], 0
    for _, line in parts:
        offsets.append(at)
        at += len(line) + 1
    return _Logical(" ".join(line for _, line in parts), offsets, [number for number, _ in parts])


def _entry(logical: _Logical, parsed: Parsed) -> Entry | None:
    line = logical.numbers[0]
    colon = _find(logical.text, 0, ":")
    if colon < 0:
        parsed.problems.append((line, "there is no colon; write NAME: TARGET, TARGET"))
        return None
    try:
        address = addresses.parse(logical.text[:colon]).folded
    except ValueError as error:
        parsed.problems.append((line, str(error)))
        return None
    targets, refused = [], ""
    for offset, item in _items(logical.text, colon + 1):
        where = logical.line_at(offset)
        if kind := _refused_kind(item):
            refused = f"{address} leads to {kind}, which is not done here"
            parsed.refusals.append((where, refused))
            continue
        try:
            targets.append(_target(item))
        except ValueError as error:
            parsed.problems.append((where, str(error)))
    if len(targets) > MOST_TARGETS:
        parsed.problems.append((line, f"{address} has more than {MOST_TARGETS} targets"))
    if not targets and not refused and not any(where in logical.numbers for where, _ in parsed.problems[-1:]):
        parsed.problems.append((line, f"{address} leads nowhere"))
    return Entry(address, tuple(targets), line, refused)


def _items(text: str, start: int) -> Iterator[tuple[int, str]]:
    """(offset, item) of what commas divide from *start* on; empty items are passed over, as sendmail does."""
    plain = '"' not in text  # found out once: the text may be long
    while start <= len(text):
        end = text.find(",", start) if plain else _find(text, start, ",")
        end = len(text) if end < 0 else end
        item = text[start:end]
        if stripped := item.strip():
            yield start + len(item) - len(item.lstrip()), stripped
        start = end + 1


def _find(text: str, start: int, wanted: str) -> int:
    """Where *wanted* stands first from *start* on, outside double quotes; -1: nowhere."""
    at, quoted = start, False
    while at < len(text):
        character = text[at]
        if character == '"':
            quoted = not quoted
        elif character == "\\" and quoted:
            at += 1
        elif character == wanted and not quoted:
            return at
        at += 1
    return -1


def _refused_kind(item: str) -> str:
    """What *item* is where it is no address; empty where it is one."""
    bare = item.removeprefix('"').lstrip()
    return next((kind for beginning, kind in REFUSED.items() if bare.startswith(beginning)), "")


def _target(item: str) -> Address:
    """The address in *item*: bare, quoted, with a backslash, or as `Name <address>`."""
    if item.endswith(">") and (angle := item.rfind("<")) >= 0:
        item = item[angle + 1 : -1]
    if any(character.isspace() for character in item) and not item.startswith('"'):
        raise ValueError(f"{item!r} has white space in it; divide addresses by commas")
    return addresses.parse(item.removeprefix("\\"))
