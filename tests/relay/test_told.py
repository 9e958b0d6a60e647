from __future__ import annotations

from dataclasses import fields, replace

import orjson
import pytest

from twistmail.disk import FileContent
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.departure import Departure
from twistmail.mail.edited import Edited
from twistmail.mail.envelope import Deadline, Kind, Notify, Target, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import outcome_of
from twistmail.mail.status import Status
from twistmail.relay import told
from twistmail.relay.carrier import Capacity, Carried
from twistmail.relay.dane import Tlsa
from twistmail.relay.proxy import Proxy
from twistmail.relay.route import Family, Host, Login, Route, Tls, Transport
from twistmail.relay.terms import Decision, Finding, Policy, Terms

BUSY = Status(451, "4.3.2", "Busy\nvery")
A, B = Host("a.far.test", "192.0.2.1", 25), Host("localhost", "/run/lmtp", 0)
ANN, BOB = Address("ann", "here.test"), Address("büb o", "far.test")


def through(words):
    """As it is at the other end."""
    return orjson.loads(orjson.dumps(words))


@pytest.mark.parametrize("route", [
    pytest.param(Route("far.test"), id="plain"),
    pytest.param(Route("unix:/run/lmtp", False, 0, False, Tls.OFF, transport=Transport.LMTP), id="lmtp"),
    pytest.param(
        Route("mx.test", False, 465, True, Tls.DANE, Login("ann", "pässword"), True, True, source=("192.0.2.9", "2001:db8::9"),
              family=Family.IPV4_FIRST, proxy=Proxy("127.0.0.1", 9050, "tor", "secret")), id="with-everything"),
])  # fmt: skip
def test_a_route_is_the_same_at_the_other_end_and_shares_the_same_connections(route):
    assert told.told_route(through(told.route_told(route))) == route


def test_every_field_of_a_route_is_told_or_known_not_to_matter():
    assert len(told.route_told(Route("x"))) == len([one for one in fields(Route) if one.name != "written"])


@pytest.mark.parametrize("equipment", [
    told.Equipment("us.example"),
    told.Equipment("us.example", "/etc/ca.pem", {"": frozenset({"CHUNKING"}), "a.test": frozenset({"DSN", "SIZE"})}, Capacity(9, 2, 0.5)),
])
def test_equipment_is_the_same(equipment):
    assert told.told_equipment(through(told.equipment_told(equipment))) == equipment


@pytest.mark.parametrize("decision", [
    pytest.param(BUSY, id="a-reason-why-not"),
    pytest.param(Decision(()), id="nobody"),
    pytest.param(Decision(((A, Terms(Tls.VERIFIED, ("a", ".x"), (), "so", True, "MTA-STS")),), ((B, BUSY),)), id="one-in-one-out"),
    pytest.param(Decision(((A, Terms(Tls.DANE, ("a",), (Tlsa(3, 1, 1, bytes(range(32))),))),)), id="dane"),
])  # fmt: skip
def test_a_decision_is_the_same_but_for_the_policy_behind_it(decision):
    assert told.told_decision(through(told.decision_told(decision))) == decision


def test_the_policy_behind_terms_stays_at_home():
    terms = Terms(Tls.OFF, policy=Policy("far.test", "sts", ("version: STSv1",)))
    heard = told.told_decision(through(told.decision_told(Decision(((A, terms),)))))
    assert heard == Decision(((A, replace(terms, policy=Policy(""))),))


def test_a_finding_is_the_same():
    finding = Finding("TLSv1.3", "DANE", "expired", "certificate-expired", "192.0.2.7")
    assert told.told_finding(through(told.finding_told(finding))) == finding


# ----- departures

WISHES = Wishes("HDRS", "e+3D", True, True, 5.0, Deadline(9.0, True, True), -3, "ann@here.test", "+=", True)


def departure(content=None, **changes):
    errands = (
        Errand(Target(Kind.REMOTE, BOB, BOB), notify=frozenset({Notify.SUCCESS, Notify.DELAY}), orcpt="rfc822;b+40x"),
        Errand(Target(Kind.MAILBOX, BOB, ANN, account="bob@far.test", front=b"X: y\r\n")),
        Errand(Target(Kind.MAILBOX, BOB, ANN, account="somebody@else.test")),
        Errand(Target(Kind.REMOTE, ANN, ANN)),
    )
    item = Item("i1", ANN, errands, 1.0, 25, b"Received: x\r\n", "ann", "8BITMIME", wishes=WISHES)
    return Departure(replace(item, **changes), tuple(errand.target for errand in errands[:3]), content or Memory(b"a: b\r\n\r\n\xff"))


