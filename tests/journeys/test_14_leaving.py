"""What the world sees of us: masquerading, the sender map, forwarded mail, a sender for each recipient (R55, R56, SRS, VERP)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.house import FAR, House, identifier
from tests.relay.peers import EHLO, Peer
from twistmail.alias_views import tree
from twistmail.mail.address import parse
from twistmail.route_views import Desk, asked

MESSAGE = b"From: Fred <fred@pc7.lan>\r\nTo: harry@far.test, bob@pc8.lan\r\nSubject: x\r\n\r\nfred@pc7.lan says hello\r\n"
INSIDE = "192.168.1.5"
LAN = "[mx]\nrelay_networks = 192.168.1.0/24\n"
MASQUERADE = f"{LAN}[rewrite]\nmasquerade_as = dom1.test\nmasquerade_domains = *.lan\nmasquerade_exceptions = root\n"


def far(house: House) -> Peer:
    return house.town("far.test", FAR)


def from_inside(house: House, message: bytes, *to: str, sender: str) -> str:
    """Mail from another machine of the house, which does not log in."""
    client = house.client("mx", INSIDE)
    client.say("EHLO pc7.lan")
    for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to)):
        assert client.say(line)[-1].startswith("250"), client.said
    return client.content(message)


def senders(peer: Peer) -> list[str]:
    return [re.findall(r"<(.*?)>", line.decode())[0] for line in peer.said if line.startswith(b"MAIL")]


def recipients(peer: Peer) -> list[str]:
    return [re.findall(r"<(.*?)>", line.decode())[0] for line in peer.said if line.startswith(b"RCPT")]


def headers(peer: Peer) -> list[bytes]:
    """What the peer got, without the Received field that we put in front."""
    return [content.partition(b"From:")[2] for content in peer.contents]


# ----- masquerading (R55)


def test_a_machine_of_the_house_leaves_under_the_name_of_the_house(build: Any) -> None:
    house = build(MASQUERADE)
    peer = far(house)
    identifier(from_inside(house, MESSAGE, "harry@far.test", "bob@blue.test", sender="fred@pc7.lan"))
    assert senders(peer) == ["fred@dom1.test"]
    assert headers(peer) == [
        b" Fred <fred@dom1.test>\r\nTo: harry@far.test, bob@pc8.lan\r\nSubject: x\r\n\r\nfred@pc7.lan says hello\r\n"
    ]
    (mine,) = house.mail("bob")
    assert (mine["Return-Path"], mine["From"]) == ("<fred@pc7.lan>", "Fred <fred@pc7.lan>"), "mail that stays is not touched"
    assert b"SIZE" not in peer.said[1] or f"SIZE={len(peer.contents[0])}".encode() in peer.said[1]


def test_root_is_left_out(build: Any) -> None:
    house = build(MASQUERADE)
    peer = far(house)
    from_inside(house, b"From: root@pc7.lan\r\nSender: cron@pc7.lan\r\n\r\nx\r\n", "harry@far.test", sender="root@pc7.lan")
    assert senders(peer) == ["root@pc7.lan"]
    assert headers(peer) == [b" root@pc7.lan\r\nSender: cron@dom1.test\r\n\r\nx\r\n"]


@pytest.mark.parametrize(("setting", "sender", "author"), [
    pytest.param("masquerade_envelope = no", "fred@pc7.lan", b"fred@dom1.test", id="the-header-only"),
    pytest.param("masquerade_header = no", "fred@dom1.test", b"fred@pc7.lan", id="the-envelope-only"),
])  # fmt: skip
def test_envelope_and_header_are_two_things(build: Any, setting: str, sender: str, author: bytes) -> None:
    house = build(f"{MASQUERADE}{setting}\n")
    peer = far(house)
    from_inside(house, MESSAGE, "harry@far.test", sender="fred@pc7.lan")
    assert senders(peer) == [sender]
    assert author in headers(peer)[0].partition(b"To:")[0]


def test_a_refusal_comes_back_to_whoever_wrote_and_not_to_his_mask(build: Any) -> None:
    house = build("[domains]\nlocal = blue.test\nnormal = pc7.lan\n[rewrite]\nmasquerade_as = dom1.test\nmasquerade_domains = pc7.lan\n")
    house.town("far.test", FAR, {b"RCPT": b"550 5.1.1 Nobody"})
    identifier(house.submit(MESSAGE, "harry@far.test", sender="ann@blue.test"))
    house.settle()
    (report,) = house.mail("ann")
    assert "harry@far.test" in report.as_string()


def test_a_strangers_message_that_is_sent_on_keeps_its_header(build: Any) -> None:
    """It may be signed, and names us rightly."""
    house = build(f"{MASQUERADE}[alias:out]\nto = harry@far.test\n")
    peer = far(house)
    house.zone.names["away.test"] = {"A": ["192.0.2.40"]}
    letter = b"From: carl@away.test\r\nReply-To: fred@pc7.lan\r\n\r\nx\r\n"
    identifier(house.send(letter, "out@blue.test", sender="carl@away.test"))
    assert senders(peer) == ["carl@away.test"]
    assert headers(peer) == [letter.removeprefix(b"From:")]


# ----- the sender map (R56)

FOUR = ["root@myhost", "root@myhost.lan", "root@myhost.myisp.test", "root@myisp.test"]
DYNAMIC = "[server]\nhostname = myhost.myisp.test\n"


def mapped(build: Any, folder: Path, text: str, more: str = "") -> House:
    (folder / "generic").write_text(text)
    return build(f"{LAN}[rewrite]\nsender_map = {folder}/generic\n{more}")  # type: ignore[no-any-return]


def test_the_four_wrong_senders_of_a_dynamic_host(build: Any, tmp_path: Path) -> None:
    owned = "[domains]\nlocal = blue.test\nnormal = myhost myhost.lan myhost.myisp.test myisp.test\n"
    house = mapped(build, tmp_path, "root me@myisp.test\n", owned)
    peer = far(house)
    for sender in FOUR:
        message = f"From: {sender}\r\nTo: harry@far.test\r\nCc: {sender}\r\n\r\nx\r\n".encode()
        identifier(from_inside(house, message, "harry@far.test", sender=sender))
    assert senders(peer) == ["me@myisp.test"] * 4
    assert set(headers(peer)) == {b" me@myisp.test\r\nTo: harry@far.test\r\nCc: me@myisp.test\r\n\r\nx\r\n"}


def test_a_domain_that_is_not_ours_is_not_mapped_by_names_alone(build: Any, tmp_path: Path) -> None:
    house = mapped(build, tmp_path, "root me@myisp.test\n@localdomain ispuser@myisp.test\n")
    peer = far(house)
    from_inside(house, b"From: x\r\n\r\nx\r\n", "harry@far.test", sender="root@myisp.test")
    from_inside(house, b"From: x\r\n\r\nx\r\n", "harry@far.test", sender="bob@localdomain")
    assert senders(peer) == ["root@myisp.test", "ispuser@myisp.test"]


def test_the_map_holds_where_mail_leaves_and_nowhere_else(build: Any, tmp_path: Path) -> None:
    house = mapped(build, tmp_path, "ann me@myisp.test\n")
    peer = far(house)
    message = b"From: ann@blue.test\r\nTo: bob@blue.test, harry@far.test\r\n\r\nx\r\n"
    house.submit(message, "bob@blue.test", "harry@far.test")
    assert senders(peer) == ["me@myisp.test"]
    (mine,) = house.mail("bob")
    assert (mine["Return-Path"], mine["From"]) == ("<ann@blue.test>", "ann@blue.test")


def test_a_map_that_has_changed_is_read_again_and_a_broken_one_is_not(build: Any, tmp_path: Path) -> None:
    house = mapped(build, tmp_path, "ann me@myisp.test\n")
    peer = far(house)
    message = b"From: ann@blue.test\r\n\r\nx\r\n"
    for text in ("ann other@myisp.test\n", "ann other@myisp.test too many\n"):
        (tmp_path / "generic").write_text(text)
        house.submit(message, "harry@far.test")
    assert senders(peer) == ["other@myisp.test"] * 2


def test_an_answer_finds_who_is_behind_the_map(build: Any, tmp_path: Path) -> None:
    """From outside, by whatever way it comes to us, and from inside without going out."""
    house = mapped(build, tmp_path, "ann me@myisp.test\nnobody other@myisp.test\n")
    reply = b"From: harry@far.test\r\nTo: me@myisp.test\r\n\r\nhello\r\n"
    identifier(house.send(reply, "me@myisp.test"))
    identifier(house.submit(reply, "Me@myisp.test"))
    assert len(house.mail("ann")) == 2
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<you@myisp.test>")[-1].startswith("550 5.7.1"), "nobody here is known by that"
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<other@myisp.test>")[-1].startswith("550 5.7.1"), "nor by that"


def test_the_tree_of_an_address_tells_who_is_known_by_it(build: Any, tmp_path: Path) -> None:
    house = mapped(build, tmp_path, "ann me@myisp.test\n")
    grown = house.run(tree(house.parts.people.expansion, parse("me@myisp.test")))
    assert (grown["what"], [(child["address"], child["what"]) for child in grown["children"]]) == (
        "outside, where somebody here is known by it", [("ann@blue.test", "mailbox")])
    assert house.run(tree(house.parts.people.expansion, parse("you@myisp.test")))["what"] == "outside"


def test_the_map_is_not_read_backwards_where_that_is_switched_off(build: Any, tmp_path: Path) -> None:
    house = mapped(build, tmp_path, "ann me@myisp.test\n", "reverse = no\n")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<me@myisp.test>")[-1].startswith("550 5.7.1")


def test_who_has_his_mail_sent_on_to_where_he_is_known_gets_it_there(build: Any, tmp_path: Path) -> None:
    house = mapped(build, tmp_path, "chris me@myisp.test\n", "[alias:chris]\nto = me@myisp.test\n")
    isp = house.town("myisp.test", "192.0.2.50")
    identifier(house.send(b"From: eve@far.test\r\n\r\nx\r\n", "chris@blue.test"))
    assert recipients(isp) == ["me@myisp.test"]


@pytest.mark.parametrize(("sender", "recipient", "answer"), [
    pytest.param("ann@pc7.lan", "harry@far.test", "553 5.1.8", id="a-name-of-the-house-only"),
    pytest.param("ann@pc7.lan", "bob@blue.test", "250", id="to-somebody-here"),
    pytest.param("ann@pc7.lan", "x@other.lan", "250", id="to-a-neighbour"),
    pytest.param("ann@blue.test", "harry@far.test", "250", id="a-domain-of-ours"),
    pytest.param("", "harry@far.test", "250", id="the-null-sender"),
])  # fmt: skip
def test_a_sender_whom_no_answer_can_reach_does_not_leave(build: Any, sender: str, recipient: str, answer: str) -> None:
    house = build("[domains]\nlocal = blue.test\nnormal = pc7.lan\n")
    client = house.login("submission")
    assert client.say(f"MAIL FROM:<{sender}>")[-1].startswith("250")
    (said,) = client.say(f"RCPT TO:<{recipient}>")
    assert said.startswith(answer)
    assert answer == "250" or "sender_map" in said, "with a hint"


@pytest.mark.parametrize("setting", [
    pytest.param("unanswerable = accept", id="where-others-see-to-that"),
    pytest.param("masquerade_as = blue.test\nmasquerade_domains = pc7.lan", id="behind-a-mask"),
])  # fmt: skip
def test_it_leaves_all_the_same(build: Any, setting: str) -> None:
    house = build(f"[domains]\nlocal = blue.test\nnormal = pc7.lan\n[rewrite]\n{setting}\n")
    client = house.login("submission")
    client.say("MAIL FROM:<ann@pc7.lan>")
    assert client.say("RCPT TO:<harry@far.test>")[-1].startswith("250")


# ----- forwarded mail (SRS)

FORWARDS = "[srs]\nenabled = yes\n[alias:out]\nto = harry@far.test bob\n"


def forwarded(build: Any, more: str = "") -> tuple[House, Peer]:
    """A house with a message of carl@away.test for out@, which leads to harry@far.test and to bob."""
    house = build(FORWARDS + more)
    peer = far(house)
    house.zone.names["away.test"] = {"MX": [(10, "mx.away.test")]}
    return house, peer


def test_a_forwarded_message_has_a_sender_of_ours_and_a_report_to_it_goes_back(build: Any) -> None:
    house, peer = forwarded(build)
    away = house.town("away.test", "192.0.2.40")
    letter = b"From: carl@away.test\r\nTo: out@blue.test\r\n\r\nx\r\n"
    identifier(house.send(letter, "out@blue.test", sender="carl@away.test"))
    (rewritten,) = senders(peer)
    assert re.fullmatch(r"SRS0=\w{6}=\w\w=away\.test=carl@blue\.test", rewritten)
    assert headers(peer) == [letter.removeprefix(b"From:")], "only the envelope"
    (kept,) = house.mail("bob")
    assert kept["Return-Path"] == "<carl@away.test>", "mail that stays is not touched"
    grown = house.run(tree(house.parts.people.expansion, parse(rewritten)))
    assert (grown["what"], grown["children"]) == (
        "made for reports about a forwarded message", [{"address": "carl@away.test", "what": "outside"}])
    report = b"From: MAILER-DAEMON@far.test\r\n\r\nNobody here\r\n"
    identifier(house.send(report, rewritten.upper().replace("BLUE.TEST", "blue.test"), sender=""))
    assert (senders(away), [one.lower() for one in recipients(away)]) == ([""], ["carl@away.test"])


def test_mail_of_our_own_users_and_mail_that_only_passes_keeps_its_sender(build: Any) -> None:
    house, peer = forwarded(build, "[mx]\nrelay_domains = friend.test\n")
    friend = house.town("friend.test", "192.0.2.41")
    house.send(b"From: carl@away.test\r\n\r\nx\r\n", "fay@friend.test", sender="carl@away.test")
    house.submit(b"From: ann@blue.test\r\n\r\nx\r\n", "out@blue.test")
    assert (senders(friend), senders(peer)) == (["carl@away.test"], ["ann@blue.test"])


def test_a_refused_forwarding_is_reported_to_whoever_wrote(build: Any) -> None:
    house, _ = forwarded(build)
    away = house.town("away.test", "192.0.2.40")
    house.town("far.test", FAR, {b"RCPT": b"550 5.1.1 Nobody"})
    house.send(b"From: carl@away.test\r\n\r\nx\r\n", "out@blue.test", sender="carl@away.test")
    house.settle()
    assert (senders(away), recipients(away)) == ([""], ["carl@away.test"])


def test_such_an_address_is_for_reports_and_not_for_many_and_not_for_ever(build: Any) -> None:
    house, peer = forwarded(build, "[srs]\nreports = 3\n")
    house.send(b"From: carl@away.test\r\n\r\nx\r\n", "out@blue.test", sender="carl@away.test")
    (rewritten,) = senders(peer)
    assert house.smtp("MAIL FROM:<eve@far.test>", f"RCPT TO:<{rewritten}>")[-1].startswith("550 5.7.1")
    answers = [house.smtp("MAIL FROM:<>", f"RCPT TO:<{rewritten}>")[-1][:9] for _ in range(5)]
    assert answers == ["250 2.1.5"] * 3 + ["451 4.7.1"] * 2
    assert house.smtp("MAIL FROM:<>", f"RCPT TO:<{rewritten.replace('carl', 'eve')}>")[-1].startswith("550 5.1.1"), "nobody makes one up"
    house.pass_time(23 * 86400, step=86400)
    assert house.smtp("MAIL FROM:<>", f"RCPT TO:<{rewritten}>")[-1].startswith("550 5.1.1")


def test_secrets_can_be_changed_while_addresses_are_under_way(build: Any) -> None:
    first, peer = forwarded(build, "[srs]\nsecrets = one\n")
    first.send(b"From: carl@away.test\r\n\r\nx\r\n", "out@blue.test", sender="carl@away.test")
    (rewritten,) = senders(peer)
    for secrets, answer in (("two one", "250"), ("two", "550 5.1.1")):
        house, _ = forwarded(build, f"[srs]\nsecrets = {secrets}\n")
        assert house.smtp("MAIL FROM:<>", f"RCPT TO:<{rewritten}>")[-1].startswith(answer)


# ----- a sender for each recipient (VERP)


def submit_verp(house: House, *to: str, parameter: str = " XVERP", sender: str = "ann@blue.test") -> str:
    client = house.login("submission")
    for line in (f"MAIL FROM:<{sender}>{parameter}", *(f"RCPT TO:<{one}>" for one in to)):
        assert client.say(line)[-1].startswith("250"), client.said
    return client.content(b"From: ann@blue.test\r\n\r\nnews\r\n")


def test_each_recipient_gets_it_from_a_sender_that_names_him(build: Any) -> None:
    house = build("")
    peer = far(house)
    identifier(submit_verp(house, "a@far.test", "b@far.test", "bob@blue.test"))
    assert sorted(senders(peer)) == ["ann+a=far.test@blue.test", "ann+b=far.test@blue.test"]
    assert sorted(recipients(peer)) == ["a@far.test", "b@far.test"]
    assert len(peer.connections) == 1, "one connection for all of them"
    (mine,) = house.mail("bob")
    assert mine["Return-Path"] == "<ann@blue.test>"
    identifier(house.send(b"From: MAILER-DAEMON@far.test\r\n\r\nno\r\n", "ann+a=far.test@blue.test", sender=""))
    (report,) = house.mail("ann")
    assert report["Delivered-To"] == "ann+a=far.test@blue.test"


def test_other_delimiters_and_senders_who_always_want_it(build: Any) -> None:
    house = build("[relay]\nverp = ann\nverp_delimiters = -=\n[aliases]\nsubaddress = -+\n")
    peer = far(house)
    submit_verp(house, "a@far.test", parameter="")
    submit_verp(house, "b@far.test", parameter=" XVERP=+=")
    submit_verp(house, "c@far.test")
    assert senders(peer) == ["ann-a=far.test@blue.test", "ann+b=far.test@blue.test", "ann-c=far.test@blue.test"]


def test_who_has_not_asked_gets_one_transaction(build: Any) -> None:
    house = build("[relay]\nverp = bob\n")
    peer = far(house)
    submit_verp(house, "a@far.test", "b@far.test", parameter="")
    assert senders(peer) == ["ann@blue.test"]


def test_a_list_that_is_an_alias_names_its_members(build: Any) -> None:
    house = build("[alias:list]\nto = a@far.test b@far.test\n")
    peer = far(house)
    submit_verp(house, "list@blue.test")
    assert sorted(senders(peer)) == ["ann+a=far.test@blue.test", "ann+b=far.test@blue.test"]


def test_our_own_reports_tell_by_their_addresses_whom_they_are_about(build: Any) -> None:
    house = build("")
    house.town("far.test", FAR, {b"RCPT TO:<a@far.test>": b"550 5.1.1 Nobody", b"RCPT TO:<b@far.test>": b"550 5.2.1 Closed"})
    submit_verp(house, "a@far.test", "b@far.test", "c@far.test")
    house.settle()
    reports = {report["Delivered-To"]: report.as_string() for report in house.mail("ann")}
    assert sorted(reports) == ["ann+a=far.test@blue.test", "ann+b=far.test@blue.test"]
    assert "a@far.test" in reports["ann+a=far.test@blue.test"]
    assert "5.2.1" not in reports["ann+a=far.test@blue.test"], "nothing of the other"
    assert house.waiting == []


def test_a_report_of_ours_leaves_under_the_name_of_the_house(build: Any) -> None:
    house = build(f"{LAN}[domains]\nlocal = pc7.lan blue.test\n[rewrite]\nmasquerade_as = dom1.test\nmasquerade_domains = *.lan\n")
    away = house.town("away.test", "192.0.2.40")
    house.town("far.test", FAR, {b"RCPT": b"550 5.1.1 Nobody"})
    from_inside(house, MESSAGE, "harry@far.test", sender="carl@away.test")
    house.settle()
    (report,) = away.contents
    author = report.partition(b"\r\nFrom:")[2].partition(b"\r\n")[0]
    assert b"@dom1.test>" in author
    assert b".lan" not in author


# ----- ways that do not lead out, and what an operator is told


def test_mail_for_a_server_of_the_house_keeps_its_sender(build: Any) -> None:
    house = build(f"{MASQUERADE}[route:inner.test]\nvia = lmtp:[192.0.2.60]:24\n")
    inner = house.net.peers["192.0.2.60"] = Peer({b"LHLO": EHLO})
    from_inside(house, MESSAGE, "harry@inner.test", sender="fred@pc7.lan")
    assert senders(inner) == ["fred@pc7.lan"]
    assert headers(inner) == [MESSAGE.removeprefix(b"From:")]


@pytest.mark.parametrize(("sender", "address", "said", "rule"), [
    pytest.param("fred@pc7.lan", "harry@far.test", "fred@dom1.test", "[rewrite] masquerade_as", id="a-mask"),
    pytest.param("carl@away.test", "out@blue.test", "SRS0=", "[srs] enabled", id="forwarded"),
    pytest.param("carl@away.test", "harry@far.test", "carl@away.test", "", id="nothing"),
])  # fmt: skip
def test_the_route_of_an_address_tells_the_sender_that_the_world_sees(build: Any, sender: str, address: str, said: str, rule: str) -> None:
    house = build(f"{MASQUERADE}[srs]\nenabled = yes\n[alias:out]\nto = harry@far.test\n")
    far(house)
    people, relay = house.parts.people, house.parts.relay
    desk = Desk(people.expansion, relay.routes, relay.policies, people.leaving)
    told = house.run(asked(desk, {"address": address, "sender": sender}))
    (way,) = told["ways"]
    assert (way["sender"].startswith(said), way["sender_by"]) == (True, rule)
