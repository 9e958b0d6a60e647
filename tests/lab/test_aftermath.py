"""Who leaves a lesson in the middle takes nothing of what it has set up along."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.lab.living import Guest, living, run
from tests.lab.test_console import Browser
from tests.lab.test_lessons import moved
from twistmail.lab import site
from twistmail.lab.course import Course, Student
from twistmail.lab.faults import Board
from twistmail.lab.kept_files import keep, put_back, put_back_all
from twistmail.lab.lesson_file import load_all
from twistmail.lab.switching import switcher
from twistmail.lab.town import Town

Place = tuple[Town, Course]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Guest]]:
    with living(tmp_path_factory.mktemp("town")) as both:
        yield both


@pytest.fixture
def place(whole: tuple[Town, Guest]) -> Iterator[Place]:
    town, _ = whole
    course = Course(town, load_all()[0], switcher(town))
    yield town, course
    course.stop()
    run(town.reset())


def other(town: Town, office: str) -> Path:
    return town.config_file(office).parent / "other.ini"


async def at(course: Course, student: Student, number: int, title: str) -> None:
    """Enter lesson *number*, and have the step with that title shown."""
    await course.enter(student, number, leads=True)
    lesson = course.lesson(number, student)
    assert lesson is not None
    for step in lesson.steps:
        if step.title == title:
            break
        course.skip(student, number)
    await course.show(student, number, commands=True)
    assert student.note == ""


@pytest_twisted.ensureDeferred
async def test_the_smart_host_of_lesson_4_does_not_keep_lesson_8_from_going_on(place: Place) -> None:
    town, course = place
    student = course.student("me")
    await at(course, student, 4, "A smart host: one place for all")
    assert "smarthost" in other(town, "blue").read_text()
    assert await moved(course, student, 4, 6)
    await course.enter(student, 8, leads=True)
    assert student.note.startswith("You left lesson 4 in the middle.")
    assert [other(town, office).read_text() for office in ("blue", "red")] == ["", ""]
    await course.show(student, 8, commands=True)
    assert await moved(course, student, 8, 0)


@pytest_twisted.ensureDeferred
async def test_the_dns_and_the_switches_are_as_they_were(place: Place) -> None:
    town, course = place
    student = course.student("me")
    before = town.zones.records["green.test"] | {}
    await at(course, student, 4, "No mail here")
    assert town.zones.records["green.test"] != before
    await at(course, student, 8, "Green is off")
    assert town.zones.records["green.test"] == before
    assert town.service("green") is None
    await course.enter(student, 1, leads=True)
    assert town.service("green") is not None


@pytest_twisted.ensureDeferred
async def test_what_was_so_before_a_lesson_stays_so(place: Place) -> None:
    town, course = place
    student, board = course.student("me"), Board(town)
    other(town, "blue").write_text("# mine\n")
    town.zones.set("green.test", "MX", ["7 mx.green.test."])
    await board.set("office-off", "green")
    await course.enter(student, 8, leads=True)
    await at(course, student, 4, "A smart host: one place for all")
    assert town.service("green") is None
    await course.enter(student, 8, leads=True)
    assert other(town, "blue").read_text() == "# mine\n"
    assert town.zones.records["green.test"]["MX"] == ["7 mx.green.test."]
    assert town.service("green") is None


@pytest_twisted.ensureDeferred
async def test_steps_that_nobody_has_come_to_are_not_put_back(place: Place) -> None:
    """Lesson 8 closes blue in a later step; who closes it himself meanwhile keeps it closed."""
    town, course = place
    student, board = course.student("me"), Board(town)
    await course.enter(student, 8, leads=True)
    await board.set("office-off", "blue")
    await course.enter(student, 1, leads=True)
    assert town.service("blue") is None


@pytest_twisted.ensureDeferred
async def test_it_stays_while_somebody_else_is_in_the_lesson(place: Place) -> None:
    town, course = place
    teacher, anna, guest = course.student("teacher"), course.student("anna"), course.student("guest", only_looks=True)
    await at(course, teacher, 8, "Green is off")
    await course.enter(anna, 8, leads=False)
    await course.enter(guest, 8, leads=False)
    await course.enter(teacher, 9, leads=True)
    assert town.service("green") is None
    await course.enter(anna, 9, leads=False)
    assert town.service("green") is not None


@pytest_twisted.ensureDeferred
async def test_who_may_break_nothing_mends_nothing_by_leaving(place: Place) -> None:
    town, course = place
    anna = course.student("anna")
    await course.enter(anna, 8, leads=False)
    await town.switch_off("green")
    await course.enter(anna, 9, leads=False)
    assert town.service("green") is None


@pytest_twisted.ensureDeferred
async def test_a_lesson_that_begins_again_begins_with_everything_as_it_was(place: Place) -> None:
    town, course = place
    student = course.student("me")
    await at(course, student, 8, "Green is off")
    await course.again(student, 8, leads=True)
    assert town.service("green") is not None
    assert course.progress(student, 8).step == 0
    await at(course, student, 8, "Green is off")
    await course.enter(student, 1, leads=True)
    assert town.service("green") is not None


@pytest_twisted.ensureDeferred
async def test_who_is_through_hears_nothing_of_it(place: Place) -> None:
    _, course = place
    student = course.student("me")
    await at(course, student, 4, "Without it again")
    lesson = course.lesson(4, student)
    assert lesson is not None
    for _ in lesson.steps:
        course.skip(student, 4)
    await course.enter(student, 8, leads=True)
    assert student.note == ""


@pytest_twisted.ensureDeferred
async def test_pages_leave_a_lesson_when_another_one_is_looked_at(whole: tuple[Town, Guest]) -> None:
    town, guest = whole
    listening: Any = reactor.listenTCP(0, site.make(town), interface="127.0.0.1")  # type: ignore[attr-defined]
    browser: Any = Browser(guest, listening.getHost().port)  # type: ignore[no-untyped-call]
    await browser.ask("GET", "/lessons/8")
    await town.switch_off("green")
    await browser.ask("GET", "/lessons")
    await browser.ask("GET", "/lessons/8/steps")
    assert town.service("green") is None
    assert "You left lesson 8 in the middle." in (await browser.ask("GET", "/lessons/4"))[1]
    assert town.service("green") is not None
    await listening.stopListening()


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[Town, Course]]:
    town = Town(folder, reactor, any_ports=True)
    try:
        await town.start()
        course = Course(town, load_all()[0], switcher(town))
        yield town, course
        course.stop()
    finally:
        await town.stop()


@pytest_twisted.ensureDeferred
async def test_a_classroom_that_ended_in_a_lesson_starts_without_it(tmp_path: Path) -> None:
    async with started(tmp_path) as (town, course):
        other(town, "blue").write_text("# mine\n")
        await course.enter(course.student("me"), 4, leads=True)
        other(town, "blue").write_text("[relay]\nsmarthost = [mx.red.test]\n")
    async with started(tmp_path) as (town, _):
        assert other(town, "blue").read_text() == "# mine\n"
        assert town.service("blue").config["relay"].smarthost == ""  # type: ignore[union-attr]


def test_the_oldest_copy_of_a_file_counts_and_is_used_once(tmp_path: Path) -> None:
    file = tmp_path / "other.ini"
    file.write_text("first")
    keep(file)
    file.write_text("second")
    keep(file)
    assert put_back(file)
    assert file.read_text() == "first"
    assert not put_back(file)
    keep(file)
    put_back_all(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.ini"]
