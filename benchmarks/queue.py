"""The queue as it becomes long: `python -m benchmarks.queue [10000 100000] [--waiting 50000] [--folder DIR]`.

For each length: how long a start takes to read the spool, what one message more costs then (through a real committer; the
lengths take turns, so that a busy machine is as busy for each of them), and the memory of each message that waits. Then:
the processor time of a runner whose messages all wait for their next try.

Everything runs in processes of their own, and all is removed at the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twistmail import disk, tasks
from twistmail.facts import Facts
from twistmail.mail.address import Address
from twistmail.mail.bounds import Bounds
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Outcome, Postponed, Result
from twistmail.mail.schedule import Schedule
from twistmail.mail.status import Status
from twistmail.mailflow import Dispatch
from twistmail.queue import records
from twistmail.queue.reports import House
from twistmail.queue.runner import Circumstances, Runner
from twistmail.queue.spool import Spool

PREFIX = b"Received: from pc.blue.test (pc.blue.test [192.0.2.7])\r\n\tby mx.blue.test with ESMTPSA id 6k3fa2-9akq; today\r\n"
CONTENT = Memory(b"From: ann@blue.test\r\nSubject: bench\r\n\r\n" + b"a line of text that is long enough to look like one\r\n" * 40)
BUSY = Status(451, "4.4.1", "No server of that domain can be reached: connection refused")
#: Messages of one turn of `costs`, and turns.
ROUND, ROUNDS = 400, 7
AT_A_TIME = 8
ENDLESS = 1 << 40
#: So many names has the content of one file.
SHARED = 1000
#: Seconds for which the runner is watched while everything waits.
WATCHED = 10.0


def item(number: int, now: float) -> Item:
    to = Address(f"user{number % 7919}", f"host{number % 500}.far.test")
    return Item(f"{number:06x}-abcd", Address(f"ann{number % 50}", "blue.test"), (Errand(Target(Kind.REMOTE, to, to)),), now + number / 1e6,
                len(PREFIX) + CONTENT.size, PREFIX, f"ann{number % 50}@blue.test", "8BITMIME")  # fmt: skip


def fill(root: Path, count: int, now: float) -> None:
    """A spool as a server would leave it whose messages have been tried once."""
    ready = root / "ready"
    ready.mkdir(parents=True, mode=0o700)
    shared = ready
    for number in range(count):
        one = item(number, now)
        tried = Outcome(one.errands[0].target, Result.DEFERRED, BUSY, "mx.far.test [192.0.2.25]:25")
        lines = (records.written(one), records.event_written(tried), records.event_written(Postponed(now + 86_400.0)))
        (ready / f"{one.id}.envelope").write_bytes(b"".join(lines))
        if number % SHARED:
            os.link(shared, ready / f"{one.id}.content")
        else:
            shared = ready / f"{one.id}.content"
            shared.write_bytes(CONTENT.data)


def resident() -> int:
    """Octets of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# ----- in a process of its own, on a reactor


async def start(reactor: Any, root: Path) -> tuple[Spool, dict[str, float]]:
    """An opened spool; how long that took, and what each message has cost."""
    gc.collect()
    before, began, spent = resident(), time.monotonic(), time.process_time()
    spool = Spool(root, disk.Committer(reactor), tasks.Threads(reactor, "bench", 4), Bounds(messages=ENDLESS))
    items = await spool.recover()
    took, spent = time.monotonic() - began, time.process_time() - spent
    gc.collect()
    return spool, {"messages": len(items), "start_s": took, "start_cpu_s": spent, "octets_each": (resident() - before) / max(1, len(items))}


async def add(spool: Spool, numbers: range) -> float:
    """Seconds that each of so many submissions took, some at a time; they are gone again at the end."""
    left, items = list(numbers), [item(number, time.time()) for number in numbers]

    async def some() -> None:
        while left:
            await spool.add(items[left.pop() - numbers.start], CONTENT)

    began = time.monotonic()
    await tasks.gather(*(some() for _ in range(AT_A_TIME)))
    took = time.monotonic() - began
    await tasks.gather(*(spool.remove(one.id) for one in items))
    return took / len(numbers)


