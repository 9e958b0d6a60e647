"""Servers that the tests of real clients share, and what happens where a client is missing."""

from __future__ import annotations

import os
import shlex
import shutil

import pytest

from tests.interop.house import House, Person, folder, run, running
from tests.interop.mtas import PLACES

SEARCHED = ":".join([os.environ.get("PATH", ""), *PLACES])
PEOPLE = [Person(f"guest{number}") for number in range(600)]
CROWD = [Person("crowd"), *(Person(f"{number}crowd") for number in range(2, 21))]  # the names that smtp-source makes up
ALICE, BOB = Person("alice"), Person("bob")


def pytest_runtest_setup(item):
    """`pytest.mark.client("swaks")`: the program must be there; with REQUIRE_CLIENTS=1 its absence is a failure."""
    for mark in item.iter_markers("client"):
        missing = [name for name in mark.args if shutil.which(name, path=SEARCHED) is None]
        if missing and os.environ.get("REQUIRE_CLIENTS") == "1":
            pytest.fail(f"{' '.join(missing)}: not installed, and REQUIRE_CLIENTS=1", pytrace=False)
        if missing:
            pytest.skip(f"{' '.join(missing)}: not installed")


@pytest.fixture(scope="session")
def offering():
    """A server that serves in clear as well as over TLS. alice and bob live in its database, guests in its configuration."""
    hashed = hash_of_password()
    guests = "\n".join(f"[user:{person.address}]\npassword = {hashed}" for person in (*PEOPLE, *CROWD))
    with folder() as place, running(House(place, more=f"[users]\nsource = sqlite config\n{guests}")) as house:
        house.add(ALICE, BOB)
        house.guests = iter(PEOPLE)
        house.crowd = CROWD
        yield house


def hash_of_password() -> str:
    """The hash of everybody's password, as the administrator's command makes it."""
    with folder() as place:
        return House(place).twistmail("user", "hash", "--password-stdin", stdin=f"{ALICE.password}\n").strip()


@pytest.fixture(scope="session")
def insisting_server():
    """A server that wants TLS before anything else."""
    with folder() as place, running(House(place, tls="required")) as house:
        house.add(ALICE, BOB)
        yield house


@pytest.fixture
def house(offering):
    """The shared server; whatever bug it meets while the test runs fails the test."""
    offering.mark()
    yield offering
    offering.check_log()


@pytest.fixture
def insisting(insisting_server):
    """The shared server that wants TLS."""
    insisting_server.mark()
    yield insisting_server
    insisting_server.check_log()


@pytest.fixture
def alice():
    return ALICE


@pytest.fixture
def bob():
    return BOB


@pytest.fixture
def guest(house):
    """Somebody whose mailbox is empty."""
    return next(house.guests)


@pytest.fixture
def other(house):
    """Somebody else whose mailbox is empty."""
    return next(house.guests)


@pytest.fixture
def place(tmp_path):
    """A folder for what the client keeps; it is also the client's home."""
    return tmp_path


@pytest.fixture
def client(place):
    """Run a client with a home of its own."""

    def call(*command, terminal=False, **rest):
        line = shlex.join(map(str, command))
        words = ("script", "-qefc", line, "/dev/null") if terminal else command  # script(1) lends it a terminal
        return run(*words, cwd=place, HOME=str(place), TERM="xterm", **rest)

    return call
