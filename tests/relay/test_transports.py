"""R47: what becomes of mail whose route leads to no server, and who goes to one."""

from __future__ import annotations

import random

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from tests.relay.peers import Net, Peer, courier_here, finish
from twistmail import tasks
from twistmail.interfaces import ICourier
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.mail.status import Status
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.carrier import Capacity
from twistmail.relay.exchange import Manners
from twistmail.relay.routes import OPTIONS, ROUTE_OPTIONS, Further, Identity, Routes
from twistmail.relay.table import parse
from twistmail.relay.transports import RoutedCourier
from twistmail.watched import WatchedFile

BODY = Memory(b"Subject: x\r\n\r\nhello\r\n")
TABLE = """\
old.test        error:5.1.6 moved to new.test
later.test      retry:4.3.2 not today
void.test       discard:
home.test       local:fred
same.test       local:
tickets.test    pipe:tickets
gone.test       pipe:nothing
lost.test       courier:nobody
info@far.test   local:anna
"""


class Program:
    def __init__(self):
        self.runs = []

    async def run(self, item, target, content):
        self.runs.append(str(target.address))
        return Status(250, "2.0.0", "Done")


class House:
    """A courier with a route table in a file, one server, and somebody who notes what is brought here."""

    def __init__(self, tmp_path):
        self.clock, self.path, self.local, self.program = Clock(), tmp_path / "routes", [], Program()
        self.path.write_text(TABLE)
        table = WatchedFile(self.path, parse, tasks.Inline(), patient=True)
        self.net, self.peer = Net(self.clock), Peer()
        self.net.peers["192.0.2.1"] = self.peer
        routes = Routes(MemoryLookup({"far.test": {"A": ["192.0.2.1"]}}), Identity("us.example"), OPTIONS.defaults(),
                        {"near.test": ROUTE_OPTIONS.defaults(via="[192.0.2.1]")}, random.Random(1), Further(table=table))
        relay = courier_here(routes, self.net, Manners("us.example", None), Capacity(), self.clock)
        self.courier = RoutedCourier(routes, relay, self.bring, {"tickets": self.program})

    async def bring(self, item, target, address, content):
        self.local.append((str(target.address), str(address)))
        return Status(250, "2.0.0", "Goes on")

    def targets(self, *addresses):
        made = tuple(Address(*address.split("@")) for address in addresses)
        return tuple(Target(Kind.REMOTE, address, address) for address in made)

    def item(self, targets):
        return Item("i1", None, tuple(map(Errand, targets)), 0.0, BODY.size)

    def carry(self, *addresses):
        targets = self.targets(*addresses)
        outcomes = finish(self.clock, self.courier.carry(self.item(targets), targets, BODY))
        assert tuple(outcome.target for outcome in outcomes) == targets
        return [(outcome.result, outcome.status.enhanced) for outcome in outcomes]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_it_is_a_courier(house):
    verifyObject(ICourier, house.courier)


@pytest.mark.parametrize(("address", "expected"), [
    pytest.param("x@old.test", (Result.FAILED, "5.1.6"), id="an-error-comes-back"),
    pytest.param("x@later.test", (Result.DEFERRED, "4.3.2"), id="a-temporary-one-waits"),
    pytest.param("x@void.test", (Result.DELIVERED, "2.0.0"), id="thrown-away-without-a-word"),
    pytest.param("x@home.test", (Result.DELIVERED, "2.0.0"), id="for-somebody-here"),
    pytest.param("x@tickets.test", (Result.DELIVERED, "2.0.0"), id="for-a-program"),
    pytest.param("x@gone.test", (Result.DEFERRED, "4.3.5"), id="a-program-that-is-not-set-up-waits"),
    pytest.param("x@lost.test", (Result.DEFERRED, "4.3.5"), id="a-courier-that-is-not-set-up-waits"),
    pytest.param("x@far.test", (Result.RELAYED, "2.0.0"), id="by-MX"),
    pytest.param("x@near.test", (Result.RELAYED, "2.0.0"), id="by-a-section"),
])
def test_what_becomes_of_mail(house, address, expected):
    assert house.carry(address) == [expected]


def test_recipients_of_one_message_go_their_own_ways_and_answers_keep_their_order(house):
    assert house.carry("a@far.test", "x@old.test", "b@far.test", "fred@same.test", "Info@far.test", "c@near.test") == [
        (Result.RELAYED, "2.0.0"), (Result.FAILED, "5.1.6"), (Result.RELAYED, "2.0.0"), (Result.DELIVERED, "2.0.0"),
        (Result.DELIVERED, "2.0.0"), (Result.RELAYED, "2.0.0"),
    ]  # fmt: skip
    assert house.local == [("fred@same.test", "fred"), ("Info@far.test", "anna")]
    assert len(house.peer.contents) == 2


def test_a_change_of_the_table_holds_from_the_next_attempt_on(house):
    house.carry("x@old.test")
    house.path.write_text("old.test smtp:[192.0.2.1]\n# a longer file\n")
    assert house.carry("x@old.test") == [(Result.RELAYED, "2.0.0")]


def test_a_table_that_breaks_is_used_as_it_was(house):
    house.carry("x@old.test")
    house.path.write_text("old.test\n")
    assert house.carry("x@old.test") == [(Result.FAILED, "5.1.6")]


def test_while_the_table_was_never_in_order_everything_waits(house):
    house.path.write_text("far.test\n")
    assert house.carry("x@far.test", "y@else.test") == [(Result.DEFERRED, "4.3.0")] * 2
    assert house.net.dialled == []


def test_places_are_the_next_hops_and_here_is_none(house):
    result_of(house.courier.routes.freshen())
    targets = house.targets("a@far.test", "x@old.test", "t@tickets.test", "b@far.test", "f@home.test", "c@near.test")
    batches = house.courier.batches(house.item(targets), targets)
    assert {batch.place: [str(target.address) for target in batch.targets] for batch in batches} == {
        "far.test": ["a@far.test", "b@far.test"], "[192.0.2.1]": ["c@near.test"], "": ["x@old.test", "f@home.test"],
        "pipe:tickets": ["t@tickets.test"],
    }
