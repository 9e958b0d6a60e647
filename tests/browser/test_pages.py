"""Every page of the classroom, in a real browser: no complaints, nothing too wide, to be read and used by everybody.

Pages are found as people find them, by following links. What each looked like is kept in build/screenshots.
"""

from __future__ import annotations

import html
import re

import pytest

from tests.browser import looking
from tests.browser.house import Classroom, name_of

#: A page that leads to the next one by itself.
GOES_ON = re.compile(r"[?&]run=1")
#: Of pages that are alike (/m/one, /m/two), as many are looked at.
OF_A_KIND = 1


def kind_of(path: str) -> str:
    """ "/m/3fk2-9a?tab=dns&n=7" is a page like "/m/N?tab=dns"."""
    path, _, query = path.partition("?")
    word = query.partition("&")[0]
    return (
        re.sub(r"(?<=/)([^/]*\d[^/]*|[^/]+(@|%40)[^/]+)", "N", path) + "?" + (word if word.startswith("tab=") else word.partition("=")[0])
    )


def found(classroom: Classroom) -> tuple[list[str], list[str]]:
    """The paths of all pages that links lead to from the map, of each kind a few; and the links that lead nowhere."""
    todo, seen, dead, kinds = ["/"], set(), [], {}
    pages: list[str] = []
    while todo:
        path = html.unescape(todo.pop(0)).partition("#")[0]
        kind = kind_of(path)
        if path in seen or GOES_ON.search(path) or kinds.get(kind, 0) >= OF_A_KIND:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        seen.add(path)
        status, fields, body = classroom.get(path)
        if status != 200:
            dead.append(f"{path}: {status}")
        elif fields["Content-Type"].startswith("text/html") and "Content-Disposition" not in fields and "<main" in body:
            pages.append(path)
            todo += re.findall(r'<a[^>]* href="(/[^"]*)"', body)
    return pages, dead


@pytest.fixture(scope="module")
def walked(classroom):
    return found(classroom)


@pytest.fixture(scope="module")
def paths(walked):
    return walked[0]


def test_all_of_the_navigation_is_there_and_no_link_leads_nowhere(walked):
    paths, dead = walked
    assert {"/", "/about"} <= set(paths)
    assert [path for path in dead if "/m" in paths or not path.startswith("/m/")] == []


@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_can_be_read_and_used_in_light_and_dark(visit, paths, width):
    window, wrong = visit(width), {}
    for path in paths:
        window.go(path)
        faults = {name: said for name in looking.EVERYTHING if (said := looking.asked(window.page, name))}
        window.keep(f"{name_of(path)}-{width}-light")
        window.page.emulate_media(color_scheme="dark")
        if said := looking.asked(window.page, "contrast"):
            faults["contrast in the dark"] = said
        window.keep(f"{name_of(path)}-{width}-dark")
        window.page.emulate_media(color_scheme="light")
        if faults:
            wrong[path] = faults
    assert wrong == {}


def test_every_page_says_the_same_without_the_script_and_can_be_refreshed(visit, paths):
    window, wrong = visit(390, javascript=False), {}
    for path in paths:
        window.go(path)
        if not window.page.locator("h1").inner_text() or not window.page.get_by_role("link", name="Refresh").is_visible():
            wrong[path] = "empty"
    assert wrong == {}


def test_every_page_can_be_walked_with_the_keyboard_and_the_focus_is_seen(visit, paths):
    window, wrong = visit(), {}
    for path in paths:
        window.go(path)
        stops, unseen = looking.asked(window.page, "stops"), []
        for _ in range(min(stops, 120)):
            window.page.keyboard.press("Tab")
            at = looking.asked(window.page, "focus")
            if at is None:
                break
            if not at[1]:
                unseen.append(at[0])
        if unseen:
            wrong[path] = unseen
    assert wrong == {}


def test_the_first_stop_leads_past_the_navigation(visit):
    window = visit()
    window.go("/about")
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    assert window.ask("() => document.activeElement.id") == "main"


def test_every_page_can_be_printed_without_what_is_for_the_screen(visit, paths):
    window = visit()
    window.go("/about")
    window.page.emulate_media(media="print")
    assert not window.page.locator(".top").is_visible()
    assert not window.page.get_by_role("button", name="Reset everything").is_visible()
    assert window.page.get_by_role("heading", name="Who is where").is_visible()
