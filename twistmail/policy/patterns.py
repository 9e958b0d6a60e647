r"""Regular expressions that take linear time, whoever wrote them and whatever they are held against. Pure.

Python's `re` goes back and tries again: `(a+)+b` takes longer than a life on
forty letters a, nothing can interrupt it, and it keeps every other thread from
running meanwhile. So rules about strangers' mail are matched here, by a machine
that never goes back: the expression becomes a program of at most MOST_STEPS
steps (Thompson's construction), and a text is read once, letter by letter, while
all places of the program at which a match could be are kept as one set. Sets, and
what each letter makes of them, are remembered (MOST_REMEMBERED; beyond that all
are forgotten), so that a letter usually costs one look into a dict. The worst case
is letters times steps; nested repetition makes no difference.

It is a search, yes or no. The syntax is that of `re` as far as a machine without
a memory can have it: no references back (\1), no look-around, no possessive
repetition; a lazy one (`*?`) finds the same as a greedy one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from twistmail.mail.values import frozen

#: Letters of one expression, steps of its program, open groups.
LONGEST = 2000
MOST_STEPS = 1000
MOST_DEPTH = 50
#: The most that {n,m} may repeat.
MOST_REPEATED = 200
#: What one expression remembers: pairs of a set and a letter, and the places in the sets.
MOST_REMEMBERED = 50_000


class PatternError(ValueError):
    """An expression that is wrong, or more than is done here."""


@frozen
class Letters:
    """A step that reads one letter out of `ranges`, or (`negated`) one that is in none. `folded`: in either case."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False
    folded: bool = False

    def has(self, letter: str) -> bool:
        forms = {letter, letter.lower(), letter.upper()} if self.folded else (letter,)  # the upper case of \xdf is two letters
        return any(low <= form <= high for form in forms if len(form) == 1 for low, high in self.ranges) is not self.negated


@frozen
class Fork:
    """A step that goes on at all of `ways`, which are relative to it. With one way: a jump."""

    ways: tuple[int, ...]


@frozen
class Edge:
    """A step that reads nothing and passes where `kind` holds: "^" and "$" (the ends of the text), "b" and "B" (of a word)."""

    kind: str


@frozen
class Mark:
    """A step that reads nothing and notes where it is: the begin of the group `number` // 2, or (odd) its end. Only in `marked`."""

    number: int


Program = list[Letters | Fork | Edge | Mark]

_ANY = Letters((("\n", "\n"),), negated=True)
_DIGIT = (("0", "9"),)
_WORD = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"), ("\u00aa", "\U0010ffff"))
_SPACE = ((" ", " "), ("\t", "\r"), ("\u00a0", "\u00a0"), ("\u2000", "\u200a"), ("\u3000", "\u3000"))
_CLASSES = {"d": (_DIGIT, False), "D": (_DIGIT, True), "w": (_WORD, False), "W": (_WORD, True), "s": (_SPACE, False), "S": (_SPACE, True)}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
WORD_LETTERS = Letters(_WORD)
#: As the POSIX locale has them.
_NAMED = {
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")), "alpha": (("A", "Z"), ("a", "z")), "blank": (("\t", "\t"), (" ", " ")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")), "digit": _DIGIT, "graph": (("!", "~"),), "lower": (("a", "z"),),
    "print": ((" ", "~"),), "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")), "space": (("\t", "\r"), (" ", " ")),
    "upper": (("A", "Z"),), "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}  # fmt: skip
_REPEAT = re.compile(r"\{(\d{1,6})(?:(,)(\d{0,6}))?\}")
_HEX = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})")


@dataclass(slots=True)
class _Set:
    """All places of the program at which a match could be, before the edges there have been looked at; and what the last letter was.

    `behind` is what each letter makes of it: another set, or None for a match. `matches_at_end`: whether the text may end here.
    """

    places: frozenset[int]
    at_start: bool
    after_word: bool
    behind: dict[str, _Set | None]
    matches_at_end: bool


