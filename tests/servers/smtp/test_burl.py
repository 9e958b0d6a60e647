"""BURL (RFC 4468): mail that is sent out of a mailbox here, and for whom it is not."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from tests.dialogues.imap_house import NOW, THREE, Guest, ImapHouse
from tests.dialogues.player import Player
from tests.servers.smtp.house import HOSTNAME, SmtpHouse
from twistmail.facts import Line
from twistmail.interfaces import Unavailable
from twistmail.mail.envelope import Role
from twistmail.servers.smtp.service import SmtpService
from twistmail.servers.urls import Urls

HERE = "imap://ann@mx.here.example"
LETTER = f"{HERE}/INBOX/;UID=2"
BEGIN = ("MAIL FROM:<ann@here.example>", "RCPT TO:<fred@here.example>")


@pytest.fixture
def imap() -> ImapHouse:
    house = ImapHouse(hostname=HOSTNAME)
    house.put(*THREE)
    return house


@pytest.fixture
def house() -> SmtpHouse:
    return SmtpHouse()


def service(house: SmtpHouse, imap: ImapHouse, **settings: object) -> SmtpService:
    """Submission beside the mailboxes of *imap*, whose accounts it knows."""
    made = house.service(Role.SUBMISSION, plaintext=True, tls="off", add_missing_headers=False, from_check="off", **settings)
    return replace(made, urls=Urls(HOSTNAME, imap.store, imap.service().login.account_of, imap.threads, lambda: NOW))


@pytest.fixture
def ann(house: SmtpHouse, imap: ImapHouse) -> Player:
    return logged_in(house.player(service(house, imap)))


def logged_in(player: Player) -> Player:
    player.say("EHLO ann.home.example")
    secret = base64.b64encode(b"\0ann@here.example\0open").decode()
    assert player.say(f"AUTH PLAIN {secret}")[0].startswith("235")
    return player


def made(imap: ImapHouse, rump: str) -> str:
    """The URL *rump* with the token that ann's IMAP client gets for it."""
    answer, end = Guest(imap).say(f'g GENURLAUTH "{rump}" INTERNAL')
    assert end == "g OK Done"
    return answer.removeprefix("* GENURLAUTH ").strip('"')


def sent(house: SmtpHouse) -> bytes:
    """The one message that was delivered, without our trace fields."""
    (content,) = house.contents
    return content[content.index(b"From:") :]


def test_what_is_offered_before_and_after_a_login(house: SmtpHouse, imap: ImapHouse) -> None:
    player = house.player(service(house, imap))
    assert "250 BURL" in player.say("EHLO ann.home.example")[-1:]
    logged_in(player)
    assert player.say("EHLO ann.home.example")[-1] == "250 BURL imap imap://mx.here.example"


@pytest.mark.parametrize("role", [Role.MX, Role.LMTP])
def test_it_is_for_users_only(house: SmtpHouse, imap: ImapHouse, role: Role) -> None:
    player = house.player(replace(house.service(role), urls=service(house, imap).urls))
    assert not any("BURL" in line for line in player.say("LHLO a" if role is Role.LMTP else "EHLO a"))
    assert player.say(f"BURL {LETTER} LAST")[-1].startswith("502 5.5.1")


def test_without_8BITMIME_there_is_no_BURL(house: SmtpHouse, imap: ImapHouse) -> None:
    player = house.player(service(house, imap, extensions=["BURL", "SIZE"]))
    assert not any("BURL" in line for line in player.say("EHLO a"))


