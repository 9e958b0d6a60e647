"""One message for hundreds of files or programs leaves turns for the mail of others."""

from __future__ import annotations

import pytest

from tests.delivery.places import item, to, uid_of
from twistmail import tasks
from twistmail.delivery.batches import OWN_PLACES
from twistmail.delivery.files import FileCourier, Writers
from twistmail.delivery.programs import ProgramCourier, Runners
from twistmail.mail.envelope import Kind
from twistmail.mail.pace import Pace
from twistmail.queue.line import Job
from twistmail.queue.place import Bounds
from twistmail.queue.places import Places

COURIERS = {
    Kind.FILE: FileCourier(["/var/archive"], Writers(tasks.Inline()), uid_of, 0.0),
    Kind.PROGRAM: ProgramCourier({}, Runners(tasks.Inline(), None), uid_of),
}


def many(kind, count):
    return tuple(to(kind, f"/var/archive/{number}") for number in range(count))


def joined(places, courier, message, targets):
    jobs = [Job(message.id, batch, str(message.sender)) for batch in courier.batches(message, targets)]
    for job in jobs:
        places.join(job, job.trip.place, Pace(), 0.0)
    return jobs


def started(places):
    jobs = []
    while (job := places.next(0.0)) is not None:
        jobs.append(job)
    return jobs


@pytest.mark.parametrize("kind", COURIERS)
def test_a_message_for_hundreds_takes_few_turns_and_others_go_at_once(kind):
    places, targets = Places(Bounds()), many(kind, 300)
    jobs = joined(places, COURIERS[kind], item(*targets), targets)
    assert len(jobs) == 300
    assert {target for job in jobs for target in job.trip.targets} == set(targets)
    assert 0 < len(started(places)) <= 20
    other = to(kind, "/var/archive/other")
    (mine,) = joined(places, COURIERS[kind], item(other), (other,))
    assert started(places) == [mine]


@pytest.mark.parametrize("kind", COURIERS)
def test_however_few_of_the_hundreds_are_due(kind):
    targets = many(kind, 300)
    (one,) = COURIERS[kind].batches(item(*targets), targets[:1])
    assert one.place.endswith("s of i1")


@pytest.mark.parametrize("kind", COURIERS)
def test_few_are_places_of_their_own(kind):
    targets = many(kind, OWN_PLACES)
    places = [batch.place for batch in COURIERS[kind].batches(item(*targets), targets)]
    assert len(set(places)) == OWN_PLACES
