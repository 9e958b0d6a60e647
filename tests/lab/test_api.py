"""The JSON API, as programs that know Mailpit's use it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.lab.mailrooms import TownWithMail, letter
from tests.web.visits import Connection
from twistmail.lab import mailpit
from twistmail.lab import site as sites
from twistmail.lab.drafts import Mistake
from twistmail.lab.mailpit import Unfit
from twistmail.lab.pages.api import MOST_OF_ONE, MOST_WAITING
from twistmail.lab.ring import Event, Ring
from twistmail.lab.watching import MOST, fits, found, wait

FILE = letter(
    "Report",
    "Eve <eve@red.test>",
    "--x\r\n\r\nWords\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>W</b><script>x</script>\r\n"
    "--x\r\nContent-Type: application/pdf; name=r.pdf\r\nContent-Disposition: attachment\r\n\r\nPDF\r\n--x--",
    "Message-ID: <r@red.test>\r\nDate: Sat, 21 Nov 2026 14:00:00 +0000\r\nContent-Type: multipart/mixed; boundary=x\r\n"
    "X-A: 1\r\nx-a: 2\r\n",
)


@pytest.fixture
def town():
    town = TownWithMail()
    town.put("bob@blue.test", letter("Lunch?"))
    town.put("carol@green.test", FILE)
    return town


@pytest.fixture
def ask(town):
    site = sites.make(town)

    def asked(method, path, body=None):
        octets = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return Connection(site).ask(method, f"/api/v1{path}", octets, content_type="application/json")

    return asked


def test_a_list_has_the_shape_that_mailpit_s_has(ask):
    told = json.loads(ask("GET", "/messages").body)
    assert {name: told[name] for name in told if name != "messages"} == {
        "total": 2, "unread": 2, "count": 2, "messages_count": 2, "messages_unread": 2, "start": 0, "tags": []}  # fmt: skip
    first = told["messages"][0]
    assert set(first) >= {"ID", "MessageID", "Read", "From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "Created", "Username", "Tags", "Size",
                          "Attachments", "Snippet"}  # fmt: skip
    assert (first["ID"], first["From"], first["To"], first["Attachments"], first["Read"], first["Account"]) == (
        "green-carol-INBOX-1", {"Name": "Eve", "Address": "eve@red.test"}, [{"Name": "Bob", "Address": "bob@blue.test"}], 1, False,
        "carol@green.test")  # fmt: skip


@pytest.mark.parametrize(
    ("path", "subjects"),
    [
        ("/messages?limit=1", ["Report"]),
        ("/messages?start=1", ["Lunch?"]), ("/messages?limit=0", []), ("/search?query=from:eve", ["Report"]),
        ("/search?query=lunch", ["Lunch?"]), ("/search?query=nothing", []), ("/search?query=has:attachment%20is:unread", ["Report"]),
    ],
)  # fmt: skip
def test_lists_and_searches(ask, path, subjects):
    assert [one["Subject"] for one in json.loads(ask("GET", path).body)["messages"]] == subjects


@pytest.mark.parametrize("name", ["green-carol-INBOX-1", "latest", "latest?query=subject:report"])
def test_one_message_and_that_it_is_read_now(ask, town, name):
    told = json.loads(ask("GET", f"/message/{name}").body)
    assert (told["Subject"], told["Text"], told["MessageID"], told["Date"]) == ("Report", "Words", "r@red.test", "2026-11-21T14:00:00.000Z")
    assert told["HTML"] == "<b>W</b><script>x</script>"
    [file] = told["Attachments"]
    assert (file["PartID"], file["FileName"], file["ContentType"], file["Size"]) == ("3", "r.pdf", "application/pdf", 3)
    assert file["Checksums"]["SHA256"] == hashlib.sha256(b"PDF").hexdigest()
    assert told["Inline"] == []
    assert town.ids(query="is:unread") == ["blue-bob-INBOX-1"]


def test_programs_get_texts_as_they_were_written(ask, town):
    trick = "\u202egnp\x07"
    town.put(
        "bob@blue.test", f"Subject: {trick}\r\nX-A: =?utf-7?q?+2AA-?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{trick}".encode()
    )
    told = json.loads(ask("GET", "/message/latest").body)
    assert (told["Subject"], told["Text"]) == (trick, trick)
    assert json.loads(ask("GET", "/messages").body)["messages"][0]["Subject"] == trick
    assert ask("GET", "/message/latest/headers").code == 200


def test_its_head_its_source_and_its_parts(ask):
    head = json.loads(ask("GET", "/message/latest/headers").body)
    assert (head["X-A"], head["Message-Id"]) == (["1", "2"], ["<r@red.test>"])
    assert ask("GET", "/message/latest/raw").body.encode() == FILE
    part = ask("GET", "/message/latest/part/3")
    assert (part.body, part.headers["content-type"]) == ("PDF", "application/pdf")
    assert part.headers["content-disposition"].startswith("attachment")


def test_views_for_people(town):
    site = Connection(sites.make(town))
    shown = site.ask("GET", "/view/latest.html")
    assert "<b>W</b>" in shown.body
    assert "script" not in shown.body
    assert shown.headers["content-security-policy"].startswith("sandbox")
    assert site.ask("GET", "/view/green-carol-INBOX-1.txt").body == "Words"


def test_marking_and_deleting(ask, town):
    assert ask("PUT", "/messages", {"IDs": ["blue-bob-INBOX-1", "nonsense"], "Read": True}).body == "ok"
    assert town.ids(query="is:read") == ["blue-bob-INBOX-1"]
    ask("PUT", "/messages", {"Search": "from:eve", "Read": True})
    assert town.ids(query="is:unread") == []
    ask("PUT", "/messages", {"Read": False})
    assert len(town.ids(query="is:unread")) == 2
    assert ask("DELETE", "/search?query=lunch").body == "ok"
    assert town.ids() == ["green-carol-INBOX-1"]
    assert ask("DELETE", "/messages").body == "ok"
    assert town.ids() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "says"),
    [
        ("GET", "/search", None, 400, "no search query"),
        ("GET", "/messages?start=x", None, 400, "start shall be a number"),
        ("GET", "/messages?limit=nan", None, 400, "limit shall be a number"),
        ("GET", "/messages?start=-1", None, 400, "start shall be a number"),
        ("PUT", "/messages", b"{", 400, "no JSON"),
        ("PUT", "/messages", [1], 400, "object"),
        ("PUT", "/messages", {"IDs": "x"}, 400, "IDs shall be a list"),
        ("PUT", "/messages", {"IDs": ["a"], "Search": "x"}, 400, "not both"),
        ("PUT", "/messages", {"Read": 1}, 400, "true or false"),
        ("DELETE", "/messages", {"IDs": [1]}, 400, "list of strings"),
        ("GET", "/message/nonsense", None, 404, "not found"),
        ("GET", "/message/blue-bob-INBOX-77", None, 404, "not found"),
        ("GET", "/message/latest/part/9", None, 404, "not found"),
        ("GET", "/message/latest?query=subject:none", None, 404, "not found"),
        ("POST", "/send", b"x", 400, "no JSON"),
        ("POST", "/send", {}, 400, "From shall be an object"),
        ("POST", "/send", {"From": {"Email": "x"}}, 400, "has no @"),
        ("POST", "/send", {"From": {"Email": "a@b.test"}}, 400, "Nobody is named"),
        ("POST", "/send", {"From": {"Email": "a@b.test"}, "To": [{"Email": "x@nowhere.test"}]}, 400, "No office has the domain"),
        ("POST", "/send", {"From": {"Email": "a@b.test"}, "To": ["x"]}, 400, "list of objects"),
        (
            "POST",
            "/send",
            {"From": {"Email": "a@b.test"}, "To": [{"Email": "bob@blue.test"}], "Headers": {"Subject": "x"}},
            400,
            "has it already",
        ),
        ("POST", "/send", {"From": {"Email": "a@b.test"}, "Attachments": [{"Filename": "f", "Content": "%"}]}, 400, "no base64"),
        ("POST", "/clock", {"jump": -1}, 400, "number of seconds"),
        ("POST", "/clock", {"jump": True}, 400, "number of seconds"),
        ("POST", "/clock", {"jump": 1e12}, 400, "number of seconds"),
        ("GET", "/events?after=x", None, 400, "after shall be"),
        ("POST", "/messages", {}, 405, "GET"),
        ("GET", "/nothing", None, 404, ""),
    ],
)
def test_what_cannot_be_understood_says_why(ask, method, path, body, code, says):
    got = ask(method, path, body)
    assert got.code == code
    assert says in got.body
    assert "Traceback" not in got.body


def test_a_form_of_another_site_cannot_send_json_or_delete(town):
    browser = Connection(sites.make(town))
    for method, path in (("POST", "/api/v1/reset"), ("DELETE", "/api/v1/messages")):
        assert browser.ask(method, path, b"{}", content_type="application/json", origin="http://evil.test").code == 403
    assert browser.ask("POST", "/api/v1/reset", b"{}", content_type="text/plain").code == 403
    assert (town.resets, len(town.ids())) == (0, 2)


def test_the_classroom_itself(ask, town):
    info = json.loads(ask("GET", "/info").body)
    assert (info["Messages"], info["Unread"], info["Version"].split()[0]) == (2, 2, "twistmail")
    before = json.loads(ask("GET", "/clock").body)["now"]
    assert json.loads(ask("POST", "/clock", {"jump": 3600}).body)["now"] == before + 3600
    assert ask("POST", "/reset", {}).body == "ok"
    assert town.resets == 1
    assert json.loads(ask("GET", "/town").body)["password"] == "demo"
    assert ask("GET", "/tags").body == "[]"


def test_whether_all_are_there(town):
    browser = Connection(sites.make(town))
    assert browser.ask("GET", "/readyz").code == 200
    town.off.add("green")
    assert (browser.ask("GET", "/readyz").code, browser.ask("GET", "/readyz").body) == (503, "off: green\n")
    assert browser.ask("GET", "/livez").code == 200
    assert browser.ask("GET", "/api/v1/message/green-carol-INBOX-1").code == 503


# ----- events


def event(**what):
    return Event(1, 0.0, "blue", "mail", "3f9cab-0001", {"state": "accepted", "recipients": ["a@b", "c@d"], "size": 3, "read": True} | what)


@pytest.mark.parametrize(
    ("wanted", "is_so"),
    [
        ({}, True), ({"kind": "mail"}, True), ({"kind": "store,mail"}, True), ({"kind": "store dns"}, False), ({"office": "blue"}, True),
        ({"office": "green"}, False), ({"about": "3f9cab-0001"}, True), ({"state": "accepted"}, True), ({"state": "acc"}, False),
        ({"recipients": "c@d"}, True), ({"recipients": "x"}, False), ({"size": "3"}, True), ({"read": "true"}, True), ({"none": ""}, False),
        ({"kind": "mail", "office": "blue", "state": "accepted"}, True),
    ],
)  # fmt: skip
def test_which_events_are_wanted(wanted, is_so):
    assert fits(event(), wanted) is is_so


def test_what_has_happened_already_is_told_at_once(town):
    for number in range(MOST + 10):
        town.ring.add("blue", "queue", "", {"n": number})
    assert len(found(town.ring, {}, 0)) == MOST
    assert [one.what["n"] for one in result_of(wait(town.ring, town.reactor, {"kind": "queue"}, MOST, 60.0))] == list(
        range(MOST, MOST + 10)
    )
    assert not town.reactor.getDelayedCalls()


def test_somebody_waits_for_the_first_that_fits(town):
    browser = Connection(sites.make(town))
    browser.send(b"GET /api/v1/events?kind=store&wait=30&after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    town.ring.add("blue", "mail", "x", {"state": "accepted"})
    assert browser.heard() == b""
    town.ring.add("blue", "store", "x", {"mailbox": "INBOX"})
    assert b'"mailbox":"INBOX"' in browser.heard()


def test_nobody_waits_for_ever(town):
    browser = Connection(sites.make(town))
    browser.send(b"GET /api/v1/events?kind=store&wait=1e9 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    town.reactor.advance(59.9)
    assert browser.heard() == b""
    town.reactor.advance(0.2)
    assert b'"events":[]' in browser.heard()


def waiting(site, client="127.0.0.1"):
    browser = Connection(site, client)
    return browser, browser.send(b"GET /api/v1/events?kind=store&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_who_hangs_up_waits_no_longer(town):
    site = sites.make(town)
    began = len(town.reactor.getDelayedCalls())
    for _ in range(MOST_WAITING + 10):
        browser, said = waiting(site)
        assert said == b""
        browser.leave()
    assert len(town.reactor.getDelayedCalls()) <= began + 1


def test_only_who_really_waits_counts(town):
    site = sites.make(town)
    assert all(waiting(site)[1] == b"" for _ in range(MOST_WAITING))
    assert b"503" in waiting(site)[1]
    town.ring.add("blue", "mail", "x", {"state": "accepted"})
    assert Connection(site).ask("GET", "/api/v1/events?kind=mail&wait=60").code == 200


def test_one_other_computer_takes_only_so_many_places(town):
    site = sites.make(town)
    assert all(waiting(site, "192.168.1.7")[1] == b"" for _ in range(MOST_OF_ONE))
    assert b"503" in waiting(site, "192.168.1.7")[1]
    assert waiting(site, "192.168.1.8")[1] == b""
    assert all(waiting(site)[1] == b"" for _ in range(MOST_OF_ONE + 1)), "our own programs have all that is left"


def test_a_ring_that_has_forgotten_says_from_where_on_it_knows(town):
    ring = Ring(lambda: 0.0, most=2)
    for _ in range(5):
        ring.add("blue", "queue")
    assert [one.number for one in found(ring, {}, 0)] == [4, 5]


# ----- what is asked


NAMES = ["From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "Text", "HTML", "Headers", "Attachments", "Email", "Name", "Content"]
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5))


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(["From", "To", "Bcc", "Subject", "HTML", "Headers", "Attachments"]), JSON))
def test_whatever_is_to_be_sent_is_a_draft_or_a_reason(asked):
    asked = {"From": {"Email": "a@b.test"}} | asked
    with suppress(Unfit, Mistake):
        assert mailpit.draft(asked).sender.address
