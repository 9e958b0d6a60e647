"""R41, F029: how many go where, and when: places that adapt, rest, keep rates and hours; and fairness across all of them."""

from __future__ import annotations

from datetime import UTC
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.hours import read
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.pace import USUAL, Pace
from twistmail.mail.status import Status
from twistmail.pacing import bounds_of
from twistmail.queue.line import Job
from twistmail.queue.place import DNS_REST, FIRST_REST, FOREVER, LONGEST_REST, Bounds, Feedback, feedback
from twistmail.queue.places import SWEEP_EVERY, Places

NOW = 1_800_000_000.0  # 08:00 UTC
BUSY = Status(421, "4.3.2", "Too many of you")
GONE = Status(451, "4.4.2", "The connection was closed by the other side")
AWAY = Status(451, "4.4.1", "No connection")
LATER = Status(450, "4.2.1", "Greylisted")


class Town:
    """Places at a clock of their own."""

    def __init__(self, **bounds):
        self.places, self.now, self.made = Places(Bounds(**bounds), UTC), NOW, 0

    def join(self, place="far.test", count=1, sender="ann", pace=USUAL, priority=0):
        jobs = [Job(f"{place}-{sender}-{number}", None, sender, priority) for number in range(self.made, self.made + count)]
        self.made += count
        for job in jobs:
            self.places.join(job, place, pace, self.now)
        return jobs

    def go(self, most=10_000):
        """All that may go now."""
        self.places.woken(self.now)
        gone = []
        while len(gone) < most and (job := self.places.next(self.now)) is not None:
            gone.append(job)
        return gone

    def end(self, jobs, taught=Feedback.FINE, status=None):
        for job in jobs:
            self.places.ended(job, taught, status, self.now)

    def wait(self, seconds):
        self.now += seconds
        return self

    @property
    def place(self):
        (place,) = self.places
        return place


# ----- how many at a time


def test_it_begins_with_few_and_grows_with_success_up_to_the_most():
    town = Town()
    town.join(count=1000)
    counts = []
    for _ in range(40):
        gone = town.go()
        counts.append(len(gone))
        town.end(gone)
    assert counts[0] == 5
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_it_does_not_grow_while_nobody_waits():
    town = Town()
    for _ in range(50):
        town.join(count=5)
        town.end(town.go())
    town.join(count=100)
    assert len(town.go()) <= 6


@pytest.mark.parametrize(("bounds", "pace", "most"), [
    pytest.param({}, USUAL, 20, id="as-usual"),
    pytest.param({"total": 10}, USUAL, 5, id="half-of-all-at-most"),
    pytest.param({"total": 1}, USUAL, 1, id="but-one"),
    pytest.param({"most": 2}, USUAL, 2, id="the-operator-s-number"),
    pytest.param({}, Pace("route:far.test", 1), 1, id="a-route-s-number"),
    pytest.param({}, Pace("route:far.test", 40), 40, id="a-route-may-have-more"),
])
def test_the_most_at_a_time(bounds, pace, most):
    town = Town(**bounds)
    town.join(count=5000, pace=pace)
    for _ in range(100):
        gone = town.go()
        town.end(gone)
    assert len(gone) == most


def test_a_busy_server_halves_it_once_for_all_that_were_under_way():
    town = Town()
    town.join(count=2000)
    for _ in range(40):
        town.end(town.go())
    first = town.go()
    assert len(first) == 20
    town.end(first, Feedback.BUSY, BUSY)
    second = town.go()
    assert len(second) == 10
    town.end(second[:1], Feedback.BUSY, BUSY)
    town.end(second[1:])
    assert 5 <= len(town.go()) <= 8


def test_where_even_one_is_too_many_it_rests():
    town = Town()
    town.join(count=100)
    for left in (5, 2, 1):
        gone = town.go()
        assert len(gone) == left
        town.end(gone, Feedback.BUSY, BUSY)
    assert (town.go(), town.place.at_a_time, town.place.trouble) == ([], 1, BUSY)
    assert town.places.wake_at() == NOW + FIRST_REST


# ----- a place that rests


def test_a_dead_place_is_tried_by_one_while_all_others_wait_at_no_cost():
    town = Town()
    town.join(count=50_000)
    town.end(town.go(), Feedback.AWAY, AWAY)
    rests = []
    for _ in range(8):
        until = town.places.wake_at()
        rests.append(until - town.now)
        assert town.wait(until - town.now - 1).go() == []
        (probe,) = town.wait(1).go()
        assert town.go() == []
        town.end([probe], Feedback.AWAY, AWAY)
    assert rests == [60, 120, 240, 480, 900, 900, 900, 900]
    assert max(rests) == LONGEST_REST
    (probe,) = town.wait(LONGEST_REST).go()
    town.end([probe])
    assert len(town.go()) == 5


