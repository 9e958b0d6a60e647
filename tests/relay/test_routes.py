"""R44 to R47: where mail for a domain goes."""

from __future__ import annotations

import random

import pytest

from tests.helpers import result_of
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Rerouted
from twistmail.mail.status import Status
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay import routes
from twistmail.relay.route import Host, Login, Route, Tls, literal, parse_via
from twistmail.relay.routes import OPTIONS, ROUTE_OPTIONS, Identity, Routes

US = Identity("mx.here.example", frozenset({"192.0.2.99", "2001:db8::99"}))
ZONE = {
    "far.test": {"MX": [(20, "b.far.test"), (10, "a.far.test")]},
    "a.far.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "b.far.test": {"A": ["192.0.2.2"]},
    "implicit.test": {"A": ["192.0.2.3"]},
    "alias.test": {"CNAME": "far.test"},
    "bare.test": {"TXT": [b"nothing for mail"]},
    "halfway.test": {"MX": [(10, "gone.test"), (20, "b.far.test")]},
    "nowhere.test": {"MX": [(10, "gone.test")]},
    "null.test": {"MX": [(0, "")]},
    "backup.test": {"MX": [(10, "a.far.test"), (20, "mx.here.example"), (20, "b.far.test"), (30, "b.far.test")]},
    "backup-by-address.test": {"MX": [(10, "b.far.test"), (20, "us.far.test")]},
    "us.far.test": {"A": ["192.0.2.99"]},
    "loop.test": {"MX": [(10, "mx.here.example")]},
    "loop-implicit.test": {"A": ["192.0.2.99"]},
    "mx.here.example": {"A": ["192.0.2.99"]},
    "equal.test": {"MX": [(10, "a.far.test"), (10, "b.far.test")]},
    "relay.test": {"A": ["192.0.2.50"], "MX": [(10, "wrong.test")]},
    "one-broken.test": {"MX": [(10, "broken.far.test"), (20, "b.far.test")]},
    "all-broken.test": {"MX": [(10, "broken.far.test")]},
}
A = [Host("a.far.test", "2001:db8::1", 25), Host("a.far.test", "192.0.2.1", 25)]
B = [Host("b.far.test", "192.0.2.2", 25)]


def make(relay=None, sections=None, lookup=None, seed=1):
    lookup = lookup or MemoryLookup(ZONE)
    lookup.broken |= {"broken.test", "broken.far.test"}
    table = {domain: ROUTE_OPTIONS.defaults(**values) for domain, values in (sections or {}).items()}
    return Routes(lookup, US, OPTIONS.defaults(**(relay or {})), table, random.Random(seed))


def of(made, domain, item=None):
    target = Target(Kind.REMOTE, Address("who", domain), Address("who", domain))
    return made.of(target, item or Item("i1", None, (Errand(target),), 0.0, 0))


def hosts(domain, **given):
    made = make(**given)
    found = result_of(made.hosts(of(made, domain)))
    return found if isinstance(found, Status) else list(found)


@pytest.mark.parametrize(("domain", "expected"), [
    pytest.param("far.test", A + B, id="by-preference-IPv6-first"),
    pytest.param("implicit.test", [Host("implicit.test", "192.0.2.3", 25)], id="no-MX-means-the-domain-itself"),
    pytest.param("alias.test", A + B, id="CNAME-is-followed"),
    pytest.param("halfway.test", B, id="MX-without-address-is-skipped"),
    pytest.param("one-broken.test", B, id="MX-the-DNS-is-silent-about-is-skipped"),
    pytest.param("nowhere.test", routes.NO_ADDRESS, id="no-MX-with-an-address-is-tried-again"),
    pytest.param("all-broken.test", routes.DNS_SILENT, id="silence-about-all-MX-is-tried-again"),
    pytest.param("gone.test", routes.NO_SUCH_DOMAIN, id="NXDOMAIN"),
    pytest.param("broken.test", routes.DNS_SILENT, id="SERVFAIL"),
    pytest.param("bare.test", routes.NOWHERE, id="neither-MX-nor-address"),
    pytest.param("null.test", routes.NO_MAIL, id="null-MX"),
    pytest.param("backup.test", A, id="we-are-a-backup-so-only-better-ones-count"),
    pytest.param("backup-by-address.test", B, id="we-are-known-by-our-address-too"),
    pytest.param("loop.test", routes.LOOPS_BACK, id="only-we-are-left"),
    pytest.param("loop-implicit.test", routes.LOOPS_BACK, id="implicit-MX-is-us"),
    pytest.param("[192.0.2.7]", [Host("[192.0.2.7]", "192.0.2.7", 25)], id="IPv4-literal"),
    pytest.param("[ipv6:2001:db8::7]", [Host("[ipv6:2001:db8::7]", "2001:db8::7", 25)], id="IPv6-literal"),
    pytest.param("[192.0.2.99]", routes.LOOPS_BACK, id="our-own-literal"),
    pytest.param("[what-is-this]", routes.BAD_LITERAL, id="a-literal-of-no-kind"),
])
def test_where_mail_for_a_domain_goes(domain, expected):
    assert hosts(domain) == expected


