"""R44 to R47: where mail for a domain goes."""

from __future__ import annotations

import random

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Rerouted
from twistmail.mail.status import Status
from twistmail.memory.lookup import MemoryLookup
from twistmail.relay import servers
from twistmail.relay.route import Family, Host, Login, Route, Tls, literal, parse_via
from twistmail.relay.routes import OPTIONS, ROUTE_OPTIONS, SENDER_ROUTE_OPTIONS, SOURCE, Further, Identity, Routes
from twistmail.relay.table import parse
from twistmail.watched import WatchedFile

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
    "inward.test": {"MX": [(10, "inward-six.test")]},
    "inward-six.test": {"AAAA": ["::1"]},
    "inward-disguised.test": {"AAAA": ["::ffff:127.9.9.9"]},
    "inward-better.test": {"MX": [(10, "b.far.test"), (20, "inward-disguised.test")]},
}
A = [Host("a.far.test", "2001:db8::1", 25), Host("a.far.test", "192.0.2.1", 25)]
B = [Host("b.far.test", "192.0.2.2", 25)]


def make(relay=None, sections=None, lookup=None, seed=1, further=None):
    lookup = lookup or MemoryLookup(ZONE)
    lookup.broken |= {"broken.test", "broken.far.test"}
    table = {domain: ROUTE_OPTIONS.defaults(**values) for domain, values in (sections or {}).items()}
    return Routes(lookup, US, OPTIONS.defaults(**(relay or {})), table, random.Random(seed), further or Further())


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
    pytest.param("nowhere.test", servers.NO_ADDRESS, id="no-MX-with-an-address-is-tried-again"),
    pytest.param("all-broken.test", servers.DNS_SILENT, id="silence-about-all-MX-is-tried-again"),
    pytest.param("gone.test", servers.NO_SUCH_DOMAIN, id="NXDOMAIN"),
    pytest.param("broken.test", servers.DNS_SILENT, id="SERVFAIL"),
    pytest.param("bare.test", servers.NOWHERE, id="neither-MX-nor-address"),
    pytest.param("null.test", servers.NO_MAIL, id="null-MX"),
    pytest.param("backup.test", A, id="we-are-a-backup-so-only-better-ones-count"),
    pytest.param("backup-by-address.test", B, id="we-are-known-by-our-address-too"),
    pytest.param("loop.test", servers.LOOPS_BACK, id="only-we-are-left"),
    pytest.param("loop-implicit.test", servers.LOOPS_BACK, id="implicit-MX-is-us"),
    pytest.param("[192.0.2.7]", [Host("[192.0.2.7]", "192.0.2.7", 25)], id="IPv4-literal"),
    pytest.param("[ipv6:2001:db8::7]", [Host("[ipv6:2001:db8::7]", "2001:db8::7", 25)], id="IPv6-literal"),
    pytest.param("[192.0.2.99]", servers.LOOPS_BACK, id="our-own-literal"),
    pytest.param("inward.test", servers.LOOPS_BACK, id="a-server-on-loopback-is-this-machine"),
    pytest.param("inward-six.test", servers.LOOPS_BACK, id="in-IPv6-too"),
    pytest.param("inward-disguised.test", servers.LOOPS_BACK, id="and-an-IPv4-address-in-the-clothes-of-IPv6"),
    pytest.param("inward-better.test", B, id="a-backup-on-loopback-is-left-out"),
    pytest.param("[what-is-this]", servers.BAD_LITERAL, id="a-literal-of-no-kind"),
])
def test_where_mail_for_a_domain_goes(domain, expected):
    assert hosts(domain) == expected


