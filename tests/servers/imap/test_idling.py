"""SELECT, then IDLE: whenever a message comes meanwhile, the client has heard of it as soon as it is idle."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.dialogues.imap_house import THREE, Guest, ImapHouse, mail
from twistmail.memory.mailbox import Mailbox


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> list[Deferred[None]]:
    """Whatever a session waits for of its mailbox waits for the last of these."""
    waiting: list[Deferred[None]] = []

    def slowly(method: str) -> None:
        at_once = getattr(Mailbox, method)

        async def late(self: Mailbox, *arguments: Any, **keywords: Any) -> Any:
            for moment in ("before", "after"):
                waiting.append(Deferred())
                await waiting[-1]
                if moment == "before":
                    result = await at_once(self, *arguments, **keywords)
            return result

        monkeypatch.setattr(Mailbox, method, late)

    for method in ("refresh", "claim_recent", "rows"):
        slowly(method)
    return waiting


def exists(lines: list[str]) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.endswith(" EXISTS")]


def played(gates: list[Deferred[None]], arrival: int) -> tuple[list[str], int]:
    """What a client is told that opens the mailbox, looks at the flags and idles; the message comes at the *arrival*th moment of waiting.

    And how many such moments there were.
    """
    house = ImapHouse()
    house.put(*THREE)
    guest = Guest(house)
    del gates[:]
    moments, said = 0, []
    guest.feed(b"a SELECT INBOX\r\nb UID FETCH 1:* (FLAGS)\r\nc IDLE\r\n")
    while True:
        said += guest.heard()
        if moments == arrival:
            house.put(mail("new"))
        moments += 1
        waiting = [gate for gate in gates if not gate.called]
        if not waiting:
            break
        waiting[0].callback(None)
        guest.settle()
    return [*said, *guest.heard()], moments


def test_no_moment_is_too_early(gates: list[Deferred[None]]) -> None:
    _, moments = played(gates, -1)
    assert moments >= 6
    for arrival in range(moments):
        said, _ = played(gates, arrival)
        assert exists(said)[-1] == 4, f"a message that comes at moment {arrival} of {moments}: {said}"
        assert "+ idling" in said
