"""MESSAGELIMIT and SAVELIMIT (RFC 9738): a command is about the last messages, and its answer tells where it has stopped."""

from __future__ import annotations

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.servers.imap.service import OPTIONS

TOO_MANY = "x NO [MESSAGELIMIT 2] That is about more than 2 messages; please ask for fewer at a time"


@pytest.fixture
def house() -> ImapHouse:
    """Six messages, UIDs 2 to 7; two at a time."""
    house = ImapHouse(settings={"message_limit": 2})
    house.put(*(mail(f"number {number}") for number in range(7)))
    result_of(house.mailbox().expunge([1]))
    house.mailbox()._recent.clear()
    return house


@pytest.fixture
def guest(house: ImapHouse) -> Guest:
    return Guest(house, select="INBOX")


@pytest.mark.parametrize(("line", "answer"), [
    pytest.param("FETCH 1:* UID", ["* 5 FETCH (UID 6)", "* 6 FETCH (UID 7)", "x OK [MESSAGELIMIT 2 6] Done"], id="fetch"),
    pytest.param("FETCH 1,3,5 UID", ["* 3 FETCH (UID 4)", "* 5 FETCH (UID 6)", "x OK [MESSAGELIMIT 2 4] Done"], id="fetch-of-some"),
    pytest.param("FETCH 1,3 UID", ["* 1 FETCH (UID 2)", "* 3 FETCH (UID 4)", "x OK Done"], id="fetch-of-few"),
    pytest.param("UID FETCH 1:5 UID", ["* 3 FETCH (UID 4)", "* 4 FETCH (UID 5)", "x OK [MESSAGELIMIT 2 4] Done"], id="uid-fetch"),
    pytest.param("UID FETCH 1:* UID (PARTIAL 1:2)", ["* 1 FETCH (UID 2)", "* 2 FETCH (UID 3)", "x OK Done"], id="partial-fetch"),
    pytest.param("UID FETCH 1:* UID (PARTIAL 1:3)", [TOO_MANY],
                 id="partial-fetch-of-too-many"),
    pytest.param("STORE 1:* +FLAGS.SILENT (\\Seen)", ["x OK [MESSAGELIMIT 2 6] Done"], id="store"),
    pytest.param("SEARCH ALL", ["* SEARCH 5 6", "x OK [MESSAGELIMIT 2 6] Done"], id="search"),
    pytest.param("UID SEARCH UID 2:5 SUBJECT number", ["* SEARCH 4 5", "x OK [MESSAGELIMIT 2 4] Done"], id="search-in-a-set"),
    pytest.param("UID SEARCH UIDBEFORE 4", ["* SEARCH 2 3", "x OK Done"], id="search-below"),
    pytest.param("UID SEARCH UIDBEFORE 6 SUBJECT 3", ["* SEARCH 4", "x OK [MESSAGELIMIT 2 4] Done"], id="going-on-below"),
    pytest.param("UID SEARCH UIDAFTER 5", ["* SEARCH 6 7", "x OK Done"], id="search-above"),
    pytest.param("UID SEARCH UIDAFTER 4294967295", ["* SEARCH", "x OK [MESSAGELIMIT 2 6] Done"], id="above-all"),
    pytest.param("COPY 1:3 Trash", [TOO_MANY], id="copy"),
    pytest.param("SORT (SUBJECT) UTF-8 ALL", [TOO_MANY],
                 id="sort"),
    pytest.param("SORT (SUBJECT) UTF-8 2:3", ["* SORT 2 3", "x OK Done"], id="sort-of-few"),
    pytest.param("THREAD REFERENCES UTF-8 ALL",
                 [TOO_MANY], id="thread"),
    pytest.param("APPEND INBOX {1+}\r\na {1+}\r\na {1+}\r\na",
                 [TOO_MANY], id="append"),
])  # fmt: skip
def test_what_a_command_is_about(guest: Guest, line: str, answer: list[str]) -> None:
    assert guest.say("x " + line) == answer


def test_move_goes_on_below(house: ImapHouse, guest: Guest) -> None:
    first = guest.say("a UID MOVE 1:* Trash")
    assert first[0].startswith("* OK [COPYUID")
    assert first[-1] == "a OK [MESSAGELIMIT 2 6] Done"
    assert guest.say("b UID MOVE 1:5 Trash")[-1] == "b OK [MESSAGELIMIT 2 4] Done"
    assert guest.say("c UID MOVE 1:3 Trash")[-1] == "c OK Done"
    assert len(house.mailbox("Trash").uids) == 6


def test_expunge_by_uid_counts_what_is_deleted(house: ImapHouse, guest: Guest) -> None:
    for uids in ("2:3", "4,6"):
        guest.say(f"a UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
    assert guest.say("b UID EXPUNGE 1:*")[-1] == "b OK [MESSAGELIMIT 2 4] Expunged"
    assert guest.say("c UID EXPUNGE 1:*")[-1] == "c OK Expunged"
    assert list(house.mailbox().uids) == [5, 7]


def test_where_there_is_a_code_already_another_answer_tells_it(guest: Guest) -> None:
    guest.say("a ENABLE CONDSTORE")
    said = guest.say("b STORE 1:* (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)")
    assert said[-2] == "* NO [MESSAGELIMIT 2 6] This was not all"
    assert said[-1].startswith("b OK [MODIFIED ")


@pytest.mark.parametrize(("settings", "told"), [
    pytest.param({}, {"SAVELIMIT=100000"}, id="usual"),
    pytest.param({"save_limit": None}, set(), id="none"),
    pytest.param({"message_limit": 2000}, {"MESSAGELIMIT=2000"}, id="never-both"),
])  # fmt: skip
def test_the_limit_is_told(settings: dict[str, int | None], told: set[str]) -> None:
    words = Guest(ImapHouse(settings=settings)).say("a CAPABILITY")[0].split()
    assert {word for word in words if "LIMIT=" in word} - {"APPENDLIMIT=36700160"} == told


def test_with_SAVELIMIT_only_what_makes_messages_is_limited(house: ImapHouse) -> None:
    house.settings.update(message_limit=None, save_limit=2)
    guest = Guest(house, select="INBOX")
    assert len(guest.say("a FETCH 1:* UID")) == 7
    assert guest.say("b COPY 1:3 Trash")[0].startswith("b NO [MESSAGELIMIT 2]")
    assert guest.say("c COPY 1:2 Trash")[-1].startswith("c OK")
    assert guest.say("d MOVE 1:3 Trash")[-1] == "d OK Done"


@pytest.mark.parametrize("text", ["999", "0", "-1", "many", ""])
def test_a_limit_below_a_thousand_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match="\n"):
        OPTIONS.option("message_limit").kind.read(text)
