"""Virtual user tables in text: virtual(5) of Postfix and the virtusertable of sendmail. Pure.

    # Postfix                                  # sendmail
    info@blue.example     anna, bert           info@foo.test     foo-info
    carl                  carl@away.example    joe@foo.test      error:nouser 550 No such user here
    @old.example          @blue.example        old+*@foo.test    new+%2@bar.test
    @green.example        anna                 @foo.test         %1@far.test

A key, white space, and what it stands for; lines that begin with white space
continue. Names without a domain on the right are in the domain of the house. A
table is kept as text, as in `index`; the two dialects differ in the order in which keys are
looked for, and in what the right side may say. Who asks is `tablefile`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from twistmail.aliases import items, scan
from twistmail.aliases.index import ADDRESS, key
from twistmail.aliases.listed import Listed
from twistmail.aliases.parse import MOST_ENTRIES, MOST_PROBLEMS, MOST_TARGETS
from twistmail.mail import address as addresses
from twistmail.mail.address import Address, canonical_domain
from twistmail.mail.alias import Discard, Goal, Refusal
from twistmail.mail.values import frozen
from twistmail.watched import Broken

#: Lines with more on their right side are kept as they were read.
LARGE = 50
_KEY = re.compile(r'("(?:[^"\\]|\\.)*"\S*|\S+)(?:\s+|$)')
_PLAIN = re.compile(rf"({ADDRESS})[ \t]++{ADDRESS}[ \t]*+\r?\n(?=[A-Za-z0-9@])")
_GAP = re.compile(r"%([123])")
_WORDS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s,"])+|"')


@frozen
class Dialect:
    """How a table is written. `lists`: the right side may be several; `gaps`: it may have %1, %2 and %3 in it."""

    name: str
    lists: bool
    gaps: bool


POSTFIX = Dialect("virtual", lists=True, gaps=False)
SENDMAIL = Dialect("virtusertable", lists=False, gaps=True)


@frozen
class Line:
    """One line: `words` are what the key stands for, an answer being one of them."""

    number: int
    key: str
    words: tuple[str, ...]

    def goals(self, address: Address, gaps: Sequence[str] = ("", "", "")) -> tuple[Goal, ...]:
        """What it makes of *address*; *gaps* are %1, %2 and %3. Names without a domain stay so. ValueError where that is no address."""
        return tuple(_goal(word, address, gaps) for word in self.words)


def _goal(word: str, address: Address, gaps: Sequence[str]) -> Goal:
    if _is_answer(word):
        read = items.read(word)
        assert isinstance(read, Refusal | Discard)
        return read
    if word.startswith("@"):
        return Address(address.local, canonical_domain(word[1:]))
    if not _GAP.search(word):
        return addresses.parse(word)
    name, sign, domain = word.rpartition("@") if "@" in word else (word, "", "")
    return built(_filled(name, gaps), _filled(domain, gaps) if sign else None)


def _filled(template: str, gaps: Sequence[str]) -> str:
    return _GAP.sub(lambda gap: gaps[int(gap[1]) - 1], template)


def built(local: str, domain: str | None) -> Address:
    """An address of parts that a stranger may have written: whatever is in *local* stays one local part. ValueError."""
    if not local or len(local.encode()) > addresses.LONGEST_LOCAL_PART:
        raise ValueError(f"{local!r} is no local part")
    return Address(local, canonical_domain(domain) if domain is not None else "")


def _is_answer(word: str) -> bool:
    return word.startswith((":", "error:", "discard:"))


class Table:
    """The table *text* in a *dialect*. Broken, with everything that is wrong. *pause* is called now and then, as in `index`."""

    def __init__(self, text: str, dialect: Dialect, pause: Callable[[], None] = lambda: None) -> None:
        self.dialect = dialect
        self._text = text
        self._places: dict[str, int] = {}  # line << 32 | offset, as in `index`
        self._large: dict[str, Line] = {}
        self._build(pause)

    def __len__(self) -> int:
        return len(self._places)

    def find(self, name: str) -> Line | None:
        """The line whose key is *name*: local@domain, local@ (a name alone), @domain."""
        place = self._places.get(name)
        if place is None:
            return None
        return self._large.get(name) or self._read(place)

    def listed(self, path: str) -> Iterator[Listed]:
        """All lines, in written order."""
        for name, place in self._places.items():
            line = self._large.get(name) or self._read(place)
            yield Listed(name.removesuffix("@"), line.words, f"{path}:{line.number}")

    def _read(self, place: int) -> Line:
        found = scan.Scanner(self._text, [], at=place & 0xFFFFFFFF, number=place >> 32).next()
        line = self._line(found, []) if found else None
        assert line is not None  # it was understood when the table was made
        return line

    def _build(self, pause: Callable[[], None]) -> None:
        problems: scan.Problems = []
        scanner = scan.Scanner(self._text, problems)
        places, text = self._places, self._text
        while len(problems) < MOST_PROBLEMS:
            number, begins = scanner.number, scanner.at
            found = _PLAIN.match(text, begins)
            if found:
                name = found[1].lower()
                name = name if "@" in name else name + "@"
                scanner.at, scanner.number = found.end(), number + 1
            else:
                slow = scanner.next()
                if slow is None:
                    break
                number, begins = slow.line, slow.begins
                line = self._line(slow, problems)
                if line is None:
                    continue
                name = line.key
                if len(line.words) > LARGE:
                    self._large.setdefault(name, line)
            place = number << 32 | begins
            if places.setdefault(name, place) != place:
                problems.append((number, f"{name.removesuffix('@')} stands in line {places[name] >> 32} already"))
            if not len(places) & 0x3FF:
                pause()
                if len(places) > MOST_ENTRIES:
                    problems.append((number, f"there are more than {MOST_ENTRIES} addresses"))
                    break
        if problems:
            raise Broken(problems)

    def _line(self, found: scan.Entry, problems: scan.Problems) -> Line | None:
        """What *found* says; None where it cannot be understood, or where it only declares a domain (Postfix)."""
        match = _KEY.match(found.text)
        assert match is not None  # it begins with something
        word, right = match[1], found.text[match.end() :].strip()
        try:
            name = _key(word)
            line = Line(found.line, name, tuple(self._words(right)))
            if not line.words:
                raise ValueError(f"{word} stands for nothing; write {word} anna@blue.example, say")
            if len(line.words) > MOST_TARGETS:
                raise ValueError(f"{word} stands for more than {MOST_TARGETS}")
            line.goals(Address("x", "example"), ("x", "x", "+x"))
        except ValueError as error:
            if self.dialect is POSTFIX and "@" not in word and "." in word:
                return None  # `blue.example anything`: what stands there does not matter
            problems.append((found.line, str(error).replace("\n", "; ")))
            return None
        return line

    def _words(self, right: str) -> list[str]:
        if _is_answer(right):
            return [right]
        words = _WORDS.findall(right)
        if len(words) > 1 and not self.dialect.lists:
            raise ValueError(f"{right!r} is more than one address; sendmail's table has one, aliases have several")
        if not self.dialect.gaps and any(_GAP.search(word) for word in words):
            raise ValueError(f"{right!r} has a % of sendmail's in it; name the table virtusertable:PATH for those")
        if self.dialect is SENDMAIL and any(word.startswith("@") for word in words):
            raise ValueError(f"{right!r} has no name; write %1{right}")
        if wrong := next((word for word in words if word[0] in "/|\\"), None):
            raise ValueError(f"{wrong} is no address, and there is nothing else in such a table; aliases(5) has files and programs")
        if any(_is_answer(word) for word in words):
            raise ValueError(f"{right!r}: an answer stands alone")
        return words


def _key(word: str) -> str:
    if word.startswith("@"):
        return "@" + canonical_domain(word[1:])
    return key(addresses.parse(word).folded)
