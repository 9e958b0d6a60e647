"""The inbox page as a browser gets it; what strangers have written stays text."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.lab.mailrooms import TownWithMail, letter
from tests.web.visits import Connection
from twistmail.lab import site as sites

HOSTILE = letter(
    '<script>alert("subject")</script>',
    '"><img src=x onerror=alert(1)>" <eve@red.test>',
    "--x\r\nContent-Type: text/plain\r\n\r\n<script>text</script> \u202egnp\r\n--x\r\nContent-Type: text/html\r\n\r\n"
    "<p onclick=x>Hi<script>html</script><img src=http://192.0.2.30/1.gif></p>\r\n"
    '--x\r\nContent-Type: text/html; name="<b>\r\n\tx.html"\r\nContent-Disposition: attachment; '
    'filename="../<b>\u202egnp.html"\r\n\r\n<script>\r\n--x--',
    "Content-Type: multipart/mixed; boundary=x\r\nX-Trick: <b>bold</b>\r\n",
)


@pytest.fixture
def town():
    town = TownWithMail()
    town.put("bob@blue.test", letter("Lunch?"))
    town.put("carol@green.test", HOSTILE)
    return town


@pytest.fixture
def browser(town):
    return Connection(sites.make(town))


def token(browser):
    """The form's token, and the cookie that it belongs to."""
    got = browser.ask("GET", "/inbox/compose")
    return re.search('name="token" value="([^"]+)"', got.body)[1], got.headers["set-cookie"].partition(";")[0]


def post(browser, path, **fields):
    from urllib.parse import urlencode

    value, cookie = token(browser)
    body = urlencode({"token": value, **fields}).encode()
    return browser.ask("POST", path, body, cookie=cookie, content_type="application/x-www-form-urlencoded")


def test_the_list_shows_everybodys_mail(browser):
    page = browser.ask("GET", "/inbox")
    assert page.code == 200
    assert page.body.index("/inbox/letter/green-carol-INBOX-1") < page.body.index("/inbox/letter/blue-bob-INBOX-1")
    assert "2 messages, 2 new" in page.body
    assert '<a href="/inbox" aria-current="page">Inboxes</a>' in page.body


@pytest.mark.parametrize(
    ("path", "has", "has_not"),
    [
        ("/inbox/bob@blue.test", "Lunch?", "green-carol-INBOX"),
        ("/inbox/bob%40blue.test?q=is:read", "Nothing fits.", "Lunch?"),
        ("/inbox/alice@blue.test", "No mail yet.", "Lunch?"),
        ("/inbox?q=lunch", "Lunch?", "green-carol-INBOX"),
        ("/inbox?page=7", "No mail yet.", "Lunch?"),
        ("/inbox?page=x", "Lunch?", "away-"),
        ("/inbox/rows?who=bob@blue.test&open=blue-bob-INBOX-1", 'aria-current="true"', "<html"),
    ],
)
def test_lists_by_person_and_search(browser, path, has, has_not):
    page = browser.ask("GET", path)
    assert page.code == 200
    assert has in page.body
    assert has_not not in page.body.split("<section", 1)[-1]


@pytest.mark.parametrize(
    "path",
    [
        "/inbox/eve@blue.test",
        "/inbox/rows?who=x",
        "/inbox/letter/x",
        "/inbox/letter/blue-bob-INBOX-9",
        "/inbox/letter/blue-bob-INBOX-9/raw",
        "/inbox/letter/x/html",
        "/inbox/letter/blue-bob-INBOX-1/part/9",
    ],
)
def test_what_is_not_there_is_not_found(browser, path):
    assert browser.ask("GET", path).code == 404


def test_opening_a_message_reads_it(browser, town):
    page = browser.ask("GET", "/inbox/letter/blue-bob-INBOX-1?who=bob@blue.test")
    assert "<pre" in page.body
    assert "Hello" in page.body
    assert 'class="read"' in page.body
    assert [type(what).__name__ for what in town.told] == ["Read"]


@pytest.mark.parametrize("tab", ["", "text", "html", "head", "source", "structure", "nonsense"])
def test_a_hostile_message_stays_text_in_every_tab(browser, tab):
    page = browser.ask("GET", f"/inbox/letter/green-carol-INBOX-1?tab={tab}")
    assert page.code == 200
    assert set(re.findall(r"<script[^>]*>", page.body)) == set(re.findall(r'<script src="/assets[^>]*>', page.body))
    assert not re.search(r"<img|<b>|<[^>]* on[a-z]+=", page.body)
    assert "\u202e" not in page.body
    assert 'alert("subject")' in unescape(page.body)


def test_what_each_tab_shows(browser):
    def body(tab):
        return unescape(browser.ask("GET", f"/inbox/letter/green-carol-INBOX-1?tab={tab}").body)

    assert "<script>text</script> [U+202E]gnp" in body("text")
    assert "1 \u00d7 remote image, 2 \u00d7 script" in body("html")
    assert re.search(r'<iframe class="letter" sandbox title="[^"]*" src="/inbox/letter/green-carol-INBOX-1/html"></iframe>', body("html"))
    assert '<td class="code">X-Trick</td>' in body("head")
    assert "--x\nContent-Type: text/plain" in body("source")
    assert "multipart/mixed" in body("structure")


