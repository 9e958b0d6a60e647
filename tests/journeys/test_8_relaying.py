"""Mail that goes through us to others: for whom, on which way, and what it may hold (R15, R49, R52, R54)."""

from __future__ import annotations

from typing import Any

from tests.journeys.house import House, identifier
from tests.relay.peers import Peer
from twistmail.facts import Refused
from twistmail.mail.outcome import Result

MESSAGE = b"From: eve@far.test\r\nSubject: x\r\n\r\nhello\r\n"


def town_with_a_backup(house: House) -> tuple[Peer, Peer]:
    """friend.test: its own server first, then we, then one that is further away: (the first, the last)."""
    first = house.town("friend.test", "192.0.2.30")
    last = house.net.peers["192.0.2.31"] = Peer()
    house.zone.names["friend.test"] = {"MX": [(10, "mx.friend.test"), (20, "mx.blue.test"), (30, "far.friend.test")]}
    house.zone.names["mx.blue.test"] = {"A": ["127.0.0.1"]}
    house.zone.names["far.friend.test"] = {"A": ["192.0.2.31"]}
    return first, last


def test_a_backup_brings_mail_to_the_nearer_server_and_to_no_other(build: Any) -> None:
    house = build("[mx]\nrelay_domains = friend.test\n")
    first, last = town_with_a_backup(house)
    house.net.peers.pop("192.0.2.30")
    identifier(house.send(MESSAGE, "ann@friend.test"))
    house.pass_time(3 * 3600)
    assert len(house.waiting) == 1, "its own server is away, and the other is further away than we"
    assert last.contents == []
    house.net.peers["192.0.2.30"] = first
    house.pass_time(5 * 3600)
    assert len(first.contents) == 1
    assert last.contents == []
    assert [item for item in house.waiting if item.sender] == []  # chance may have it that the sender was warned


def test_a_backup_without_a_nearer_server_gives_up_instead_of_sending_to_itself(build: Any) -> None:
    house = build("[mx]\nrelay_domains = friend.test\n")
    town_with_a_backup(house)
    house.zone.names["friend.test"] = {"MX": [(20, "mx.blue.test"), (30, "far.friend.test")]}
    house.send(MESSAGE, "ann@friend.test")
    house.settle()
    (outcome,) = [fact for fact in house.told() if getattr(fact, "result", None) is Result.FAILED]
    assert outcome.status.enhanced == "5.4.6"


def test_a_stranger_sends_to_no_other_domain_and_the_facts_name_the_stage(build: Any) -> None:
    house = build("[mx]\nrelay_domains = friend.test\nrelay_networks = 192.168.1.0/24\n")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<x@far.test>")[-1].startswith("550 5.7.1")
    (refused,) = house.told(Refused)
    assert refused.stage == "relaying"
    inside = house.client("mx", "192.168.1.5")
    inside.say("EHLO pc")
    inside.say("MAIL FROM:<ann@blue.test>")
    assert inside.say("RCPT TO:<x@far.test>")[-1].startswith("250")


def test_the_access_list_of_the_configuration_holds_for_mail_and_gate(build: Any, tmp_path: Any) -> None:
    (tmp_path / "access").write_text("Connect:192.0.2.7 RELAY\nConnect:192.0.2.8 ERROR:5.7.1:550 Not you\n")
    house = build(f"[access]\nfile = {tmp_path}/access\n")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<x@far.test>")[-1].startswith("250")
    other = house.client("mx", "192.0.2.8")
    other.say("EHLO pc")
    assert other.say("MAIL FROM:<eve@far.test>") == ["550 5.7.1 Not you"]
    assert house.told(Refused)[-1].rule == f"{tmp_path}/access:2"


def test_checks_of_the_configuration_hold_for_mail_from_the_world_from_users_and_through_us(build: Any, tmp_path: Any) -> None:
    (tmp_path / "checks").write_text("header X-Secret remove\nbody /worm/i reject No worms\nbody /maybe/ hold odd\n")
    house = build(f"[mx]\nrelay_domains = friend.test\n[checks]\nfile = {tmp_path}/checks\n")
    assert house.send(b"Subject: x\r\n\r\nA Worm\r\n", "ann@blue.test") == "550 5.7.1 No worms"
    assert house.submit(b"Subject: x\r\n\r\nA Worm\r\n", "x@friend.test") == "550 5.7.1 No worms"
    assert house.told(Refused)[-1].rule == f"{tmp_path}/checks:2"
    identifier(house.send(b"Subject: x\r\nX-Secret: y\r\n\r\nhello\r\n", "x@friend.test"))
    assert b"Secret" not in b"".join(house.foundation.queue.content(house.waiting[0].id).chunks())
    held = identifier(house.send(b"Subject: x\r\n\r\nmaybe\r\n", "ann@blue.test"))
    assert [item.id for item in house.waiting if item.held] == [held]
    assert house.mail("ann") == []
