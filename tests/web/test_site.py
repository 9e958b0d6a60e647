"""HTTP: what is answered, what is refused, and what a stranger cannot do."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from tests.web.visits import Connection
from twistmail.web import site as web
from twistmail.web.guard import Guard
from twistmail.web.page import Answer, Asked, Route, json, see_other, text
from twistmail.web.site import Site


class House:
    """A site with a page, a form and something that goes wrong; `saved`: what forms have brought."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.guard = Guard(b"secret")
        self.saved: list[Asked] = []

        async def page(asked: Asked) -> Answer:
            return Answer(self.guard.token(asked).encode())

        async def save(asked: Asked) -> Answer:
            self.saved.append(asked)
            return see_other("/")

        async def wrong(asked: Asked) -> Answer:
            raise KeyError("a bug")

        async def named(asked: Asked) -> Answer:
            return json(dict(asked.names))

        self.site = Site(
            self.clock,
            (
                Route("GET", "/", page),
                Route("POST", "/save", save),
                Route("GET", "/wrong", wrong),
                Route("GET", "/of/{name}", named),
                Route("DELETE", "/of/{name}", save),
            ),
            guard=self.guard,
        )

    def browser(self, client: str = "127.0.0.1") -> Connection:
        return Connection(self.site, client)


@pytest.fixture
def house() -> House:
    return House()


LINK = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
FORM = "application/x-www-form-urlencoded"


def test_a_form_of_ours_is_taken_and_the_browser_sent_on(house):
    page = house.browser().ask("GET", "/")
    cookie = page.headers["set-cookie"].partition(";")[0]
    got = house.browser().ask("POST", "/save", f"token={page.body}&who=J%C3%BCrg".encode(), content_type=FORM, cookie=cookie)
    assert (got.code, got.headers["location"]) == (303, "/")
    assert house.saved[0].form["who"] == "Jürg"


def test_a_script_that_sends_a_form_is_told_where_the_page_would_be(house):
    page = house.browser().ask("GET", "/")
    cookie = page.headers["set-cookie"].partition(";")[0]
    got = house.browser().ask("POST", "/save", f"token={page.body}".encode(), content_type=FORM, cookie=cookie, x_requested_with="page")
    assert (got.code, got.headers["x-location"]) == (204, "/")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param(b"who=me", {"content_type": FORM}, id="no-token"),
        pytest.param(b"token=guessed", {"content_type": FORM}, id="a-guessed-token"),
        pytest.param(b"token=", {"content_type": "text/plain"}, id="text-as-any-page-may-send-it"),
        pytest.param(b"{}", {}, id="no-type-at-all"),
    ],
)
def test_a_form_without_its_token_is_refused(house, body, fields):
    assert house.browser().ask("POST", "/save", body, **fields).code == 403
    assert house.saved == []


def test_a_token_is_of_one_browser_only(house):
    token = house.browser().ask("GET", "/").body
    other = house.browser().ask("GET", "/").headers["set-cookie"].partition(";")[0]
    assert house.browser().ask("POST", "/save", f"token={token}".encode(), content_type=FORM, cookie=other).code == 403


@pytest.mark.parametrize(
    ("method", "path", "fields", "code"),
    [
        pytest.param("GET", "/", {"host": "127.0.0.1:8025"}, 200, id="address"),
        pytest.param("GET", "/", {"host": "[::1]:8025"}, 200, id="address-of-6"),
        pytest.param("GET", "/", {"host": "LOCALHOST"}, 200, id="localhost"),
        pytest.param("GET", "/", {"host": "evil.example:8025"}, 403, id="a-name-made-to-point-here"),
        pytest.param("GET", "/", {"host": ""}, 403, id="no-host"),
        pytest.param("GET", "/", LINK, 200, id="a-link"),
        pytest.param("GET", "/", LINK | {"sec_fetch_dest": "iframe"}, 403, id="a-frame"),
        pytest.param("GET", "/", LINK | {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}, 403, id="an-image"),
        pytest.param("GET", "/", {"sec_fetch_site": "same-site"}, 403, id="another-port-of-this-computer"),
        pytest.param("GET", "/", {"sec_fetch_site": "same-origin"}, 200, id="our-own-script"),
        pytest.param("DELETE", "/of/x", {"origin": "http://evil.example"}, 403, id="foreign-origin"),
        pytest.param("DELETE", "/of/x", {"origin": "null"}, 403, id="sandboxed-frame"),
        pytest.param("DELETE", "/of/x", {"origin": "http://127.0.0.1:8025"}, 303, id="own-origin"),
        pytest.param("DELETE", "/of/x", {}, 303, id="a-program"),
    ],
)
def test_who_may_ask(house, method, path, fields, code):
    assert house.browser().ask(method, path, **fields).code == code


