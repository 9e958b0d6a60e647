"""What a seat of the class may do: each route of the site, by teacher, student, and whoever has said the code alone."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.helpers import result_of
from tests.lab.mailrooms import TownWithMail, letter
from tests.web.visits import Connection
from twistmail.lab import rules, town
from twistmail.lab import site as sites
from twistmail.lab.course import MOST_STUDENTS
from twistmail.lab.door import MOST_WRONG_IN_ALL, Door, Seat, Wrong
from twistmail.lab.driver import Driver
from twistmail.lab.lan import Lan, Student, with_students
from twistmail.lab.lesson import Act
from twistmail.lab.offices import OFFICES
from twistmail.lab.pace import Pace
from twistmail.lab.talk import NotNow
from twistmail.web.page import Asked, Route
from twistmail.web.templates import Renderer

AWAY = "192.168.1.50"
ANNA, BEN = Student("s01@blue.test", "secret-1", "Anna"), Student("s02@green.test", "secret-2")


class Class(TownWithMail):
    """A town of paper with two students; each has a letter, and so has bob."""

    def __init__(self) -> None:
        super().__init__()
        self.lan = Lan("192.168.1.2", (ANNA, BEN), "123456", "teach-me")
        self.offices = with_students(OFFICES, self.lan.students)
        self.door = Door("123456", self.reactor.seconds, self.lan.passwords, "teach-me")
        self.web_port = 8025
        for account in (ANNA.account, BEN.account, "bob@blue.test"):
            self.put(account, letter(f"For {account}"))

    def password_of(self, account: str) -> str:
        return self.lan.password_of(account)

    who = town.Town.who


class Browser:
    """One browser of *client*, with its cookies."""

    def __init__(self, site: Any, client: str = AWAY) -> None:
        self._site, self._client = site, client
        self._cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        line = Connection(self._site, self._client)
        got = line.ask(method, path, body, cookie=cookie, **headers)
        line.leave()
        if "set-cookie" in got.headers:
            name, _, value = got.headers["set-cookie"].partition(";")[0].partition("=")
            self._cookies[name] = value
        return got

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, **fields: str) -> Any:
        page = self.get("/room").body + self.get("/about").body  # who sits at this computer needs no door
        token = re.search('name="token" value="([^"]+)"', page)[1]
        body = urlencode({"token": token, **fields}).encode()
        return self.ask("POST", path, body, content_type="application/x-www-form-urlencoded")


@pytest.fixture
def classroom() -> Class:
    return Class()


@pytest.fixture
def site(classroom: Class) -> Any:
    return sites.make(classroom, gates=(classroom.door,))


def browser_of(site: Any, **said: str) -> Browser:
    """Somebody who has come in with what he *said*."""
    browser = Browser(site)
    browser.get("/room")
    assert browser.post("/room", **{"code": "123456", **said}).headers["location"] == "/"
    return browser


@pytest.fixture
def anna(site: Any) -> Browser:
    return browser_of(site, account="s01", password="secret-1")


@pytest.fixture(scope="module")
def still() -> Any:
    """A site that no test changes."""
    town = Class()
    return sites.make(town, gates=(town.door,))


@pytest.fixture(scope="module")
def still_anna(still: Any) -> Browser:
    return browser_of(still, account="s01", password="secret-1")


def all_routes(classroom: Class) -> tuple[Route, ...]:
    render = Renderer((), lambda asked: {})
    return tuple(route for name in sites.PAGES for route in sites.routes_of(name, classroom, render))


# ----- the table


def test_every_route_that_changes_something_has_a_rule_and_no_rule_is_for_nothing(classroom):
    there = {(route.method, route.pattern) for route in all_routes(classroom)}
    assert {key for key in there if key[0] != "GET"} <= set(rules.RULES)
    assert set(rules.RULES) <= there


def test_what_has_been_forgotten_is_the_teachers():
    async def handler(asked):
        raise AssertionError

    assert rules.rule_of(Route("PATCH", "/new", handler)) is rules.teacher
    assert rules.rule_of(Route("GET", "/new", handler)) is rules.anybody


TEACHERS = sorted(key for key, rule in rules.RULES.items() if rule is rules.teacher)
STUDENTS = sorted(key for key, rule in rules.RULES.items() if rule not in (rules.teacher, rules.anybody))


@pytest.mark.parametrize(("method", "pattern"), TEACHERS)
def test_what_the_class_would_feel_and_what_is_secret_is_the_teachers(still_anna, method, pattern):
    path = re.sub(r"\{\w+\}", "1", pattern)
    got = still_anna.post(path) if method == "POST" else still_anna.ask(method, path)
    assert got.code == 403
    assert got.body == "That is the teacher's.\n"


@pytest.mark.parametrize(("method", "pattern"), STUDENTS)
def test_who_has_said_the_code_alone_looks_and_does_nothing(still, method, pattern):
    got = browser_of(still).post(re.sub(r"\{\w+\}", "1", pattern))
    assert got.code == 403
    assert "/room" in got.body


def test_a_stranger_sees_the_door_and_nothing_else(classroom, still):
    for path in sorted({route.pattern for route in all_routes(classroom)} - {"/town.pem"} | {"/events"}):
        got = Browser(still).get(re.sub(r"\{\w+\*?\}", "1", path))
        assert (got.code == 200) if path == "/room" else (got.headers.get("location") == "/room"), path


# ----- who is who


def test_a_browser_stands_for_its_account_from_then_on(classroom, site, anna):
    assert "s01@blue.test" in anna.get("/").body
    assert "You are s01@blue.test" in anna.get("/room").body
    assert BEN.password not in anna.get("/about").body


@pytest.mark.parametrize(
    "said",
    [
        {"code": "000000"},
        {"code": "123456", "account": "s01", "password": "secret-2"},
        {"code": "123456", "account": "s01"},
        {"code": "123456", "account": "s99", "password": "secret-1"},
        {"code": "123456", "account": "", "password": "secret-1"},
        {"code": "123456", "account": "alice@blue.test", "password": "demo"},
        {"code": "", "account": "s01", "password": "secret-1"},
        {"code": "", "account": "teacher", "password": ""},
        {"code": "\u0661\u0662\u0663456", "account": "\x00", "password": "\ud7ff" * 90},
    ],
)  # fmt: skip
def test_what_is_wrong_at_the_door_lets_nobody_in(site, said):
    browser = Browser(site)
    browser.get("/room")
    assert browser.post("/room", **said).code == 403
    assert browser.get("/").headers["location"] == "/room"


def test_passwords_are_guessed_no_more_often_than_codes(site):
    browser = browser_of(site)
    codes = [browser.post("/room", account="s01", password=str(guess)).code for guess in range(12)]
    assert codes == [403] * 10 + [429] * 2
    assert browser.post("/room", account="s01", password="secret-1").code == 429


def test_the_teacher_lets_those_try_again_who_have_mistyped_too_often(site):
    browser = browser_of(site)
    for guess in range(11):
        browser.post("/room", account="s01", password=str(guess))
    assert browser.post("/room", account="s01", password="secret-1").code == 429
    teacher = Browser(site, "127.0.0.1")
    assert "1 computer has said too many wrong codes" in teacher.get("/room").body
    assert browser.post("/room/forgive").code == 403
    assert teacher.post("/room/forgive").headers["location"] == "/room"
    assert "too many wrong codes" not in teacher.get("/room").body
    assert browser.post("/room", account="s01", password="secret-1").headers["location"] == "/"


def test_the_teacher_lets_a_class_try_again_that_is_locked_out_together(classroom, site):
    for number in range(MOST_WRONG_IN_ALL):
        with pytest.raises(Wrong):
            classroom.door.enter(Asked("POST", "/room", client=f"192.168.1.{number + 20}"), "0")
    browser, teacher = Browser(site), Browser(site, "127.0.0.1")
    said = {"code": "123456", "account": "s01", "password": "secret-1"}
    assert browser.post("/room", **said).code == 429
    assert "nobody is let in for ten minutes" in teacher.get("/room").body
    assert teacher.post("/room/forgive").headers["location"] == "/room"
    assert "Let them try again" not in teacher.get("/room").body
    assert browser.post("/room", **said).headers["location"] == "/"


@pytest.mark.parametrize("forge", [lambda seal: f"s02@green.test.{seal}", lambda seal: f"teacher.{seal}", lambda seal: f".{seal}"])
def test_a_cookie_that_somebody_has_changed_is_none(site, anna, forge):
    anna._cookies["room"] = forge(anna._cookies["room"].rpartition(".")[2])
    assert anna.get("/").headers["location"] == "/room"


def test_the_teacher_is_known_by_his_code_and_his_own_computer_by_nothing(classroom, site):
    for browser in (browser_of(site, code="Teach-Me "), Browser(site, "127.0.0.1")):
        assert browser.get("/projector").code == 200
        assert BEN.password in browser.get("/roster.csv").body
        assert browser.post("/reset").code == 303
    assert classroom.resets == 2


# ----- whose mail

BENS = (
    "/inbox/s02@green.test",
    "/inbox/rows?who=s02@green.test",
    "/inbox/letter/green-s02-INBOX-1",
    "/inbox/letter/green-s02-INBOX-1/html",
    "/inbox/letter/green-s02-INBOX-1/raw",
    "/inbox/letter/green-s02-INBOX-1/part/1",
    "/view/green-s02-INBOX-1.txt",
    "/api/v1/message/green-s02-INBOX-1",
    "/api/v1/message/green-s02-INBOX-1/headers",
    "/api/v1/message/green-s02-INBOX-1/raw",
    "/api/v1/message/green-s02-INBOX-1/part/1",
)


def test_a_student_reads_his_own_mail_and_everybodys_and_nobody_elses(site, anna):
    page = anna.get("/inbox").body
    assert "For s01@blue.test" in page
    assert "For bob@blue.test" in page
    assert "s02@green.test" not in page
    assert page.index("/inbox/s01%40blue.test") < page.index("/inbox/alice%40blue.test")
    for path in BENS:
        assert anna.get(path).code == 404, path
    assert "s02" not in anna.get("/api/v1/messages").body
    assert "s02" not in anna.get("/api/v1/search?query=for").body
    assert "For" not in anna.get("/inbox/compose?answer=green-s02-INBOX-1").body.partition("<form")[2]


def test_he_deletes_his_own_mail_only(classroom, site, anna):
    assert anna.post("/inbox/letter/blue-bob-INBOX-1/delete").code == 403
    assert anna.post("/inbox/letter/green-s02-INBOX-1/delete").code == 403
    assert anna.post("/inbox/letter/green-s02-INBOX-1/unread").code == 403
    assert anna.post("/inbox/letter/blue-bob-INBOX-1/unread").code == 303
    assert anna.post("/inbox/delete", who="everyone").code == 403
    assert anna.post("/inbox/delete").code == 403
    assert anna.post("/inbox/delete", who=ANNA.account).code == 303
    assert classroom.ids() == ["blue-bob-INBOX-1", "green-s02-INBOX-1"]


def test_he_writes_as_himself_or_as_who_is_everybodys(site, anna):
    form = anna.get("/inbox/compose").body
    assert re.findall('<option value="([^"]+@[^"]+)"', form)[:2] == ["s01@blue.test", "alice@blue.test"]
    assert anna.post("/inbox/send", **{"as": BEN.account, "to": "bob@blue.test"}).code == 403
    assert anna.post("/inbox/send", **{"as": "nobody@blue.test", "to": "bob@blue.test"}).code == 422
    assert anna.post("/inbox/send", **{"as": ANNA.account, "to": ""}).code == 422, "it came as far as the form"


def test_orders_on_what_is_not_his_are_refused(site, anna):
    assert anna.post("/queue/order", office="blue", id="aaaaaa-bbbb", order="delete").code == 403
    assert anna.post("/m/aaaaaa-bbbb/orders", order="now").code == 403


# ----- floods


def test_one_who_cannot_stop_is_told_to_wait_and_the_others_work(classroom, site, anna):
    ben = browser_of(site, account="s02", password="secret-2")
    codes = [anna.get("/api/v1/clock").code for _ in range(rules.REQUESTS + 5)]
    assert codes.count(429) >= 5
    assert set(codes) == {200, 429}
    got = anna.get("/inbox")
    assert got.code == 429
    assert 0 < int(got.headers["retry-after"]) <= 60
    assert ben.get("/inbox").code == 200
    classroom.reactor.advance(61)
    assert anna.get("/inbox").code == 200


def test_letters_have_a_pace_of_their_own(classroom, site, anna):
    codes = []
    for _ in range(rules.LETTERS + 2):
        codes.append(anna.post("/inbox/send", **{"as": ANNA.account, "to": ""}).code)
        classroom.reactor.advance(1)
    assert codes == [422] * rules.LETTERS + [429] * 2


def test_streams_of_one_are_few(site, anna):
    ben = browser_of(site, account="s02", password="secret-2")
    stream = f"GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: room={anna._cookies['room']}\r\n\r\n".encode()
    heads = [Connection(site, AWAY).send(stream) for _ in range(10)]
    assert [b" 200 " in head.partition(b"\r\n")[0] for head in heads] == [True] * 8 + [False] * 2
    assert b" 503 " in heads[-1].partition(b"\r\n")[0]
    assert ben.get("/").code == 200


@pytest.mark.parametrize("kind", ["switch", "clock", "zone"])
def test_a_lesson_breaks_nothing_for_the_class_when_a_student_has_it_shown(classroom, kind):
    driver = Driver(classroom, classroom.password_of, None)
    with pytest.raises(NotNow, match="teacher"):
        result_of(driver.do_all([Act("send", ("x",)), Act(kind, ("x",))], breaks=False))
    driver.stop()


def test_who_throws_his_cookies_away_takes_nobodys_place(site, anna):
    """Connections by hand, progress and guesses are the student's, not his browser's."""
    asked = Asked("GET", "/console", client=AWAY, cookies={"browser": "x" * 22, "room": anna._cookies["room"]})
    town = Class()
    assert rules.owner_of(town, asked) == "x" * 22, "of another day"
    town.door = site.gates[0]
    assert rules.owner_of(town, asked) == ANNA.account


def test_a_student_is_offered_no_buttons_that_he_may_not_press(still, still_anna):
    teacher = Browser(still, "127.0.0.1")
    for path, button in (("/inbox", "Delete all"), ("/", 'action="/clock"')):
        assert button in teacher.get(path).body, path
        assert button not in still_anna.get(path).body, path
    assert "Delete all" in still_anna.get("/inbox/s01@blue.test").body
    assert "the teacher does it" in still_anna.get("/dns").body


SEEN = ("/", "/m", "/dns", "/dns/zones", "/console", "/lessons", "/lessons/8", "/about", "/room", "/find",
        "/inbox", "/inbox/letter/blue-bob-INBOX-1", "/inbox/letter/blue-s01-INBOX-1")  # fmt: skip


@pytest.mark.parametrize("path", SEEN)
def test_no_form_of_a_student_s_pages_leads_to_what_is_refused(still, still_anna, path):
    page = still_anna.get(path)
    assert page.code == 200
    insist_on_allowed_forms(page.body)
    assert ("/delete" in page.body) is ("s01" in path)
    assert "the teacher" in page.body or path != "/dns", "a sentence says whose it is"


def insist_on_allowed_forms(body: str) -> None:
    """Whatever a student is shown to press he may press."""
    forms = [form for form in re.findall("<form[^>]*>", body) if 'method="post"' in form]
    for action in (re.search('action="([^"]*)"', form)[1] for form in forms):
        assert rules.rule_of(route_of(action)) is not rules.teacher, action


def route_of(action: str) -> Route:
    """A route without its handler, for the table of rules."""
    found = [pattern for method, pattern in rules.RULES if method == "POST" and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), action)]
    assert len(found) == 1, action
    return Route("POST", found[0], None)


def test_orders_are_offered_about_his_own_letters_only(classroom, site, anna):
    for office, account in (("blue", ANNA.account), ("green", BEN.account)):
        item = f"6k3fa2-{office}"
        told = {"state": "accepted", "service": "submission", "sender": account, "recipients": ["bob@blue.test"], "message_id": office,
                "subject": "Hello", "size": 100, "account": account}  # fmt: skip
        classroom.ring.add(office, "mail", item, told)
    may = [rules.may_order(classroom, Seat(account=ANNA.account), f"6k3fa2-{office}") for office in ("blue", "green")]
    assert may == [True, False]
    assert rules.may_order(classroom, Seat(is_teacher=True), "6k3fa2-green")
    assert not rules.may_order(classroom, Seat(), "6k3fa2-blue")


def test_a_student_is_not_told_where_things_lie(still, still_anna):
    assert "/somewhere" not in still_anna.get("/api/v1/info").body
    assert "/tmp/town" not in still_anna.get("/api/v1/town").body
    assert "/tmp/town" in Browser(still, "127.0.0.1").get("/api/v1/town").body


def test_the_map_has_room_for_a_class(still, still_anna):
    page = still_anna.get("/").body
    assert "alice, bob + 1<" in page
    assert "See what is broken now" in page
    assert "Break something" in Browser(still, "127.0.0.1").get("/").body


def test_the_teacher_is_not_asked_who_he_is(still):
    teacher = Browser(still, "127.0.0.1")
    assert "Who are you?" not in teacher.get("/").body
    assert "/projector" in teacher.get("/room").body


def test_who_mistypes_the_code_need_not_write_all_of_it_again(site):
    browser = Browser(site)
    browser.get("/room")
    page = browser.post("/room", code="123465", account="s01", password="secret-1").body
    assert 'value="123465"' in page
    assert 'value="s01"' in page
    assert "secret-1" not in page


def test_a_pace_lets_go_again_and_remembers_only_so_many():
    now = [0.0]
    pace = Pace(2, 10.0, lambda: now[0])
    assert [pace.wait("a"), pace.wait("a"), pace.wait("a"), pace.wait("b")] == [0, 0, 10.0, 0]
    now[0] = 10.0
    assert pace.wait("a") == 0
    for number in range(2000):
        pace.wait(str(number))
    assert len(pace._times) <= 1000


# ----- the screen


def test_the_screen_shows_who_is_in_and_no_password(site, anna):
    anna.get("/")
    page = Browser(site, "127.0.0.1").get("/projector").body
    assert "1 of 2 students are in" in page
    assert "Anna" in page
    assert "192.168.1.2:8025" in page
    assert "123 456" in page
    assert '<svg class="code"' in page
    for secret in (ANNA.password, BEN.password, "teach-me"):
        assert secret not in page


def test_the_teacher_sees_who_is_how_far_and_who_has_not_begun(classroom, site, anna):
    anna.get("/lessons/2")
    teacher = Browser(site, "127.0.0.1")
    for path in ("/lessons/class", "/lessons/class/rows"):
        rows = teacher.get(path).body
        assert re.search(r"s01@blue\.test <span class=\"soft\"><bdi>Anna</bdi>", rows)
        assert "1 has not begun: s02@green.test." in rows


def test_a_student_is_told_which_steps_are_the_teacher_s(still, still_anna):
    lesson = still_anna.get("/lessons/8").body
    assert "Your teacher does this for all of you: Switch" in lesson
    assert "where your teacher sits" in lesson
    assert "Your teacher" not in Browser(still, "127.0.0.1").get("/lessons/8").body


def test_lessons_run_with_his_account(classroom, site, anna):
    assert any("s01@blue.test" in anna.get(f"/lessons/{number}").body.partition("<main")[2] for number in range(1, 13))


def test_who_only_looks_makes_nobody_else_forget_how_far_he_is(classroom, site, anna):
    teacher, looker = Browser(site, "127.0.0.1"), browser_of(site)
    for browser in (anna, teacher):
        assert browser.post("/lessons/2/do", what="skip").code == 303
    for number in range(MOST_STUDENTS + 1):
        looker._cookies["browser"] = f"{number:022}"
        assert looker.get("/lessons/2/progress").code == 200
    assert [json.loads(browser.get("/lessons/2/progress").body)["step"] for browser in (anna, teacher)] == [2, 2]
    assert teacher.get("/lessons/class").body.count('data-key="0000') == MOST_STUDENTS - 1, "they make room for each other"
