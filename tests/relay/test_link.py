"""The connection between the server and its carrier process, and its end. What both carriers have in common: test_courier.py."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.relay.peers import SILENCE, Across, Net, Peer, finish, shows
from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.departure import Departure
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import BUG, UNAVAILABLE
from twistmail.queue.place import Feedback, feedback
from twistmail.relay import frames, link
from twistmail.relay.carrier import Capacity
from twistmail.relay.carrying import LAST_WORDS
from twistmail.relay.client import Patience
from twistmail.relay.exchange import Manners
from twistmail.relay.frames import HEAD, Frames, frame
from twistmail.relay.link import ENDED, LOOK_EVERY, CarrierTrouble
from twistmail.relay.route import Host, Route, Tls
from twistmail.relay.terms import Decision, Policy, Terms

FAR = Route("far.test", tls=Tls.OPPORTUNISTIC)
HOST = Host("a.far.test", "192.0.2.1", 25)


def departure(*names: str, body: bytes = b"Subject: x\r\n\r\nhello\r\n") -> Departure:
    targets = tuple(Target(Kind.REMOTE, Address(name, "far.test"), Address(name, "far.test")) for name in names or ("bob",))
    return Departure(Item("i1", Address("ann", "here.test"), tuple(map(Errand, targets)), 0.0, len(body)), targets, Memory(body))


class Known:
    """`carrier.Ways`, and the policies behind them: one server, and what was heard of it."""

    def __init__(self, hosts=(HOST,), want=Tls.OPPORTUNISTIC):
        self.answer, self.want, self.noted, self.asked = hosts, want, [], 0

    @property
    def policies(self):
        return self

    async def hosts(self, route, identifier):
        self.asked += 1
        if isinstance(self.answer, Deferred):
            await self.answer
            return (HOST,)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def decide(self, route, hosts):
        return Decision(tuple((host, Terms(self.want, policy=Policy("far.test", "sts"))) for host in hosts))

    def note(self, route, host, terms, finding):
        self.noted.append((route, host, terms, finding))


class World:
    def __init__(self, peer=None, tls_options=None, **capacity):
        self.clock = Clock()
        self.net = Net(self.clock)
        self.peer = self.net.peers["192.0.2.1"] = peer or Peer()
        manners = Manners("us.example", tls_options or shows(), Patience())
        self.across = Across(self.net, manners, Capacity(**capacity), self.clock)
        self.link, self.pipe = self.across.link, self.across.pipe
        self.ways = Known()

    def begin(self, one=None, ways=None):
        results = []
        tasks.shielded(self.link.carry(FAR, one or departure(), ways or self.ways)).addBoth(results.append)
        return results

    def settle(self, seconds=0.0):
        for _ in range(100):
            self.clock.advance(0)
        if seconds:
            self.clock.advance(seconds)
            self.settle()

    def said_by_server(self):
        heard = Frames()
        return [kind for octets in self.pipe.ends[0].written for kind, _, _ in heard.feed(octets)]


# ----- what goes over it


def test_all_that_is_said_in_one_turn_is_one_write():
    world = World()
    world.settle()
    before = len(world.pipe.ends[0].written)
    results = [world.begin() for _ in range(20)]
    world.settle()
    assert [kind for kind, _, _ in Frames().feed(world.pipe.ends[0].written[before])] == [frames.ROUTE] + [frames.DEPARTURE] * 20
    assert all(one[0].outcomes[0].result is Result.RELAYED for one in results)


@pytest.mark.parametrize("more", [pytest.param(b"", id="frames"), pytest.param(frame(b"?", 0), id="what-makes-no-sense")])
def test_what_comes_at_once_is_dealt_with_together(more):
    world, told = World(), []

    @contextmanager
    def together():
        told.append("begin")
        try:
            yield
        finally:
            told.append("end")

    world.settle()
    world.link._together = together
    for _ in range(2):
        tasks.shielded(world.link.carry(FAR, departure(), world.ways)).addBoth(lambda _: told.append("carried"))
    world.link._flush()
    world.link.dataReceived(frame(frames.CARRIED, [1, None]) + frame(frames.CARRIED, [2, None]) + more)
    assert told == ["begin", "carried", "carried", "end"]


def test_a_route_is_told_once_and_again_after_a_thousand_others(monkeypatch):
    monkeypatch.setattr(link, "MOST_ROUTES", 2)
    world = World()
    for name in ("a", "a", "b", "c", "c", "a"):
        finish(world.clock, world.link.carry(Route(f"{name}.test"), departure(), world.ways))
    assert world.said_by_server().count(frames.ROUTE) == 4
    assert len(world.peer.contents) == 6


def test_the_way_is_asked_for_only_when_a_connection_has_to_be_made():
    world = World()
    for _ in range(3):
        finish(world.clock, world.link.carry(FAR, departure(), world.ways))
    assert (world.ways.asked, len(world.peer.connections)) == (1, 1)


def test_what_a_server_has_shown_is_told_with_the_terms_and_their_policy():
    world = World(Peer({b"EHLO": b"250-peer.example\r\n250-PIPELINING\r\n250 STARTTLS"}), shows("TLSv1.3"))
    carried = finish(world.clock, world.link.carry(FAR, departure(), world.ways))
    assert carried.outcomes[0].secured == "TLSv1.3, certificate checked by its authority"
    ((route, host, terms, finding),) = world.ways.noted
    assert (route, host, terms.policy.kind, finding.protocol) == (FAR, HOST, "sts", "TLSv1.3")


def test_that_a_server_has_not_kept_to_the_terms_is_told_too():
    world = World(Peer({b"STARTTLS": b"454 Not now", b"EHLO": b"250-peer.example\r\n250 STARTTLS"}))
    world.ways.want = Tls.REQUIRED
    carried = finish(world.clock, world.link.carry(FAR, departure(), world.ways))
    assert carried.outcomes[0].status.enhanced == "4.7.5"
    assert [finding.kind for *_, finding in world.ways.noted] == ["starttls-not-supported"]


@pytest.mark.parametrize(("answer", "status"), [
    pytest.param(Unavailable("the table is broken"), UNAVAILABLE, id="unavailable"),
    pytest.param(KeyError("a bug"), BUG, id="a-bug"),
    pytest.param(UNAVAILABLE, UNAVAILABLE, id="a-status"),
    pytest.param((Host("\udcff.test", "192.0.2.1", 25),), BUG, id="a-name-that-cannot-be-told"),
])  # fmt: skip
def test_whatever_the_server_finds_the_carrier_gets_an_answer(answer, status):
    world = World()
    carried = finish(world.clock, world.link.carry(FAR, departure(), Known(answer)))
    assert (carried.outcomes[0].status, carried.unreachable) == (status, status)


def test_a_bug_in_the_carrier_is_told_and_costs_one_message_its_attempt(monkeypatch):
    world = World()

    async def fails(*_):
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(world.across.here, "_deliver", fails)
        with pytest.raises(CarrierTrouble):
            finish(world.clock, world.link.carry(FAR, departure(), world.ways))
    assert finish(world.clock, world.link.carry(FAR, departure(), world.ways)).outcomes[0].result is Result.RELAYED


def test_an_outcome_that_cannot_be_told_is_a_bug_and_nobody_waits_for_it():
    world = World()
    world.net.peers.clear()
    world.across.here._dial = lambda address, port: fail(OSError(5, "\udcff"))
    with pytest.raises(CarrierTrouble):
        finish(world.clock, world.link.carry(FAR, departure(), world.ways))


def test_what_the_carrier_logs_is_in_the_servers_log():
    world, seen = World(), []
    globalLogPublisher.addObserver(seen.append)
    try:
        world.pipe.ends[1].write(frame(frames.LOGGED, ["warn", "relay: {mx} is odd"]))
        world.settle()
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert [(one["text"], one["log_level"].name) for one in seen if "text" in one] == [("relay: {mx} is odd", "warn")]


# ----- too much


def test_while_the_carrier_takes_no_more_departures_wait_and_are_no_octets():
    world = World()
    world.settle()
    world.link.pauseProducing()
    results = [world.begin(departure(body=b"x" * 60_000)) for _ in range(300)]
    world.settle()
    assert frames.DEPARTURE not in world.said_by_server()
    assert world.link.under_way == 300
    world.link.resumeProducing()
    world.settle()
    assert max(map(len, world.pipe.ends[0].written)) < 2 * link.MOST_AT_ONCE
    world.settle()
    assert all(one[0].outcomes[0].result is Result.RELAYED for one in results)


def test_while_the_server_hears_nothing_the_carrier_takes_nothing():
    world = World()
    world.settle()
    world.across.carrying.pauseProducing()
    results = world.begin()
    world.settle()
    assert (results, world.peer.said) == ([], [])
    world.across.carrying.resumeProducing()
    world.settle()
    assert results[0].outcomes[0].result is Result.RELAYED


# ----- the end


@pytest.mark.parametrize("step", [b"", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"."])
def test_a_carrier_that_dies_at_any_step_is_trouble_of_our_own(step):
    world = World(Peer({step: SILENCE}))
    results = world.begin(departure("bob", "carol"))
    world.settle()
    assert results == []
    world.pipe.cut()
    world.settle()
    assert [(o.result, o.status.enhanced, o.target.address.local) for o in results[0].outcomes] == [
        (Result.DEFERRED, "4.3.0", "bob"), (Result.DEFERRED, "4.3.0", "carol"),
    ]  # fmt: skip
    assert results[0].unreachable is None, "the other server has done nothing wrong"
    assert feedback(results[0].outcomes) == (Feedback.NOTHING, None), "and need not rest"
    assert world.across.ended == [False]


def test_an_outcome_that_was_on_its_way_is_not_invented():
    world = World(Peer({b".": SILENCE}))
    results = world.begin()
    world.settle()
    world.pipe.ends[1].write(frame(frames.CARRIED, [1, [[[250, "2.0.0", "Ok", "", False, ""]], None]])[:-3])
    world.settle()
    world.pipe.cut()
    world.settle()
    assert results[0].outcomes[0].status == ENDED


def test_a_carrier_that_dies_while_the_way_is_looked_up_harms_nobody_when_that_is_found():
    world, found = World(), Deferred()
    results = world.begin(ways=Known(found))
    world.settle()
    world.pipe.cut()
    world.settle()
    assert results[0].outcomes[0].status == ENDED
    found.callback(None)
    world.settle()
    assert world.across.ended == [False]


def test_what_the_carrier_has_not_got_yet_somebody_else_may_carry():
    world = World()
    world.settle()
    world.link.pauseProducing()
    results = world.begin()
    world.settle()
    world.pipe.cut()
    world.settle()
    assert results == [None]
    assert finish(world.clock, world.link.carry(FAR, departure(), world.ways)) is None


GARBAGE = {
    "another-protocol": b"220 mx.far.test ESMTP ready\r\n",
    "no-json": HEAD.pack(frames.CARRIED, 2, 0) + b"[,",
    "another-kind": frame(b"Z", None),
    "a-departure": frame(frames.DEPARTURE, [1, 0, []]),
    "nobodys-outcome": frame(frames.CARRIED, [77, [[], None]]),
    "no-number": frame(frames.CARRIED, [[1], None]),
    "an-outcome-too-few": frame(frames.CARRIED, [1, [[], None]]),
    "no-status": frame(frames.CARRIED, [1, [[[7, "", "", "", False, ""]], None]]),
    "nobodys-question": frame(frames.QUESTION, 77),
    "seen-before-asked": frame(frames.SEEN, [1, 0, "off", [""] * 5]),
    "a-level-that-is-none": frame(frames.LOGGED, ["loud", "x"]),
}


@pytest.mark.parametrize("octets", [pytest.param(one, id=name) for name, one in GARBAGE.items()])
def test_a_carrier_that_makes_no_sense_is_ended_and_nothing_is_believed(octets):
    world = World()
    results = world.begin(ways=Known(Deferred()))
    world.settle()
    world.pipe.ends[1].write(octets)
    world.settle()
    assert results[0].outcomes[0].status == ENDED
    assert world.across.ended == [False]


@pytest.mark.parametrize("octets", [
    pytest.param(b"220 mx.far.test ESMTP ready\r\n", id="another-protocol"),
    pytest.param(frame(b"Z", None), id="another-kind"),
    pytest.param(frame(frames.DEPARTURE, [1, 99, []]), id="an-unknown-route"),
    pytest.param(frame(frames.ANSWER, [77, [None]]), id="an-answer-to-nobody"),
])  # fmt: skip
def test_a_server_that_makes_no_sense_is_left(octets, capsys):
    world = World()
    world.settle()
    world.pipe.ends[0].write(octets)
    world.settle()
    assert not world.pipe.open
    assert "makes no sense" in capsys.readouterr().err


def test_stopping_says_goodbye_and_what_is_under_way_is_finished_first():
    world = World(Peer({b".": [b"250 Ok", SILENCE]}))
    finish(world.clock, world.link.carry(FAR, departure(), world.ways))
    results = world.begin()
    world.settle()
    stopped = []
    tasks.shielded(world.link.stop(15.0)).addBoth(stopped.append)
    world.settle()
    assert (stopped, results, world.pipe.open) == ([None], [], True)
    assert finish(world.clock, world.link.carry(FAR, departure(), world.ways)) is None, "nothing more is taken"
    (side,) = [side for side in world.peer.connections if side.open]
    side.silent = False
    side.say(b"250 2.0.0 At last")
    world.settle()
    assert results[0].outcomes[0].result is Result.RELAYED
    assert world.peer.said[-1] == b"QUIT"
    world.settle(LAST_WORDS)
    assert not world.pipe.open
    assert world.across.ended == [True]


def test_the_carrier_ends_only_when_its_goodbyes_are_said():
    world = World(Peer({b"QUIT": SILENCE, b".": [SILENCE]}))
    results = world.begin()
    world.settle()
    tasks.shielded(world.link.stop(15.0))
    (side,) = world.peer.connections
    side.silent = False
    side.say(b"250 2.0.0 At last")
    world.settle(5)
    assert (world.peer.said[-1], results[0].outcomes[0].result, world.pipe.open) == (b"QUIT", Result.RELAYED, True)
    world.settle(6)
    assert not world.pipe.open


def test_a_goodbye_that_nobody_answers_keeps_nobody_waiting():
    world = World()
    world.settle()
    world.pipe.ends[1].pauseProducing()
    stopped = []
    tasks.shielded(world.link.stop(15.0)).addBoth(stopped.append)
    world.settle(15)
    assert stopped == [None]


def test_a_carrier_that_hangs_after_its_stop_is_ended_and_nobody_waits_for_what_it_had():
    world = World(Peer({b".": SILENCE}))
    results = world.begin()
    world.settle()
    tasks.shielded(world.link.stop(15.0))
    world.settle(LOOK_EVERY)
    assert (results, world.pipe.open) == ([], True), "it has answered"
    world.pipe.ends[1].pauseProducing()
    world.settle(LOOK_EVERY)
    world.settle(LOOK_EVERY)
    assert (results[0].outcomes[0].status, world.across.ended) == (ENDED, [True])


def test_a_carrier_that_does_not_even_hear_its_stop_is_ended():
    world = World(Peer({b".": SILENCE}))
    results = world.begin()
    world.settle()
    world.pipe.ends[1].pauseProducing()
    tasks.shielded(world.link.stop(15.0))
    world.settle(LOOK_EVERY)
    assert (results[0].outcomes[0].status, world.across.ended) == (ENDED, [True])


def test_a_carrier_that_answers_may_take_as_long_as_the_other_server_does_and_is_looked_at_no_more_behind_its_end():
    world = World(Peer({b".": SILENCE}))
    results = world.begin()
    world.settle()
    tasks.shielded(world.link.stop(15.0))
    for _ in range(10):
        world.settle(LOOK_EVERY)
    assert (results, world.pipe.open) == ([], True)
    (side,) = world.peer.connections
    side.silent = False
    side.say(b"250 2.0.0 At last")
    world.settle(LAST_WORDS)
    assert (results[0].outcomes[0].result, world.across.ended) == (Result.RELAYED, [True])
    assert world.clock.getDelayedCalls() == []
