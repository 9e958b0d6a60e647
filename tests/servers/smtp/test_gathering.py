"""Content on its way in: what waits in memory costs about what it weighs, however it was cut."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.helpers import result_of
from twistmail.servers.smtp.gathering import IN_MEMORY, Gathering


@pytest.mark.parametrize("size", [pytest.param(2, id="two-octets-at-a-time"), pytest.param(5, id="five-octets-at-a-time")])
def test_tiny_pieces_cost_no_more_than_their_octets(size: int) -> None:
    gathering = Gathering(None, None)
    tracemalloc.start()
    try:
        for at in range(0, IN_MEMORY - size, size):
            assert result_of(gathering.add(at.to_bytes(size, "big", signed=False) if size > 2 else (at % 65536).to_bytes(2, "big"))) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * IN_MEMORY
    content = result_of(gathering.finish())
    assert content.size == len(range(0, IN_MEMORY - size, size)) * size
    gathering.discard()
