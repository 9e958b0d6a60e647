"""What an expansion tells of its way: every goal there is, in order, with what it turned out to be and where that is written."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs, formatEvent

from tests.helpers import result_of
from twistmail.expansion import LOOP, TOO_LONG, TOO_MANY, UNKNOWN, Expansion, Followed
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Discard, Final, Goal, Refusal, Step, ToFile, ToProgram
from twistmail.mail.envelope import Kind
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.memory.people import MemoryPeople

MOVED = Status(550, "5.1.6", "gone to far.test")
LATER = Status(451, "4.3.0", "come back tomorrow")
PEOPLE = MemoryPeople(dict.fromkeys(("fred@dom1.test", "tom@dom1.test", "mary-jane@dom1.test"), "x"))


class Written:
    """Aliases as steps: {"name": goals, or a Step, or what is raised}."""

    def __init__(self, steps: dict[str, Any]) -> None:
        self.steps = {str(parse(f"{name}@dom1.test" if "@" not in name else name)): found for name, found in steps.items()}

    async def lookup(self, address: Address) -> Step | None:
        found = self.steps.get(str(address))
        if isinstance(found, Exception):
            raise found
        if isinstance(found, tuple):
            return Step(found, f"/etc/aliases:{list(self.steps).index(str(address)) + 1}")
        return found


def names(*texts: str) -> tuple[Goal, ...]:
    return tuple(parse(text) for text in texts)


def expansion(steps: dict[str, Any], **changes: Any) -> Expansion:
    arguments: dict[str, Any] = {"clock": lambda: 0.0} | changes
    return Expansion(Written(steps), arguments.pop("accounts", PEOPLE), frozenset({"dom1.test", "dom2.test"}), "dom1.test", **arguments)


def followed(steps: dict[str, Any], address: str = "list@dom1.test", **changes: Any) -> Followed:
    found: Followed = result_of(expansion(steps, **changes).survey(parse(address)))
    return found


def drawn(trail: Followed) -> list[str]:
    """The trail, for reading: a dot for each alias that led there."""
    return ["." * move.depth + f"{move.name} {move.text}" for move in trail.trail]


@pytest.mark.parametrize(("steps", "expected"), [
    pytest.param({"list": names("fred", "x@far.test")},
                 ["list@dom1.test alias, /etc/aliases:1", ".fred@dom1.test mailbox", ".x@far.test outside"], id="addresses"),
    pytest.param({"list": (ToFile("/srv/box"), ToProgram("ticket --new"), Discard())},
                 ["list@dom1.test alias, /etc/aliases:1", "./srv/box file", ".|ticket --new program", ".:blackhole: thrown away"],
                 id="files-and-programs"),
    pytest.param({"list": names("two", "fred"), "two": names("fred", "tom", "two", "list")},
                 ["list@dom1.test alias, /etc/aliases:1", ".two@dom1.test alias, /etc/aliases:2", "..fred@dom1.test mailbox",
                  "..tom@dom1.test mailbox", "..two@dom1.test loop, ignored: two@dom1.test -> two@dom1.test",
                  "..list@dom1.test loop, ignored: list@dom1.test -> two@dom1.test -> list@dom1.test", ".fred@dom1.test named before"],
                 id="circles-are-named-and-nobody-is-followed-twice"),
    pytest.param({"list": (Final(Address("tom")),), "tom": names("fred")},
                 ["list@dom1.test alias, /etc/aliases:1", ".tom@dom1.test mailbox"], id="no-further"),
    pytest.param({"list": (*names("fred+a", "fred+b"),)},
                 ["list@dom1.test alias, /etc/aliases:1", ".fred+a@dom1.test mailbox fred@dom1.test",
                  ".fred+b@dom1.test mailbox fred@dom1.test, named before"], id="two-names-of-one-mailbox"),
    pytest.param({"list": (Refusal(MOVED),)},
                 ["list@dom1.test alias, /etc/aliases:1", ".:fail: gone to far.test refused: 550 5.1.6 gone to far.test"], id="a-refusal"),
])  # fmt: skip
def test_the_trail_of(steps: dict[str, Any], expected: list[str]) -> None:
    assert drawn(followed(steps)) == expected


@pytest.mark.parametrize(("steps", "fault", "targets"), [
    pytest.param({"list": (Refusal(MOVED),)}, MOVED, 0, id="a-refusal-is-the-answer"),
    pytest.param({"list": names("old"), "old": (Refusal(MOVED),)}, MOVED, 0, id="behind-another-alias-too"),
    pytest.param({"list": (*names("fred"), Refusal(MOVED))}, None, 1, id="who-else-is-named-gets-it"),
    pytest.param({"list": (*names("fred"), Refusal(LATER))}, LATER, 0, id="but-not-before-what-can-only-be-said-later"),
    pytest.param({"list": names("nobody")}, UNKNOWN, 0, id="nobody"),
    pytest.param({"list": names("nobody", "old"), "old": (Refusal(MOVED),)}, MOVED, 0, id="words-count-for-more-than-nobody"),
    pytest.param({"list": names("nobody", "list")}, LOOP, 0, id="a-circle-counts-for-more-than-nobody"),
    pytest.param({"list": (Final(Address("list")),)}, UNKNOWN, 0, id="no-further-and-nobody"),
    pytest.param({"list": names("fred", "d0"), **{f"d{n}": names(f"d{n + 1}") for n in range(12)}}, TOO_MANY, 0, id="too-deep-for-all"),
    pytest.param({"list": names(*(f"u{n}@far.test" for n in range(1000)))}, None, 1000, id="as-many-as-the-limit"),
    pytest.param({"list": names(*(f"u{n}@far.test" for n in range(1001)))}, TOO_LONG, 0, id="one-more-is-put-off-for-all"),
    pytest.param({"list": names("fred"), "fred": Unavailable("the table is away")}, UNAVAILABLE, 0, id="a-table-that-is-away"),
    pytest.param({"list": (Discard(),)}, None, 1, id="thrown-away-is-somewhere"),
])  # fmt: skip
def test_what_comes_of_it_all(steps: dict[str, Any], fault: Status | None, targets: int) -> None:
    found = followed(steps)
    assert (found.fault, len(found.targets)) == (fault, targets)


def test_what_cannot_be_asked_is_the_end_of_the_trail_and_raised_for_others() -> None:
    steps = {"list": names("fred"), "fred": Unavailable("the table is away")}
    assert drawn(followed(steps))[-1] == ".fred@dom1.test cannot be looked up: the table is away"
    with pytest.raises(Unavailable, match="the table is away"):
        result_of(expansion(steps).explain(parse("list@dom1.test")))


def test_files_and_programs_are_the_system_s_and_are_called_by_their_alias() -> None:
    one, two = followed({"list": names("archive"), "archive": (ToFile("/srv/box/"), ToProgram("ticket"))}).targets
    assert (one.kind, one.way, one.account, str(one.address), str(one.original)) == (
        Kind.FILE, "/srv/box/", "", "archive@dom1.test", "list@dom1.test")  # fmt: skip
    assert (two.kind, two.way) == (Kind.PROGRAM, "ticket")


def test_reports_go_to_the_owner_of_the_nearest_list_that_has_one() -> None:
    owner, other = parse("owner-list@dom1.test"), parse("owner-sub@dom1.test")
    steps = {"list": Step(names("fred", "sub", "plain"), owner=owner), "sub": Step(names("tom"), owner=other), "plain": names("x@far.test")}
    assert {str(target.address): target.sender for target in followed(steps).targets} == {
        "fred@dom1.test": owner, "tom@dom1.test": other, "x@far.test": owner}  # fmt: skip


# ----- forwards


class Said:
    """Forwards as steps: {"name": Step, "name extension": Step}."""

    def __init__(self, steps: dict[str, Step]) -> None:
        self.steps = steps

    async def lookup(self, account: Account, extension: str) -> Step | None:
        return self.steps.get(f"{account.name} {extension}".strip()) or self.steps.get(account.name)


FORWARDS = {
    "fred@dom1.test": Step((ToFile("/home/fred/box"), Address("x", "far.test")), "/home/fred/.forward"),
    "fred@dom1.test list": Step((Final(Address("fred")), Address("team")), "/home/fred/.forward+list"),
    "tom@dom1.test": Step((Address("tom"), Address("fred"))),
}


@pytest.mark.parametrize(("address", "expected"), [
    pytest.param("fred", ["fred@dom1.test forwarded, /home/fred/.forward", "./home/fred/box file", ".x@far.test outside"], id="elsewhere"),
    pytest.param("fred+list", ["fred+list@dom1.test forwarded by fred@dom1.test, /home/fred/.forward+list",
                               ".fred+list@dom1.test mailbox fred@dom1.test", ".team@dom1.test alias, /etc/aliases:1",
                               "..tom@dom1.test forwarded", "...tom@dom1.test mailbox",
                               "...fred@dom1.test mailbox, named before"], id="with-an-extension-and-a-copy"),
])  # fmt: skip
def test_mail_that_goes_on(address: str, expected: list[str]) -> None:
    assert drawn(followed({"team": names("tom")}, f"{address}@dom1.test", forwards=Said(FORWARDS))) == expected


def test_files_of_a_forward_are_its_user_s_and_those_behind_an_alias_of_the_house_are_the_house_s() -> None:
    forwards = {"fred@dom1.test": Step((ToFile("/home/fred/box"), Address("archive")))}
    targets = followed({"archive": (ToFile("/srv/box"),)}, "fred@dom1.test", forwards=Said(forwards)).targets
    assert [(target.way, target.account) for target in targets] == [("/home/fred/box", "fred@dom1.test"), ("/srv/box", "")]


# ----- separators


@pytest.mark.parametrize(("local", "separators", "expected"), [
    pytest.param("mary-jane-news", "+-", "mary-jane@dom1.test", id="the-longest-name-first"),
    pytest.param("fred-a+b", "+-", "fred@dom1.test", id="two-separators"),
    pytest.param("fred+a+b+c+d+e+f", "+", "fred@dom1.test", id="many"),
    pytest.param("fred-a", "+", "", id="not-a-separator"),
    pytest.param("+fred", "+", "", id="nothing-before-it"),
    pytest.param("fred+", "+", "fred@dom1.test", id="nothing-behind-it"),
    pytest.param("fred+a", "", "", id="none-at-all"),
    pytest.param("tom-x", "-", "fred@dom1.test", id="what-qmail-calls-default"),
    pytest.param("tom-x-y", "-", "x@far.test", id="the-longest-default-first"),
    pytest.param("tom", "-", "tom@dom1.test", id="not-for-the-name-itself"),
])  # fmt: skip
def test_what_stands_behind_a_separator_may_be_left_out(local: str, separators: str, expected: str) -> None:
    steps = {"tom-default": names("fred"), "tom-x-default": names("x@far.test")}
    targets = followed(steps, f"{local}@dom1.test", separators=separators).targets
    assert [target.account or str(target.address) for target in targets] == ([expected] if expected else [])


def test_a_domain_may_have_separators_of_its_own() -> None:
    people = MemoryPeople(dict.fromkeys(("fred@dom1.test", "fred@dom2.test"), "x"))
    made = expansion({}, accounts=people, separators="+", separators_of={"dom2.test": "="})
    assert [bool(result_of(made.follow(parse(name)))) for name in ("fred+a@dom1.test", "fred=a@dom1.test", "fred+a@dom2.test",
                                                                   "fred=a@dom2.test")] == [True, False, False, True]  # fmt: skip


# ----- the names that every house has


@pytest.mark.parametrize(("steps", "address", "expected"), [
    pytest.param({}, "root@dom2.test", "postmaster@dom1.test", id="root-is-the-postmaster"),
    pytest.param({}, "MAILER-DAEMON@dom1.test", "postmaster@dom1.test", id="mailer-daemon"),
    pytest.param({"root": names("fred")}, "root@dom1.test", "fred@dom1.test", id="unless-there-is-an-alias"),
    pytest.param({"postmaster": names("root")}, "root@dom1.test", "postmaster@dom1.test", id="no-circle-is-without-a-box"),
    pytest.param({"postmaster": (Refusal(LATER),)}, "postmaster@dom1.test", "postmaster@dom1.test", id="postmaster-is-never-refused"),
])  # fmt: skip
def test_the_names_that_every_house_has(steps: dict[str, Any], address: str, expected: str) -> None:
    targets = followed(steps, address, to_postmaster=frozenset({"root", "mailer-daemon"})).targets
    assert [target.account for target in targets] == [expected]


# ----- size


def test_a_long_list_lets_others_have_their_turn() -> None:
    turns = []

    async def pause() -> None:
        turns.append(1)

    steps = {"list": names(*(f"u{n}@far.test" for n in range(10_000)))}
    assert len(followed(steps, limit=10_000, pause=pause).targets) == 10_000
    assert 40 <= len(turns) <= 100


NAMES = [f"n{n}" for n in range(6)]
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from([*NAMES, "fred", "tom", "x@far.test"]), min_size=1, max_size=6))


@given(GRAPHS)
@settings(max_examples=150, deadline=None)
def test_whatever_leads_where_the_targets_are_what_can_be_reached(graph: dict[str, list[str]]) -> None:
    reached, waiting = set(), ["n0"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph.get(name, [])
    ends = {f"{name}@dom1.test" if "@" not in name else name for name in reached if name in ("fred", "tom", "x@far.test")}
    found = followed({name: names(*goals) for name, goals in graph.items()}, "n0@dom1.test")
    assert {str(target.address) for target in found.targets} == ends
    assert (found.fault is None) == bool(ends)
    assert {str(move.target.address) for move in found.trail if move.target} == ends
    depths = [move.depth for move in found.trail]
    assert depths[0] == 0
    assert all(later <= earlier + 1 for earlier, later in pairwise(depths)), "it is a tree"


def test_a_second_server_gets_its_copy_whoever_forwards() -> None:
    people = MemoryPeople(dict.fromkeys(("fred@dom1.test",), "x"))
    people.add(replace(people.accounts["fred@dom1.test"], forward=("x@far.test",), keep_copy=False), "x")
    found = followed({}, "fred@dom1.test", accounts=people, second_servers={"dom1.test": True})
    assert [(target.kind, str(target.address)) for target in found.targets] == [
        (Kind.REMOTE, "fred@dom1.test"), (Kind.REMOTE, "x@far.test")]  # fmt: skip


@pytest.mark.parametrize(("steps", "rule"), [
    pytest.param({"list": names("old"), "old": (Refusal(MOVED),)},
                 "/etc/aliases:2: :fail: gone to far.test: refused: 550 5.1.6 gone to far.test", id="the-line-that-refuses"),
    pytest.param({"list": names("two"), "two": names("list")},
                 "/etc/aliases:2: list@dom1.test: loop, ignored: list@dom1.test -> two@dom1.test -> list@dom1.test", id="the-circle"),
    pytest.param({"list": names("nobody")}, "/etc/aliases:1: nobody@dom1.test: neither alias nor user", id="the-line-that-leads-nowhere"),
    pytest.param({}, "", id="none-where-no-alias-was-met"),
    pytest.param({"list": names("fred")}, "", id="none-where-mail-arrives"),
])  # fmt: skip
def test_the_operator_hears_which_line_decided(steps: dict[str, Any], rule: str) -> None:
    assert followed(steps).rule == rule


def test_what_leads_nowhere_is_told_once() -> None:
    made = expansion({"list": names("fred", "nobody", "list")})
    with capturedLogs() as events:
        for _ in range(3):
            assert len(result_of(made.survey(parse("list@dom1.test"))).targets) == 1
        assert result_of(made.survey(parse("stranger@dom1.test"))).fault == UNKNOWN, "who writes to nobody is not news"
    assert [formatEvent(event) for event in events] == [
        "list@dom1.test (alias, /etc/aliases:1) leads to nobody@dom1.test: neither alias nor user",
        "list@dom1.test (alias, /etc/aliases:1) leads to list@dom1.test: loop, ignored: list@dom1.test -> list@dom1.test"]  # fmt: skip
