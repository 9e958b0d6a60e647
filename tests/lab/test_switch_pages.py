"""The pages of the switch board, the queue, the DNS and the clock, over a town that really runs."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.living import Guest, living, run, wait_for
from twistmail.lab import site as sites
from twistmail.lab.faults import ALL, Board
from twistmail.lab.pages.clock import back
from twistmail.lab.pages.dns import misfit
from twistmail.lab.ring import Ring
from twistmail.lab.town import Town
from twistmail.lab.waiting import chart, subjects_in
from twistmail.web.page import Answer, Asked


class Browser:
    """Asks the town's routes as the site does, behind its guard."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.site = sites.make(town)

    async def ask(self, method: str, path: str, *, script: bool = False, **form: str) -> Answer:
        found: Any = self.site.routes.find(method, path)
        asked = Asked(method, path, names=found.names, form=form, by_script=script, headers={"accept": "text/html"})
        return await found.handler(asked)

    async def look(self, path: str) -> str:
        return (await self.ask("GET", path)).body.decode()


@pytest.fixture(scope="module")
def living_town(tmp_path_factory: Any) -> Iterator[tuple[Town, Guest, Browser]]:
    with living(tmp_path_factory.mktemp("town")) as (town, guest):
        yield town, guest, Browser(town)


@pytest.fixture
def place(living_town: Any) -> Iterator[tuple[Town, Guest, Browser]]:
    yield living_town
    town = living_town[0]
    run(Board(town).clear_all())
    town.zones.reset()
    for item in town.service("blue").foundation.runner.queue.items():
        run(town.service("blue").foundation.runner.delete(item.id))


async def waiting_letter(town: Town, guest: Guest) -> str:
    """A letter that waits at blue, for green is off."""
    await Board(town).set("office-off", "green")
    began = town.ring.last

    def submit() -> None:
        with smtplib.SMTP("127.0.0.1", town.ports["blue", "submission"], timeout=10) as client:
            client.login("alice@blue.test", "demo")
            client.sendmail("alice@blue.test", ["carol@green.test"], b"Subject: <b>Lunch</b>\r\n\r\nSoup\r\n")

    await guest.do(submit)
    town.service("blue").foundation.runner.flush(None, kept=True)
    return (await wait_for(town, "queue", "blue", after=began, state="waiting")).about


# ----- the queue


@pytest_twisted.ensureDeferred
async def test_what_waits_is_shown_with_its_answer_and_its_next_try(place):
    town, guest, browser = place
    item = await waiting_letter(town, guest)
    page = await browser.look("/queue")
    assert "1 letter waits" in page
    assert item in page
    assert "&lt;b&gt;Lunch&lt;/b&gt;" in page
    assert "<b>Lunch" not in page
    assert re.search(r'<time data-due="\d+\.\d+"', page)
    assert "451 4.4.1" in page
    assert "green is off" in page


@pytest_twisted.ensureDeferred
async def test_orders_are_obeyed(place):
    town, guest, browser = place
    item = await waiting_letter(town, guest)
    runner = town.service("blue").foundation.runner
    order = {"office": "blue", "id": item}
    assert (await browser.ask("POST", "/queue/order", order="hold", **order)).code == 303
    assert runner.item(item).held
    assert "Held" in await browser.look("/queue/rows")
    await browser.ask("POST", "/queue/order", order="release", **order)
    assert not runner.item(item).held
    began = town.ring.last
    await browser.ask("POST", "/queue/order", order="now", **order)
    await wait_for(town, "mail", "blue", after=began, about=item, state="deferred")
    await browser.ask("POST", "/queue/order", order="return", **order)
    await wait_for(town, "queue", "blue", after=began, about=item, state="returned")
    second = await waiting_letter(town, guest)
    await browser.ask("POST", "/queue/order", order="delete", office="blue", id=second)
    assert runner.item(second) is None


