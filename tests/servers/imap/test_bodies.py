"""Message texts that are answered in several batches, each loaded while the one before goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.memory.mailbox import Mailbox
from twistmail.servers.imap.bodies import TOGETHER

LOAD = Mailbox.load
LINES = 8000
COUNT = 12


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*[mail(f"m{number}", body=f"text of {number:3}\r\n" * LINES) for number in range(1, COUNT + 1)])
    return house


def subjects(lines: list[str]) -> list[str]:
    return [line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")]


def test_all_messages_come_whole_and_in_order(house: ImapHouse) -> None:
    lines = Guest(house, select="INBOX").say("a FETCH 1:* BODY.PEEK[]")
    assert subjects(lines) == [f"m{number}" for number in range(1, COUNT + 1)]
    assert [lines.count(f"text of {number:3}") for number in range(1, COUNT + 1)] == [LINES] * COUNT
    assert lines[-1] == "a OK Done"


def test_big_and_small_messages_keep_their_order(house: ImapHouse) -> None:
    house.put(mail("big", body="0123456789\r\n" * (TOGETHER // 10)), mail("small"), mail("smaller"))
    lines = Guest(house, select="INBOX").say(f"a FETCH {COUNT - 1}:* BODY.PEEK[]")
    assert subjects(lines) == [f"m{COUNT - 1}", f"m{COUNT}", "big", "small", "smaller"]


def test_what_has_gone_while_the_first_went_out_is_left_out(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(mailbox: Mailbox, uids: Sequence[int]) -> Any:
        if COUNT in uids:
            result_of(house.mailbox().expunge([COUNT]))
        return await LOAD(mailbox, uids)

    monkeypatch.setattr(Mailbox, "load", load)
    lines = Guest(house, select="INBOX").say("a FETCH 1:* BODY.PEEK[]")
    assert subjects(lines) == [f"m{number}" for number in range(1, COUNT)]
    assert "[EXPUNGEISSUED]" in lines[-1]


def test_a_disk_that_fails_ahead_is_told_when_its_turn_comes(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(mailbox: Mailbox, uids: Sequence[int]) -> Any:
        if COUNT in uids:
            raise OSError("no")
        return await LOAD(mailbox, uids)

    monkeypatch.setattr(Mailbox, "load", load)
    lines = Guest(house, select="INBOX").say("a FETCH 1:* BODY.PEEK[]")
    assert subjects(lines)[:1] == ["m1"]
    assert f"m{COUNT}" not in subjects(lines)
    assert lines[-1].startswith("a NO [UNAVAILABLE]")