@pytest.mark.parametrize("rump", [
    pytest.param(LETTER, id="own-mailbox"),
    pytest.param(f"{LETTER};URLAUTH=submit+ann", id="for-the-sender"),
    pytest.param(f"{LETTER};URLAUTH=authuser", id="for-users"),
    pytest.param(f"{LETTER};URLAUTH=anonymous", id="for-all"),
    pytest.param(f"{LETTER};EXPIRE=2026-11-21T03:20:00Z;URLAUTH=submit+ann%40here.example", id="until-now"),
])  # fmt: skip
def test_a_message_is_sent_as_it_is_in_the_mailbox(house: SmtpHouse, imap: ImapHouse, ann: Player, rump: str) -> None:
    url = made(imap, rump) if "URLAUTH" in rump else rump
    answers = ann.say(*BEGIN, f"BURL {url} LAST")
    assert answers[-1].startswith("250 2.0.0 Accepted as item-")
    assert sent(house) == THREE[1]
    assert Guest(imap, select="INBOX").say("a FETCH 2 FLAGS")[0] == "* 2 FETCH (FLAGS (\\Recent))", "it is not seen"


def test_pieces_of_it_and_of_the_line_make_one_message(house: SmtpHouse, ann: Player) -> None:
    ann.feed("".join(f"{line}\r\n" for line in BEGIN).encode())
    ann.feed(f"BURL {LETTER}/;SECTION=HEADER.FIELDS%20(FROM%20DATE)/;PARTIAL=0.35\r\n".encode() + b"BDAT 9\r\nTo: you\r\n")
    ann.feed(f"burl {LETTER}/;SECTION=2.HEADER\r\nBDAT 5\r\nabc\r\n".encode())
    ann.feed(f"BURL {LETTER}/;SECTION=1 last\r\n".encode())
    assert ann.heard()[-1].startswith("250 2.0.0 Accepted as item-")
    assert sent(house) == b"From: Bob <bob@away.example>\r\nDate:To: you\r\nSubject: inner\r\n\r\nabc\r\nplain"


@pytest.mark.parametrize(("url", "answer"), [
    pytest.param("imap://bob@mx.here.example/INBOX/;UID=2", "554 5.7.0", id="mailbox-of-another"),
    pytest.param("imap://nobody@mx.here.example/INBOX/;UID=2", "554 5.7.0", id="mailbox-of-nobody"),
    pytest.param("imap://mx.here.example/INBOX/;UID=2", "554 5.7.0", id="mailbox-of-whom"),
    pytest.param("imap://ann@mx.there.example/INBOX/;UID=2", "554 5.7.14", id="another-server"),
    pytest.param("/INBOX/;UID=2", "554 5.7.14", id="no-server"),
    pytest.param("http://ann@mx.here.example/INBOX/;UID=2", "554 5.6.6", id="no-imap"),
    pytest.param(f"{HERE}/INBOX", "554 5.6.6", id="whole-mailbox"),
    pytest.param(f"{HERE}/INBOX/;UID=9", "554 5.6.6", id="no-such-message"),
    pytest.param(f"{HERE}/Nowhere/;UID=1", "554 5.6.6", id="no-such-mailbox"),
    pytest.param(f"{LETTER}/;SECTION=7", "554 5.6.6", id="no-such-part"),
    pytest.param(f"{HERE}/INBOX;UIDVALIDITY=1/;UID=2", "554 5.6.6", id="of-old"),
    pytest.param(f"{LETTER};URLAUTH=submit+ann", "554 5.7.0", id="no-token"),
    pytest.param(f"{LETTER};URLAUTH=submit+ann:internal:01" + "0" * 64, "554 5.7.0", id="made-up-token"),
    pytest.param(f"{HERE}/Nowhere/;UID=1;URLAUTH=submit+ann:internal:01" + "0" * 64, "554 5.7.0", id="made-up-mailbox"),
])  # fmt: skip
def test_what_is_not_sent(house: SmtpHouse, ann: Player, url: str, answer: str) -> None:
    answers = ann.say(*BEGIN, f"BURL {url} LAST", "BDAT 0 LAST", *BEGIN, "DATA", "Subject: later", "", ".")
    assert answers[2].startswith(answer)
    assert answers[3].startswith("503 5.5.1"), "the transaction is over"
    assert answers[-1].startswith("250 2.0.0"), "and another may begin"
    assert house.refused[0][0] == "burl"


