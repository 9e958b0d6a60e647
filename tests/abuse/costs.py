"""What a server spends on somebody."""

from __future__ import annotations

import os
from pathlib import Path

from tests.interop.house import House

#: Seconds of CPU, and octets of memory, that any one request may cost.
MOST_CPU = 1.0
MOST_MEMORY = 24 * 1024 * 1024  # 4 MiB a session, and what Python's allocator keeps of a 35 MB message on its way

#: Seconds that clients wait: wrong passwords from one address are answered later and later, up to 15 s, and a login at which
#: many guess is looked at up to 15 s later.
PATIENCE = 60


class Costs:
    """What the server's process has used since: `cpu` in seconds, `memory` in octets."""

    def __init__(self, house: House) -> None:
        assert house.process is not None
        self._folder = Path("/proc") / str(house.process.pid)
        self._cpu, self._memory = self._used()

    def _used(self) -> tuple[float, int]:
        words = (self._folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((self._folder / "statm").read_text().split()[1])
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def are_bounded(self) -> bool:
        cpu, memory = self._used()
        self.said = f"{cpu - self._cpu:.2f} s, {(memory - self._memory) / 1048576:.1f} MiB"
        return cpu - self._cpu <= MOST_CPU and memory - self._memory <= MOST_MEMORY
