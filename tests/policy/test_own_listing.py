"""Our own addresses in the lists that we ask about others."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from twistmail.memory.lookup import MemoryLookup
from twistmail.policy import own_listing
from twistmail.policy.dnslists import ADDRESSES, LISTS, lists
from twistmail.policy.own_listing import DAY, OwnListing

ZONE = {
    "2.0.0.127.zen.test": {"A": ["127.0.0.2"]},
    "1.100.51.198.zen.test": {"A": ["127.0.0.4"], "TXT": [b"seen in a trap"]},
}
OURS = frozenset({"127.0.0.1", "::1", "10.1.2.3", "fe80::1", "198.51.100.1", "198.51.100.2"})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    class Log:
        def error(self, text: str, **more: Any) -> None:
            lines.append(text.format(**more))

    monkeypatch.setattr(own_listing, "log", Log())
    return lines


def test_that_we_are_listed_is_told_once_a_day(told: list[str]) -> None:
    clock = Clock()
    lookup = MemoryLookup(ZONE)
    own = OwnListing(lists(LISTS.read("zen.test"), ADDRESSES, lookup, clock, timeout=5.0), lambda: OURS, clock)
    own.look()
    own.look()
    assert told == ["our own address 198.51.100.1 is listed by zen.test 127.0.0.4: seen in a trap"]
    asked = [name for name, _ in lookup.asked]
    assert "2.100.51.198.zen.test" in asked
    assert not [name for name in asked if name.startswith(("3.2.1.10", "1.0.0.0"))], "nobody outside knows these"
    clock.advance(DAY)
    own.look()
    assert len(told) == 2


def test_without_lists_nobody_looks() -> None:
    OwnListing((), lambda: pytest.fail("no list, no question"), Clock()).look()
