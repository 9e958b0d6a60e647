"""What an operator orders done to a message that waits (R37, F030), on a fake clock."""

from __future__ import annotations

import errno

import pytest

from tests.helpers import result_of
from tests.queue.test_runner import BOB, EVE, HOUR, LATER, POSTMASTER, Slow, World, make_item
from twistmail.mail.envelope import Kind
from twistmail.mail.outcome import Outcome, Rerouted, Result
from twistmail.mail.status import Status
from twistmail.memory.courier import TAKEN


def report(world):
    (mail,) = world.mailboxes
    return mail[0], mail[1].get_payload(0).get_payload()


def test_a_message_is_given_up_and_its_sender_hears_why():
    world = World({BOB: LATER}).submit()
    assert result_of(world.runner.bounce("i1", "that firm has closed")) is True
    to, text = report(world)
    assert to == "ann@here.example"
    said = " ".join(text.split())
    assert "An operator of this server has given up on the message: that firm has closed; the last answer was: 451 4.4.1 Not now" in said
    assert world.queue.items() == ()
    world.advance(24 * HOUR)
    assert len(world.attempts) == 2  # one attempt, and the end that the operator has set
    with pytest.raises(KeyError):
        result_of(world.runner.bounce("i1"))


def test_only_what_still_waits_is_given_up():
    world = World({BOB: LATER}).submit(make_item(BOB, EVE))
    result_of(world.runner.bounce("i1"))
    _, text = report(world)
    assert ("bob@far.test" in text, "eve@far.test" in text) == (True, False)


def test_a_held_message_can_be_given_up_too():
    world = World({BOB: LATER}).submit()
    result_of(world.runner.hold("i1", "let me look"))
    assert result_of(world.runner.bounce("i1")) is True
    assert report(world)[0] == "ann@here.example"


def test_a_report_that_is_given_up_goes_to_the_postmaster():
    world = World({BOB: LATER}).submit(make_item(sender=None))
    result_of(world.runner.bounce("i1"))
    assert report(world)[0] == str(POSTMASTER)


@pytest.mark.parametrize(("answer", "reports"), [pytest.param(LATER, 1, id="deferred"), pytest.param(TAKEN, 0, id="taken")])
def test_a_message_under_way_is_given_up_when_the_attempt_has_ended(answer, reports):
    world = World()
    world.rule(dispatch=(slow := Slow()))
    world.submit()
    assert result_of(world.runner.bounce("i1", "enough")) is False
    slow.running.pop("i1").callback(answer)
    for attempt in slow.running.values():
        attempt.callback(TAKEN)
    assert world.queue.items() == ()
    failed = [event for event in world.events("i1") if isinstance(event, Outcome) and event.result is Result.FAILED]
    assert len(failed) == reports


def test_where_the_report_cannot_be_written_it_is_made_later(monkeypatch):
    world = World({BOB: LATER}).submit()

    async def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(world.queue, "add", full)
        with pytest.raises(OSError, match="No space"):
            result_of(world.runner.bounce("i1"))
    assert [item.id for item in world.queue.items()] == ["i1"]
    world.advance(HOUR)
    assert world.queue.items() == ()
    assert report(world)[0] == "ann@here.example"
    assert len(world.attempts) == 2  # the second is the end that the operator has set
    last = [event for event in world.events("i1") if isinstance(event, Outcome)][-1]
    assert (last.result, last.status.code) == (Result.FAILED, Status(554, "5.0.0", "").code)


def test_a_message_goes_by_the_route_that_it_was_given_and_at_once():
    world = World({BOB: [LATER, TAKEN]}).submit()
    item = result_of(world.runner.reroute("i1", "smtp:[10.0.0.2]:2525"))
    assert item.via == "smtp:[10.0.0.2]:2525"
    assert world.couriers[Kind.REMOTE].carried[-1][0].via == "smtp:[10.0.0.2]:2525"
    assert world.queue.items() == ()
    assert Rerouted("smtp:[10.0.0.2]:2525") in world.events("i1")
    with pytest.raises(KeyError):
        result_of(world.runner.reroute("i1", ""))


def test_a_held_message_gets_its_route_and_stays_held():
    world = World({BOB: LATER}).submit()
    result_of(world.runner.hold("i1"))
    result_of(world.runner.reroute("i1", "smtp:[10.0.0.2]:2525"))
    (item,) = world.queue.items()
    assert (item.held, item.via, len(world.attempts)) == (True, "smtp:[10.0.0.2]:2525", 1)


def test_a_message_under_way_is_tried_again_by_its_new_route():
    world = World()
    world.rule(dispatch=(slow := Slow()))
    world.submit()
    result_of(world.runner.reroute("i1", "smtp:[10.0.0.2]:2525"))
    first = slow.running["i1"]
    first.callback(LATER)
    assert slow.running["i1"] is not first
