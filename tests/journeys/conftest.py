"""`build`: makes houses and closes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.journeys.house import House


@pytest.fixture
def build(tmp_path, monkeypatch) -> Iterator[Callable[..., House]]:
    """build(more="") is a running House; `more` are further lines of its configuration."""
    houses: list[House] = []

    def make(more: str = "") -> House:
        folder = tmp_path / f"house-{len(houses)}"
        folder.mkdir()
        houses.append(House(folder, monkeypatch, more))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def house(build) -> House:
    """A running House with the usual configuration."""
    return build()
