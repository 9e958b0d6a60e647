"""Entries of a table in text: a line, and those behind it that continue it. Comments and empty lines stand anywhere. Pure.

Shared by aliases(5) and the tables of Postfix and sendmail, so that a comment is
one in all of them. A text is gone through once, entry by entry, and an entry can
be read again later from the place where it begins: tables keep places, not
objects, which is what makes a hundred thousand aliases small (`index`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

#: Octets of one entry with all its continuation lines.
LONGEST_ENTRY = 1024 * 1024
Problems = list[tuple[int, str]]


@dataclass(slots=True)
class Entry:
    """One entry's text, its lines joined by a space each; `offsets` are where in it each of the lines `numbers` begins."""

    text: str
    offsets: list[int]
    numbers: list[int]
    begins: int  # where in the whole text

    @property
    def line(self) -> int:
        return self.numbers[0]

    def line_at(self, offset: int) -> int:
        """The line in which the character at *offset* stands."""
        return self.numbers[bisect_right(self.offsets, offset) - 1]


class Scanner:
    """Goes through *text* from the character `at` on, which is in the line `number`. Mistakes are added to *problems*.

    *backslashes*: one at the end of a line continues it, too (aliases(5)).
    """

    def __init__(self, text: str, problems: Problems, *, backslashes: bool = False, at: int = 0, number: int = 1) -> None:
        self.text = text
        self.at = at
        self.number = number
        self._problems = problems
        self._backslashes = backslashes

    def next(self) -> Entry | None:
        """The entry that begins here or behind; None: there is none any more. `at` is then behind it."""
        parts: list[tuple[int, str]] = []
        size, begins, continued = 0, self.at, False
        while self.at < len(self.text):
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            line = self.text[self.at : end].rstrip("\r")
            bare = line.strip()
            if bare and bare[0] != "#":
                if not continued and not line[0].isspace():
                    if parts:
                        break
                    begins = self.at
                elif not parts:
                    self._problems.append((self.number, "the line begins with white space, but there is no entry that it could continue"))
                    bare = ""
                if bare:
                    size += len(line)
                    continued = self._backslashes and line.endswith("\\")
                    parts.append((self.number, line[:-1] if continued else line))
            if size > LONGEST_ENTRY:
                self._problems.append((self.number, "the entry is too long"))
                self.at = len(self.text)
                return None
            self.at, self.number = end + 1, self.number + 1
        return _joined(parts, begins) if parts else None


def _joined(parts: list[tuple[int, str]], begins: int) -> Entry:
    offsets, at = [], 0
    for _, line in parts:
        offsets.append(at)
        at += len(line) + 1
    return Entry(" ".join(line for _, line in parts), offsets, [number for number, _ in parts], begins)
