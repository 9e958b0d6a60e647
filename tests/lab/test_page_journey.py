"""The pages of journeys: what stands there for who looks with and without a script, now and at an earlier moment."""

from __future__ import annotations

import re
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from tests.lab.mailrooms import TownWithMail
from tests.lab.told import LATER, READ, SENT, SUBMITTED, TAKEN, A, events
from tests.web.visits import Connection
from twistmail.interfaces import Unavailable
from twistmail.lab import site as sites
from twistmail.mail.content import Memory

HEAD = (b"Received: from laptop by mx.blue.test with ESMTPSA id 6k3fa2-0001; now\r\nFrom: The Boss <boss@blue.test>\r\n"
        b"To: info@green.test\r\nSubject: <script>alert(1)</script>\r\n\r\nHi\r\n")  # fmt: skip


class Runner:
    """A queue in which item A waits; `ordered`: what it was told."""

    def __init__(self) -> None:
        self.ordered: list[tuple[str, ...]] = []
        self.items = {A: SimpleNamespace(held=False, prefix=b"")}
        self.queue = SimpleNamespace(content=lambda identifier: Memory(HEAD))

    def item(self, identifier):
        return self.items.get(identifier)

    def outlook_of(self, item):
        return SimpleNamespace(at=1007.0, why="mx.green.test rests")

    def flush(self, identifiers, *, kept):
        self.ordered.append(("now", *identifiers))

    async def hold(self, identifier, why):
        self.ordered.append(("hold", identifier))
        self.items[identifier].held = True

    async def release(self, identifier):
        raise KeyError(identifier)  # it has just gone

    async def bounce(self, identifier, why):
        self.ordered.append(("return", identifier))


class NoAliases:
    """They cannot be had now; what was told of them when they were followed is enough."""

    async def survey(self, address):
        raise Unavailable


@pytest.fixture
def town():
    town = TownWithMail()
    for service in town.services.values():
        service.foundation.runner = Runner()
        service.foundation.runner.items = {}
        service.parts = SimpleNamespace(people=SimpleNamespace(expansion=NoAliases()))
    town.services["blue"].foundation.runner = Runner()
    return town


@pytest.fixture
def browser(town):
    return Connection(sites.make(town))


def tell(town, told):
    for event in events(told):
        town.ring.add(event.office, event.kind, event.about, event.what, connection=event.connection)


def page(browser, path, **headers):
    got = browser.ask("GET", path, **headers)
    assert got.code == 200, got.body
    return got.body


def order(browser, words, path=f"/m/{A}/orders", **headers):
    got = browser.ask("GET", f"/m/{A}")
    token = re.search('name="token" value="([^"]+)"', got.body)[1]
    cookie = got.headers["set-cookie"].partition(";")[0]
    body = urlencode({"token": token, "order": words}).encode()
    return browser.ask("POST", path, body, cookie=cookie, content_type="application/x-www-form-urlencoded", **headers)


def test_the_list_has_every_message_with_where_it_is_now(town, browser):
    assert "Nothing has been sent yet." in page(browser, "/m")
    tell(town, SUBMITTED + LATER)
    listed = page(browser, "/m")
    assert f'href="/m/{A}"' in listed
    assert "waits in the queue of blue: 451 4.4.1 No connection" in listed
    assert 'data-due="1005.0"' in listed
    assert "<html" not in page(browser, "/m", x_requested_with="page")


def test_a_dialogue_without_any_cr_has_a_mark_with_a_sentence(town, browser):
    tell(town, SUBMITTED)
    assert "LF only" not in page(browser, f"/m/{A}")
    town.ring.add("blue", "line", "c1", {"side": "C", "text": "NOOP", "proto": "smtp", "lone_lf": True}, connection="c1")
    shown = page(browser, f"/m/{A}")
    assert re.search(r'<p class="warning"><b>LF only.</b> The client ends its lines with LF, as nc does; [^<]*RFC 5321 §2.3.8', shown)
    assert "LF only: The client ends its lines with LF" in page(browser, f"/m/{A}/export.txt")


