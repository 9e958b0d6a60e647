from __future__ import annotations

import random
from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from tests.relay.peers import EHLO, HANG_UP, SILENCE, Net, Peer, Slowly, courier_across, courier_here, finish, shows
from twistmail import tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.carrier import Capacity
from twistmail.relay.carrying import LAST_WORDS
from twistmail.relay.client import Patience
from twistmail.relay.courier import _at_least_verified
from twistmail.relay.exchange import Manners
from twistmail.relay.route import Route, Tls
from twistmail.relay.routes import OPTIONS, Identity, Routes

ZONE = {
    "far.test": {"MX": [(10, "a.far.test"), (20, "b.far.test")]}, "a.far.test": {"A": ["192.0.2.1"]}, "b.far.test": {"A": ["192.0.2.2"]},
    "other.test": {"A": ["192.0.2.3"]},
}
BODY = Memory(b"Subject: x\r\n\r\nhello\r\n")


def to(*addresses: str) -> tuple[Target, ...]:
    made = [Address(*address.split("@")) for address in addresses]
    return tuple(Target(Kind.REMOTE, address, address) for address in made)


#: Where the connections are: here, or in a process of their own.
WAYS = {"here": courier_here, "across": courier_across}


@pytest.fixture(autouse=True, params=WAYS)
def way(request, monkeypatch):
    monkeypatch.setattr(World, "way", request.param)


class World:
    way = "here"

    def __init__(self, capacity=None, **peers):
        self.clock = Clock()
        self.net = Net(self.clock)
        self.net.peers |= {f"192.0.2.{name[1:]}": peer for name, peer in peers.items()}
        self.lookup = MemoryLookup(ZONE)
        routes = Routes(self.lookup, Identity("us.example"), OPTIONS.defaults(), {}, random.Random(1))
        self.courier = WAYS[self.way](routes, self.net, Manners("us.example", shows(), Patience()), capacity or Capacity(), self.clock)

    def begin(self, *addresses, **changes):
        targets = to(*addresses)
        item = replace(Item("i1", Address("ann", "here.example"), tuple(map(Errand, targets)), 0.0, BODY.size), **changes)
        results = []
        tasks.shielded(self.courier.carry(item, targets, BODY)).addBoth(results.append)
        return results

    def carry(self, *addresses, **changes):
        results = self.begin(*addresses, **changes)
        self.settle()
        return results[0]

    def settle(self, seconds=0.0):
        for _ in range(300):
            self.clock.advance(0)
        if seconds:
            self.clock.advance(seconds)
            self.settle()


def test_the_first_server_is_used_and_nobody_else():
    a, b = Peer(), Peer()
    world = World(p1=a, p2=b)
    assert [o.result for o in world.carry("x@far.test", "y@far.test")] == [Result.RELAYED] * 2
    assert (len(a.contents), len(b.contents)) == (1, 0)


@pytest.mark.parametrize("first", [
    pytest.param(None, id="refuses"), pytest.param(Peer({b"": b"421 Busy"}), id="421"), pytest.param(Peer({b"": b"554 No"}), id="554"),
    pytest.param(Peer({b"": HANG_UP}), id="hangs-up"), pytest.param(Peer({b"EHLO": HANG_UP}), id="hangs-up-at-EHLO"),
])
def test_a_server_that_does_not_answer_is_passed_over_in_the_same_attempt(first):
    b = Peer()
    world = World(p2=b, **({"p1": first} if first else {}))
    (outcome,) = world.carry("x@far.test")
    assert (outcome.result, outcome.host) == (Result.RELAYED, "b.far.test [192.0.2.2]")


def test_a_silent_server_is_passed_over_after_the_time_for_a_greeting():
    world = World(p1=Peer({b"": SILENCE}), p2=Peer())
    results = world.begin("x@far.test")
    world.settle(301)
    assert results[0][0].result is Result.RELAYED


def test_with_no_server_up_the_mail_waits_and_the_reason_names_the_last_one():
    (outcome,) = World().carry("x@far.test")
    assert (outcome.result, outcome.status.code, outcome.status.enhanced) == (Result.DEFERRED, 451, "4.4.1")
    assert "b.far.test [192.0.2.2]:25" in outcome.status.text


