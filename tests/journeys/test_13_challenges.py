"""An authority looks at our port 80, and so does half the world: the real assembly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.house import ADDRESS, House
from twistmail.facts import Connected

ACME = "[acme]\nlisten = tcp:0:interface=127.0.0.1\n"
PAGE = "/.well-known/acme-challenge/token"


@pytest.fixture
def looked_at(build: Any) -> House:
    house: House = build(ACME)
    house.foundation.renewal.answers.pages["token"] = "token.thumbprint"
    return house


def asked(house: House, *lines: str) -> tuple[list[str], bool]:
    """(what is answered to *lines*, is the connection over)"""
    client = house.client("acme")
    said = [answer for line in lines for answer in client.say(line)]
    return said, client.transport.closed


def test_the_authority_finds_its_page(looked_at: House) -> None:
    client = looked_at.client("acme")
    for line in (f"GET {PAGE} HTTP/1.1", f"Host: {ADDRESS}", ""):
        client.say(line)
    head, _, body = client.transport.value().partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body, client.transport.closed) == (b"HTTP/1.1 200 OK", b"token.thumbprint", True)


@pytest.mark.parametrize(("line", "answer"), [
    pytest.param("GET / HTTP/1.1", "HTTP/1.1 404 Not Found", id="the-root"),
    pytest.param("GET /.well-known/acme-challenge/other HTTP/1.1", "HTTP/1.1 404 Not Found", id="no-such-token"),
    pytest.param("GET /.well-known/acme-challenge/ HTTP/1.1", "HTTP/1.1 404 Not Found", id="no-token"),
    pytest.param("GET /.well-known/acme-challenge/../acme-challenge/token HTTP/1.1", "HTTP/1.1 404 Not Found", id="a-way-around"),
    pytest.param("GET /token HTTP/1.1", "HTTP/1.1 404 Not Found", id="elsewhere"),
    pytest.param("PUT / HTTP/1.1", "HTTP/1.1 405 Method Not Allowed", id="another-method"),
    pytest.param("EHLO peer.example", "HTTP/1.1 400 Bad Request", id="another-protocol"),
])
def test_everybody_else_finds_nothing(looked_at: House, line: str, answer: str) -> None:
    said, is_over = asked(looked_at, line, "")
    assert (said[0], is_over) == (answer, True)


def test_nothing_is_said_first_and_silence_ends(looked_at: House) -> None:
    client = looked_at.client("acme")
    assert client.said == []
    looked_at.pass_time(16)
    assert client.transport.closed


def test_who_looks_for_web_servers_is_not_remembered(looked_at: House) -> None:
    asked(looked_at, "GET / HTTP/1.1", "")
    assert looked_at.told(Connected) == []


def test_more_than_a_few_are_sent_away(build: Any) -> None:
    house: House = build(ACME + "max_connections = 2\n")
    clients = [house.client("acme") for _ in range(3)]
    assert [client.transport.closed for client in clients] == [False, False, True]
    assert clients[2].said[0] == "HTTP/1.1 503 Service Unavailable"
