"""A queue with its desk, on a fake clock, and nothing else of a server."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

from twisted.internet.task import Clock

from tests.helpers import heard, result_of
from twistmail.facts import Facts
from twistmail.journal import Journal
from twistmail.mail.address import Address, parse
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.schedule import Schedule
from twistmail.mailflow import Dispatch
from twistmail.memory.courier import MemoryCourier
from twistmail.memory.queue import MemoryQueue
from twistmail.queue.reports import House
from twistmail.queue.runner import Circumstances, Runner
from twistmail.steering.desk import QueueDesk
from twistmail.tasks import Inline

NOW = 1_795_000_000.0
POSTMASTER = Address("postmaster", "blue.example")
BODY = b"Subject: hello\r\n\r\nhow are you\r\n"


def item(identifier: str, *to: str, sender: str | None = "alice@blue.example", age: float = 3600.0, **more) -> Item:
    """One that waits, for people elsewhere."""
    errands = tuple(Errand(Target(Kind.REMOTE, parse(one), parse(one))) for one in to or ("info@green.example",))
    size = more.pop("size", len(BODY))
    return Item(identifier, parse(sender) if sender else None, errands, NOW - age, size, due=NOW + 600, **more)


class Town:
    """`answers`: what happens to an address (see `MemoryCourier`)."""

    def __init__(self, folder, answers=None) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.queue, self.facts = MemoryQueue(), Facts()
        self.told = []
        self.facts.listen(self.told.append)
        self.journal = Journal(folder / "journal", 90 * 86400.0)
        self.facts.listen(self.journal.note)
        self.couriers = {Kind.REMOTE: MemoryCourier(answers), Kind.MAILBOX: MemoryCourier(local=True)}
        house = House("mail.blue.example", POSTMASTER, self.follow, (f"r{n}" for n in itertools.count(1)), Inline())
        self.runner = Runner(
            self.queue, Dispatch(self.couriers), Schedule(), house, Circumstances(self.clock, lambda: 0.0, self.facts))
        ground = SimpleNamespace(epoch=self.clock.seconds, reactor=self.clock)
        self.foundation = SimpleNamespace(
            runner=self.runner, facts=self.facts, ground=ground, threads=Inline(), journals=(self.journal,))
        self.reactor = self.clock
        self.desk = QueueDesk(self.foundation)

    async def follow(self, address):
        return (Target(Kind.MAILBOX, address, address, str(address)),)

    def holding(self, *items: Item) -> Town:
        """These were left by an earlier process."""
        for one in items:
            result_of(self.queue.add(one, Memory(BODY)))
        result_of(self.runner.start())
        return self

    def hear(self, verb: str, **arguments):
        """(parts, result) of *verb*."""
        return heard(self.desk.verbs()[verb](arguments), self.clock)

    def ask(self, verb: str, **arguments):
        return self.hear(verb, **arguments)[1]

    def rows(self, verb: str = "queue.list", **arguments):
        return [row for part in self.hear(verb, **arguments)[0] for row in part]

    def ids(self, **arguments):
        return [row["id"] for row in self.rows(**arguments)]
