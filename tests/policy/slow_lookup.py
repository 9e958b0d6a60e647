"""A DNS in memory whose answers come when the test says so, or on a fake clock."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from twistmail import tasks
from twistmail.memory.lookup import MemoryLookup, Zone


class SlowLookup(MemoryLookup):
    """`delays`: name (or the end of one, ".zone") -> seconds on `clock` until it answers; a Deferred there is awaited."""

    def __init__(self, clock: Any, names: Zone | None = None) -> None:
        super().__init__(names)
        self.clock = clock
        self.delays: dict[str, float | Deferred[None]] = {}

    async def ipv4(self, host: str) -> tuple[str, ...]:
        await self._wait(host)
        return await super().ipv4(host)

    async def addresses(self, host: str) -> tuple[str, ...]:
        await self._wait(host)
        return await super().addresses(host)

    async def mx(self, domain: str) -> tuple[tuple[int, str], ...]:
        await self._wait(domain)
        return await super().mx(domain)

    async def txt(self, name: str) -> tuple[bytes, ...]:
        await self._wait(name)
        return await super().txt(name)

    async def pointer(self, address: str) -> tuple[str, ...]:
        await self._wait(address)
        return await super().pointer(address)

    async def _wait(self, name: str) -> None:
        for end, delay in self.delays.items():
            if name == end or name.endswith("." + end):
                if isinstance(delay, Deferred):
                    await delay
                else:
                    await tasks.sleep(self.clock, delay)
                return
