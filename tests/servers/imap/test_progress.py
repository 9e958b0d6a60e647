"""INPROGRESS (RFC 9585)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from tests.dialogues.imap_house import THREE, Guest, ImapHouse
from twistmail.memory.mailbox import Mailbox
from twistmail.memory.store import Mailboxes
from twistmail.servers.imap import flags, view
from twistmail.servers.imap.progress import _progress


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[Deferred[Any]]:
    """Searches for a text wait for what stands here."""
    waiting: list[Deferred[Any]] = []

    async def text_search(self: Mailbox, uids: Any, needle: str, headers: bool) -> set[int]:
        waiting.append(Deferred())
        await waiting[-1]
        return {2}

    monkeypatch.setattr(Mailbox, "text_search", text_search)
    return waiting


@pytest.fixture
def guest() -> Guest:
    house = ImapHouse()
    house.put(*THREE)
    return Guest(house, select="INBOX")


def test_who_waits_is_told_every_ten_seconds(guest: Guest, slow: list[Deferred[Any]]) -> None:
    assert guest.say("a SEARCH TEXT x") == []
    guest.clock.advance(9)
    assert guest.heard() == []
    guest.clock.advance(2)
    assert guest.heard() == ['* OK [INPROGRESS ("a" NIL NIL)] Still at it']
    guest.clock.advance(10)
    assert len(guest.heard()) == 1
    slow[0].callback(None)
    assert guest.heard() == ["* SEARCH 2", "a OK Done"]
    guest.clock.advance(30)
    assert guest.heard() == []


@pytest.mark.parametrize(("command", "method", "last"), [
    pytest.param("COPY 1:2 Drafts", "copy", "a OK [COPYUID", id="copy"),
    pytest.param("UID MOVE 1:2 Drafts", "move", "a OK", id="move"),
    pytest.param("STORE 1 +FLAGS (\\Seen)", "store", "a OK", id="store"),
    pytest.param("EXPUNGE", "expunge", "a OK", id="expunge"),
])  # fmt: skip
def test_other_commands_that_take_long(guest: Guest, monkeypatch: pytest.MonkeyPatch, command: str, method: str, last: str) -> None:
    waiting: Deferred[None] = Deferred()
    at_once = getattr(Mailbox, method)

    async def late(self: Mailbox, *arguments: Any, **keywords: Any) -> Any:
        await waiting
        return await at_once(self, *arguments, **keywords)

    guest.say("b STORE 3 +FLAGS.SILENT (\\Deleted)")
    monkeypatch.setattr(Mailbox, method, late)
    assert guest.say(f"a {command}") == []
    guest.clock.advance(10)
    assert guest.heard() == ['* OK [INPROGRESS ("a" NIL NIL)] Still at it']
    waiting.callback(None)
    assert guest.heard()[-1].startswith(last)


def test_of_many_messages_it_is_told_how_many_are_done(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "TOGETHER", 1)
    monkeypatch.setattr(view, "BLOCK", 1)
    waiting: list[Deferred[Any]] = []

    async def store(self: Mailbox, uids: Any, *arguments: Any) -> Any:
        waiting.append(Deferred())
        return await waiting[-1]

    monkeypatch.setattr(Mailbox, "store", store)
    guest.say("a STORE 1:3 +FLAGS.SILENT (\\Seen)")
    for done in (b"NIL NIL", b"1 3", b"2 3"):
        guest.clock.advance(10)
        assert guest.heard() == [f'* OK [INPROGRESS ("a" {done.decode()})] Still at it']
        waiting[-1].callback(([], []))
    assert guest.heard() == ["a OK Done"]


def test_a_mailbox_that_takes_long_to_open_is_let_go_of_when_the_client_has_gone(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: Deferred[None] = Deferred()
    at_once = Mailboxes.open

    async def late(self: Mailboxes, name: str) -> Any:
        await waiting
        return await at_once(self, name)

    closed: list[str] = []
    assert guest.say("u UNSELECT") == ["u OK Unselected"]
    monkeypatch.setattr(Mailboxes, "open", late)
    monkeypatch.setattr(Mailbox, "close", lambda self: closed.append(self.name))
    assert guest.say("a SELECT Drafts") == []
    guest.pump.connectionLost(Failure(ConnectionDone()))
    guest.clock.advance(10)
    waiting.callback(None)
    guest.settle()
    assert closed == ["Drafts"]


def test_what_fails_late_fails_as_always(guest: Guest, slow: list[Deferred[Any]]) -> None:
    guest.say("a SEARCH RETURN (SAVE) TEXT x")
    guest.clock.advance(11)
    guest.heard()
    slow[0].errback(OSError(5, "the disk"))
    assert guest.heard()[-1].startswith("a NO [UNAVAILABLE]")


def test_for_a_client_that_has_gone_nothing_more_is_looked_for(guest: Guest, slow: list[Deferred[Any]]) -> None:
    guest.say("a SEARCH OR TEXT x TEXT y")
    guest.pump.connectionLost(Failure(ConnectionDone()))
    guest.clock.advance(11)
    slow[0].callback(None)
    guest.settle()
    assert len(slow) == 1


@pytest.mark.parametrize(("tag", "done", "goal", "text"), [
    pytest.param(b"A1", 3, 10, b' ("A1" 3 10)', id="how-far"),
    pytest.param(b"A1", 12, 10, b' ("A1" 9 10)', id="less-than-the-goal"),
    pytest.param(b"A1", 5, None, b' ("A1" 5 NIL)', id="without-a-goal"),
    pytest.param(b"A1", 0, 10, b' ("A1" NIL NIL)', id="nothing-yet"),
    pytest.param(b"A]1", 3, 10, b"", id="a-tag-that-would-end-the-code"),
])  # fmt: skip
def test_spelling(tag: bytes, done: int | None, goal: int | None, text: bytes) -> None:
    assert _progress(tag, done, goal) == text
