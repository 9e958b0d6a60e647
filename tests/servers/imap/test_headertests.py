"""Many HEADER keys in one search: the same answers as one by one, and every header is read once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from twistmail.mail.mailbox import Column
from twistmail.servers.imap import headertests

KEYS = (
    'SUBJECT "m1"',
    "FROM CAROL",
    'HEADER X-One "GR\u00dcN"',
    'HEADER x-two ""',
    "HEADER Message-ID nosuch",
    "SUBJECT 7",
    "HEADER X-One blau",
)


@pytest.fixture
def guest() -> Guest:
    house = ImapHouse()
    house.put(*[
        mail(f"m{n}", more="X-One: =?utf-8?q?gr=C3=BCn?=\r\nX-One: blau\r\n" * (n % 3 == 0) + "X-Two: \r\n" * (n % 4 == 0))
        for n in range(20)
    ])  # fmt: skip
    return Guest(house, select="INBOX")


def found(guest: Guest, program: str) -> set[int]:
    guest.feed(b"a SEARCH CHARSET UTF-8 " + program.encode() + b"\r\n")
    return {int(number) for number in guest.heard()[0].removeprefix("* SEARCH").split()}


def both(guest: Guest, program: str, monkeypatch: pytest.MonkeyPatch) -> tuple[set[int], set[int]]:
    """Asked together, and one by one."""
    with monkeypatch.context() as patch:
        patch.setattr(headertests, "FEW", 0)
        together = found(guest, program)
        patch.setattr(headertests, "FEW", 1000)
        return together, found(guest, program)


@pytest.mark.parametrize("program", [
    pytest.param(" ".join(["OR " + key for key in KEYS[:-1]] + [KEYS[-1]]), id="any"),
    pytest.param(" ".join("NOT " + key for key in KEYS[1:]), id="none"),
    pytest.param(f"OR (2:9 {KEYS[2]} {KEYS[3]}) (12:20 OR {KEYS[0]} {KEYS[6]})", id="each-of-its-own-messages"),
    pytest.param(f"FUZZY {KEYS[0]} {KEYS[6]}", id="fuzzy"),
    *[pytest.param(key, id=f"alone-{number}") for number, key in enumerate(KEYS)],
])  # fmt: skip
def test_together_they_find_what_each_finds(guest: Guest, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together, one_by_one = both(guest, program, monkeypatch)
    assert together == one_by_one


def test_hundreds_read_every_header_once(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox: Any = guest.pump.session.client.view.mailbox  # type: ignore[attr-defined]
    rows, read = mailbox.rows, []

    async def counting(uids: Any, columns: Any) -> Any:
        if Column.HEADER in columns:
            read.extend(uids)
        return await rows(uids, columns)

    monkeypatch.setattr(mailbox, "rows", counting)
    program = " ".join([f"OR HEADER Message-ID <{number}@away.example>" for number in range(200)]) + " SUBJECT m3"
    assert found(guest, program) == {4}
    assert sorted(read) == list(range(1, 21))


def test_the_same_text_is_looked_for_once_however_often_it_is_asked_for(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox: Any = guest.pump.session.client.view.mailbox  # type: ignore[attr-defined]
    search, asked = mailbox.text_search, []

    async def counting(uids: Any, needle: str, headers: bool) -> Any:
        asked.extend(uids)
        return await search(uids, needle, headers)

    monkeypatch.setattr(mailbox, "text_search", counting)
    assert found(guest, "OR (1:5 TEXT m3) OR (2:20 NOT TEXT m3 TEXT m3) TEXT m3 " + "TEXT m3 " * 50 + "OR TEXT m3 1") == {4}
    assert sorted(asked) == list(range(1, 21))