def test_a_program_may_send_json_without_a_token(house):
    assert house.browser().ask("POST", "/save", b"{}", content_type="application/json; charset=utf-8").code == 303


def test_names_are_decoded_once_and_hold_no_slash_of_the_path(house):
    assert house.browser().ask("GET", "/of/a%2Fb%2541").body == '{"name":"a/b%41"}'


def test_a_method_that_is_not_served_says_which_are(house):
    got = house.browser().ask("PUT", "/save")
    assert (got.code, got.headers["allow"]) == (405, "POST")


def test_head_is_get_without_its_body(house):
    got = house.browser().ask("HEAD", "/of/me")
    assert (got.code, got.body, got.headers["content-length"]) == (200, "", "13")


def test_a_bug_is_a_500_and_a_line_in_the_log(house, logged):
    got = house.browser().ask("GET", "/wrong")
    assert got.code == 500
    assert "a bug" not in got.body
    assert logged == ["GET /wrong failed"]


def test_every_answer_is_strict(house):
    for path in ("/", "/nowhere", "/wrong"):
        got = house.browser().ask("GET", path)
        assert {name.lower(): got.headers[name.lower()] for name in web.STRICT} == {n.lower(): v for n, v in web.STRICT.items()}


@pytest.mark.parametrize(
    ("host", "isolates"),
    [("localhost:8025", True), ("127.0.0.1:8025", True), ("[::1]:8025", True), ("class.localhost", True), ("192.168.1.2:8025", False)],
)
def test_browsers_are_not_told_what_they_ignore_without_tls(house, host, isolates):
    got = house.browser().ask("GET", "/", host=host)
    assert ("cross-origin-opener-policy" in got.headers) is isolates
    assert "content-security-policy" in got.headers


def test_a_gate_answers_in_the_place_of_the_page(house):
    house.site.gates.append(lambda asked: text("room code?", 401))
    assert house.browser().ask("GET", "/").code == 401


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(house):
    browser = house.browser()
    said = browser.send(b"POST /save HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (web.MOST_BODY + 1))
    assert said.startswith(b"HTTP/1.1 413 ")
    assert browser.transport.half_closed
    assert browser.send(b"x" * 100_000) == b""


def test_a_body_that_does_not_say_is_refused_when_it_has_become_too_large(house):
    browser = house.browser()
    browser.send(b"POST /save HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answers = [browser.send(chunk) for _ in range(web.MOST_BODY // 65536 + 1)]
    assert answers[-1].startswith(b"HTTP/1.1 413 ")
    assert not any(answers[:-1])
    assert house.saved == []


def test_a_request_that_comes_in_drops_is_given_up(house):
    browser = house.browser()
    for _ in range(10):
        browser.send(b"GET / HTTP/1.1\r\n" if _ == 0 else b"X: y\r\n")
        house.clock.advance(web.PATIENCE / 9)
    assert browser.transport.disconnecting


@pytest.mark.parametrize(
    "octets",
    [b"\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n"],
)
def test_what_is_no_request_ends_the_connection(house, octets):
    browser = house.browser()
    assert browser.send(octets)[:12] in (b"HTTP/1.1 400", b"")
    assert browser.transport.disconnecting


def test_a_query_of_too_many_fields_is_refused(house):
    assert house.browser().ask("GET", "/?" + "a=b&" * 1000).code == 400


def test_one_computer_of_the_network_cannot_take_all_connections(house):
    far = [house.browser("192.168.1.7").channel for _ in range(web.MOST_FROM_ONE + 1)]
    assert far[-1] is None
    assert house.browser("192.168.1.8").channel is not None
    assert all(house.browser().channel for _ in range(web.MOST_FROM_ONE + 1))


def test_connections_are_bounded_and_one_that_ends_makes_room(house):
    held = [house.browser() for _ in range(web.MOST_CONNECTIONS)]
    assert house.browser().channel is None
    held[0].leave()
    assert house.browser().channel is not None


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary*=x; boundary*0=y", "multipart/form-data; boundary*=undefined''a"])
def test_a_form_that_nobody_can_read_is_answered(house, kind):
    assert house.browser().ask("POST", "/save", b"--x--\r\n", content_type=kind).code == 400
    assert not house.saved
