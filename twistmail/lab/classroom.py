"""The classroom as a service: the town, its pages, and the folder in which it lives. For `twistmail demo` and `twistd twistmail --demo`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import CannotListenError

from twistmail import heap, later, tasks, tenancy
from twistmail.lab.greeting import greeting
from twistmail.lab.lan import NoLan, lan_in
from twistmail.lab.offices import OFFICES
from twistmail.lab.site import import_pages, make
from twistmail.lab.town import HERE, Town, Trouble, is_free, other_port

#: Where the pages are, if nobody else is there.
WEB_PORT = 8025
#: Octets: a socket's path has at most 107 (sun_path), and an office's lie in folders like green/data-12.
LONGEST_FOLDER = 107 - len("/green/data-999/control.sock")


def say(text: str) -> None:
    """On the terminal, also where twistd has made a log of what is printed."""
    print(text, file=sys.__stdout__, flush=True)


class Taken(Exception):
    """The folder cannot be had, or another classroom lives in it; in words for people."""


class Classroom(Service):
    """*keep*: a folder that is used and left (None: a temporary one). `address`: of the map, once it is there.

    *address*: of this machine in the LAN, where a class may come in; *roster*: its CSV file.

    `folder`, `lan` and `town` are there once it is started; that raises NoLan, Taken and OSError. Nothing is made or written before:
    twistd gives root up between the two, and what root had made would stay root's.

    *ready* hears of the classroom when everything listens. Whoever runs the reactor hears the same from `failed`: the exit status.
    """

    def __init__(
        self,
        reactor: Any,
        keep: Path | None = None,
        *,
        ready: Callable[[Classroom], None] = lambda classroom: None,
        address: str = "",
        roster: Path | None = None,
    ) -> None:
        self.reactor = reactor
        self.kept = keep is not None
        self.failed = 0
        self.address = ""
        self._keep = keep.absolute() if keep else None
        self._class = (address, roster)
        self._ready = ready
        self._pages: list[Any] = []
        self._home = -1  # a descriptor: while it is open the folder is ours

    def privilegedStartService(self) -> None:
        """Whatever is imported late is imported now where we are root: that is about to be given up."""
        super().privilegedStartService()
        if os.geteuid() == 0:
            later.import_all()
            import_pages()

    def startService(self) -> None:
        self._move_in()
        super().startService()
        self.reactor.callWhenRunning(self._begin)

    def _move_in(self) -> None:
        self.folder = self._keep or Path(tempfile.mkdtemp(prefix="twistmail-demo-"))
        if self.kept and len(os.fsencode(self.folder)) > LONGEST_FOLDER:
            raise Taken(f"{self.folder} is too long a name for the sockets in it; keep the classroom in a folder with a shorter name, "
                        f"of at most {LONGEST_FOLDER} octets")
        try:
            self._home = tenancy.occupy(self.folder)
        except tenancy.Occupied:
            raise Taken(f"another classroom uses {self.folder}; stop that one, or keep this one in another folder") from None
        try:
            address, roster = self._class
            self.lan = lan_in(self.folder, address, OFFICES, roster) if address else None
            self.town = Town(self.folder, self.reactor, lan=self.lan)
        except (NoLan, OSError):
            self._move_out()
            raise

    def _move_out(self) -> None:
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._home)

    def _begin(self) -> None:
        tasks.start(self._start(), "starting the classroom").addBoth(self._begun)

    def _begun(self, _: Any) -> None:
        if not self.address and not self.failed and self.running:
            self._fail("this is a bug in twistmail; the lines above tell where")

    async def _start(self) -> None:
        try:
            await self._open()
        except (Trouble, OSError, CannotListenError) as trouble:
            if self.running:
                self._fail(str(trouble))

    async def _open(self) -> None:
        await self.town.start()
        port = WEB_PORT if is_free(WEB_PORT) else other_port(set(self.town.ports.values()))
        site = make(self.town, gates=(self.town.door,) if self.town.door else ())
        self.town.web_port = port
        places = (HERE, self.lan.address) if self.lan else (HERE,)
        self._pages = [self.reactor.listenTCP(port, site, interface=place) for place in places]
        self.address = f"http://{HERE}:{port}/"
        for line in self.town.moved:
            print(line, file=sys.stderr)  # noqa: T201
        say(greeting(self.town, self.address, kept=self.kept))
        heap.settle()
        self._ready(self)

    def _fail(self, words: str) -> None:
        print(f"error: the classroom does not start: {words}", file=sys.stderr)  # noqa: T201
        self.failed = 1
        self.reactor.stop()

    def stopService(self) -> Any:
        super().stopService()
        return tasks.start(self._stop(), "stopping the classroom")

    async def _stop(self) -> None:
        await tasks.gather(*(tasks.awaiting_any(port.stopListening()) for port in self._pages))
        await self.town.stop()
        self._move_out()
        if self.address:
            say("twistmail demo: stopped" + (f"; the mail is in {self.folder}" if self.kept else ", everything is removed"))
