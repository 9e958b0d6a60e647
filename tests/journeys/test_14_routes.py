"""Mail that goes where an operator has said (R44, R46, R47, F027, F105): a table, senders, second servers, a last resort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.journeys.house import House, identifier
from tests.relay.peers import EHLO, Peer
from twistmail import route_views
from twistmail.mail.outcome import Result

MESSAGE = b"From: ann@blue.test\r\nSubject: x\r\n\r\nhello\r\n"


def with_table(build: Any, tmp_path: Path, text: str, more: str = "") -> House:
    (tmp_path / "routes").write_text(text)
    house: House = build(f"[relay]\nroute_table = {tmp_path}/routes\n{more}")
    house.run(house.parts.relay.routes.freshen())
    return house


def route(house: House, address: str, **more: Any) -> dict[str, Any]:
    parts = house.parts
    desk = route_views.Desk(parts.people.expansion, parts.relay.routes, parts.relay.policies, parts.people.leaving)
    found: dict[str, Any] = house.run(route_views.asked(desk, {"address": address} | more))
    return found


def test_mail_for_a_domain_elsewhere_is_for_somebody_here(build: Any, tmp_path: Path) -> None:
    house = with_table(build, tmp_path, "home.test local:bob\n")
    identifier(house.submit(MESSAGE, "anybody@home.test"))
    assert [message["Subject"] for message in house.mail("bob")] == ["x"]
    assert house.waiting == []


def test_who_has_moved_is_told_of_before_the_message_comes(build: Any, tmp_path: Path) -> None:
    house = with_table(build, tmp_path, "old.test error:5.1.6 moved to new.test\n")
    client = house.login("submission")
    client.say("MAIL FROM:<ann@blue.test>")
    assert client.say("RCPT TO:<x@old.test>") == ["550 5.1.6 moved to new.test"]


def test_what_waits_goes_as_the_table_says_now(build: Any, tmp_path: Path) -> None:
    house = with_table(build, tmp_path, "else.test smtp:[192.0.2.9]\n")
    identifier(house.submit(MESSAGE, "x@far.test"))
    assert len(house.waiting) == 1, "nobody is at far.test"
    (tmp_path / "routes").write_text("far.test local:bob\n# and the file has another size\n")
    house.pass_time(600)
    assert [message["Subject"] for message in house.mail("bob")] == ["x"]
    assert house.waiting == []


def test_what_is_held_goes_when_an_operator_names_it(build: Any, tmp_path: Path) -> None:
    house = with_table(build, tmp_path, "far.test hold:smtp:[192.0.2.9]\n")
    peer = house.net.peers["192.0.2.9"] = Peer()
    kept = identifier(house.submit(MESSAGE, "x@far.test"))
    house.pass_time(3600)
    assert peer.contents == []
    assert route(house, "x@far.test")["ways"][0]["held"]
    house.foundation.runner.flush([kept], kept=True)
    house.settle()
    assert len(peer.contents) == 1


def test_mail_store_by_lmtp_answers_for_each(build: Any, tmp_path: Path) -> None:
    house = with_table(build, tmp_path, "box.test lmtp:[192.0.2.9]\n")
    peer = house.net.peers["192.0.2.9"] = Peer({b"LHLO": EHLO, b".": b"250 2.0.0 Kept\r\n550 5.2.2 Full"})
    house.submit(MESSAGE, "a@box.test", "b@box.test")
    house.settle()
    assert len(peer.contents) == 1
    results = [(fact.target.address.local, fact.result) for fact in house.told() if getattr(fact, "target", None) is not None]
    assert results[:2] == [("a", Result.RELAYED), ("b", Result.FAILED)]


def test_after_three_attempts_mail_goes_to_the_fallback(build: Any) -> None:
    house = build("[relay]\nfallback = [192.0.2.8]:587\n")
    peer = house.net.peers["192.0.2.8"] = Peer()
    identifier(house.submit(MESSAGE, "x@far.test"))
    house.pass_time(20 * 60)
    assert peer.contents == []
    house.pass_time(2 * 3600)
    assert len(peer.contents) == 1
    assert route(house, "x@far.test", attempts=3)["ways"][0]["next_hop"] == "[192.0.2.8]:587"


def test_each_sender_goes_by_his_own_server(build: Any) -> None:
    house = build("[relay]\nsmarthost = [192.0.2.8]\n[sender_route:ann@blue.test]\nvia = [192.0.2.9]\n")
    general, anns = (house.net.peers.setdefault(address, Peer()) for address in ("192.0.2.8", "192.0.2.9"))
    identifier(house.submit(MESSAGE, "x@far.test"))
    house.settle()
    assert (len(general.contents), len(anns.contents)) == (0, 1)


def test_a_split_domain_has_its_unknown_names_elsewhere(build: Any) -> None:
    house = build("[domain:blue.test]\nother_server = [192.0.2.9]\n")
    peer = house.net.peers["192.0.2.9"] = Peer()
    identifier(house.send(MESSAGE, "ann@blue.test", "carl@blue.test"))
    house.settle()
    assert len(house.mail("ann")) == 1
    assert [line for line in peer.said if line.startswith(b"RCPT")] == [b"RCPT TO:<carl@blue.test>"]


def test_dual_delivery_is_here_and_there(build: Any) -> None:
    house = build("[domain:blue.test]\nother_server = [192.0.2.9]\nother_gets = all\n")
    peer = house.net.peers["192.0.2.9"] = Peer()
    identifier(house.send(MESSAGE, "ann@blue.test"))
    house.settle()
    assert len(house.mail("ann")) == 1
    assert [line for line in peer.said if line.startswith(b"RCPT")] == [b"RCPT TO:<ann@blue.test>"]


def test_the_route_of_an_address_is_told_with_its_servers_in_order(build: Any) -> None:
    house = build("[route:partner.test]\nvia = [192.0.2.7]:26\ntls = required\n")
    house.town("green.test", "192.0.2.20")
    house.zone.names["green.test"] = {"MX": [(20, "far.green.test"), (10, "mx.green.test")]}
    house.zone.names["far.green.test"] = {"A": ["192.0.2.21"]}
    (way,) = route(house, "x@green.test")["ways"]
    assert way["rule"] == "the MX records of green.test"
    assert [(host["name"], host["address"], host["port"]) for host in way["hosts"]] == [
        ("mx.green.test", "192.0.2.20", 25), ("far.green.test", "192.0.2.21", 25)]  # fmt: skip
    (way,) = route(house, "x@partner.test")["ways"]
    assert way["rule"].startswith("[route:partner.test] via (")
    assert (way["hosts"][0]["tls"], way["status"]) == ("required", "")
    assert route(house, "x@nowhere.test")["ways"][0]["status"].startswith("550 5.1.2")
    assert route(house, "ann@blue.test")["ways"][0]["transport"] == "mailbox"
    assert route(house, "nobody@blue.test")["refusal"].startswith("550 5.1.1")
    assert house.net.dialled == [], "nobody was connected to"


