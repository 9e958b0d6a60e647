"""message/global is a part like any other in IMAP4rev1, and a message in IMAP4rev2 (RFC 9051 §9, media-message)."""

from __future__ import annotations

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail

GLOBAL = mail(
    "outer",
    more='Content-Type: multipart/mixed; boundary="b"\r\n',
    body="--b\r\nContent-Type: Message/Global\r\n\r\nSubject: inner\r\nFrom: eve@red.test\r\n\r\ninside\r\n--b--\r\n",
)
EVE = '((NIL NIL "eve" "red.test"))'
INNER = f'(NIL "inner" {EVE} {EVE} {EVE} NIL NIL NIL NIL NIL)'
BASIC = '"Message" "Global" NIL NIL NIL "7bit" 44'
TEXT = '"text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 0'


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(mail("plain"), GLOBAL)
    return house


def test_until_imap4rev2_is_enabled_it_is_a_part(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    assert guest.say("a FETCH 2 BODY")[0] == f'* 2 FETCH (BODY (({BASIC}) "mixed"))'


def test_afterwards_it_is_a_message_with_an_envelope_and_parts(house: ImapHouse) -> None:
    guest = Guest(house)
    guest.say("e ENABLE IMAP4rev2")
    guest.say("s SELECT INBOX")
    lines = guest.say("a FETCH 1:2 (BODY BODYSTRUCTURE)")
    assert lines[1] == (
        f'* 2 FETCH (BODY (({BASIC} {INNER} ({TEXT}) 3) "mixed") BODYSTRUCTURE '
        f'(({BASIC} {INNER} ({TEXT} NIL NIL NIL NIL) 3 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL))'
    )
    assert lines[0] == Guest(house, select="INBOX").say("a FETCH 1 (BODY BODYSTRUCTURE)")[0]


def test_its_header_and_its_parts_can_be_fetched_by_all(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    assert guest.say("a FETCH 2 BODY.PEEK[1.1]")[:2] == ["* 2 FETCH (BODY[1.1] {6}", "inside)"]
    assert guest.say("a FETCH 2 BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]")[1] == "Subject: inner"


def test_a_message_that_has_gone_keeps_its_row_until_the_client_is_told(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(house)
    guest.say("e ENABLE IMAP4rev2")
    guest.say("s SELECT INBOX")

    async def nothing(uids: object) -> list[object]:
        return []

    monkeypatch.setattr(house.mailbox(), "read", nothing)
    assert guest.say("a FETCH 2 BODY")[0] == f'* 2 FETCH (BODY (({BASIC}) "mixed"))'
