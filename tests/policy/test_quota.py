"""A full mailbox is told of at RCPT."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import result_of
from twistmail.expansion import Expansion
from twistmail.mail.address import parse
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.mail.status import OVER_QUOTA
from twistmail.memory.people import MemoryAliases, MemoryPeople
from twistmail.policy.quota import FULL, MailboxRoom

EXPANSION = Expansion(
    MemoryAliases({"info@here.example": ["full"], "all@here.example": ["full", "ann"], "away@here.example": ["x@far.example"]}),
    MemoryPeople(dict.fromkeys(("ann@here.example", "full@here.example", "nearly@here.example"), "x")),
    frozenset({"here.example"}),
    "here.example",
    clock=lambda: 0.0,
)


async def room_for(account: str, octets: int) -> bool:
    return octets <= {"full@here.example": -1, "nearly@here.example": 1000}.get(account, 10**9)


def transaction(**parameters: str) -> Transaction:
    peer = Peer("192.0.2.7", 40_000, "c1", Role.MX)
    return Transaction(id="6k3f", peer=peer, started=0.0, sender=parse("eve@far.example"), parameters=parameters)


@pytest.mark.parametrize(("recipient", "size", "refused"), [
    pytest.param("ann@here.example", "0", False, id="room"),
    pytest.param("full@here.example", "0", True, id="none"),
    pytest.param("FULL+x@here.example", "0", True, id="by-another-spelling"),
    pytest.param("info@here.example", "0", True, id="by-an-alias"),
    pytest.param("all@here.example", "0", False, id="others-on-the-list-have-room"),
    pytest.param("away@here.example", "0", False, id="elsewhere"),
    pytest.param("nearly@here.example", "1000", False, id="just-enough"),
    pytest.param("nearly@here.example", "1001", True, id="announced-too-large"),
    pytest.param("nobody@here.example", "0", False, id="unknown-is-for-another-stage"),
])  # fmt: skip
@pytest.mark.parametrize("full", [OVER_QUOTA, FULL])
def test_a_full_mailbox_takes_no_recipient(recipient: str, size: str, refused: bool, full: Any) -> None:
    stage = MailboxRoom(EXPANSION, room_for, full)
    assert result_of(stage.judge(transaction(SIZE=size), parse(recipient))) == (full if refused else None)