def test_where_the_dns_is_silent_it_is_looked_at_soon():
    town = Town()
    town.join(count=10)
    for _ in range(4):
        town.end(town.go(), Feedback.AWAY, Status(451, "4.4.3", "The DNS is silent"))
        assert town.go() == []
        town.wait(DNS_REST)
    assert len(town.go()) == 1


def test_those_under_way_when_it_was_found_dead_do_not_make_the_rest_longer():
    town = Town()
    town.join(count=10)
    gone = town.go()
    town.end(gone[:1], Feedback.AWAY, AWAY)
    town.end(gone[1:], Feedback.AWAY, AWAY)
    assert (town.place.failures, town.places.wake_at()) == (1, NOW + FIRST_REST)


def test_where_others_get_through_it_is_not_dead():
    town = Town()
    town.join(count=100)
    one, other, *rest = town.go()
    town.end([one])
    town.end([other], Feedback.AWAY, AWAY)
    assert town.place.failures == 0
    assert town.place.at_a_time == 2
    town.end(rest)


def test_one_that_gets_through_ends_the_rest():
    town = Town()
    town.join(count=100)
    one, other, *rest = town.go()
    town.end([one], Feedback.AWAY, AWAY)
    assert town.go() == []
    town.end([other])
    assert (town.place.failures, town.place.trouble) == (0, None)
    town.end(rest)
    assert len(town.go()) == 5


def test_who_comes_when_the_rest_is_over_finds_out_at_once():
    town = Town()
    town.join()
    town.end(town.go(), Feedback.AWAY, AWAY)
    town.wait(30).join()
    assert town.go() == []
    assert len(town.wait(31).go()) == 1


@pytest.mark.parametrize(("outcomes", "taught"), [
    pytest.param([(Result.RELAYED, "mx", Status(250, "2.0.0", "Ok"))], Feedback.FINE, id="taken"),
    pytest.param([(Result.FAILED, "mx", Status(550, "5.1.1", "No"))], Feedback.FINE, id="refused-by-somebody"),
    pytest.param([(Result.DEFERRED, "mx", LATER)], Feedback.FINE, id="greylisted"),
    pytest.param([(Result.DEFERRED, "mx", BUSY)], Feedback.BUSY, id="421"),
    pytest.param([(Result.DEFERRED, "", BUSY)], Feedback.BUSY, id="421-at-the-door"),
    pytest.param([(Result.DEFERRED, "mx", GONE)], Feedback.BUSY, id="broken-off"),
    pytest.param([(Result.RELAYED, "mx", Status(250, "2.0.0", "Ok")), (Result.DEFERRED, "mx", BUSY)], Feedback.BUSY, id="421-to-one"),
    pytest.param([(Result.DEFERRED, "", AWAY)], Feedback.AWAY, id="nobody-there"),
    pytest.param([(Result.DEFERRED, "", Status(451, "4.4.3", "DNS"))], Feedback.AWAY, id="nobody-knows-where-it-is"),
    pytest.param([(Result.DEFERRED, "", Status(452, "4.3.1", "Disk full"))], Feedback.NOTHING, id="our-own-disk"),
    pytest.param([(Result.FAILED, "", Status(550, "5.1.2", "No such domain"))], Feedback.NOTHING, id="no-such-domain"),
    pytest.param([], Feedback.NOTHING, id="a-bug"),
])
def test_what_an_attempt_teaches(outcomes, taught):
    target = Target(Kind.REMOTE, Address("x", "far.test"), Address("x", "far.test"))
    assert feedback([Outcome(target, result, status, host) for result, host, status in outcomes])[0] is taught


def test_a_message_that_wants_more_than_others_teaches_nothing_of_the_place():
    target = Target(Kind.REMOTE, Address("x", "far.test"), Address("x", "far.test"))
    assert feedback([Outcome(target, Result.DEFERRED, AWAY)], strict=True) == (Feedback.NOTHING, None)


# ----- rates, hours, the line


def test_a_rate_is_kept_and_costs_one_look_when_there_is_room_again():
    town, pace = Town(), Pace(rates=((3, 60.0), (5, 3600.0)))
    town.join(count=10, pace=pace)
    town.end(town.go())
    assert town.made == 10
    assert town.places.wake_at() == NOW + 60
    town.wait(59)
    assert town.go() == []
    gone = town.wait(1).go()
    assert len(gone) == 2
    town.end(gone)
    assert town.places.wake_at() == NOW + 3600
    assert len(town.wait(3540).go()) == 3


