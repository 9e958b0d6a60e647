r"""A text of aliases(5) as a table: what is wrong with it is found at once, what it says when somebody asks. Pure.

A hundred thousand aliases as objects cost 60 MB and make every collection of
garbage a pause; so the text itself is kept, with the places of its entries by
name (measured: 100,000 aliases, 0.35 s and 14 MB), and an entry is read again when
it is asked for (20 us). Lists with many members are kept as they were read, for
they would take longer. A plain line is judged by one regular expression that never goes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from twistmail.aliases import items, scan
from twistmail.aliases.items import Include
from twistmail.aliases.parse import MOST_ENTRIES, MOST_PROBLEMS, Entry, entry
from twistmail.mail.address import Address
from twistmail.mail.alias import ToFile, ToProgram
from twistmail.watched import Broken

#: Entries with more items are kept as they were read.
LARGE = 50

_LOCAL = r"(?![^\s:@,]{65})[A-Za-z0-9_](?:[A-Za-z0-9_+=-]++|\.(?=[A-Za-z0-9_+=-]))*+"
_LABEL = r"(?![A-Za-z0-9-]{64})[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
ADDRESS = rf"{_LOCAL}(?:@(?![^\s,:]{{200}}){_LABEL}(?:\.{_LABEL})*+)?+"
_PLAIN = re.compile(
    rf"({ADDRESS})[ \t]*+:[ \t]*+({ADDRESS}(?:[ \t]*+,[ \t]*+{ADDRESS}){{0,{LARGE - 1}}}+)[ \t]*+\r?\n(?=[A-Za-z0-9])"
)



def key(address: Address) -> str:
    """What *address* (folded) is called in a table; no two are called the same, since a domain has no @."""
    return f"{address.local}@{address.domain}"


class Index:
    """The aliases of *text*. Broken, with everything that is wrong.

    `special` are the lines of what may not be allowed: (line, name of the alias, item). *pause* is called now and then: reading
    a large text in a thread, it lets others go first.
    """

    def __init__(self, text: str, pause: Callable[[], None] = lambda: None) -> None:
        self._text = text
        self._places: dict[str, int] = {}  # line << 32 | offset: a number is smaller than a pair, and no business of the collector
        self._large: dict[str, Entry] = {}
        self.special: list[tuple[int, Address, ToFile | ToProgram | Include]] = []
        self.longest = self.octets = 0
        self._build(pause)

    def __len__(self) -> int:
        return len(self._places)

    def find(self, name: str) -> Entry | None:
        """The entry that `key` calls *name*."""
        place = self._places.get(name)
        if place is None:
            return None
        return self._large.get(name) or self._read(place)

    def knows(self, name: str) -> bool:
        """Whether there is an entry that `key` calls *name*."""
        return name in self._places

    def entries(self) -> Iterator[Entry]:
        """All, in written order."""
        for name, place in self._places.items():
            yield self._large.get(name) or self._read(place)

    def _read(self, place: int) -> Entry:
        found = scan.Scanner(self._text, [], backslashes=True, at=place & 0xFFFFFFFF, number=place >> 32).next()
        read = entry(found, []) if found else None
        assert read is not None  # it was understood when the table was made
        return read

    def _build(self, pause: Callable[[], None]) -> None:
        problems: scan.Problems = []
        scanner = scan.Scanner(self._text, problems, backslashes=True)
        plain, places, text = _PLAIN.match, self._places, self._text
        while len(problems) < MOST_PROBLEMS:
            found = plain(text, scanner.at)
            if found:
                name = found[1].lower()
                name = name if "@" in name else name + "@"
                line, begins = scanner.number, scanner.at
                self._count(len(found[1]), len(found[2]))
                scanner.at, scanner.number = found.end(), line + 1
            else:
                slow = scanner.next()
                if slow is None:
                    break
                line, begins = slow.line, slow.begins
                if (name := self._slow(slow, problems)) == "":
                    continue
            place = line << 32 | begins
            if places.setdefault(name, place) != place:
                problems.append((line, f"{name.removesuffix('@')} stands in line {places[name] >> 32} already"))
            if not len(places) & 0x3FF:
                pause()
                if len(places) > MOST_ENTRIES:
                    problems.append((line, f"there are more than {MOST_ENTRIES} aliases"))
                    break
        if problems:
            raise Broken(problems)

    def _slow(self, found: scan.Entry, problems: scan.Problems) -> str:
        """The name of what *found* says; empty where it cannot be understood."""
        read = entry(found, problems)
        if read is None:
            return ""
        name = key(read.address)
        self._count(len(str(read.address)), len(found.text[items.find(found.text, 0, ":") + 1 :].strip()))
        if len(read.items) > LARGE:
            self._large.setdefault(name, read)
        for item, line in zip(read.items, read.lines, strict=True):
            if isinstance(item, ToFile | ToProgram | Include):
                self.special.append((line, read.address, item))
        return name

    def _count(self, left: int, right: int) -> None:
        """For newaliases, which tells how long entries are."""
        self.longest = max(self.longest, right)
        self.octets += left + right
