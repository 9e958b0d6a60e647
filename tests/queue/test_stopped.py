"""The spool of a stopped server, changed by hand: what the server finds when it starts is what it would have made of it itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from tests.queue.test_runner import BOB, BODY, EVE, LATER, World, make_item
from twistmail.disk import InlineCommitter
from twistmail.mail.outcome import Outcome, Rerouted, Result
from twistmail.queue.ends import given_up
from twistmail.queue.spool import Spool
from twistmail.queue.stopped import StoppedSpool
from twistmail.tasks import Inline


def opened(root) -> Spool:
    spool = Spool(root, InlineCommitter(), Inline())
    result_of(spool.recover())
    return spool


@pytest.fixture
def root(tmp_path):
    """The folder of a queue in which one message waits for two."""
    spool = opened(tmp_path / "queue")
    item = make_item(BOB, EVE)
    result_of(spool.add(item, BODY))
    result_of(spool.record(item.id, Outcome(item.errands[0].target, Result.DEFERRED, LATER, "mx.far.test")))
    return tmp_path / "queue"


ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.booleans(), st.sampled_from(["", "legal", "the bishop\nasks"])),
        st.tuples(st.just("route"), st.sampled_from(["", "[10.0.0.2]:2525", "relay.example"])),
    ),
    max_size=6,
)


@given(ORDERS)
@settings(max_examples=40)
def test_orders_by_hand_are_those_of_the_server(tmp_path_factory, orders):
    by_hand, by_server = tmp_path_factory.mktemp("hand") / "queue", tmp_path_factory.mktemp("server") / "queue"
    spools = [opened(by_hand), opened(by_server)]
    for spool in spools:
        result_of(spool.add(make_item(BOB), BODY))
    stopped, server = StoppedSpool(by_hand), spools[1]
    for order, *words in orders:
        if order == "hold":
            stopped.hold("i1", *words)
            result_of(server.hold("i1", *words))
        else:
            stopped.record("i1", Rerouted(*words))
            result_of(server.record("i1", Rerouted(*words)))
    assert opened(by_hand).items() == server.items() == tuple(stopped.items())


def test_what_is_given_up_by_hand_is_reported_when_the_server_starts(root):
    stopped = StoppedSpool(root)
    stopped.hold("i1", held=True, why="let me look")
    (item,) = stopped.items()
    stopped.give_up(item, given_up("they have closed"), item.arrived + 5)
    world = World(queue=opened_later(root))
    world.advance(60)
    ((to, report),) = world.mailboxes
    text = " ".join(report.get_payload(0).get_payload().split())
    assert to == "ann@here.example"
    assert "they have closed" in text
    assert "bob@far.test" in text
    assert "eve@far.test" in text
    assert world.queue.items() == ()
    assert world.couriers[item.errands[0].target.kind].carried == []


def opened_later(root) -> Spool:
    """Not recovered yet: the runner does that."""
    return Spool(root, InlineCommitter(), Inline())


def test_a_message_goes_with_both_its_files(root):
    stopped = StoppedSpool(root)
    stopped.remove("i1")
    assert list((root / "ready").iterdir()) == []
    assert stopped.items() == []


@pytest.mark.parametrize("order", [
    pytest.param(lambda stopped: stopped.remove("nobody"), id="remove"),
    pytest.param(lambda stopped: stopped.hold("nobody", held=True), id="hold"),
    pytest.param(lambda stopped: stopped.record("nobody", Rerouted("")), id="record"),
])
def test_an_item_that_is_not_there_is_a_key_error(root, order):
    with pytest.raises(KeyError):
        order(StoppedSpool(root))


def test_what_cannot_be_read_is_told_and_left_alone(root):
    (root / "ready" / "i2.envelope").write_bytes(b"nonsense\n")
    told = []
    assert [item.id for item in StoppedSpool(root, told.append).items()] == ["i1"]
    assert "i2.envelope" in told[0]
    assert (root / "ready" / "i2.envelope").exists()


def test_a_queue_that_never_was_is_empty(tmp_path):
    assert StoppedSpool(tmp_path / "none").items() == []


def test_the_message_comes_in_pieces(root):
    stopped = StoppedSpool(root)
    (item,) = stopped.items()
    assert b"".join(stopped.pieces(item)) == item.prefix + b"".join(BODY.chunks())
