"""One classroom and one browser for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.browser import house
from tests.conftest import must_be_there


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    must_be_there(("chromium",), "playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else ["--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def classroom(chromium: Any) -> Iterator[house.Classroom]:
    """With a few letters in it, so that pages have something to show."""
    pytest.importorskip("twistmail.lab.town")
    with house.classroom() as running:
        running.send("alice@blue.test", "carol@green.test", "Lunch?", "Soup at noon?\n")
        running.send("carol@green.test", "bob@blue.test", "Minutes of the meeting", "Nobody came.\n")
        running.send("alice@blue.test", "nobody@green.test", "Is anybody there?", "Hello?\n")
        house.until(lambda: "handed over" in running.read("/map/latest"), "the first letter is handed over")
        yield running


@contextmanager
def windows(chromium: Any, url: str) -> Iterator[Callable[..., house.Visit]]:
    """opened(width=1280, scheme="light", javascript=True, motion=True) opens a window; what it complained of fails the test.

    opened(beside=window) opens another tab of that window's browser.
    """
    with ExitStack() as stack:
        visits: list[house.Visit] = []

        def opened(
            width: int = 1280, scheme: str = "light", *, javascript: bool = True, motion: bool = True, beside: house.Visit | None = None
        ) -> house.Visit:
            if beside is not None:
                window = beside.page.context
            else:
                window = chromium.new_context(
                    viewport={"width": width, "height": house.WIDTHS[width]},
                    color_scheme=scheme,
                    java_script_enabled=javascript,
                    reduced_motion="no-preference" if motion else "reduce",
                )
                stack.callback(window.close)
            window.set_default_timeout(house.PATIENCE * 1000)
            visits.append(house.Visit(window.new_page(), url))
            visits[-1].watch()
            return visits[-1]

        yield opened
        assert [trouble for visited in visits for trouble in visited.trouble] == []


@pytest.fixture
def visit(chromium: Any, classroom: house.Classroom) -> Iterator[Callable[..., house.Visit]]:
    """What `windows` gives, for the classroom of all tests here."""
    with windows(chromium, classroom.url) as opened:
        yield opened
