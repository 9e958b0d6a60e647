"""A queue that has become long: who hears of it, and when (spec D7, limits.md section 1)."""

from __future__ import annotations

import pytest

from tests.journeys.house import FAR, identifier
from twistmail.facts import Refused
from twistmail.mail.bounds import Bounds
from twistmail.mail.schedule import HOUR

LETTER = b"From: ann@blue.test\r\nTo: harry@far.test\r\nSubject: hello\r\nMessage-ID: <1@blue.test>\r\n\r\nhow are you\r\n"
NO_ROOM = "452 4.3.1 No room for new mail at the moment, please try again later"


def recipients(house, *to: str, announced: int = 0) -> list[str]:
    """What a user hears at each RCPT."""
    client = house.login("submission")
    client.say("MAIL FROM:<ann@blue.test>" + (f" SIZE={announced}" if announced else ""))
    return [client.say(f"RCPT TO:<{one}>")[-1] for one in to]


def test_who_would_have_to_wait_in_a_full_queue_hears_of_it_before_he_sends(house):
    """And mail for mailboxes here goes on."""
    house.foundation.queue.bounds = Bounds(messages=1)
    house.submit(LETTER, "harry@far.test")
    assert len(house.waiting) == 1
    assert recipients(house, "harry@far.test", "bob@blue.test") == [NO_ROOM, "250 2.1.5 Recipient ok"]
    assert [fact.stage for fact in house.told(Refused)] == ["queue"]
    assert house.submit(LETTER, "bob@blue.test").startswith("250")
    house.town("far.test", FAR)
    house.pass_time(HOUR)
    assert house.waiting == []
    assert identifier(house.submit(LETTER, "harry@far.test"))


def test_what_was_announced_counts_at_once(house):
    house.foundation.queue.bounds = Bounds(octets=100_000)
    assert recipients(house, "harry@far.test", announced=90_000) == ["250 2.1.5 Recipient ok"]
    assert recipients(house, "harry@far.test", announced=110_000) == [NO_ROOM]


def test_a_disk_that_is_nearly_full_takes_no_mail_that_would_have_to_wait(house, monkeypatch):
    monkeypatch.setattr(house.foundation.queue, "reserve", 1 << 60)
    assert recipients(house, "harry@far.test", "bob@blue.test") == [NO_ROOM, "250 2.1.5 Recipient ok"]


@pytest.mark.parametrize("name", ["flintstone", "authors"])
def test_an_alias_is_asked_where_it_leads(house, name):
    """All of it is here, or a part of it is elsewhere."""
    house.foundation.queue.bounds = Bounds(messages=0)
    (answer,) = recipients(house, f"{name}@blue.test")
    assert answer == ("250 2.1.5 Recipient ok" if name == "flintstone" else NO_ROOM)


def test_in_a_full_queue_reports_take_the_place_of_what_failed(house):
    """Otherwise a queue of nothing but failures would stay full for ever."""
    house.foundation.queue.bounds = Bounds(messages=1)
    house.send(LETTER, "authors@blue.test", sender="eve@green.test")
    house.town("far.test", FAR, {b"RCPT": b"550 5.1.1 No such user here"})
    green = house.town("green.test", "192.0.2.26")
    house.pass_time(HOUR)
    assert len(green.contents) == 1
    assert house.waiting == []
