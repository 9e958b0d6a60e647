"""When there is a process for the connections, and when not."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from twistmail import tasks
from twistmail.relay.beside import AGAIN_AFTER, AT_MOST_AFTER, MANY, QUIET_LOOKS, Beside, environment_of
from twistmail.relay.carrier import Carried
from twistmail.relay.link import LOOK_EVERY

HERE, THERE = Carried([]), Carried(())


class Place:
    """A Carrier where everything takes until `finish`."""

    def __init__(self, answer=HERE):
        self.answer, self.waiting, self.stopped = answer, [], 0

    async def carry(self, route, departure, ways):
        self.waiting.append(Deferred())
        await self.waiting[-1]
        return self.answer

    async def stop(self, patience=None):
        self.stopped += 1

    def finish(self):
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)


class Process(Place):
    """As much of a Link as is used."""

    def __init__(self, ended):
        super().__init__(THERE)
        self.ended, self.is_ready, self.heard, self.looks, self.aborted = ended, True, True, 0, False

    def look(self):
        self.looks += 1

    def abort(self):
        self.aborted = True
        self.ended(False)


class World:
    def __init__(self, **options):
        self.clock, self.here, self.processes = Clock(), Place(), []
        self.trouble = self.slow = None
        self.beside = Beside(self.here, self.launch, self.clock, **options)

    async def launch(self, ended):
        if self.trouble:
            raise self.trouble
        if self.slow:
            await self.slow
        self.processes.append(Process(ended))
        return self.processes[-1]

    def carry(self, number=1):
        results = []
        for _ in range(number):
            tasks.shielded(self.beside.carry(None, None, None)).addBoth(results.append)
        return results

    def look(self, times=1):
        for _ in range(times):
            for process in self.processes:
                process.heard = True
            self.clock.advance(LOOK_EVERY)


def test_a_small_office_has_one_process():
    world = World()
    for _ in range(50):
        results = world.carry(MANY - 1)
        world.here.finish()
        assert results == [HERE] * (MANY - 1)
    assert world.processes == []
    assert world.clock.getDelayedCalls() == []


def test_much_at_once_starts_a_second_one_and_what_comes_then_goes_there():
    world = World()
    first = world.carry(MANY)
    assert len(world.processes) == 1
    then = world.carry(3)
    assert (len(world.here.waiting), len(world.processes[0].waiting)) == (MANY, 3)
    world.here.finish()
    world.processes[0].finish()
    assert (first, then) == ([HERE] * MANY, [THERE] * 3)


def test_until_it_is_ready_nobody_waits_for_it():
    world = World(always=True)
    world.carry()
    world.processes[0].is_ready = False
    world.carry(2)
    assert (len(world.here.waiting), len(world.processes)) == (3, 1)


def test_where_it_is_wanted_always_there_is_one_from_the_first_message_on():
    world = World(always=True)
    world.carry()
    world.look(5 * QUIET_LOOKS)
    assert (len(world.processes), world.processes[0].stopped) == (1, 0)


def test_what_it_cannot_take_is_carried_here():
    world = World()
    world.carry(MANY)
    world.processes[0].answer = None
    results = world.carry()
    world.processes[0].finish()
    world.here.finish()
    assert results == [HERE]


def test_some_quiet_minutes_later_it_is_let_go_and_much_starts_another():
    world = World()
    world.carry(MANY)
    world.here.finish()
    world.look(QUIET_LOOKS)
    assert world.processes[0].stopped == 0, "at the first look it had been busy"
    world.look()
    assert world.processes[0].stopped == 1
    assert world.clock.getDelayedCalls() == []
    world.processes[0].ended(True)
    world.carry(MANY)
    assert len(world.processes) == 2


def test_while_it_is_needed_it_stays():
    world = World()
    world.carry(MANY)
    for _ in range(3 * QUIET_LOOKS):
        world.carry(MANY)
        world.processes[0].finish()
        world.look()
    assert (len(world.processes), world.processes[0].stopped) == (1, 0)


def test_one_that_dies_is_replaced_but_not_at_once():
    world = World()
    world.carry(MANY)
    world.processes[0].ended(False)
    world.carry(MANY)
    assert len(world.processes) == 1
    world.clock.advance(AGAIN_AFTER)
    world.carry()
    assert len(world.processes) == 2
    world.look()
    assert [process.looks for process in world.processes] == [0, 1]


def test_one_that_dies_again_and_again_is_started_ever_more_rarely():
    world, waits = World(), []
    for _ in range(9):
        world.carry(MANY)
        world.processes[-1].ended(False)
        began, known = world.clock.seconds(), len(world.processes)
        while len(world.processes) == known:
            world.clock.advance(1)
            world.carry()
        waits.append(world.clock.seconds() - began)
    assert waits[:3] == [AGAIN_AFTER, 2 * AGAIN_AFTER, 4 * AGAIN_AFTER]
    assert waits[-1] == AT_MOST_AFTER
    world.look()
    world.processes[-1].ended(False)
    world.clock.advance(AGAIN_AFTER)
    world.carry()
    assert len(world.processes) == 11, "one that had answered for a while was all right"


def test_one_that_does_not_answer_is_ended():
    world = World()
    world.carry(MANY)
    world.look()
    world.processes[0].heard = False
    world.clock.advance(LOOK_EVERY)
    assert world.processes[0].aborted
    world.carry(MANY)
    assert len(world.processes) == 1


def test_where_none_can_be_started_all_is_carried_here_and_it_is_tried_again_later():
    world = World()
    world.trouble = OSError(11, "Resource temporarily unavailable")
    world.carry(2 * MANY)
    assert len(world.here.waiting) == 2 * MANY
    world.trouble = None
    world.carry()
    assert world.processes == []
    world.clock.advance(AGAIN_AFTER)
    world.carry()
    assert len(world.processes) == 1


@pytest.mark.parametrize("number", [pytest.param(0, id="with-none"), pytest.param(MANY, id="with-one")])
def test_stopping_stops_whatever_there_is(number):
    world = World()
    world.carry(number)
    tasks.shielded(world.beside.stop())
    assert (world.here.stopped, [process.stopped for process in world.processes]) == (1, [1] * len(world.processes))
    world.carry(MANY)
    assert len(world.processes) == bool(number), "nothing is started behind that"
    assert world.clock.getDelayedCalls() == []


def test_it_gets_no_secrets_of_our_environment():
    ours = {"PATH": "/bin", "SMARTHOST_PASSWORD": "secret", "NOTIFY_SOCKET": "/run/x", "LC_ALL": "C", "SSL_CERT_FILE": "/etc/ca.pem"}
    assert environment_of(ours) == {"PATH": "/bin", "LC_ALL": "C", "SSL_CERT_FILE": "/etc/ca.pem"}


def test_one_that_begins_while_everything_stops_is_let_go():
    world = World()
    world.slow = Deferred()
    world.carry(MANY)
    tasks.shielded(world.beside.stop())
    world.slow.callback(None)
    assert world.processes[0].stopped == 1
    assert world.clock.getDelayedCalls() == []