def test_a_page_shows_stations_dialogues_envelope_questions_and_legs(town, browser):
    tell(town, SUBMITTED + LATER + SENT + TAKEN + READ)
    shown = page(browser, f"/m/{A}")
    assert re.findall(r"<h2>(\d \w+)</h2>", shown) == ["1 MUA", "2 MSA", "3 Queue", "4 MX", "5 MDA", "6 MAA"]
    assert shown.count('aria-current="step"') == 1
    wanted = (
        "alice to blue, submission", "blue to green", "carol reads by IMAP", "MX green.test", "dave@green.test", "UID 7",
        "green/mail/green.test/carol/new/1", "mx.green.test [192.0.2.20]",
        "show &#39;&lt;1@laptop&gt;&#39; --also /tmp/town/green/config.ini",
    )  # fmt: skip
    for words in wanted:
        assert words in shown, words
    assert "EHLO laptop" in shown
    assert "MAIL FROM" not in shown.partition('role="log"')[2].partition("</ol>")[0]
    assert "MAIL FROM:&lt;alice@blue.test&gt;" in page(browser, f"/m/{A}?d=1")


@pytest.mark.parametrize(
    "path", [f"/m/{A}?d=99", f"/m/{A}?d=-1", f"/m/{A}?at=99999", f"/m/{A}?at=x&d=%00", f"/m/{A}?big=2&at=", f"/m/{A[:9]}"]
)
def test_odd_wishes_show_the_page_all_the_same(town, browser, path):
    tell(town, SUBMITTED + LATER + SENT + TAKEN)
    assert "Journey of" in page(browser, path)


@pytest.mark.parametrize("path", ["/m/x", "/m/%3Cscript%3E", "/m/x/export.html", "/m/x/export.txt", f"/m/{A}"])
def test_a_message_that_nobody_knows_is_not_found(browser, path):
    got = browser.ask("GET", path, accept="text/html")
    assert got.code == 404
    assert "forgotten" in got.body


def test_without_a_script_all_tabs_are_links_and_with_one_only_the_part_is_sent(town, browser):
    tell(town, SUBMITTED + SENT + TAKEN)
    assert f'href="/m/{A}?d=1"' in page(browser, f"/m/{A}")
    assert "<html" not in page(browser, f"/m/{A}?d=1", x_requested_with="page")


def test_what_a_stranger_writes_stays_text(town, browser):
    """In the head of the letter, which is read from the queue, and in what is said on a connection."""
    evil = [(*one[:4], one[4] | {"subject": "<script>x()</script>", "text": '"><img src=x onerror=y()>'}) for one in SUBMITTED]
    tell(town, evil)
    shown = page(browser, f"/m/{A}")
    assert "<script>x" not in shown
    assert "<script>alert" not in shown
    assert "<img" not in shown
    assert "The Boss &lt;boss@blue.test&gt;" in shown
    assert "Reports go to the envelope&#39;s sender" in shown


def test_an_earlier_moment_can_be_seen_and_played(town, browser):
    tell(town, SUBMITTED + LATER + SENT + TAKEN)
    assert "Next</a>" in page(browser, f"/m/{A}?at=0")
    early, late = page(browser, f"/m/{A}?at=0"), page(browser, f"/m/{A}")
    assert "blue to green</a>" not in early
    assert "blue to green</a>" in late
    assert 'data-on=""' in early
    played = browser.ask("GET", f"/m/{A}?at=0&run=1")
    assert played.headers["refresh"] == f"1; url=/m/{A}?at=1&run=1"
    last = len(town.journeys.of(A).moments) - 1
    assert "refresh" not in browser.ask("GET", f"/m/{A}?at={last}&run=1").headers


def test_each_moment_has_a_page(town, browser):
    tell(town, SUBMITTED + LATER + SENT + TAKEN + READ)
    for place in range(len(town.journeys.of(A).moments)):
        assert f"moment {place + 1} of" in page(browser, f"/m/{A}?at={place}")


def test_a_projector_has_bigger_letters_and_keeps_them_from_link_to_link(town, browser):
    tell(town, SUBMITTED + SENT)
    shown = page(browser, f"/m/{A}?big=1")
    assert '<html lang="en" class="big">' in shown
    assert f'href="/m/{A}?d=1&amp;big=1"' in shown


