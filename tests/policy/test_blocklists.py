"""Lists in the DNS, in real sessions: who is refused, who is not asked about, and that nobody waits twice."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.helpers import result_of
from tests.policy.slow_lookup import SlowLookup
from tests.servers.smtp.house import SmtpHouse
from twistmail.dry_run import DryRun, Question
from twistmail.facts import Refused
from twistmail.mail.address import parse
from twistmail.mail.envelope import Role
from twistmail.policy.blocklists import BlocklistsFactory
from twistmail.policy.dnslists import LISTS

LISTED, CLEAN = "192.0.2.66", "192.0.2.7"
ZONE = {
    "2.0.0.127.zen.example": {"A": ["127.0.0.2"]},
    "2.0.0.127.other.example": {"A": ["127.0.0.2"]},
    "2.0.0.127.good.example": {"A": ["127.0.10.0"]},
    "test.dbl.example": {"A": ["127.0.1.2"]},
    "66.2.0.192.zen.example": {"A": ["127.0.0.4"], "TXT": [b"https://zen.example/66"]},
    "1.0.0.0" + ".0" * 20 + ".8.b.d.0.1.0.0.2.zen.example": {"A": ["127.0.0.3"]},
    "bad.example.dbl.example": {"A": ["127.0.1.2"], "TXT": [b"a bad one"]},
}
MAIL = ("EHLO peer.example", "MAIL FROM:<eve@away.example>")
RCPT = "RCPT TO:<fred@here.example>"


class World:
    def __init__(self, **lists: str) -> None:
        clock = Clock()
        self.lookup = SlowLookup(clock, ZONE)
        self.house = SmtpHouse(clock=clock, lookup=self.lookup)
        self.service = self.house.service(**{key: LISTS.read(text) for key, text in (lists or {"dnsbl": "zen.example"}).items()})

    def player(self, address: str = LISTED) -> Any:
        player = self.house.player(self.service, address)
        player.heard()
        return player

    def asked(self, zone: str) -> list[str]:
        """The questions put to a list, but for its test."""
        tests = ("127.0.0.", "0.0.127", "test.", "invalid.")
        return [name for name, kind in self.lookup.asked if name.endswith(zone) and kind == "A" and not any(word in name for word in tests)]


def test_a_listed_client_hears_the_reason_and_the_fact_names_the_rule() -> None:
    world = World()
    player = world.player()
    assert player.say(*MAIL)[-1].startswith("250")
    assert player.say(RCPT) == [f"550 5.7.1 {LISTED} is listed by zen.example: https://zen.example/66"]
    (refused,) = [fact.what for fact in world.house.told if isinstance(fact.what, Refused)]
    assert (refused.stage, refused.rule, str(refused.sender)) == ("blocklists", "zen.example 127.0.0.4", "eve@away.example")


def test_others_are_heard() -> None:
    world = World()
    player = world.player(CLEAN)
    player.say(*MAIL)
    assert player.say(RCPT) == ["250 2.1.5 Recipient ok"]
    assert world.asked("zen.example") == ["7.2.0.192.zen.example"]


def test_an_IPv6_client_is_looked_up_by_its_nibbles() -> None:
    player = World().player("2001:db8::1")
    player.say(*MAIL)
    assert player.say(RCPT)[0].startswith("550 5.7.1 2001:db8::1 is listed by zen.example")


@pytest.mark.parametrize("recipient", ["postmaster", "Postmaster@here.example"])
def test_postmaster_is_reached_by_those_who_are_listed(recipient: str) -> None:
    player = World().player()
    player.say(*MAIL)
    assert player.say(f"RCPT TO:<{recipient}>") == ["250 2.1.5 Recipient ok"]
    assert player.say(RCPT)[0].startswith("550")


def test_the_postmaster_of_others_is_not_ours() -> None:
    player = World().player()
    player.say(*MAIL)
    assert player.say("RCPT TO:<postmaster@elsewhere.example>")[0].startswith("550 5.7.1 192.0.2.66 is listed")


@pytest.mark.parametrize(
    "address", ["127.0.0.2", "::1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1", "fd00::1", "fe80::1", "unix"]
)
def test_nobody_asks_the_world_about_those_whom_it_cannot_know(address: str) -> None:
    world = World(dnsbl="zen.example", rhsbl="dbl.example")
    player = world.player(address)
    player.say("EHLO bad.example", "MAIL FROM:<eve@bad.example>")
    assert player.say(RCPT) == ["250 2.1.5 Recipient ok"]
    assert world.asked("example") == []


def test_one_address_is_asked_about_once_in_a_connection() -> None:
    world = World()
    player = world.player()
    player.say(*MAIL, RCPT, "RSET", *MAIL, RCPT, RCPT)
    assert world.asked("zen.example") == ["66.2.0.192.zen.example"]


def test_what_an_allowlist_has_no_blocklist_refuses() -> None:
    world = World(dnsbl="zen.example", dnswl="good.example", rhsbl="dbl.example")
    world.lookup.names["66.2.0.192.good.example"] = {"A": ["127.0.5.2"]}
    player = world.player()
    player.say("EHLO bad.example", "MAIL FROM:<eve@bad.example>")
    assert player.say(RCPT) == ["250 2.1.5 Recipient ok"]


@pytest.mark.parametrize(
    ("hello", "sender", "answer"),
    [
        pytest.param("bad.example", "eve@away.example", "550 5.7.1 bad.example is listed by dbl.example: a bad one", id="by-its-name"),
        pytest.param("BAD.Example", "eve@away.example", "550 5.7.1 bad.example is listed by dbl.example: a bad one", id="in-capitals"),
        pytest.param("peer.example", "eve@bad.example", "550 5.7.1 bad.example is listed by dbl.example: a bad one", id="by-its-sender"),
        pytest.param("peer.example", "eve@away.example", "250 2.1.5 Recipient ok", id="neither"),
        pytest.param("[192.0.2.7]", "", "250 2.1.5 Recipient ok", id="a-literal-and-the-null-sender"),
        pytest.param("192.0.2.7", "eve@[192.0.2.7]", "250 2.1.5 Recipient ok", id="addresses"),
        pytest.param("pc", "eve@localhost", "250 2.1.5 Recipient ok", id="no-domains"),
        pytest.param("peer.example", "ann@here.example", "250 2.1.5 Recipient ok", id="ours"),
    ],
)
def test_domains_are_looked_up_too(hello: str, sender: str, answer: str) -> None:
    world = World(rhsbl="dbl.example")
    player = world.player(CLEAN)
    player.say(f"EHLO {hello}", f"MAIL FROM:<{sender}>")
    assert player.say(RCPT) == [answer]
    assert all(name.endswith("example.dbl.example") for name in world.asked("dbl.example"))


def test_the_next_transaction_is_judged_by_its_own_sender() -> None:
    player = World(rhsbl="dbl.example").player(CLEAN)
    player.say("EHLO peer.example", "MAIL FROM:<eve@bad.example>")
    assert player.say(RCPT)[0].startswith("550")
    assert player.say("RSET", "MAIL FROM:<eve@away.example>", RCPT)[-1].startswith("250")


def test_pipelined_commands_wait_for_slow_lists_and_are_answered_in_order() -> None:
    world = World(dnsbl="zen.example other.example")
    world.player(CLEAN).say(*MAIL, RCPT)  # the lists are tested by now
    world.lookup.delays["zen.example"] = 2.0
    slow, other = world.player(), world.player("10.0.0.1")
    assert [line[:3] for line in slow.say(*MAIL, RCPT, "RCPT TO:<postmaster>", "NOOP")][-1] == "250"
    assert slow.heard() == []  # all that came before RCPT is answered, RCPT waits
    assert other.say(*MAIL, RCPT)[-1] == "250 2.1.5 Recipient ok"  # and holds up nobody else
    slow.advance(2)
    assert slow.heard() == []  # the reason is still to come
    slow.advance(2)
    assert [line[:9] for line in slow.heard()] == ["550 5.7.1", "250 2.1.5", "250 2.0.0"]


def test_the_look_up_goes_on_while_the_peer_takes_its_time() -> None:
    world = World()
    world.player(CLEAN).say(*MAIL, RCPT)
    world.lookup.delays["zen.example"] = 2.0
    player = world.player()
    player.advance(2)
    player.say(*MAIL)
    player.advance(2)
    assert player.say(RCPT)[0].startswith("550")


def test_several_lists_are_asked_at_the_same_time() -> None:
    world = World(dnsbl="other.example zen.example")
    world.player(CLEAN).say(*MAIL, RCPT)
    world.lookup.delays |= {"other.example": 1000.0, "zen.example": 1.0}
    player = world.player()
    player.say(*MAIL, RCPT)
    for _ in range(4):
        player.advance(1)
    assert player.heard() == []
    player.advance(1)
    assert player.heard()[-1].startswith("550 5.7.1 192.0.2.66 is listed by zen.example")


def test_mail_comes_in_when_the_DNS_does_not_answer() -> None:
    world = World()
    world.lookup.delays["zen.example"] = 1000.0
    player = world.player()
    player.say(*MAIL, RCPT)
    player.advance(5)
    assert player.heard() == ["250 2.1.5 Recipient ok"]


def test_a_peer_that_goes_while_a_list_is_asked_leaves_nothing_behind() -> None:
    world = World(dnsbl="zen.example", rhsbl="dbl.example")
    world.lookup.delays |= {"zen.example": 3.0, "dbl.example": 3.0}
    player = world.player()
    player.say(*MAIL, RCPT)
    player.leave()
    world.house.clock.advance(3)
    world.house.clock.advance(3)
    world.house.clock.advance(3)
    stages = world.service.policy._counting
    (connect,) = [stage for stage in stages if stage.name == "blocklists"]
    assert len(connect._blocklists._addresses) == len(connect._blocklists._senders) == 0


def test_a_dry_run_names_the_list() -> None:
    world = World(dnsbl="zen.example", rhsbl="dbl.example")
    question = Question(Role.MX, LISTED, None, parse("fred@here.example"))
    answer = result_of(DryRun(world.service.policy, world.service.expansion, question, None).run())
    assert (answer["result"], answer["stage"], answer["rule"]) == ("refused", "blocklists", "zen.example 127.0.0.4")


def test_lists_are_tested_at_the_start_and_nobody_waits_for_that() -> None:
    world = World()
    assert world.lookup.asked == []
    world.house.clock.advance(0)
    assert [name for name, _ in world.lookup.asked] == ["1.0.0.127.zen.example", "2.0.0.127.zen.example"]


@pytest.mark.parametrize(
    ("role", "lists"),
    [
        pytest.param(Role.MX, {}, id="without-lists"),
        pytest.param(Role.MX, {"dnswl": LISTS.read("good.example")}, id="an-allowlist-alone-allows-nothing"),
        pytest.param(Role.SUBMISSION, {}, id="for-users"),
    ],
)
def test_where_there_is_nothing_to_ask_there_is_no_stage(role: Role, lists: dict[str, Any]) -> None:
    assert BlocklistsFactory().build(None, SmtpHouse().house(role, **lists)) == ()
