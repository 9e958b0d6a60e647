"""What is decided for each server, and what is learned of it; DNS, policies and memory are in memory."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay.mtasts import parse
from twistmail.relay.route import Host, Login, Route, Tls
from twistmail.relay.stspolicies import Found
from twistmail.relay.terms import Finding, Level, Terms
from twistmail.relay.tlsbook import TlsBook
from twistmail.relay.tlsmemory import TlsMemory
from twistmail.relay.tlspolicy import DNS_SILENT, NO_RECORDS, NOT_NAMED, TABLE_BROKEN, UNPROVED, Rules, TlsPolicies
from twistmail.relay.tlstable import parse as parse_table

NOW = 1_800_000_000.0
KEY = (3, 1, 1, bytes(32))
ZONE = {
    "far.test": {"MX": [(10, "a.far.test"), (20, "b.far.test")]}, "a.far.test": {"A": ["192.0.2.1"]}, "b.far.test": {"A": ["192.0.2.2"]},
    "alone.test": {"A": ["192.0.2.3"]}, "relay.test": {"A": ["192.0.2.4"]},
}
A, B, ALONE, RELAY = (Host(f"{name}.test", f"192.0.2.{number}", 25) for number, name in enumerate(("a.far", "b.far", "alone", "relay"), 1))
FAR = Route("far.test")


def policy(mode, *servers):
    return parse("\n".join(["version: STSv1", f"mode: {mode}", *(f"mx: {one}" for one in servers), "max_age: 86400"]).encode())


class Sts:
    """What stands for `StsPolicies`: one answer for all."""

    def __init__(self, found):
        self.found, self.asked = found, []

    async def of(self, domain):
        self.asked.append(domain)
        return self.found


class World:
    def __init__(self, folder, *, signed=(), tlsa=None, sts=None, table="", rules=None, trouble=""):
        self.lookup = MemoryLookup(ZONE | {f"_25._tcp.{name}": {"TLSA": list(records)} for name, records in (tlsa or {}).items()})
        self.lookup.signed = set(signed)
        self.memory = TlsMemory(TlsBook(folder / "tls.sqlite"), lambda: NOW)
        self.sts = Sts(Found(sts, trouble, "sts-policy-fetch-error" if trouble else ""))
        lines = parse_table(table)

        async def read():
            return lines

        self.policies = TlsPolicies(self.lookup, self.memory, rules or Rules(), self.sts, (read, "/etc/tls") if table else None)

    def decide(self, route=FAR, hosts=(A, B)):
        return result_of(self.policies.decide(route, hosts))

    def wants(self, route=FAR, hosts=(A, B)):
        """By server: what it has to show, or why it is out."""
        decision = self.decide(route, hosts)
        return {host.name: terms.want for host, terms in decision.hosts} | {host.name: status.text for host, status in decision.out}

    def results(self):
        result_of(self.memory.write(tasks.Inline(), 1e9))
        return [(one.domain, json.loads(one.policy)[0], one.result, one.host, count) for one, count in self.memory.book.results("2000")]


@pytest.fixture
def world(tmp_path):
    made = []

    def make(**how):
        made.append(World(tmp_path, **how))
        return made[-1]

    yield make
    for one in made:
        one.memory.close()


OPPORTUNISTIC, REQUIRED, VERIFIED, DANE, OFF = Tls.OPPORTUNISTIC, Tls.REQUIRED, Tls.VERIFIED, Tls.DANE, Tls.OFF
SIGNED = {"signed": ("far.test",)}
BOTH = {"a.far.test": [KEY], "b.far.test": [KEY]}


@pytest.mark.parametrize(("how", "a", "b"), [
    pytest.param({}, OPPORTUNISTIC, OPPORTUNISTIC, id="nothing-is-known"),
    # DANE
    pytest.param(SIGNED | {"tlsa": BOTH}, DANE, DANE, id="dane"),
    pytest.param({"tlsa": BOTH}, OPPORTUNISTIC, OPPORTUNISTIC, id="dane-without-dnssec-is-nothing"),
    pytest.param(SIGNED | {"tlsa": {"a.far.test": [KEY]}}, DANE, OPPORTUNISTIC, id="dane-for-one-server"),
    pytest.param(SIGNED | {"tlsa": {"a.far.test": [(1, 1, 1, bytes(32))]}}, REQUIRED, OPPORTUNISTIC, id="records-that-cannot-be-used"),
    pytest.param(SIGNED | {"tlsa": BOTH, "rules": Rules(dane=False)}, OPPORTUNISTIC, OPPORTUNISTIC, id="dane-switched-off"),
    pytest.param({"signed": ("a.far.test",), "tlsa": BOTH}, OPPORTUNISTIC, OPPORTUNISTIC, id="the-mx-records-are-not-proved"),
    # MTA-STS
    pytest.param({"sts": policy("enforce", "*.far.test")}, VERIFIED, VERIFIED, id="mta-sts"),
    pytest.param({"sts": policy("enforce", "a.far.test")}, VERIFIED, NOT_NAMED.text, id="mta-sts-names-one-server"),
    pytest.param({"sts": policy("testing", "a.far.test")}, OPPORTUNISTIC, OPPORTUNISTIC, id="mta-sts-testing"),
    pytest.param({"sts": policy("none")}, OPPORTUNISTIC, OPPORTUNISTIC, id="mta-sts-none"),
    pytest.param({"trouble": "it does not answer"}, OPPORTUNISTIC, OPPORTUNISTIC, id="mta-sts-that-cannot-be-fetched"),
    # both: RFC 8461 §2
    pytest.param(SIGNED | {"tlsa": {"a.far.test": [KEY]}, "sts": policy("enforce", "*.far.test")}, DANE, VERIFIED,
                 id="dane-before-mta-sts"),
    pytest.param(SIGNED | {"tlsa": {"a.far.test": [KEY]}, "sts": policy("enforce", "b.far.test")}, DANE, VERIFIED,
                 id="mta-sts-does-not-override-dane"),
    # the table
    pytest.param({"table": "far.test required"}, REQUIRED, REQUIRED, id="table-required"),
    pytest.param({"table": ".test verified"}, VERIFIED, VERIFIED, id="table-for-all-below"),
    pytest.param(SIGNED | {"tlsa": BOTH, "table": "far.test required"}, DANE, DANE, id="what-is-published-asks-for-more"),
    pytest.param(SIGNED | {"tlsa": BOTH, "table": "far.test off", "sts": policy("enforce", "x.test")}, OFF, OFF, id="table-off-is-final"),
    pytest.param(SIGNED | {"tlsa": BOTH, "table": "far.test verified match=mx.test"}, VERIFIED, VERIFIED, id="table-match-is-final"),
    pytest.param(SIGNED | {"tlsa": {"a.far.test": [KEY]}, "table": "far.test dane"}, DANE, f"{NO_RECORDS.text} (/etc/tls:1 says dane)",
                 id="dane-or-nothing"),
])
def test_what_the_servers_of_a_domain_have_to_show(world, how, a, b):
    assert world(**how).wants() == {"a.far.test": a, "b.far.test": b}


@pytest.mark.parametrize(("route", "host", "how", "expected"), [
    pytest.param(Route("alone.test"), ALONE, {"signed": ("alone.test",), "tlsa": {"alone.test": [KEY]}}, DANE,
                 id="a-domain-is-its-own-server"),
    pytest.param(Route("relay.test", use_mx=False), RELAY, {"signed": ("relay.test",), "tlsa": {"relay.test": [KEY]}}, DANE,
                 id="a-server-that-the-operator-wrote-down"),
    pytest.param(Route("relay.test", use_mx=False), RELAY, {"sts": policy("enforce", "x.test")}, OPPORTUNISTIC,
                 id="mta-sts-is-about-mx-records"),
    pytest.param(Route("192.0.2.9", use_mx=False, tls=VERIFIED), Host("192.0.2.9", "192.0.2.9", 25), SIGNED, VERIFIED, id="an-address"),
    pytest.param(Route("relay.test", use_mx=False, port=587), RELAY, {"table": "[relay.test]:587 verified"}, VERIFIED,
                 id="the-table-knows-a-server-and-port"),
    pytest.param(Route("relay.test", use_mx=False, port=587), RELAY, {"table": "relay.test verified"}, VERIFIED, id="or-its-name-alone"),
    pytest.param(Route("far.test", tls=OFF), A, SIGNED | {"tlsa": BOTH}, OFF, id="a-route-without-encryption-is-one"),
])
def test_what_other_servers_have_to_show(world, route, host, how, expected):
    assert world(**how).wants(route, (host,)) == {host.name: expected}


def test_what_a_dane_server_is_measured_by(world):
    ((_, terms),) = world(**SIGNED, tlsa=BOTH).decide(hosts=(A,)).hosts
    assert terms.names == ("a.far.test", "far.test")
    assert [str(one) for one in terms.records] == ["3 1 1 " + "00" * 32]
    assert (terms.checked_by, terms.policy.kind, terms.policy.lines) == ("DANE", "tlsa", ("3 1 1 " + "00" * 32,))
    assert "DNSSEC proves it" in terms.why


def test_what_an_enforced_policy_is_measured_by(world):
    """RFC 8461 §4.1: the name of the server itself."""
    ((_, terms),) = world(sts=policy("enforce", "*.far.test")).decide(hosts=(A,)).hosts
    assert (terms.names, terms.checked_by, terms.policy.kind, terms.policy.patterns) == (("a.far.test",), "MTA-STS", "sts", ("*.far.test",))


def test_what_the_operator_wrote_is_measured_by_that(world):
    key = "ab" * 32
    ((_, terms),) = world(table=f"far.test verified match=mx.test,.net.test key={key}").decide(hosts=(A,)).hosts
    assert terms.names == ("mx.test", ".net.test")
    assert [str(one) for one in terms.records] == [f"3 1 1 {key}"]
    assert terms.checked_by == "line 1 of /etc/tls"


@pytest.mark.parametrize("name", ["far.test", "a.far.test", "_25._tcp.a.far.test"])
def test_while_the_dns_does_not_say_there_is_no_mail_for_that_server(world, name):
    """RFC 7672 §2.1.2: somebody may want us to believe that there are no records."""
    made = world(**SIGNED, tlsa=BOTH)
    made.lookup.broken.add(name)
    assert made.wants(hosts=(A,)) == {"a.far.test": DNS_SILENT.text}


def test_a_table_that_was_never_in_order_holds_up_the_mail(tmp_path):
    async def broken():
        raise Unavailable("it has not been read")

    memory = TlsMemory(TlsBook(tmp_path / "tls.sqlite"), lambda: NOW)
    decision = result_of(TlsPolicies(MemoryLookup(ZONE), memory, Rules(), None, (broken, "/etc/tls")).decide(FAR, (A,)))
    assert decision.out == ((A, TABLE_BROKEN),)


# ----- memory


GOOD, UNCHECKED, PLAIN = Finding("TLSv1.3", "its authority"), Finding("TLSv1.3", fault="unknown authority"), Finding()


@pytest.mark.parametrize(("seen", "rule", "a", "b"), [
    pytest.param({A: UNCHECKED}, Level.ENCRYPTED, REQUIRED, REQUIRED, id="never-in-clear-again"),
    pytest.param({A: GOOD}, Level.ENCRYPTED, REQUIRED, REQUIRED, id="a-certificate-may-change-to-a-worse-one"),
    pytest.param({A: GOOD}, Level.VERIFIED, VERIFIED, VERIFIED, id="unless-the-operator-says-so"),
    pytest.param({A: GOOD, B: UNCHECKED}, Level.VERIFIED, VERIFIED, REQUIRED, id="each-server-by-itself"),
    pytest.param({A: GOOD}, Level.PLAIN, OPPORTUNISTIC, OPPORTUNISTIC, id="no-memory"),
    pytest.param({A: PLAIN}, Level.VERIFIED, OPPORTUNISTIC, OPPORTUNISTIC, id="what-never-encrypted-need-not"),
])
def test_nobody_becomes_worse_in_silence(world, seen, rule, a, b):
    """F096."""
    made = world(rules=Rules(memory=rule))
    for host, finding in seen.items():
        made.policies.note(FAR, host, Terms(OPPORTUNISTIC), finding)
    assert made.wants() == {"a.far.test": a, "b.far.test": b}
    assert made.wants(Route("alone.test"), (ALONE,)) == {"alone.test": OPPORTUNISTIC}


def test_why_it_is_held_up_says_what_to_do(world):
    made = world()
    made.policies.note(FAR, A, Terms(OPPORTUNISTIC), UNCHECKED)
    ((_, terms),) = made.decide(hosts=(A,)).hosts
    assert terms.why == "far.test has encrypted before; if it does so no more: twistmail tls forget far.test"


# ----- REQUIRETLS


STRICT = replace(FAR, tls=VERIFIED, require_tls=True)


@pytest.mark.parametrize(("how", "route", "expected"), [
    pytest.param({}, STRICT, UNPROVED.text, id="nothing-proves-the-servers"),
    pytest.param(SIGNED, STRICT, VERIFIED, id="dnssec-does"),
    pytest.param(SIGNED | {"rules": Rules(dane=False)}, STRICT, VERIFIED, id="also-where-dane-is-not-used"),
    pytest.param(SIGNED | {"tlsa": BOTH}, STRICT, DANE, id="and-dane-checks-them"),
    pytest.param({"sts": policy("enforce", "a.far.test")}, STRICT, VERIFIED, id="mta-sts-does"),
    pytest.param({"sts": policy("testing", "a.far.test")}, STRICT, UNPROVED.text, id="mta-sts-that-is-only-tried-does-not"),
    pytest.param({"trouble": "no answer"}, STRICT, DNS_SILENT.text, id="what-cannot-be-told-now-is-tried-later"),
    pytest.param({}, replace(STRICT, use_mx=False), VERIFIED, id="who-was-written-down-needs-no-proof"),
    pytest.param({"table": "far.test opportunistic", **SIGNED}, STRICT, VERIFIED, id="the-table-does-not-weaken-it"),
])
def test_what_must_be_encrypted_all_the_way(world, how, route, expected):
    """RFC 8689 §4.2.1."""
    assert world(**how).wants(route, (A,)) == {"a.far.test": expected}


EASY = replace(FAR, tls_optional=True)


@pytest.mark.parametrize(("how", "route", "expected"), [
    pytest.param(SIGNED | {"tlsa": BOTH}, EASY, OPPORTUNISTIC, id="dane"),
    pytest.param({"sts": policy("enforce", "x.test")}, EASY, OPPORTUNISTIC, id="mta-sts"),
    pytest.param({"table": "far.test required"}, EASY, REQUIRED, id="but-not-what-our-operator-wants"),
    pytest.param({}, replace(EASY, tls=VERIFIED), VERIFIED, id="also-by-a-route"),
])
def test_a_sender_may_put_arriving_before_what_the_other_domain_publishes(world, how, route, expected):
    """RFC 8689 §3: to tell somebody that his certificate has expired."""
    made = world(**how)
    made.policies.note(FAR, A, Terms(OPPORTUNISTIC), UNCHECKED)
    assert made.wants(route, (A,)) == {"a.far.test": expected}


# ----- what came of it


STS = policy("enforce", "*.far.test")


@pytest.mark.parametrize(("how", "finding", "kind", "result"), [
    pytest.param({}, GOOD, "no-policy-found", "", id="encrypted"),
    pytest.param({}, UNCHECKED, "no-policy-found", "", id="a-certificate-that-nobody-asked-for"),
    pytest.param({}, Finding(fault="none", kind="starttls-not-supported"), "no-policy-found", "starttls-not-supported", id="in-clear"),
    pytest.param({"sts": STS}, GOOD, "sts", "", id="mta-sts-kept"),
    pytest.param({"sts": STS}, Finding("TLSv1.3", fault="old", kind="certificate-expired"), "sts", "certificate-expired",
                 id="mta-sts-broken"),
    pytest.param({"sts": policy("testing", "a.far.test")}, Finding("TLSv1.3", fault="x", kind="certificate-host-mismatch"), "sts",
                 "certificate-host-mismatch", id="mta-sts-testing-is-told-of"),
    pytest.param(SIGNED | {"tlsa": BOTH}, GOOD, "tlsa", "", id="dane-kept"),
    pytest.param(SIGNED | {"tlsa": BOTH}, Finding("TLSv1.3", fault="x", kind="certificate-not-trusted"), "tlsa", "certificate-not-trusted",
                 id="dane-broken"),
])
def test_connections_are_counted_by_policy_and_result(world, how, finding, kind, result):
    """RFC 8460 §4.2, §4.3."""
    made = world(**how)
    ((_, terms),) = made.decide(hosts=(A,)).hosts
    made.policies.note(FAR, A, terms, finding)
    assert made.results() == [("far.test", kind, result, "a.far.test" if result else "", 1)]


@pytest.mark.parametrize(("how", "expected"), [
    pytest.param({"sts": policy("enforce", "x.test")}, ("far.test", "sts", "validation-failure", "a.far.test", 1), id="a-server-not-named"),
    pytest.param({"trouble": "no answer"}, ("far.test", "sts", "sts-policy-fetch-error", "", 1), id="no-policy-to-be-had"),
    pytest.param({"table": "far.test dane"}, ("far.test", "tlsa", "dane-required", "a.far.test", 1), id="dane-that-is-missing"),
    pytest.param(SIGNED | {"tlsa": {"a.far.test": [(0, 0, 0, b"x")]}}, ("far.test", "tlsa", "tlsa-invalid", "a.far.test", 1),
                 id="records-that-cannot-be-used"),
])
def test_what_ends_before_a_connection_is_counted_too(world, how, expected):
    made = world(**how)
    made.decide(hosts=(A,))
    assert made.results() == [expected]


def test_who_only_asks_is_not_counted(world):
    made = world(table="far.test dane")
    assert not result_of(made.policies.look(FAR, (A,))).hosts
    assert made.results() == []


def test_a_password_is_said_to_the_name_that_was_written_and_to_no_forged_mx_record(tmp_path):
    route = Route("far.test", tls=Tls.VERIFIED, login=Login("us", "secret"))
    decision = result_of(World(tmp_path).policies.decide(route, (A,)))
    assert [(terms.want, terms.names) for _, terms in decision.hosts] == [(Tls.VERIFIED, ("far.test", ".far.test"))]


def test_a_line_of_the_table_takes_no_check_from_a_login(tmp_path):
    route = Route("relay.test", use_mx=False, tls=Tls.VERIFIED, login=Login("us", "secret"))
    decision = result_of(World(tmp_path, table="relay.test opportunistic").policies.decide(route, (RELAY,)))
    assert [terms.want for _, terms in decision.hosts] == [Tls.VERIFIED]
