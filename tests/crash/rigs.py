"""What tests of crashes stand on: rounds and their seeds, disks that can be pulled out, and programs that die at the Nth call."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Octets of memory that a house or a disk may take.
MUCH = 1024 * 1024 * 1024


def is_whole() -> bool:
    """Is this `make crash`, which takes its time?"""
    return os.environ.get("CRASH") == "whole"


def fewer(rounds: int) -> int:
    """All where REQUIRE_CLIENTS=1; some where somebody waits for `make test`."""
    return rounds if os.environ.get("REQUIRE_CLIENTS") == "1" else max(1, rounds // 5)


def quick_place() -> Path | None:
    """Where files are only in memory, and a sync costs nothing: enough where only processes die. None: too little room."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        return None
    room = os.statvfs(memory)
    return memory if room.f_bavail * room.f_frsize > MUCH else None


@contextlib.contextmanager
def strace(*options: str) -> Iterator[None]:
    """strace, attached to a running process; it lets go of it at the end."""
    tracer = subprocess.Popen(["strace", *options], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert tracer.stderr
        said = tracer.stderr.readline()
        if b"not permitted" in said:
            pytest.skip("one process may not trace another here")
        assert b"attached" in said, said
        yield
    finally:
        tracer.terminate()
        try:
            tracer.communicate(timeout=3)
        except subprocess.TimeoutExpired:  # it waits for a thread of a process that is gone already
            tracer.kill()
            tracer.communicate()


@contextlib.contextmanager
def failing(process: subprocess.Popen[bytes], calls: str, error: str, when: str = "1+") -> Iterator[None]:
    """While the *calls* (separated by commas) of all threads of *process* fail with *error*. *when*: as strace counts, for each thread."""
    with strace("-f", "-p", str(process.pid), "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"):
        yield


@contextlib.contextmanager
def dying(process: subprocess.Popen[bytes], call: str, number: int) -> Iterator[None]:
    """Within, *process* is killed where one of its threads makes its *number*th *call*."""
    with strace("-f", "-p", str(process.pid), "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"):
        yield


def chosen(rounds: int, whole: int) -> Iterator[tuple[int, str, str]]:
    """(number, seed, how to do this one again) of each round: *rounds* of them every day, *whole* by `make crash`.

    CRASH_SEED and CRASH_ROUNDS choose others.
    """
    first = int(os.environ.get("CRASH_SEED", "1"))
    for number in range(int(os.environ.get("CRASH_ROUNDS", whole if is_whole() else fewer(rounds)))):
        yield number, f"{first}.{number}", f"round {number} (CRASH_SEED={first} CRASH_ROUNDS={number + 1})"
