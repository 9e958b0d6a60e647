"""A little of everything for every target: octets at random, and what is meant to be read, with something wrong in it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS


def test_each_target_has_a_beginning() -> None:
    assert set(SEEDS) == set(TARGETS)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(TARGETS)), data=st.binary(max_size=300))
def test_octets_at_random(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_is_almost_right(name: str) -> None:
    chance = random.Random(name)
    for seed in SEEDS[name]:
        TARGETS[name](seed)
        for _ in range(300):
            TARGETS[name](mutated(seed, chance))


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """*seed* with some of it changed, doubled, taken out or put elsewhere."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.choices(range(len(data) + 1), k=2))
        match chance.randrange(5):
            case 0:
                data[at:at] = bytes([chance.choice((0, 9, 10, 13, 32, 34, 46, 58, 60, 62, 64, 92, 127, 128, 255))])
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * chance.randint(1, 20)
            case 3:
                data[at:end] = chance.randbytes(end - at)
            case _:
                data[at:at] = chance.choice((b"\r\n", b"999999999999", "ü".encode(), b"\r\n.\r\n", b"=?utf-8?q?x?="))
    return bytes(data)
