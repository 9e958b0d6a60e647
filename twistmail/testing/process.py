"""A classroom in a process of its own: started within a second, on ports that are free, gone with the test that began it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twistmail.testing.classroom import Classroom

#: Seconds in which it has to be there, and that it has for saying goodbye.
START, STOP = 30.0, 15.0


class NotStarted(AssertionError):
    """The classroom did not start; says what it said."""


@contextmanager
def classroom(offices: int = 3, keep: Path | None = None) -> Iterator[Classroom]:
    """A running classroom with the first one, two or three *offices*. *keep*: a folder that its files stay in. NotStarted."""
    command = [sys.executable, "-m", "twistmail.testing.serve", "--offices", str(offices), *(["--keep", str(keep)] if keep else [])]
    # its standard input is its life line: when we are gone, however that came, it ends too
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Classroom(_url(process))
    finally:
        _end(process)


def _url(process: subprocess.Popen[bytes]) -> str:
    """Where it listens, as its first line says."""
    assert process.stdout is not None
    line, end = b"", time.monotonic() + START
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n") and (left := end - time.monotonic()) > 0 and selector.select(left):
            octets = os.read(process.stdout.fileno(), 4096)
            if not octets:
                break
            line += octets
    try:
        return str(json.loads(line)["url"])
    except (ValueError, KeyError, TypeError):
        process.kill()
        _, said = process.communicate()
        raise NotStarted(f"the classroom did not start: {(line + said).decode('utf-8', 'replace').strip()}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=STOP)  # closes its standard input
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
