"""Whether an answer could reach the sender: his domain is looked up while he waits."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.policy.slow_lookup import SlowLookup
from tests.servers.smtp.house import SmtpHouse
from twistmail.facts import Refused
from twistmail.mail.envelope import Role
from twistmail.memory.lookup import SilentLookup
from twistmail.networks import NETWORKS
from twistmail.policy.senders import SendersFactory

ZONE: dict[str, Any] = {
    "mx.example": {"MX": [(10, "mail.mx.example")]},
    "host.example": {"A": ["192.0.2.1"]},
    "six.example": {"AAAA": ["2001:db8::1"]},
    "null.example": {"MX": [(0, "")]},
    "nullish.example": {"MX": [(0, "."), (10, "mail.mx.example")]},
    "text.example": {"TXT": [b"no mail here"]},
    "bücher.example".encode("idna").decode(): {"MX": [(10, "mail.mx.example")]},
}


class World:
    def __init__(self, **settings: Any) -> None:
        clock = Clock()
        self.lookup = SlowLookup(clock, ZONE)
        self.house = SmtpHouse(clock=clock, lookup=self.lookup)
        self.service = self.house.service(**{"reject_unknown_sender_domain": True} | settings)

    def player(self, address: str = "192.0.2.7") -> Any:
        player = self.house.player(self.service, address)
        player.say("EHLO peer.example")
        return player

    def mail(self, sender: str, address: str = "192.0.2.7") -> str:
        (answer,) = self.player(address).say(f"MAIL FROM:<{sender}>")
        return answer[:9]

    @property
    def rules(self) -> list[str]:
        return [fact.what.rule for fact in self.house.told if isinstance(fact.what, Refused)]


@pytest.mark.parametrize(
    ("sender", "answer", "rule"),
    [
        pytest.param("a@mx.example", "250 2.1.0", "", id="has-MX"),
        pytest.param("a@host.example", "250 2.1.0", "", id="has-an-address"),
        pytest.param("a@six.example", "250 2.1.0", "", id="has-an-IPv6-address"),
        pytest.param("a@nullish.example", "250 2.1.0", "", id="a-null-MX-beside-a-real-one-is-none"),
        pytest.param("a@xn--bcher-kva.example", "250 2.1.0", "", id="A-labels"),
        pytest.param("a@here.example", "250 2.1.0", "", id="is-ours"),
        pytest.param("a@[192.0.2.7]", "250 2.1.0", "", id="literal"),
        pytest.param("", "250 2.1.0", "", id="null-sender"),
        pytest.param("a@none.example", "553 5.1.8", "none.example does not exist", id="does-not-exist"),
        pytest.param("a@text.example", "553 5.1.8", "text.example has no MX and no address", id="nothing-to-send-to"),
        pytest.param("a@null.example", "550 5.7.2", "null.example has a null MX", id="null-MX"),
        pytest.param("a@192.0.2.7", "553 5.1.8", "192.0.2.7 is no domain of the DNS", id="an-address-without-brackets"),
        pytest.param("a@localhost", "553 5.1.8", "localhost is no domain of the DNS", id="localhost"),
    ],
)
def test_the_domain_of_a_sender_has_to_take_mail(sender: str, answer: str, rule: str) -> None:
    world = World()
    assert world.mail(sender) == answer
    assert world.rules == ([rule] if rule else [])


def test_the_code_of_a_null_MX_is_that_of_its_standard() -> None:
    assert World().player().say("MAIL FROM:<a@null.example>")[0].startswith("550 5.7.27 ")


@pytest.mark.parametrize("broken", ["mx.example", "host.example"])
def test_a_silent_DNS_is_weather(broken: str) -> None:
    world = World()
    world.lookup.broken.add(broken)
    assert world.mail(f"a@{broken}") == "451 4.4.3"
    assert world.rules == [f"MX of {broken}: SERVFAIL"]


def test_so_is_a_house_without_a_DNS() -> None:
    house = SmtpHouse(lookup=SilentLookup())  # type: ignore[arg-type]
    player = house.player(house.service(reject_unknown_sender_domain=True))
    player.say("EHLO peer.example")
    assert player.say("MAIL FROM:<a@mx.example>")[0].startswith("451 4.4.3")


@pytest.mark.parametrize("address", ["127.0.0.1", "unix", "203.0.113.4"])
def test_neighbours_may_have_names_of_their_own(address: str) -> None:
    world = World(relay_networks=NETWORKS.read("203.0.113.0/24"))
    assert world.mail("root@nas.lan", address) == "250 2.1.0"
    assert world.lookup.asked == []


def test_pipelined_commands_wait_for_a_slow_look_up_and_nobody_else_does() -> None:
    world = World()
    world.lookup.delays["mx.example"] = 3.0
    player, other = world.player(), world.player()
    assert player.say("MAIL FROM:<a@mx.example>", "RCPT TO:<fred@here.example>", "NOOP") == []
    assert other.say("MAIL FROM:<a@host.example>", "RCPT TO:<fred@here.example>")[-1].startswith("250 2.1.5")
    player.advance(3)
    assert [line[:9] for line in player.heard()] == ["250 2.1.0", "250 2.1.5", "250 2.0.0"]


@pytest.mark.parametrize("role", [Role.MX, Role.LMTP])
def test_by_default_nobody_is_asked(role: Role) -> None:
    assert SendersFactory().build(None, SmtpHouse().house(role)) == ()
