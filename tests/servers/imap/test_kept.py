"""Rendered blocks are kept for the next who asks, and never tell anything but the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.dialogues.imap_house import THREE, Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.mail.mailbox import Column
from twistmail.memory.mailbox import Mailbox
from twistmail.servers.imap.kept import BIGGEST, Kept

LISTING = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*THREE)
    Guest(house, select="INBOX")  # so that nothing is recent
    return house


class Asked:
    """What the mailboxes of a house have been asked for, the columns that are at hand left out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.columns: list[tuple[Column, ...]] = []
        rows = Mailbox.rows

        async def listened(mailbox: Mailbox, uids: Sequence[int], columns: Sequence[Column]) -> Any:
            if tuple(columns) != (Column.SIZE,):
                self.columns.append(tuple(columns))
            return await rows(mailbox, uids, columns)

        monkeypatch.setattr(Mailbox, "rows", listened)


def test_what_one_client_was_told_another_is_told_without_a_look_at_the_mailbox(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Guest(house, select="INBOX"), Guest(house, select="INBOX")
    asked = Asked(monkeypatch)
    told = first.say(f"a FETCH 1:* {LISTING}")
    assert len(asked.columns) == 1
    assert second.say(f"a FETCH 1:* {LISTING}") == told
    assert first.say(f"a UID FETCH 1:* {LISTING}") == told
    assert len(asked.columns) == 1


@pytest.mark.parametrize("change", [
    pytest.param("STORE 2 +FLAGS (\\Flagged)", id="flags"),
    pytest.param("STORE 2 +FLAGS (Junk)", id="a-new-keyword"),
    pytest.param("STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE", id="numbers"),
])
def test_after_a_change_the_truth_is_told(house: ImapHouse, change: str) -> None:
    guest = Guest(house, select="INBOX")
    before = guest.say(f"a FETCH 1:* {LISTING}")
    guest.say(f"c {change}")
    after = guest.say(f"a FETCH 1:* {LISTING}")
    house.kept = Kept(0)
    assert after != before
    assert after == Guest(house, select="INBOX").say(f"a FETCH 1:* {LISTING}")


def test_messages_that_another_has_expunged_are_missing_from_what_is_kept(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    guest.say("a FETCH 1:* (ENVELOPE)")
    result_of(house.mailbox().expunge([2]))
    lines = guest.say("a FETCH 1:* (ENVELOPE)")
    assert [line.split(" ")[1] for line in lines[:-1] if " FETCH (" in line] == ["1", "3"]
    assert "[EXPUNGEISSUED]" in lines[-1]
    assert "[EXPUNGEISSUED]" in guest.say("a FETCH 1:* (ENVELOPE)")[-1]


def test_a_mailbox_that_takes_the_name_of_another_tells_its_own(house: ImapHouse) -> None:
    guest = Guest(house)
    guest.say("a CREATE Work")
    house.put(mail("old"), name="Work")
    guest.say("a SELECT Work")
    assert '"old"' in guest.say("a FETCH 1 ENVELOPE")[0]
    guest.say("a UNSELECT")
    guest.say("a DELETE Work")
    guest.say("a CREATE Work")
    house.put(mail("new"), name="Work")
    guest.say("a SELECT Work")
    assert '"new"' in guest.say("a FETCH 1 ENVELOPE")[0]


@pytest.mark.parametrize("items", [
    pytest.param("(BODY[HEADER])", id="sets-seen"),
    pytest.param("(BODY.PEEK[])", id="whole-messages"),
])
def test_what_changes_something_or_is_big_is_not_kept(house: ImapHouse, items: str) -> None:
    Guest(house, select="INBOX").say(f"a FETCH 1:* {items}")
    assert house.kept.octets == 0


def test_the_oldest_go_first_and_no_more_than_the_limit_is_kept() -> None:
    kept = Kept(1000)
    for number in range(10):
        kept.keep(number, b"x" * 90, 10)
    assert kept.find(0) == b"x" * 90
    kept.keep(10, b"y" * 90, 10)
    assert (kept.find(0), kept.find(1), kept.find(10)) == (b"x" * 90, None, b"y" * 90)
    kept.keep(11, b"z" * 901, 100)
    assert kept.find(11) is None
    kept.keep(10, b"y" * 40, 10)
    assert kept.octets == 950


def test_one_block_cannot_take_the_place_of_all() -> None:
    kept = Kept()
    kept.keep("big", b"x" * BIGGEST, 1)
    assert kept.octets == 0
