"""One mailing list: whose a token is, and what it costs to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.lists.book import Book
from twistmail.lists.mailing_list import MailingList, Tools
from twistmail.lists.notes import Note
from twistmail.lists.settings import LIST
from twistmail.lists.tokens import BOUNCE, LEAVE, Tokens
from twistmail.mail.address import Address, parse

NEWS = parse("news@blue.test")
TOKENS = Tokens(b"secret")
NOW = 1_800_000_000.0


class Counting(Tokens):
    """Knows how many it has made."""

    made = 0

    def of(self, purpose: str, name: Address, member: Address) -> str:
        self.made += 1
        return super().of(purpose, name, member)


class Source:
    """Members that a test changes."""

    origin = "file"

    def __init__(self, *members: str) -> None:
        self.members = {member: parse(member) for member in members}

    async def addresses(self) -> dict[str, Address]:
        return self.members


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(Book(tmp_path / "lists"), Counting(b"secret"), tasks.Inline(), lambda: NOW)


def whose(one: MailingList, member: str, purpose: str = LEAVE) -> Any:
    return result_of(one.whose(TOKENS.of(purpose, NEWS, parse(member)), purpose))


def test_whoever_is_or_was_on_it_is_known_by_his_token(tools: Tools) -> None:
    tools.book.keep(NEWS, [("bert@far.test", Note(subscribed=True)), ("gone@far.test", Note(left=True))])
    one = MailingList(NEWS, LIST.defaults(), [Source("anna@far.test")], tools)
    for name in ("anna", "bert", "gone"):
        assert whose(one, f"{name}@far.test") == whose(one, f"{name}@far.test", BOUNCE) == parse(f"{name}@far.test")
    assert whose(one, "eve@far.test") is None


def test_who_comes_later_is_known_when_he_was_given_one(tools: Tools) -> None:
    source = Source("anna@far.test")
    one = MailingList(NEWS, LIST.defaults(), [source], tools)
    assert whose(one, "carl@far.test") is None
    source.members = {"carl@far.test": parse("carl@far.test")}
    assert whose(one, "carl@far.test") == parse("carl@far.test")
    result_of(one.subscribe(parse("Dora@far.test")))
    assert one.given.of(LEAVE, parse("Dora@far.test")) == TOKENS.of(LEAVE, NEWS, parse("Dora@far.test"))
    assert result_of(one.whose(TOKENS.of(LEAVE, NEWS, parse("Dora@far.test")), LEAVE)) == parse("dora@far.test")


def test_whoever_guesses_costs_the_same_however_many_members_there_are(tools: Tools) -> None:
    one = MailingList(NEWS, LIST.defaults(), [Source(*(f"m{number}@far.test" for number in range(500)))], tools)
    for guess in ("x", "", "a" * 17, "0" * 16):
        assert result_of(one.whose(guess, LEAVE)) is None
    assert tools.tokens.made == 0, "what cannot be one is not looked for"
    for _ in range(20):
        assert result_of(one.whose("a" * 16, LEAVE)) is None
    assert tools.tokens.made == 1000, "each is made once for each purpose"
