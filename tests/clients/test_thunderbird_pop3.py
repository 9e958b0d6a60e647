"""Thunderbird fetches by POP3 over TLS: all of it and away, and leaving it here."""

from __future__ import annotations

import re
import smtplib

import pytest

from tests.clients.thunderbird import thunderbird
from tests.interop.house import House, Person, folder, running

pytestmark = pytest.mark.needs({"thunderbird": "thunderbird"})

ALICE = Person("alice")
CERTIFICATE = re.compile("-BEGIN CERTIFICATE-+([^-]+)-")


@pytest.fixture
def house():
    with folder() as place, running(House(place, tls="required")) as house:
        house.add(ALICE)
        yield house


@pytest.fixture
def bird(house):
    """A Thunderbird that knows the server's certificate."""
    with thunderbird() as bird:
        port = house.port("pop3", tls=True)
        bird.do("trust", port, CERTIFICATE.search(house.authority.read_text())[1].replace("\n", ""))
        yield bird


def send(house, *subjects):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for subject in subjects:
            text = f"Subject: {subject}\r\nFrom: Eve <eve@red.test>\r\nTo: {ALICE.address}\r\n\r\nThis is {subject}.\r\n..\r\n"
            smtp.sendmail("eve@red.test", [ALICE.address], text.encode())


def kept(house) -> list[str]:
    """The subjects of what is here still."""
    return sorted((b"\n" + letter).partition(b"\nSubject: ")[2].partition(b"\n")[0].decode() for letter in house.stored(ALICE))


def test_everything_is_fetched_and_taken_away(house, bird):
    bird.do("add_pop3_account", ALICE.address, ALICE.password, house.port("pop3", tls=True), False)
    send(house, "first", "second", "third")
    bird.do("fetch_mail")
    assert bird.do("fetched") == ["first", "second", "third"]
    assert kept(house) == []
    send(house, "fourth")
    bird.do("fetch_mail")
    assert bird.do("fetched") == ["first", "fourth", "second", "third"]


def test_what_is_left_here_is_fetched_once_and_goes_when_it_is_deleted_there(house, bird):
    bird.do("add_pop3_account", ALICE.address, ALICE.password, house.port("pop3", tls=True), True)
    send(house, "first", "second")
    bird.do("fetch_mail")
    send(house, "third")
    bird.do("fetch_mail")
    assert bird.do("fetched") == kept(house) == ["first", "second", "third"]
    bird.do("remove_fetched", "second")
    bird.do("fetch_mail")
    assert bird.do("fetched") == kept(house) == ["first", "third"]
