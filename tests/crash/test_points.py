"""A kill at every system call that changes a file: whatever was acknowledged before it is there after it, and nothing is half.

strace counts the calls of a scenario once, then the scenario is played anew for
each of them, and that thread is killed as it enters that call. Every day a part
of the points, drawn by the seed; all of them by `make crash`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from tests.crash.ledger import Ledger
from tests.crash.rigs import fewer, is_whole, quick_place
from tests.crash.stage import Point, Stage
from tests.crash.witness import by_walk, same
from tests.interop.house import folder
from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.verify import verify_account

pytestmark = pytest.mark.client("strace")
SOME, FEW = 60, 30


@pytest.fixture
def stage():
    with folder(where=quick_place()) as place:
        made = Stage(place)
        yield made
        made.close()


@pytest.mark.parametrize(("way", "some"), [("cold", SOME), ("warm", SOME), ("crowd", FEW)])
def test_a_kill_at_each_call_breaks_no_promise(stage, way, some, record_property):
    ledger = Ledger()
    with stage.house(ledger) as house:
        points = stage.points(house, ledger, way)
        judge(stage, house, ledger)
    ledger.expect_nothing_said("without a kill")
    dice = random.Random(os.environ.get("CRASH_SEED", "1"))
    tried = points if is_whole() else dice.sample(points, min(fewer(some), len(points)))
    began = time.monotonic()
    missed = sum(not killed_at(stage, point) for point in tried)
    seconds = time.monotonic() - began
    kinds = ", ".join(f"{call} {number}" for call, number in Counter(point.call for point in tried).most_common())
    record_property("figures", f"{len(tried)} of {len(points)} calls, {missed} of them not met again, {seconds:.0f} s ({kinds})")
    assert len(points) > 100
    assert missed <= max(1, len(tried) // 20)


def killed_at(stage: Stage, point: Point) -> bool:
    """Whether the scenario came to *point*; AssertionError where a promise is broken."""
    ledger = Ledger()
    with stage.house(ledger) as house:
        killed = stage.play(house, ledger, point)
        by_walk(house.data, ledger)  # nothing half for other programs, either
        if point.way == "crowd":
            stage.play_on(house, ledger, "again")  # before anybody has looked
        judge(stage, house, ledger)
        judge(stage, house, ledger)
    ledger.expect_nothing_said(f"killed at {point}")
    return killed


def judge(stage: Stage, house, ledger: Ledger) -> None:
    """What a new process shows, what lies there then, and what `verify` says of it."""
    view = stage.shown(house, ledger)
    ledger.judge(view)
    walked = by_walk(house.data, ledger)
    for where in sorted({*view, *walked}):
        same(ledger, where, view.get(where), walked.get(where))
    for account in sorted({account for account, _ in walked}):
        name, _, domain = account.partition("@")
        tree = FolderTree(house.data / "mail" / domain / name, (), Surroundings(time.time, os.urandom, lambda: b""))
        for anomaly in verify_account(tree, account, time.time(), deep=True).anomalies:
            if anomaly.severity.value != "note":
                ledger.complain(f"verify: {anomaly}")
