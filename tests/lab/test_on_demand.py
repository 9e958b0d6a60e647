"""Answers that an address asks for, in all protocols."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted

from tests.lab.living import Guest, living
from twistmail.lab.on_demand import wish
from twistmail.lab.town import Town


@pytest.fixture(scope="module")
def place(tmp_path_factory: Any) -> Iterator[tuple[Town, Guest]]:
    with living(tmp_path_factory.mktemp("town")) as here:
        yield here


def rcpt(port: int, to: str) -> str:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo("stranger.test")
        client.mail("eve@stranger.test")
        code, words = client.rcpt(to)
        return f"{code} {words.decode()}"


def letter(port: int, *to: str) -> str:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo("stranger.test")
        client.mail("eve@stranger.test")
        for one in to:
            client.rcpt(one)
        code, words = client.data(b"Subject: x\r\n\r\nx\r\n")
        return f"{code} {words.decode()}"


@pytest.mark.parametrize(("to", "says"), [
    ("carol+451@green.test", "451 4.3.0"), ("carol+550@green.test", "550 5.1.1"), ("carol+452@green.test", "452 4.2.2"),
    ("carol+599@green.test", "599 5.0.0"), ("carol+unavailable@green.test", "451 4.3"), ("carol+lunch@green.test", "250 2.1.5"),
    ("carol+250@green.test", "250 2.1.5"), ("carol+data-552@green.test", "250 2.1.5"), ("carol@green.test", "250 2.1.5"),
])  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_is_said_to_a_recipient(place, to, says):
    town, guest = place
    assert (await guest.do(rcpt, town.ports["green", "mx"], to)).startswith(says)


@pytest_twisted.ensureDeferred
async def test_what_is_said_to_a_letter(place):
    town, guest = place
    port = town.ports["green", "mx"]
    assert (await guest.do(letter, port, "carol@green.test", "carol+data-552@green.test")).startswith("552 5.2.2")
    assert (await guest.do(letter, port, "carol+lunch@green.test")).startswith("250")


@pytest_twisted.ensureDeferred
async def test_a_login_that_cannot_be_checked_now(place):
    town, guest = place
    who = "carol+unavailable@green.test"

    def imap() -> None:
        imaplib.IMAP4("127.0.0.1", town.ports["green", "imap"], timeout=10).login(who, "demo")

    def pop() -> None:
        client = poplib.POP3("127.0.0.1", town.ports["green", "pop3"], timeout=10)
        client.user(who)
        client.pass_("demo")

    def submit() -> None:
        smtplib.SMTP("127.0.0.1", town.ports["green", "submission"], timeout=10).login(who, "demo")

    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        await guest.do(imap)
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        await guest.do(pop)
    with pytest.raises(smtplib.SMTPException, match="454"):
        await guest.do(submit)


@pytest.mark.parametrize(("local", "asks"), [
    ("carol+451", (False, 451)), ("carol+data-554", (True, 554)), ("a+b+421", (False, 421)), ("carol", None), ("carol+", None),
    ("carol+399", None), ("carol+600", None), ("carol+4511", None), ("+451", None), ("carol+data-", None), ("carol+451\n", None),
])  # fmt: skip
def test_what_an_address_asks_for(local, asks):
    found = wish(local)
    assert (None if found is None else (found[0], found[1].code)) == asks
