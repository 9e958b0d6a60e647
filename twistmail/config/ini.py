"""The spelling of the configuration file: text in, sections and keys with their places out.

The format is what `configparser` reads with `interpolation=None`: `[section]`,
`key = value`, whole-line comments with # or ;, values that go on in lines
indented deeper than their key. Two differences, both deliberate: every key
knows its file, line and column, and reading goes on after a mistake, so that
all of them are reported at once. There are no inline comments (passwords
contain #) and an empty line ends a value.

Pure: what the keys mean is `config.check`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from twistmail.config.problem import Place, Problem, error
from twistmail.mail.values import frozen

#: A configuration is text written by people; more than this is a mistake in the file name.
LONGEST_FILE = 4 * 1024 * 1024

_HEADER = re.compile(r"\[([^\[\]]+)\]\s*$")
KEY = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*")


@frozen
class Line:
    """One line of a value, without the white space around it."""

    place: Place
    text: str


@frozen
class Entry:
    """`key = value` at `place` (of the key). `lines` are the lines of the value; the first may be empty."""

    key: str
    place: Place
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines if line.text)


@frozen
class Block:
    """One `[name]` with what follows it, in written order."""

    name: str
    place: Place
    entries: tuple[Entry, ...]


@dataclass
class _Reading:
    """What has been read so far; `lines` belong to the key that is still open. `lost`: below a header that cannot be read."""

    file: str
    blocks: list[Block] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lost: bool = False
    name: str = ""
    start: Place | None = None
    entries: list[Entry] = field(default_factory=list)
    key: str = ""
    key_place: Place | None = None
    lines: list[Line] = field(default_factory=list)

    def end_key(self) -> None:
        if self.key_place:
            self.entries.append(Entry(self.key, self.key_place, tuple(self.lines)))
        self.key_place, self.lines = None, []

    def end_block(self) -> None:
        self.end_key()
        if self.start:
            self.blocks.append(Block(self.name, self.start, tuple(self.entries)))
        self.start, self.entries = None, []

    def complain(self, place: Place, text: str, suggestion: str) -> None:
        self.problems.append(error(place, text, suggestion))


def read(text: str, file: str) -> tuple[tuple[Block, ...], tuple[Problem, ...]]:
    """The sections of *text* in written order, and the lines that could not be read. *file* is only for the places."""
    reading = _Reading(file)
    if len(text) > LONGEST_FILE:
        reading.complain(Place(file), f"the file is larger than {LONGEST_FILE // 1024**2} MB", "is this the right file?")
        return (), tuple(reading.problems)
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        _take(reading, number, raw.expandtabs().rstrip())
    reading.end_block()
    return tuple(reading.blocks), tuple(reading.problems)


def _take(reading: _Reading, number: int, raw: str) -> None:
    """One line of the file."""
    content = raw.lstrip()
    place = Place(reading.file, number, len(raw) - len(content) + 1)
    if not content:
        reading.end_key()
    elif content[0] in "#;":
        return  # a comment, also between the lines of a value
    elif reading.key_place and place.column > reading.key_place.column:
        reading.lines.append(Line(place, content))
    elif content[0] == "[":
        _open_section(reading, place, content)
    else:
        _open_key(reading, place, content)


def _open_section(reading: _Reading, place: Place, content: str) -> None:
    reading.end_block()
    match = _HEADER.match(content)
    reading.lost = not match or not match[1].strip()
    if not match or reading.lost:
        reading.complain(place, f"{content} is not a section", "write [name] and nothing else on the line")
        return
    stem, colon, name = match[1].partition(":")
    reading.name, reading.start = stem.strip() + colon + name.strip(), place


def _open_key(reading: _Reading, place: Place, content: str) -> None:
    reading.end_key()
    match = KEY.match(content)
    if not match:
        suggestion = "write key = value; lines that go on are indented" if "=" not in content else "a key is made of letters, digits and _"
        reading.complain(place, f'"{content[:60]}" is not a setting', suggestion)
        return
    if not reading.start:
        if not reading.lost:
            reading.complain(place, f'"{match[1]}" stands before the first section', "write [server] above it")
        return
    reading.key, reading.key_place = match[1].lower(), place
    value = Place(place.file, place.line, place.column + match.end())
    reading.lines = [Line(value, content[match.end() :])]
