"""What every ICourier keeps to."""

from __future__ import annotations

import random

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.relay.peers import Net, Peer, finish
from twistmail import tasks
from twistmail.interfaces import ICourier
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.memory.courier import MemoryCourier
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.client import Patience
from twistmail.relay.courier import Capacity, RelayCourier
from twistmail.relay.exchange import Manners
from twistmail.relay.routes import OPTIONS, Identity, Routes

BODY = Memory(b"Subject: x\r\n\r\nhello\r\n")
CLOCK = Clock()


def in_memory():
    no, later = Address("no", "far.test"), Address("later", "far.test")
    return MemoryCourier({no: Status(550, "5.1.1", "No"), later: Status(450, "4.2.1", "Busy")})


def relay():
    net = Net(CLOCK)
    net.peers["192.0.2.1"] = Peer({b"RCPT TO:<no@far.test>": b"550 5.1.1 No", b"RCPT TO:<later@far.test>": b"450 4.2.1 Busy"})
    routes = Routes(MemoryLookup({"far.test": {"A": ["192.0.2.1"]}}), Identity("us.example"), OPTIONS.defaults(), {}, random.Random(1))
    return RelayCourier(routes, net, Manners("us.example", None, Patience()), Capacity(), CLOCK, tasks.Inline())


@pytest.fixture(params=[in_memory, relay])
def courier(request):
    return request.param()


def carry(courier, *names):
    targets = tuple(Target(Kind.REMOTE, Address(name, "far.test"), Address(name, "far.test")) for name in names)
    item = Item("i1", None, tuple(map(Errand, targets)), 0.0, BODY.size, b"X: y\r\n")
    return targets, finish(CLOCK, courier.carry(item, targets, BODY))


def test_it_is_a_courier(courier):
    verifyObject(ICourier, courier)


def test_one_outcome_per_target_in_order(courier):
    targets, outcomes = carry(courier, "yes", "no", "later", "yes2")
    assert tuple(outcome.target for outcome in outcomes) == targets
    assert [outcome.result for outcome in outcomes] == [Result.RELAYED, Result.FAILED, Result.DEFERRED, Result.RELAYED]
    assert [outcome.status.enhanced for outcome in outcomes] == ["2.0.0", "5.1.1", "4.2.1", "2.0.0"]


def test_nothing_to_carry_is_nothing(courier):
    assert tuple(carry(courier)[1]) == ()


def test_it_may_carry_again_and_again(courier):
    for _ in range(3):
        assert carry(courier, "yes")[1][0].result is Result.RELAYED


def test_every_target_is_in_one_batch_and_places_differ(courier):
    targets = tuple(Target(Kind.REMOTE, Address(name, "far.test"), Address(name, "far.test")) for name in ("a", "b", "c"))
    batches = courier.batches(Item("i1", None, tuple(map(Errand, targets)), 0.0, 0), targets)
    assert {target for batch in batches for target in batch.targets} == set(targets)
    assert len({batch.place for batch in batches}) == len(batches)