@pytest.mark.parametrize(("status", "code", "enhanced"), [
    (routes.NO_SUCH_DOMAIN, 550, "5.1.2"), (routes.NO_MAIL, 556, "5.1.10"), (routes.DNS_SILENT, 451, "4.4.3"),
    (routes.LOOPS_BACK, 554, "5.4.6"),
])
def test_the_codes_are_those_of_the_error_map(status, code, enhanced):
    assert (status.code, status.enhanced) == (code, enhanced)


def test_servers_of_equal_preference_share_the_load():
    lookup = MemoryLookup(ZONE)
    made = make(lookup=lookup)
    first = [result_of(made.hosts(of(made, "equal.test")))[0].name for _ in range(100)]
    assert 20 < first.count("a.far.test") < 80


def test_a_domain_with_too_many_servers_is_tried_only_so_long():
    names = {f"mx{n}.many.test": {"A": [f"192.0.2.{m}" for m in range(1, 60)]} for n in range(30)}
    names["many.test"] = {"MX": [(10, name) for name in names]}
    assert len(hosts("many.test", lookup=MemoryLookup(names))) == routes.MOST_ADDRESSES


@pytest.mark.parametrize(("text", "expected"), [
    pytest.param("relay.test", Route("relay.test"), id="name"),
    pytest.param("relay.test:587", Route("relay.test", port=587), id="port"),
    pytest.param("[relay.test]:587", Route("relay.test", use_mx=False, port=587), id="brackets"),
    pytest.param("[192.0.2.1]", Route("192.0.2.1", use_mx=False), id="address"),
    pytest.param("[2001:db8::1]:2525", Route("2001:db8::1", use_mx=False, port=2525), id="IPv6-address"),
    pytest.param("smtp://mx.internal.example:25", Route("mx.internal.example", use_mx=False), id="URL"),
    pytest.param("smtps://relay.test", Route("relay.test", use_mx=False, port=465, implicit_tls=True), id="smtps"),
    pytest.param("[relay.test]:465", Route("relay.test", use_mx=False, port=465, implicit_tls=True), id="port-465"),
])
def test_how_a_server_is_written(text, expected):
    assert parse_via(text) == expected


@pytest.mark.parametrize("text", ["", "a b:c", "relay.test:0", "relay.test:99999", "http://x", "[a", "a/b/c"])
def test_what_is_no_server_is_refused(text):
    with pytest.raises(ValueError):
        parse_via(text)


def test_everything_goes_to_the_smart_host_without_an_mx_question():
    lookup = MemoryLookup(ZONE)
    found = hosts("far.test", lookup=lookup, relay={"smarthost": "[relay.test]:587"})
    assert found == [Host("relay.test", "192.0.2.50", 587)]
    assert {kind for _, kind in lookup.asked} == {"A", "AAAA"}


def test_recipients_of_all_domains_share_one_route_to_the_smart_host():
    made = make(relay={"smarthost": "[relay.test]", "smarthost_user": "u", "smarthost_password": "p"})
    assert of(made, "far.test") == of(made, "implicit.test")
    assert of(made, "far.test").login == Login("u", "p")
    assert "p'" not in repr(of(made, "far.test"))


@pytest.mark.parametrize(("domain", "expected"), [
    pytest.param("partner.test", Route("10.0.0.2", use_mx=False, port=2525), id="its-own-section"),
    pytest.param("x.y.part.test", Route("10.0.0.3", use_mx=False), id="the-domain-above"),
    pytest.param("deep.part.test", Route("10.0.0.4", use_mx=False), id="most-specific-wins"),
    pytest.param("part.test", Route("relay.test", use_mx=False), id="a-dot-means-below-only"),
    pytest.param("strict.test", Route("strict.test", tls=Tls.REQUIRED), id="tls-only-goes-by-MX"),
])
def test_route_sections_come_before_the_smart_host(domain, expected):
    made = make(relay={"smarthost": "[relay.test]"}, sections={
        "partner.test": {"via": "smtp://10.0.0.2:2525"}, ".part.test": {"via": "[10.0.0.3]"}, "deep.part.test": {"via": "[10.0.0.4]"},
        "strict.test": {"tls": "required"}})
    assert of(made, domain) == expected


def test_what_an_operator_says_of_a_message_comes_before_everything():
    made = make(sections={"partner.test": {"via": "[10.0.0.2]"}})
    item = Item("i1", None, (), 0.0, 0).after(Rerouted("[10.0.0.9]:2525"))
    assert of(made, "partner.test", item) == Route("10.0.0.9", use_mx=False, port=2525)
    assert of(made, "partner.test", item.after(Rerouted(""))) == Route("10.0.0.2", use_mx=False)


@pytest.mark.parametrize(("text", "address"), [
    ("[192.0.2.1]", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("[IPv6:2001:DB8::1]", "2001:db8::1"), ("far.test", None), ("[x]", None),
])
def test_address_literals(text, address):
    assert literal(text) == address
