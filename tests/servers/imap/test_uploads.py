"""Messages that clients bring: several, put together, of any octets; what is refused, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from tests.dialogues.imap_house import ANN, NOW, THREE, Guest, ImapHouse
from tests.helpers import result_of
from twistmail.drafts import Drafts
from twistmail.mail.mailbox import Copied, NewMessage
from twistmail.memory.mailbox import Mailbox
from twistmail.memory.store import MailStore
from twistmail.servers.imap.incoming import IN_MEMORY
from twistmail.tasks import Inline


class Counting(Inline):
    """Threads that count what they were asked for."""

    hops = 0

    async def run(self, function: Callable[..., object], *arguments: object) -> object:  # type: ignore[override]
        self.hops += 1
        return await super().run(function, *arguments)


@pytest.fixture
def house(tmp_path: Path) -> ImapHouse:
    house = ImapHouse(drafts=Drafts(tmp_path / "drafts"), threads=Counting())
    house.put(*THREE)
    return house


def drafts_in(house: ImapHouse) -> int:
    return len(list(house.drafts.folder.iterdir()))


def content_of(house: ImapHouse, uid: int, name: str = "INBOX") -> bytes:
    return dict(result_of(house.mailbox(name).load([uid])))[uid]


BIG = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 40_000


def send(guest: Guest, *pieces: bytes) -> list[str]:
    guest.feed(b"".join(pieces))
    return guest.heard()


# ----- where they are while they come


def test_big_parts_are_put_together_on_disk(house: ImapHouse) -> None:
    house.put(BIG)
    guest = Guest(house, select="INBOX")
    said = send(guest, b"a APPEND INBOX CATENATE (URL ;UID=4 TEXT {%d+}\r\n" % len(BIG), BIG, b" URL ;UID=4/;SECTION=TEXT)\r\n")
    assert said[-1].startswith("a OK [APPENDUID")
    assert content_of(house, 5) == BIG + BIG + BIG.partition(b"\r\n\r\n")[2]
    assert drafts_in(house) == 0


def test_of_many_messages_few_are_in_memory(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    message = b"x" * (IN_MEMORY // 4)
    send(guest, b"a APPEND INBOX", *[b" {%d+}\r\n%b" % (len(message), message)] * 12)
    assert 6 <= drafts_in(house) <= 11
    assert send(guest, b"\r\n")[-1].startswith("a OK [APPENDUID")
    assert drafts_in(house) == 0
    assert [len(content_of(house, uid)) for uid in range(4, 16)] == [len(message)] * 12


def test_a_client_that_does_not_wait_has_no_more_than_its_share_in_memory(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    gate: Deferred[None] = Deferred()
    begun: list[int] = []
    at_once = Mailbox.append

    async def append(self: Mailbox, messages: tuple[NewMessage, ...], freed: tuple[int, ...] = ()) -> Copied:
        begun.append(sum(message.content.size for message in messages))
        await gate
        return await at_once(self, messages, freed)

    monkeypatch.setattr(Mailbox, "append", append)
    guest = Guest(house)
    message = b"x" * (IN_MEMORY - 1)
    send(guest, *[b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message)] * 20)
    assert sum(begun) <= 3 * 1024 * 1024
    gate.callback(None)
    guest.settle()
    assert [line[:4] for line in guest.heard()] == ["a OK"] * 20


def test_small_messages_do_without_threads(house: ImapHouse) -> None:
    guest = Guest(house)
    house.threads.hops = 0
    assert send(guest, b"a APPEND INBOX {3+}\r\nabc (\\Seen) {3+}\r\nabc\r\n")[-1].startswith("a OK")
    assert house.threads.hops == 0


def test_who_leaves_in_the_middle_leaves_nothing_behind(house: ImapHouse) -> None:
    guest = Guest(house)
    send(guest, b"a APPEND INBOX {%d+}\r\n" % len(BIG), BIG, b" {%d+}\r\n" % len(BIG), BIG[:-9])
    assert drafts_in(house) == 2
    guest.leave()
    assert drafts_in(house) == 0
    assert len(house.mailbox().uids) == 3


# ----- what is refused, before it comes


def limited(house: ImapHouse, octets: int | None = None, messages: int | None = None) -> None:
    async def quota_of(_: str) -> tuple[int | None, int | None]:
        return octets, messages

    house.store = MailStore(lambda: NOW, quota_of=quota_of)


@pytest.mark.parametrize(("octets", "messages"), [pytest.param(99, None, id="octets"), pytest.param(None, 0, id="messages")])
def test_a_message_that_finds_no_room_is_refused_before_it_is_sent(house: ImapHouse, octets: int | None, messages: int | None) -> None:
    limited(house, octets, messages)
    guest = Guest(house)
    assert guest.say("a APPEND INBOX {100}") == ["a NO [OVERQUOTA] The mailbox is full"]
    assert guest.say("b NOOP") == ["b OK Done"]


def test_so_is_the_one_that_is_too_much(house: ImapHouse) -> None:
    limited(house, octets=99)
    guest = Guest(house)
    assert guest.say("a APPEND INBOX {50}") == ["+ Go ahead"]
    assert send(guest, b"x" * 50 + b" {50}\r\n") == ["a NO [OVERQUOTA] The mailbox is full"]
    assert len(house.mailbox().uids) == 0


def test_what_a_message_replaces_makes_room_for_it(house: ImapHouse) -> None:
    limited(house, octets=100, messages=1)
    house.put(b"x" * 100)
    guest = Guest(house, select="INBOX")
    assert guest.say("a APPEND INBOX {100}") == ["a NO [OVERQUOTA] The mailbox is full"]
    assert guest.say("b REPLACE 1 INBOX {101}") == ["b NO [OVERQUOTA] The mailbox is full"]
    assert send(guest, b"c REPLACE 1 INBOX {100+}\r\n", b"y" * 100, b"\r\n")[-1] == "c OK Replaced"
    assert content_of(house, 2) == b"y" * 100
    assert list(house.mailbox().uids) == [2]


@pytest.mark.parametrize("line", [
    pytest.param("a APPEND INBOX {201}", id="plain"),
    pytest.param("a APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {60}", id="with-what-it-quotes"),
    pytest.param("a APPEND INBOX CATENATE (URL /INBOX/;UID=1 URL /INBOX/;UID=1)", id="quotes-only"),
])  # fmt: skip
def test_a_message_that_is_too_big_is_refused_before_it_is_sent(house: ImapHouse, line: str) -> None:
    house.settings["max_message"] = 200
    assert Guest(house).say(line) == ["a NO [TOOBIG] A message may have 200 octets"]


def test_the_limit_is_told(house: ImapHouse) -> None:
    house.settings["max_message"] = 200
    assert "APPENDLIMIT=200" in Guest(house).say("a CAPABILITY")[0].split()
    house.settings["max_message"] = None
    assert "APPENDLIMIT" in Guest(house).say("a CAPABILITY")[0].split()


# ----- any octets (RFC 3516 §4.4)


def test_binary_parts_are_kept_in_base64(house: ImapHouse) -> None:
    guest = Guest(house)
    message = b"Content-Type: image/x-icon\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r\xff"
    assert send(guest, b"a APPEND INBOX ~{%d+}\r\n" % len(message), message, b"\r\n")[-1].startswith("a OK")
    assert content_of(house, 4) == b"Content-Type: image/x-icon\r\nContent-Transfer-Encoding: base64\r\n\r\nAAoN/w==\r\n"


def test_a_big_binary_message_is_encoded_on_disk(house: ImapHouse) -> None:
    guest = Guest(house)
    message = b"\r\n" + b"\0" * 300_000
    assert send(guest, b"a APPEND INBOX ~{%d+}\r\n" % len(message), message, b"\r\n")[-1].startswith("a OK")
    assert content_of(house, 4).startswith(b"Content-Transfer-Encoding: base64\r\n\r\nAAAA")
    assert drafts_in(house) == 0


def test_text_in_such_a_literal_stays_as_it_is(house: ImapHouse) -> None:
    guest = Guest(house)
    assert send(guest, b"a APPEND INBOX ~{%d+}\r\n" % len(THREE[1]), THREE[1], b"\r\n")[-1].startswith("a OK")
    assert content_of(house, 4) == THREE[1]


def test_the_mailbox_belongs_to_who_has_logged_in(house: ImapHouse) -> None:
    Guest(house).say("a APPEND Drafts {3+}\r\nabc")
    assert len(result_of(result_of(house.store.mailboxes(ANN)).open("Drafts")).uids) == 1
