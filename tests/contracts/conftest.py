"""Each kind of mail store, new and empty; whoever asks for `store`, `mailboxes` or `inbox` is asked of all of them."""

from __future__ import annotations

import pytest

from tests.contracts.mailstores import ALICE, KINDS, SharedHouse
from tests.helpers import result_of


@pytest.fixture(params=KINDS)
def house(request, tmp_path):
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def bare(house):
    """For what a store promises, but not what users are given of it where mailboxes are shared."""
    if isinstance(house, SharedHouse):
        pytest.skip("users are given something else")


@pytest.fixture
def store(house):
    return house.running


@pytest.fixture
def mailboxes(store):
    return result_of(store.mailboxes(ALICE))


@pytest.fixture
def inbox(mailboxes):
    return result_of(mailboxes.open("INBOX"))
