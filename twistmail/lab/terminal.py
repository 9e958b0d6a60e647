"""A lesson in a terminal: instructions, a prompt, ticks as they come. The same lesson, course and checks as in the browser.

`TerminalLesson` is given lines and writes text; `attach` ties it to the standard input and output of the process.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import stdio
from twisted.protocols.basic import LineReceiver

from twistmail import tasks
from twistmail.lab.course import Course
from twistmail.lab.lesson import Act, Block, Lesson
from twistmail.lab.progress import Progress, is_through
from twistmail.lab.prose import plain
from twistmail.lab.ring import Event
from twistmail.lab.talk import NotNow, Said, Talk

WIDTH = 100
PROMPT = "lesson> "
#: What ends a conversation by hand, as in telnet.
HANG_UP = "~."
HELP = """\
  talk OFFICE SERVICE   speak by hand, such as: talk green mx   (also submission, pop3, imap); a line with ~. hangs up
  done                  you have done what the step asks for (where it does not notice by itself)
  show                  have the step done for you
  hint                  a hint
  step                  the step once more
  skip                  on to the next step
  answer N LETTER       answer question N
  quit                  stop the classroom"""


class TerminalLesson:
    """*write* puts text on the terminal; *leave* ends the classroom."""

    def __init__(self, town: Any, course: Course, number: int, write: Callable[[str], None], leave: Callable[[], None]) -> None:
        self._town = town
        self._course = course
        self._number = number
        self._write = write
        self._leave = leave
        self._talk: Talk | None = None
        self._student = course.student("terminal")
        self._seen = course.progress(self._student, number)
        self._step_told = 0
        self._has_prompt = False
        self._stop = town.ring.listen(self._happened)

    @property
    def _lesson(self) -> Lesson:
        lesson = self._course.lesson(self._number, self._student)
        assert lesson is not None, "the command has looked before"
        return lesson

    @property
    def _progress(self) -> Progress:
        return self._course.progress(self._student, self._number)

    def begin(self) -> None:
        tasks.start(self._course.enter(self._student, self._number, leads=True), "entering a lesson")
        self._course.begin(self._student, self._number)
        self._seen = self._progress
        lesson = self._lesson
        self._say("", f"Lesson {lesson.number}: {lesson.title}", *folded(plain(lesson.goal)), "", *shown(lesson.prose))
        self._tell_step()
        self._prompt()

    def close(self) -> None:
        """Hear no more events."""
        self._stop()
        if self._talk is not None:
            self._talk.close()

    async def heard(self, line: str) -> None:
        """A line that somebody has typed."""
        self._has_prompt = False
        try:
            if self._talk is not None:
                self._say_by_hand(self._talk, line)
            else:
                await self._command(line.split())
        except NotNow as trouble:
            self._say(str(trouble))
        self._look()
        self._prompt()

    def _prompt(self) -> None:
        if self._talk is None and not self._has_prompt:
            self._has_prompt = True
            self._write(PROMPT)

    # ----- commands

    async def _command(self, words: list[str]) -> None:
        match words:
            case []:
                pass
            case ["talk", office, service]:
                await self._begin_talk(office, service)
            case ["done"]:
                self._course.done(self._student, self._number)
                self._note()
            case ["show"]:
                await self._course.show(self._student, self._number, commands=True)
                self._say(*folded(self._student.note))
            case ["skip"]:
                self._course.skip(self._student, self._number)
            case ["step"]:
                self._tell_step()
            case ["hint"]:
                self._say(*folded(plain(self._step_hint() or "There is no hint for this step.")))
            case ["answer", question, letter]:
                self._answer(question, letter)
            case ["quit" | "exit"]:
                self._has_prompt = True  # the last one
                self._leave()
            case _:
                self._say("" if words == ["help"] else "I do not know that. You may say:", HELP)

    def _step_hint(self) -> str:
        place = self._progress.step
        return self._lesson.steps[place].hint if place < len(self._lesson.steps) else ""

    def _note(self) -> None:
        if self._student.note:
            self._say(*folded(self._student.note))
        elif self._progress == self._seen and not is_through(self._progress, self._lesson):
            self._say("Something is still missing: say step to see what.")

    def _answer(self, number: str, letter: str) -> None:
        questions = self._lesson.questions
        if not number.isdigit() or not 1 <= int(number) <= len(questions) or not questions[int(number) - 1].choices:
            raise NotNow(f"there are {len(questions)} questions, and this is none that one chooses an answer for")
        question, choice = questions[int(number) - 1], ord(letter[0].lower()) - ord("a")
        if not 0 <= choice < len(question.choices):
            raise NotNow("there is no such answer")
        self._course.answer(self._student, self._number, int(number) - 1, choice)
        right = choice in question.right
        self._say(*folded(("Right. " if right else "No. ") + plain(question.answer if right else "Look at the steps again.")))

    # ----- by hand

    async def _begin_talk(self, office: str, service: str) -> None:
        held = await self._course.driver.connected(office, service)
        for said in held.said:
            self._tell_said(said)
        held.listener = self._tell_said
        self._talk = held
        self._say(f"(you are connected; {HANG_UP} hangs up)")

    def _say_by_hand(self, held: Talk, line: str) -> None:
        if held.closed:
            self._talk = None
        elif line == HANG_UP:
            held.close()  # which is told, and ends the conversation
        else:
            held.say(line)

    def _tell_said(self, said: Said) -> None:
        if said.side != "C":
            self._say(f"  {said.side} {said.text}")
        if said.side == "-" and self._talk is not None and self._talk.closed:
            self._talk = None
            self._look()
            self._prompt()

    # ----- what has come

    def _happened(self, event: Event) -> None:
        if self._has_prompt and self._progress is not self._seen:
            self._has_prompt = False
            self._say("")
            self._look()
            self._prompt()
        else:
            self._look()

    def _look(self) -> None:
        """Tell what is new since the last time. The next step is told behind a conversation, whose last answer is still to come."""
        now, before = self._progress, self._seen
        self._seen, lesson = now, self._lesson
        for tick in now.ticks:
            if tick not in before.ticks:
                self._say(f"  [x] {plain(lesson.steps[tick.step].expects[tick.check].words)}")
        if now.spoilt and not before.spoilt:
            self._say("  That must not happen meanwhile: say done to begin the step again.")
        if now.step != self._step_told and self._talk is None:
            self._tell_step()

    def _tell_step(self) -> None:
        lesson, place = self._lesson, self._progress.step
        self._step_told = place
        if place >= len(lesson.steps):
            self._say("", "This lesson is done.", *asked(lesson), "", "quit stops the classroom.")
            return
        step = lesson.steps[place]
        met = self._progress.met(place)
        self._say("", f"Step {place + 1} of {len(lesson.steps)}: {plain(step.title)}", *shown(step.prose))
        self._say(*(line for act in step.acts for line in told(act, self._town)))
        self._say(*(f"  [{'x' if where in met else ' '}] {plain(check.words)}" for where, check in enumerate(step.expects)))
        if step.done:
            self._say(f"Say done: {plain(step.done)}.")

    def _say(self, *lines: str) -> None:
        self._write("".join(f"{line}\n" for line in lines))


# ----- text


def folded(words: str, indent: str = "") -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def shown(blocks: Iterable[Block]) -> list[str]:
    """Prose as lines."""
    lines: list[str] = []
    for block in blocks:
        if block.kind == "text":
            lines += [*folded(plain(block.lines[0])), ""]
        elif block.kind == "list":
            lines += [line for entry in block.lines for line in textwrap.wrap("- " + plain(entry), WIDTH, subsequent_indent="  ")] + [""]
        else:
            lines += [*("    " + line for line in block.lines), ""]
    return lines


def told(act: Act, town: Any) -> list[str]:
    """What a step asks for, as lines."""
    match act.kind:
        case "type":
            port = town.ports.get(tuple(act.words[:2]), "")
            return [f"  talk {act.words[0]} {act.words[1]}          (or: telnet 127.0.0.1 {port})", *("    " + line for line in act.lines)]
        case "run":
            words = act.words[1 : act.words.index("->")] if "->" in act.words else act.words[1:]
            given = [" <<'.'", *("    " + line for line in act.lines), "    ."] if act.lines else [""]
            config = f"    TWISTMAIL_CONFIG={town.config_file(act.words[0])}"
            return ["  in another terminal:", config + " " + " ".join(words) + given[0], *given[1:]]
        case "send":
            return [f"  a letter {act.letter}"]
        case "clock":
            return [f"  let {act.words[0][1:]} pass (show does it, or the buttons in the browser)"]
        case _:
            return [f"  {act.kind}: {' '.join(act.words)}   (show does it, or the page in the browser)"]


def asked(lesson: Lesson) -> list[str]:
    """The questions, to be answered."""
    lines = ["", "Questions:"] if lesson.questions else []
    for number, question in enumerate(lesson.questions, 1):
        lines += folded(f"{number}. {plain(question.title)}")
        lines += [f"     {chr(ord('a') + place)}) {plain(choice.words)}" for place, choice in enumerate(question.choices)]
    return lines + ([f"Say, for example: answer 1 {'a'}"] if lesson.questions else [])


# ----- the real one


class Keyboard(LineReceiver):
    """Lines of the standard input, one after the other."""

    delimiter = b"\n"
    MAX_LENGTH = 8000

    def __init__(self, lesson: TerminalLesson, leave: Callable[[], None]) -> None:
        self._lesson = lesson
        self._leave = leave
        self._turns = tasks.Limit(1)

    def lineReceived(self, line: bytes) -> None:
        tasks.start(self._hear(line.decode("utf-8", "replace").rstrip("\r")), "a line of the terminal")

    async def _hear(self, line: str) -> None:
        async with self._turns:
            await self._lesson.heard(line)

    def connectionLost(self, reason: Any = None) -> None:
        self._leave()


def attach(town: Any, course: Course, number: int) -> TerminalLesson:
    """The lesson at the terminal of this process, until its end or that of the input."""

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def leave() -> None:
        lesson.close()
        if town.reactor.running:
            town.reactor.stop()

    lesson = TerminalLesson(town, course, number, write, leave)
    stdio.StandardIO(Keyboard(lesson, leave), reactor=town.reactor)
    lesson.begin()
    return lesson
