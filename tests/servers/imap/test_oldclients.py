"""Mail with UTF-8 headers, shown to clients that have not enabled them and to those that have (RFC 6855 §7, RFC 6858)."""

from __future__ import annotations

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from twistmail.mail.surrogate import surrogate
from twistmail.servers.imap.bodies import TOGETHER

INTERNATIONAL = (
    "From: fréd@here.example\r\nSubject: Grüße\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Disposition: attachment; filename=ä.txt\r\n\r\nText ö\r\n--b--\r\n"
).encode()
SHOWN = b"".join(surrogate(INTERNATIONAL))
NAMED = "=?utf-8?b?ZnLDqWRAaGVyZS5leGFtcGxl?="


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(mail("plain"), INTERNATIONAL, "Subject: Grüße\r\n\r\nlatin\r\n".encode("latin-1"), mail("body", body="Grüße\r\n"))
    return house


def fetched(guest: Guest, what: str) -> tuple[bytes, str]:
    """All octets of the answer but for its end, and the end."""
    guest.feed(f"a FETCH {what}\r\n".encode())
    *lines, end = guest.heard()
    return "\r\n".join(lines).encode("utf-8", "surrogateescape"), end


@pytest.mark.parametrize("what", ["ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[HEADER]", "BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]",
                                  "RFC822.HEADER", "BODY.PEEK[1.MIME]", "BODY.PEEK[HEADER.FIELDS (X)]"])  # fmt: skip
def test_no_header_has_utf8_in_it_for_who_cannot_read_it(house: ImapHouse, what: str) -> None:
    said, end = fetched(Guest(house, select="INBOX"), f"1:2 ({what})")
    assert said.isascii()
    assert end.startswith("a OK")


def test_what_is_told_agrees_with_itself(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    said, end = fetched(guest, "2 (ENVELOPE BODYSTRUCTURE)")
    assert f'((NIL NIL "{NAMED}" NIL)(NIL NIL NIL NIL))'.encode() in said
    assert b'("filename*" "utf-8\'\'%C3%A4.txt")' in said
    assert end == "a OK [DOWNGRADED 2] Done"
    said, end = fetched(guest, "2 BODY.PEEK[]")
    assert said == b"* 2 FETCH (BODY[] {%d}\r\n%b)" % (len(SHOWN), SHOWN)
    assert end == "a OK [DOWNGRADED 2] Done"
    said, _ = fetched(guest, "2 BODY.PEEK[]<10.30>")
    assert said == b"* 2 FETCH (BODY[]<10> {30}\r\n%b)" % SHOWN[10:40]


def test_texts_stay_as_they_are_and_so_does_what_is_no_utf8(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    said, end = fetched(guest, "4 BODY.PEEK[]")
    assert "Grüße".encode() in said
    assert end == "a OK Done"
    said, end = fetched(guest, "3 BODY.PEEK[HEADER]")
    assert "Grüße".encode("latin-1") in said
    assert end == "a OK Done"


def test_it_is_told_each_time_also_from_what_is_kept(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    first = fetched(guest, "1:* (ENVELOPE)")
    assert first[1] == "a OK [DOWNGRADED 2] Done"
    assert fetched(guest, "1:* (ENVELOPE)") == first


def test_searching_and_sizes_are_about_the_message_itself(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    assert guest.say('a SEARCH CHARSET UTF-8 FROM "fréd"')[0] == "* SEARCH 2"
    assert guest.say("a FETCH 2 RFC822.SIZE") == [f"* 2 FETCH (RFC822.SIZE {len(INTERNATIONAL)})", "a OK Done"]


@pytest.mark.parametrize("name", ["UTF8=ACCEPT", "IMAP4rev2"])
def test_who_can_read_it_gets_the_message_itself(house: ImapHouse, name: str) -> None:
    guest = Guest(house)
    guest.say(f"e ENABLE {name}")
    guest.say("s SELECT INBOX")
    said, end = fetched(guest, "2 BODY.PEEK[]")
    assert INTERNATIONAL in said
    assert end == "a OK Done"


def test_a_house_may_show_all_as_it_is(house: ImapHouse) -> None:
    house.settings["utf8_headers"] = "raw"
    said, end = fetched(Guest(house, select="INBOX"), "2 (ENVELOPE BODY.PEEK[])")
    assert INTERNATIONAL in said
    assert end == "a OK Done"


def test_a_big_message_is_shown_in_pieces_that_fit(house: ImapHouse) -> None:
    big = INTERNATIONAL.replace(b"Text", b"0123456789abcdef\r\n" * (TOGETHER // 16))
    shown = b"".join(surrogate(big))
    house.put(big)
    guest = Guest(house, select="INBOX")
    said, end = fetched(guest, "5 BODY.PEEK[]")
    assert said == b"* 5 FETCH (BODY[] {%d}\r\n%b)" % (len(shown), shown)
    assert end == "a OK [DOWNGRADED 5] Done"
    middle = len(shown) // 2
    some = shown[middle : middle + 100]
    assert fetched(guest, f"5 BODY.PEEK[]<{middle}.100>")[0] == b"* 5 FETCH (BODY[]<%d> {100}\r\n%b)" % (middle, some)
    text = fetched(guest, "5 BODY.PEEK[1]")[0]
    guest.say("e ENABLE UTF8=ACCEPT")
    assert fetched(guest, "5 BODY.PEEK[1]")[0] == text, "the same part, which stands elsewhere in the message itself"
