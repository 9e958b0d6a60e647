"""What the control socket is told about encryption: the verbs over parts that are made here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.control import Refusal
from twistmail.mail.status import Status
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.route import Host, Route
from twistmail.relay.terms import Finding, Level, Policy
from twistmail.relay.tlsbook import TlsBook
from twistmail.relay.tlsmemory import TlsMemory
from twistmail.relay.tlspolicy import Rules, TlsPolicies
from twistmail.tls_desk import TlsDesk

NOW = 1_800_000_000.0
HOST = Host("mx.far.test", "192.0.2.1", 25)


class Routes:
    """Everything goes to one server; but for gone.test there is none."""

    def of(self, target, item):
        return Route(target.address.domain)

    async def hosts(self, route):
        return Status(550, "5.1.2", "There is no such mail domain") if route.next_hop == "gone.test" else (HOST,)


@pytest.fixture
def desk(tmp_path):
    memory = TlsMemory(TlsBook(tmp_path / "tls.sqlite"), lambda: NOW)
    lookup = MemoryLookup({"far.test": {"MX": [(1, "mx.far.test")]}, "mx.far.test": {"A": ["192.0.2.1"]},
                           "_25._tcp.mx.far.test": {"TLSA": [(3, 1, 1, bytes(32))]}})
    lookup.signed = {"far.test"}
    memory.saw("far.test", "mx.far.test", Level.VERIFIED)
    memory.count(Policy("far.test"), HOST, Finding(), "starttls-not-supported")
    foundation = SimpleNamespace(tls_memory=memory, threads=tasks.Inline(), ground=SimpleNamespace(epoch=lambda: NOW))
    parts = SimpleNamespace(relay=SimpleNamespace(routes=Routes()), tls_policies=TlsPolicies(lookup, memory, Rules(), None))
    config = {"relay": SimpleNamespace(tls_results_keep=1e9)}
    yield TlsDesk(SimpleNamespace(foundation=foundation, parts=parts, config=config)).verbs()
    memory.close()


def ask(desk, verb, **arguments):
    return result_of(desk[verb](arguments))


def test_what_is_known_is_told_at_once_also_what_was_not_written_yet(desk):
    (row,) = ask(desk, "tls.list")
    assert (row["domain"], row["level"], row["bad"]) == ("far.test", "verified", 1)
    assert ask(desk, "tls.list", domain="other.test") == []


def test_what_would_be_asked_of_a_domain_is_told_with_the_reason_and_not_counted(desk):
    answer = ask(desk, "tls.show", domain="Far.Test")
    (server,) = answer["servers"]
    assert (server["server"], server["tls"], server["records"]) == ("mx.far.test", "dane", ["3 1 1 " + "00" * 32])
    assert "DNSSEC proves it" in server["why"]
    assert answer["known"]["level"] == "verified"
    assert len(ask(desk, "tls.results")) == 1


def test_where_no_server_is_known_that_is_the_answer(desk):
    answer = ask(desk, "tls.show", domain="gone.test")
    assert (answer["servers"], answer["why"]) == ([], "550 5.1.2 There is no such mail domain")


def test_a_domain_is_forgotten(desk):
    assert ask(desk, "tls.forget", domains=["FAR.test", "[relay.test]:587"]) == {"count": 1}
    (row,) = ask(desk, "tls.list")
    assert row["level"] == "plain", "what came of connections is kept"


def test_results_are_rows_or_a_report(desk):
    (row,) = ask(desk, "tls.results", domain="far.test", days=3)
    assert (row["result"], row["server"], row["count"]) == ("starttls-not-supported", "mx.far.test", 1)
    (policy,) = ask(desk, "tls.results", domain="far.test", report=True)
    assert policy["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}


@pytest.mark.parametrize(("verb", "arguments", "words"), [
    pytest.param("tls.show", {}, "which domain", id="show-nothing"),
    pytest.param("tls.show", {"domain": "a..b"}, "a..b", id="show-nonsense"),
    pytest.param("tls.forget", {"domains": []}, "which domains", id="forget-nothing"),
    pytest.param("tls.forget", {"domains": "far.test"}, "which domains", id="forget-no-list"),
    pytest.param("tls.results", {"days": "many"}, "no number", id="days-that-are-none"),
    pytest.param("tls.results", {"days": 10**9}, "no number", id="far-too-many-days"),
])
def test_what_cannot_be_asked(desk, verb, arguments, words):
    with pytest.raises(Refusal, match=words):
        ask(desk, verb, **arguments)
