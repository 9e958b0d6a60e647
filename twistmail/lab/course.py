"""A class that goes through the lessons: each student's progress, as the ring tells it.

A student is a browser, or a terminal. `progress` says what an event means for him, `driver` does a step for who is stuck.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twistmail import tasks
from twistmail.lab.aftermath import Aftermath
from twistmail.lab.console import plain
from twistmail.lab.driver import Driver
from twistmail.lab.lesson import Lesson
from twistmail.lab.offices import PASSWORD
from twistmail.lab.owners import EVERYBODY
from twistmail.lab.progress import Progress, after, answered, begun, finished, is_through, skipped
from twistmail.lab.ring import Event
from twistmail.lab.talk import NotNow

#: Students without an account of their own that are remembered. Those of a class have one, and the roster ends.
MOST_STUDENTS = 200
#: Seconds that a step may take when it is done for somebody.
PATIENCE = 90.0


@dataclass
class Student:
    """`account` and `password`: as whom he works; `is_own`: that account is his and nobody else's. `only_looks`: he may do nothing.

    `progress`: by number of the lesson. `present`: the one that he is in; 0: none. `note`: what he is told last.
    """

    name: str
    account: str
    password: str
    is_own: bool = False
    only_looks: bool = False
    progress: dict[int, Progress] = field(default_factory=dict)
    present: int = 0
    note: str = ""


class Course:
    """*town*: the class's offices, ring, clock and ports. *switch*(words, on): the switch board's."""

    def __init__(
        self, town: Any, lessons: Sequence[Lesson], switch: Callable[[Sequence[str], bool], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._town = town
        self._lessons = {lesson.number: lesson for lesson in lessons}
        self._filled: dict[tuple[int, str], Lesson] = {}
        self._students: dict[str, Student] = {}
        self._aftermath = Aftermath(town)
        self.driver = Driver(town, town.password_of, switch)
        self._stop = town.ring.listen(self._hear)

    def stop(self) -> None:
        """No more events; the threads end. Blocking."""
        self._stop()
        self.driver.stop()

    @property
    def numbers(self) -> list[int]:
        return sorted(self._lessons)

    # ----- students

    def student(self, name: str, account: str = "", password: str = PASSWORD, *, only_looks: bool = False) -> Student:
        """Who is called so (a browser's cookie); made where there is none yet."""
        found = self._students.pop(name, None)
        if found is None or (account and account != found.account):
            found = Student(name, account or self._town.offices[0].accounts[0], password, is_own=bool(account))
        found.only_looks = only_looks  # until he says who he is
        self._students[name] = found
        self._make_room()
        return found

    def _make_room(self) -> None:
        """Whoever has said the code alone can be as many browsers as he likes: these go first, then who was not here for longest."""
        others = [one for one in self._students.values() if not one.is_own]
        if len(others) > MOST_STUDENTS:
            del self._students[next((one for one in others if one.only_looks), others[0]).name]

    def students(self) -> tuple[Student, ...]:
        return tuple(self._students.values())

    def acting(self, student: Student) -> tuple[str, str]:
        """(account, password) of whom he is in the lessons. They begin in the first office: who works elsewhere is the first of its people,
        who is everybody's."""
        first = self._town.offices[0]
        if student.account in first.accounts:
            return student.account, student.password
        return first.accounts[0], self._town.password_of(first.accounts[0])

    def lesson(self, number: int, student: Student) -> Lesson | None:
        """Lesson *number* with everything in its place for *student*."""
        lesson = self._lessons.get(number)
        if lesson is None:
            return None
        account, password = self.acting(student)
        key = (number, account)
        if key not in self._filled:
            if len(self._filled) > MOST_STUDENTS:
                self._filled.clear()
            self._filled[key] = lesson.filled(places(self._town, account, password))
        return self._filled[key]

    # ----- coming and going

    async def enter(self, student: Student, number: int, *, leads: bool) -> None:
        """He is in lesson *number* now. What the one that he comes from has set up is put back once nobody is in it any more.

        *leads*: he may do what the whole class feels. Only what somebody who may has begun is put back.
        """
        lesson = self.lesson(number, student)
        if lesson is None or student.only_looks:
            return
        left, student.present = student.present, number
        is_unfinished = left != number and await self._put_back(left, student)
        if leads:
            self._aftermath.begin(lesson)
        self.progress(student, number)
        if is_unfinished:
            student.note = f"You left lesson {left} in the middle. What it had set up, or broken, is as it was before."

    async def again(self, student: Student, number: int, *, leads: bool) -> None:
        """From the first step on, with everything as it was before, if nobody else is in it."""
        student.present = 0
        await self._put_back(number, student)
        await self.enter(student, number, leads=leads)
        self.begin(student, number)

    async def _put_back(self, number: int, student: Student) -> bool:
        """Once nobody is in lesson *number* any more. Whether *student* was not through, and finds something changed."""
        lesson = self.lesson(number, student)
        if lesson is None or any(one.present == number for one in self._students.values()):
            return False
        steps = max((one.progress[number].step for one in self._students.values() if number in one.progress), default=0) + 1
        return await self._aftermath.put_back(lesson, steps) and not is_through(self.progress(student, number), lesson)

    # ----- progress

    def _hear(self, event: Event) -> None:
        whose = self._town.whose
        owners = whose.of(event) if whose is not None else EVERYBODY
        for student in self._students.values():
            if owners and whose.seat_of(student.account) not in owners:
                continue
            for number, progress in student.progress.items():
                lesson = self.lesson(number, student)
                if lesson is not None and (moved := after(progress, lesson, event)) is not progress:
                    student.progress[number] = moved

    def begin(self, student: Student, number: int) -> None:
        """From the first step on, whatever was."""
        student.note = ""
        student.progress[number] = begun(self._town.ring.last)

    def progress(self, student: Student, number: int) -> Progress:
        """Where he is; the lesson begins when it is looked at for the first time."""
        if number not in student.progress:
            self.begin(student, number)
        return student.progress[number]

    def done(self, student: Student, number: int) -> None:
        self._move(student, number, finished)

    def skip(self, student: Student, number: int) -> None:
        self._move(student, number, skipped)

    def _move(self, student: Student, number: int, how: Callable[[Progress, Lesson, int], Progress]) -> None:
        lesson = self.lesson(number, student)
        if lesson is not None:
            student.note = ""
            student.progress[number] = how(self.progress(student, number), lesson, self._town.ring.last)

    def answer(self, student: Student, number: int, question: int, choice: int) -> None:
        lesson = self.lesson(number, student)
        if lesson is not None:
            student.progress[number] = answered(self.progress(student, number), lesson, question, choice)

    async def show(self, student: Student, number: int, *, commands: bool, breaks: bool = True) -> None:
        """Do the present step for him; what came of it is his `note`. *commands* and *breaks* as `Driver.do_all` has them."""
        lesson = self.lesson(number, student)
        progress = self.progress(student, number)
        if lesson is None or is_through(progress, lesson):
            return
        step = lesson.steps[progress.step]
        if not step.acts:
            student.note = "This step is yours: look, think, and press its button."
            return
        driver = self.driver.on_behalf_of(student.account)
        doing = driver.do_all(step.acts, commands=commands, breaks=breaks)
        try:
            await tasks.with_timeout(self._town.reactor, PATIENCE, doing, "a step of a lesson")
            student.note = ""
        except tasks.TimedOut:
            student.note = f"That takes longer than {PATIENCE:.0f} seconds."
        except NotNow as trouble:
            student.note = f"That did not go as it should: {trouble}"


def places(town: Any, account: str, password: str) -> Mapping[str, str]:
    """The names in braces of lessons: {me}, {password}, and of each office {green.mx} and its other ports, {green.config} ..."""
    named = {"me": account, "password": password, "dns": str(town.ports[town.offices[0].name, "dns"])}
    named |= {"me.plain": plain(account, password), "wrong.plain": plain(account, password + "x")}
    named["mallory.plain"] = plain("mallory@red.test", PASSWORD)
    named["me.name"], _, named["me.domain"] = account.partition("@")
    named |= {f"{office}.{service}": str(port) for (office, service), port in town.ports.items()}
    for office in town.offices:
        named |= {f"{office.name}.domain": office.domain, f"{office.name}.host": office.host, f"{office.name}.address": office.address}
    folder = town.lines()["folder"]
    for office in town.offices:
        named |= {f"{office.name}.folder": f"{folder}/{office.name}", f"{office.name}.config": f"{folder}/{office.name}/config.ini"}
    return named