@pytest.mark.parametrize("access", [
    pytest.param("submit+bob", id="for-another-sender"),
    pytest.param("user+ann", id="for-her-imap-session"),
])  # fmt: skip
def test_leave_for_others_is_none_for_the_sender(imap: ImapHouse, ann: Player, access: str) -> None:
    url = made(imap, f"{LETTER};URLAUTH={access}")
    assert ann.say(*BEGIN, f"BURL {url} LAST")[-1] == "554 5.7.0 That URL is no leave for you to read"


def test_leave_that_has_expired(imap: ImapHouse, ann: Player) -> None:
    url = made(imap, f"{LETTER};EXPIRE=2026-11-21T03:19:59Z;URLAUTH=submit+ann")
    assert ann.say(*BEGIN, f"BURL {url} LAST")[-1].startswith("554 5.7.0")


@pytest.mark.parametrize(("lines", "answer"), [
    pytest.param((f"BURL {LETTER} LAST",), "503 5.5.1 BURL needs a sender", id="no-sender"),
    pytest.param((BEGIN[0], f"BURL {LETTER}"), "503 5.5.1 BURL needs at least one accepted recipient", id="no-recipient"),
    pytest.param((BEGIN[0], "RCPT TO:<nobody@here.example>", f"BURL {LETTER} LAST"), "503 5.5.1 BURL needs", id="nobody-accepted"),
    pytest.param((*BEGIN, "BURL"), "501 5.5.4", id="no-url"),
    pytest.param((*BEGIN, f"BURL {LETTER} FIRST"), "501 5.5.4", id="not-LAST"),
    pytest.param((*BEGIN, f"BURL {LETTER} LAST LAST"), "501 5.5.4", id="too-much"),
    pytest.param((*BEGIN, f"BURL {LETTER}", "DATA"), "503 5.5.1", id="no-DATA-behind-it"),
    pytest.param((*BEGIN, f"BURL {LETTER}", "RSET"), "250 2.0.0 Forgotten", id="forgotten"),
])  # fmt: skip
def test_where_it_may_stand(house: SmtpHouse, ann: Player, lines: tuple[str, ...], answer: str) -> None:
    assert ann.say(*lines)[-1].startswith(answer)
    assert not house.contents


def test_a_message_that_is_too_big_is_refused_however_it_comes(house: SmtpHouse, imap: ImapHouse) -> None:
    imap.put(b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n")
    player = logged_in(house.player(service(house, imap, max_message=100)))
    assert player.say(*BEGIN, f"BURL {HERE}/INBOX/;UID=4", f"BURL {HERE}/INBOX/;UID=4 LAST")[-1].startswith("552 5.3.4")
    assert player.say(*BEGIN, f"BURL {HERE}/INBOX/;UID=4 LAST")[-1].startswith("250 2.0.0")


def test_accounts_out_of_reach_are_weather(imap: ImapHouse, ann: Player) -> None:
    imap.people.available = False
    assert ann.say(*BEGIN, f"BURL {LETTER} LAST")[-1].startswith("451 4.3.0")


def test_a_message_that_cannot_be_read_is_weather(imap: ImapHouse, ann: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(name: str) -> None:
        raise Unavailable("the disk is away")

    monkeypatch.setattr(imap.store, "mailboxes", broken)
    assert ann.say(*BEGIN, f"BURL {LETTER} LAST")[-1].startswith("451 4.3.0")


def test_a_transcript_does_not_show_the_url(house: SmtpHouse, ann: Player) -> None:
    told: list[Any] = []
    house.facts.listen(told.append, lines=True)
    ann.say(*BEGIN, f"BURL {LETTER} LAST")
    lines = [fact.what for fact in told]
    assert Line("C", b"BURL (secret)") in lines
    assert "INBOX" not in str(lines)
