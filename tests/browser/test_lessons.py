"""Every lesson in a real browser, from its first step to its end: ticks, answers and the end come by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import house
from tests.browser.conftest import windows
from tests.browser.student import Student, as_shown
from twistmail.lab.lesson_file import load_all

LESSONS = load_all()[0]


@pytest.fixture(scope="module")
def school(chromium) -> Iterator[house.Classroom]:
    """A classroom for the lessons alone: each begins with an empty one."""
    with house.classroom() as running:
        yield running


@pytest.fixture
def student(chromium, school) -> Iterator[Student]:
    """A student with a browser, in a classroom where nothing has happened yet."""
    with windows(chromium, school.url) as opened:
        window = opened()
        page = window.go("/about")
        page.on("dialog", lambda dialog: dialog.accept())
        with page.expect_navigation():
            page.get_by_role("button", name="Reset everything").click()
        yield Student(window, lambda: opened(beside=window))


@pytest.mark.parametrize("lesson", [pytest.param(lesson, id=f"lesson-{lesson.number}") for lesson in LESSONS])
def test_it_is_gone_through_to_its_end(student, school, lesson):
    lesson = as_shown(lesson, school)
    student.opens(lesson.number)
    for place, step in enumerate(lesson.steps, 1):
        student.step(place, step)
    for number, question in enumerate(lesson.questions):
        if question.choices:
            student.answers(number, question.right[0])
    assert student.is_told_of_the_end()
    assert student.has_not_reloaded
    assert student.sees_in_the_list(lesson.number) == "done"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_link_in_its_text_opens_beside_it(chromium, school, width):
    with windows(chromium, school.url) as opened:
        page = opened(width).go("/lessons/1")
        with page.expect_event("framenavigated", lambda frame: frame.url.endswith("/inbox")):
            page.locator("#step-1").get_by_role("link", name="inbox").first.click()
        assert page.url.endswith("/lessons/1")
        in_sight = "document.querySelector('#look').getBoundingClientRect().top < innerHeight"
        house.until(lambda: page.evaluate(in_sight), "the frame is in sight")