def test_domains_are_served_side_by_side_and_outcomes_keep_their_order():
    a, other = Peer({b"RCPT TO:<no@far.test>": b"550 5.1.1 No"}), Peer()
    outcomes = World(p1=a, p3=other).carry("x@other.test", "no@far.test", "y@gone.test", "yes@far.test")
    assert [o.target.address.local for o in outcomes] == ["x", "no", "y", "yes"]
    assert [o.status.enhanced for o in outcomes] == ["2.0.0", "5.1.1", "5.1.2", "2.0.0"]


def test_a_connection_is_used_again_and_left_after_a_while():
    peer = Peer()
    world = World(p3=peer)
    world.carry("x@other.test")
    world.carry("y@other.test")
    assert len(peer.connections) == 1
    assert b"QUIT" not in peer.said
    world.settle(6)
    assert peer.said[-1] == b"QUIT"
    assert not peer.connections[0].open
    assert world.clock.getDelayedCalls() == []


@pytest.mark.parametrize("answers", [
    pytest.param({b"MAIL": [b"250 Ok", HANG_UP, b"250 Ok"]}, id="hangs-up-at-the-second-MAIL"),
    pytest.param({b"MAIL": [b"250 Ok", b"421 Too old", b"250 Ok"]}, id="421-to-the-second-MAIL"),
])
def test_a_connection_that_was_kept_too_long_is_replaced(answers):
    peer = Peer(answers)
    world = World(p3=peer)
    world.carry("x@other.test")
    (outcome,) = world.carry("y@other.test")
    assert outcome.result is Result.RELAYED
    assert len(peer.connections) == 2


def test_a_connection_that_was_closed_while_it_was_idle_is_not_used():
    peer = Peer()
    world = World(p3=peer)
    world.carry("x@other.test")
    peer.connections[0].say(b"421 4.4.2 Timeout")
    peer.connections[0].hang_up()
    world.settle()
    assert world.carry("y@other.test")[0].result is Result.RELAYED


def test_never_more_connections_to_a_destination_than_allowed():
    """R41, with 200 messages."""
    peer = Peer()
    world = World(Capacity(total=20, per_route=2), p3=peer, p1=Peer())
    carried = [world.begin(f"x{number}@other.test") for number in range(200)]
    for _ in range(10):
        world.clock.advance(0)
    assert sum(side.open for side in peer.connections) == 2
    assert world.begin("x@far.test") == []
    for _ in range(4000):
        world.clock.advance(0)
        assert sum(side.open for side in peer.connections) <= 2
    assert all(results[0][0].result is Result.RELAYED for results in carried)
    assert len(peer.connections) == 2


def test_those_who_wait_for_a_dead_server_share_the_finding():
    peer = Peer({b"": SILENCE})
    world = World(Capacity(per_route=1), p3=peer)
    waiting = [world.begin("x@other.test") for _ in range(10)]
    world.settle(301)
    assert all(results[0][0].result is Result.DEFERRED for results in waiting)
    assert len(peer.connections) == 1
    peer.answers[b""] = b"220 Hello"
    assert world.carry("x@other.test")[0].result is Result.RELAYED


def test_a_content_that_cannot_be_read_is_never_ended():
    class Broken:
        size = 1_000_000
        looks = 0

        def chunks(self):
            self.looks += 1
            yield b"Subject: x\r\n\r\n"
            if self.looks > 1:  # the first one is for its form
                raise OSError(5, "Input/output error")

    peer = Peer()
    world = World(p3=peer)
    targets = to("x@other.test")
    item = Item("i1", None, tuple(map(Errand, targets)), 0.0, 100)
    (outcome,) = finish(world.clock, world.courier.carry(item, targets, Broken()))
    assert (outcome.result, outcome.status.code) == (Result.DEFERRED, 451)
    assert peer.connections[0].aborted
    assert peer.connections[0].unstuffer is not None


#: Whose greeting takes eight seconds and whose last answers come at once: who waits for one is served sooner than over a new connection.
KEEPING = Capacity(idle=3600)
QUICK = {b"": Slowly(b"220 hi\r\n", every=1.0)}


