"""Fixtures that many tests want."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from twisted.logger import LogLevel, globalLogPublisher

from tests import daemons

# How long an example takes says more of the machine than of the code. EXAMPLES: how many are tried where a test does not say.
settings.register_profile("any machine", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "100")))
settings.load_profile("any machine")

#: Files that take a minute and more, the longest first: begun at the end, one of them would keep a single worker busy after the others.
LONGEST = (
    "crash/test_kill.py", "crash/test_points.py", "crash/test_power.py", "crash/test_queue.py", "interop/test_soak.py",
    "crash/test_trouble.py", "consistency/test_consistency.py", "interop/test_queue.py",
)  # fmt: skip
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first (workers keep this order with --no-loadscope-reorder)."""
    place = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Every warning and error that is logged during the test, as text."""
    events: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.warn:
            events.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[daemons.Daemon]:
    """PostgreSQL on loopback, for the whole run."""
    must_be_there(("initdb", "postgres", "psql"), "psycopg")
    with daemons.postgresql() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def mariadb() -> Iterator[daemons.Daemon]:
    """MariaDB on loopback, for the whole run."""
    must_be_there(("mariadb-install-db", "mariadbd", "mariadb"), "pymysql")
    with daemons.mariadb() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def openldap() -> Iterator[daemons.Daemon]:
    """OpenLDAP on loopback, for the whole run."""
    must_be_there(("slapd", "ldapadd", "ldapsearch"), "ldap3")
    with daemons.openldap() as daemon:
        yield daemon


def must_be_there(programs: tuple[str, ...], module: str) -> None:
    """Skip the test where one of the *programs* or the Python *module* is missing; with REQUIRE_CLIENTS=1 that is a failure."""
    missing = [name for name in programs if daemons.program(name) is None]
    missing += [module] if importlib.util.find_spec(module) is None else []
    if missing and os.environ.get("REQUIRE_CLIENTS") == "1":
        pytest.fail(f"{' '.join(missing)}: not installed, and REQUIRE_CLIENTS=1", pytrace=False)
    if missing:
        pytest.skip(f"{' '.join(missing)}: not installed")
