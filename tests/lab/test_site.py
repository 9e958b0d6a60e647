"""The classroom's pages together: navigation, assets, events."""

from __future__ import annotations

import json
import pkgutil
import re

import pytest

from tests.lab.towns import PaperTown
from tests.web.visits import Connection
from twistmail.lab import site as sites
from twistmail.web.routes import NotFound
from twistmail.web.templates import Renderer


@pytest.fixture
def town() -> PaperTown:
    return PaperTown()


@pytest.fixture
def browser(town: PaperTown) -> Connection:
    return Connection(sites.make(town))


def test_the_map_is_the_first_page_and_names_every_office(browser):
    page = browser.ask("GET", "/")
    assert page.code == 200
    for name in ("blue.test", "green.test", "red.test"):
        assert name in page.body


def test_every_asset_that_a_page_names_is_there_and_kept_by_the_browser(browser):
    named = set(re.findall(r'"(/assets/[^"]+)"', browser.ask("GET", "/").body))
    assert len(named) == 3
    for path in named:
        assert browser.ask("GET", path).headers["cache-control"] == sites.FOR_EVER


def test_the_favicon_is_there_for_who_asks_without_looking_at_the_page(browser):
    assert browser.ask("GET", "/favicon.ico").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("path", ["/assets/..%2fsite.py", "/assets/nothing.css", "/nowhere", "/m/"])
def test_what_is_not_there_is_not_found(browser, path):
    assert browser.ask("GET", path).code == 404


def test_a_browser_gets_a_page_about_its_problem_and_a_program_a_line(browser):
    assert "<h1>" in browser.ask("GET", "/nowhere", accept="text/html,*/*").body
    assert browser.ask("GET", "/nowhere").body == "There is no such page.\n"


def test_events_are_told_by_kind_with_their_numbers(town, browser):
    browser.send(b"GET /events?kinds=queue HTTP/1.1\r\nHost: localhost\r\n\r\n")
    town.ring.add("blue", "queue", "one", {"state": "queued"})
    town.ring.add("blue", "line", "one", {"text": "EHLO"})
    town.reactor.advance(1)
    told = browser.heard().decode()
    assert "id: 1\nevent: queue\n" in told
    assert "EHLO" not in told
    assert json.loads(re.search("data: (.*)", told).group(1))["state"] == "queued"


def test_a_stream_goes_on_where_the_page_or_the_browser_was(town):
    for number in range(5):
        town.ring.add("blue", "queue", "one", {"state": str(number)})
    site = sites.make(town)
    asked = Connection(site).send(b"GET /events?after=3 HTTP/1.1\r\nHost: localhost\r\n\r\n").decode()
    resumed = Connection(site).send(b"GET /events?after=1 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 4\r\n\r\n").decode()
    assert re.findall(r"id: (\d+)", asked) == ["4", "5"]
    assert re.findall(r"id: (\d+)", resumed) == ["5"]


def test_the_table_of_pages_says_how_all_their_paths_begin(town):
    town.lan = object()  # some pages are there for a class only
    assert sorted(sites.PAGES) == sorted(module.name for module in pkgutil.iter_modules(sites.pages.__path__))
    for name, firsts in sites.PAGES.items():
        patterns = [route.pattern for route in sites.routes_of(name, town, Renderer((), lambda asked: {}))]
        assert {pattern.split("/")[1] for pattern in patterns} == set(firsts), name


def test_everything_that_the_navigation_names_is_there(town):
    routes = sites.make(town).routes
    assert [path for _, path in sites.NAVIGATION if isinstance(routes.find("GET", path), NotFound)] == []
