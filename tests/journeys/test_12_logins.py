"""One login for every service: the same exchange over SMTP, POP3 and IMAP, and the same answer to what is none."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from tests.journeys.house import SECRET, Client, House
from tests.wire.sasl.clients import ScramClient
from twistmail.facts import LoggedIn, LoginFailed


class Door:
    """A service as a client that logs in sees it. `begin` and `answer` give the last line that came back; `goes_on` its challenge."""

    def __init__(self, house: House, service: str) -> None:
        self.house = house
        self.service = service
        self.client: Client = house.client(service)
        if service == "submission":
            for line in ("EHLO pc.test", None, "EHLO pc.test"):
                self.client.say(line) if line else self.client.start_tls()

    def begin(self, mechanism: str, initial: bytes | None = None) -> str:
        word = "" if initial is None else " " + (b64encode(initial).decode() or "=")
        return self.raw({"imap": f"a AUTHENTICATE {mechanism}{word}"}.get(self.service, f"AUTH {mechanism}{word}"))

    def answer(self, data: bytes) -> str:
        return self.raw(b64encode(data).decode())

    def raw(self, line: str | bytes) -> str:
        said = self.client.say(line)
        return said[-1] if said else ""

    def challenge(self, line: str) -> bytes:
        mark, _, text = line.partition(" ")
        assert mark == ("334" if self.service == "submission" else "+"), line
        return b64decode(text)

    def came_in(self, line: str) -> bool:
        return line.startswith({"submission": "235 2.7.0", "imap": "a OK", "pop3": "+OK"}[self.service])

    def was_refused(self, line: str) -> bool:
        return line.startswith({"submission": "5", "imap": "a ", "pop3": "-ERR"}[self.service]) and not self.came_in(line)

    def waited(self) -> str:
        """What comes after the wait that a failure costs."""
        self.house.pass_time(30, step=1)
        said = self.client.heard()
        return said[-1] if said else ""


@pytest.fixture(params=["submission", "imap", "pop3"])
def door(request: Any, house: House) -> Door:
    return Door(house, request.param)


def scram(door: Door, password: str = SECRET, login: str = "ann", header: bytes = b"n,,") -> tuple[ScramClient, str]:
    """The client, and what is said to its proof."""
    client = ScramClient("SCRAM-SHA-256", login, password, header=header)
    said = door.challenge(door.begin("SCRAM-SHA-256", client.first))
    return client, door.answer(client.final(said))


def test_scram_lets_in_without_the_password(door: Door) -> None:
    client, line = scram(door)
    assert client.believes(door.challenge(line))
    assert door.came_in(door.raw(""))
    assert [(told.account, told.mechanism) for told in door.house.told(LoggedIn)] == [("ann@blue.test", "SCRAM-SHA-256")]


def test_a_wrong_proof_waits_like_a_wrong_password(door: Door) -> None:
    _, line = scram(door, "wrong")
    assert line == ""
    assert door.was_refused(door.waited())
    assert [told.mechanism for told in door.house.told(LoginFailed)] == ["SCRAM-SHA-256"]


def test_nobody_can_be_told_from_somebody(door: Door) -> None:
    salts = []
    for login in ("nobody", "nobody", "ann", "ann"):
        other = Door(door.house, door.service)
        said = other.challenge(other.begin("SCRAM-SHA-256", b"n,,n=%b,r=abc" % login.encode()))
        attributes = dict(attribute.split(b"=", 1) for attribute in said.split(b","))
        salts.append((attributes[b"s"], attributes[b"i"]))
    assert salts[0] == salts[1]
    assert salts[2] == salts[3]
    assert salts[0] != salts[2]
    assert len({(len(salt), count) for salt, count in salts}) == 1


@pytest.mark.parametrize("initial", [
    pytest.param(b"nonsense", id="no-header"),
    pytest.param(b"n,,n=,r=abc", id="no-name"),
    pytest.param(b"n,,n=../../etc/passwd\0,r=abc", id="nul-in-the-name"),
    pytest.param(b"p=tls-unique,,n=ann,r=abc", id="binding-without-plus"),
])
def test_a_malformed_beginning_ends_the_exchange_and_nothing_else(door: Door, initial: bytes) -> None:
    assert door.was_refused(door.begin("SCRAM-SHA-256", initial))
    assert door.came_in(door.begin("PLAIN", b"\0ann\0" + SECRET.encode()))


@pytest.mark.parametrize("line", [
    pytest.param("*", id="given-up"),
    pytest.param("no base64!", id="not-base64"),
    pytest.param(b"\xff\xfe", id="eight-bit"),
    pytest.param("=", id="only-padding"),
    pytest.param(b64encode(b"c=biws,r=wrong").decode(), id="no-proof"),
])
def test_a_malformed_answer_in_the_midst_ends_it(door: Door, line: str | bytes) -> None:
    door.challenge(door.begin("SCRAM-SHA-256", b"n,,n=ann,r=abc"))
    assert door.was_refused(door.raw(line))
    assert door.came_in(door.begin("PLAIN", b"\0ann\0" + SECRET.encode()))


def test_something_said_to_our_proof_spoils_it(door: Door) -> None:
    _, line = scram(door)
    door.challenge(line)
    assert door.was_refused(door.answer(b"more"))
    assert door.house.told(LoggedIn) == []


def test_a_second_login_is_refused(door: Door) -> None:
    assert door.came_in(door.begin("PLAIN", b"\0ann\0" + SECRET.encode()))
    assert door.was_refused(door.begin("PLAIN", b"\0bob\0" + SECRET.encode()))
    assert [told.account for told in door.house.told(LoggedIn)] == ["ann@blue.test"]


def test_a_megabyte_of_base64_is_no_answer(door: Door) -> None:
    door.begin("PLAIN")
    for _ in range(64):
        door.client.feed(b"A" * 16_384)
    door.client.feed(b"\r\n")
    assert door.house.told(LoggedIn) == []
    assert door.client.transport.closed or door.came_in(door.begin("PLAIN", b"\0ann\0" + SECRET.encode()))


@pytest.mark.parametrize("login", ["../../ann", "%n", "ann%00", "' OR 1=1 --", "*)(uid=*", "ann@blue.test@red.test", "\u200fann"])
def test_a_login_that_is_none_is_nobody(door: Door, login: str) -> None:
    line = door.begin("PLAIN", f"\0{login}\0{SECRET}".encode())
    assert door.was_refused(line or door.waited())
    assert door.house.told(LoggedIn) == []


@pytest.mark.parametrize("service", ["submission", "imap", "pop3"])
def test_a_master_acts_for_another(build: Any, service: str) -> None:
    house = build("masters = bob@blue.test\n")
    door = Door(house, service)
    assert door.came_in(door.begin("PLAIN", b"ann@blue.test\0bob\0" + SECRET.encode()))
    (told,) = house.told(LoggedIn)
    assert (told.account, told.by) == ("ann@blue.test", "bob@blue.test")
