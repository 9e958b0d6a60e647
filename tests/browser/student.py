"""What a student does with a lesson in the browser: by the pages where they offer it, by "Show me" where a terminal is asked for.

The lesson's own page stays open beside all that; nothing here loads it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from tests.browser.house import Classroom, Visit, until
from twistmail.lab.course import places
from twistmail.lab.driver import UNITS
from twistmail.lab.lesson import Act, Lesson, Step
from twistmail.lab.offices import OFFICES, PASSWORD

#: The buttons of the clock, in seconds.
JUMPS = (432_000, 14_400, 1200, 60)
#: Steps that an office may come to before the student: it tries again by itself, too.
BY_THEMSELVES = ("Try again",)


def as_shown(lesson: Lesson, running: Classroom) -> Lesson:
    """*lesson* with the names in braces filled in, as the page has it for whoever comes with a new browser."""
    ports = {tuple(name.split("_", 1)): port for name, port in running.ports.items()}
    town: Any = SimpleNamespace(ports=ports, offices=OFFICES, lines=lambda: running.about)
    return lesson.filled(places(town, OFFICES[0].accounts[0], PASSWORD))


class Student:
    """*window*: where the lesson is open. *another*(): one more tab of the same browser."""

    def __init__(self, window: Visit, another: Callable[[], Visit]) -> None:
        self._window = window
        self._page = window.page
        self._another = another
        self._desk = another()

    def opens(self, number: int) -> None:
        with self._page.expect_response("**/events*"):
            self._window.go(f"/lessons/{number}")
        self._window.ask("() => { window.unbroken = true }")

    @property
    def has_not_reloaded(self) -> bool:
        return bool(self._window.ask("() => window.unbroken"))

    # ----- a step

    def step(self, place: int, step: Step) -> None:
        """Until its tick is seen."""
        here = self._page.locator(f"#step-{place}")
        here.and_(self._page.locator("[aria-current=step], .done")).wait_for()
        if step.title not in BY_THEMSELVES or not _is_done(here):
            self._goes_through(here, step)
        if step.done:
            until(lambda: here.locator("ul.ticks > li.met").count() == len(step.expects), f"all ticks of step {place}")
            here.locator("button[value=done]").click()
        until(lambda: _is_done(here) or self._troubled(), f"the tick of step {place}")
        assert here.locator("ul.ticks > li").count() == here.locator("ul.ticks > li.met").count() == len(step.expects)

    def _goes_through(self, here: Any, step: Step) -> None:
        if step.look:
            here.get_by_role("link", name="The page for this step").click()
            self._page.frame_locator("#look").locator("h1").first.wait_for()
        if any(act.kind == "run" for act in step.acts):
            self._is_shown(here, step)
        else:
            self._does(step.acts)

    def _is_shown(self, here: Any, step: Step) -> None:
        try:
            here.get_by_role("button", name="Show me").click()
        except errors().TimeoutError:
            assert step.title in BY_THEMSELVES
            assert _is_done(here)

    def _troubled(self) -> None:
        said = self._page.locator("#steps [role=alert]").all_inner_texts()
        assert said == [], said

    def _does(self, acts: tuple[Act, ...]) -> None:
        """One after the other; what goes on "meanwhile" is ended behind the others."""
        with ExitStack() as behind:
            for act in acts:
                if act.words[-1] == "meanwhile":
                    typing = self._typing(act, self._another())
                    next(typing)
                    behind.callback(list, typing)
                else:
                    DONE_BY[act.kind](self, act)

    # ----- questions

    def answers(self, number: int, choice: int) -> None:
        """*choice* for question *number*, both from 0; what is said to it comes by itself."""
        asked = self._page.locator("fieldset").nth(number)
        asked.locator("button[name=choice]").nth(choice).click()
        asked.locator("p.note", has_text="Right.").wait_for()

    # ----- the end

    def is_told_of_the_end(self) -> bool:
        """Seen, and said to who cannot see it."""
        return self._page.locator("#steps > p.bar").inner_text().strip() == "done" and self._page.locator("#steps li.done").count() > 0

    def sees_in_the_list(self, number: int) -> str:
        """How far he is in lesson *number*, as the list of all has it."""
        return str(self._desk.go("/lessons").locator(f"tr[data-key='{number}'] .state").inner_text())

    # ----- acts

    def _type(self, act: Act) -> None:
        list(self._typing(act, self._desk))

    def _typing(self, act: Act, desk: Visit) -> Iterator[None]:
        """At the console. Stops wherever the student only waits for a line of the server's."""
        office, service = act.words[:2]
        page = desk.go(f"/console?office={office}&service={service}")
        if act.lines == ("-> refused",):
            return self._is_refused(desk)
        page.get_by_role("button", name="Connect").click()
        page.wait_for_url(re.compile("/console/"))
        page.get_by_text("Several lines at once").click()
        said: list[str] = []
        for line in [*act.lines, "-> "]:
            text, arrow, wanted = line.rpartition("->") if "->" in line else (line, "", "")
            if text or not arrow:
                said.append(text.rstrip() if arrow else text)
                last = wanted.strip()
                continue
            self._say(page, said, last)
            if wanted.strip():
                yield
                _hears(page, wanted.strip())
            said = []
        return None

    def _say(self, page: Any, lines: list[str], wanted: str) -> None:
        if not lines:
            return
        page.locator("textarea[name=line]").fill("\n".join(lines))
        page.get_by_role("button", name="Send them all").click()
        _hears(page, wanted)

    def _is_refused(self, desk: Visit) -> None:
        """Nobody listens there: the browser complains of the answer, which it shall."""
        before = list(desk.trouble)
        desk.page.get_by_role("button", name="Connect").click()
        desk.page.locator("p.warning").wait_for()
        desk.trouble[:] = before

    def _send(self, act: Act) -> None:
        keys = dict(word.partition("=")[::2] for word in act.words)
        page = self._desk.go("/inbox/compose")
        page.select_option("select[name=as]", keys["from"])
        page.fill("input[name=to]", keys["to"])
        page.fill("input[name=subject]", keys.get("subject", "A letter"))
        page.fill("textarea[name=text]", "\n".join(act.lines or ("Hello!",)))
        page.get_by_role("button", name="Send").click()
        page.wait_for_url(re.compile("/m/"))

    def _switch(self, act: Act) -> None:
        name, place, state = act.words
        page = self._desk.go("/net")
        if ">" in place:
            chosen = page.locator(f"form.line:has(input[name=place][value='{place}'])")
            chosen.locator("select").select_option(name.replace("-", " ") if state == "on" else "whole")
            until(lambda: chosen.locator(".state.trouble").count() == (state == "on"), f"{place} is {name}: {state}")
            return
        form = page.locator(f"form:has(input[name=name][value='{name}']):has(input[name=place][value='{place}'])").first
        pressed = form.locator("button").get_attribute("aria-pressed")
        with page.expect_response(lambda answer: answer.request.method == "POST"):  # what crashes has started again
            form.locator("button").click()
        if pressed is not None:
            form.locator(f"button[aria-pressed={'true' if state == 'on' else 'false'}]").wait_for()

    def _clock(self, act: Act) -> None:
        left = int(act.words[0][1:-1]) * UNITS[act.words[0][-1]]
        page = self._desk.go("/queue")
        for jump in JUMPS:
            for _ in range(left // jump):
                with page.expect_response("**/clock"):
                    page.locator(f"form[action='/clock'] button[value='{jump}']").click()
            left %= jump
        assert left == 0, act

    def _zone(self, act: Act) -> None:
        name, kind, *values = act.words
        page = self._desk.go("/dns")
        row = page.locator(f"tr[data-key='{name} {kind}']")
        with page.expect_response("**/dns/record"):
            if not values:
                row.get_by_role("button", name="Remove").click()
            elif row.count():
                row.locator("textarea").fill("\n".join(values))
                row.get_by_role("button", name="Save").click()
            else:
                new = page.locator("form.record")
                new.locator("[name=name]").fill(name)
                new.locator("[name=kind]").select_option(kind)
                new.locator("[name=values]").fill("\n".join(values))
                new.get_by_role("button", name="Add").click()
        until(lambda: row.count() == bool(values), f"the record {name} {kind} on the page")


DONE_BY: Mapping[str, Callable[[Student, Act], None]] = {
    "type": Student._type, "send": Student._send, "switch": Student._switch, "clock": Student._clock, "zone": Student._zone,
}  # fmt: skip


def errors() -> Any:
    """Playwright's, where it is installed."""
    return pytest.importorskip("playwright.sync_api")


def _is_done(step: Any) -> bool:
    return bool(step.evaluate("step => step.classList.contains('done')"))


def _hears(page: Any, wanted: str) -> None:
    """A line of the server's that begins so, or has it within."""
    if wanted:
        page.locator("ol.dialogue li.server span", has_text=wanted).first.wait_for()
