"""Connections that are held by hand: whose they are, how many there may be, what the page shows of them."""

from __future__ import annotations

import http.client
import re
import urllib.parse
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.lab.living import Guest, living
from twistmail.lab import site
from twistmail.lab.console import MOST_OF_ONE, Console, explained, plain
from twistmail.lab.dialects import ImapTalk, SmtpTalk
from twistmail.lab.talk import NotNow


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[tuple[object, Guest, int]]:
    with living(tmp_path_factory.mktemp("town")) as (town, guest):
        port = reactor.listenTCP(0, site.make(town), interface="127.0.0.1")
        yield town, guest, port.getHost().port
        pytest_twisted.blockon(port.stopListening())


@pytest.fixture
def console(place) -> Iterator[Console]:
    made = Console(place[0])
    yield made
    made.stop()


def shown(held) -> list[str]:
    return [f"{said.side} {said.text}" for said in held.talk.said]


@pytest_twisted.ensureDeferred
async def test_what_is_typed_is_answered_by_the_office(console):
    async def talked():
        held = await console.open("me", "green", "mx")
        await console.say(held, "EHLO pc.test")
        await console.say(held, "MAIL FROM:<eve@red.test>\nRCPT TO:<nobody@green.test>\n")
        return held

    held = await talked()
    assert shown(held)[0].startswith("S 220 mx.green.test")
    assert "S 550 5.1.1" in "\n".join(shown(held))
    assert held.talk.dialect.state == "has a sender"
    assert console.about(held), "the office's own name of the connection is found"


@pytest_twisted.ensureDeferred
async def test_it_is_a_real_login_inside_tls(console):
    async def talked():
        held = await console.open("me", "blue", "submission")
        for line in ("EHLO pc.test", "STARTTLS", "EHLO pc.test", f"AUTH PLAIN {plain('alice@blue.test', 'demo')}"):
            await console.say(held, line)
        return held

    held = await talked()
    text = "\n".join(shown(held))
    assert "- from here on it is encrypted" in text
    assert "- base64 is no secret: this says name alice@blue.test, password demo" in text
    assert "S 235" in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("AUTH PLAIN " + plain("a@b", "c"), "name a@b, password c"),
        ("x AUTHENTICATE PLAIN " + plain("a@b", "c"), "name a@b, password c"),
        ("AUTH PLAIN", ""),
        ("AUTH PLAIN !!", ""),
        ("AUTH PLAIN aGk=", ""),
        ("MAIL FROM:<PLAIN@x>", ""),
        ("AUTH PLAIN /////w==", ""),
    ],
)
def test_what_a_login_says_to_who_can_read_along(line, words):
    assert words in explained(line, SmtpTalk())
    assert bool(explained(line, ImapTalk())) is bool(words)


@pytest_twisted.ensureDeferred
async def test_a_connection_is_its_browser_s_alone(console):
    held = await console.open("me", "green", "pop3")
    assert console.get("me", held.id) is held
    assert console.get("you", held.id) is None
    assert console.get("me", "nothing") is None


@pytest_twisted.ensureDeferred
async def test_one_browser_holds_so_many_and_the_oldest_makes_room(console):
    first = await console.open("me", "green", "pop3")
    for _ in range(MOST_OF_ONE):
        await console.open("me", "green", "imap")
    assert len(console.of("me")) == MOST_OF_ONE
    assert console.get("me", first.id) is None
    assert first.talk.closed


@pytest_twisted.ensureDeferred
async def test_all_together_hold_so_many(console, monkeypatch):
    monkeypatch.setattr("twistmail.lab.console.MOST", 2)
    for name in ("one", "two"):
        await console.open(name, "green", "pop3")
    with pytest.raises(NotNow, match="by hand already"):
        await console.open("three", "green", "pop3")


@pytest.mark.parametrize(("office", "service"), [("green", "dns"), ("green", "imaps"), ("nowhere", "mx"), ("", "")])
@pytest_twisted.ensureDeferred
async def test_there_is_no_way_to_anything_else(console, office, service):
    with pytest.raises(NotNow, match="no such service"):
        await console.open("me", office, service)


class Browser:
    """A browser without a script."""

    def __init__(self, guest: Guest, port: int) -> None:
        self._guest, self._port, self._cookie = guest, port, ""

    async def ask(self, method: str, path: str, **form: str) -> tuple[int, str, str]:
        return await self._guest.do(self._ask, method, path, form)

    def _ask(self, method: str, path: str, form: dict[str, str]) -> tuple[int, str, str]:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Cookie": self._cookie, "Accept": "text/html"}
        body = urllib.parse.urlencode(form) if method == "POST" else None
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        link.request(method, path, body, headers)
        answer = link.getresponse()
        text = answer.read().decode()
        if cookie := answer.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        link.close()
        return answer.status, text, answer.getheader("Location", "")

    async def token(self, path: str) -> str:
        return re.search(r'name="token" value="([^"]+)"', (await self.ask("GET", path))[1]).group(1)


@pytest_twisted.ensureDeferred
async def test_the_page_works_without_a_script(place):
    _, guest, port = place
    browser = Browser(guest, port)
    await browser.ask("GET", "/console")
    token = await browser.token("/console?office=green&service=mx")
    code, _, where = await browser.ask("POST", "/console", token=token, office="green", service="mx")
    assert (code, where.startswith("/console/")) == (303, True)
    page = (await browser.ask("GET", where))[1]
    assert "State: greeted" in page
    assert 'data-fill="EHLO pc.test"' in page
    assert (await browser.ask("POST", where + "/say", token=token, line="EHLO pc.test"))[0] == 303
    page = (await browser.ask("GET", where))[1]
    assert "State: said hello" in page
    assert '<g data-key="said hello" class="now">' in page
    assert (await browser.ask("POST", where + "/end", token=token))[0] == 303
    assert (await browser.ask("GET", where))[0] == 404


@pytest.mark.parametrize(
    ("form", "code"),
    [
        pytest.param({"office": "green", "service": "ssh"}, 409, id="no-such-service"),
        pytest.param({"office": "<script>", "service": "mx"}, 409, id="no-such-office"),
        pytest.param({}, 409, id="nothing"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bad_wishes_are_told(place, form, code):
    _, guest, port = place
    browser = Browser(guest, port)
    await browser.ask("GET", "/console")
    got, page, _ = await browser.ask("POST", "/console", token=await browser.token("/console"), **form)
    assert (got, "there is no such service" in page, "<script>" in page.partition("<main")[2]) == (code, True, False)


@pytest_twisted.ensureDeferred
async def test_what_somebody_types_stays_text_and_others_cannot_see_it(place):
    _, guest, port = place
    browser, other = Browser(guest, port), Browser(guest, port)
    await browser.ask("GET", "/console")
    await other.ask("GET", "/console")
    token = await browser.token("/console")
    where = (await browser.ask("POST", "/console", token=token, office="red", service="mx"))[2]
    await browser.ask("POST", where + "/say", token=token, line='<img src=x onerror="alert(1)">')
    assert "<img src=x" not in (await browser.ask("GET", where))[1]
    assert "&lt;img src=x" in (await browser.ask("GET", where))[1]
    assert (await other.ask("GET", where))[0] == 404
    assert (await other.ask("GET", where + "/talk"))[0] == 404
    assert (await browser.ask("POST", where + "/say", token="wrong", line="QUIT"))[0] == 403
