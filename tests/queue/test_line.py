"""Who goes next: fair to senders, quicker for the urgent, nobody starves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from twistmail.queue.line import FEW, HEAD_START, Job, Line, Numbers


def served(line: Line) -> list[Job]:
    order = []
    while (job := line.head()) is not None:
        line.leave(job)
        order.append(job)
    return order


def test_a_note_goes_second_however_long_the_newsletter_waits():
    line = Line()
    for number in range(10_000):
        line.join(Job(f"n{number}", None, "news@here.example"))
    for _ in range(5000):
        line.leave(line.head())
    note = Job("note", None, "ann@here.example")
    line.join(note)
    first, second = line.head(), None
    line.leave(first)
    second = line.head()
    assert note in (first, second)


def test_senders_take_turns():
    line = Line()
    for sender in "aab":
        for number in range(3):
            line.join(Job(f"{sender}{number}", None, sender))
    assert [job.sender for job in served(line)] == ["a", "b", "a", "b", "a", "b", "a", "a", "a"]


def test_who_was_away_has_saved_nothing_up():
    """Nor has he who has had much: the past is the past."""
    line = Line()
    for _ in range(50):
        line.join(Job("old", None, "a"))
    served(line)
    for sender in "bbbaaa":
        line.join(Job("new", None, sender))
    assert [job.sender for job in served(line)][:2] == ["b", "a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9)), max_size=40))
def test_all_go_once_and_those_of_one_sender_and_urgency_in_order(jobs):
    line, made = Line(), []
    for number, (sender, priority) in enumerate(jobs):
        made.append(Job(str(number), None, sender, priority))
        line.join(made[-1])
    order = served(line)
    assert sorted(order, key=lambda job: int(job.identifier)) == made
    for sender in "abc":
        for priority in range(-9, 10):
            mine = [int(job.identifier) for job in order if (job.sender, job.priority) == (sender, priority)]
            assert mine == sorted(mine)


def test_the_urgent_go_first_but_nobody_starves():
    line = Line()
    line.join(slow := Job("slow", None, "a", -9))
    position = 0
    for number in range(30 * HEAD_START):
        line.join(Job(str(number), None, "b", 9))
        line.leave(head := line.head())
        position += 1
        if head is slow:
            break
    assert HEAD_START < position <= 19 * HEAD_START


def test_what_is_forced_goes_first_and_alone_where_nothing_else_may():
    line = Line()
    jobs = [Job(str(number), None, "a", 9 - number) for number in range(5)]
    for job in jobs:
        line.join(job)
    assert line.head(forced_only=True) is None
    line.force(jobs[3])
    assert line.head(forced_only=True) is line.head() is jobs[3]
    line.leave(jobs[3])
    assert line.head(forced_only=True) is None
    assert [job.identifier for job in served(line)] == ["0", "1", "2", "4"]


def test_of_many_senders_those_are_forgotten_that_owe_nothing():
    numbers = Numbers()
    for sender in range(20 * FEW):
        numbers.reached(numbers.next(str(sender)))
    assert len(numbers._last) <= 2 * FEW


class AnyLine(RuleBasedStateMachine):
    """A line beside a plain list: joining, forcing, leaving out of turn."""

    def __init__(self):
        super().__init__()
        self.line, self.model, self.made = Line(), [], 0

    @rule(sender=st.sampled_from("abc"), priority=st.integers(-9, 9), forced=st.booleans())
    def join(self, sender, priority, forced):
        self.made += 1
        job = Job(str(self.made), None, sender, priority, forced)
        self.line.join(job)
        self.model.append(job)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def force(self, data):
        self.line.force(data.draw(st.sampled_from(self.model)))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def withdraw(self, data):
        job = data.draw(st.sampled_from(self.model))
        self.line.leave(job)
        self.model.remove(job)

    @precondition(lambda self: self.model)
    @rule()
    def serve(self):
        job = self.line.head()
        assert job in self.model
        assert job.forced or not any(other.forced for other in self.model)
        self.line.leave(job)
        self.model.remove(job)

    @invariant()
    def they_agree(self):
        assert len(self.line) == len(self.model)
        assert sorted(job.identifier for job in self.line.jobs()) == sorted(job.identifier for job in self.model)
        assert (self.line.head() is None) == (not self.model)


TestAnyLine = AnyLine.TestCase
