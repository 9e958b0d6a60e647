"""Who may call for whose mail (RFC 1985)."""

from __future__ import annotations

import pytest

from twistmail.interfaces import Pickup
from twistmail.networks import NETWORKS
from twistmail.relay.pickups import Pickups
from twistmail.relay.routes import ROUTE_OPTIONS

NO, NOT_YOU = Pickup(served=False), Pickup(allowed=False)


@pytest.fixture
def called():
    return []


@pytest.fixture
def pickups(called):
    def collect(domain, *, below=False):
        called.append((domain, below))
        return 3

    kept = ROUTE_OPTIONS.defaults(hold=True, etrn_from=NETWORKS.read("192.0.2.0/24"))
    nobody = ROUTE_OPTIONS.defaults(hold=True)
    routes = {"part.test": kept, ".campus.test": kept, "usual.test": ROUTE_OPTIONS.defaults(), "shut.test": nobody}
    return Pickups(routes, collect)


@pytest.mark.parametrize(("node", "address", "answer", "started"), [
    pytest.param("part.test", "192.0.2.7", Pickup(3), [("part.test", False)], id="its-own-server"),
    pytest.param("PART.test.", "192.0.2.7", Pickup(3), [("part.test", False)], id="however-it-is-written"),
    pytest.param("part.test", "::ffff:192.0.2.7", Pickup(3), [("part.test", False)], id="over-IPv6"),
    pytest.param("part.test", "198.51.100.1", NOT_YOU, [], id="somebody-else"),
    pytest.param("part.test", "unix", NOT_YOU, [], id="a-socket"),
    pytest.param("shut.test", "192.0.2.7", NOT_YOU, [], id="nobody-may"),
    pytest.param("usual.test", "192.0.2.7", NO, [], id="not-kept"),
    pytest.param("other.test", "192.0.2.7", NO, [], id="not-ours"),
    pytest.param("a.part.test", "192.0.2.7", NO, [], id="only-the-domain-itself"),
    pytest.param("@part.test", "192.0.2.7", Pickup(3), [("part.test", True)], id="and-all-below"),
    pytest.param("math.campus.test", "192.0.2.7", Pickup(3), [("math.campus.test", False)], id="one-of-many"),
    pytest.param("@campus.test", "192.0.2.7", Pickup(3), [("campus.test", True)], id="all-of-many"),
    pytest.param("@campus.test", "198.51.100.1", NOT_YOU, [], id="all-of-many-for-somebody-else"),
    pytest.param("#part.test", "192.0.2.7", NO, [], id="a-queue"),
    pytest.param("no domain", "192.0.2.7", NO, [], id="nonsense"),
    pytest.param("@", "192.0.2.7", NO, [], id="nothing"),
])  # fmt: skip
def test_a_call(pickups, called, node, address, answer, started):
    assert pickups.call(node, address) == answer
    assert called == started


def test_whose_mail_is_kept(pickups):
    kept = [name for name in ("part.test", "a.part.test", "math.campus.test", "campus.test", "usual.test") if pickups.keeps(name)]
    assert kept == ["part.test", "math.campus.test"]
    assert pickups.any
    assert not Pickups({"usual.test": ROUTE_OPTIONS.defaults()}, None).any
