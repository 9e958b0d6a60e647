"""What a client may call itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from tests.helpers import result_of
from tests.policy.slow_lookup import SlowLookup
from tests.servers.smtp.house import SmtpHouse
from twistmail.facts import Refused
from twistmail.interfaces import Verdict
from twistmail.mail.envelope import Peer, Role
from twistmail.memory.lookup import MemoryLookup
from twistmail.networks import NETWORKS
from twistmail.policy.hello import OPTIONS, HelloFactory

ALL = "syntax ours our_domains localhost bare_address unqualified resolves"
OURS = "198.51.100.1"
ZONE = {"mail.away.example": {"A": ["192.0.2.7"]}, "away.example": {"MX": [(10, "mail.away.example")]}, "odd.example": {"TXT": [b"x"]}}


def judge(hello: str, rules: str = "syntax ours", address: str = "192.0.2.7", broken: str = "") -> Verdict | None:
    lookup = MemoryLookup(ZONE)
    lookup.broken.add(broken)
    settings = {"hello": OPTIONS[0].kind.read(rules), "relay_networks": NETWORKS.read("203.0.113.0/24")}
    house = replace(SmtpHouse(lookup=lookup).house(**settings), own_addresses=lambda: frozenset({"127.0.0.1", OURS, "2001:db8::1"}))
    (stage,) = HelloFactory().build(None, house)
    return result_of(stage.judge(Peer("c", address, 1, hello=hello)))


def rule(hello: str, rules: str = "syntax ours", address: str = "192.0.2.7") -> str | None:
    verdict = judge(hello, rules, address)
    return verdict.rule if verdict else None


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        pytest.param("mail.away.example", None, id="a-host"),
        pytest.param("localhost", None, id="one-label"),
        pytest.param("my_pc.lan", None, id="an-underscore-is-forgiven"),
        pytest.param("192.0.2.7", None, id="an-address-without-brackets-is-forgiven"),
        pytest.param("[192.0.2.7]", None, id="a-literal"),
        pytest.param("[IPv6:2001:db8::7]", None, id="an-IPv6-literal"),
        pytest.param("here.example", None, id="a-domain-of-ours"),
        pytest.param("nowhere.example", None, id="a-name-that-does-not-exist"),
        pytest.param("sub.mx.here.example", None, id="below-our-name"),
        pytest.param("a..b", "syntax", id="two-dots"),
        pytest.param("-a.example", "syntax", id="a-hyphen-first"),
        pytest.param("a/b", "syntax", id="a-slash"),
        pytest.param("mx.here.example", "ours", id="our-name"),
        pytest.param("MX.Here.Example.", "ours", id="our-name-in-capitals"),
        pytest.param("[198.51.100.1]", "ours", id="our-address"),
        pytest.param("[IPv6:2001:DB8:0::1]", "ours", id="our-IPv6-address-spelled-otherwise"),
        pytest.param("[127.0.0.1]", "ours", id="loopback"),
    ],
)
def test_by_default_the_syntax_counts_and_our_name_is_ours(name: str, refused: str | None) -> None:
    assert rule(name) == refused


@pytest.mark.parametrize(
    ("rules", "name", "refused"),
    [
        pytest.param("our_domains", "here.example", "our_domains", id="our-domain"),
        pytest.param("our_domains", "pc.here.example", None, id="below-our-domain"),
        pytest.param("localhost", "localhost", "localhost", id="localhost"),
        pytest.param("localhost", "localhost.localdomain", "localhost", id="localhost-with-a-domain"),
        pytest.param("localhost", "localhosts.example", None, id="a-name-that-begins-so"),
        pytest.param("bare_address", "192.0.2.7", "bare_address", id="no-brackets"),
        pytest.param("bare_address", "192.0.2.7.example", None, id="digits-in-a-name"),
        pytest.param("unqualified", "pc", "unqualified", id="no-dot"),
        pytest.param("unqualified", "[192.0.2.7]", None, id="a-literal-is-whole"),
        pytest.param("resolves", "mail.away.example", None, id="has-an-address"),
        pytest.param("resolves", "away.example", None, id="takes-mail"),
        pytest.param("resolves", "nowhere.example", "resolves", id="does-not-exist"),
        pytest.param("resolves", "odd.example", "resolves", id="exists-without-an-address"),
        pytest.param("resolves", "[192.0.2.7]", None, id="a-literal-needs-no-DNS"),
        pytest.param("ours", "a..b", None, id="without-the-syntax-anything-goes"),
    ],
)
def test_stricter_rules_for_those_who_want_them(rules: str, name: str, refused: str | None) -> None:
    assert rule(name, rules) == refused


def test_a_silent_DNS_is_weather() -> None:
    verdict = judge("mail.away.example", "resolves", broken="mail.away.example")
    assert verdict is not None
    assert verdict.status is not None
    assert (verdict.status.code, verdict.status.enhanced) == (451, "4.4.3")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "fe80::1", "unix", "203.0.113.9"])
def test_neighbours_are_held_to_the_syntax_only(address: str) -> None:
    assert [rule(name, ALL, address) for name in ("mx.here.example", "here.example", "pc", "192.0.2.7", "nowhere.example")] == [None] * 5
    assert rule("a..b", ALL, address) == "syntax"


@pytest.mark.parametrize("address", [OURS, "::ffff:198.51.100.1", "2001:db8::1"])
def test_this_machine_may_say_its_name_by_way_of_any_of_its_addresses(address: str) -> None:
    assert rule("mx.here.example", "ours our_domains", address) is None
    assert rule("[198.51.100.1]", "ours", address) is None
    assert rule("here.example", "ours our_domains", address) is None


def test_a_rule_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="our_name is no rule about names of clients\nthere are: syntax, ours"):
        OPTIONS[0].kind.read("syntax our_name")


@pytest.mark.parametrize(
    ("role", "rules"), [pytest.param(Role.SUBMISSION, None, id="for-users"), pytest.param(Role.MX, (), id="without-rules")]
)
def test_where_any_name_goes_there_is_no_stage(role: Role, rules: tuple[str, ...] | None) -> None:
    settings = {} if rules is None else {"hello": rules}
    assert HelloFactory().build(None, SmtpHouse().house(role, **settings)) == ()


def test_the_fact_names_the_rule_and_another_name_is_heard() -> None:
    house = SmtpHouse()
    player = house.player()
    player.heard()
    assert player.say("EHLO mx.here.example") == ["550 5.7.1 That is our name, and you are somebody else"]
    assert [(fact.what.stage, fact.what.rule) for fact in house.told if isinstance(fact.what, Refused)] == [("hello", "ours")]
    assert player.say("EHLO peer.example")[-1].startswith("250")


def test_a_slow_DNS_holds_up_nobody_else_and_the_answers_come_in_order() -> None:
    clock = Clock()
    lookup = SlowLookup(clock, ZONE)
    lookup.delays["away.example"] = 3.0
    house = SmtpHouse(clock=clock, lookup=lookup)
    service = house.service(hello=("resolves",))
    slow, quick = house.player(service), house.player(service)
    slow.heard()
    assert slow.say("EHLO mail.away.example", "MAIL FROM:<>", "RCPT TO:<fred@here.example>") == []
    assert quick.say("EHLO [192.0.2.7]", "NOOP")[-1].startswith("250 2.0.0")
    slow.advance(3)
    assert [line[:9] for line in slow.heard()][-2:] == ["250 2.1.0", "250 2.1.5"]