def test_what_is_exported_is_one_file_that_loads_nothing(town, browser):
    tell(town, SUBMITTED + LATER + SENT + TAKEN + READ)
    got = browser.ask("GET", f"/m/{A}/export.html")
    assert got.headers["content-disposition"] == f'attachment; filename="journey-{A}.html"'
    assert not re.search(r'(?:src|href)="(?!#|/m/)|@import|url\(|<form|<script', got.body)
    assert got.body.count('tabindex="0"') == 3
    assert "--ground: #f4f6f9" in got.body


def test_what_is_exported_as_text_has_all_that_was_said(town, browser):
    tell(
        town, [(*one[:4], one[4] | ({"text": "EHLO \x1b[2J"} if one[4].get("text") == "EHLO laptop" else {})) for one in SUBMITTED] + TAKEN
    )
    got = browser.ask("GET", f"/m/{A}/export.txt")
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert "C EHLO ?[2J" in got.body
    assert "\x1b" not in got.body
    for words in ("1 MUA", "MAIL FROM", "differs: Reports go", "From office to office", "Received lines"):
        assert words in got.body


@pytest.mark.parametrize(("words", "ordered"), [("now", ("now", A)), ("hold", ("hold", A)), ("return", ("return", A))])
def test_what_waits_can_be_ordered_about(town, browser, words, ordered):
    tell(town, SUBMITTED + LATER)
    got = order(browser, words)
    assert (got.code, got.headers["location"]) == (303, f"/m/{A}")
    assert town.services["blue"].foundation.runner.ordered == [ordered]


def test_the_next_try_is_told_as_the_queue_has_it_now(town, browser):
    """A place that rests is tried later than the schedule says."""
    tell(town, SUBMITTED + LATER)
    shown = page(browser, f"/m/{A}")
    assert 'data-due="1007.0"' in shown
    assert "mx.green.test rests" in shown
    assert 'data-due="1005.0"' in page(browser, f"/m/{A}?at=99")


def test_what_is_held_can_be_released_and_what_has_just_gone_is_no_harm(town, browser):
    tell(town, SUBMITTED + LATER)
    order(browser, "hold")
    shown = page(browser, f"/m/{A}")
    assert "Release" in shown
    assert "Try now" not in shown
    assert order(browser, "release").code == 303


@pytest.mark.parametrize(("words", "path", "code"), [
    pytest.param("explode", f"/m/{A}/orders", 400, id="no-such-order"),
    pytest.param("now", "/m/nothing/orders", 404, id="no-such-message"),
])  # fmt: skip
def test_orders_that_cannot_be(town, browser, words, path, code):
    tell(town, SUBMITTED + LATER)
    assert order(browser, words, path).code == code
    assert town.services["blue"].foundation.runner.ordered == []


def test_nobody_orders_without_the_token_of_our_page(town, browser):
    tell(town, SUBMITTED + LATER)
    assert browser.ask("POST", f"/m/{A}/orders", b"order=return", content_type="application/x-www-form-urlencoded").code == 403
    assert town.services["blue"].foundation.runner.ordered == []


def test_what_has_left_the_queue_has_no_buttons(town, browser):
    tell(town, SUBMITTED + SENT + TAKEN)
    town.services["blue"].foundation.runner.items = {}
    assert "Try now" not in page(browser, f"/m/{A}")


def test_an_office_that_is_off_leaves_what_is_known(town, browser):
    town.off = {"blue", "green"}
    tell(town, SUBMITTED + SENT + TAKEN)
    shown = page(browser, f"/m/{A}")
    assert "or the office is off" in shown
    assert "info@green.test" in shown


def test_the_head_of_what_was_queued_is_known_when_the_queue_has_it_no_more(town, browser):
    tell(town, SUBMITTED)
    town.services["blue"].foundation.runner.items = {}
    assert "The Boss" in page(browser, f"/m/{A}")


def test_the_letter_is_read_where_it_lies(town, browser):
    told = [one if one[1] != "store" else (*one[:4], one[4] | {"uid": 1}) for one in SUBMITTED + SENT + TAKEN]
    for account in ("carol@green.test", "dave@green.test"):
        town.put(account, HEAD.replace(b"The Boss", b"From the mailbox"))
    town.services["blue"].foundation.runner.items = {}
    tell(town, told)
    assert "From the mailbox" in page(browser, f"/m/{A}")