async def costs(reactor: Any, folder: Path, lengths: list[int]) -> dict[str, Any]:
    """What each start cost, and the median cost of an addition beside so many."""
    spools, told = {}, {}
    for length in lengths:
        spools[length], told[str(length)] = await start(reactor, folder / str(length))
    took: dict[int, list[float]] = {length: [] for length in lengths}
    for turn in range(ROUNDS):
        for length in random.sample(lengths, len(lengths)):
            first = 10_000_000 + turn * ROUND
            took[length].append(await add(spools[length], range(first, first + ROUND)))
    for length in lengths:
        told[str(length)]["add_ms"] = statistics.median(took[length]) * 1000
    for spool in spools.values():
        _close(spool)
    return told


async def waiting(reactor: Any, root: Path) -> dict[str, float]:
    """Processor time, in seconds of each second, of a runner all of whose messages wait."""

    async def nobody(address: Address) -> tuple[Target, ...]:
        return ()

    spool, told = await start(reactor, root)
    house = House("mx.blue.test", Address("postmaster", "blue.test"), nobody, iter(()), spool.threads)
    spool.recover = _already(spool)  # type: ignore[method-assign]
    runner = Runner(spool, Dispatch({}), Schedule(warn_after=None), house, Circumstances(reactor, random.random, Facts()))
    began = time.process_time()
    await runner.start()
    scheduled = time.process_time() - began
    await tasks.sleep(reactor, 1.0)
    began = time.process_time()
    await tasks.sleep(reactor, WATCHED)
    spent = time.process_time() - began
    await runner.stop()
    _close(spool)
    return told | {"schedule_cpu_s": scheduled, "share_of_a_core": spent / WATCHED}


def _already(spool: Spool) -> Any:
    async def recovered() -> tuple[Item, ...]:
        return spool.items()

    return recovered


def _close(spool: Spool) -> None:
    spool.committer.stop()
    spool.threads.stop()
    spool.stop()


def inside(what: str, folder: Path, lengths: list[int]) -> None:
    from twisted.internet import reactor as the_reactor

    reactor: Any = the_reactor

    async def told() -> None:
        result = await (costs(reactor, folder, lengths) if what == "costs" else waiting(reactor, folder / str(lengths[0])))
        sys.stdout.write(json.dumps(result))
        sys.stdout.flush()

    reactor.callWhenRunning(lambda: tasks.start(told(), "the benchmark").addBoth(lambda _: reactor.stop()))
    reactor.run()
    os._exit(0)  # threads of a run that has failed do not end by themselves


# ----- outside


def asked(what: str, folder: Path, *lengths: int) -> Any:
    words = [sys.executable, "-m", "benchmarks.queue", "--inside", what, "--folder", str(folder), *map(str, lengths)]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lengths", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--waiting", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.inside:
        inside(wanted.inside, wanted.folder, wanted.lengths)
        return
    say = sys.stdout.write
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        folder, lengths = Path(name), [0, *wanted.lengths]
        for length in {*lengths, wanted.waiting}:
            fill(folder / str(length), length, time.time())
        told = asked("costs", folder, *lengths)
        for length in lengths:
            one = told[str(length)]
            say(f"{length:>7} wait: start {one['start_s']:.2f} s ({one['start_cpu_s']:.2f} s of processor time), ")
            say(f"{one['octets_each']:.0f} octets of memory each, one more takes {one['add_ms']:.3f} ms ")
            say(f"({one['add_ms'] / told['0']['add_ms'] - 1:+.0%} to an empty queue)\n")
        one = asked("waiting", folder, wanted.waiting)
        say(f"{wanted.waiting:>7} deferred: {one['share_of_a_core']:.2%} of a core while all wait, ")
        say(f"{one['schedule_cpu_s']:.2f} s to schedule them at the start\n")


if __name__ == "__main__":
    main()