def heard(one):
    words, load = told.departure_told(one)
    return told.told_departure(through(words), b"".join(load))


@pytest.mark.parametrize("changes", [
    pytest.param({}, id="with-wishes"),
    pytest.param({"wishes": Wishes(), "sender": None, "body": "", "prefix": b""}, id="a-report"),
    pytest.param({"wishes": Wishes(deadline=Deadline(9.0, False))}, id="a-deadline"),
])
def test_all_is_told_that_a_server_hears(changes):
    one, other = departure(**changes), heard(departure(**changes))
    for name in ("id", "sender", "size", "prefix", "body", "wishes"):
        assert getattr(other.item, name) == getattr(one.item, name)
    assert [t.address for t in other.targets] == [t.address for t in one.targets]
    assert [t.original for t in other.targets] == [t.original for t in one.targets]
    assert [(e.target, e.notify, e.orcpt) for e in other.item.errands] == [
        (target, e.notify, e.orcpt) for target, e in zip(other.targets, one.item.errands, strict=False)
    ]
    assert other.content.data == one.content.data


def test_every_wish_is_told():
    assert all(getattr(WISHES, one.name) != one.default for one in fields(Wishes)), "a new wish: add it above"


def test_targets_that_differ_in_what_is_not_told_are_kept_apart():
    one = departure()
    other = heard(one)
    assert len(set(other.targets)) == 3
    outcomes = [outcome_of(target, Status(250, "2.0.0", target.account), "mx [192.0.2.1]") for target in other.targets]
    carried = told.told_carried(one.targets, through(told.carried_told(other.targets, Carried(outcomes[::-1]))))
    assert [(o.target, o.status.text) for o in carried.outcomes] == [(target, str(n)) for n, target in enumerate(one.targets)]


def test_a_file_travels_by_its_name(tmp_path):
    path = tmp_path / "i1.content"
    path.write_bytes(b"skipped" + b"body")
    words, load = told.departure_told(departure(FileContent(path, 7)))
    assert load == (b"Received: x\r\n",)
    content = told.told_departure(through(words), b"".join(load)).content
    assert (b"".join(content.chunks()), content.size) == (b"body", 4)


@pytest.mark.parametrize("content", [
    pytest.param(Edited(b"a: b\r\n\r\n", Memory(b"\r\nx"), 2), id="edited"),
    pytest.param(Memory(bytes(told.MOST_CONTENT + 1)), id="large"),
])
def test_other_contents_do_not_travel(content):
    with pytest.raises(ValueError, match="does not travel"):
        told.departure_told(departure(content))


def test_outcomes_are_the_same():
    one = departure()
    outcomes = [
        outcome_of(one.targets[0], Status(250, "2.0.0", "Ok"), "mx [192.0.2.1]", passed_on=True, secured="TLSv1.3"),
        outcome_of(one.targets[1], Status(550, "5.1.1", "No"), "mx [192.0.2.1]"),
        outcome_of(one.targets[2], BUSY),
    ]
    for unreachable in (None, BUSY):
        carried = told.told_carried(one.targets, through(told.carried_told(one.targets, Carried(outcomes, unreachable))))
        assert carried == Carried(outcomes, unreachable)


@pytest.mark.parametrize("said", [
    pytest.param([[[250, "2.0.0", "Ok", "", False, ""]], None], id="one-outcome-for-three"),
    pytest.param([[[99, "2.0.0", "Ok", "", False, ""]] * 3, None], id="no-code"),
    pytest.param([[["250", "2.0.0", "Ok", "", False, ""]] * 3, None], id="a-code-as-text"),
    pytest.param([[[250, "2.0.0", None, "", False, ""]] * 3, None], id="no-text"),
    pytest.param([[[250, "2.0.0", "Ok", 5, False, ""]] * 3, None], id="a-host-that-is-none"),
    pytest.param([[[250]] * 3, None], id="too-little"), pytest.param([3, None], id="a-number"), pytest.param([], id="nothing"),
])  # fmt: skip
def test_no_outcome_is_made_of_what_makes_no_sense(said):
    with pytest.raises(told.MISUNDERSTOOD):
        told.told_carried(departure().targets, said)