@pytest.mark.parametrize(("status", "code", "enhanced"), [
    (servers.NO_SUCH_DOMAIN, 550, "5.1.2"), (servers.NO_MAIL, 556, "5.1.10"), (servers.DNS_SILENT, 451, "4.4.3"),
    (servers.LOOPS_BACK, 554, "5.4.6"),
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
    assert len(hosts("many.test", lookup=MemoryLookup(names))) == servers.MOST_ADDRESSES


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
    made = make(relay={"smarthost": "[relay.test]", "smarthost_user": "u", "smarthost_password": "never told"})
    assert of(made, "far.test") == of(made, "implicit.test")
    assert of(made, "far.test").login == Login("u", "never told")
    assert "never told" not in repr(of(made, "far.test"))


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


TABLE = """
partner.test      smtp:[10.0.0.21]
.part.test        smtp:[10.0.0.22]
info@far.test     local:anna
far.test          smtp:mx.far.test:26
old.test          error:5.1.6 moved
kept.test         hold:
own.test          smtp:
box.test          lmtp:unix:/run/box
"""
SECTIONS = {
    "partner.test": {"via": "[10.0.0.11]"}, ".part.test": {"via": "[10.0.0.12]"}, ".deep.part.test": {"via": "[10.0.0.13]"},
    "lent.test": {"via": "[10.0.0.14]", "fallback": "[10.0.0.15]"}, "bare.test": {"tls": "required"},
}


class Kept:
    """A route table that was read once."""

    def __init__(self, text):
        self.path, self.value = "/etc/routes", parse(text)


def further(table=TABLE, seconds=None, **senders):
    return Further(
        {name: SENDER_ROUTE_OPTIONS.defaults(**values) for name, values in senders.items()}, Kept(table) if table else None,
        seconds or {}, lambda section, key: "c.ini:9",
    )


def rule(made, address, sender=None, attempts=0, account="ann@blue.test"):
    target = Target(Kind.REMOTE, Address(*address.split("@")), Address("x", "y"))
    item = Item("i1", sender, (Errand(target, attempts=attempts),), 0.0, 0, account=account)
    found = made.choice(target, item)
    return str(found.route), found.rule


@pytest.mark.parametrize(("address", "expected"), [
    pytest.param("ann@partner.test", ("[10.0.0.11]", "[route:partner.test] via (c.ini:9)"), id="a-section-before-the-same-line"),
    pytest.param("ann@x.part.test", ("[10.0.0.12]", "[route:.part.test] via (c.ini:9)"), id="below-a-domain"),
    pytest.param("ann@x.deep.part.test", ("[10.0.0.13]", "[route:.deep.part.test] via (c.ini:9)"), id="a-nearer-section"),
    pytest.param("Info@far.test", ("local:anna", "/etc/routes:4 (info@far.test)"), id="an-address-before-its-domain"),
    pytest.param("ann@far.test", ("mx.far.test:26", "/etc/routes:5 (far.test)"), id="a-line-for-a-domain"),
    pytest.param("ann@old.test", ("error:", "/etc/routes:6 (old.test)"), id="an-error"),
    pytest.param("ann@kept.test", ("kept.test", "/etc/routes:7 (kept.test)"), id="what-is-held-goes-to-its-own-servers"),
    pytest.param("ann@own.test", ("own.test", "/etc/routes:8 (own.test)"), id="its-own-servers-and-not-the-smart-host"),
    pytest.param("ann@box.test", ("lmtp:unix:/run/box", "/etc/routes:9 (box.test)"), id="LMTP"),
    pytest.param("ann@bare.test", ("bare.test", "[route:bare.test] via (c.ini:9)"), id="a-section-that-only-wants-TLS"),
    pytest.param("ann@else.test", ("[relay.test]:587", "[relay] smarthost (c.ini:9)"), id="the-rest-by-the-smart-host"),
])
def test_the_most_specific_rule_wins_and_says_who_it_is(address, expected):
    made = make(relay={"smarthost": "[relay.test]:587"}, sections=SECTIONS, further=further())
    assert rule(made, address) == expected


def test_the_default_line_comes_before_sender_and_smart_host():
    made = make(relay={"smarthost": "[relay.test]"}, further=further("* smtp:[10.0.0.9]\n", **{"blue.test": {"via": "[10.0.0.31]"}}))
    assert rule(made, "x@else.test", Address("ann", "blue.test")) == ("[10.0.0.9]", "/etc/routes:1 (*)")


@pytest.mark.parametrize(("sender", "to", "expected"), [
    pytest.param(Address("Ann", "blue.test"), "x@else.test", "[10.0.0.31]", id="his-own"),
    pytest.param(Address("bob", "blue.test"), "x@else.test", "[10.0.0.32]", id="his-domains"),
    pytest.param(Address("bob", "sub.blue.test"), "x@else.test", "[10.0.0.33]", id="a-domain-below"),
    pytest.param(Address("cid", "red.test"), "x@else.test", "else.test", id="by-MX-although-there-is-a-smart-host"),
    pytest.param(Address("dan", "green.test"), "x@else.test", "[relay.test]", id="nobody-in-particular"),
    pytest.param(None, "x@else.test", "[relay.test]", id="a-report"),
    pytest.param(Address("Ann", "blue.test"), "x@partner.test", "[10.0.0.11]", id="the-recipients-route-comes-first"),
])
def test_mail_of_a_sender_goes_his_way(sender, to, expected):
    made = make(relay={"smarthost": "[relay.test]"}, sections=SECTIONS, further=further(None, **{
        "ann@blue.test": {"via": "[10.0.0.31]", "user": "ann", "password": "x"}, "@blue.test": {"via": "[10.0.0.32]"},
        ".blue.test": {"via": "[10.0.0.33]"}, "red.test": {}}))
    assert rule(made, to, sender)[0] == expected


def test_a_sender_logs_in_as_himself():
    made = make(further=further(None, **{"ann@blue.test": {"via": "[10.0.0.31]", "user": "ann", "password": "never told"}}))
    target = Target(Kind.REMOTE, Address("x", "else.test"), Address("x", "else.test"))
    route = made.of(target, Item("i1", Address("ann", "blue.test"), (Errand(target),), 0.0, 0, account="ann@blue.test"))
    assert route.login == Login("ann", "never told")
    stranger = Item("i1", Address("ann", "blue.test"), (Errand(target),), 0.0, 0)
    assert made.of(target, stranger).login is None


@pytest.mark.parametrize(("to", "attempts", "expected"), [
    pytest.param("x@else.test", 2, "else.test", id="not-yet"),
    pytest.param("x@else.test", 3, "[10.0.0.8]:587", id="after-three-attempts"),
    pytest.param("x@partner.test", 9, "[10.0.0.11]", id="an-operators-route-has-no-such-end"),
    pytest.param("x@lent.test", 2, "[10.0.0.14]", id="a-route-with-its-own-not-yet"),
    pytest.param("x@lent.test", 3, "[10.0.0.15]", id="a-route-with-its-own"),
    pytest.param("x@bare.test", 3, "[10.0.0.8]:587", id="a-section-without-a-server"),
])
def test_after_attempts_in_vain_mail_goes_to_the_fallback(to, attempts, expected):
    made = make(relay={"fallback": "[10.0.0.8]:587", "fallback_user": "u", "fallback_password": "p"}, sections=SECTIONS)
    found, why = rule(made, to, attempts=attempts)
    assert found == expected
    assert ("attempts in vain" in why) == (expected in ("[10.0.0.8]:587", "[10.0.0.15]"))


def test_the_smart_host_has_a_fallback_too():
    made = make(relay={"smarthost": "[relay.test]", "fallback": "[10.0.0.8]"})
    assert [rule(made, "x@else.test", attempts=n)[0] for n in (0, 2, 3, 4)] == ["[relay.test]"] * 2 + ["[10.0.0.8]"] * 2


def test_a_domain_of_ours_has_a_second_server():
    made = make(relay={"smarthost": "[relay.test]"}, further=further(None, {"blue.test": "[10.0.0.40]:2525"}))
    assert rule(made, "x@blue.test") == ("[10.0.0.40]:2525", "[domain:blue.test] other_server (c.ini:9)")


def test_only_lines_that_hold_are_held():
    made = make(sections={"kept2.test": {"hold": True}}, further=further("kept.test hold:\nkept2.test hold:\n.kept.test hold:[10.0.0.2]"))
    assert [made.holds(domain) for domain in ("kept.test", "x.kept.test", "far.test", "kept2.test")] == [True, True, False, False]


def test_a_table_that_was_never_in_order_decides_nothing(tmp_path):
    (tmp_path / "routes").write_text("far.test uucp:x\n")
    table = WatchedFile(tmp_path / "routes", parse, tasks.Inline(), patient=True)
    made = make(further=Further(table=table))
    with pytest.raises(Unavailable):
        result_of(made.freshen())
    assert rule(made, "x@far.test")[0] == "far.test"
    (tmp_path / "routes").write_text("far.test smtp:[10.0.0.2]\n")
    result_of(made.freshen())
    assert rule(made, "x@far.test")[0] == "[10.0.0.2]"


@pytest.mark.parametrize(("relay", "sections", "source", "family"), [
    pytest.param({}, {}, (), Family.BOTH, id="what-the-system-chooses"),
    pytest.param({"source_address": ("192.0.2.5",), "addresses": "ipv4"}, {}, ("192.0.2.5",), Family.IPV4, id="for-all"),
    pytest.param({"source_address": ("192.0.2.5",)}, {"far.test": {"source_address": ("192.0.2.6",), "addresses": "ipv6"}},
                 ("192.0.2.6",), Family.IPV6, id="for-one-route"),
])
def test_from_which_address_and_to_which_kind(relay, sections, source, family):
    route = of(make(relay=relay, sections=sections), "far.test")
    assert (route.source, route.family) == (source, family)


@pytest.mark.parametrize(("family", "expected"), [
    ("both", ["2001:db8::1", "192.0.2.1", "192.0.2.2"]), ("ipv4-first", ["192.0.2.1", "2001:db8::1", "192.0.2.2"]),
    ("ipv4", ["192.0.2.1", "192.0.2.2"]), ("ipv6", ["2001:db8::1"]),
])
def test_which_addresses_of_a_server_are_used(family, expected):
    assert [host.address for host in hosts("far.test", relay={"addresses": family})] == expected


def test_a_server_without_the_wanted_kind_of_address_is_waited_for():
    assert hosts("implicit.test", relay={"addresses": "ipv6"}) == servers.NO_FAMILY


@pytest.mark.parametrize("addresses", [
    pytest.param({"A": ["0.0.0.0"]}, id="unspecified"), pytest.param({"AAAA": ["::"]}, id="unspecified-IPv6"),
    pytest.param({"AAAA": ["::ffff:0.0.0.0"]}, id="unspecified-in-disguise"), pytest.param({"A": ["224.0.0.1"]}, id="a-group"),
])
def test_what_is_no_address_of_a_machine_is_not_connected_to(addresses):
    zone = {"odd.test": {"MX": [(10, "mx.odd.test")]}, "mx.odd.test": addresses}
    assert hosts("odd.test", lookup=MemoryLookup(zone)) == servers.NO_ADDRESS


@pytest.mark.parametrize("via", ["[misspelled.test]", "misspelled.test", "null.test", "bare.test"])
def test_a_misspelled_smart_host_costs_no_mail(via):
    assert hosts("far.test", relay={"smarthost": via}) == servers.NO_SUCH_SERVER


def test_a_smart_host_that_is_this_machine_is_a_loop_on_port_25_only():
    assert hosts("far.test", relay={"smarthost": "[mx.here.example]"}) == servers.LOOPS_BACK
    assert hosts("far.test", relay={"smarthost": "[mx.here.example]:2525"}) == [Host("mx.here.example", "192.0.2.99", 2525)]


def test_a_unix_socket_needs_no_dns():
    lookup = MemoryLookup({})
    found = hosts("far.test", lookup=lookup, sections={"far.test": {"via": "lmtp:unix:/run/box"}})
    assert (found, lookup.asked) == ([Host("localhost", "/run/box", 0)], [])


@pytest.mark.parametrize(("text", "why"), [
    ("192.0.2.5 192.0.2.6", "two addresses for IPv4"), ("eth0", "no address"), ("192.0.2.300", "no address"),
])
def test_own_addresses_that_are_none(text, why):
    with pytest.raises(ValueError, match=why):
        SOURCE.read(text)
    assert SOURCE.read("[2001:DB8::5] 192.0.2.5") == ("2001:db8::5", "192.0.2.5")


@pytest.mark.parametrize(("text", "address"), [
    ("[192.0.2.1]", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("[IPv6:2001:DB8::1]", "2001:db8::1"), ("far.test", None), ("[x]", None),
])
def test_address_literals(text, address):
    assert literal(text) == address
