"""What is wrong with aliases: circles by name, ends that are none, and accounts that get nothing because an alias has their name."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from tests.helpers import result_of
from twistmail import alias_problems
from twistmail.aliases.listed import Listed, listed
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.walking import LOOP
from twistmail.memory.people import MemoryAliases, MemoryPeople

DOMAINS = frozenset({"dom1.test", "dom2.test"})


class Source(MemoryAliases):
    """Aliases that can be listed, each in a line of its own. A name without a domain holds in all of them."""

    def __init__(self, aliases: dict[str, list[str]]) -> None:
        super().__init__({
            full: targets for name, targets in aliases.items()
            for full in ([name] if "@" in name else [f"{name}@{domain}" for domain in DOMAINS])
        })  # fmt: skip
        self.rows = [
            listed(parse(name), [parse(target) for target in targets], f"/etc/aliases:{line}")
            for line, (name, targets) in enumerate(aliases.items(), 1)
        ]

    async def listed(self) -> list[Listed]:
        if not self.available:
            raise Unavailable("the aliases are away")
        return self.rows


def house(aliases: dict[str, list[str]], **changes: Any) -> Expansion:
    people = MemoryPeople(dict.fromkeys(("fred@dom1.test", "fred@dom2.test", "anna@dom1.test"), "x"))
    people.add(Account("tom@dom1.test", forward=("tom@far.test",), keep_copy=False), "x")
    return Expansion(Source(aliases), people, DOMAINS, "dom1.test", clock=lambda: 0.0, **changes)


def told(aliases: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(row["address"], row["problem"]) for row in result_of(alias_problems.problems(house(aliases)))]


@pytest.mark.parametrize(("aliases", "expected"), [
    pytest.param({"info@dom1.test": ["fred", "anna"]}, [], id="fine"),
    pytest.param({"fred@dom1.test": ["anna"]}, [("fred@dom1.test", "hides the account fred@dom1.test")], id="it-hides-an-account"),
    pytest.param({"fred": ["anna"]}, [("fred", "hides the account fred@dom1.test"), ("fred", "hides the account fred@dom2.test"),
                                      ], id="a-name-in-every-domain"),
    pytest.param({"fred@dom1.test": ["fred", "anna"]}, [], id="it-names-the-account-itself"),
    pytest.param({"fred@dom1.test": ["group"], "group@dom1.test": ["anna", "fred"]},
                 [("group@dom1.test", "loop, ignored: group@dom1.test -> fred@dom1.test -> group@dom1.test")], id="or-leads-to-it"),
    pytest.param({"fred": ["anna"], "fred@dom2.test": ["fred"]}, [("fred", "hides the account fred@dom1.test")],
                 id="a-line-of-the-domain-alone-counts-there"),
    pytest.param({"tom@dom1.test": ["tom"]}, [], id="whose-mail-goes-on-has-not-lost-it"),
    pytest.param({"a@dom1.test": ["b"], "b@dom1.test": ["a"]}, [
        ("a@dom1.test", f"b@dom1.test: {LOOP.text} (loop, ignored: b@dom1.test -> a@dom1.test -> b@dom1.test)"),
        ("b@dom1.test", f"a@dom1.test: {LOOP.text} (loop, ignored: a@dom1.test -> b@dom1.test -> a@dom1.test)"),
    ], id="a-circle-is-told-by-its-names"),
    pytest.param({"old@dom1.test": ["gone"], "out@dom1.test": ["x@far.test"]}, [
        ("old@dom1.test", "gone@dom1.test: There is no mailbox of that name here"), ("out@dom1.test", "leads outside, to x@far.test"),
    ], id="nowhere-and-outside"),
])  # fmt: skip
def test_what_is_wrong(aliases: dict[str, list[str]], expected: list[tuple[str, str]]) -> None:
    assert told(aliases) == expected


def test_aliases_that_cannot_be_listed_are_a_problem_and_no_end_of_the_world() -> None:
    made = house({})
    made.aliases.available = False  # type: ignore[attr-defined]
    assert [row["problem"] for row in result_of(alias_problems.problems(made))] == ["the aliases cannot be listed: the aliases are away"]
    result_of(alias_problems.warn(made))


def test_the_start_tells_of_hidden_accounts_and_of_nothing_else_and_not_without_end() -> None:
    with capturedLogs() as events:
        result_of(alias_problems.warn(house({"fred@dom1.test": ["anna"], "old@dom1.test": ["gone"]})))
    assert [formatEvent(event) for event in events if event["log_level"].name == "warn" and "hides" in event["log_format"]] == [
        "/etc/aliases:1: the alias fred@dom1.test hides the account fred@dom1.test, whose mailbox gets nothing"]  # fmt: skip
    many = house({f"u{number}@dom1.test": ["anna"] for number in range(30)})
    for number in range(30):
        many.accounts.add(Account(f"u{number}@dom1.test"), "x")
    with capturedLogs() as events:
        result_of(alias_problems.warn(many))
    said = [formatEvent(event) for event in events if "hide" in event["log_format"]]
    assert (len(said), said[-1]) == (alias_problems.MOST_TOLD + 1, "more aliases hide accounts: twistmail alias check lists them")


def test_many_aliases_let_others_have_their_turn() -> None:
    turns = []

    async def pause() -> None:
        turns.append(1)

    result_of(alias_problems.problems(house({f"a{number}@dom1.test": ["anna"] for number in range(500)}, pause=pause)))
    assert len(turns) >= 2 * 500 // alias_problems.PIECE


def test_an_address_elsewhere_hides_nobody() -> None:
    made = house({"fred@far.test": ["anna"]})
    assert alias_problems._names(made, Address("fred", "far.test")) == []
    assert told({"fred@far.test": ["anna@dom1.test"]}) == []
