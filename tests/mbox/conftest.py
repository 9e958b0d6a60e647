"""A house with mbox files, and a store in it."""

from __future__ import annotations

import pytest

from tests.mbox.house import House


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    for store in made.stores:
        store.close()


@pytest.fixture
def store(house):
    return house.store()
