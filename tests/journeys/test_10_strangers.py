"""Strangers at the door of the whole server: lists in the DNS, names, guesses, and a start while the lists are out of reach."""

from __future__ import annotations

from typing import Any

from tests.journeys.house import ADDRESS, House
from twistmail import assembly
from twistmail.facts import Refused

LISTS = "[mx]\ndnsbl = zen.test=127.0.0.2-11\nrhsbl = dbl.test\n"
MESSAGE = b"From: eve@far.test\r\nSubject: x\r\n\r\nhello\r\n"


def with_lists(build: Any, more: str = "") -> House:
    house: House = build(LISTS + more)
    house.zone.names |= {
        "2.0.0.127.zen.test": {"A": ["127.0.0.2"]},
        "test.dbl.test": {"A": ["127.0.1.2"]},
        "7.2.0.192.zen.test": {"A": ["127.0.0.4"], "TXT": [b"seen in a trap"]},
    }
    house.pass_time(3600)  # the lists were empty at the start, so they were switched off until the next test
    return house


def test_a_listed_client_is_refused_with_the_list_s_words_and_the_fact_says_which(build: Any) -> None:
    house = with_lists(build)
    answers = house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<bob@blue.test>", "RCPT TO:<postmaster>")
    assert answers[-2:] == [f"550 5.7.1 {ADDRESS} is listed by zen.test: seen in a trap", "250 2.1.5 Recipient ok"]
    (refused,) = house.told(Refused)
    assert (refused.stage, refused.rule, refused.status.enhanced) == ("blocklists", "zen.test 127.0.0.4", "5.7.1")


def test_users_are_heard_from_wherever_they_are(build: Any) -> None:
    house = with_lists(build)
    assert house.submit(MESSAGE.replace(b"eve@far", b"ann@blue"), "bob@blue.test").startswith("250")
    assert "7.2.0.192.zen.test" not in [name for name, _ in house.zone.asked]


def test_whoever_has_just_read_his_mail_is_no_stranger(build: Any) -> None:
    """Pools of dial-up addresses are listed as a whole, and POP before SMTP (R50) is for those who dial up."""
    house = with_lists(build, "pop_before_smtp = 20m\n")
    house.login("pop3")
    answers = house.smtp("MAIL FROM:<ann@blue.test>", "RCPT TO:<bob@blue.test>")
    assert answers[-1] == "250 2.1.5 Recipient ok"
    house.pass_time(20 * 60)
    assert house.smtp("MAIL FROM:<ann@blue.test>", "RCPT TO:<bob@blue.test>")[-1].startswith("550 5.7.1")


def test_lists_that_are_out_of_reach_hold_up_no_start_and_no_mail(build: Any) -> None:
    """R58: they are asked for in the background, and mail comes in without them."""
    house: House = build(LISTS.replace("dbl.test", "dbl.test\nreverse_dns = log"))
    house.zone.broken |= {f"{entry}.zen.test" for entry in ("1.0.0.127", "2.0.0.127", "7.2.0.192")}
    house.zone.broken |= {"invalid.dbl.test", "test.dbl.test", ADDRESS}
    assert house.client("mx").said[0].startswith("220")
    assert house.send(MESSAGE, "bob@blue.test").startswith("250")


def test_a_reload_takes_another_list(build: Any) -> None:
    house = with_lists(build)
    house.file.write_text(house.file.read_text().replace("zen.test=127.0.0.2-11", "zen.test=127.0.0.9"))
    loaded = house.load()
    assert loaded.config is not None
    parts = assembly.build(loaded.config, house.foundation)
    house.listeners["mx"].adopt(parts.born("mx", loaded.config["mx"].listen[0]))
    assert house.send(MESSAGE, "bob@blue.test").startswith("250")


def test_guessing_names_takes_longer_and_longer_and_ends(build: Any) -> None:
    house: House = build()
    client = house.client("mx")
    client.say("EHLO peer.far.test")
    client.say("MAIL FROM:<eve@far.test>")
    began = house.reactor.seconds()
    guesses = 0
    while not client.transport.closed:
        answers = client.say(f"RCPT TO:<guess{guesses}@blue.test>")
        while not answers:
            house.pass_time(1, step=1)
            answers = client.heard()
        guesses += 1
    assert guesses == 21
    assert house.reactor.seconds() - began > 25
    assert house.send(MESSAGE, "bob@blue.test").startswith("250")