def test_a_rate_outlives_a_moment_without_mail():
    town, pace = Town(), Pace(rates=((1, 60.0),))
    town.join(pace=pace)
    town.end(town.go())
    town.join(pace=pace)
    assert town.go() == []
    assert len(town.wait(60).go()) == 1


NIGHT = Pace("route:part.test", hours=read("23:00-06:00"))


def test_outside_of_its_hours_nothing_goes_there_and_everything_does_elsewhere():
    town = Town()
    town.join("part.test", 3, pace=NIGHT)
    town.join("far.test", 3)
    assert {job.place.name for job in town.go()} == {"far.test"}
    assert town.places.wake_at() == NOW + 15 * 3600
    assert {job.place.name for job in town.wait(15 * 3600).go()} == {"part.test"}


def test_one_place_by_two_rules_has_two_lines():
    town = Town()
    town.join("mx.test", 2, pace=NIGHT)
    town.join("mx.test", 2)
    assert len(town.go()) == 2
    assert {place.pace.name for place in town.places} == {"", "route:part.test"}


def test_while_the_line_is_down_nothing_goes_to_others_and_all_that_stays_here_does():
    town = Town()
    town.places.go(offline=True, now=NOW)
    town.join("far.test", 3)
    town.join("", 3)
    assert [job.place for job in town.go()] == [None] * 3
    assert town.places.wake_at() is None
    town.places.go(offline=False, now=NOW)
    assert len(town.go()) == 3


def test_what_is_forced_wakes_its_place_also_where_it_comes_later():
    town = Town()
    town.join()
    town.end(town.go(), Feedback.AWAY, AWAY)
    job = Job("late", None, "ann", forced=True)
    town.places.join(job, "far.test", USUAL, town.now)
    assert town.go() == [job]


@pytest.mark.parametrize("closed", [
    pytest.param(lambda town: town.places.go(offline=True, now=NOW), id="offline"),
    pytest.param(lambda town: town.end(town.go(), Feedback.AWAY, AWAY), id="at-rest"),
    pytest.param(lambda town: None, id="out-of-hours"),
])
def test_what_an_operator_wants_gone_goes(closed):
    town = Town()
    pace = NIGHT if closed.__code__.co_names == () else USUAL
    town.join(pace=pace)
    closed(town)
    job, other = town.join(count=2, pace=pace)
    assert town.go() == []
    town.places.force(other, NOW)
    assert town.go() == [other]
    if town.place.failures:
        town.end([other])
        assert job in town.go()
    else:
        town.end([other])
        assert town.go() == []


def test_what_is_forced_keeps_the_rate_and_the_number_at_a_time():
    town, pace = Town(), Pace("route:x.test", 1, ((2, 60.0),))
    jobs = town.join(count=5, pace=pace)
    for job in jobs:
        town.places.force(job, NOW)
    first = town.go()
    assert len(first) == 1
    town.end(first)
    town.end(town.go())
    assert town.go() == []


# ----- all together


def test_a_newsletter_to_everybody_does_not_delay_a_note():
    """Not by more than what is under way: the note is the next that goes."""
    town = Town(total=20)
    for number in range(10_000):
        town.join(f"d{number}.test", sender="news")
    first = town.go()
    assert len(first) == 20
    (note,) = town.join("friend.test", sender="ann")
    town.end(first[:2])
    assert note in town.go()


def test_a_newsletter_to_one_place_does_not_delay_a_note_there():
    town = Town()
    town.join(count=10_000, sender="news")
    first = town.go()
    (note,) = town.join(sender="ann")
    town.end(first[:2])
    assert note in town.go()


def test_mail_that_waited_for_a_dead_place_does_not_push_others_aside_when_it_is_back():
    town = Town(total=10)
    town.join("dead.test", 1000, sender="news")
    town.end(town.go(), Feedback.AWAY, AWAY)
    for _ in range(300):
        town.join("far.test", 1, sender="ann")
        town.end(town.go())
    town.wait(FIRST_REST)
    town.end(town.go())
    town.join("far.test", 5, sender="ann")
    assert {job.place.name for job in town.go()} == {"dead.test", "far.test"}


def test_the_urgent_go_first_across_places():
    town = Town(total=1)
    usual, urgent = town.join("a.test"), town.join("b.test", priority=9)
    assert town.go() == urgent
    town.end(urgent)
    assert town.go() == usual


def test_what_stays_here_has_room_of_its_own():
    town = Town(total=2, local=3)
    town.join("far.test", 9)
    town.join("", 9)
    assert sorted(job.place is None for job in town.go()) == [False, True, True, True]


