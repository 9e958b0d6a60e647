"""A class that really runs: several students at once, each by himself."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.lab.living import Guest, living, wait_for
from tests.lab.test_owners import ANNA, BEN, LAN
from tests.lab.test_rules import browser_of, insist_on_allowed_forms
from twistmail import tasks
from twistmail.lab import site
from twistmail.lab.console import LETTERS, Console
from twistmail.lab.course import Course
from twistmail.lab.crowd import Crowd
from twistmail.lab.lesson_file import load_all
from twistmail.lab.switching import switcher
from twistmail.lab.talk import NotNow
from twistmail.lab.town import Town


@pytest.fixture(scope="module")
def class_room(tmp_path_factory) -> Iterator[tuple[Town, Guest, Course]]:
    with living(tmp_path_factory.mktemp("town"), LAN) as (town, guest):
        course = Course(town, load_all()[0], switcher(town))
        yield town, guest, course
        course.stop()


@pytest_twisted.ensureDeferred
async def test_one_student_s_lesson_does_not_go_on_by_what_another_one_does(class_room):
    town, _, course = class_room
    anna, ben, teacher = (course.student(name, *rest) for name, *rest in
                          ((ANNA.account, ANNA.account, ANNA.password), (BEN.account, BEN.account, BEN.password), ("cookie",)))  # fmt: skip
    for student in (anna, ben, teacher):
        course.begin(student, 2)
    console = Console(town)
    held = await console.open(ANNA.account, "green", "mx")
    await console.say(held, "EHLO pc.test")
    assert course.progress(anna, 2).ticks
    assert course.progress(ben, 2).ticks == course.progress(teacher, 2).ticks == ()
    assert console.about(held), "the office's own name of the connection is found"
    console.stop()


@pytest_twisted.ensureDeferred
async def test_what_is_shown_to_a_student_is_shown_to_him_alone(class_room):
    town, _, course = class_room
    anna, ben = (course.student(one.account, one.account, one.password) for one in (ANNA, BEN))
    for student in (anna, ben):
        course.begin(student, 1)
        course.skip(student, 1) if not course.lesson(1, student).steps[0].acts else None
    before = course.progress(ben, 1)
    last = town.ring.last
    await course.show(anna, 1, commands=False, breaks=False)
    assert anna.note == ""
    await wait_for(town, "store", "green", after=last, account="carol@green.test")
    assert course.progress(anna, 1).ticks
    assert course.progress(ben, 1) == before


@pytest_twisted.ensureDeferred
async def test_who_works_in_another_office_goes_through_the_lessons_as_somebody_of_the_first(class_room):
    town, _, course = class_room
    ben = course.student(BEN.account, BEN.account, BEN.password)
    assert course.acting(ben) == ("alice@blue.test", "demo")
    assert course.acting(course.student(ANNA.account, ANNA.account, ANNA.password)) == (ANNA.account, ANNA.password)
    course.begin(ben, 5)
    for place, step in enumerate(course.lesson(5, ben).steps[:6]):
        await course.show(ben, 5, commands=False, breaks=False)
        assert ben.note == ""
        while course.progress(ben, 5).step == place and not step.done:
            await tasks.sleep(reactor, 0.02)
    assert course.progress(ben, 5).step == 6
    page = site.make(town, gates=(town.door,))
    shown = browser_of(page, account="s02", password=BEN.password).get("/lessons/5").body
    assert "In the lessons you are <b>alice@blue.test</b>" in shown
    assert "In the lessons you are" not in browser_of(page, account="s01", password=ANNA.password).get("/lessons/5").body


def test_many_may_write_in_the_name_of_who_is_everybody_s(class_room):
    database = class_room[0].service("blue").foundation.database
    assert "1800" in str(database.get("alice@blue.test").rate)
    assert not database.get(ANNA.account).rate


@pytest_twisted.ensureDeferred
async def test_thirty_students_at_once_are_those_of_the_class_with_their_passwords(class_room):
    town, _, course = class_room
    crowd = Crowd(town, course.driver)
    people = sum(len(office.people) for office in town.offices)
    await crowd.write(people, 1)
    assert (crowd.round.sent, crowd.round.trouble) == (people, "")


@pytest_twisted.ensureDeferred
async def test_letters_by_hand_are_counted_for_each_student(class_room):
    town, _, _ = class_room
    console = Console(town)
    held = await console.open(ANNA.account, "green", "mx")
    await console.say(held, "EHLO pc.test")
    await console.say(held, "MAIL FROM:<s01@blue.test>\nRSET\n" * LETTERS)
    with pytest.raises(NotNow, match=r"not sent: .* Wait \d+ min"):
        await console.say(held, "mail from:<s01@blue.test>")
    other = await console.open(BEN.account, "green", "mx")
    await console.say(other, "EHLO pc.test\nMAIL FROM:<s02@green.test>")
    assert any(said.text.startswith("250 2.1.0") for said in other.talk.said)
    console.stop()




@pytest_twisted.ensureDeferred
async def test_the_queue_offers_orders_about_his_own_letters_and_says_whose_the_others_are(class_room):
    town, guest, _ = class_room

    def write(student, subject):
        office = student.account.partition("@")[2].partition(".")[0]
        with smtplib.SMTP("127.0.0.1", town.ports[office, "submission"], "pc.test", timeout=10) as client:
            client.login(student.account, student.password)
            client.sendmail(student.account, ["mallory@red.test"], f"Subject: {subject}\r\n\r\nHello\r\n")

    await town.switch_off("red")
    last = town.ring.last
    for student, subject in ((ANNA, "Mine"), (BEN, "His")):
        await guest.do(write, student, subject)
    for office in ("blue", "green"):
        await wait_for(town, "queue", office, after=last, state="waiting")
    pages = site.make(town, gates=(town.door,))
    rows = {row: row.count("/queue/order") for row in await seen_in_the_queue(pages, ANNA)}
    assert {words: count for row, count in rows.items() for words in ("Mine", "His") if f">{words}<" in row} == {"Mine": 1, "His": 0}
    whole = browser_of(pages, account="s01", password=ANNA.password).get("/queue").body
    assert "Orders are given about letters that one has sent oneself" in whole
    assert "/clock" not in whole
    await town.switch_on("red")


@pytest_twisted.ensureDeferred
async def test_the_switches_are_seen_by_a_student_and_pressed_by_the_teacher(class_room):
    town, _, _ = class_room
    pages = site.make(town, gates=(town.door,))
    anna = browser_of(pages, account="s01", password=ANNA.password)
    town.zones.break_name("green.test", "SERVFAIL")
    for path in ("/net", "/net/board"):
        body = anna.get(path).body
        insist_on_allowed_forms(body)
        assert "<button" not in body.partition("<main")[2]
        assert "green.test</span> DNS: SERVFAIL" in body
    assert "To break and to mend is the teacher" in anna.get("/net").body
    assert "<button" in browser_of(pages, code=LAN.teacher).get("/net/board").body
    zones = anna.get("/dns/zones").body
    assert "SERVFAIL" in zones
    assert "<code>10 mx.green.test" in zones
    town.zones.break_name("green.test", "")


async def seen_in_the_queue(pages, student) -> list[str]:
    body = browser_of(pages, account=student.account, password=student.password).get("/queue").body
    return body.partition("<tbody>")[2].split("<tr ")[1:]
