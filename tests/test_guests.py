"""Who is here, how he is shown out, and who may not come in: the verbs over connections that are not there."""

from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail.bans import Bans
from twistmail.control import Refusal
from twistmail.doorbook import Doorbook
from twistmail.doorkeeper import Doorkeeper
from twistmail.facts import Connected, Fact, Facts, LoggedIn
from twistmail.guests import SHOWN_OUT, Guests
from twistmail.servers.gate import Gate
from twistmail.servers.throttle import Throttle

NOW = 1_800_000_000.0
PEER = "192.0.2.7"


class Pump:
    """A connection that goes when it is asked to, or does not."""

    def __init__(self, silence: float, *, goes: bool = True) -> None:
        self.silence, self.goes, self.said, self.pushed = silence, goes, "", False
        self.transport = SimpleNamespace(abortConnection=self.push)

    def push(self) -> None:
        self.pushed = True

    def shut_down(self, why: str) -> None:
        self.said = why


class Here:
    async def run(self, function, *arguments):
        return function(*arguments)


@pytest.fixture
def house(tmp_path):
    """A service with three connections: ann by IMAP, ann by POP3, who does not go, and a stranger."""
    clock, facts = Clock(), Facts()
    pumps = {"c1": Pump(7.9), "c2": Pump(0.0, goes=False), "c3": Pump(1.0)}
    keeper = Doorkeeper(Doorbook(tmp_path / "door.sqlite"), lambda: NOW)
    gate = Gate(keeper.bans, facts, lambda: NOW)
    foundation = SimpleNamespace(facts=facts, ground=SimpleNamespace(epoch=lambda: NOW), gate=gate, doorkeeper=keeper,
                                 threads=Here(), throttle=Throttle(((3, 60.0),)))
    there = dict(pumps)
    service = SimpleNamespace(foundation=foundation, reactor=clock, pumps=pumps, there=there, connections=lambda: there)
    service.guests = Guests(service)
    for identifier, name, address in (("c1", "imap", PEER), ("c2", "pop3", PEER), ("c3", "mx", "2001:db8::7")):
        facts.tell(Fact(NOW - 60, identifier, Connected(name, address, 4711)))
        if name != "mx":
            facts.tell(Fact(NOW - 59, identifier, LoggedIn("ann@here.example", "PLAIN")))
    return service


@pytest.fixture
def ask(house):
    verbs = house.guests.verbs()
    return lambda verb, **arguments: result_of(verbs[verb](arguments))


@pytest.mark.parametrize(("who", "found"), [
    pytest.param([], ["c1", "c2", "c3"], id="everybody"),
    pytest.param(["c1"], ["c1"], id="an-id"),
    pytest.param(["Ann@Here.example"], ["c1", "c2"], id="a-user-in-any-case"),
    pytest.param([PEER], ["c1", "c2"], id="an-address"),
    pytest.param(["2001:DB8:0::7"], ["c3"], id="an-address-however-it-is-written"),
    pytest.param(["c3", PEER], ["c1", "c2", "c3"], id="several"),
    pytest.param(["bob@here.example"], [], id="somebody-who-is-not-there"),
])
def test_who_is_listed(ask, who: list[str], found: list[str]) -> None:
    assert [one["id"] for one in ask("session.list", who=who)] == found


def test_how_long_somebody_has_said_nothing_is_what_his_connection_says(ask, house) -> None:
    del house.there["c3"]
    assert [one["idle_s"] for one in ask("session.list")] == [7, 0, None]


def test_who_is_shown_out_is_told_and_pushed_if_he_does_not_go(ask, house) -> None:
    assert ask("session.kick", who=["ann@here.example"]) == {"count": 2, "ids": ["c1", "c2"]}
    assert {name: pump.said for name, pump in house.pumps.items()} == {"c1": "kicked", "c2": "kicked", "c3": ""}
    del house.there["c1"]  # he has gone
    house.reactor.advance(SHOWN_OUT)
    assert [name for name, pump in house.pumps.items() if pump.pushed] == ["c2"]


@pytest.mark.parametrize(("verb", "arguments"), [
    pytest.param("session.kick", {}, id="kick-whom"),
    pytest.param("session.kick", {"who": []}, id="kick-nobody"),
    pytest.param("session.kick", {"who": "c1"}, id="kick-no-list"),
    pytest.param("session.list", {"who": [7]}, id="list-no-words"),
    pytest.param("ban.add", {}, id="ban-whom"),
    pytest.param("ban.add", {"networks": ["nonsense"]}, id="ban-nonsense"),
    pytest.param("ban.add", {"networks": [PEER], "for_s": -1}, id="ban-for-less-than-nothing"),
    pytest.param("ban.add", {"networks": [PEER], "for_s": "soon"}, id="ban-for-no-number"),
    pytest.param("ban.remove", {"networks": [None]}, id="lift-nonsense"),
])
def test_what_cannot_be_understood_is_refused_and_changes_nothing(ask, house, verb: str, arguments: dict) -> None:
    with pytest.raises(Refusal) as refusal:
        ask(verb, **arguments)
    assert refusal.value.exit_code == 64
    assert not any(pump.said for pump in house.pumps.values())
    assert ask("ban.list") == []


def test_a_ban_is_in_the_book_when_the_answer_comes(ask, house) -> None:
    (made,) = ask("ban.add", networks=["192.0.2.99/24"], for_s=3600, reason="a bad lot")
    assert made == {"network": "192.0.2.0/24", "since": NOW, "until": NOW + 3600, "left_s": 3600, "by": "operator",
                    "reason": "a bad lot", "times": 1, "turned_away": 0}  # fmt: skip
    assert ask("ban.list") == [made]
    assert house.foundation.gate.turns_away(PEER, "mx")
    assert ask("ban.list")[0]["turned_away"] == 1
    assert Bans(house.foundation.doorkeeper.book.bans()).covering(PEER, NOW) is not None
    assert ask("ban.remove", networks=["192.0.2.0/24"]) == {"lifted": ["192.0.2.0/24"]}
    assert house.foundation.doorkeeper.book.bans() == ()
    assert ask("ban.remove", networks=["192.0.2.0/24"]) == {"lifted": []}


def test_who_is_let_in_again_is_also_listened_to_again(ask, house) -> None:
    throttle = house.foundation.throttle
    for number in range(3):
        throttle.failed(PEER, f"user{number}", NOW, "guess")
    house.foundation.gate.shut_out(PEER, "too many failed logins", "c1")
    assert throttle.refuses(PEER, NOW)
    assert ask("ban.remove", networks=[PEER]) == {"lifted": [PEER]}
    assert not throttle.refuses(PEER, NOW)
