"""R41, R42: the runner and its places on a fake clock: nobody waits for somebody else's slow server, and waiting costs nothing."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import UTC

import pytest
from twisted.internet.defer import Deferred

from tests.helpers import result_of
from tests.queue.test_runner import ANN, BOB, BODY, DAY, HOUR, LATER, MINUTE, NEVER, T0, World, target
from twistmail import tasks
from twistmail.disk import InlineCommitter
from twistmail.interfaces import Batch
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind
from twistmail.mail.hours import read
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import GaveUp, Outcome, Result, outcome_of
from twistmail.mail.pace import Pace
from twistmail.mail.schedule import Schedule
from twistmail.mail.status import Status
from twistmail.mailflow import Dispatch
from twistmail.memory.courier import TAKEN
from twistmail.queue.spool import Spool
from twistmail.rows import View, row

AWAY = Status(451, "4.4.1", "No connection")
BUSY = Status(421, "4.3.2", "Too many")


def at(name: str, domain: str) -> Address:
    return Address(name, domain)


class Roads:
    """A courier to places by domain. `down`: of these nobody answers. `slow`: these answer when they are told to.

    `answers`: by domain; `dialled`: (seconds since the start, domain) of each trip.
    """

    name = "roads"

    def __init__(self, clock):
        self.clock, self.down, self.slow, self.answers = clock, set(), defaultdict(list), {}
        self.dialled, self.carried = [], []

    def batches(self, item, targets):
        by_domain = defaultdict(list)
        for one in targets:
            by_domain[one.address.domain].append(one)
        return tuple(Batch(domain, tuple(some)) for domain, some in by_domain.items())

    async def carry(self, item, targets, content):
        domain = targets[0].address.domain
        self.dialled.append((self.clock.seconds() - T0, domain))
        if domain in self.down:
            return tuple(outcome_of(one, AWAY) for one in targets)
        if domain in self.slow:
            self.slow[domain].append(Deferred())
            status = await self.slow[domain][-1]
        else:
            status = self.answers.get(domain, TAKEN)
        self.carried.append((item.id, domain))
        return tuple(outcome_of(one, status, f"mx.{domain}") for one in targets)

    def times(self, domain):
        return [seconds for seconds, name in self.dialled if name == domain]


class Country(World):
    """A World whose remote mail goes by Roads."""

    def __init__(self, queue=None, clock=None, roads=None, first_report=1):
        super().__init__(queue=queue, clock=clock, first_report=first_report)
        self.roads = roads or Roads(self.clock)
        self.rule(dispatch=Dispatch(self.couriers | {Kind.REMOTE: self.roads}))
        self.made = itertools.count(1)

    def send(self, *to, sender=ANN, **changes):
        item = Item(f"m{next(self.made)}", sender, tuple(Errand(target(one)) for one in to), self.clock.seconds(), BODY.size)
        self.submit(replace(item, **changes))
        return item.id

    @property
    def subjects(self):
        return [message["Subject"] for _, message in self.mailboxes]


@pytest.fixture
def country():
    return Country()


FAST, SLOW, DEAD = at("x", "fast.test"), at("x", "slow.test"), at("x", "dead.test")


# ----- one place does not wait for another


def test_a_slow_place_delays_neither_what_is_written_down_nor_what_is_tried_again(country):
    country.roads.slow["slow.test"]
    country.roads.answers["fast.test"] = LATER
    item = country.send(FAST, SLOW)
    assert [type(what) for what in country.events(item)][1:2] == [Outcome]
    country.advance(5 * MINUTE)
    assert country.roads.times("fast.test") == [0, 300]
    country.roads.answers["fast.test"] = TAKEN
    country.advance(15 * MINUTE)
    assert (country.roads.times("fast.test"), country.roads.times("slow.test")) == ([0, 300, 1200], [0])
    country.roads.slow["slow.test"][0].callback(TAKEN)
    assert country.queue.items() == ()


def test_what_two_places_refuse_is_told_in_one_report(country):
    country.roads.slow["slow.test"]
    country.roads.answers["fast.test"] = NEVER
    country.send(FAST, SLOW)
    assert country.mailboxes == []
    country.clock.advance(20)
    country.roads.slow["slow.test"][0].callback(NEVER)
    ((_, report),) = country.mailboxes
    assert len(report.get_payload()[1].get_payload()) == 3
    assert country.queue.items() == ()


def test_but_no_report_waits_long_for_the_other_place(country):
    country.roads.slow["slow.test"]
    country.roads.answers["fast.test"] = NEVER
    country.send(FAST, SLOW)
    country.advance(MINUTE)
    assert len(country.mailboxes) == 1
    country.roads.slow["slow.test"][0].callback(NEVER)
    assert len(country.mailboxes) == 2
    assert country.queue.items() == ()


def test_each_place_has_waits_of_its_own(country):
    country.roads.answers["fast.test"] = LATER
    country.roads.slow["slow.test"]
    country.send(FAST, SLOW)
    country.advance(10 * MINUTE)
    country.roads.slow["slow.test"][0].callback(LATER)
    country.advance(HOUR)
    assert country.roads.times("fast.test") == [0, 300, 1200, 3000]
    assert country.roads.times("slow.test") == [0, 900]


def test_a_slow_place_that_ends_after_the_time_is_up_is_reported_once(country):
    country.rule(schedule=Schedule((HOUR,), give_up_after=3 * HOUR, warn_after=None))
    country.roads.answers["fast.test"] = LATER
    country.roads.slow["slow.test"]
    item = country.send(FAST, SLOW)
    country.advance(4 * HOUR)
    assert country.mailboxes == []
    country.roads.slow["slow.test"][0].callback(LATER)
    ((_, report),) = country.mailboxes
    assert [block["Action"] for block in report.get_payload()[1].get_payload()[1:]] == ["failed", "failed"]
    assert sum(isinstance(event, GaveUp) for event in country.events(item)) == 1
    assert country.queue.items() == ()


# ----- a place that is dead


def test_a_dead_place_is_tried_by_one_for_all_and_the_others_are_not_touched(country):
    country.roads.down.add("dead.test")
    for _ in range(300):
        country.send(DEAD)
    assert len(country.roads.dialled) == 1
    country.advance(30 * MINUTE)
    assert len(country.roads.dialled) <= 8
    tried = {fact.about for fact in country.told if isinstance(fact.what, Outcome)}
    assert len(tried) == len(country.roads.dialled)
    country.roads.down.clear()
    country.advance(20 * MINUTE)
    assert country.queue.items() == ()


def test_fifty_thousand_that_wait_for_a_dead_place_cost_nothing_while_they_wait(country):
    country.roads.down.add("dead.test")
    items = [Item(f"w{n}", ANN, (Errand(target(DEAD)),), T0, BODY.size) for n in range(50_000)]
    for item in items:
        country.queue._items[item.id] = item
        country.queue._contents[item.id] = BODY
    again = Country(country.queue, country.clock, country.roads)
    looks = []
    see_to = again.runner._see_to

    async def counted(identifier, case):
        looks.append(identifier)
        await see_to(identifier, case)

    for _ in range(300):
        again.clock.advance(0)
    again.runner._see_to = counted
    dialled = len(again.roads.dialled)
    again.advance(HOUR)
    assert len(again.roads.dialled) - dialled <= 8
    assert len(looks) <= 30
    assert len(again.clock.getDelayedCalls()) == 1


def test_an_operator_s_flush_tries_a_dead_place_at_once(country):
    country.roads.down.add("dead.test")
    items = [country.send(DEAD) for _ in range(20)]
    country.advance(2)
    country.roads.down.clear()
    assert country.runner.flush(items[-3:]) == 3
    assert [item.id for item in country.queue.items()] == items[:1]  # which was tried, and waits for its own time
    assert country.roads.carried[0][0] in items[-3:]


def test_so_does_a_flush_of_what_waits_for_its_own_time(country):
    country.roads.down.add("dead.test")
    item = country.send(DEAD)
    country.roads.down.clear()
    assert country.runner.flush([item]) == 1
    assert country.queue.items() == ()


def test_who_waits_at_a_dead_place_for_too_long_hears_why(country):
    country.roads.down.add("dead.test")
    for _ in range(2):
        country.send(DEAD)
    country.advance(6 * DAY, step=10 * MINUTE)
    assert country.queue.items() == ()
    assert country.subjects.count("Your message could not be delivered") == 2
    assert country.subjects.count("Your message is late") == 2
    for _, message in country.mailboxes:
        assert "4.4.1" in message.get_payload()[1].as_string()


def test_what_is_known_of_a_place_can_be_asked(country):
    country.roads.down.add("dead.test")
    items = [country.send(DEAD) for _ in range(3)]
    outlook = country.runner.outlook(items[2])
    assert (outlook.at, outlook.place) == (T0 + 60, "dead.test")
    assert outlook.why == "nobody gets through to dead.test: 451 4.4.1 No connection"
    (place,) = country.runner.places
    assert place.view(T0) == {"place": "dead.test", "rule": "", "waiting": 2, "running": 0, "at_a_time": 1, "rests_s": 60,
                              "why": "451 4.4.1 No connection"}
    assert country.runner.outlook(items[0]).at == T0 + 300
    result_of(country.runner.hold(items[2]))
    assert country.runner.outlook(items[2]).why == "held"
    with pytest.raises(KeyError):
        country.runner.outlook("nobody")


# ----- the line, hours, rates


def test_while_the_line_is_down_nobody_is_asked_and_local_mail_arrives(country):
    country.runner.go(offline=True)
    item = country.send(FAST, Address("cat", "here.example"))
    country.advance(DAY)
    assert country.roads.dialled == []
    assert len(country.mailboxes) == 2  # the message, and the warning that the other is late
    assert "twistmail online" in country.runner.outlook(item).why
    country.runner.go(offline=False)
    assert country.queue.items() == ()
    assert country.clock.getDelayedCalls() == []


def test_a_flush_goes_out_although_the_line_is_down(country):
    country.runner.go(offline=True)
    first, second = country.send(FAST), country.send(FAST)
    assert country.runner.flush([first]) == 1
    assert [item.id for item in country.queue.items()] == [second]
    country.runner.flush()
    assert country.queue.items() == ()


def test_what_fails_while_the_line_is_down_waits_for_it(country):
    country.runner.go(offline=True)
    country.roads.answers["fast.test"] = LATER
    country.runner.flush([country.send(FAST)])
    country.advance(DAY, step=HOUR)
    assert len(country.roads.dialled) == 1


NIGHT = Pace("route:fast.test", hours=read("23:00-06:00"))  # the fake clock begins at 08:00 UTC


def test_mail_for_a_place_waits_for_its_hours(country):
    country.runner.places.zone = UTC
    country.rule(pace=lambda target: NIGHT if target.address == FAST else Pace())
    item = country.send(FAST, SLOW)
    assert [domain for _, domain in country.roads.dialled] == ["slow.test"]
    assert country.runner.outlook(item).why == "waits for 00:00-06:00 23:00-24:00"
    country.advance(15 * HOUR - MINUTE)
    assert len(country.roads.dialled) == 1
    country.advance(MINUTE)
    assert country.queue.items() == ()


@pytest.mark.parametrize(("paused", "days"), [
    pytest.param(lambda start, end: 0.0, 5, id="as-usual"),
    pytest.param(lambda start, end: max(0.0, min(end, T0 + 2 * DAY) - start), 7, id="two-days-do-not-count"),
])
def test_the_time_in_which_nothing_could_go_may_not_count(country, paused, days):
    country.rule(paused=paused)
    country.runner.go(offline=True)
    country.send(FAST)
    country.advance(days * DAY - HOUR, step=HOUR)
    assert len(country.queue.items()) == 1
    country.advance(2 * HOUR)
    assert country.queue.items() == ()
    assert country.subjects[-1] == "Your message could not be delivered"


def test_one_sender_goes_no_faster_than_his_rate_and_others_do(country):
    country.rule(sender_rates=((2, 60.0),))
    for _ in range(6):
        country.send(FAST)
    country.send(FAST, sender=BOB)
    country.send(FAST, sender=None)
    assert len(country.roads.dialled) == 4
    country.advance(2 * MINUTE)
    assert country.roads.times("fast.test") == [0] * 4 + [60] * 2 + [120] * 2
    assert country.queue.items() == ()


def test_mail_that_stays_here_is_under_no_rate(country):
    country.rule(sender_rates=((1, 60.0),))
    for _ in range(3):
        country.send(Address("cat", "here.example"))
    assert country.queue.items() == ()


def test_a_flush_is_under_no_rate_of_its_sender(country):
    country.rule(sender_rates=((1, 60.0),))
    items = [country.send(FAST) for _ in range(3)]
    assert country.runner.flush(items[1:]) == 2
    assert country.queue.items() == ()


def test_a_place_s_rate_is_kept(country):
    country.rule(pace=lambda target: Pace(rates=((3, 60.0),)))
    for _ in range(7):
        country.send(FAST)
    country.advance(3 * MINUTE)
    assert country.roads.times("fast.test") == [0] * 3 + [60] * 3 + [120]


# ----- fair


def test_a_note_does_not_wait_for_a_newsletter(country):
    """However many recipients of the newsletter wait, a note by somebody else is the next or the one after."""
    country.roads.slow["fast.test"]
    for number in range(1000):
        country.send(at(f"n{number}", "fast.test"), sender=Address("news", "here.example"))
    note = country.send(FAST)
    answered = itertools.count()
    while note not in [about for about, _ in country.roads.carried]:
        country.roads.slow["fast.test"][next(answered)].callback(TAKEN)
    assert next(answered) <= 5 + 2  # those under way when it came, and at most one more


def test_one_place_gets_no_more_than_half_of_all(country):
    country.bound(total=10)
    country.roads.slow["fast.test"]
    country.roads.slow["slow.test"]
    for _ in range(40):
        country.send(FAST)
    for answered in range(30):
        country.roads.slow["fast.test"][answered].callback(TAKEN)
        assert len(country.roads.slow["fast.test"]) - answered - 1 <= 5
    country.send(SLOW)
    assert len(country.roads.slow["slow.test"]) == 1


# ----- restart, reload


def test_after_a_restart_each_waits_for_its_time(tmp_path):
    def spool():
        return Spool(tmp_path / "queue", InlineCommitter(), tasks.Inline())

    country = Country(spool())
    country.roads.answers |= {"fast.test": LATER, "slow.test": LATER}
    country.send(FAST, SLOW)
    country.advance(6 * MINUTE)
    assert country.roads.times("fast.test") == country.roads.times("slow.test") == [0, 300]
    result_of(country.runner.stop())
    again = Country(spool(), country.clock, country.roads)
    again.advance(20 * MINUTE)
    assert again.roads.times("fast.test") == again.roads.times("slow.test") == [0, 300, 1200]


def test_what_waits_in_lines_goes_by_new_rules(country):
    country.rule(pace=lambda target: Pace(rates=((1, HOUR),)))
    for _ in range(5):
        country.send(FAST)
    assert len(country.roads.dialled) == 1
    country.rule(pace=lambda target: Pace())
    assert country.queue.items() == ()


def test_what_is_held_or_deleted_while_it_stands_in_a_line_never_goes(country):
    country.runner.go(offline=True)
    held, deleted, bounced, rerouted = (country.send(FAST) for _ in range(4))
    result_of(country.runner.hold(held))
    assert result_of(country.runner.delete(deleted)) is True
    assert result_of(country.runner.bounce(bounced)) is True
    result_of(country.runner.reroute(rerouted, "smtp:[10.0.0.2]:25"))
    country.runner.go(offline=False)
    assert [about for about, _ in country.roads.carried] == [rerouted]
    assert [item.id for item in country.queue.items()] == [held]


def test_a_busy_server_gets_fewer_at_a_time(country):
    country.roads.slow["slow.test"]
    for _ in range(50):
        country.send(SLOW)
    under_way = country.roads.slow["slow.test"]
    assert len(under_way) == 5
    for answer in under_way[:5]:
        answer.callback(BUSY)
    assert len(under_way) == 5 + 2
    assert [item.errands[0].result for item in country.queue.items()][:5] == [Result.DEFERRED] * 5


def test_a_list_tells_what_a_message_waits_for(country):
    """R36, R42."""
    country.roads.down.add("dead.test")
    country.send(DEAD)
    item = country.queue.items()[0]
    waiting = country.send(DEAD)
    view = View(T0, outlook=country.runner.outlook_of)
    rows = {one.id: row(one, view) for one in country.queue.items()}
    assert (rows[item.id]["next_s"], rows[item.id]["waits_for"]) == (300, "")
    assert (rows[waiting]["next_s"], rows[waiting]["waits_for"]) == (60, "nobody gets through to dead.test: 451 4.4.1 No connection")
    country.runner.go(offline=True)
    assert (row(country.runner.item(waiting), view)["next_s"], row(country.runner.item(waiting), view)["next"]) == (None, "")
