"""Two thousand messages to forty towns of all kinds, the DNS dead for two minutes, the server killed twice: nothing is lost, nothing
comes back that should not, and what works is not held up by what does not.

All of it on a fake clock; the same with processes is in tests/crash/test_queue.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.journeys.house import House
from tests.relay.peers import HANG_UP, SILENCE, Peer
from twistmail import tasks
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Recipient, Role, Target, Transaction
from twistmail.mail.envelope import Peer as Client
from twistmail.mail.schedule import HOUR, MINUTE

MESSAGES, BATCH, EVERY = 2000, 50, 5.0
DNS_DIES, DNS_LIVES = 60.0, 180.0
KILLS = (45.0, 190.0)
#: Seconds within which nineteen of twenty messages to towns where nothing is wrong are there.
PROMPT = 5.0
#: Where processes die and not the machine, nothing has to be synced; and ann may send as much as she likes.
QUICK = "[store]\nfsync = no\n[submission]\nrate = unlimited\nrecipient_rate = unlimited\n"
MARK = re.compile(rb"X-Mark: (\d+)\r\n")

Manner = Callable[["Town", float], "dict[bytes, Any] | None"]


class Town:
    """Another server. *manner*(town, seconds since the beginning) tells how it answers a new connection; None: it refuses it.

    `got`: how often each message has come as a whole.
    """

    def __init__(self, number: int, manner: Manner) -> None:
        self.domain, self.address = f"town{number}.test", f"198.51.100.{number + 1}"
        self.manner = manner
        self.got: Counter[int] = Counter()

    def door(self, now: float, note: Callable[[int], None]) -> Peer | None:
        """One connection's worth of this town."""
        answers = self.manner(self, now)
        if answers is None:
            return None
        peer = Peer(answers)
        at_the_end = peer.answers[b"."]

        def take() -> Any:
            found = MARK.search(peer.contents[-1])
            if found is None:  # all recipients were refused, and we have said DATA before we could know (RFC 2920 §3.1)
                return b"554 5.5.1 No valid recipients"
            if at_the_end is HANG_UP or (at_the_end is not SILENCE and at_the_end.startswith(b"2")):
                self.got[int(found[1])] += 1
                note(int(found[1]))
            return at_the_end

        peer.answers[b"."] = take
        return peer


def until(end: float, answers: dict[bytes, Any] | None) -> Manner:
    """Answers so until *end*, and well from then on."""
    return lambda town, now: answers if now < end else {}


healthy, unknown = until(0.0, {}), until(float("inf"), {b"RCPT": b"550 5.1.1 No such user here"})
forgetful = until(6 * MINUTE, {b".": HANG_UP})  # takes everything, and does not say so
KINDS: tuple[tuple[int, Manner], ...] = (
    (16, healthy),
    (4, unknown),
    (4, until(4 * MINUTE, {b"RCPT": b"450 4.2.0 Greylisted, come again"})),
    (3, until(10 * MINUTE, {b"": b"421 4.3.2 Too busy"})),
    (2, until(10 * MINUTE, {b"": SILENCE})),
    (2, until(10 * MINUTE, {b".": SILENCE})),
    (2, until(10 * MINUTE, {b"DATA": HANG_UP})),
    (2, until(10 * MINUTE, {b"EHLO": b"\xff\xfe what?", b"HELO": b"\x00"})),
    (2, until(10 * MINUTE, {b".": b"451 4.3.0 Local error"})),
    (1, until(30 * MINUTE, None)),
    (2, forgetful),
)  # fmt: skip


