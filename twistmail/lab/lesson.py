"""What a lesson is: values. `lesson_file` reads them from the text that a teacher writes, `progress` says how far a student is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twistmail.lab.ring import Event
from twistmail.mail.values import frozen


@frozen
class Block:
    """A piece of prose: `kind` is "text" (one paragraph), "list" (an entry a line) or "code" (lines to copy)."""

    kind: str
    lines: tuple[str, ...]


@frozen
class Field:
    """One demand on an event: `name` `sign` `value`. Signs: = is, != is not, ~ contains, ^ begins with, > is more than."""

    name: str
    sign: str
    value: str

    def fits(self, event: Event) -> bool:
        """Does *event* fulfil it? Where it has a list there, one entry has to (for !=: all of them)."""
        found = getattr(event, self.name) if self.name in OF_EVENTS else event.what.get(self.name)
        values = [str(one) for one in found] if isinstance(found, (list, tuple)) else ["" if found is None else str(found)]
        if self.sign == "!=":
            return self.value not in values
        return any(_SIGNS[self.sign](value, self.value) for value in values)


#: What every event has; all other fields are those of its kind.
OF_EVENTS = ("office", "about", "connection")


def _is_more(value: str, than: str) -> bool:
    try:
        return float(value) > float(than)
    except ValueError:
        return False


_SIGNS = {
    "=": lambda value, wanted: value.casefold() == wanted.casefold(),
    "~": lambda value, wanted: wanted.casefold() in value.casefold(),
    "^": lambda value, wanted: value.casefold().startswith(wanted.casefold()),
    ">": _is_more,
}


@frozen
class Check:
    """An event that is waited for (or must not come): its kind and what stands in it. `words`: said to the student."""

    kind: str
    fields: tuple[Field, ...]
    words: str = ""

    def fits(self, event: Event) -> bool:
        return event.kind == self.kind and all(field.fits(event) for field in self.fields)


@frozen
class Act:
    """Something that a student does, and that `driver` can do for him.

    `kind` is one of ACTS, `words` its line, `lines` what stands indented below: what is typed, the body, the standard input.
    """

    kind: str
    words: tuple[str, ...]
    lines: tuple[str, ...] = ()

    @property
    def letter(self) -> str:
        """What a "send" asks for, in words."""
        said = dict(word.partition("=")[::2] for word in self.words)
        recipients = said["to"].replace(",", " and ")
        login = f", logged in as {said['as']}" if "as" in said else ""
        return f"from {said['from']} to {recipients}{login}" + (f", about \u201c{said['subject']}\u201d" if "subject" in said else "")


#: type OFFICE SERVICE: by hand on a connection; run: a command; send: a letter that is submitted; switch: break or mend
#: something; clock: let time pass; zone: change the DNS.
ACTS = ("type", "run", "send", "switch", "clock", "zone")


@frozen
class Step:
    """`done`: the words of the button with which the student says himself that he is through; "": the events say it.

    `look`: the page that belongs to it. `lpi`: commands of the exam objective that are typed here.
    """

    title: str
    prose: tuple[Block, ...] = ()
    acts: tuple[Act, ...] = ()
    expects: tuple[Check, ...] = ()
    nevers: tuple[Check, ...] = ()
    look: str = ""
    hint: str = ""
    done: str = ""
    lpi: tuple[str, ...] = ()
    line: int = 0


@frozen
class Choice:
    words: str
    right: bool


@frozen
class Question:
    """`number`: which of the seventeen questions of the course it is, 0: none. `shown`: the steps that show the answer, from 1.

    Without `choices` it is for the class to talk about; the answer is the teacher's.
    """

    title: str
    number: int = 0
    choices: tuple[Choice, ...] = ()
    shown: tuple[int, ...] = ()
    answer: str = ""
    line: int = 0

    @property
    def right(self) -> tuple[int, ...]:
        """Which choices are right, from 0."""
        return tuple(place for place, choice in enumerate(self.choices) if choice.right)


@frozen
class Lesson:
    """`minutes`: how long a class takes for it. `look`: the page to begin with."""

    number: int
    title: str
    goal: str = ""
    minutes: int = 0
    look: str = "/"
    prose: tuple[Block, ...] = ()
    steps: tuple[Step, ...] = ()
    questions: tuple[Question, ...] = ()

    def filled(self, places: Mapping[str, str]) -> Lesson:
        """With the names in braces replaced (`{me}`, `{green.mx}`): where everything is found in the class that runs."""

        def fill(words: str) -> str:
            return filled(words, places)

        return replace(
            self,
            goal=fill(self.goal),
            look=fill(self.look),
            prose=_blocks(self.prose, places),
            steps=tuple(_step(step, places) for step in self.steps),
            questions=tuple(replace(question, answer=fill(question.answer)) for question in self.questions),
        )


def filled(words: str, places: Mapping[str, str]) -> str:
    """*words* with each `{name}` that *places* knows replaced; other braces stay as they are."""
    if "{" not in words:
        return words
    pieces = words.split("{")
    whole = pieces[0]
    for piece in pieces[1:]:
        name, brace, rest = piece.partition("}")
        whole += places[name] + rest if brace and name in places else "{" + piece
    return whole


def _blocks(blocks: tuple[Block, ...], places: Mapping[str, str]) -> tuple[Block, ...]:
    return tuple(replace(block, lines=tuple(filled(line, places) for line in block.lines)) for block in blocks)


def _check(check: Check, places: Mapping[str, str]) -> Check:
    fields = tuple(replace(field, value=filled(field.value, places)) for field in check.fields)
    return replace(check, fields=fields, words=filled(check.words, places))


def _act(act: Act, places: Mapping[str, str]) -> Act:
    words, lines = (tuple(filled(each, places) for each in some) for some in (act.words, act.lines))
    return replace(act, words=words, lines=lines)


def _step(step: Step, places: Mapping[str, str]) -> Step:
    return replace(
        step,
        prose=_blocks(step.prose, places),
        acts=tuple(_act(act, places) for act in step.acts),
        expects=tuple(_check(check, places) for check in step.expects),
        nevers=tuple(_check(check, places) for check in step.nevers),
        look=filled(step.look, places),
        hint=filled(step.hint, places),
    )
