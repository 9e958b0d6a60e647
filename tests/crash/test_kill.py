"""kill -9 under load, again and again: what was acknowledged is there, whole, in its folder and with its UID, and nothing else is.

The kernel lives on, so whatever a system call has done is done: flags and
removals that were acknowledged hold, too.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.crash import witness
from tests.crash.ledger import Ledger
from tests.crash.load import HOUSEHOLD, Load
from tests.crash.rigs import chosen, dying
from tests.interop.house import House, folder, running

ROUNDS, WHOLE = 50, 200
#: At which the whole server is killed, in turn.
CALLS = ("renameat", "pwrite64", "fdatasync", "openat", "linkat", "unlinkat", "fsync", "rename", "syncfs", "utimensat")


@pytest.fixture
def house() -> Iterator[House]:
    with folder() as place:
        house = House(place, more=HOUSEHOLD)
        yield house
        if house.process and house.process.poll() is None:
            house.stop()


def test_no_promise_is_broken(house, record_property):
    ledger = Ledger()
    in_doubt = 0
    for number, seed, where in chosen(ROUNDS, WHOLE):
        house.start()
        witness.agree(house, ledger)
        ledger.expect_nothing_said(where)
        work_until_killed(house, ledger, seed, rests=number % 8 == 7)
        in_doubt += ledger.in_doubt
        look_at_the_dead(house, ledger, thoroughly=number % 10 == 0)
        ledger.expect_nothing_said(where)
    with running(house):
        witness.agree(house, ledger)
        check_queue(house)
        house.twistmail("verify", "--deep")
    ledger.expect_nothing_said(where)
    record_property(
        "figures", f"{number + 1} kills, {ledger.promises} promises kept, {in_doubt} in flight, {ledger.found} messages at the end"
    )
    assert ledger.promises > 20 * (number + 1), "there was no load"
    assert "Traceback" not in house.log  # of all its lives


@pytest.mark.client("strace")
def test_a_kill_at_a_call_of_the_whole_server_breaks_no_promise(house, record_property):
    """The moments that chance seldom meets: as one of the server's threads enters a system call that changes files."""
    ledger = Ledger()
    died = Counter()
    for _, seed, where in chosen(len(CALLS), 8 * len(CALLS)):
        call = CALLS[died.total() % len(CALLS)]
        house.start()
        witness.agree(house, ledger)
        load = Load.on(house, ledger, seed)
        with dying(house.process, call, random.Random(seed).randint(1, 40)):
            load.start()
            with contextlib.suppress(subprocess.TimeoutExpired):  # too few of these calls: then at some other moment
                house.process.wait(3)
        house.kill()
        load.end()
        died[call] += 1
        look_at_the_dead(house, ledger, thoroughly=False)
        ledger.expect_nothing_said(f"{call}, {where}")
    with running(house):
        witness.agree(house, ledger)
        house.twistmail("verify", "--deep")
    ledger.expect_nothing_said(where)
    record_property("figures", f"{died.total()} kills at {len(CALLS)} calls, {ledger.promises} promises kept")


def work_until_killed(house: House, ledger: Ledger, seed: str, *, rests: bool) -> None:
    load = Load.on(house, ledger, seed)
    load.work(random.Random(seed), rests=rests)
    house.kill()
    load.end()


def look_at_the_dead(house: House, ledger: Ledger, *, thoroughly: bool) -> None:
    """No file that other programs would take for a message is half; what `twistmail verify` knows of is no worse than that."""
    witness.by_walk(house.data, ledger)
    if thoroughly:
        house.twistmail("verify", "--deep")


def check_queue(house: House) -> None:
    rows = [json.loads(line) for line in house.twistmail("queue", "list", "--json", "--limit", 100_000).splitlines()]
    assert rows
    assert all([to["address"] for to in row["to"] if to["state"] in ("waiting", "deferred")] == ["carol@green.test"] for row in rows)
    assert list(house.data.glob("drafts/*")) == []
