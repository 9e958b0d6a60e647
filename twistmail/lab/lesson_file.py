"""Lessons as teachers write them: text with a head, steps and questions. All mistakes are told at once, each with its line.

    # 2 SMTP by hand
    minutes: 20
    goal: You can speak SMTP as a client does.
    look: /console?office=green&service=mx

    Prose: paragraphs, "- entries", and lines to copy, indented by four blanks. `code`, **bold**, [words](/page).

    ## Say hello
    type: green mx
        EHLO pc.test -> 250
    expect: line office=green side=C text^EHLO :: Green hears your EHLO
    hint: HELO would do as well.

    ## Question 1: Can SMTP both send and receive?
    - [x] True
    - [ ] False
    shown: 1
    answer: Between servers, yes.

docs/lessons.md has the whole format for teachers.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from twistmail.lab.lesson import ACTS, OF_EVENTS, Act, Block, Check, Choice, Field, Lesson, Question, Step
from twistmail.lab.ring import KINDS
from twistmail.mail.values import frozen

#: Where ours are.
FOLDER = Path(__file__).parent / "lessons"
#: A lesson is read by people.
MOST_OCTETS = 200_000

#: What events of a kind have beside office, about and connection (`reporter` makes them).
FIELDS: dict[str, tuple[str, ...]] = {
    "connection": ("state", "service", "peer", "port", "from", "why", "received", "sent"),
    "line": ("side", "text", "proto"),
    "tls": ("version", "cipher", "verified", "fault", "issuer"),
    "auth": ("mechanism", "result", "login", "service"),
    "check": ("stage", "rule", "status", "sender", "recipient", "fate"),
    "mail": ("state", "service", "sender", "recipients", "size", "message_id", "subject", "account", "recipient", "original",
             "kind", "status", "code", "host", "secured", "why"),
    "alias": ("from", "to", "origin"),
    "queue": ("state", "pending", "attempt", "next", "report", "addresses", "success", "why", "status", "via", "overdue"),
    "store": ("account", "mailbox", "recipient", "uid", "file"),
    "read": ("service", "account", "mailbox", "uids"),
    "net": ("from", "to", "what", "port", "address"),
    "dns": ("question", "type", "answer", "result", "ms", "way", "from"),
    "switch": ("what", "state"),
    "clock": ("passed",),
}  # fmt: skip
#: Names that stand in braces: one class has them here, another there.
PLACES = re.compile(r"\{([a-z][a-z0-9_.]*)\}")

_KEY = re.compile(r"([a-z][a-z_]*):(?: +(.*))?$")
_TITLE = re.compile(r"# +(\d{1,2}) +(\S.*)$")
_QUESTION = re.compile(r"## +Question(?: +(\d{1,2}))?: +(\S.*)$")
_CHOICE = re.compile(r"- \[([ x])\] +(\S.*)$")
_FIELD = re.compile(r"([a-z_]+)(!=|=|~|\^|>)(.*)$", re.DOTALL)

_OF_LESSON = ("minutes", "goal", "look")
_OF_STEP = (*ACTS, "expect", "never", "look", "hint", "done", "lpi")
_OF_QUESTION = ("shown", "answer")
#: Keys below which indented lines belong to the key; for the others they go on with its sentence.
_WITH_LINES = ("type", "run", "send")


@frozen
class Problem:
    """A mistake in line `line` of `origin`."""

    origin: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}: {self.why}"


@dataclass
class _Line:
    """`number` in the file; the key and what follows it ("" where it is prose), and the lines below that belong to it."""

    number: int
    key: str
    words: str
    below: list[str] = field(default_factory=list)


@dataclass
class _Part:
    """A head line and all up to the next one."""

    number: int
    head: str
    lines: list[_Line] = field(default_factory=list)


def load(path: Path) -> tuple[Lesson | None, tuple[Problem, ...]]:
    """The lesson in *path*, None where it cannot be used, and what is wrong with it. Blocking."""
    try:
        octets = path.read_bytes()[: MOST_OCTETS + 1]
        text = octets.decode()
    except (OSError, UnicodeDecodeError) as error:
        return None, (Problem(str(path), 1, f"cannot be read: {error}"),)
    if len(octets) > MOST_OCTETS:
        return None, (Problem(str(path), 1, f"is longer than {MOST_OCTETS} octets"),)
    return read(text, path.name)


def load_all(folder: Path = FOLDER) -> tuple[tuple[Lesson, ...], tuple[Problem, ...]]:
    """Every lesson of *folder* (its *.md files) in the order of their numbers, and all that is wrong. Blocking."""
    lessons: dict[int, Lesson] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.md")):
        lesson, wrong = load(path)
        problems += wrong
        if lesson is not None and lesson.number in lessons:
            problems.append(Problem(path.name, 1, f"there is a lesson {lesson.number} already: {lessons[lesson.number].title}"))
        elif lesson is not None:
            lessons[lesson.number] = lesson
    if not lessons and not problems:
        problems.append(Problem(str(folder), 1, "there is no lesson here: a file such as 01-first.md"))
    return tuple(lessons[number] for number in sorted(lessons)), tuple(problems)


def read(text: str, origin: str = "lesson") -> tuple[Lesson | None, tuple[Problem, ...]]:
    """The lesson that *text* is, and what is wrong with it, told as in *origin*."""
    reader = _Reader(origin)
    lesson = reader.lesson(text)
    return (None if reader.problems else lesson), tuple(sorted(reader.problems, key=lambda problem: problem.line))


class _Reader:
    """One file. Everything that is wrong is noted, and reading goes on."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.problems: list[Problem] = []

    def lesson(self, text: str) -> Lesson | None:
        parts = self._parts(text)
        match = _TITLE.match(parts[0].head) if parts else None
        if match is None:
            self._wrong(1, "the first line is no title, such as: # 2 SMTP by hand")
            return None
        head, rest = parts[0], parts[1:]
        self._only(head, _OF_LESSON)
        steps = [self._step(part) for part in rest if not part.head.startswith("## Question")]
        questions = [self._question(part, len(steps)) for part in rest if part.head.startswith("## Question")]
        if not steps:
            self._wrong(1, "a lesson has at least one step: ## What to do")
        return Lesson(
            int(match[1]), match[2], self._one(head, "goal"), self._minutes(head), self._look(head) or "/",
            self._prose(head), tuple(steps), tuple(question for question in questions if question is not None),
        )

    def _wrong(self, line: int, why: str) -> None:
        self.problems.append(Problem(self._origin, line, why))

    # ----- lines

    def _parts(self, text: str) -> list[_Part]:
        parts: list[_Part] = []
        for number, line in enumerate(text.split("\n"), 1):
            line = line.rstrip()
            if line.startswith("#"):
                parts.append(_Part(number, line))
                if not (line.startswith("## ") if len(parts) > 1 else line.startswith("# ")):
                    self._wrong(number, "a head has one # for the lesson, two for a step or a question")
            elif parts:
                self._put(parts[-1], number, line)
            elif line:
                self._wrong(number, "the title comes first: # 2 SMTP by hand")
        return parts

    def _put(self, part: _Part, number: int, line: str) -> None:
        last = part.lines[-1] if part.lines else None
        match = _KEY.match(line)
        if match:
            part.lines.append(_Line(number, match[1], match[2] or ""))
        elif last is not None and last.key and (line.startswith("    ") or (not line and last.key in _WITH_LINES)):
            last.below.append(line[4:])
        else:
            part.lines.append(_Line(number, "", line))

    def _only(self, part: _Part, known: Iterable[str]) -> None:
        """Say which keys of *part* mean nothing there."""
        for line in part.lines:
            if line.key and line.key not in known:
                near = get_close_matches(line.key, list(known), 1)
                self._wrong(line.number, f"'{line.key}:' means nothing here" + (f"; did you mean '{near[0]}:'?" if near else ""))

    def _all(self, part: _Part, key: str) -> list[_Line]:
        return [line for line in part.lines if line.key == key]

    def _one(self, part: _Part, key: str) -> str:
        """The sentence of *key*, with the lines that go on with it."""
        lines = self._all(part, key)
        for line in lines[1:]:
            self._wrong(line.number, f"'{key}:' stands here once already, in line {lines[0].number}")
        return " ".join([lines[0].words, *map(str.strip, lines[0].below)]).strip() if lines else ""

    # ----- the head

    def _minutes(self, part: _Part) -> int:
        words = self._one(part, "minutes")
        if words.isdigit() and 0 < int(words) < 1000:
            return int(words)
        if words:
            self._wrong(self._all(part, "minutes")[0].number, f"'{words}' is no number of minutes")
        return 0

    def _look(self, part: _Part) -> str:
        path = self._one(part, "look")
        if path and not re.fullmatch(r"/(?!/)[\x21-\x7e]*", path):
            self._wrong(self._all(part, "look")[0].number, f"'{path}' is no page: it begins with one slash, such as /queue")
        return path

    def _prose(self, part: _Part) -> tuple[Block, ...]:
        return tuple(_blocks(line.words for line in part.lines if not line.key))

    # ----- steps

    def _step(self, part: _Part) -> Step:
        self._only(part, _OF_STEP)
        expects = [check for line in self._all(part, "expect") if (check := self._check(line)) is not None]
        nevers = [check for line in self._all(part, "never") if (check := self._check(line)) is not None]
        done = self._one(part, "done")
        if not self._all(part, "expect") and not done:
            self._wrong(part.number, "nothing says when this step is done: write 'expect:' or 'done:'")
        if nevers and not done:
            self._wrong(self._all(part, "never")[0].number, "'never:' wants a 'done:': until when must it not come?")
        acts = [act for line in part.lines if line.key in ACTS and (act := self._act(line)) is not None]
        return Step(
            part.head[2:].strip(), self._prose(part), tuple(acts), tuple(expects), tuple(nevers), self._look(part),
            self._one(part, "hint"), done, tuple(name.strip() for name in self._one(part, "lpi").split(",") if name.strip()), part.number,
        )

    def _check(self, line: _Line) -> Check | None:
        """KIND field=value ... :: words for the student."""
        demand, _, words = " ".join([line.words, *map(str.strip, line.below)]).partition(" :: ")
        try:
            kind, *rest = shlex.split(demand) or [""]
        except ValueError:
            self._wrong(line.number, "a quotation mark is not closed")
            return None
        if kind not in KINDS:
            self._wrong(line.number, f"there are no events of the kind '{kind}'; the kinds are {', '.join(KINDS)}")
            return None
        fields = [one for word in rest if (one := self._field(line.number, kind, word)) is not None]
        if not words.strip():
            self._wrong(line.number, "write what the student is waiting for, behind ' :: '")
        return Check(kind, tuple(fields), words.strip())

    def _field(self, number: int, kind: str, word: str) -> Field | None:
        match = _FIELD.match(word)
        if match is None:
            self._wrong(number, f"'{word}' is no demand, such as office=green or text~250")
            return None
        known = (*OF_EVENTS, *FIELDS[kind])
        if match[1] not in known:
            self._wrong(number, f"events of the kind '{kind}' have no '{match[1]}'; they have {', '.join(known)}")
            return None
        return Field(match[1], match[2], match[3])

    def _act(self, line: _Line) -> Act | None:
        try:
            words = tuple(shlex.split(line.words))
        except ValueError:
            self._wrong(line.number, "a quotation mark is not closed")
            return None
        while line.below and not line.below[-1]:
            line.below.pop()
        if why := _ACTS[line.key](words, line.below):
            self._wrong(line.number, why)
            return None
        return Act(line.key, words, tuple(line.below))

    # ----- questions

    def _question(self, part: _Part, steps: int) -> Question | None:
        match = _QUESTION.match(part.head)
        if match is None:
            self._wrong(part.number, "a question looks so: ## Question 7: What does an MDA do?   (or without a number)")
            return None
        self._only(part, _OF_QUESTION)
        choices = [found for line in part.lines if not line.key and (found := _CHOICE.match(line.words))]
        for line in part.lines:
            if not line.key and line.words and not _CHOICE.match(line.words):
                self._wrong(line.number, "below a question stand its choices: - [x] right   - [ ] wrong")
        if choices and not any(choice[1] == "x" for choice in choices):
            self._wrong(part.number, "none of the choices is right: mark one with [x]")
        if not (answer := self._one(part, "answer")):
            self._wrong(part.number, "the answer for the teacher is missing: answer: ...")
        shown = tuple(self._shown(part, steps))
        return Question(
            match[2], int(match[1] or 0), _mixed(match[2], [Choice(choice[2], choice[1] == "x") for choice in choices]), shown, answer,
            part.number,
        )

    def _shown(self, part: _Part, steps: int) -> Iterable[int]:
        for line in self._all(part, "shown"):
            for word in line.words.split():
                if not word.isdigit() or not 1 <= int(word) <= steps:
                    self._wrong(line.number, f"'{word}' is no step of this lesson, which has {steps}")
                else:
                    yield int(word)


