"""Who is it really for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail.expansion import LOOP, TOO_MANY, UNKNOWN, Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Final, Goal, Refusal, ToFile, ToProgram
from twistmail.mail.envelope import Kind
from twistmail.mail.status import Status
from twistmail.memory.people import MemoryAliases, MemoryForwards, MemoryPeople

PEOPLE = dict.fromkeys(("fred@dom1.test", "tom@dom1.test", "dick@dom1.test", "fred@dom2.test", "a+b@dom1.test"), "x")
ALIASES = {
    "flintstone@dom1.test": ["fred"],
    "authors@dom1.test": ["tom", "dick", "harry@far.test"],
    "everybody@dom1.test": ["authors", "tom", "fred"],
    "a@dom1.test": ["b"],
    "b@dom1.test": ["a"],
    "tom@dom1.test": ["tom", "watcher@far.test"],
    "half@dom1.test": ["half-way", "fred"],
    "half-way@dom1.test": ["half"],
    "gone@dom1.test": ["nobody-at-all"],
    "sales+urgent@dom1.test": ["dick"],
    "sales@dom1.test": ["fred"],
    "other@dom1.test": ["fred@dom2.test"],
    **{f"deep{n}@dom1.test": [f"deep{n + 1}"] for n in range(20)},
}


def expansion(**changes: Any) -> Expansion:
    arguments: dict[str, Any] = {
        "aliases": MemoryAliases(ALIASES),
        "accounts": MemoryPeople(PEOPLE),
        "local_domains": frozenset({"dom1.test", "dom2.test"}),
        "default_domain": "dom1.test",
        "clock": lambda: 0.0,
    } | changes
    return Expansion(**arguments)


def led_to(address: str, **changes: Any) -> list[str]:
    """Where *address* leads, for reading: the account of a mailbox, or the address elsewhere."""
    targets = result_of(expansion(**changes).follow(parse(address)))
    return [target.account or f"-> {target.address}" for target in targets]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("fred@dom1.test", ["fred@dom1.test"], id="an-account"),
        pytest.param("FRED@dom1.test", ["fred@dom1.test"], id="case-is-folded"),
        pytest.param("fred@dom2.test", ["fred@dom2.test"], id="the-same-name-elsewhere-is-somebody-else"),
        pytest.param("Flintstone@dom1.test", ["fred@dom1.test"], id="alias-to-user"),
        pytest.param("tom@dom1.test", ["tom@dom1.test", "-> watcher@far.test"], id="an-alias-that-names-itself-means-the-account"),
        pytest.param(
            "authors@dom1.test",
            ["tom@dom1.test", "-> watcher@far.test", "dick@dom1.test", "-> harry@far.test"],
            id="list-in-written-order",
        ),
        pytest.param(
            "everybody@dom1.test",
            ["tom@dom1.test", "-> watcher@far.test", "dick@dom1.test", "-> harry@far.test", "fred@dom1.test"],
            id="nested-lists-bring-one-copy-each",
        ),
        pytest.param("half@dom1.test", ["fred@dom1.test"], id="a-circle-with-a-way-out-is-left-by-it"),
        pytest.param("fred+list@dom1.test", ["fred@dom1.test"], id="suffix-of-an-account"),
        pytest.param("a+b@dom1.test", ["a+b@dom1.test"], id="an-account-with-a-plus-goes-before-its-stem"),
        pytest.param("sales+urgent@dom1.test", ["dick@dom1.test"], id="alias-with-suffix"),
        pytest.param("sales+other@dom1.test", ["fred@dom1.test"], id="alias-without-suffix"),
        pytest.param("other@dom1.test", ["fred@dom2.test"], id="alias-into-another-domain-of-ours"),
        pytest.param("somebody@far.test", ["-> somebody@far.test"], id="not-ours"),
        pytest.param("postmaster@dom2.test", ["postmaster@dom1.test"], id="postmaster-of-any-domain-has-a-box"),
        pytest.param("postmaster", ["postmaster@dom1.test"], id="postmaster-without-a-domain"),
    ],
)
def test_an_address_leads_to(address: str, expected: list[str]) -> None:
    assert led_to(address) == expected


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        pytest.param("nobody@dom1.test", UNKNOWN, id="unknown"),
        pytest.param("gone@dom1.test", UNKNOWN, id="alias-to-nobody"),
        pytest.param("a@dom1.test", LOOP, id="circle"),
        pytest.param("deep0@dom1.test", TOO_MANY, id="too-deep"),
        pytest.param("fred@dom1.test", None, id="fine"),
    ],
)
def test_what_is_said_of_an_address_that_leads_nowhere(address: str, fault: Any) -> None:
    assert result_of(expansion().judge(parse(address))) == fault


def test_a_catch_all_gets_what_nobody_else_does() -> None:
    catchalls = {"dom1.test": parse("fred@dom1.test")}
    assert led_to("whoever@dom1.test", catchalls=catchalls) == ["fred@dom1.test"]
    assert led_to("dick@dom1.test", catchalls=catchalls) == ["dick@dom1.test"]
    assert led_to("whoever@dom2.test", catchalls=catchalls) == []
    assert led_to("whoever@dom1.test", catchalls={"dom1.test": parse("missing@dom1.test")}) == []


def test_postmaster_goes_where_the_configuration_says() -> None:
    assert led_to("postmaster@dom1.test", postmaster=parse("fred@dom1.test")) == ["fred@dom1.test"]
    assert led_to("postmaster@dom1.test", postmaster=parse("root@far.test")) == ["-> root@far.test"]


@pytest.mark.parametrize(
    ("address", "changes"),
    [
        pytest.param("postmaster@dom2.test", {"postmaster": parse("gone-since@dom1.test")}, id="whom-the-configuration-names"),
        pytest.param("gone-since@dom1.test", {"postmaster": parse("gone-since@dom1.test")}, id="he-himself"),
        pytest.param("postmaster", {"postmaster": parse("postmaster@dom2.test")}, id="in-another-domain-of-ours"),
        pytest.param("PostMaster@dom1.test", {"aliases": MemoryAliases({"postmaster@dom1.test": ["nobody"]})}, id="his-alias"),
        pytest.param("postmaster@dom1.test", {"aliases": MemoryAliases({"postmaster@dom1.test": ["a"]} | ALIASES)}, id="a-circle"),
        pytest.param("postmaster@dom1.test", {"catchalls": {"dom1.test": parse("nobody@dom1.test")}}, id="the-catch-all"),
    ],
)
def test_a_postmaster_who_leads_nowhere_has_a_box(address: str, changes: dict[str, Any]) -> None:
    assert led_to(address, **changes) == ["postmaster@dom1.test"]


def test_a_list_beyond_the_limit_is_cut_off_not_endless() -> None:
    big = MemoryAliases({f"x{n}@dom1.test": [f"x{n + 1}", f"x{n + 1}", "fred"] for n in range(9)})
    calls = expansion(aliases=big, limit=50)
    assert [target.account for target in result_of(calls.follow(parse("x0@dom1.test")))] == ["fred@dom1.test"]


def test_a_table_that_is_away_is_trouble_not_an_unknown_user() -> None:
    people = MemoryPeople(PEOPLE)
    people.available = False
    with pytest.raises(Unavailable):
        result_of(expansion(accounts=people).follow(parse("fred@dom1.test")))


def test_answers_are_remembered_for_a_second_and_forgotten_on_request() -> None:
    now = [0.0]
    people = MemoryPeople(PEOPLE)
    asked = expansion(accounts=people, clock=lambda: now[0])
    assert result_of(asked.judge(parse("new@dom1.test"))) == UNKNOWN
    people.accounts["new@dom1.test"] = people.accounts["fred@dom1.test"]
    assert result_of(asked.judge(parse("new@dom1.test"))) == UNKNOWN
    now[0] = 1.1
    assert result_of(asked.judge(parse("new@dom1.test"))) is None
    del people.accounts["new@dom1.test"]
    asked.forget()
    assert result_of(asked.judge(parse("new@dom1.test"))) == UNKNOWN


def test_targets_remember_the_address_that_led_to_them() -> None:
    target = result_of(expansion().follow(parse("flintstone@dom1.test")))[0]
    assert (target.kind, str(target.address), str(target.original)) == (Kind.MAILBOX, "fred@dom1.test", "flintstone@dom1.test")


LIKE = {"dom1b.test": "dom1.test"}


@pytest.mark.parametrize(("address", "expected"), [
    pytest.param("fred@dom1b.test", ["fred@dom1.test"], id="the-same-person"),
    pytest.param("half@dom1b.test", ["fred@dom1.test"], id="the-same-alias"),
    pytest.param("fred+x@dom1b.test", ["fred@dom1.test"], id="with-a-suffix"),
    pytest.param("tom@dom1b.test", ["tom@dom1.test", "-> watcher@far.test"], id="an-alias-goes-before-the-account"),
    pytest.param("own@dom1b.test", ["own@dom1b.test"], id="an-account-of-its-own-goes-first"),
    pytest.param("round@dom1b.test", ["fred@dom1.test"], id="an-alias-into-the-other-domain"),
    pytest.param("nobody@dom1b.test", [], id="nobody-in-either"),
])
def test_a_domain_that_has_the_users_of_another(address: str, expected: list[str]) -> None:
    people = MemoryPeople({**PEOPLE, "own@dom1b.test": ""})
    aliases = MemoryAliases({**ALIASES, "round@dom1b.test": ["fred"]})
    domains = frozenset({"dom1.test", "dom1b.test", "dom2.test"})
    assert led_to(address, accounts=people, aliases=aliases, local_domains=domains, like=LIKE) == expected


def test_domains_that_have_each_other_s_users_have_none() -> None:
    circle = {"dom1.test": "dom2.test", "dom2.test": "dom1.test"}
    assert led_to("somebody@dom2.test", like=circle) == []


def test_the_other_domain_s_catch_all_catches_for_both() -> None:
    domains = frozenset({"dom1.test", "dom1b.test"})
    catchalls = {"dom1.test": parse("fred@dom1.test")}
    assert led_to("nobody@dom1b.test", local_domains=domains, like=LIKE, catchalls=catchalls) == ["fred@dom1.test"]


class Forwarding(MemoryPeople):
    """People of whom some have their mail sent on: {name: (addresses, whether a copy stays)}."""

    def __init__(self, forwards: dict[str, tuple[tuple[str, ...], bool]]) -> None:
        super().__init__(PEOPLE)
        self._forwards = forwards

    async def find(self, address: Address) -> Account | None:
        account = await super().find(address)
        if account is None or account.name not in self._forwards:
            return account
        forward, keep_copy = self._forwards[account.name]
        return replace(account, forward=forward, keep_copy=keep_copy)


@pytest.mark.parametrize(("forwards", "expected"), [
    pytest.param({"fred@dom1.test": (("f@far.test",), True)}, ["fred@dom1.test", "-> f@far.test"], id="with-a-copy"),
    pytest.param({"fred@dom1.test": (("f@far.test",), False)}, ["-> f@far.test"], id="without"),
    pytest.param({"fred@dom1.test": (("fred@dom1.test",), False)}, ["fred@dom1.test"], id="to-himself"),
    pytest.param({"fred@dom1.test": (("dick",), False), "dick@dom1.test": (("flintstone",), False)}, ["fred@dom1.test"], id="in-a-circle"),
    pytest.param({"fred@dom1.test": ((), False)}, ["fred@dom1.test"], id="nowhere"),
])  # fmt: skip
def test_mail_that_goes_on(forwards: dict[str, tuple[tuple[str, ...], bool]], expected: list[str]) -> None:
    assert led_to("fred@dom1.test", accounts=Forwarding(forwards)) == expected


FRED = Address("fred", "dom1.test")


@pytest.mark.parametrize(("address", "goals", "expected"), [
    pytest.param("fred@dom1.test", [parse("f@far.test")], ["-> f@far.test"], id="on-and-not-here"),
    pytest.param("fred@dom1.test", [Final(FRED), parse("f@far.test")], ["fred@dom1.test", "-> f@far.test"], id="with-a-copy"),
    pytest.param("fred@dom1.test", [Final(Address("fred")), parse("f@far.test")], ["fred@dom1.test", "-> f@far.test"], id="his-bare-name"),
    pytest.param("fred@dom1.test", [FRED], ["fred@dom1.test"], id="to-himself"),
    pytest.param("fred@dom1.test", [], ["fred@dom1.test"], id="an-empty-one"),
    pytest.param("flintstone@dom1.test", [parse("f@far.test")], ["-> f@far.test"], id="aliases-come-first"),
    pytest.param("fred+list@dom1.test", [parse("f@far.test")], ["-> f@far.test"], id="with-an-extension-that-has-none-of-its-own"),
    pytest.param("fred@dom1.test", [parse("dick"), parse("tom@dom1.test")], ["dick@dom1.test", "tom@dom1.test", "-> watcher@far.test"],
                 id="to-others-here"),
])  # fmt: skip
def test_what_people_say_themselves_of_their_mail(address: str, goals: list[Goal], expected: list[str]) -> None:
    assert led_to(address, forwards=MemoryForwards({("fred@dom1.test", ""): goals})) == expected


def test_an_extension_may_have_a_forward_of_its_own() -> None:
    forwards = MemoryForwards({("fred@dom1.test", "list"): [parse("list@far.test")], ("fred@dom1.test", ""): [parse("f@far.test")]})
    assert led_to("fred+List@dom1.test", forwards=forwards) == ["-> list@far.test"]
    assert led_to("fred+other@dom1.test", forwards=forwards) == ["-> f@far.test"]


def test_a_file_and_a_program_of_somebody_are_his() -> None:
    forwards = MemoryForwards({("fred@dom1.test", ""): [ToFile("/home/fred/archive"), ToProgram("sort -x")]})
    targets = result_of(expansion(forwards=forwards).follow(FRED))
    assert [(target.kind, target.way, target.account) for target in targets] == [
        (Kind.FILE, "/home/fred/archive", "fred@dom1.test"), (Kind.PROGRAM, "sort -x", "fred@dom1.test")]  # fmt: skip


def test_a_forward_that_cannot_be_read_is_no_missing_one() -> None:
    forwards = MemoryForwards()
    forwards.available = False
    with pytest.raises(Unavailable):
        result_of(expansion(forwards=forwards).follow(FRED))


# ----- addresses elsewhere that are here, and second servers


def blue(aliases: dict[str, list[str]], **changes: Any) -> Expansion:
    return expansion(aliases=MemoryAliases(aliases), accounts=MemoryPeople({"anna@blue.example": "x"}),
                     local_domains=frozenset({"blue.example"}), default_domain="blue.example", **changes)


def elsewhere_of(table):
    async def ask(address):
        return table.get(str(address))

    return ask


@pytest.mark.parametrize(("address", "expected", "fault"), [
    pytest.param("any@local.test", ["anna@blue.example"], None, id="somebody-here"),
    pytest.param("list@local.test", ["anna@blue.example", "x@far.test"], None, id="an-alias-here"),
    pytest.param("x@old.test", [], "5.1.6", id="a-refusal-is-the-answer"),
    pytest.param("x@far.test", ["x@far.test"], None, id="elsewhere-after-all"),
    pytest.param("x@nobody.test", [], "5.1.1", id="nobody-here"),
    pytest.param("x@circle.test", [], "5.4.6", id="in-a-circle"),
    pytest.param("old-friend@blue.example", ["x@old.test"], None, id="behind-an-alias-the-relay-reports-it"),
])
def test_what_the_routes_say_of_addresses_elsewhere(address, expected, fault):
    aliases = {"list@blue.example": ["anna@blue.example", "x@far.test"], "old-friend@blue.example": ["x@old.test"],
               "round@blue.example": ["x@circle.test"]}
    table = {
        "any@local.test": Address("anna"), "list@local.test": Address("list", "blue.example"), "x@nobody.test": Address("nobody"),
        "x@old.test": Status(550, "5.1.6", "moved"), "x@circle.test": Address("round", "blue.example"),
    }
    made = blue(aliases, elsewhere=elsewhere_of(table))
    followed = result_of(made.explain(parse(address)))
    assert [str(target.address) for target in followed.targets] == expected
    assert (followed.fault.enhanced if followed.fault else None) == fault
    assert all(str(target.original) == address for target in followed.targets)


@pytest.mark.parametrize(("everything", "address", "expected"), [
    pytest.param(False, "anna@blue.example", [("mailbox", "anna@blue.example")], id="split-and-here"),
    pytest.param(False, "carl@blue.example", [("remote", "carl@blue.example")], id="split-and-there"),
    pytest.param(True, "anna@blue.example", [("mailbox", "anna@blue.example"), ("remote", "anna@blue.example")], id="dual"),
    pytest.param(True, "carl@blue.example", [("remote", "carl@blue.example")], id="dual-and-only-there"),
    pytest.param(True, "both@blue.example", [("mailbox", "anna@blue.example"), ("remote", "anna@blue.example")], id="dual-by-an-alias"),
    pytest.param(False, "postmaster@blue.example", [("mailbox", "postmaster@blue.example")], id="postmaster-stays"),
])
def test_a_domain_with_a_second_server(everything, address, expected):
    made = blue({"both@blue.example": ["anna@blue.example"]}, second_servers={"blue.example": everything})
    assert [(target.kind.value, str(target.address)) for target in result_of(made.follow(parse(address)))] == expected


@pytest.mark.parametrize("name", ["staff", "postmaster"])
def test_whose_forward_cannot_be_read_keeps_mail_from_nobody_else(name: str) -> None:
    aliases = MemoryAliases({f"{name}@dom1.test": ["anna@far.test", "fred"]})
    forwards = MemoryForwards()
    forwards.available = False
    followed = result_of(expansion(aliases=aliases, forwards=forwards).explain(parse(f"{name}@dom1.test")))
    assert [str(target.account or target.address) for target in followed.targets] == ["anna@far.test", "fred@dom1.test"]
    assert any("so it stays" in move.what for move in followed.trail)


@pytest.mark.parametrize(
    ("status", "raises"),
    [
        pytest.param(Status(451, "4.2.1", "Not before Monday"), True, id="later"),
        pytest.param(Status(550, "5.1.1", "She has left"), False, id="never"),
    ],
)
def test_what_leads_nowhere_only_now_is_not_taken_for_nothing(status: Status, raises: bool) -> None:
    """Whoever follows an address without asking why would drop what should wait."""
    made = expansion(aliases=MemoryAliases({"monday@dom1.test": [Refusal(status)]}))
    assert result_of(made.judge(parse("monday@dom1.test"))) == status
    if raises:
        with pytest.raises(Unavailable, match="Not before Monday"):
            result_of(made.follow(parse("monday@dom1.test")))
    else:
        assert result_of(made.follow(parse("monday@dom1.test"))) == ()
