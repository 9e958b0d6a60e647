"""The carrier's end over a real pair of sockets: what a clock and a pipe in memory do not show. All else: test_link.py."""

from __future__ import annotations

import contextlib
import socket

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from twistmail import tasks
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.departure import Departure
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import outcome_of
from twistmail.mail.status import Status
from twistmail.relay.carrier import Carried
from twistmail.relay.carrying import Carrying
from twistmail.relay.link import Link
from twistmail.relay.route import Route
from twistmail.relay.told import Equipment

BODY = b"Subject: x\r\n\r\nhello\r\n"


def departure(number):
    targets = tuple(Target(Kind.REMOTE, one, one) for one in (Address(f"r{place}", "far.test") for place in range(number)))
    return Departure(Item("i1", Address("ann", "here.test"), tuple(map(Errand, targets)), 0.0, len(BODY)), targets, Memory(BODY))


class Connections:
    """As many as are used of a carrier's: none. What it carries takes until `finish` is called back with a Status."""

    leaving = 0

    def __init__(self):
        self.begun, self.finish = Deferred(), Deferred()

    async def carry(self, route, departure, ways):
        self.begun.callback(None)
        status = await self.finish
        return Carried([outcome_of(target, status) for target in departure.targets])

    async def stop(self):
        pass


@contextlib.contextmanager
def both_ends(connections):
    """A Link, and a Deferred of its end."""
    from twisted.internet import reactor

    over = Deferred()
    link = Link(Equipment("us.example"), reactor, over.callback)
    carrying = Carrying(reactor, lambda equipment: connections, lambda: None)
    for one, end in zip((link, carrying), socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM), strict=True):
        factory = Factory.forProtocol(lambda one=one: one)
        factory.noisy = False
        end.setblocking(False)
        with end:
            reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)
    try:
        yield link, over
    finally:
        link.abort()


@pytest.mark.parametrize("number", [pytest.param(1, id="little"), pytest.param(500, id="more-than-the-socket-takes")])
@pytest_twisted.ensureDeferred
async def test_the_last_outcome_is_told_also_where_it_comes_out_of_a_timed_call(number):
    from twisted.internet import reactor

    connections, status = Connections(), Status(250, "2.0.0", "x" * 1900)
    with both_ends(connections) as (link, over):
        carried = tasks.shielded(link.carry(Route("far.test"), departure(number), None))
        await connections.begun
        await link.stop(15.0)

        def finish():
            link.transport.pauseProducing()  # so that it stays in the socket, and behind it
            connections.finish.callback(status)
            link.transport.resumeProducing()

        reactor.callLater(0, finish)
        heard = {outcome.status.code for outcome in (await carried).outcomes}
        assert heard == {250}
        over.addTimeout(10, reactor)
        assert await over, "it ends, because it was asked to"