@pytest.mark.parametrize(("form", "code"), [
    ({"office": "blue", "id": "nothing", "order": "now"}, 404), ({"office": "green/..", "id": "x", "order": "now"}, 409),
    ({"office": "blue", "id": "x", "order": "burn"}, 400), ({}, 400), ({"office": "blue", "order": "delete"}, 404),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_orders_that_make_no_sense(place, form, code):
    _, _, browser = place
    assert (await browser.ask("POST", "/queue/order", **form)).code == code


def test_the_chart_sets_the_classroom_beside_real_life():
    drawn = chart((5.0, 15.0, 30.0, 60.0), 180.0, [1, 1, 2, 9])
    assert [(one.here, one.real) for one in drawn.tries][:4] == [(0.0, 0.0), (5.0, 300.0), (15.0, 900.0), (30.0, 1800.0)]
    assert [one.count for one in drawn.tries] == [0, 2, 1, 0, 0, 1]
    assert (drawn.here, drawn.real) == (180.0, 5 * 86400.0)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=8), st.floats(0, 1e7), st.lists(st.integers(0, 50), max_size=20))
def test_every_letter_that_was_tried_stands_in_the_chart_once(waits, expire, attempts):
    drawn = chart(waits, expire, attempts)
    assert sum(one.count for one in drawn.tries) == len(attempts)
    assert 2 <= len(drawn.tries) <= 7


def test_subjects_are_those_of_the_letters_that_were_accepted():
    ring = Ring(lambda: 0.0)
    ring.add("blue", "mail", "a", {"state": "accepted", "subject": "Lunch?"})
    ring.add("blue", "mail", "a", {"state": "removed"})
    assert subjects_in(ring) == {"a": "Lunch?"}


# ----- the switches


@pytest_twisted.ensureDeferred
async def test_every_switch_is_on_the_board_and_explained(place):
    _, _, browser = place
    page = await browser.look("/net")
    assert "Everything is whole" in page
    for fault in ALL:
        assert fault.title.replace("'", "&#39;") in page or fault.group == "link", fault.name
    assert page.count('<select name="state"') == 6


@pytest_twisted.ensureDeferred
async def test_a_button_breaks_and_mends(place):
    town, _, browser = place
    form = {"name": "mailbox-full", "place": "carol@green.test"}
    assert (await browser.ask("POST", "/net/fault", to="set", **form)).code == 303
    page = await browser.look("/net/board")
    assert "1 thing is broken" in page
    assert 'aria-pressed="true"' in page
    await browser.ask("POST", "/net/fault", to="clear", **form)
    assert "Everything is whole" in await browser.look("/net/board")
    await browser.ask("POST", "/net/line", place="blue>green", state="no STARTTLS")
    assert town.network.link("blue", "green").state == "no STARTTLS"
    await browser.ask("POST", "/net/line", place="blue>green", state="whole")
    assert town.network.link("blue", "green").state == "whole"
    await browser.ask("POST", "/net/fault", name="null-mx", place="red.test", to="set")
    await browser.ask("POST", "/net/mend")
    assert town.zones.records["red.test"]["MX"] == ["10 mx.red.test."]