def _mixed(title: str, choices: Iterable[Choice]) -> tuple[Choice, ...]:
    """In an order that hangs on the words alone: who writes a question begins with what is right, and nobody shall see that."""
    return tuple(sorted(choices, key=lambda choice: hashlib.sha256(f"{title}\n{choice.words}".encode()).digest()))


# ----- acts: what is wrong with their words, "" where nothing is


def _type(words: tuple[str, ...], lines: list[str]) -> str:
    if len(words) != 2 and words[2:] != ("meanwhile",):
        return "write at which office and service it is typed: type: green mx"
    return "" if lines else "what is typed stands below, indented by four blanks"


def _run(words: tuple[str, ...], lines: list[str]) -> str:
    return "" if words and words[0] != "->" else "write the command"


def _send(words: tuple[str, ...], lines: list[str]) -> str:
    keys = dict(word.partition("=")[::2] for word in words)
    if unknown := sorted(set(keys) - {"from", "to", "subject", "as"}):
        return f"'{unknown[0]}' is nothing that a letter has here: from, to, subject, as (who logs in, where that is not 'from')"
    return "" if keys.get("from") and keys.get("to") else "a letter has from=... and to=..."


def _switch(words: tuple[str, ...], lines: list[str]) -> str:
    return "" if len(words) > 1 and words[-1] in ("on", "off") else "write what is broken, where, and on or off: switch: off green on"


