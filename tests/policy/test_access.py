"""The access list: sendmail's syntax, sendmail's order of look-up, and what follows from a rule."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import result_of, takes_linear_time
from tests.servers.smtp.house import SmtpHouse
from twistmail import tasks
from twistmail.interfaces import DnsTrouble, Point
from twistmail.mail.address import parse as address
from twistmail.mail.envelope import Peer, Role
from twistmail.policy.access import Access, AccessOfSenders
from twistmail.policy.access_file import parse
from twistmail.policy.access_table import AccessTable, Rule
from twistmail.policy.dnslists import LISTS
from twistmail.policy.relaying import ByAccessList, Relaying
from twistmail.watched import Broken, WatchedFiles


def said(rule: Rule | None) -> str:
    """What a rule says, in a word or as its reply."""
    if rule is None:
        return ""
    return str(rule.status) if rule.status else rule.reason or rule.action.value


def client(text: str, host: str, name: str = "") -> str:
    return said(parse(text).client(host, name))


def sender(text: str, who: str) -> str:
    return said(parse(text).sender((address(who).folded,) if who else ()))


def recipient(text: str, who: str, *, local: bool = False) -> str:
    return said(parse(text).recipient((address(who).folded,), is_local=local))


# The examples of cf/README, in our own names but each of its kinds of line.
REFUSALS = """\
From:offers@bulk.test           REJECT
From:bulkmail.test              REJECT
Connect:bulkmail.test           REJECT
Connect:zz                      REJECT
Connect:192.168.212             REJECT
Connect:IPv6:2002:c0a8:02c7     RELAY
Connect:IPv6:2002:c0a8:51d2::23f4       REJECT
"""
TAGS = """\
From:noisy@some.test    REJECT
To:friend.test          RELAY
Connect:friend.test     OK
Connect:inside.test     RELAY
From:good@other.test    OK
From:other.test         REJECT
"""
VALUES = """\
From:bulkmail.test              ERROR:"550 We take no mail from you"
From:okay.bulkmail.test         OK
Connect:partner.test            RELAY
To:partner.test                 RELAY
Connect:128.32                  RELAY
Connect:128.32.2                SKIP
Connect:IPv6:1:2:3:4:5:6:7      RELAY
Connect:suspect.test            QUARANTINE:Mail from a suspect host
Connect:[127.0.0.3]             OK
Connect:[IPv6:1:2:3:4:5:6:7:8]  OK
"""
USERS = """\
From:FREE.OFFERS@       ERROR:550 Not wanted
To:closed@              ERROR:550 Mailbox disabled
To:host.here.test       ERROR:550 That host takes no mail
To:user@other.here.test ERROR:5.7.1:550 Mailbox disabled for this one
To:full@here.test       ERROR:4.2.2:450 mailbox full
bulk@away.test          REJECT
cheap.test              "553 5.7.2 go away"
"""
NO = "550 5.7.1 Access denied"


@pytest.mark.parametrize(("text", "who", "name", "answer"), [
    pytest.param(REFUSALS, "192.0.2.1", "bulkmail.test", NO, id="a-host"),
    pytest.param(REFUSALS, "192.0.2.1", "a.b.bulkmail.test", NO, id="a-host-below-it"),
    pytest.param(REFUSALS, "192.0.2.1", "notbulkmail.test", "", id="but-not-one-that-only-ends-so"),
    pytest.param(REFUSALS, "192.0.2.1", "mail.corp.zz", NO, id="a-whole-top-level-domain"),
    pytest.param(REFUSALS, "192.168.212.9", "", NO, id="three-octets"),
    pytest.param(REFUSALS, "192.168.21.29", "", "", id="octets-are-whole"),
    pytest.param(REFUSALS, "::ffff:192.168.212.9", "", NO, id="written-as-IPv6"),
    pytest.param(REFUSALS, "2002:c0a8:2c7:1::9", "", "RELAY", id="three-groups"),
    pytest.param(REFUSALS, "2002:c0a8:51d2::23f4", "", NO, id="an-IPv6-address"),
    pytest.param(REFUSALS, "2002:c0a8:51d2::23f5", "", "", id="and-only-that"),
    pytest.param(TAGS, "192.0.2.1", "mx.friend.test", "OK", id="let-in"),
    pytest.param(TAGS, "192.0.2.1", "pc.inside.test", "RELAY", id="relayed-for"),
    pytest.param(TAGS, "192.0.2.1", "other.test", "", id="a-sender's-domain-is-no-client"),
    pytest.param(VALUES, "128.32.9.1", "", "RELAY", id="two-octets"),
    pytest.param(VALUES, "128.32.2.1", "", "", id="skip-exempts-a-part"),
    pytest.param(VALUES, "1:2:3:4:5:6:7:99", "", "RELAY", id="seven-groups"),
    pytest.param(VALUES, "192.0.2.1", "suspect.test", "Mail from a suspect host", id="quarantine"),
    pytest.param(VALUES, "127.0.0.3", "", "OK", id="brackets-are-hosts-without-a-name"),
    pytest.param(VALUES, "127.0.0.3", "some.test", "", id="and-not-those-with-one"),
    pytest.param(VALUES, "1:2:3:4:5:6:7:8", "", "OK", id="brackets-with-IPv6-before-the-network"),
    pytest.param("10.1 OK\nConnect:10.1 REJECT", "10.1.2.3", "", NO, id="a-tag-comes-before-none"),
    pytest.param("Connect:10.1 REJECT\n10.1.2 OK", "10.1.2.3", "", "OK", id="but-the-longer-prefix-first"),
    pytest.param("Connect:10.0.0.0/8 REJECT\nConnect:10.1.0.0/20 OK", "10.1.15.3", "", "OK", id="networks-with-a-slash"),
    pytest.param("Connect:2001:db8::/33 REJECT", "2001:db8:7fff::1", "", NO, id="an-IPv6-network-with-a-slash"),
    pytest.param("Connect:a00::/8 REJECT", "10.0.0.1", "", "", id="IPv6-is-not-IPv4"),
    pytest.param("Connect:pc.a.test SKIP\nConnect:a.test REJECT\nConnect:10 OK", "10.0.0.1", "pc.a.test", "OK", id="skip-then-the-address"),
    pytest.param("Connect:a.test OK\nConnect:10 REJECT", "10.0.0.1", "pc.a.test", "OK", id="the-name-before-the-address"),
    pytest.param("Connect:a.test OK", "unix", "", "", id="a-socket-has-no-address"),
])
def test_rules_about_clients(text: str, who: str, name: str, answer: str) -> None:
    assert client(text, who, name) == answer


@pytest.mark.parametrize(("text", "who", "answer"), [
    pytest.param(REFUSALS, "offers@bulk.test", NO, id="an-address"),
    pytest.param(REFUSALS, "Offers@BULK.test", NO, id="in-any-case"),
    pytest.param(REFUSALS, "ann@bulk.test", "", id="and-nobody-else-there"),
    pytest.param(REFUSALS, "ann@deep.bulkmail.test", NO, id="a-domain-with-those-below"),
    pytest.param(TAGS, "noisy@some.test", NO, id="a-tagged-address"),
    pytest.param(TAGS, "good@other.test", "OK", id="an-address-before-its-domain"),
    pytest.param(TAGS, "bad@other.test", NO, id="the-rest-of-the-domain"),
    pytest.param(TAGS, "ann@friend.test", "", id="other-tags-do-not-count"),
    pytest.param(VALUES, "x@bulkmail.test", "550 5.7.1 We take no mail from you", id="with-a-text"),
    pytest.param(VALUES, "x@okay.bulkmail.test", "OK", id="the-nearer-domain-first"),
    pytest.param(USERS, "free.offers@anywhere.test", "550 5.7.1 Not wanted", id="a-user-everywhere"),
    pytest.param(USERS, "bulk@away.test", NO, id="without-a-tag"),
    pytest.param(USERS, "x@very.cheap.test", "553 5.7.2 go away", id="a-reply-in-quotes"),
    pytest.param("From:a@ OK\nFrom:b.test REJECT", "a@b.test", "OK", id="the-user-before-the-domain"),
    pytest.param("From:a.b.test SKIP\nFrom:b.test REJECT", "x@a.b.test", "", id="skip-exempts-a-domain"),
    pytest.param("From:<> REJECT", "", NO, id="nobody"),
    pytest.param("From:[192.0.2] REJECT", "x@[192.0.2.7]", NO, id="an-address-literal"),
    pytest.param("From:b\u00fccher.test REJECT", "x@xn--bcher-kva.test", NO, id="a-domain-in-its-own-letters"),
])
def test_rules_about_senders(text: str, who: str, answer: str) -> None:
    assert sender(text, who) == answer


@pytest.mark.parametrize(("who", "local", "answer"), [
    pytest.param("closed@here.test", True, "550 5.7.1 Mailbox disabled", id="a-user-of-ours"),
    pytest.param("closed@far.test", False, "", id="a-user-elsewhere-is-another"),
    pytest.param("closed", True, "550 5.7.1 Mailbox disabled", id="without-a-domain"),
    pytest.param("x@host.here.test", True, "550 5.7.1 That host takes no mail", id="a-host"),
    pytest.param("user@other.here.test", True, "550 5.7.1 Mailbox disabled for this one", id="an-address"),
    pytest.param("full@here.test", True, "450 4.2.2 mailbox full", id="for-now"),
    pytest.param("bulk@away.test", False, NO, id="untagged-holds-for-recipients-too"),
])
def test_rules_about_recipients(who: str, local: bool, answer: str) -> None:
    assert recipient(USERS, who, local=local) == answer


def test_a_suffix_opens_no_way_around_a_rule() -> None:
    table = parse("To:closed@ REJECT\nFrom:eve@away.test REJECT")
    assert said(table.recipient((address("closed+1@here.test"), address("closed@here.test")), is_local=True)) == NO
    assert said(table.sender((address("eve+1@away.test"), address("eve@away.test")))) == NO


@pytest.mark.parametrize(("line", "mistake"), [
    pytest.param("Connect:10.1", "Connect:10.1 has no value; write OK,", id="no-value"),
    pytest.param("Connect:10.1 MAYBE", "MAYBE is no value; write OK,", id="no-such-value"),
    pytest.param("Connect: OK", "Connect: names nobody; write Connect:host.example", id="no-key"),
    pytest.param("Spam:abuse@ FRIEND", "FRIEND is no value", id="spam-friend"),
    pytest.param("TLS_Srv:a.test REJECT", "TLS_Srv: is no kind of rule here; there are Connect:", id="another-tag"),
    pytest.param("From:10.1 REJECT", "10.1 is a host or a network; write Connect:10.1, or From:[10.1]", id="a-network-that-sends"),
    pytest.param("Connect:a@b.test REJECT", "a@b.test is no host; write From:a@b.test or To:a@b.test", id="an-address-that-connects"),
    pytest.param("From:a.test RELAY", "whoever writes that sender could relay; write OK,", id="relaying-by-sender"),
    pytest.param("From:a@ SKIP", "SKIP is for hosts and domains", id="skipping-a-user"),
    pytest.param("From:@a.test REJECT", "@a.test has nobody before the @; write a.test", id="nobody-at"),
    pytest.param(".a.test REJECT", ".a.test begins with a dot; write a.test", id="a-dot"),
    pytest.param("Connect:10.1.2.3.4 OK", "no beginning of an IPv4 address", id="five-octets"),
    pytest.param("Connect:10.256 OK", "no beginning of an IPv4 address", id="a-big-octet"),
    pytest.param("Connect:10.1.2.3/8 OK", "10.1.2.3/8 is an address inside a network; write 10.0.0.0/8, or 10.1.2.3", id="host-bits"),
    pytest.param("Connect:2001:db8:: OK", "2001:db8:: is one address; write 2001:db8 for the network", id="two-colons-at-the-end"),
    pytest.param("Connect:[10.1 OK", "[10.1 has no closing bracket", id="no-bracket"),
    pytest.param("To:a.test QUARANTINE", "a quarantine has a reason", id="no-reason"),
    pytest.param("To:a.test ERROR:no", "ERROR:no refuses with no reply code; write ERROR:5.7.1:550 TEXT", id="no-code"),
    pytest.param("To:a.test ERROR:250 yes", "refuses with no reply code", id="a-refusal-that-is-none"),
    pytest.param("To:a.test ERROR:5.7.1:450 no", "5.7.1 does not go with 450; write ERROR:4.7.1:450 no", id="two-codes"),
    pytest.param("To:a.test ERROR:550 n\u00f6", "printable ASCII", id="no-ascii"),
    pytest.param("To:a..b OK", "'a..b' is not a domain name", id="no-domain"),
    pytest.param("a.test OK\nA.test REJECT", "A.test stands in line 1 already", id="twice"),
    pytest.param("x" * 3000 + " OK", "the line is longer than 2000", id="a-long-line"),
])
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(line: str, mistake: str) -> None:
    with pytest.raises(Broken) as raised:
        parse("# rules\n\n" + line.replace("line 1", "line 3"))
    number, text = raised.value.problems[0]
    assert number == 2 + len(line.split("\n"))
    assert mistake.replace("line 1", "line 3") in text


def test_comments_empty_lines_and_white_space_mean_nothing() -> None:
    assert client("#Connect:10 REJECT\n\n  \t\r\n \tConnect:10\t \tOK \r\n", "10.0.0.1") == "OK"


@given(st.text(st.sampled_from("connect:fromto@.[]/<>0123456789abcdef#\" \tOKREJCTSIPDAYU\n\u00e9"), max_size=200))
@settings(max_examples=200)
def test_any_text_is_a_table_or_names_its_mistakes(text: str) -> None:
    problems: tuple[tuple[int, str], ...] = ()
    try:
        parse(text).client("192.0.2.1", "a.b.test")
    except Broken as broken:
        problems = broken.problems
    assert all(0 < line <= text.count("\n") + 1 and told for line, told in problems)


def hundred_thousand(count: int = 100_000) -> str:
    half = count // 2
    return "\n".join([f"From:user{n}@host{n}.test REJECT" for n in range(half)]
                     + [f"Connect:{10 + n // 65536}.{n // 256 % 256}.{n % 256} REJECT" for n in range(half)])  # fmt: skip


def test_reading_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        text = hundred_thousand(count)
        began = time.thread_time()
        parse(text)
        return time.thread_time() - began

    assert takes_linear_time(seconds, 1000)


def test_a_look_up_in_a_hundred_thousand_rules_is_a_few_probes() -> None:
    small, large = parse(hundred_thousand(100)), parse(hundred_thousand())  # the second: the size that is promised

    def seconds(table: AccessTable) -> float:
        began = time.thread_time()
        for number in range(1000):
            table.client(f"203.0.{number % 250}.1", "a.b.c.d.test")
            table.sender((address("nobody@a.b.c.test"),))
        return time.thread_time() - began

    assert min(seconds(large) for _ in range(3)) < 5 * min(seconds(small) for _ in range(3))


# ----- in the dialogue


def answers(house: SmtpHouse, *lines: str, host: str = "192.0.2.7", **own: Any) -> list[str]:
    player = house.player(house.service(**own), host)
    return [player.say(line)[-1] for line in ("EHLO peer.example", *lines)][1:]


MAIL, RCPT = "MAIL FROM:<eve@away.example>", "RCPT TO:<fred@here.example>"


@pytest.mark.parametrize(("rules", "heard"), [
    pytest.param("Connect:192.0.2 REJECT", ["550 5.7.1 Access denied", "503 5.5.1"], id="client"),
    pytest.param("From:away.example ERROR:5.7.1:550 Go away", ["550 5.7.1 Go away", "503 5.5.1"], id="sender"),
    pytest.param("To:fred@ ERROR:4.2.2:450 Full", ["250 2.1.0", "450 4.2.2 Full"], id="recipient"),
    pytest.param("Connect:192.0.2 OK\nFrom:away.example REJECT", ["550 5.7.1", "503 5.5.1"], id="a-refusal-is-graver-than-a-welcome"),
    pytest.param("Connect:192.0.2 OK\nTo:fred@ REJECT", ["250 2.1.0", "550 5.7.1"], id="also-at-the-recipient"),
    pytest.param("Connect:192.0.3 REJECT", ["250 2.1.0", "250 2.1.5"], id="somebody-else"),
])
def test_what_a_client_hears(rules: str, heard: list[str]) -> None:
    said = answers(SmtpHouse(access=rules), MAIL, RCPT)
    assert [line.startswith(start) for line, start in zip(said, heard, strict=True)] == [True, True], said


def test_a_refusal_names_its_rule_in_the_facts(tmp_path: Path) -> None:
    house = SmtpHouse(access="# ours\nFrom:away.example REJECT", folder=tmp_path)
    answers(house, MAIL)
    (refused,) = [fact.what for fact in house.told if type(fact.what).__name__ == "Refused"]
    assert (refused.stage, refused.rule) == ("access", f"{tmp_path}/access:2")


def test_a_host_is_known_by_a_name_that_leads_back_and_by_no_other() -> None:
    house = SmtpHouse(access="Connect:bad.test REJECT")
    house.lookup.names["192.0.2.7"] = {"PTR": ["mail.bad.test"]}
    assert answers(house, MAIL)[0].startswith("250"), "anybody can write that into his reverse zone"
    house.lookup.names["mail.bad.test"] = {"A": ["192.0.2.7"]}
    assert answers(house, MAIL)[0].startswith("550")


def test_a_welcome_spares_the_other_stages_but_not_the_gate() -> None:
    house = SmtpHouse(access="Connect:192.0.2.7 OK\nTo:far.example OK\nFrom:away.example OK")
    for words in ("access senders relaying recipients", "relaying access recipients", "recipients relaying access"):
        stages = tuple(words.split())
        own = {"stages": stages, "reject_unknown_sender_domain": True}
        said = answers(house, "MAIL FROM:<eve@away.example>", "RCPT TO:<x@far.example>", "RCPT TO:<fred@here.example>", **own)
        assert [line[:3] for line in said] == ["250", "550", "250"], (stages, said)


def test_without_a_welcome_the_domain_of_the_sender_is_looked_up() -> None:
    house = SmtpHouse(access="From:other.example OK")
    assert answers(house, "MAIL FROM:<eve@nowhere.test>", reject_unknown_sender_domain=True)[0][:3] == "553"


@pytest.mark.parametrize(("rules", "fate"), [
    pytest.param("Connect:192.0.2 DISCARD", "DISCARD", id="client-discarded"),
    pytest.param("To:fred@ DISCARD", "DISCARD", id="recipient-discarded"),
    pytest.param("From:away.example QUARANTINE:odd", "HOLD", id="sender-held"),
    pytest.param("From:away.example QUARANTINE:odd\nConnect:192.0.2 DISCARD", "DISCARD", id="the-graver"),
])
def test_mail_may_be_held_or_thrown_away(rules: str, fate: str) -> None:
    house = SmtpHouse(access=rules)
    said = answers(house, MAIL, RCPT, "DATA", "Subject: x\r\n\r\nhello\r\n.")
    assert said[-1].startswith("250 2.0.0 Accepted as ")
    assert house.contents == []
    assert [item.held for item, _ in house.queued] == ([True] if fate == "HOLD" else [])
    (fated,) = [fact.what for fact in house.told if type(fact.what).__name__ == "Fated"]
    assert fated.fate == fate
    assert fated.reason.startswith("access: ")


AUTH = "AUTH PLAIN AGZyZWQAc2VzYW1l"  # fred, sesame


def test_who_has_logged_in_is_not_judged_by_his_address_but_by_whom_he_writes_to() -> None:
    house = SmtpHouse(access="Connect:192.0.2 REJECT\nTo:enemy.example REJECT")
    own = {"role": Role.SUBMISSION, "plaintext": True, "tls": "offered"}
    said = answers(house, AUTH, "MAIL FROM:<fred@here.example>", "RCPT TO:<x@far.example>", "RCPT TO:<x@enemy.example>", **own)
    assert [line[:3] for line in said] == ["235", "250", "250", "550"]


def test_a_welcome_does_not_let_a_user_write_as_another() -> None:
    house = SmtpHouse(access="From:here.example OK\nConnect:192.0.2 OK")
    said = answers(house, AUTH, "MAIL FROM:<ann@here.example>", role=Role.SUBMISSION, plaintext=True, tls="offered")
    assert said[-1].startswith("550 5.7.1")


def test_a_changed_file_is_read_again_and_a_broken_one_keeps_the_old_rules(tmp_path: Path) -> None:
    house = SmtpHouse(access="Connect:192.0.2 REJECT", folder=tmp_path)
    service = house.service()

    def heard() -> str:
        player = house.player(service)
        return str(player.say("EHLO peer.example", MAIL)[-1][:3])

    assert heard() == "550"
    (tmp_path / "access").write_text("Connect:192.0.2 REJECTED")
    os.utime(tmp_path / "access", (1, 1))
    assert heard() == "550"
    (tmp_path / "access").write_text("Connect:192.0.2 OK")
    os.utime(tmp_path / "access", (2, 2))
    assert heard() == "250"


def test_a_file_that_never_was_in_order_lets_nobody_in(tmp_path: Path) -> None:
    assert answers(SmtpHouse(access="Connect:192.0.2 MAYBE"), MAIL)[0].startswith("451 4.3.0")


def test_while_the_dns_is_silent_a_name_neither_refuses_nor_relays() -> None:
    house = SmtpHouse(access="Connect:bad.test REJECT\nConnect:good.test RELAY")

    async def silent(name: str) -> Any:
        raise DnsTrouble(name)

    house.lookup.pointer = silent  # type: ignore[method-assign]
    said = answers(house, MAIL, "RCPT TO:<x@far.example>", RCPT)
    assert [line[:9] for line in said] == ["250 2.1.0", "451 4.4.3", "250 2.1.5"]


@pytest.mark.parametrize(("rules", "code"), [
    pytest.param("Connect:192.0.2.66 OK", "250", id="welcome"),
    pytest.param("To:fred@here.example OK", "250", id="a-recipient-who-takes-everything"),
    pytest.param("Connect:192.0.2.67 OK", "550", id="another"),
])
def test_a_welcome_counts_for_more_than_a_list_in_the_dns(rules: str, code: str) -> None:
    house = SmtpHouse(access=rules)
    house.lookup.names |= {f"{name}.zen.example": {"A": ["127.0.0.2"]} for name in ("2.0.0.127", "66.2.0.192")}
    assert answers(house, MAIL, RCPT, host="192.0.2.66", dnsbl=LISTS.read("zen.example"))[-1][:3] == code


NAMES = "Connect:bad.test REJECT\nConnect:good.test RELAY"


def test_a_name_is_asked_for_once_a_connection_and_forgotten_with_it(tmp_path: Path) -> None:
    house = SmtpHouse(access=NAMES)
    house.lookup.names |= {"192.0.2.7": {"PTR": ["mail.good.test"]}, "mail.good.test": {"A": ["192.0.2.7"]}}
    house.player().say("EHLO peer.example", MAIL, *["RCPT TO:<x@far.example>"] * 5)
    assert house.lookup.asked.count(("192.0.2.7", "PTR")) == 1
    (tmp_path / "access").write_text(NAMES)
    access = Access(WatchedFiles(tasks.Inline()).file(tmp_path / "access", parse), house.lookup, house.clock)
    stage, gate = AccessOfSenders(access, lambda one: (one,), may_accept=True), Relaying(frozenset(), (ByAccessList(access),))
    for end in (stage, gate):
        result_of(access.client(Peer("c1", "192.0.2.7", 1)))
        assert len(access._names) == 1
        end.left(Peer("c1", "192.0.2.7", 1))
        assert len(access._names) == 0


def test_a_dns_that_does_not_answer_is_waited_for_once() -> None:
    house = SmtpHouse(access=NAMES)

    async def never(address: str) -> Any:
        await tasks.sleep(house.clock, 1e6)

    house.lookup.pointer = never  # type: ignore[method-assign]
    player = house.player()
    player.say("EHLO peer.example")
    assert player.say(MAIL) == []
    house.clock.advance(10)
    assert player.heard()[-1].startswith("250 2.1.0")
    assert player.say("RCPT TO:<x@far.example>") == ["451 4.4.3 Your address cannot be looked up at the moment, please try again later"]


def test_the_stage_costs_nothing_without_a_file() -> None:
    service = SmtpHouse().service(stages=("access",))
    assert not any(service.policy.asks(point) for point in Point)
