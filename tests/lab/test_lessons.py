"""Every lesson of ours, run to its end over real sockets; what they are about, and what they are to answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.lab.living import Guest, living
from tests.lab.test_console import Browser
from twistmail import tasks
from twistmail.lab import site
from twistmail.lab.course import Course, places
from twistmail.lab.crowd import Crowd
from twistmail.lab.lesson import Act
from twistmail.lab.lesson_file import FIELDS, load_all, names_in
from twistmail.lab.pages.lessons import is_teacher
from twistmail.lab.progress import is_through
from twistmail.lab.ring import KINDS
from twistmail.lab.switching import switcher
from twistmail.lab.talk import NotNow
from twistmail.lab.terminal import PROMPT, TerminalLesson
from twistmail.web.page import Asked

LESSONS, PROBLEMS = load_all()
#: Seconds for what still is to happen when the student has done his part.
PATIENCE = 25.0


@pytest.fixture(scope="module")
def class_room(tmp_path_factory) -> Iterator[tuple[object, Course]]:
    with living(tmp_path_factory.mktemp("town")) as (town, _):
        course = Course(town, LESSONS, switcher(town))
        yield town, course
        course.stop()


async def moved(course: Course, student, number: int, step: int) -> bool:
    """Whether the events bring the student to the next step."""
    deadline = reactor.seconds() + PATIENCE
    while course.progress(student, number).step == step and reactor.seconds() < deadline:
        await tasks.sleep(reactor, 0.02)
    return course.progress(student, number).step > step


async def walked(course: Course, number: int) -> None:
    student = course.student(f"student of {number}")
    lesson = course.lesson(number, student)
    course.begin(student, number)
    for place, step in enumerate(lesson.steps):
        if step.acts:
            await course.show(student, number, commands=True)
            assert student.note == "", f"lesson {number}, step {place + 1}: {student.note}"
        if step.done:
            await reached(course, student, number, place)
            course.done(student, number)
        if not await moved(course, student, number, place):
            missing = [check.words for where, check in enumerate(step.expects) if where not in course.progress(student, number).met(place)]
            pytest.fail(f"lesson {number}, step {place + 1} ({step.title}): still waiting for {missing}")
    assert is_through(course.progress(student, number), lesson)


async def reached(course: Course, student, number: int, place: int) -> None:
    """All that a step with a button waits for."""
    wanted = len(course.lesson(number, student).steps[place].expects)
    deadline = reactor.seconds() + PATIENCE
    while len(course.progress(student, number).met(place)) < wanted and reactor.seconds() < deadline:
        await tasks.sleep(reactor, 0.02)


def test_they_are_written_without_mistakes():
    assert list(map(str, PROBLEMS)) == []


@pytest.mark.parametrize("number", [lesson.number for lesson in LESSONS])
@pytest_twisted.ensureDeferred
async def test_it_runs_to_its_end(class_room, number):
    await walked(class_room[1], number)


#: The seventeen questions of the course: where each is answered, live.
QUESTIONS = {
    1: (2, "receive"), 2: (6, "POP3 can receive"), 3: (6, "POP-before-SMTP"), 4: (1, "MUA"), 5: (5, "MSA"), 6: (8, "MTA"), 7: (10, "MDA"),
    8: (7, "MAA"), 9: (1, "PUSH and PULL"), 10: (1, "SMTP is a PUSH"), 11: (6, "POP3 is a PUSH"), 12: (1, "HTTP is a PUSH"),
    13: (12, "need POP or IMAP"),
    14: (12, "inbox formats"), 15: (8, "need to know SMTP"), 16: (8, "Windows MUAs"), 17: (4, "outgoing mail"),
}  # fmt: skip


@pytest.mark.parametrize(("question", "where"), QUESTIONS.items(), ids=str)
def test_each_of_the_seventeen_questions_is_answered_by_steps_that_run(question, where):
    lesson = next(lesson for lesson in LESSONS if lesson.number == where[0])
    (found,) = [one for one in lesson.questions if one.number == question]
    assert where[1] in found.title
    assert len(found.right) == 1
    assert found.shown, "a step has to show it"
    assert all(lesson.steps[place - 1].expects or lesson.steps[place - 1].acts or lesson.steps[place - 1].look for place in found.shown)


def test_no_question_is_asked_twice():
    numbers = [question.number for lesson in LESSONS for question in lesson.questions if question.number]
    assert sorted(numbers) == list(QUESTIONS)


#: What the exam objective LPI 108.3 has people type.
LPI = {
    "newaliases",
    "sendmail -bi", "mailq", "mailq -Ac", "mailq -qR", "sendmail -bp", "sendmail -q", "sendmail -v", "sendmail -bv", "sendmail -t",
    "sendmail -f", "sendmail -bs", "sendmail -bd", "mail", "aliases", "~/.forward", "kill -HUP", "telnet", "dig",
}  # fmt: skip


def test_the_commands_of_the_exam_objective_are_typed():
    assert {name for lesson in LESSONS for step in lesson.steps for name in step.lpi} == LPI


def test_the_words_of_other_servers_are_told_beside_ours():
    text = " ".join(step.hint for lesson in LESSONS for step in lesson.steps)
    assert all(word in text for word in ("postqueue -p", "postconf -n", "exim -bp", "qmail-qread"))


def test_there_are_twelve_and_every_name_in_braces_is_known(class_room):
    town, _ = class_room
    assert [lesson.number for lesson in LESSONS] == list(range(1, 13))
    assert set().union(*map(names_in, LESSONS)) <= set(places(town, "alice@blue.test", "demo"))


def test_the_kinds_of_events_that_can_be_waited_for_are_those_of_the_ring():
    assert set(FIELDS) == set(KINDS)


@pytest_twisted.ensureDeferred
async def test_what_does_not_go_as_the_lesson_says_is_told(class_room):
    _, course = class_room
    act = Act("type", ("green", "mx"), ("EHLO pc.test -> 250", "DATA -> 354"))
    with pytest.raises(NotNow, match="wanted '354', heard '503"):
        await course.driver.do_all([act])
    with pytest.raises(NotNow, match="there is no ssh"):
        await course.driver.do_all([Act("type", ("green", "ssh"), ("x",))])
    with pytest.raises(NotNow, match="no fault called"):
        await course.driver.do_all([Act("switch", ("moon-off", "green", "on"))])
    with pytest.raises(NotNow, match="is no value of MX"):
        await course.driver.do_all([Act("zone", ("green.test", "MX", "what?"))])
    with pytest.raises(NotNow, match="by you, in a terminal"):
        await course.driver.do_all([Act("run", ("green", "mailq"))], commands=False)


@pytest_twisted.ensureDeferred
async def test_many_students_write_at_once_and_a_second_round_waits(class_room):
    town, course = class_room
    crowd = Crowd(town, course.driver)
    await crowd.write(6, 2)
    assert (crowd.round.sent, crowd.round.failed, crowd.round.is_over) == (12, 0, True)
    for students, letters in ((0, 1), (61, 1), (1, 21)):
        with pytest.raises(NotNow):
            crowd.check(students, letters)


@pytest_twisted.ensureDeferred
async def test_a_lesson_in_a_terminal(class_room):
    town, course = class_room
    written, left = [], []
    lesson = TerminalLesson(town, course, 2, written.append, lambda: left.append(True))
    lesson.begin()
    assert "Step 1 of 7: Say hello" in "".join(written)
    for line in ("nonsense", "hint", "done", "answer 1 b", "answer 9 a", "talk green nowhere", "talk green mx", "EHLO pc.test", "QUIT"):
        await lesson.heard(line)
        await tasks.sleep(reactor, 0.1)
    text = "".join(written)
    assert "I do not know that" in text
    assert "Something is still missing" in text
    assert "No. Look at the steps again." in text
    assert "there are 2 questions" in text
    assert "there is no nowhere in green" in text
    assert "  S 220 mx.green.test" in text
    assert "[x] Green hears your EHLO" in text
    assert "Step 2 of 7: A whole letter" in text
    await lesson.heard("show")
    await moved(course, course.student("terminal"), 2, 1)
    assert "Step 3 of 7" in "".join(written)
    await lesson.heard("quit")
    assert left == [True]
    lesson.close()


@pytest_twisted.ensureDeferred
async def test_in_a_terminal_a_step_is_told_when_its_conversation_is_over_and_a_prompt_follows(class_room):
    town, course = class_room
    written = []
    lesson = TerminalLesson(town, course, 2, written.append, lambda: None)
    lesson.begin()
    for line in ("skip", "skip", "talk green mx", "EHLO pc.test", "DATA"):
        await lesson.heard(line)
        await tasks.sleep(reactor, 0.1)
    said = "".join(written)
    assert said.index("[x] Green says what was expected") < said.index("S 503 5.5.1")
    assert "Step 4 of 7" not in said, "the conversation of step 3 goes on"
    await lesson.heard("~.")
    await tasks.sleep(reactor, 0.1)
    said = "".join(written)
    assert said.index("S 503 5.5.1") < said.index("you have hung up") < said.index("Step 4 of 7")
    assert said.endswith(PROMPT)
    assert said.count(PROMPT) == 4, "at the beginning, behind each skip, behind the conversation"
    for line in ("skip", "skip", "skip"):
        await lesson.heard(line)
    written.clear()
    await lesson.heard("show")
    assert await moved(course, course.student("terminal"), 2, 6)
    said = "".join(written)
    assert "Something is still missing" not in said, "it is on its way"
    assert "This lesson is done." in said
    assert said.endswith(PROMPT)
    lesson.close()


@pytest.fixture(scope="module")
def browser(class_room) -> Iterator[object]:
    town, _ = class_room
    guest = Guest()
    port = reactor.listenTCP(0, site.make(town), interface="127.0.0.1")
    yield Browser(guest, port.getHost().port)
    pytest_twisted.blockon(port.stopListening())
    guest.threads.stop()


@pytest_twisted.ensureDeferred
async def test_a_step_in_the_browser_without_a_script(browser):
    await browser.ask("GET", "/lessons")
    assert "not begun" in (await browser.ask("GET", "/lessons"))[1]
    token = await browser.token("/lessons/2")
    assert "Say hello" in (await browser.ask("GET", "/lessons/2"))[1]
    assert (await browser.ask("POST", "/lessons/2/do", token=token, what="show"))[0] == 303
    for _ in range(100):
        page = (await browser.ask("GET", "/lessons/2"))[1]
        if "step 2 of 7" in page:
            break
        await tasks.sleep(reactor, 0.05)
    assert "step 2 of 7" in page
    assert 'aria-current="step"' in page
    await browser.ask("POST", "/lessons/2/do", token=token, what="answer", question="0", choice="1")
    assert (
        "Look at step 6 and 7 again" in (await browser.ask("GET", "/lessons/2"))[1]
        or "between servers" in (await browser.ask("GET", "/lessons/2"))[1]
    )
    told = json.loads((await browser.ask("GET", "/lessons/2/progress"))[1])
    assert (told["step"], told["answered"], told["right"]) == (2, 1, 0)
    await browser.ask("POST", "/lessons/2/do", token=token, what="again")
    assert "step 1 of 7" in (await browser.ask("GET", "/lessons/2"))[1]


@pytest.mark.parametrize("number", [lesson.number for lesson in LESSONS])
@pytest_twisted.ensureDeferred
async def test_every_lesson_has_a_page_without_gaps(browser, number):
    code, page, _ = await browser.ask("GET", f"/lessons/{number}")
    assert code == 200
    assert not re.search(r"\{(me|password|blue|green|red)[.}]", page)


@pytest.mark.parametrize("path", ["/lessons/sheet", "/lessons/class", "/lessons/load", "/lessons/load/bar", "/find", "/find/now"])
@pytest_twisted.ensureDeferred
async def test_the_teacher_has_pages_of_his_own(browser, path):
    assert (await browser.ask("GET", path))[0] == 200


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        pytest.param("/lessons/99", None, 404, id="no-such-lesson"),
        pytest.param("/lessons/<script>", None, 404, id="no-number"),
        pytest.param("/lessons/99/steps", None, 404, id="no-steps"),
        pytest.param("/lessons/2/do", {"what": "destroy"}, 400, id="no-such-button"),
        pytest.param("/lessons/2/do", {"what": "answer", "question": "-1", "choice": "99999999999"}, 303, id="no-such-answer"),
        pytest.param("/lessons/load", {"students": "9999", "letters": "1"}, 200, id="too-many-students"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bad_wishes(browser, path, form, code):
    await browser.ask("GET", "/lessons")
    if form is None:
        got, page, _ = await browser.ask("GET", path)
    else:
        got, page, _ = await browser.ask("POST", path, token=await browser.token("/lessons/2"), **form)
    assert (got, "<script>alert" in page) == (code, False)


def test_who_does_not_sit_at_the_classroom_s_computer_is_no_teacher():
    assert is_teacher(Asked("GET", "/lessons", client="127.0.0.1"))
    assert not is_teacher(Asked("GET", "/lessons", client="192.168.1.7"))
    assert not is_teacher(Asked("GET", "/lessons"))
