"""R30: owner-NAME gets the reports about what an alias sends on, and is its sender in the envelope, wherever that is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import heard
from tests.journeys.house import FAR, House, identifier
from tests.journeys.lists import BROKEN, sent_to
from twistmail.steering.desk import QueueDesk

ALIASES = """\
staff: bob, harry@far.test
owner-staff: fred
plain: bob, harry@far.test
above: staff, carl@far.test
owner-above: ann
"""
LETTER = b"From: eve@away.test\r\nTo: staff@blue.test\r\nSubject: hello\r\nMessage-ID: <1@away.test>\r\n\r\nhow are you\r\n"
OWNER = "owner-staff@blue.test"


@pytest.fixture
def house(build: Any, tmp_path: Path) -> House:
    (tmp_path / "aliases").write_text(ALIASES)
    return build(f"[aliases]\nsource = file:{tmp_path}/aliases config\n")  # type: ignore[no-any-return]


def send(house: House, to: str = "staff@blue.test", sender: str = "eve@away.test") -> str:
    house.zone.names["away.test"] = {"A": ["192.0.2.40"]}
    message = identifier(house.send(LETTER, to, sender=sender))
    house.settle()
    return message


def test_in_the_envelope_it_is_the_sender_here_and_there(house: House) -> None:
    peer = house.town("far.test", FAR)
    send(house)
    (mine,) = house.mail("bob")
    assert (sent_to(peer), mine["Return-Path"]) == ([(OWNER, "harry@far.test")], f"<{OWNER}>")
    assert mine["From"] == "eve@away.test", "the header is nobody's business"


def test_without_an_owner_the_author_stays_the_sender(house: House) -> None:
    peer = house.town("far.test", FAR)
    send(house, "plain@blue.test")
    assert (sent_to(peer), house.mail("bob")[0]["Return-Path"]) == ([("eve@away.test", "harry@far.test")], "<eve@away.test>")


def test_the_nearest_owner_counts(house: House) -> None:
    peer = house.town("far.test", FAR)
    send(house, "above@blue.test")
    assert sorted(sent_to(peer)) == [("owner-above@blue.test", "carl@far.test"), (OWNER, "harry@far.test")]


def test_a_report_goes_to_the_owner_and_the_author_hears_nothing(house: House) -> None:
    author = house.town("away.test", "192.0.2.40")
    house.town("far.test", FAR, {b"RCPT": BROKEN})
    send(house)
    (report,) = house.mail("fred")
    assert report["To"] == f"<{OWNER}>"
    assert "harry@far.test" in report.as_string()
    assert (author.said, house.waiting) == ([], [])


def test_who_gives_up_after_days_tells_the_owner_too_and_warns_nobody_else(house: House) -> None:
    author = house.town("away.test", "192.0.2.40")
    house.town("far.test", FAR, {b"RCPT": b"451 4.3.0 Later"})
    send(house)
    house.pass_time(6 * 86400, step=3600)
    assert [one["Subject"] for one in house.mail("fred")] == ["Your message could not be delivered"]
    assert author.said == []


def test_a_report_that_is_sent_on_keeps_its_null_sender(house: House) -> None:
    """Else it could be answered by another one, and that by another."""
    peer = house.town("far.test", FAR)
    send(house, sender="")
    assert (sent_to(peer), house.mail("bob")[0]["Return-Path"]) == ([("", "harry@far.test")], "<>")


def test_the_queue_shows_to_whom_reports_go_and_finds_it_by_that(house: House) -> None:
    house.town("far.test", FAR, {b"RCPT": b"451 4.3.0 Later"})
    send(house)
    (item,) = house.waiting
    (((shown,),), _) = heard(QueueDesk(house.foundation).verbs()["queue.list"]({"from": "owner-staff"}), house.reactor)
    assert (shown["id"], shown["from"]) == (item.id, "eve@away.test")
    assert [one["sender"] for one in shown["to"] if one["address"] == "harry@far.test"] == [OWNER]


def test_a_restart_forgets_nothing_of_it(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "aliases").write_text(ALIASES)
    more = f"[aliases]\nsource = file:{tmp_path}/aliases config\n"
    first = House(tmp_path, monkeypatch, more)
    first.town("far.test", FAR, {b"RCPT": b"451 4.3.0 Later"})
    send(first)
    first.kill()
    second = House(tmp_path, monkeypatch, more, world=first)
    peer = second.town("far.test", FAR)
    second.pass_time(4 * 3600)
    assert sent_to(peer) == [(OWNER, "harry@far.test")]
    second.close()
