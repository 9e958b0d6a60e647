"""Mail that goes through us to others: for whom, on which way, and what it may hold (R15, R49, R50, R52, R54)."""

from __future__ import annotations

from typing import Any

from tests.journeys.house import ADDRESS, SECRET, House, identifier
from tests.relay.peers import Peer
from twistmail import assembly
from twistmail.facts import Refused, Vouched
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


# ----- POP before SMTP (R50)


def code(house: House, host: str, recipient: str = "x@far.test", service: str = "mx") -> str:
    """What a client at *host* hears who writes to *recipient*, or to whom MAIL is refused."""
    client = house.client(service, host)
    client.say("EHLO old.program.test")
    if not client.say("MAIL FROM:<ann@blue.test>")[-1].startswith("250"):
        return client.said[-1][:9]
    return client.say(f"RCPT TO:<{recipient}>")[-1][:9]


def read_mail(house: House, host: str, password: str = SECRET) -> str:
    """What a POP3 client at *host* hears who logs in; a wrong password is answered late."""
    client = house.client("pop3", host)
    client.say("USER ann")
    said = client.say(f"PASS {password}")
    if not said:
        house.pass_time(5, 1)
        said = client.heard()
    return said[0][:4].strip()


def test_who_has_just_read_his_mail_may_send_for_a_while_from_there_and_from_nowhere_else(build: Any) -> None:
    house = build("[mx]\npop_before_smtp = 20m\n")
    assert code(house, "127.0.0.9") == "550 5.7.1"
    assert read_mail(house, "127.0.0.9", "wrong") == "-ERR"
    assert code(house, "127.0.0.9") == "550 5.7.1", "a failed login gives nothing"
    began = house.reactor.seconds()
    assert read_mail(house, "127.0.0.9") == "+OK"
    assert code(house, "127.0.0.9") == "250 2.1.5"
    assert code(house, "127.0.0.8") == "550 5.7.1"
    assert code(house, "127.0.0.9", service="submission").startswith("530")
    (used,) = house.told(Vouched)
    assert (used.account, used.service, used.address, str(used.recipient)) == ("ann@blue.test", "pop3", "127.0.0.9", "x@far.test")
    house.reactor.advance(began + 20 * 60 - 1 - house.reactor.seconds())
    assert code(house, "127.0.0.9") == "250 2.1.5"
    house.reactor.advance(2)
    assert code(house, "127.0.0.9") == "550 5.7.1"


def test_reading_opens_nothing_by_default_and_a_reload_keeps_what_is_open(build: Any) -> None:
    house = build()
    house.login("pop3")
    assert code(house, ADDRESS) == "550 5.7.1"
    house = build("[mx]\npop_before_smtp = 20m\n")
    house.login("imap")
    assert code(house, ADDRESS) == "250 2.1.5"
    parts = assembly.build(house.config, house.foundation)
    parts.hand_over()
    house.listeners["mx"].adopt(parts.born("mx", house.config["mx"].listen[0]))
    assert code(house, ADDRESS) == "250 2.1.5"