def test_places_of_which_nothing_need_be_known_are_forgotten():
    town = Town()
    for number in range(3 * SWEEP_EVERY):
        town.join(f"d{number}.test")
        town.end(town.go(), Feedback.AWAY if number % 2 else Feedback.FINE, AWAY)
        town.wait(30)
    assert len(list(town.places)) <= SWEEP_EVERY
    town.wait(3600)
    for number in range(SWEEP_EVERY):
        town.join(f"e{number}.test")
        town.end(town.go())
    assert len(list(town.places)) <= 1


def test_new_bounds_hold_for_places_that_are_known():
    town = Town()
    town.join(count=50)
    town.places.adopt(Bounds(most=2), NOW)
    assert len(town.go()) == 2


@given(st.lists(st.sampled_from(["a.test", "b.test", ""]), max_size=30))
def test_what_leaves_a_line_never_goes(names):
    town = Town()
    jobs = [job for name in names for job in town.join(name)]
    for job in jobs[::2]:
        town.places.leave(job)
    gone = town.go()
    while more := (town.end(gone), town.go())[1]:
        gone = more
        assert not set(more) & set(jobs[::2])
    assert town.go() == []


class AnyTown(RuleBasedStateMachine):
    """Whatever happens: no bound is passed, nobody is forgotten, and whoever may go does."""

    PACES = (USUAL, Pace("route:slow", 1), Pace("route:rate", None, ((2, 50.0),)), Pace("route:night", hours=read("10:00-12:00")))

    def __init__(self):
        super().__init__()
        self.town = Town(total=6, first=2, most=4, local=2)
        self.waiting, self.running = set(), set()

    @rule(name=st.sampled_from(["a.test", "b.test", "c.test", ""]), pace=st.sampled_from(PACES), sender=st.sampled_from("xyz"))
    def join(self, name, pace, sender):
        self.waiting.update(self.town.join(name, sender=sender, pace=pace))

    @rule(most=st.integers(1, 9))
    def go(self, most):
        for job in self.town.go(most):
            self.waiting.remove(job)
            self.running.add(job)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), taught=st.sampled_from(Feedback))
    def end(self, data, taught):
        job = data.draw(st.sampled_from(sorted(self.running, key=lambda job: job.identifier)))
        self.running.remove(job)
        self.town.end([job], taught, AWAY)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), force=st.booleans())
    def order(self, data, force):
        job = data.draw(st.sampled_from(sorted(self.waiting, key=lambda job: job.identifier)))
        if force:
            self.town.places.force(job, self.town.now)
        else:
            self.town.places.leave(job)
            self.waiting.remove(job)

    @rule(offline=st.booleans())
    def line(self, offline):
        self.town.places.go(offline=offline, now=self.town.now)

    @rule(seconds=st.sampled_from([1.0, 30.0, 600.0, 7200.0]))
    def wait(self, seconds):
        self.town.wait(seconds)

    @invariant()
    def bounds_are_kept(self):
        places = list(self.town.places)
        assert self.town.places.running == sum(place.running for place in places) <= 6
        assert sum(job.place is None for job in self.running) <= 2
        assert all(place.running <= 4 for place in places)
        assert sum(len(place.line) for place in places) == sum(job.place is not None for job in self.waiting)

    def teardown(self):
        """In the end everybody goes, whatever was before."""
        self.town.places.go(offline=False, now=self.town.now)
        for _ in range(500):
            self.go(most=100)
            while self.running:
                self.town.end([self.running.pop()])
            if not self.waiting:
                return
            if (at := self.town.places.wake_at()) is not None and at < FOREVER:
                self.town.wait(max(0.0, at - self.town.now))
        raise AssertionError(f"{len(self.waiting)} wait for ever")


TestAnyTown = AnyTown.TestCase


def test_a_place_rests_for_no_longer_than_it_is_told():
    town = Town(first_rest=5.0, longest_rest=12.0)
    town.join(count=10)
    town.end(town.go(), Feedback.AWAY, AWAY)
    rests = []
    for _ in range(4):
        rests.append(town.places.wake_at() - town.now)
        town.end(town.wait(rests[-1]).go(), Feedback.AWAY, AWAY)
    assert rests == [5, 10, 12, 12]


@pytest.mark.parametrize(("retry", "rests"), [((300.0, 14400.0), (60.0, 900.0)), ((5.0, 15.0, 60.0), (5.0, 60.0)), ((90.0,), (60.0, 90.0))])
def test_no_place_rests_for_longer_than_the_waits_between_attempts(retry, rests):
    settings = SimpleNamespace(retry=retry, concurrency=100, concurrency_at_first=5, concurrency_per_domain=20)
    bounds = bounds_of({"relay": settings})
    assert (bounds.first_rest, bounds.longest_rest) == rests
