"""What somebody learns who guesses at names and passwords of a running server: nothing, not even by a clock.

PROBES=1000 makes it 2 x 1000 probes, as `make timing` does.
"""

from __future__ import annotations

import base64
import itertools
import os
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.interop.conftest import hash_of_password
from tests.interop.house import PASSWORD, House, eventually, folder, running

PROBES = int(os.environ.get("PROBES", "10"))
AT_ONCE = 4  # few enough for answers that come after two seconds, and no later because others are compared
#: Seconds by which the medians may differ: those of a few, on a machine that does much else, by more.
ALLOWED = 0.005 if PROBES >= 1000 else 0.05
ATTEMPTS = 3
PATIENCE = 30.0
USERS = 20  # for the other test; the rest of the accounts is for the probes

#: service: (what is said before, the line that guesses).
WAYS = {
    "imap": ([], 'a LOGIN "{login}" {guess}'),
    "pop3": (["USER {login}"], "PASS {guess}"),
    "submission": (["EHLO me.test"], "AUTH PLAIN {plain}"),
}


@pytest.fixture(scope="module")
def house():
    """A server with PROBES and more accounts, of which one is disabled."""
    hashed = hash_of_password()
    accounts = "\n".join(f"user{number}@blue.test:{hashed}" for number in range(PROBES * ATTEMPTS + USERS))
    with folder() as place, running(House(place, more=f"[users]\nsource = passwd:{place}/passwd sqlite\n")) as house:
        (place / "passwd").write_text(accounts + "\n")
        house.twistmail("user", "add", "off@blue.test", "--password-stdin", stdin="a-right-password\n")
        house.twistmail("user", "disable", "off@blue.test")
        eventually(lambda: _probe(house, "pop3", f"user{PROBES * ATTEMPTS + 1}", 1, PASSWORD)[0].startswith("+OK"), "the accounts are read")
        yield house


def _probe(house: House, service: str, login: str, number: int, password: str = "a-wrong-guess") -> tuple[str, float]:
    """One guess, from an address of its own: the answer, and the seconds that it took."""
    before, line = WAYS[service]
    source = (f"127.1.{number >> 8}.{(number & 255) or 1}", 0)
    with socket.create_connection(("127.0.0.1", house.port(service)), PATIENCE, source_address=source) as peer:
        peer.recv(4096)
        for one in before:
            peer.sendall(one.format(login=login).encode() + b"\r\n")
            peer.recv(4096)
        plain = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        asked = line.format(login=login, guess=password, plain=plain).encode() + b"\r\n"
        began = time.perf_counter()
        peer.sendall(asked)
        said = peer.recv(4096).decode("latin-1")
        return said, time.perf_counter() - began


def _medians(house: House, attempt: int) -> tuple[float, float]:
    """The seconds that a wrong password and an unknown user take, from PROBES of each, which take turns; all answers are the same."""

    def guess(number: int) -> tuple[str, float]:
        pair, is_unknown = divmod(number, 2)
        return _probe(house, "imap", f"{'nobody' if is_unknown else 'user'}{pair}", 256 + number)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        results = list(threads.map(guess, range(attempt * 2 * PROBES, (attempt + 1) * 2 * PROBES)))
    assert {said for said, _ in results} == {results[0][0]}
    wrong, unknown = (statistics.median(seconds for _, seconds in results[half::2]) for half in (0, 1))
    print(f"{PROBES} of each: {wrong * 1000:.2f} ms for a wrong password, {unknown * 1000:.2f} ms for an unknown user")  # noqa: T201
    return wrong, unknown


def test_a_wrong_password_and_an_unknown_user_take_as_long_and_say_the_same(house) -> None:
    """Where other programs keep the machine busy, few probes may differ by chance: but not each time."""
    assert any(abs(wrong - unknown) <= ALLOWED for wrong, unknown in (_medians(house, attempt) for attempt in range(ATTEMPTS)))


LOGINS = (
    "user{n}", "user{n}@blue.test", "nobody{n}", "nobody{n}@blue.test", "user{n}@elsewhere.test", "../etc/passwd{n}", "%s%n{n}",
    "*)(uid=*{n}", "'--{n}", "{n}" + "x" * 200,
)  # fmt: skip


def test_whoever_is_refused_does_not_learn_why(house) -> None:
    """Neither by any protocol nor by any name, nor does the owner of an account that is disabled by his right password."""
    probes = [(way, login.format(n=PROBES * ATTEMPTS + 2 + at), "a-wrong-guess") for at, way in enumerate(WAYS) for login in LOGINS]
    probes += [("imap", "off", "a-wrong-guess"), ("pop3", "off", "a-right-password")]
    with ThreadPoolExecutor(len(probes)) as threads:
        services, logins, passwords = zip(*probes, strict=True)
        answered = threads.map(partial(_probe, house), services, logins, itertools.count(60_000), passwords)
        said = [answer for answer, _ in answered]
    for way in WAYS:
        answers = {login: answer for (one, login, _), answer in zip(probes, said, strict=True) if one == way}
        assert len(set(answers.values())) == 1, answers
