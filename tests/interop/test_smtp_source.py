"""Postfix's smtp-source: many sessions side by side, and not a message lost."""

import pytest

pytestmark = pytest.mark.client("smtp-source")


def test_twenty_sessions_at_a_time(house, client, guest):
    place = f"inet:127.0.0.1:{house.port('mx')}"
    client("/usr/sbin/smtp-source", "-s", 20, "-m", 1000, "-l", 5000, "-f", "eve@red.test", "-t", guest.address, place, timeout=60)
    stored = house.stored(guest)
    assert len(stored) == 1000
    assert min(map(len, stored)) > 5000


def test_many_recipients_at_a_time(house, client):
    place = f"inet:127.0.0.1:{house.port('mx')}"
    client("/usr/sbin/smtp-source", "-s", 5, "-m", 20, "-r", len(house.crowd), "-f", "eve@red.test", "-t", "crowd@blue.test", place)
    assert [len(house.stored(person)) for person in house.crowd] == [20] * len(house.crowd)


def test_somebody_who_does_not_live_here(house, client):
    place = f"inet:127.0.0.1:{house.port('mx')}"
    said = client("/usr/sbin/smtp-source", "-f", "eve@red.test", "-t", "nobody@blue.test", place, expect=1)
    assert "550 5.1.1" in said.stderr
