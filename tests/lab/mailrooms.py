"""A town of paper whose offices have mail: real stores in memory, nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.helpers import result_of
from tests.lab.towns import PaperTown
from twistmail import tasks
from twistmail.facts import Facts
from twistmail.lab.inboxes import EVERYONE, Inboxes
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.memory.store import MailStore


def letter(subject: str, sender: str = "alice@blue.test", body: str = "Hello", more: str = "") -> bytes:
    return f"From: {sender}\r\nTo: Bob <bob@blue.test>\r\nSubject: {subject}\r\n{more}\r\n{body}\r\n".encode()


class TownWithMail(PaperTown):
    """`told`: what the offices' facts say. `put` delivers, a second later each time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = "/somewhere"
        self.told: list[Any] = []
        self.resets = 0
        self.services = {office.name: self._service() for office in self.offices}
        self.inboxes = Inboxes(lambda: self.offices, self.service)

    def _service(self) -> Any:
        facts = Facts()
        facts.listen(lambda fact: self.told.append(fact.what))
        ground = SimpleNamespace(epoch=self.clock.seconds)
        return SimpleNamespace(
            foundation=SimpleNamespace(store=MailStore(self.clock.seconds), threads=tasks.Inline(), facts=facts, ground=ground)
        )

    def service(self, name: str) -> Any:
        return None if name in self.off else self.services[name]

    def jump(self, seconds: float) -> None:
        self.clock.jump(seconds)
        self.ring.add("", "clock", "", {"passed": seconds})

    async def reset(self) -> None:
        self.resets += 1

    def put(self, account: str, message: bytes, folder: str = "INBOX") -> None:
        self.reactor.advance(1)
        office = account.partition("@")[2].partition(".")[0]
        store = self.services[office].foundation.store
        assert result_of(store.deliver([Delivery(account, b"", Memory(message), folder)])) == [None]

    def ids(self, who: str = EVERYONE, query: str = "", **rest: int) -> list[str]:
        return [row.id for row in result_of(self.inboxes.listing(who, query, **rest)).rows]
