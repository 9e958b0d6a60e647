"""How far a student is: events in, ticks out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.lab.lesson import Check, Choice, Field, Lesson, Question, Step
from twistmail.lab.progress import after, after_all, answered, as_json, begun, finished, is_through, skipped
from twistmail.lab.ring import Event

SENT = Check("mail", (Field("office", "=", "blue"), Field("state", "=", "accepted")), "Blue takes it")
STORED = Check("store", (Field("office", "=", "green"),), "Green has it")
READ = Check("read", (), "Nobody reads")
LESSON = Lesson(
    1,
    "First",
    steps=(
        Step("Send", expects=(SENT, STORED)),
        Step("Wait", nevers=(READ,), done="I have waited"),
        Step("Again", expects=(SENT,)),
    ),
    questions=(Question("Push?", choices=(Choice("yes", True), Choice("no", False))),),
)


def event(number: int, kind: str, office: str = "blue", **what: object) -> Event:
    return Event(number, 7.0, office, kind, "a-1", what)


def sent(number: int) -> Event:
    return event(number, "mail", state="accepted")


def stored(number: int) -> Event:
    return event(number, "store", "green")


@pytest.mark.parametrize(
    ("field", "what", "fits"),
    [
        pytest.param(Field("text", "=", "Quit"), {"text": "QUIT"}, True, id="is-whatever-the-case"),
        pytest.param(Field("text", "=", "QUIT"), {"text": "QUIT "}, False, id="is-not"),
        pytest.param(Field("text", "~", "green"), {"text": "250 mx.green.test"}, True, id="contains"),
        pytest.param(Field("text", "^", "250"), {"text": "x250"}, False, id="begins"),
        pytest.param(Field("size", ">", "100"), {"size": 101}, True, id="more"),
        pytest.param(Field("size", ">", "100"), {"size": "much"}, False, id="more-than-no-number"),
        pytest.param(Field("size", ">", "100"), {}, False, id="not-there"),
        pytest.param(Field("recipients", "=", "b@x"), {"recipients": ["a@x", "b@x"]}, True, id="one-of-a-list"),
        pytest.param(Field("recipients", "!=", "b@x"), {"recipients": ["a@x", "b@x"]}, False, id="none-of-a-list"),
        pytest.param(Field("why", "!=", "quit"), {}, True, id="what-is-not-there-is-not-that"),
        pytest.param(Field("office", "=", "blue"), {"office": "green"}, True, id="of-the-event-itself"),
        pytest.param(Field("about", "^", "a-"), {}, True, id="about"),
    ],
)
def test_what_fits_a_demand(field, what, fits):
    assert field.fits(Event(1, 0.0, "blue", "line", "a-1", what)) is fits


def test_a_step_is_done_when_all_its_events_have_come_in_any_order():
    progress = after(begun(0), LESSON, stored(1))
    assert (progress.step, progress.met(0)) == (0, {1})
    progress = after(progress, LESSON, sent(2))
    assert (progress.step, [tick.event for tick in progress.ticks]) == (1, [1, 2])


def test_what_was_before_does_not_count():
    assert after_all(begun(5), LESSON, [sent(4), stored(5)]) == begun(5)
    last = after_all(skipped(begun(0), LESSON, 0), LESSON, [sent(1)])
    assert finished(last, LESSON, 1).step == 2
    assert after(finished(last, LESSON, 1), LESSON, sent(1)).step == 2, "it came before the step began"


def test_an_event_that_fits_nothing_changes_nothing():
    progress = begun(0)
    assert after(progress, LESSON, event(1, "dns")) is progress


def test_what_must_not_come_spoils_the_step_and_it_begins_again():
    waiting = after_all(begun(0), LESSON, [sent(1), stored(2)])
    spoilt = after(waiting, LESSON, event(3, "read"))
    assert spoilt.spoilt
    again = finished(spoilt, LESSON, 4)
    assert (again.step, again.spoilt) == (1, False)
    assert finished(again, LESSON, 5).step == 2


def test_who_says_he_is_through_has_to_have_what_is_expected():
    assert finished(begun(0), LESSON, 9) == begun(0)
    assert skipped(begun(0), LESSON, 9).step == 1


def test_at_the_end_nothing_more_comes():
    progress = begun(0)
    for _ in LESSON.steps:
        progress = skipped(progress, LESSON, 1)
    assert is_through(progress, LESSON)
    assert after(progress, LESSON, sent(9)) is progress
    assert skipped(progress, LESSON, 9) is finished(progress, LESSON, 9) is progress


@pytest.mark.parametrize(("question", "choice", "kept"), [(0, 1, 1), (0, 2, None), (0, -1, None), (1, 0, None), (-1, 0, None)])
def test_an_answer_is_one_of_those_that_there_are(question, choice, kept):
    assert answered(begun(0), LESSON, question, choice).answer(question) == kept


def test_it_is_told_in_words_for_programs():
    told = as_json(answered(after(begun(0), LESSON, sent(1)), LESSON, 0, 0), LESSON)
    assert (told["step"], told["through"], told["answered"], told["right"]) == (1, False, 1, 1)
    assert told["steps"][0] == {"title": "Send", "done": False, "met": [0], "expected": ["Blue takes it", "Green has it"], "spoilt": False}


@given(st.lists(st.sampled_from(["mail", "store", "read", "dns", "done"]), max_size=40))
@settings(max_examples=150)
def test_nobody_ever_goes_back_or_beyond_the_end(kinds):
    progress, last = begun(0), 0
    for number, kind in enumerate(kinds, 1):
        before = progress.step
        if kind == "done":
            progress = finished(progress, LESSON, number)
        else:
            office = "green" if kind == "store" else "blue"
            progress = after(progress, LESSON, event(number, kind, office, state="accepted"))
        assert before <= progress.step <= min(before + 1, len(LESSON.steps))
        assert all(tick.event > last for tick in progress.ticks if tick.step > before)
        last = progress.since
