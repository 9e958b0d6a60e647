"""A process of its own for the connections to other servers, while there is so much to carry that it pays.

One Python uses one core. `Beside` has departures carried in this process, as they
would be without it; when many are under way at once it starts a second one
(`carrying`) and gives them to that, and some quiet minutes later it lets it go. What
cannot travel there (`told`), and whatever comes while there is none, is carried here.

A process that ends by itself, or does not answer any more, costs what was under way
there an attempt (`link`), and the next one is started a while later at the earliest.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import Logger

from twistmail import tasks
from twistmail.mail.departure import Departure
from twistmail.relay.carrier import Carried, Carrier, Ways
from twistmail.relay.link import LOOK_EVERY, Link, Together
from twistmail.relay.route import Route
from twistmail.relay.told import Equipment

log = Logger()

#: So many departures under way at once are worth a process.
MANY = 10
#: Looks in a row at which there was little to do, before it is let go.
QUIET_LOOKS = 10
#: Seconds after one that has ended by itself before the next is started: at first, and at most where that happens again and again.
AGAIN_AFTER, AT_MOST_AFTER = 60.0, 3600.0
#: Seconds for its goodbyes: more than `client.Patience.quit`.
GOODBYE = 15.0

#: What it gets of our environment (names, and beginnings of names): how Python and OpenSSL find what they need, and no secrets.
_PASSED_ON, _PASSED_ON_ALL = ("PATH", "LANG", "TZ", "TMPDIR"), ("PYTHON", "LC_", "LD_", "SSL_", "OPENSSL_")

#: Gives a Link to a new process; it is told whom to call at its end (was it asked to). OSError.
Launch = Callable[[Callable[[bool], None]], Awaitable[Link]]


class Beside:
    """The Carrier that has two. *always*: a process whatever there is to do. `clock`: IReactorTime."""

    def __init__(self, here: Carrier, launch: Launch, clock: Any, *, always: bool = False) -> None:
        self._here = here
        self._launch = launch
        self._clock = clock
        self._always = always
        self._link: Link | None = None
        self._is_launching = self._has_stopped = False
        self._wait = AGAIN_AFTER
        self._not_before = 0.0
        self._under_way = self._busiest = self._quiet = 0
        self._timer: Any = None

    async def carry(self, route: Route, departure: Departure, ways: Ways) -> Carried:
        self._under_way += 1
        self._busiest = max(self._busiest, self._under_way)
        try:
            if self._link is None:
                self._consider()
            elif self._link.is_ready and (carried := await self._link.carry(route, departure, ways)) is not None:
                return carried
            return await self._here.carry(route, departure, ways)
        finally:
            self._under_way -= 1

    async def stop(self) -> None:
        self._has_stopped = True
        await tasks.gather(self._here.stop(), self._let_go())

    # ----- the process

    def _consider(self) -> None:
        """Start one where that is worth it."""
        if self._is_launching or self._has_stopped or not (self._always or self._under_way >= MANY):
            return
        if self._clock.seconds() >= self._not_before:
            self._is_launching = True
            tasks.start(self._begin(), "starting the carrier process")

    async def _begin(self) -> None:
        try:
            link = await self._launch(self._ended)
        except OSError as error:
            log.error("relay: no process can be started for connections, which stay here: {error}", error=error)
            return self._put_off()
        finally:
            self._is_launching = False
        self._link, self._quiet = link, 0
        if self._has_stopped:
            return await self._let_go()
        self._timer = self._clock.callLater(LOOK_EVERY, self._look)
        return None

    def _ended(self, asked: bool) -> None:
        """One has ended; there is no other before it is taken off here."""
        if asked:
            return
        log.error("relay: the process that keeps the connections has ended; the next one is started in {wait:.0f} s at the earliest",
                  wait=self._wait)  # fmt: skip
        self._put_off()
        self._forget()

    def _put_off(self) -> None:
        """No other one for a while, and for longer each time."""
        self._not_before = self._clock.seconds() + self._wait
        self._wait = min(2 * self._wait, AT_MOST_AFTER)

    def _forget(self) -> None:
        self._link = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _let_go(self) -> None:
        if (link := self._link) is not None:
            self._forget()
            await link.stop(GOODBYE)

    def _look(self) -> None:
        """Whether it is still there, and still needed."""
        self._timer = None
        link = self._link
        assert link is not None, "the timer is taken off with the process"
        if not link.heard:
            log.error("relay: the process that keeps the connections does not answer")
            return link.abort()
        link.heard, self._wait = False, AGAIN_AFTER
        link.look()
        self._quiet = 0 if self._always or self._busiest >= MANY else self._quiet + 1
        self._busiest = self._under_way
        if self._quiet >= QUIET_LOOKS:
            tasks.start(self._let_go(), "letting the carrier process go")
        else:
            self._timer = self._clock.callLater(LOOK_EVERY, self._look)
        return None


# ----- how it is started


def launcher(reactor: Any, equipment: Equipment, threads: Any, together: Together = nullcontext) -> Launch:
    """A Launch of real processes. *threads*: what starts them (tasks.Threads). *together*: see `Link`."""

    async def launch(ended: Callable[[bool], None]) -> Link:
        ours, process = await threads.run(_start)
        with ours:
            link = Link(equipment, reactor, lambda asked: _over(reactor, process, ended, asked), together)
            factory = Factory.forProtocol(lambda: link)
            factory.noisy = False
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        return link

    return launch


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Our end, and the process that has the other one and nothing else of ours; the same Python, and the same twistmail."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    environment = environment_of(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(os.path.isabs, sys.path))}
    with theirs:
        words = [sys.executable, "-P", "-m", "twistmail.relay.carrying", str(theirs.fileno())]
        try:
            process = subprocess.Popen(words, pass_fds=(theirs.fileno(),), cwd="/", env=environment, stdin=subprocess.DEVNULL)
        except BaseException:
            ours.close()
            raise
    ours.setblocking(False)
    return ours, process


def environment_of(ours: Mapping[str, str]) -> dict[str, str]:
    """What the process gets of *ours*."""
    return {name: value for name, value in ours.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_ALL)}


def _over(reactor: Any, process: subprocess.Popen[bytes], ended: Callable[[bool], None], asked: bool) -> None:
    """The connection has ended: the process is, or has to be, at its end."""
    if process.poll() is None:
        process.kill()
    _reap(reactor, process)
    ended(asked)


def _reap(reactor: Any, process: subprocess.Popen[bytes]) -> None:
    """Take note that *process* has ended, so that nothing stays of it."""
    if process.poll() is None:
        reactor.callLater(0.2, _reap, reactor, process)
