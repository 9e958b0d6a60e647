"""A server that can crash: everything that it was about to do is not done, and nothing of it reaches its disk any more.

As by kill -9, but within a process that lives on. Connections are reset. What threads are at is ended (a crash a moment later),
what waits for them goes no further (`tasks.Threads.stop`), and the disk as it is at that moment is what the next server finds:
it is copied, because objects of the dead one may still hold files open.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from twisted.application.service import Service

from twistmail import tasks
from twistmail.service import MailService

#: Copies that are made before one counts though something has changed meanwhile.
ATTEMPTS = 20


class MortalService(MailService):
    """A MailService that leaves the process's signals alone, for there may be several in it, and imports what it needs when it needs it."""

    def _heed_signals(self) -> None:
        pass

    def _import_late(self) -> None:
        pass

    async def crash(self, remains: Path) -> None:
        """Die now; *remains*: a folder that there is not yet, where the disk is to be found. Returns when the ports are free.
        OSError where there is no room for that; it is dead all the same.

        All but the waiting for the ports is done before this is first left, in one turn of the reactor.
        """
        Service.stopService(self)
        closing = self._hang_up()
        try:
            self._end(remains)
        finally:
            await tasks.gather(*map(tasks.awaiting_any, closing))

    def _end(self, remains: Path) -> None:
        foundation = self.foundation
        runner: Any = foundation.runner
        tasks.start(runner.stop(0), "a crash")
        for threads in (foundation.ground.threads, foundation.hashing):
            threads.stop()
        foundation.ground.committer.stop()
        try:
            _copy(self.config.data_dir, remains)
        finally:
            foundation.close()
            os.close(self._home)

    def _hang_up(self) -> list[Any]:
        """Nobody can connect, and who was connected finds the connection reset. What tells when the ports are free."""
        for call in self._ticking:
            call.stop()
        ports = (*self._ports.values(), self._control, self._desk, self._door)
        closing = [port.stopListening() for port in ports if port is not None]
        self._ports.clear()
        self.listeners.clear()
        for pool in self._pools.values():
            for pump in tuple(pool.pumps):
                pump.transport.abortConnection()
        return closing


def _copy(folder: Path, to: Path) -> None:
    """As it is at one moment: the store has a thread of its own, so a copy during which something has changed is made again.

    OSError, and nothing lies at *to*, where there is no room for it.
    """
    for attempt in range(ATTEMPTS):
        is_last = attempt == ATTEMPTS - 1
        try:
            before = _state(folder)
            shutil.copytree(folder, to, symlinks=True, ignore=_sockets)
            if is_last or _state(folder) == before:
                return
        except OSError:  # a file has gone while it was looked at (shutil.Error: of those in it)
            if is_last:
                shutil.rmtree(to, ignore_errors=True)
                raise
        shutil.rmtree(to, ignore_errors=True)


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): ((known := path.lstat()).st_size, known.st_mtime_ns) for path in sorted(folder.rglob("*"))}


def _sockets(folder: str, names: list[str]) -> set[str]:
    """Those of *names* that are sockets: they go with the process."""
    return {name for name in names if (Path(folder) / name).is_socket()}
