"""The relay says to servers what leaves, and waits where that cannot be known."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.leaving.test_departure import LETTER, item, leaving, target
from tests.relay.peers import Net, Peer, courier_here, finish
from twistmail import tasks
from twistmail.disk import FileContent
from twistmail.leaving.generic import parse as parse_map
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Wishes
from twistmail.mail.outcome import Result
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.carrier import Capacity
from twistmail.relay.client import Patience
from twistmail.relay.courier import RelayCourier
from twistmail.relay.exchange import Manners
from twistmail.relay.routes import OPTIONS, Identity, Routes
from twistmail.watched import WatchedFile


@pytest.fixture
def net() -> Net:
    return Net(Clock())


def courier(net: Net, house: Any) -> RelayCourier:
    lookup = MemoryLookup({"far.test": {"A": ["192.0.2.1"]}})
    routes = Routes(lookup, Identity("us.example"), OPTIONS.defaults(), {}, random.Random(1))
    return courier_here(routes, net, Manners("us.example", None, Patience()), Capacity(), net.clock, house)


def carry(net: Net, house: Any, sent: Any, content: Any) -> Any:
    return finish(net.clock, courier(net, house).carry(sent, tuple(errand.target for errand in sent.errands), content))


def test_each_sender_has_its_transaction_and_each_target_its_outcome(net: Net) -> None:
    peer = net.peers["192.0.2.1"] = Peer({b"RCPT TO:<b@far.test>": b"550 5.1.1 No"})
    sent = item("fred@pc7.lan", *(target(f"{name}@far.test") for name in "abc"), account="fred", wishes=Wishes(verp="+="))
    outcomes = carry(net, leaving(), sent, Memory(LETTER))
    assert [outcome.target for outcome in outcomes] == [errand.target for errand in sent.errands]
    assert [outcome.result for outcome in outcomes] == [Result.RELAYED, Result.FAILED, Result.RELAYED]
    assert [line.split(b">")[0] for line in peer.said if line.startswith(b"MAIL")] == [
        b"MAIL FROM:<fred+a=far.test@blue.test", b"MAIL FROM:<fred+b=far.test@blue.test", b"MAIL FROM:<fred+c=far.test@blue.test"
    ]  # fmt: skip
    assert len(net.dialled) == 1
    assert {content.endswith(LETTER.replace(b"pc7.lan", b"blue.test")) for content in peer.contents if content} == {True}


def test_what_cannot_be_known_now_is_asked_again_and_nobody_is_dialled(net: Net, tmp_path: Path) -> None:
    missing = WatchedFile(tmp_path / "missing", parse_map, tasks.Inline())
    (outcome,) = carry(net, leaving(missing), item("fred@pc7.lan", target("a@far.test")), Memory(LETTER))
    assert (outcome.result, outcome.status.enhanced, net.dialled) == (Result.DEFERRED, "4.3.0", [])


def test_a_content_that_cannot_be_read_is_read_again_later(net: Net, tmp_path: Path) -> None:
    gone = FileContent(tmp_path / "gone", size=10)
    (outcome,) = carry(net, leaving(), item("fred@pc7.lan", target("a@far.test"), size=10), gone)
    assert (outcome.result, outcome.status.code, net.dialled) == (Result.DEFERRED, 451, [])