class Pattern:
    """*text* as an expression; *folded*: upper and lower case are the same. PatternError. May be searched by several threads at once.

    *memory* is how much it may remember of what it has seen. `groups`: how many ( ) it has that are no (?: ).
    """

    def __init__(self, text: str, *, folded: bool = False, memory: int = MOST_REMEMBERED) -> None:
        self.text = text
        self._folded = folded
        self._memory = memory
        reader = _Reader(text, folded)
        self._program = reader.program()
        self.groups = reader.groups
        self._sets: dict[tuple[frozenset[int], bool, bool], _Set]
        self._forget()

    @cached_property
    def marked(self) -> Program:
        """The program with the marks that `groups.groups_in` needs."""
        return _Reader(self.text, self._folded, marked=True).program()

    def found_in(self, text: str) -> bool:
        """Whether the expression fits any part of *text*."""
        here = self._start
        for letter in text:
            try:
                behind = here.behind[letter]
            except KeyError:
                behind = self._read(here, letter)
            if behind is None:
                return True
            here = behind
        return here.matches_at_end

    def _read(self, here: _Set, letter: str) -> _Set | None:
        """What *letter* makes of *here*; None for a match before it."""
        is_word = WORD_LETTERS.has(letter)
        steps = self._reached(here.places, here.at_start, here.after_word, before_word=is_word, at_end=False)
        if steps is None:
            behind = None
        else:
            after = {place + 1 for place in steps if self._program[place].has(letter)}  # type: ignore[union-attr]
            behind = self._set(frozenset((*after, 0)), at_start=False, after_word=is_word)
        if self._remembered >= self._memory:
            self._forget()
        here.behind[letter] = behind
        self._remembered += 1
        return behind

    def _forget(self) -> None:
        """A search under way goes on from the set that it holds, and finds its way back into the new memory."""
        self._remembered = 0
        self._sets = {}
        self._start = self._set(frozenset((0,)), at_start=True, after_word=False)

    def _set(self, places: frozenset[int], *, at_start: bool, after_word: bool) -> _Set:
        key = places, at_start, after_word
        known = self._sets.get(key)
        if known is None:
            ends = self._reached(places, at_start, after_word, before_word=False, at_end=True) is None
            known = self._sets[key] = _Set(places, at_start, after_word, {}, ends)
            self._remembered += len(places)
        return known

    def _reached(self, places: Iterable[int], at_start: bool, after_word: bool, *, before_word: bool, at_end: bool) -> set[int] | None:
        """The steps that read a letter to which *places* lead without reading one; None where they lead to the end: a match."""
        holds = {"^": at_start, "$": at_end, "b": after_word is not before_word, "B": after_word is before_word}
        seen, waiting, reading = set(places), list(places), set()
        while waiting:
            place = waiting.pop()
            if place == len(self._program):
                return None
            step = self._program[place]
            if isinstance(step, Letters):
                reading.add(place)
                continue
            ways = step.ways if isinstance(step, Fork) else (1,) if isinstance(step, Mark) or holds[step.kind] else ()
            for way in ways:
                if place + way not in seen:
                    seen.add(place + way)
                    waiting.append(place + way)
        return reading


@dataclass(slots=True)
class _Group:
    """An open group: what has been read of the way under way, the ways before it, and where its last item began."""

    before: list[Program]
    way: Program
    item: int | None = None  # where in `way` the item begins that a repetition would repeat
    number: int = -1  # of those that are counted


