"""Which MTA-STS policy holds, on a fake clock, with a web server that is a function."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from tests.helpers import result_of
from twistmail import tasks
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.mtasts import LONGEST_POLICY
from twistmail.relay.stsfetch import INVALID, NOT_FETCHED, Unfetched
from twistmail.relay.stspolicies import AFTER_FAILURE, FRESH, UNUSED, StsPolicies
from twistmail.relay.tlsbook import TlsBook
from twistmail.relay.tlsmemory import TlsMemory

NOW = 1_800_000_000.0
WEEK = 604800.0


def policy(mode="enforce", age=WEEK):
    return b"version: STSv1\nmode: %b\nmx: mx.far.test\nmax_age: %d\n" % (mode.encode(), age)


class World:
    def __init__(self, path):
        self.now, self.path = NOW, path
        self.lookup = MemoryLookup({"_mta-sts.far.test": {"TXT": [b"v=STSv1; id=1;"]}})
        self.served = policy()
        self.fetched = []
        self.begin()

    def begin(self):
        self.memory = TlsMemory(TlsBook(self.path), lambda: self.now)
        self.policies = StsPolicies(self.lookup, self.fetch, self.memory, lambda: self.now)

    async def fetch(self, domain):
        self.fetched.append(domain)
        if isinstance(self.served, Exception):
            raise self.served
        if isinstance(self.served, Deferred):
            return await self.served
        return self.served

    def record(self, text):
        self.lookup.names["_mta-sts.far.test"] = {"TXT": [text] if text else []}

    def ask(self):
        return result_of(self.policies.of("far.test"))

    def mode(self):
        found = self.ask().policy
        return found.mode if found else None


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "tls.sqlite")
    yield made
    made.memory.close()


def test_a_policy_is_fetched_once_and_kept_over_a_restart(world):
    assert [world.mode() for _ in range(3)] == ["enforce"] * 3
    world.memory.close()
    world.begin()
    assert world.mode() == "enforce"
    assert world.fetched == ["far.test"]


def test_another_id_means_another_policy(world):
    world.mode()
    world.record(b"v=STSv1; id=2;")
    world.served = policy("testing")
    assert world.mode() == "testing"
    assert len(world.fetched) == 2


@pytest.mark.parametrize("stop", [
    pytest.param(lambda world: world.record(b""), id="the-record-is-gone"),
    pytest.param(lambda world: world.record(b"v=STSv1; id=!"), id="the-record-is-broken"),
    pytest.param(lambda world: world.lookup.broken.add("_mta-sts.far.test"), id="the-dns-is-silent"),
    pytest.param(lambda world: (world.record(b"v=STSv1; id=2;"), setattr(world, "served", Unfetched(NOT_FETCHED, "no"))),
                 id="the-web-server-is-away"),
    pytest.param(lambda world: (world.record(b"v=STSv1; id=2;"), setattr(world, "served", b"<html>")), id="the-new-policy-is-nonsense"),
])
def test_nobody_in_between_can_switch_off_a_policy_that_holds(world, stop):
    """RFC 8461 §3.3, §10.2."""
    world.mode()
    stop(world)
    assert world.mode() == "enforce"
    world.now += WEEK + 1
    assert world.mode() is None


def test_without_a_record_nothing_is_fetched(world):
    world.record(b"")
    assert world.mode() is None
    assert world.fetched == []


@pytest.mark.parametrize(("served", "kind"), [
    pytest.param(Unfetched(NOT_FETCHED, "connection refused"), NOT_FETCHED, id="not-there"),
    pytest.param(b"version: STSv2\n", INVALID, id="nonsense"), pytest.param(b"mx: a\n" * LONGEST_POLICY, INVALID, id="too-long"),
])
def test_a_first_policy_that_cannot_be_had_holds_up_no_mail_and_is_not_asked_for_at_once_again(world, served, kind):
    world.served = served
    for _ in range(3):
        found = world.ask()
        assert (found.policy, found.kind) == (None, kind)
        assert found.trouble
    assert len(world.fetched) == 1
    world.now += AFTER_FAILURE + 1
    world.served = policy()
    assert world.mode() == "enforce"


def test_a_policy_of_none_ends_what_was(world):
    world.mode()
    world.record(b"v=STSv1; id=2;")
    world.served = b"version: STSv1\nmode: none\nmax_age: 86400\n"
    assert world.mode() == "none"


def test_those_who_ask_together_share_one_fetch(world):
    world.served = Deferred()
    waiting = [tasks.shielded(world.policies.of("far.test")) for _ in range(5)]
    found = []
    for one in waiting:
        one.addCallback(found.append)
    world.served.callback(policy())
    assert [one.policy.mode for one in found] == ["enforce"] * 5
    assert len(world.fetched) == 1


def test_what_is_in_use_is_fetched_anew_once_a_day(world):
    """RFC 8461 §3.3: who holds up the refresh for a day must do so until the policy runs out."""
    world.mode()
    assert result_of(world.policies.refresh()) == 0
    world.now += FRESH + 1
    world.served = policy("testing")
    assert result_of(world.policies.refresh()) == 1
    assert world.mode() == "testing"
    world.now += FRESH + 1
    world.served = Unfetched(NOT_FETCHED, "no")
    assert result_of(world.policies.refresh()) == 0
    assert world.mode() == "testing"


def test_what_nobody_needs_any_more_runs_out(world):
    world.served = policy(age=31_557_600)
    world.mode()
    world.now += UNUSED + 1
    assert result_of(world.policies.refresh()) == 0
    assert len(world.fetched) == 1
    assert world.mode() == "enforce"
    assert result_of(world.policies.refresh()) == 1
