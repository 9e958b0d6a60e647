"""What every IQueue keeps to."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from tests.queue.logged import LoggedSpool
from twistmail.disk import InlineCommitter
from twistmail.interfaces import IQueue
from twistmail.mail.address import Address
from twistmail.mail.bounds import LEAST_MORE, Bounds
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Frozen, GaveUp, Outcome, Postponed, Reported, Result, SenderWarned
from twistmail.mail.status import Status
from twistmail.memory.queue import MemoryQueue
from twistmail.queue import express
from twistmail.queue.spool import Spool
from twistmail.tasks import Inline

BODY = b"Subject: x\r\n\r\nhello\r\n"
PREFIX = "Received: from jörg\r\n".encode()
BOB = Target(Kind.REMOTE, Address("bob", "far.test"), Address("list", "here.example"))
EVE = Target(Kind.MAILBOX, Address("eve", "here.example"), Address("eve", "here.example"), "eve@here.example", "Später")
EVENTS = [
    Outcome(BOB, Result.DEFERRED, Status(451, "4.4.1", "äöü\nsecond line"), "mx [192.0.2.1]"),
    Outcome(EVE, Result.DELIVERED, Status(250, "2.0.0", "Ok"), "eve"),
    Outcome(EVE, Result.RELAYED, Status(250, "2.0.0", "Ok"), "mx", passed_on=True, tried=1200.25),
    Postponed(1234.5),
    SenderWarned(),
    SenderWarned(overdue=True),
    GaveUp(Status(451, "4.4.7", "Too late")),
    Reported("r1", (BOB.address,)),
    Reported("r2", (EVE.address,), success=True),
    Reported("", (BOB.address,), why="it is forged"),
    Frozen("nobody can be told"),
]


def make_item(identifier: str = "i1", arrived: float = 1.0) -> Item:
    return Item(identifier, Address('o"dd', "here.example"), (Errand(BOB), Errand(EVE)), arrived, len(BODY) + len(PREFIX), PREFIX,
                "ann@here.example", "8BITMIME")


@pytest.fixture(params=["memory", "spool", "log"])
def make(request, tmp_path, monkeypatch):
    """Makes queues; for those on disk every further one is a restart."""
    monkeypatch.setattr(express, "SEGMENT_SIZE", 1200 * 1024)
    running = []

    def with_a_log(bounds=None):
        for one in running:
            one.killed()
        running.append(LoggedSpool(tmp_path / "queue", bounds))
        return running[-1]

    return {
        "memory": MemoryQueue,
        "log": with_a_log,
        "spool": lambda bounds=None: Spool(tmp_path / "queue", InlineCommitter(), Inline(), bounds),
    }[request.param]


def test_it_is_a_queue(make):
    verifyObject(IQueue, make())


def test_what_is_added_is_there(make):
    queue = make()
    assert result_of(queue.recover()) == ()
    result_of(queue.add(make_item(), Memory(BODY)))
    assert queue.items() == (make_item(),)
    assert b"".join(queue.content("i1").chunks()) == BODY
    assert queue.content("i1").size == len(BODY)


def test_events_make_new_items_and_are_kept(make):
    queue = make()
    item = make_item()
    result_of(queue.add(item, Memory(BODY)))
    for event in EVENTS:
        item = item.after(event)
        assert result_of(queue.record("i1", event)) == item
    assert queue.items() == (item,)


def test_a_hold_is_set_and_cleared(make):
    queue = make()
    result_of(queue.add(make_item(), Memory(BODY)))
    assert result_of(queue.hold("i1", True)) == replace(make_item(), held=True)
    assert result_of(queue.hold("i1", False)) == make_item()


def test_a_hold_keeps_its_reason_until_it_ends_or_has_another(make):
    queue = make()
    result_of(queue.add(make_item(), Memory(BODY)))
    assert result_of(queue.hold("i1", True, "the bishop asks")) == replace(make_item(), held=True, held_for="the bishop asks")
    assert result_of(queue.hold("i1", True)).held_for == "the bishop asks"
    assert result_of(queue.hold("i1", True, "so does the king")).held_for == "so does the king"
    assert result_of(queue.hold("i1", False)) == make_item()


def test_what_is_removed_is_gone(make):
    queue = make()
    result_of(queue.add(make_item(), Memory(BODY)))
    result_of(queue.remove("i1"))
    assert queue.items() == ()
    with pytest.raises(KeyError):
        queue.content("i1")


@pytest.mark.parametrize("ask", [
    pytest.param(lambda queue: queue.record("nobody", SenderWarned()), id="record"),
    pytest.param(lambda queue: queue.hold("nobody", True), id="hold"),
    pytest.param(lambda queue: queue.remove("nobody"), id="remove"),
])
def test_an_item_that_is_not_there_is_a_key_error(make, ask):
    with pytest.raises(KeyError):
        result_of(ask(make()))


def test_a_name_is_given_once(make):
    queue = make()
    result_of(queue.add(make_item(), Memory(BODY)))
    with pytest.raises(FileExistsError):
        result_of(queue.add(make_item(), Memory(BODY)))
    assert len(queue.items()) == 1


def test_a_full_queue_says_so_and_keeps_nothing(make):
    queue = make(Bounds(messages=1))
    result_of(queue.add(make_item("i1"), Memory(BODY)))
    with pytest.raises(OSError) as error:
        result_of(queue.add(make_item("i2"), Memory(BODY)))
    assert error.value.errno == errno.ENOSPC
    assert [item.id for item in queue.items()] == ["i1"]
    result_of(queue.remove("i1"))
    result_of(queue.add(make_item("i2"), Memory(BODY)))


def test_so_many_octets_and_no_more(make):
    queue = make(Bounds(octets=make_item().size + 1))
    result_of(queue.add(make_item("i1"), Memory(BODY)))
    assert queue.room_for(1) is None
    assert queue.room_for(2).errno == errno.ENOSPC
    with pytest.raises(OSError):
        result_of(queue.add(make_item("i2"), Memory(BODY)))


def test_what_it_has_no_room_for_it_says_before(make):
    queue = make(Bounds(messages=1))
    assert queue.room_for(10) is None
    result_of(queue.add(make_item("i1"), Memory(BODY)))
    assert queue.room_for(10).errno == errno.ENOSPC
    result_of(queue.remove("i1"))
    assert queue.room_for(10) is None


def test_reports_get_into_a_full_queue_because_without_them_it_would_stay_full(make):
    queue = make(Bounds(messages=2))
    for number in range(2):
        result_of(queue.add(make_item(f"i{number}"), Memory(BODY)))
    assert queue.room_for(1, report=True) is None
    for number in range(LEAST_MORE):
        result_of(queue.add(replace(make_item(f"r{number}"), sender=None), Memory(BODY)))
    with pytest.raises(OSError):
        result_of(queue.add(replace(make_item("more"), sender=None), Memory(BODY)))


def test_an_item_without_sender_and_targets_is_an_item_too(make):
    queue = make()
    item = Item("i1", None, (), 1.0, 0)
    result_of(queue.add(item, Memory(b"")))
    assert queue.items() == (item,)
