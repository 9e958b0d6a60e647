"""Copies by rule: who gets one, and what happens where it cannot be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import result_of
from twistmail.expansion import Expansion
from twistmail.interfaces import Unavailable
from twistmail.mail.address import parse
from twistmail.mail.envelope import Peer, Recipient, Role, Transaction
from twistmail.memory.people import MemoryAliases, MemoryPeople
from twistmail.policy import copies
from twistmail.policy.copies import Copies
from twistmail.watched import Broken, WatchedFile

ADDRESSES = ("anna@blue.example", "boss@blue.example", "archive@blue.example")


class Inline:
    """Threads that are none."""

    async def run(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


def table(path: Path, text: str) -> WatchedFile[copies.Table]:
    path.write_text(text)
    return WatchedFile(path, copies.parse, Inline())


def rules(tmp_path: Path, *, always: str = "", senders: str = "", recipients: str = "") -> Copies:
    expansion = Expansion(
        MemoryAliases({"both@blue.example": ["boss", "archive"], "gone@blue.example": ["nobody"]}),
        MemoryPeople(dict.fromkeys(ADDRESSES, "x")), frozenset({"blue.example"}), "blue.example", clock=lambda: 0.0,
    )  # fmt: skip
    return Copies(
        expansion, [parse(word) for word in always.split()],
        table(tmp_path / "s", senders) if senders else None, table(tmp_path / "r", recipients) if recipients else None,
    )  # fmt: skip


def message(sender: str = "eve@far.test", *recipients: str) -> Transaction:
    peer = Peer("c", "192.0.2.7", 1, Role.MX)
    return Transaction(peer, "m", 0.0, parse(sender) if sender else None, {}, tuple(Recipient(parse(one)) for one in recipients))


def copied(found: Copies, transaction: Transaction) -> list[str]:
    return [target.account or str(target.address) for target in result_of(found.targets(transaction))]


@pytest.mark.parametrize(("of", "sender", "recipient", "expected"), [
    pytest.param({"always": "archive"}, "eve@far.test", "anna@blue.example", ["archive@blue.example"], id="always"),
    pytest.param({"always": "both x@far.test"}, "", "anna@blue.example", ["boss@blue.example", "archive@blue.example", "x@far.test"],
                 id="as-far-as-aliases-lead-and-of-reports-too"),
    pytest.param({"senders": "anna boss"}, "Anna@blue.example", "x@far.test", ["boss@blue.example"], id="a-name-in-our-domains"),
    pytest.param({"senders": "anna boss"}, "anna@far.test", "x@far.test", [], id="and-in-no-other"),
    pytest.param({"senders": "@far.test boss"}, "anna@far.test", "x@far.test", ["boss@blue.example"], id="a-whole-domain"),
    pytest.param({"senders": "@far.test boss"}, "anna@sub.far.test", "x@far.test", [], id="and-not-those-below"),
    pytest.param({"senders": "@far.test boss\nanna@far.test archive"}, "anna@far.test", "x", ["archive@blue.example"],
                 id="the-address-before-its-domain"),
    pytest.param({"senders": "@far.test boss"}, "", "x@far.test", [], id="nobody-has-no-rules"),
    pytest.param({"recipients": "anna@blue.example boss"}, "", "anna+x@blue.example", ["boss@blue.example"], id="without-the-suffix"),
    pytest.param({"recipients": "anna+x@blue.example boss\nanna archive"}, "", "anna+x@blue.example", ["boss@blue.example"],
                 id="with-it-first"),
    pytest.param({"recipients": "anna boss,\n  archive"}, "", "anna", ["boss@blue.example", "archive@blue.example"],
                 id="a-line-that-goes-on-and-a-name-alone"),
    pytest.param({"recipients": "@far.test x@far.test"}, "", "x@far.test", ["x@far.test"], id="himself"),
    pytest.param({"always": "boss", "senders": "@far.test boss", "recipients": "anna both"}, "eve@far.test", "anna",
                 ["boss@blue.example", "archive@blue.example"], id="one-for-each-place"),
])  # fmt: skip
def test_who_gets_a_copy(tmp_path: Path, of: dict[str, str], sender: str, recipient: str, expected: list[str]) -> None:
    assert copied(rules(tmp_path, **of), message(sender, recipient)) == expected


def test_a_copy_that_can_go_nowhere_lets_the_message_wait(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="always: no copy can go to gone: 550"):
        copied(rules(tmp_path, always="gone"), message())


def test_an_edited_file_counts_for_the_next_message_and_a_broken_one_does_not(tmp_path: Path) -> None:
    found = rules(tmp_path, senders="anna boss\n")
    sent = replace(message("anna@blue.example"))
    assert copied(found, sent) == ["boss@blue.example"]
    (tmp_path / "s").write_text("anna archive # as of today\n")
    assert copied(found, sent) == ["archive@blue.example"]
    (tmp_path / "s").write_text("anna\n")
    assert copied(found, sent) == ["archive@blue.example"]


@pytest.mark.parametrize(("text", "line", "said"), [
    pytest.param("anna", 1, "nobody gets the copies for anna", id="no-copy"),
    pytest.param("# x\nanna boss\nAnna archive", 3, "stands in line 2 already", id="twice"),
    pytest.param("an na@@ boss", 1, "is not", id="no-address"),
    pytest.param("@not..a..domain boss", 1, "is not a domain name", id="no-domain"),
    pytest.param("anna " + "boss " * 101, 1, "more than 100", id="too-many"),
    pytest.param("anna \0", 1, "", id="nul"),
])
def test_mistakes_are_told_with_their_line(text: str, line: int, said: str) -> None:
    with pytest.raises(Broken) as broken:
        copies.parse(text)
    assert broken.value.problems[0][0] == line
    assert said in broken.value.problems[0][1]


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_table_or_broken(text: str) -> None:
    try:
        found = copies.parse(text)
    except Broken:
        return  # any other exception is a failure
    assert all(line.copies for line in found.values())