def saying_nothing_at_the_end(world, peer):
    """One message has been carried, and the next has been said and is not answered: its results."""
    world.begin("first@other.test")
    world.settle(10)
    peer.answers[b"."] = SILENCE
    results = world.begin("second@other.test")
    world.settle()
    assert len(peer.contents) == 2
    assert results == []
    return results


def test_the_next_message_is_said_while_the_last_answer_to_one_is_missing():
    peer = Peer(QUICK)
    world = World(KEEPING, p3=peer)
    second = saying_nothing_at_the_end(world, peer)
    third = world.begin("third@other.test")
    world.settle()
    assert b"RCPT TO:<third@other.test>" in peer.said
    assert len(peer.connections) == 1
    fourth = world.begin("fourth@other.test")
    world.settle(10)
    assert len(peer.connections) == 2, "one follows at a time"
    assert second == third == fourth == []
    peer.answers[b"."] = b"250 2.0.0 Taken"
    world.settle(600)
    world.settle(20)
    assert [results[0][0].result for results in (second, third, fourth)] == [Result.DEFERRED, Result.RELAYED, Result.DEFERRED]
    assert len(peer.connections) == 3, "who was about to follow has not been said yet, and is said anew"


def test_over_a_server_that_lets_us_wait_nothing_follows():
    peer = Peer()
    world = World(KEEPING, p3=peer)
    saying_nothing_at_the_end(world, peer)
    world.begin("third@other.test")
    world.settle()
    assert len(peer.connections) == 2


def test_what_follows_and_cannot_be_read_spoils_nothing_of_what_goes_before():
    class Unreadable:
        size = 100

        def beginning(self, limit):
            raise OSError(5, "Input/output error")

    peer = Peer(QUICK)
    world = World(KEEPING, p3=peer)
    second = saying_nothing_at_the_end(world, peer)
    targets = to("third@other.test")
    item = Item("i1", None, tuple(map(Errand, targets)), 0.0, 100)
    (outcome,) = finish(world.clock, world.courier.carry(item, targets, Unreadable()))
    assert (outcome.result, outcome.status.code) == (Result.DEFERRED, 451)
    side = peer.connections[0]
    side.silent = False
    side.say(b"250 2.0.0 Taken")
    world.settle()
    assert second[0][0].result is Result.RELAYED


def test_stopping_says_goodbye_to_idle_connections():
    peer = Peer()
    world = World(p3=peer)
    world.carry("x@other.test")
    finish(world.clock, world.courier.stop())
    assert peer.said[-1] == b"QUIT"
    world.settle(LAST_WORDS)
    assert world.clock.getDelayedCalls() == []


def test_a_server_that_does_not_let_go_is_cut_off():
    peer = Peer()
    world = World(p3=peer)
    world.carry("x@other.test")
    side = peer.connections[0]
    side.loseConnection = lambda: None  # as TLS, which waits for the other side's goodbye
    world.settle(6)
    assert peer.said[-1] == b"QUIT"
    assert side.open
    world.settle(31)
    assert side.aborted
    assert world.clock.getDelayedCalls() == []


def test_a_server_that_takes_few_messages_at_a_time_is_called_again():
    """RFC 9422 §4."""
    a = Peer({b"EHLO": EHLO.replace(b"250 ENH", b"250-LIMITS MAILMAX=2 RCPTMAX=1\r\n250 ENH")})
    world = World(p1=a)
    outcomes = world.carry("v@far.test", "w@far.test", "x@far.test", "y@far.test", "z@far.test")
    assert [(str(o.target.address), o.result) for o in outcomes] == [(f"{name}@far.test", Result.RELAYED) for name in "vwxyz"]
    assert (len(a.contents), len(a.connections), len(world.net.dialled)) == (5, 3, 3)
    assert a.said.count(b"QUIT") == 2, "the last connection may carry one more"
    world.carry("u@far.test")
    assert len(a.connections) == 3


