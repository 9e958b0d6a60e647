"""What one expansion costs: a plain user, a user with a suffix, an alias, and a list of ten thousand. CPU time; no file, no network.

    python -m benchmarks.expansion
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from twistmail import tasks
from twistmail.expansion import Expansion
from twistmail.mail.address import Address
from twistmail.memory.people import MemoryAliases, MemoryPeople

MEMBERS = 10_000


def house() -> Expansion:
    """Everybody is called user0 to user9999; `everybody` leads to all of them."""
    people = MemoryPeople({f"user{number}@blue.example": "" for number in range(MEMBERS)})
    aliases = MemoryAliases({
        "everybody@blue.example": [f"user{number}" for number in range(MEMBERS)],
        "info@blue.example": ["user1"],
    })  # fmt: skip
    return Expansion(aliases, people, frozenset({"blue.example"}), "blue.example", limit=MEMBERS, clock=time.monotonic)


def seconds_of(ask: Callable[[Address], Coroutine[Any, Any, Any]], addresses: list[Address]) -> float:
    """CPU seconds for each of *addresses*, asked anew."""
    begin = time.process_time()
    for address in addresses:
        tasks.shielded(ask(address))
    return (time.process_time() - begin) / len(addresses)


def main() -> None:
    expansion = house()
    for what, names in (
        ("a plain user", [f"user{number}" for number in range(MEMBERS)]),
        ("a user with a suffix", [f"user{number}+list" for number in range(MEMBERS)]),
        ("an alias of one", ["info"] * MEMBERS),
        (f"a list of {MEMBERS}", ["everybody"]),
    ):
        took = seconds_of(expansion.survey, [Address(name, "blue.example") for name in names])
        sys.stdout.write(f"{what:24} {took * 1e6:12,.1f} us\n")
    took = seconds_of(expansion.explain, [Address("user1", "blue.example")] * MEMBERS)
    sys.stdout.write(f"{'remembered':24} {took * 1e6:12,.1f} us\n")


if __name__ == "__main__":
    main()
