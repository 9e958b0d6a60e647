"""Which handler answers which path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.web.page import Route
from twistmail.web.routes import Found, NotFound, Routes

PATTERNS = ("/", "/m", "/m/export", "/m/{key}", "/m/{key}/{part}", "/files/{rest*}")
ROUTES = Routes([Route("GET", pattern, pattern) for pattern in PATTERNS] + [Route("POST", "/m/{key}", "post")])


@pytest.mark.parametrize(
    ("path", "handler", "names"),
    [
        ("/", "/", {}),
        ("/m", "/m", {}),
        ("/m/export", "/m/export", {}),
        ("/m/3fk2-9a", "/m/{key}", {"key": "3fk2-9a"}),
        ("/m/a%2Fb/c%20d", "/m/{key}/{part}", {"key": "a/b", "part": "c d"}),
        ("/files/a/b/c", "/files/{rest*}", {"rest": "a/b/c"}),
        ("/%6d", "/m", {}),
    ],
)
def test_a_path_finds_its_handler(path, handler, names):
    assert ROUTES.find("GET", path) == Found(handler, names)


@pytest.mark.parametrize("path", ["/m/", "/m/a/", "//", "/nowhere", "/m/a/b/c", "/files/", "/files", "", "/M"])
def test_what_fits_no_pattern_is_not_found(path):
    found = ROUTES.find("GET", path)
    assert found == NotFound() or path == ""


def test_what_fits_with_another_method_says_so():
    assert ROUTES.find("DELETE", "/m/x") == NotFound(("GET", "POST"))


@given(st.text(max_size=50))
def test_every_path_is_found_or_not(path):
    ROUTES.find("GET", path)


def test_more_routes_are_given_when_somebody_first_asks_for_what_begins_like_them():
    asked = []

    def more(first, *patterns):
        asked.append(first)
        return [Route("GET", pattern, pattern) for pattern in patterns]

    later = [(("a", ""), lambda: more("a", "/", "/a/{key}")), (("b", "a"), lambda: more("b", "/b", "/a/there/too"))]
    routes = Routes([Route("GET", "/m", "/m")], later)
    assert routes.find("GET", "/m") == Found("/m", {})
    assert routes.find("GET", "/nowhere") == NotFound()
    assert asked == []
    assert routes.find("GET", "/") == Found("/", {})
    assert asked == ["a"]
    assert routes.find("GET", "/%61/there/too") == Found("/a/there/too", {})
    assert routes.find("POST", "/a/x") == NotFound(("GET",))
    assert asked == ["a", "b"]


def test_routes_that_could_not_be_given_are_asked_for_again():
    gives = [OSError("a disk that does not read"), [Route("GET", "/a", "a")]]

    def more():
        match gives.pop(0):
            case OSError() as error:
                raise error
            case routes:
                return routes

    routes = Routes((), [(("a",), more)])
    with pytest.raises(OSError, match="disk"):
        routes.find("GET", "/a")
    assert routes.find("GET", "/a") == Found("a", {})