class World:
    """The towns, which live on while our server dies. It is what houses see as their net's `peers`."""

    def __init__(self) -> None:
        manners = [manner for count, manner in KINDS for _ in range(count)]
        self.towns = [Town(number, manner) for number, manner in enumerate(manners)]
        self._by_address = {town.address: town for town in self.towns}
        self.house: House
        self.began = 0.0
        self.accepted: dict[int, float] = {}
        self.arrived: dict[int, float] = {}

    @property
    def now(self) -> float:
        return self.house.reactor.seconds() - self.began

    def get(self, address: str) -> Peer | None:
        town = self._by_address.get(address)
        return town and town.door(self.now, lambda mark: self.arrived.setdefault(mark, self.now))

    def town_of(self, mark: int) -> Town:
        return self.towns[mark % len(self.towns)]

    def move_in(self, house: House) -> None:
        """At first."""
        self.house, self.began = house, house.reactor.seconds()
        house.net.peers = self  # type: ignore[assignment]
        for town in self.towns:
            house.zone.names[town.domain] = {"MX": [(10, f"mx.{town.domain}")]}
            house.zone.names[f"mx.{town.domain}"] = {"A": [town.address]}

    def set_dns(self, *, alive: bool) -> None:
        names = {name for town in self.towns for name in (town.domain, f"mx.{town.domain}")}
        (self.house.zone.broken.difference_update if alive else self.house.zone.broken.update)(names)

    async def send(self, mark: int) -> None:
        """Message *mark* from ann; noted when it is accepted."""
        reception = self.house.parts.services["submission"].args[0].reception
        to = Address(f"user{mark}", self.town_of(mark).domain)
        letter = b"X-Mark: %d\r\nSubject: chaos\r\n\r\nhello\r\n" % mark
        ground = self.house.foundation.ground
        ann = Client("conn", "192.0.2.7", 4711, Role.SUBMISSION, "pc.blue.test", True, account=Account("ann@blue.test"))
        recipient = Recipient(to, (Target(Kind.REMOTE, to, to),))
        transaction = Transaction(
            ann, next(ground.identifiers), self.house.reactor.seconds(), Address("ann", "blue.test"), {}, (recipient,), Memory(letter)
        )
        if (await reception.accept(transaction)).is_positive:
            self.accepted[mark] = self.now


def reported(house: House) -> Counter[int]:
    """The messages that ann was told of as failed."""
    return Counter(
        int(block["Final-Recipient"].partition("; user")[2].partition("@")[0])
        for report in house.mail("ann")
        for block in report.get_payload()[1].get_payload()[1:]
        if block["Action"] == "failed"
    )


def test_nothing_is_lost_and_nothing_comes_back_that_should_not(tmp_path, monkeypatch):
    world = World()
    world.move_in(House(tmp_path, monkeypatch, QUICK))
    in_doubt: set[int] = set()
    try:
        for first in range(0, MESSAGES, BATCH):
            world.set_dns(alive=not DNS_DIES <= world.now < DNS_LIVES)
            for mark in range(first, first + BATCH):
                tasks.start(world.send(mark), f"message {mark}")
            if any(at <= world.now < at + EVERY for at in KILLS):
                for _ in range(6):  # somewhere on the way
                    world.house.reactor.advance(0)
                in_doubt |= set(range(first, first + BATCH)) - set(world.accepted)
                world.house.kill()
                world.house = House(tmp_path, monkeypatch, QUICK, world.house)
            world.house.pass_time(EVERY, step=1)
        world.set_dns(alive=True)
        world.house.pass_time(20 * MINUTE, step=5)
        world.house.pass_time(8 * HOUR, step=2 * MINUTE)
        assert world.house.waiting == []
        look(world, in_doubt, reported(world.house))
    finally:
        world.house.close()


def look(world: World, in_doubt: set[int], back: Counter[int]) -> None:
    refused = {mark for mark in range(MESSAGES) if world.town_of(mark).manner is unknown}
    assert set(world.accepted) | in_doubt == set(range(MESSAGES))
    lost = [mark for mark in world.accepted if mark not in refused and not world.town_of(mark).got[mark]]
    assert lost == []
    assert [mark for mark in world.accepted if mark in refused and not back[mark]] == [], "nobody was told"
    assert [mark for mark in back if mark not in refused] == [], "these need not have come back"
    twice = sum(town.got[mark] - 1 for town in world.towns if town.manner is not forgetful for mark in town.got)
    most = len(KILLS) * world.house.config["relay"].concurrency
    assert twice + sum(back.values()) - len(back) <= most
    usual = sorted(
        world.arrived[mark] - at
        for mark, at in world.accepted.items()
        if world.town_of(mark).manner is healthy and not DNS_DIES - PROMPT <= at < DNS_LIVES and mark not in in_doubt
    )
    assert len(usual) > 200
    assert usual[len(usual) * 95 // 100] <= PROMPT