def test_who_is_put_off_by_such_a_server_is_served_by_the_next_connection_and_nobody_twice():
    a = Peer({b"EHLO": EHLO.replace(b"250 ENH", b"250-LIMITS MAILMAX=1\r\n250 ENH"),
              b"RCPT TO:<w@far.test>": [b"452 4.5.3 Too many recipients", b"250 Ok"]})  # fmt: skip
    world = World(p1=a)
    outcomes = world.carry("v@far.test", "w@far.test", "x@far.test")
    assert [(str(o.target.address), o.result) for o in outcomes] == [(f"{name}@far.test", Result.RELAYED) for name in "vwx"]
    assert [sum(line.startswith(b"RCPT TO:<%c@" % name) for line in a.said) for name in b"vwx"] == [1, 2, 1]


STARTTLS = EHLO.replace(b"250 ENH", b"250-STARTTLS\r\n250 ENH")
PROMISED = EHLO.replace(b"250 ENH", b"250-REQUIRETLS\r\n250 ENH")
STRICT = Wishes(require_tls=True)


def test_what_must_be_encrypted_goes_to_the_server_that_promises_it():
    """RFC 8689 §4.2.1: each server of the domain is tried."""
    a, b = Peer({b"EHLO": [STARTTLS, EHLO]}), Peer({b"EHLO": [STARTTLS, PROMISED]})
    world = World(p1=a, p2=b)
    assert [o.result for o in world.carry("x@far.test", wishes=STRICT)] == [Result.RELAYED]
    assert (len(a.contents), len(b.contents)) == (0, 1)


def test_a_route_that_wants_dane_keeps_it_for_what_must_be_encrypted():
    """RFC 8689 §4.2.1 asks for at least a verified certificate: what is more stays."""
    assert [_at_least_verified(Route("far.test", tls=tls)) for tls in (Tls.OPPORTUNISTIC, Tls.REQUIRED, Tls.VERIFIED, Tls.DANE)] == [
        Tls.VERIFIED, Tls.VERIFIED, Tls.VERIFIED, Tls.DANE,
    ]  # fmt: skip


def test_ways_that_differ_only_in_what_they_ask_for_lose_nobody_where_the_message_asks_for_more():
    world = World(p2=Peer({b"EHLO": [STARTTLS, PROMISED]}))
    (one,), (other,) = to("x@far.test"), to("y@far.test")
    item = Item("i1", Address("ann", "here.example"), (Errand(one), Errand(other)), 0.0, BODY.size, wishes=STRICT)
    ways = {Route("far.test", tls=Tls.OPPORTUNISTIC): [one], Route("far.test", tls=Tls.REQUIRED): [other]}
    results = []
    tasks.shielded(world.courier.carry_by(ways, item, BODY)).addBoth(results.append)
    world.settle(60.0)
    assert [outcome.target for outcome in results[0]] == [one, other]


def test_where_no_server_promises_it_the_message_comes_back():
    world = World(p1=Peer(), p2=Peer({b"EHLO": [STARTTLS, EHLO]}))
    (outcome,) = world.carry("x@far.test", wishes=STRICT)
    assert (outcome.result, outcome.status.enhanced) == (Result.FAILED, "5.7.30")


@pytest.mark.parametrize("peers", [
    pytest.param({"p2": Peer()}, id="first"), pytest.param({"p1": Peer()}, id="last"),
])
def test_while_a_server_is_away_that_might_promise_it_the_message_waits(peers):
    (outcome,) = World(**peers).carry("x@far.test", wishes=STRICT)
    assert outcome.result is Result.DEFERRED


def test_a_connection_of_usual_mail_is_not_used_for_what_must_be_encrypted():
    a = Peer({b"EHLO": [EHLO, STARTTLS, PROMISED]})
    world = World(p1=a)
    world.carry("x@far.test")
    assert [o.result for o in world.carry("x@far.test", wishes=STRICT)] == [Result.RELAYED]
    assert len(a.connections) == 2
    assert [side.connection.tls for side in a.connections] == [False, True]


def test_a_report_about_such_a_message_is_not_lost_for_want_of_encryption():
    """RFC 8689 §5."""
    world = World(p1=Peer())
    assert [o.result for o in world.carry("x@far.test", wishes=STRICT, sender=None)] == [Result.RELAYED]