def _clock(words: tuple[str, ...], lines: list[str]) -> str:
    return "" if len(words) == 1 and re.fullmatch(r"\+\d{1,4}[smhd]", words[0]) else "write how much time passes: clock: +20m"


def _zone(words: tuple[str, ...], lines: list[str]) -> str:
    return "" if len(words) >= 2 else "write a name, a type and its values: zone: green.test MX '10 mx.green.test'   (none: taken away)"


_ACTS: dict[str, Callable[[tuple[str, ...], list[str]], str]] = {
    "type": _type, "run": _run, "send": _send, "switch": _switch, "clock": _clock, "zone": _zone,
}


# ----- prose


def _blocks(lines: Iterable[str]) -> Iterable[Block]:
    """Paragraphs, lists and lines to copy."""
    kind, held = "", list[str]()
    for line in [*lines, ""]:
        now = "code" if line.startswith("    ") else "list" if line.startswith("- ") else "text" if line else ""
        if now == "text" and kind == "list" and line.startswith("  "):
            held[-1] += " " + line.strip()
            continue
        if now != kind:
            if held:
                yield Block(kind, (" ".join(held),) if kind == "text" else tuple(held))
            kind, held = now, []
        if now:
            held.append(line[4:] if now == "code" else line[2:] if now == "list" else line.strip())


def names_in(value: Any) -> set[str]:
    """All names in braces in *value*: text, or values of `lesson` made of it."""
    if isinstance(value, str):
        return set(PLACES.findall(value))
    if isinstance(value, (tuple, list)):
        return set().union(*map(names_in, value))
    slots = getattr(value, "__slots__", ())
    return set().union(*(names_in(getattr(value, name)) for name in slots))
