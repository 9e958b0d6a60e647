from __future__ import annotations

import sqlite3
import stat

import pytest
from twisted.logger import globalLogPublisher

from tests.helpers import result_of
from twistmail import tasks
from twistmail.relay.mtasts import parse
from twistmail.relay.route import Host
from twistmail.relay.terms import Finding, Level, Policy
from twistmail.relay.tlsbook import KeptPolicy, TlsBook, summed
from twistmail.relay.tlsmemory import DAY, UNSEEN, TlsMemory

NOW = 1_800_000_000.0
HOST = Host("mx.far.test", "192.0.2.1", 25)
POLICY = parse(b"version: STSv1\nmode: enforce\nmx: mx.far.test\nmax_age: 604800\n")


class World:
    """A memory over a file, that can be closed and opened again."""

    def __init__(self, path):
        self.path, self.now = path, NOW
        self.memory = TlsMemory(TlsBook(path), lambda: self.now)

    def again(self):
        self.memory.close()
        self.memory = TlsMemory(TlsBook(self.path), lambda: self.now)

    def write(self):
        result_of(self.memory.write(tasks.Inline(), 30 * DAY))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "tls.sqlite")
    yield made
    made.memory.close()


@pytest.mark.parametrize("restart", [False, True], ids=["at-once", "after-a-restart"])
def test_a_server_keeps_the_best_that_it_has_shown(world, restart):
    for level in (Level.ENCRYPTED, Level.VERIFIED, Level.ENCRYPTED, Level.PLAIN):
        world.memory.saw("far.test", "mx.far.test", level)
        if restart:
            world.again()
    assert world.memory.owed("far.test", "mx.far.test") is Level.VERIFIED
    (seen,) = world.memory.seen("far.test")
    assert (seen.level, seen.since) == (Level.VERIFIED, NOW)


@pytest.mark.parametrize(("known", "owed"), [
    pytest.param({}, Level.PLAIN, id="nobody-is-known"),
    pytest.param({"a": Level.VERIFIED}, Level.VERIFIED, id="all-were-good"),
    pytest.param({"a": Level.VERIFIED, "b": Level.ENCRYPTED}, Level.ENCRYPTED, id="one-was-weaker"),
])
def test_what_a_server_owes_that_we_have_not_met(world, known, owed):
    """As much as the weakest that is known of its domain: whoever forges the DNS must not get away with a new name."""
    for host, level in known.items():
        world.memory.saw("far.test", host, level)
    assert world.memory.owed("far.test", "new.far.test") is owed
    assert world.memory.owed("other.test", "a") is Level.PLAIN


def test_what_is_still_as_good_is_noted_seldom(world):
    world.memory.saw("far.test", "mx", Level.ENCRYPTED)
    world.write()
    for world.now in (NOW + 60, NOW + 3600):
        world.memory.saw("far.test", "mx", Level.ENCRYPTED)
    assert not world.memory._news
    world.now = NOW + DAY
    world.memory.saw("far.test", "mx", Level.ENCRYPTED)
    world.write()
    (seen,) = world.memory.seen("far.test")
    assert (seen.since, seen.last) == (NOW, NOW + DAY)


def test_a_policy_outlives_a_restart_as_long_as_it_holds(world):
    world.memory.keep(KeptPolicy("far.test", "1", POLICY, NOW, NOW))
    world.again()
    assert world.memory.policy("far.test").policy == POLICY
    world.now = NOW + 604801
    assert world.memory.policy("far.test") is None
    assert world.memory.policies() == ()


def test_a_clock_that_was_far_ahead_does_not_keep_a_policy_for_ever(world):
    world.memory.keep(KeptPolicy("far.test", "1", POLICY, NOW + 10 * DAY, NOW))
    assert world.memory.policy("far.test") is None


def test_results_add_up_by_day_and_kind(world):
    sts, none = Policy("far.test", "sts", POLICY.lines, POLICY.patterns), Policy("far.test")
    for _ in range(3):
        world.memory.count(sts, HOST, Finding("TLSv1.3", "MTA-STS"), "")
        world.write()
    for _ in range(2):
        world.memory.count(sts, HOST, Finding("TLSv1.3", fault="expired", source="192.0.2.9"), "certificate-expired")
    world.memory.count(none, HOST, Finding(), "starttls-not-supported")
    world.now = NOW + DAY
    world.memory.count(sts, HOST, Finding("TLSv1.3", "MTA-STS"), "")
    world.again()
    found = world.memory.book.results("2027-01-01")
    assert sorted((result.day, result.result, count) for result, count in found) == [
        ("2027-01-15", "", 3), ("2027-01-15", "certificate-expired", 2), ("2027-01-15", "starttls-not-supported", 1), ("2027-01-16", "", 1)]
    expired = next(result for result, _ in found if result.result == "certificate-expired")
    assert (expired.host, expired.address, expired.source, expired.reason) == ("mx.far.test", "192.0.2.1", "192.0.2.9", "expired")
    assert summed(found) == {"far.test": (4, 3)}


def test_what_is_outdated_is_taken_out_once_a_day(world):
    world.memory.saw("old.test", "mx", Level.ENCRYPTED)
    world.memory.count(Policy("old.test"), HOST, Finding("TLSv1.3"), "")
    world.memory.keep(KeptPolicy("old.test", "1", POLICY, NOW, NOW))
    world.write()
    world.now = NOW + UNSEEN + DAY
    world.write()
    assert world.memory.book.seen() == ()
    assert world.memory.book.results("2000-01-01") == ()
    assert world.memory.book.policies() == ()


def test_a_domain_can_be_forgotten_also_what_is_not_written_yet(world):
    world.memory.saw("far.test", "a", Level.ENCRYPTED)
    world.write()
    world.memory.saw("far.test", "b", Level.VERIFIED)
    world.memory.keep(KeptPolicy("far.test", "1", POLICY, NOW, NOW))
    world.memory.saw("other.test", "mx", Level.ENCRYPTED)
    assert result_of(world.memory.forget(("far.test", "unknown.test"), tasks.Inline())) == 1
    world.again()
    assert world.memory.seen("far.test") == ()
    assert world.memory.policy("far.test") is None
    assert world.memory.owed("other.test", "mx") is Level.ENCRYPTED


def test_nobody_else_may_look(world):
    world.memory.saw("far.test", "mx", Level.ENCRYPTED)
    world.write()
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


def test_a_book_that_cannot_be_used_holds_up_nothing_and_is_told_once(tmp_path):
    told = []
    globalLogPublisher.addObserver(observer := lambda event: told.append(event.get("log_format")))
    try:
        path = tmp_path / "tls.sqlite"
        path.write_bytes(b"this is no database at all, but long enough to look like something" * 10)
        world = World(path)
        for _ in range(3):
            world.memory.saw("far.test", "mx", Level.ENCRYPTED)
            world.write()
            assert world.memory.owed("far.test", "mx") is Level.ENCRYPTED
        assert len([format for format in told if format and "cannot be used" in format]) == 1
        path.unlink()
        world.write()
        assert [one.host for one in TlsBook(path).seen()] == ["mx"]
    finally:
        globalLogPublisher.removeObserver(observer)


def test_what_a_later_version_has_made_is_not_touched(world):
    world.memory.saw("far.test", "mx", Level.ENCRYPTED)
    world.write()
    with sqlite3.connect(world.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(sqlite3.DatabaseError, match="later twistmail"):
        world.memory.book.forget(("far.test",))
