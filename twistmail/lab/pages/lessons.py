"""The lessons in the browser: text and steps with their ticks, the page that belongs to a step beside them; for the teacher more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from twistmail import tasks
from twistmail.lab.course import Course, Student
from twistmail.lab.crowd import Crowd
from twistmail.lab.lesson import Lesson
from twistmail.lab.lesson_file import load_all
from twistmail.lab.progress import Progress, as_json
from twistmail.lab.rules import owner_of, seat_of
from twistmail.lab.switching import switcher
from twistmail.lab.talk import NotNow
from twistmail.web.page import Answer, Asked, Route, json, see_other, text
from twistmail.web.templates import Renderer

NOT_YOURS = "This page is the teacher's: it is shown at the computer that the classroom runs on.\n"


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    pages = LessonPages(town, render)
    return (
        Route("GET", "/lessons", pages.overview),
        Route("GET", "/lessons/sheet", pages.sheet),
        Route("GET", "/lessons/class", pages.whole_class),
        Route("GET", "/lessons/class/rows", pages.class_rows),
        Route("GET", "/lessons/load", pages.load),
        Route("GET", "/lessons/load/bar", pages.load_bar),
        Route("POST", "/lessons/load", pages.begin_load),
        Route("GET", "/lessons/{number}", pages.lesson),
        Route("GET", "/lessons/{number}/steps", pages.steps),
        Route("GET", "/lessons/{number}/progress", pages.progress),
        Route("POST", "/lessons/{number}/do", pages.do),
    )


class LessonPages:
    """The handlers, with the course that they show."""

    def __init__(self, town: Any, render: Renderer) -> None:
        self._town = town
        self._render = render
        lessons, _ = load_all()  # a test looks whether anything is wrong with them
        self.course = Course(town, lessons, switcher(town))
        self._crowd = Crowd(town, self.course.driver)

    # ----- for everybody

    async def overview(self, asked: Asked) -> Answer:
        student = self._student(asked)
        known = [(lesson, student.progress.get(lesson.number)) for lesson in self._all(student)]
        return self._render.page(
            asked, "lessons.html", title="Lessons", lessons=known, teacher=self._is_teacher(asked)
        )

    async def lesson(self, asked: Asked) -> Answer:
        await self._enter(asked)
        found = self._found(asked)
        if found is None:
            return self._missing(asked)
        student, lesson, progress = found
        numbers = self.course.numbers
        place = numbers.index(lesson.number)
        return self._render.page(
            asked, "lesson.html", title=f"Lesson {lesson.number}: {lesson.title}", kinds=" ".join(kinds_of(lesson)),
            look=look_of(lesson, progress), before=numbers[place - 1] if place else None,
            behind=numbers[place + 1] if place + 1 < len(numbers) else None,
            **self._shown(asked, student, lesson, progress),
        )  # fmt: skip

    async def steps(self, asked: Asked) -> Answer:
        found = self._found(asked)
        return self._missing(asked) if found is None else self._render.fragment(asked, "lesson_steps.html", **self._shown(asked, *found))

    async def progress(self, asked: Asked) -> Answer:
        found = self._found(asked)
        return self._missing(asked) if found is None else json(as_json(found[2], found[1]))

    async def do(self, asked: Asked) -> Answer:
        await self._enter(asked)
        found = self._found(asked)
        if found is None:
            return self._missing(asked)
        student, lesson, _ = found
        match asked.form.get("what", ""):
            case "done":
                self.course.done(student, lesson.number)
            case "skip":
                self.course.skip(student, lesson.number)
            case "again":
                await self.course.again(student, lesson.number, leads=self._is_teacher(asked))
            case "show":
                await self.course.show(student, lesson.number, commands=is_teacher(asked), breaks=self._is_teacher(asked))
            case "answer":
                self.course.answer(student, lesson.number, _number(asked.form.get("question")), _number(asked.form.get("choice")))
            case _:
                return text("There is no such button.\n", 400)
        return see_other(f"/lessons/{lesson.number}")

    # ----- for the teacher

    async def sheet(self, asked: Asked) -> Answer:
        """The answers, to print."""
        return self._for_teacher(asked, "lessons_sheet.html", "Answers", lessons=self._all(self._student(asked)))

    async def whole_class(self, asked: Asked) -> Answer:
        """Who is how far."""
        return self._for_teacher(asked, "lessons_class.html", "Who is how far", **self._how_far())

    async def class_rows(self, asked: Asked) -> Answer:
        if not self._is_teacher(asked):
            return text(NOT_YOURS, 403)
        return self._render.fragment(asked, "lessons_class_rows.html", **self._how_far())

    def _how_far(self) -> Mapping[str, Any]:
        """`rows`: (student, name, lessons that he has begun with his progress); `idle`: students of the class who have begun none."""
        names = {one.account: one.name for one in self._town.lan.students} if self._town.lan is not None else {}
        begun = sorted((one for one in self.course.students() if one.progress), key=lambda one: (one.account not in names, one.account))
        rows = [
            (student, names.get(student.account, student.name[:6]),
             [(lesson, student.progress[number]) for number in sorted(student.progress)
              if (lesson := self.course.lesson(number, student)) is not None])
            for student in begun
        ]  # fmt: skip
        there = {student.account for student, *_ in rows}
        return {"rows": rows, "idle": [account for account in names if account not in there]}

    async def load(self, asked: Asked) -> Answer:
        return self._for_teacher(asked, "lessons_load.html", "Thirty students at once", round=self._crowd.round, trouble="")

    async def load_bar(self, asked: Asked) -> Answer:
        if not self._is_teacher(asked):
            return text(NOT_YOURS, 403)
        return self._render.fragment(asked, "lessons_load_bar.html", round=self._crowd.round)

    async def begin_load(self, asked: Asked) -> Answer:
        if not self._is_teacher(asked):
            return text(NOT_YOURS, 403)
        students, letters = _number(asked.form.get("students")), _number(asked.form.get("letters"))
        try:
            self._crowd.check(students, letters)
        except NotNow as trouble:
            return self._for_teacher(asked, "lessons_load.html", "Thirty students at once", round=self._crowd.round, trouble=str(trouble))
        tasks.start(self._crowd.write(students, letters), "thirty students")
        return see_other("/lessons/load")

    # ----- what they share

    def _student(self, asked: Asked) -> Student:
        who = getattr(self._town, "who", None)  # in a class on the network: {browser: (account, password)}
        account, password = who(asked) if who is not None else ("", "")
        name = owner_of(self._town, asked)
        if account:
            return self.course.student(name, account, password)
        return self.course.student(name, only_looks=not seat_of(self._town, asked).is_teacher)

    def _is_teacher(self, asked: Asked) -> bool:
        return is_teacher(asked) or (self._town.lan is not None and seat_of(self._town, asked).is_teacher)

    def _all(self, student: Student) -> list[Lesson]:
        return [lesson for number in self.course.numbers if (lesson := self.course.lesson(number, student)) is not None]

    def _found(self, asked: Asked) -> tuple[Student, Lesson, Progress] | None:
        student, number = self._student(asked), _number(asked.names["number"])
        lesson = self.course.lesson(number, student)
        return None if lesson is None else (student, lesson, self.course.progress(student, number))

    async def _enter(self, asked: Asked) -> None:
        """Before it is looked how far he is: what another lesson has left is put away first."""
        await self.course.enter(self._student(asked), _number(asked.names["number"]), leads=self._is_teacher(asked))

    def _shown(self, asked: Asked, student: Student, lesson: Lesson, progress: Progress) -> Mapping[str, Any]:
        configs = {office["name"]: office["config"] for office in self._town.lines()["offices"]}
        shown = {"student": student, "lesson": lesson, "progress": progress, "ports": self._town.ports, "configs": configs}
        acting, word = self.course.acting(student)
        return shown | {"teacher": self._is_teacher(asked), "acting": "" if acting == student.account else acting, "acting_password": word}

    def _missing(self, asked: Asked) -> Answer:
        return text("There is no such lesson.\n", 404) if asked.by_script else self._render.page(
            asked, "problem.html", title="Sorry", code=404, words=f"There is no lesson {asked.names['number'][:20]}.")  # fmt: skip

    def _for_teacher(self, asked: Asked, template: str, title: str, **values: Any) -> Answer:
        if not self._is_teacher(asked):
            return self._render.page(asked, "problem.html", title="Sorry", code=403, words=NOT_YOURS)
        return self._render.page(asked, template, title=title, **values)


def is_teacher(asked: Asked) -> bool:
    """Who sits at the computer that the classroom runs on."""
    try:
        return ip_address(asked.client).is_loopback
    except ValueError:
        return False


def kinds_of(lesson: Lesson) -> Sequence[str]:
    """The kinds of events that a lesson waits for."""
    return sorted({check.kind for step in lesson.steps for check in (*step.expects, *step.nevers)} | {"switch", "clock"})


def look_of(lesson: Lesson, progress: Progress) -> str:
    """The page that belongs to the present step."""
    step = lesson.steps[progress.step] if progress.step < len(lesson.steps) else lesson.steps[-1]
    return step.look or lesson.look


def _number(words: str | None) -> int:
    """-1 for what is none."""
    return int(words) if words and words.isascii() and words.isdigit() and len(words) < 9 else -1
