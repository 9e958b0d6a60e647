"""How far a student is in a lesson. Pure: events in, ticks out.

The steps are done in their order: what happened before a step began does not count for it. Within a step the expected events
may come in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from typing import Any

from twistmail.lab.lesson import Lesson
from twistmail.lab.ring import Event
from twistmail.mail.values import frozen


@frozen
class Tick:
    """Expectation `check` (from 0) of step `step` (from 0) came with event `event`, which was about `about` in `office`."""

    step: int
    check: int
    event: int
    office: str
    about: str


@frozen
class Progress:
    """`step`: the one under way (from 0); as many as there are: through. Events up to number `since` do not count.

    `spoilt`: what must not come in this step has come. `answers`: question (from 0) -> choice (from 0).
    """

    step: int = 0
    since: int = 0
    ticks: tuple[Tick, ...] = ()
    spoilt: bool = False
    answers: tuple[tuple[int, int], ...] = field(default=())

    def met(self, step: int) -> frozenset[int]:
        """Which expectations of *step* have come."""
        return frozenset(tick.check for tick in self.ticks if tick.step == step)

    def answer(self, question: int) -> int | None:
        """What was chosen last."""
        return dict(self.answers).get(question)


def begun(last: int) -> Progress:
    """At the first step; events up to number *last* were before."""
    return Progress(since=last)


def is_through(progress: Progress, lesson: Lesson) -> bool:
    return progress.step >= len(lesson.steps)


def after(progress: Progress, lesson: Lesson, event: Event) -> Progress:
    """*progress* once *event* has come; the same object where it changes nothing."""
    if is_through(progress, lesson) or event.number <= progress.since:
        return progress
    step = lesson.steps[progress.step]
    if any(check.fits(event) for check in step.nevers):
        return replace(progress, spoilt=True, since=event.number)
    met = progress.met(progress.step)
    fresh = tuple(
        Tick(progress.step, place, event.number, event.office, event.about)
        for place, check in enumerate(step.expects)
        if place not in met and check.fits(event)
    )
    if not fresh:
        return progress
    progress = replace(progress, ticks=progress.ticks + fresh)
    if step.done or len(met) + len(fresh) < len(step.expects):
        return progress
    return _next(progress, event.number)


def after_all(progress: Progress, lesson: Lesson, events: Iterable[Event]) -> Progress:
    for event in events:
        progress = after(progress, lesson, event)
    return progress


def finished(progress: Progress, lesson: Lesson, last: int) -> Progress:
    """The student says that he is through with the step; *last*: the number of the last event.

    A step that waits for events stays until they have come. One that was spoilt begins again.
    """
    if is_through(progress, lesson):
        return progress
    step = lesson.steps[progress.step]
    if progress.spoilt:
        kept = tuple(tick for tick in progress.ticks if tick.step != progress.step)
        return replace(progress, ticks=kept, spoilt=False, since=last)
    if not step.done or len(progress.met(progress.step)) < len(step.expects):
        return progress
    return _next(progress, last)


def skipped(progress: Progress, lesson: Lesson, last: int) -> Progress:
    """On to the next step, whatever came."""
    return progress if is_through(progress, lesson) else _next(progress, last)


def answered(progress: Progress, lesson: Lesson, question: int, choice: int) -> Progress:
    """*choice* for *question*, both from 0; what there is not changes nothing."""
    if not 0 <= question < len(lesson.questions) or not 0 <= choice < len(lesson.questions[question].choices):
        return progress
    return replace(progress, answers=tuple(sorted({**dict(progress.answers), question: choice}.items())))


def _next(progress: Progress, last: int) -> Progress:
    return replace(progress, step=progress.step + 1, since=last, spoilt=False)


def as_json(progress: Progress, lesson: Lesson) -> dict[str, Any]:
    """For the terminal, tests and the projector."""
    right = sum(1 for question, choice in progress.answers if choice in lesson.questions[question].right)
    return {
        "lesson": lesson.number,
        "title": lesson.title,
        "step": min(progress.step + 1, len(lesson.steps)),
        "steps": [
            {
                "title": step.title,
                "done": place < progress.step,
                "met": sorted(progress.met(place)),
                "expected": [check.words for check in step.expects],
                "spoilt": progress.spoilt and place == progress.step,
            }
            for place, step in enumerate(lesson.steps)
        ],
        "through": is_through(progress, lesson),
        "answered": len(progress.answers),
        "right": right,
    }
