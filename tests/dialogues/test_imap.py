"""The IMAP dialogues, in all feedings, over the store in memory and the one on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.dialogues.imap_house import NOW, Guest, ImapHouse, connect, mail
from tests.dialogues.player import Feeding, Script, play, scripts
from twistmail import disk
from twistmail.memory.store import MailStore as MemoryStore
from twistmail.servers.pump import Pump
from twistmail.store.mailstore import MailStore
from twistmail.tasks import Inline


@pytest.mark.parametrize("feeding", Feeding)
@pytest.mark.parametrize("script", scripts("imap"))
def test_dialogue(script: Script, feeding: Feeding) -> None:
    play(script, feeding, lambda clock, settings: connect(clock, settings, MemoryStore(lambda: NOW)))


@pytest.mark.parametrize("script", scripts("imap"))
def test_dialogue_on_disk(script: Script, tmp_path: Path) -> None:
    stores: list[Any] = []

    def begin(clock: Clock, settings: dict[str, str]) -> Pump:
        stores.append(MailStore(tmp_path, None, disk.InlineCommitter(), Inline(), now=lambda: NOW))
        return connect(clock, settings, stores[0])

    play(script, Feeding.WHOLE, begin)
    stores[0].close()


def test_uids_of_copies_and_appended_messages_are_told() -> None:
    """RFC 4315 §3, with the numbers that the store in memory gives."""
    house = ImapHouse()
    house.put(*(mail(f"number {number}") for number in range(5)))
    guest = Guest(house, select="INBOX")
    trash = house.mailbox("Trash").uidvalidity
    assert guest.say("a COPY 2:3,5 Trash") == [f"a OK [COPYUID {trash} 2:3,5 1:3] Copied"]
    assert guest.say("b MOVE 4 Trash")[0] == f"* OK [COPYUID {trash} 4 4] Moved"
    assert guest.say("c APPEND Trash {3+}\r\nabc") == [f"c OK [APPENDUID {trash} 5] Appended"]