def test_the_html_is_a_document_that_may_do_nothing(browser):
    got = browser.ask("GET", "/inbox/letter/green-carol-INBOX-1/html")
    assert got.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "<p>Hi" in got.body
    assert "script" not in got.body.replace("[image", "")


def test_files_are_for_keeping_not_for_showing(browser):
    got = browser.ask("GET", "/inbox/letter/green-carol-INBOX-1/part/3")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith('attachment; filename="_b__gnp.html"')
    assert got.headers["content-security-policy"].startswith("sandbox")
    assert got.body == "<script>"


def test_the_source_can_be_had_as_it_is(browser):
    got = browser.ask("GET", "/inbox/letter/green-carol-INBOX-1/raw?dl=1")
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert got.headers["content-disposition"] == 'attachment; filename="green-carol-INBOX-1.eml"'
    assert got.body.encode() == HOSTILE


def test_deleting_and_marking(browser, town):
    browser.ask("GET", "/inbox/letter/blue-bob-INBOX-1")
    got = post(browser, "/inbox/letter/blue-bob-INBOX-1/unread", who="bob@blue.test", q="is:read")
    assert (got.code, got.headers["location"]) == (303, "/inbox/bob%40blue.test?q=is%3Aread")
    assert town.ids(query="is:unread") == ["green-carol-INBOX-1", "blue-bob-INBOX-1"]
    assert post(browser, "/inbox/letter/blue-bob-INBOX-1/delete").code == 303
    assert town.ids() == ["green-carol-INBOX-1"]
    assert town.ring.since(0)[-1].what == {"state": "deleted", "messages": 1}
    assert post(browser, "/inbox/letter/green-carol-INBOX-1/explode").code == 404


def test_a_whole_list_is_deleted_as_it_is_wished(browser, town):
    assert post(browser, "/inbox/delete", who="everyone", q="lunch").code == 303
    assert town.ids() == ["green-carol-INBOX-1"]


def test_nothing_is_deleted_without_the_token_of_our_own_page(browser, town):
    assert browser.ask("POST", "/inbox/delete", b"who=everyone", content_type="application/x-www-form-urlencoded").code == 403
    assert len(town.ids()) == 2


def test_an_office_that_is_off_is_said_to_be(browser, town):
    town.off.add("blue")
    assert "The office blue is off" in browser.ask("GET", "/inbox").body
    got = browser.ask("GET", "/inbox/letter/blue-bob-INBOX-1")
    assert (got.code, "blue is off" in got.body) == (503, True)
    assert browser.ask("GET", "/inbox/letter/blue-bob-INBOX-1/raw").code == 503


@pytest.mark.parametrize(
    "path",
    [
        "/inbox",
        "/inbox/rows",
        "/inbox/bob@blue.test",
        "/inbox/letter/blue-bob-INBOX-1",
        "/inbox/letter/blue-bob-INBOX-1/raw",
        "/inbox/compose?answer=blue-bob-INBOX-1",
        "/api/v1/message/blue-bob-INBOX-1",
    ],
)
def test_an_office_that_is_to_be_found_is_not_said_to_be_off(browser, town, path):
    town.off.add("blue")
    town.secret = ("office-off", "blue")
    page = browser.ask("GET", path).body
    assert "mail cannot be read now" in page
    assert " is off" not in page
    assert ">off<" not in page


def test_an_answer_is_begun_with_what_is_known(browser):
    page = unescape(browser.ask("GET", "/inbox/compose?answer=blue-bob-INBOX-1").body)
    assert 'value="Re: Lunch?"' in page
    assert 'value="alice@blue.test"' in page
    assert '<option value="bob@blue.test" selected>' in page
    assert "> Hello" in page


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"as": "eve@red.test", "to": "bob@blue.test"}, "Choose who writes."),
        ({"as": "bob@blue.test", "to": ""}, "Nobody is named"),
        ({"as": "bob@blue.test", "to": "x"}, "has no @"),
        ({"as": "bob@blue.test", "to": "a@b.test", "subject": "x" * 9000}, "too long"),
        ({"as": "bob@blue.test", "to": "a@b.test", "from": "<script>"}, "no @"),
    ],
)
def test_what_cannot_be_sent_comes_back_with_what_was_written(browser, fields, says):
    got = post(browser, "/inbox/send", text="<b>Long</b> letter", **fields)
    assert got.code == 422
    assert says in unescape(got.body)
    assert "&lt;b&gt;Long&lt;/b&gt; letter" in got.body


def test_big_messages_are_told_in_part(browser, town):
    town.put(
        "bob@blue.test",
        b"X-A: b\r\n" * 40_000 + b"Subject: much\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\ny\r\n" * 11_000,
    )
    for tab in ("head", "structure"):
        page = browser.ask("GET", f"/inbox/letter/blue-bob-INBOX-2?tab={tab}")
        assert page.code == 200
        assert len(page.body) < 400_000
