"""Where scenarios are played: a process that makes players, a house for each, and strace, which kills a player at its Nth call."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.ledger import Ledger, Look, Step
from tests.crash.rigs import strace
from tests.interop.house import PATIENCE, ROOT, House, environment, eventually

#: The system calls by which a process changes files. A question mark: not every machine has it.
CALLS = (
    "open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile", "fallocate",
    "truncate", "ftruncate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir", "fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "utimensat", "fchmod", "fchmodat", "chmod",
)  # fmt: skip
TRACED = ",".join(f"?{call}" for call in CALLS)
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Point:
    """The *number*th *call* of a thread when the scenario is played so; *thread* counts from 0, in the order in which they were made."""

    way: str
    thread: int
    call: str
    number: int
    what: str = ""

    def __str__(self) -> str:
        return f"{self.way}, thread {self.thread}, {self.call} number {self.number}: {self.what}"


class Player:
    """One child of the stage, and what it says."""

    def __init__(self, stage: Path, order: str, config: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(stage))
        self._lines = self._socket.makefile("rb")
        self.has_trouble = False  # of ours: what it says of its failure then is no news
        self.say([order, str(config)])

    def say(self, line: Any) -> None:
        self._socket.sendall(json.dumps(line).encode() + b"\n")

    def events(self) -> Iterator[tuple[str, list[Any]]]:
        """(name, arguments) of everything it says, until it ends or is killed."""
        with self._socket, self._lines:
            for line in self._lines:
                if line.endswith(b"\n"):
                    name, *args = json.loads(line, object_hook=_rich)
                    if name == "failed":
                        assert self.has_trouble, args
                    else:
                        yield name, args


def _rich(value: dict[str, Any]) -> Any:
    if "step" in value:
        return Step(*value["step"])
    if "set" in value:
        return frozenset(value["set"])
    return {int(key): item for key, item in value.items()}


Event = tuple[str, list[Any]]


def tell(ledger: Ledger, events: Iterable[Event]) -> list[Event]:
    """Let *ledger* hear of *events*; those events."""
    heard = []
    for name, args in events:
        if name == "wrote":
            ledger.wrote(args[0].encode())
        elif name != "ended":
            getattr(ledger, name)(*args)
        heard.append((name, args))
    return heard


class Stage:
    """See the module note. *folder* is the test's own; the scenario's beginning is prepared in it once, and copied for each play."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "stage"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.scenario", str(self._path)], cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL
        )
        eventually(self._path.exists, "the stage is open", PATIENCE)
        self._before = House(self._subfolder("before"))
        self._past = tell(Ledger(), Player(self._path, "prepare", self._before.config).events())
        assert self._past[-1][0] == "ended"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _subfolder(self, name: str) -> Path:
        path = self._folder / name
        path.mkdir()
        return path

    @contextlib.contextmanager
    def house(self, ledger: Ledger) -> Iterator[House]:
        """A house as it is before the scenario, of which *ledger* knows; gone afterwards."""
        tell(ledger, self._past)
        place = self._subfolder("now")
        try:
            shutil.copytree(self._before.data, place / "data", symlinks=True)
            yield House(place)
        finally:
            shutil.rmtree(place)

    @contextlib.contextmanager
    def house_at(self, place: Path, ledger: Ledger) -> Iterator[House]:
        """The same below *place*, whose folder `data` is a disk; the disk is empty afterwards."""
        tell(ledger, self._past)
        data = place / "data"
        shutil.copytree(self._before.data, data, symlinks=True, dirs_exist_ok=True)
        os.sync()
        yield House(place)
        for path in data.iterdir():
            if path.name != "lost+found":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def play_until(self, house: House, ledger: Ledger, way: str, event: int, then: Callable[[], None]) -> bool:
        """Play the scenario until so many events have been heard of; then the player dies, just after *then*. Did it come so far?"""
        player = Player(self._path, way, house.config)
        heard = pid = 0
        for name, args in player.events():
            if name == "ready":
                pid = args[0]
                player.say("go")
                continue
            tell(ledger, [(name, args)])
            heard += bool(pid) and name != "ended"
            if heard == event and pid:
                player.has_trouble = True
                then()
                with contextlib.suppress(ProcessLookupError):  # it had no more to do and has ended while *then* went on
                    os.kill(pid, signal.SIGKILL)
                event = 0
        return not event

    def play(self, house: House, ledger: Ledger, point: Point) -> bool:
        """Play the scenario in *house* in the way of *point*, at which the player dies. Did it?"""
        inject = f"inject={point.call}:signal=KILL:when={point.number}"
        options = ("-o", os.devnull, "-e", f"trace={point.call}", "-e", inject)
        return self._play(house, ledger, point.way, lambda _, threads: strace("-p", str(threads[point.thread]), *options))

    def points(self, house: House, ledger: Ledger, way: str) -> list[Point]:
        """Play it to its end: every call by which it changes a file in *house*, in the order in which they come."""
        record = self._folder / "calls"
        known: list[int] = []

        def recording(pid: int, threads: list[int]) -> contextlib.AbstractContextManager[Any]:
            known.extend(threads)
            return strace("-f", "-y", "-p", str(pid), "-o", str(record), "-e", f"trace={TRACED}")

        assert not self._play(house, ledger, way, recording)
        return list(_points(record.read_text("utf-8", "replace"), str(house.data), known, way))

    def _play(self, house: House, ledger: Ledger, way: str, watched: Callable[[int, list[int]], Any]) -> bool:
        """Play the scenario; was the player killed?"""
        player = Player(self._path, way, house.config)
        events = player.events()
        for name, args in events:
            if name == "ready":
                with watched(*args):
                    player.say("go")
                    heard = tell(ledger, events)
                return heard[-1:] != [("ended", [])]
            tell(ledger, [(name, args)])
        raise AssertionError("the player was never ready")

    def play_on(self, house: House, ledger: Ledger, order: str) -> None:
        """A new process does more, and nobody kills it."""
        assert tell(ledger, Player(self._path, order, house.config).events())[-1] == ("ended", [])

    def shown(self, house: House, ledger: Ledger) -> dict[tuple[str, str], Look]:
        """What a store shows that is opened now."""
        view = {}
        for name, args in Player(self._path, "look", house.config).events():
            if name == "shows":
                account, folder, uidvalidity, uidnext, found = args
                where = f"{account} {folder}"
                messages = {uid: (ledger.identify(body.encode("latin-1"), where), frozenset(flags)) for uid, (body, flags) in found.items()}
                view[account, folder] = Look(uidvalidity, uidnext, messages)
        return view


def _points(record: str, data: str, threads: list[int], way: str) -> Iterator[Point]:
    """The points in strace's notes (`-f -y`) at which one of *threads*, which were there at the beginning, changes something in *data*."""
    counted: Counter[tuple[int, str]] = Counter()
    for found in _LINE.finditer(record):
        thread, call = int(found["thread"]), found["call"]
        counted[thread, call] += 1
        changes = data in found["rest"] and not (call == "openat" and "O_RDONLY" in found["rest"])
        if changes and thread in threads:
            yield Point(way, threads.index(thread), call, counted[thread, call], found["rest"].replace(data, "")[:160])
