"""POP before SMTP: who has read his mail from an address, and for how long that counts."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from tests.servers.smtp.house import SmtpHouse
from twistmail.facts import Fact, Facts, LoggedIn, LoginFailed
from twistmail.mail.envelope import Role
from twistmail.policy import popauth as module
from twistmail.policy.popauth import PopAuth, as_json
from twistmail.servers.smtp_options import MX

MINUTES = 60.0


class Door:
    """A PopAuth on a fake clock, and what it hears of."""

    def __init__(self, period: float | None = 20 * MINUTES) -> None:
        self.clock, self.facts = Clock(), Facts()
        self.popauth = PopAuth(self.facts, self.clock.seconds)
        self.popauth.keep_for(period)

    def login(self, address: str, account: str = "ann@here.example", service: str = "pop3") -> None:
        self.facts.tell(Fact(0.0, "c1", LoggedIn(account, "USER", service, address)))

    def who(self, address: str) -> str:
        reader = self.popauth.reader(address)
        return reader.account if reader else ""


def test_an_address_is_open_for_so_long_after_the_last_login() -> None:
    door = Door()
    door.login("192.0.2.9")
    door.clock.advance(20 * MINUTES - 1)
    assert door.who("192.0.2.9") == "ann@here.example"
    door.login("192.0.2.9", "bob@here.example")
    door.clock.advance(20 * MINUTES - 1)
    assert door.who("192.0.2.9") == "bob@here.example"
    door.clock.advance(1)
    assert door.who("192.0.2.9") == ""


@pytest.mark.parametrize(("known", "asked", "is_open"), [
    pytest.param("192.0.2.9", "192.0.2.9", True, id="the-same"),
    pytest.param("192.0.2.9", "192.0.2.8", False, id="its-neighbour"),
    pytest.param("192.0.2.9", "::ffff:192.0.2.9", True, id="the-same-written-as-IPv6"),
    pytest.param("2001:DB8::1", "2001:db8:0::1", True, id="the-same-in-other-letters"),
    pytest.param("2001:db8::1", "2001:db8::2", False, id="the-same-network"),
    pytest.param("unix", "unix", False, id="a-socket"),
    pytest.param("", "", False, id="nothing"),
])
def test_it_is_one_address_and_never_a_network(known: str, asked: str, is_open: bool) -> None:
    door = Door()
    door.login(known)
    assert bool(door.who(asked)) is is_open


@pytest.mark.parametrize(("service", "is_open"), [("pop3", True), ("imap", True), ("submission", False), ("", False)])
def test_only_reading_mail_counts(service: str, is_open: bool) -> None:
    door = Door()
    door.login("192.0.2.9", service=service)
    assert bool(door.who("192.0.2.9")) is is_open


def test_a_password_that_is_for_one_program_opens_nothing_else() -> None:
    door = Door()
    door.facts.tell(Fact(0.0, "c1", LoggedIn("ann@here.example", "USER", "pop3", "192.0.2.9", app_password=True)))
    assert door.who("192.0.2.9") == ""


def test_a_failed_login_opens_nothing_and_closes_nothing() -> None:
    door = Door()
    door.facts.tell(Fact(0.0, "c1", LoginFailed("ann", "USER")))
    assert list(door.popauth.readers()) == []
    door.login("192.0.2.9")
    door.facts.tell(Fact(0.0, "c2", LoginFailed("ann", "USER")))
    assert door.who("192.0.2.9")


def test_off_is_the_default_and_remembers_nothing() -> None:
    assert MX.defaults().pop_before_smtp is None
    for period in (None, 0.0):
        door = Door(period)
        door.login("192.0.2.9")
        assert not door.facts.listened
        door.popauth.keep_for(20 * MINUTES)
        assert door.who("192.0.2.9") == ""


def test_switching_it_off_forgets_and_another_period_holds_at_once() -> None:
    door = Door()
    door.login("192.0.2.9")
    door.clock.advance(10 * MINUTES)
    door.popauth.keep_for(5 * MINUTES)
    assert door.who("192.0.2.9") == ""
    door.popauth.keep_for(20 * MINUTES)
    assert door.who("192.0.2.9") != ""
    door.popauth.keep_for(None)
    door.popauth.keep_for(20 * MINUTES)
    assert door.who("192.0.2.9") == ""


def test_the_memory_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 10)
    door = Door()
    for number in range(50):
        door.login(f"192.0.2.{number % 25}")
    assert [address for address, _, _ in door.popauth.readers()] == [f"192.0.2.{number}" for number in range(15, 25)]
    door.clock.advance(20 * MINUTES)
    door.login("192.0.2.99")
    assert len(door.popauth._readers) == 1, "what is over is not kept"


def test_the_list_tells_the_time_that_is_left() -> None:
    door = Door()
    door.login("192.0.2.9")
    door.clock.advance(90)
    door.login("2001:db8::1", "bob@here.example", "imap")
    assert as_json(door.popauth) == [
        {"address": "192.0.2.9", "account": "ann@here.example", "service": "pop3", "left_s": 1110},
        {"address": "2001:db8::1", "account": "bob@here.example", "service": "imap", "left_s": 1200},
    ]


def test_on_submission_there_is_no_such_door() -> None:
    house = SmtpHouse()
    house.popauth = PopAuth(house.facts, house.clock.seconds)
    house.popauth.keep_for(20 * MINUTES)
    house.facts.tell(Fact(0.0, "c1", LoggedIn("ann@here.example", "USER", "pop3", "192.0.2.7")))
    player = house.player(house.service(Role.SUBMISSION, tls="offered", stages=("relaying", "recipients")))
    assert player.say("EHLO pc", "MAIL FROM:<ann@here.example>")[-1].startswith("530 5.7.0")
    player = house.player(house.service(pop_before_smtp=20 * MINUTES))
    assert player.say("EHLO pc", "MAIL FROM:<ann@here.example>", "RCPT TO:<x@far.example>")[-1].startswith("250")
    player = house.player(house.service())
    assert player.say("EHLO pc", "MAIL FROM:<ann@here.example>", "RCPT TO:<x@far.example>")[-1].startswith("550"), "off is off"
