"""What strangers and users can make big stays small in memory, and keeps nobody else waiting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.servers.imap.bodies import TOGETHER
from twistmail.servers.imap.portions import PORTION
from twistmail.servers.imap.session import ImapSession


class Heard:
    """The biggest response that a session has given."""

    def __init__(self, house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 0
        said = ImapSession.answer

        async def answer(session: ImapSession, event: Any) -> Any:
            async for response in said(session, event):
                self.most = max(self.most, len(response.octets()))
                yield response

        monkeypatch.setattr(ImapSession, "answer", answer)
        self.guest = Guest(house, select="INBOX")


def test_the_same_message_many_times_over_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    house = ImapHouse()
    house.put(mail("big", body="0123456789 0123456789\r\n" * 20_000))
    heard = Heard(house, monkeypatch)
    items = " ".join(f"BODY.PEEK[]<{number}.400000>" for number in range(60))
    assert heard.guest.say(f"a FETCH 1 ({items})")[-1].startswith("a OK")
    assert 100_000 < heard.most <= TOGETHER


@pytest.mark.parametrize("items", [
    pytest.param("BODY.PEEK[HEADER]", id="once"),
    pytest.param("BODY.PEEK[HEADER] BODY.PEEK[HEADER]<1.900000>", id="twice"),
])
def test_big_headers_are_answered_in_portions(monkeypatch: pytest.MonkeyPatch, items: str) -> None:
    house = ImapHouse()
    house.put(*[mail(f"m{number}", more="X-Big: " + "x" * 800_000 + "\r\n") for number in range(15)])
    heard = Heard(house, monkeypatch)
    lines = heard.guest.say(f"a FETCH 1:* ({items})")
    assert sum(" FETCH (" in line for line in lines) == 15
    assert 800_000 < heard.most <= PORTION
    assert heard.guest.say("a SEARCH HEADER X-Big xxy") == ["* SEARCH", "a OK Done"]
    assert heard.guest.say("a SEARCH SUBJECT m1")[0] == "* SEARCH 2 11 12 13 14 15"


def test_a_search_of_many_cheap_keys_gives_the_others_their_turn() -> None:
    house = ImapHouse()
    house.put(*[mail(f"m{number}") for number in range(100)])
    guest = Guest(house, select="INBOX")
    guest.pump.dataReceived(b"a SEARCH " + b" ".join([b"NOT UID 1000"] * 240) + b"\r\n")
    assert guest.heard() == []
    guest.settle()
    assert guest.heard()[-1] == "a OK Done"


def test_a_set_in_a_search_means_the_numbers_that_the_client_knows() -> None:
    """Also where others have expunged some of them meanwhile, which it does not know yet."""
    house = ImapHouse()
    house.put(*[mail(f"m{number}") for number in range(10)])
    guest = Guest(house, select="INBOX")
    result_of(house.mailbox().expunge([3, 4]))
    assert guest.say("a SEARCH 2:5,9,1")[0] == "* SEARCH 1 2 5 9"
    assert guest.say("a SEARCH UID 10,2:5 NOT 5")[0] == "* SEARCH 2 10"


def test_a_mailbox_is_asked_for_all_texts_at_once() -> None:
    """It may have an index; where it has none, it bounds by itself what it reads."""
    house = ImapHouse()
    house.put(*[mail(f"m{number}", body=f"only {number} of them\r\n") for number in range(201)])
    guest = Guest(house, select="INBOX")
    mailbox = guest.pump.session.client.view.mailbox  # type: ignore[attr-defined]
    search, asked = mailbox.text_search, []

    async def text_search(uids: Any, needle: str, headers: bool) -> Any:
        asked.append(len(uids))
        return await search(uids, needle, headers)

    mailbox.text_search = text_search
    assert guest.say("a SEARCH BODY ONLY TEXT m200")[0] == "* SEARCH 201"
    assert asked == [201, 201]