@pytest.mark.parametrize("form", [
    {"name": "earthquake", "place": "green", "to": "set"}, {"name": "slow", "place": "<script>", "to": "set"}, {},
    {"name": "office-off", "place": "green", "to": "maybe"}, {"name": "crash", "place": "../green", "to": "set"},
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_switched_is_said_and_escaped(place, form):
    _, _, browser = place
    answer = await browser.ask("POST", "/net/fault", **form)
    assert answer.code == 409
    assert b"<script>" not in answer.body.replace(b"<script src=", b"")
    assert (await browser.ask("POST", "/net/fault", script=True, **form)).kind.startswith("text/plain")


@pytest_twisted.ensureDeferred
async def test_programs_break_and_mend(place):
    town, _, browser = place
    told = orjson.loads((await browser.ask("GET", "/api/v1/faults")).body)
    assert {one["name"] for one in told["faults"]} == {fault.name for fault in ALL}
    put = await browser.ask("PUT", "/api/v1/faults/slow/blue>green")
    assert orjson.loads(put.body) == {"set": [{"name": "slow", "place": "blue>green"}]}
    assert town.network.link("blue", "green").state == "slow"
    gone = await browser.ask("DELETE", "/api/v1/faults/slow/blue>green")
    assert orjson.loads(gone.body) == {"set": []}
    wrong = await browser.ask("PUT", "/api/v1/faults/slow/nowhere")
    assert wrong.code == 409
    assert "no place for slow" in orjson.loads(wrong.body)["error"]
    assert orjson.loads((await browser.ask("DELETE", "/api/v1/faults")).body) == {"set": []}


def test_every_fault_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs/faults.md").read_text()
    assert [fault.name for fault in ALL if f"| `{fault.name}` | {fault.title} | {fault.does} |" not in text] == []


# ----- the DNS


@pytest_twisted.ensureDeferred
async def test_records_are_changed_added_and_removed(place):
    town, _, browser = place
    await browser.ask("POST", "/dns/record", name="green.test", kind="MX", values="10 gone.green.test.\r\n20 mx.green.test.\r\n")
    assert town.zones.records["green.test"]["MX"] == ["10 gone.green.test.", "20 mx.green.test."]
    assert "gone.green.test has no address" in await browser.look("/dns")
    await browser.ask("POST", "/dns/record", name="gone.green.test", kind="A", values="192.0.2.77")
    assert "has no address" not in await browser.look("/dns/zones")
    await browser.ask("POST", "/dns/record", name="gone.green.test", kind="A", remove="1", values="192.0.2.77")
    assert "gone.green.test" not in town.zones.records
    await browser.ask("POST", "/dns/trouble", name="red.test", trouble="SERVFAIL")
    assert town.zones.trouble == {"red.test": "SERVFAIL"}


@pytest.mark.parametrize(("name", "kind", "values"), [
    ("green.test", "MX", "first mx.green.test"), ("green.test", "A", "300.1.1.1"), ("", "A", "192.0.2.1"),
    ("x" * 64 + ".test", "A", "192.0.2.1"),
    ("green.test", "AXFR", "x"), ("<script>alert(1)</script>.test\x00", "TXT", "\x01"), ("green.test", "CNAME", "mx.green.test"),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_is_no_record_is_said_in_words_and_changes_nothing(place, name, kind, values):
    town, _, browser = place
    before = str(town.zones.records)
    answer = await browser.ask("POST", "/dns/record", name=name, kind=kind, values=values)
    assert answer.code == 400
    assert b'role="alert"' in answer.body
    assert b"<script>alert" not in answer.body
    assert str(town.zones.records) == before


@pytest.mark.parametrize(("there", "kind", "values", "says"), [
    ({"mx.a.test": {"A": ["x"]}}, "MX", ("10 mx.a.test.",), ""),
    ({}, "MX", ("10 mx.a.test.",), "mx.a.test has no address"),
    ({}, "MX", ("0 .",), "a null MX"),
    ({}, "MX", ("0 .", "10 mx.a.test."), "RFC 7505"),
    ({"mx.a.test": {"CNAME": ["x"]}}, "MX", ("10 mx.a.test.",), "is an alias"),
    ({}, "PTR", ("mx.a.test.",), "does not lead back"),
    ({}, "TXT", ("x",), ""),
])  # fmt: skip
def test_what_does_not_fit(there, kind, values, says):
    assert says in misfit(there, kind, values)
    assert bool(says) == bool(misfit(there, kind, values))


@pytest_twisted.ensureDeferred
async def test_questions_are_listed_with_what_to_type(place):
    town, _, browser = place
    town.ring.add("blue", "dns", "", {"question": "<i>.test", "type": "MX", "answer": (), "result": "NXDOMAIN", "ms": 0.1})
    page = await browser.look("/dns")
    assert "&lt;i&gt;.test MX" in page
    assert f"dig @127.0.0.1 -p {town.ports['blue', 'dns']} MX green.test" in page


# ----- the clock


@pytest_twisted.ensureDeferred
async def test_a_button_lets_time_pass(place):
    town, _, browser = place
    before = town.clock.ahead
    answer = await browser.ask("POST", "/clock", seconds="1200", back="/queue")
    assert (answer.code, answer.headers["Location"]) == (303, "/queue")
    assert town.clock.ahead == before + 1200
    assert (await browser.ask("POST", "/clock", seconds="1e99")).code == 400


@pytest.mark.parametrize(("path", "goes"), [
    ("/queue", "/queue"), ("/m/3fk2-9a?tab=dns", "/m/3fk2-9a?tab=dns"), ("//evil.test", "/"), ("/\\evil.test", "/"), ("", "/"),
    ("https://evil.test", "/"), ("/x\r\nSet-Cookie: a", "/"), ("/a b", "/"),
])  # fmt: skip
def test_nobody_is_led_away(path, goes):
    assert back(path) == goes