class _Reader:
    """Reads an expression into a program. No recursion: open groups lie on a stack."""

    def __init__(self, text: str, folded: bool, *, marked: bool = False) -> None:
        if len(text) > LONGEST:
            raise PatternError(f"the expression is longer than {LONGEST} letters")
        self._text = text
        self._folded = folded
        self._at = 0
        self._groups = [_Group([], [])]
        self._marked = marked
        self.groups = 0

    def program(self) -> Program:
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            read = self._SIGNS.get(letter)
            if read:
                read(self)
            else:
                self._item([self._letters(((letter, letter),))])
        if len(self._groups) > 1:
            raise PatternError("a ( is not closed")
        return self._closed()

    # ----- groups and ways

    def _open(self) -> None:
        number = -1
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._text.startswith("?", self._at):
            raise PatternError(f"({self._text[self._at : self._at + 3]} is not done here; there are (...) and (?:...)")
        else:
            number, self.groups = self.groups, self.groups + 1
        if len(self._groups) > MOST_DEPTH:
            raise PatternError(f"there are more than {MOST_DEPTH} groups inside each other")
        self._groups.append(_Group([], [], number=number))

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise PatternError(r"a ) closes nothing; write \) for the letter")
        inside = self._closed()
        number = self._groups.pop().number
        self._item([Mark(2 * number), *inside, Mark(2 * number + 1)] if self._marked and number >= 0 else inside)

    def _another_way(self) -> None:
        group = self._groups[-1]
        group.before.append(group.way)
        group.way, group.item = [], None

    def _closed(self) -> Program:
        """The program of the innermost group: one way, or a fork of all."""
        group = self._groups[-1]
        whole = group.way
        for way in reversed(group.before):
            whole = _bounded([Fork((1, len(way) + 2)), *way, Fork((len(whole) + 1,)), *whole])
        return whole

    def _item(self, steps: Program) -> None:
        group = self._groups[-1]
        group.item = len(group.way)
        group.way += steps
        _bounded(group.way)

    # ----- repetition

    def _repeated(self, least: int, most: int | None, sign: str) -> None:
        group = self._groups[-1]
        if group.item is None:
            raise PatternError(f"{sign} repeats nothing; write \\{sign[0]} for the letter")
        item = group.way[group.item :]
        lazy = self._text.startswith("?", self._at)  # the same is found; only the groups may fit less
        if lazy:
            self._at += 1
        elif self._text.startswith("+", self._at):
            raise PatternError(f"{sign}+ is not done here; write {sign}")
        if len(item) * max(least, most or 1) > MOST_STEPS:
            raise PatternError(f"the expression becomes longer than {MOST_STEPS} steps")
        steps = item * least
        if most is None:
            steps += [_fork(1, len(item) + 2, lazy), *item, Fork((-len(item) - 1,))]
        else:
            for _ in range(most - least):  # each only behind the one before it
                steps += [_fork(1, len(item) + 1, lazy), *item]
        group.way[group.item :] = steps
        group.item = None
        _bounded(group.way)

    def _counted(self) -> None:
        match = _REPEAT.match(self._text, self._at - 1)
        if match is None:
            self._item([self._letters((("{", "{"),))])
            return
        self._at = match.end()
        least = int(match[1])
        most = least if not match[2] else int(match[3]) if match[3] else None
        if max(least, most or 0) > MOST_REPEATED or (most is not None and most < least):
            raise PatternError(f"{match[0]} cannot be; at most {MOST_REPEATED}, the smaller number first")
        self._repeated(least, most, match[0])

    # ----- letters

    def _letters(self, ranges: tuple[tuple[str, str], ...], *, negated: bool = False) -> Letters:
        return Letters(ranges, negated, self._folded)

    def _edge(self, kind: str) -> None:
        self._groups[-1].way.append(Edge(kind))
        self._groups[-1].item = None

    def _escaped(self) -> None:
        sign = self._text[self._at : self._at + 1]
        if sign in ("b", "B"):
            self._at += 1
            self._edge(sign)
        elif sign in _CLASSES:
            self._at += 1
            ranges, negated = _CLASSES[sign]
            self._item([self._letters(ranges, negated=negated)])
        else:
            letter = self._letter_behind_backslash()
            self._item([self._letters(((letter, letter),))])

    def _letter_behind_backslash(self) -> str:
        if match := _HEX.match(self._text, self._at):
            self._at = match.end()
            return chr(int(match[1] or match[2], 16))
        sign = self._text[self._at : self._at + 1]
        self._at += 1
        if sign in _CONTROLS and sign:
            return _CONTROLS[sign]
        if not sign:
            raise PatternError("there is nothing behind the last backslash")
        if sign.isalnum():
            raise PatternError(f"\\{sign} is not done here" + (": a machine without a memory cannot refer back" if sign.isdigit() else ""))
        return sign

    def _choice(self) -> None:
        """`[...]`, whose bracket has been read."""
        negated = self._text.startswith("^", self._at)
        self._at += negated
        ranges: list[tuple[str, str]] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise PatternError("a [ is not closed")
            ranges += self._range()
            first = False
        self._at += 1
        self._item([self._letters(tuple(ranges), negated=negated)])

    def _range(self) -> Iterable[tuple[str, str]]:
        if self._text.startswith("[:", self._at):
            name, closed, _ = self._text[self._at + 2 :].partition(":]")
            if not closed or name not in _NAMED:
                raise PatternError(f"[:{name[:10]}:] is no class; there are {', '.join(sorted(_NAMED))}")
            self._at += len(name) + 4
            return _NAMED[name]
        low = self._member()
        if isinstance(low, tuple):
            return low
        if not self._text.startswith("-", self._at) or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return ((low, low),)
        self._at += 1
        high = self._member()
        if isinstance(high, tuple) or high < low:
            raise PatternError(f"the range from {low} in a [...] has no end that is higher")
        return ((low, high),)

    def _member(self) -> str | tuple[tuple[str, str], ...]:
        """A letter of a `[...]`, or the ranges of a class."""
        letter = self._text[self._at]
        self._at += 1
        if letter != "\\":
            return letter
        sign = self._text[self._at : self._at + 1]
        if sign in _CLASSES and sign.islower():
            self._at += 1
            return _CLASSES[sign][0]
        return self._letter_behind_backslash()

    _SIGNS: dict[str, Callable[[_Reader], None]] = {
        "(": _open,
        ")": _close,
        "|": _another_way,
        "*": lambda self: self._repeated(0, None, "*"),
        "+": lambda self: self._repeated(1, None, "+"),
        "?": lambda self: self._repeated(0, 1, "?"),
        "{": _counted,
        ".": lambda self: self._item([_ANY]),
        "^": lambda self: self._edge("^"),
        "$": lambda self: self._edge("$"),
        "[": _choice,
        "\\": _escaped,
    }


def _fork(on: int, past: int, lazy: bool) -> Fork:
    return Fork((past, on) if lazy else (on, past))


def _bounded(steps: Program) -> Program:
    if len(steps) > MOST_STEPS:
        raise PatternError(f"the expression becomes longer than {MOST_STEPS} steps")
    return steps
