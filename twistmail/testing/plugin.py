"""Fixtures for pytest. In your conftest.py: `pytest_plugins = ["twistmail.testing.plugin"]`.

`classroom`: three offices, as at the beginning. `office`: one office, the same way. Each is started once for all tests
that want it, and reset before each of them. `--twistmail-url` uses a `twistmail demo` that runs already.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from twistmail.testing.classroom import Classroom
from twistmail.testing.process import classroom as begun


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("twistmail")
    group.addoption("--twistmail-url", metavar="URL", help="Use the classroom that runs at URL (twistmail demo) instead of starting one.")


@pytest.fixture(scope="session")
def running_classroom(pytestconfig: pytest.Config) -> Iterator[Classroom]:
    """Three offices for all tests; nobody clears up between them."""
    if url := pytestconfig.getoption("--twistmail-url", None):
        yield Classroom(url)
        return
    with begun() as classroom:
        yield classroom


@pytest.fixture(scope="session")
def running_office() -> Iterator[Classroom]:
    """One office for all tests; nobody clears up between them."""
    with begun(offices=1) as classroom:
        yield classroom


@pytest.fixture
def classroom(running_classroom: Classroom) -> Classroom:
    """blue.test, green.test and red.test, without mail and whole."""
    running_classroom.reset()
    return running_classroom


@pytest.fixture
def office(running_office: Classroom) -> Classroom:
    """blue.test alone, without mail and whole: the quickest to start."""
    running_office.reset()
    return running_office
