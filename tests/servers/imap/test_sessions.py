"""Several clients on one mailbox: who hears what, and when (RFC 3501 §7.4.1, RFC 2180, RFC 2177)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialogues.imap_house import THREE, Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.drafts import Drafts
from twistmail.facts import Facts, Read
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import FlagChange
from twistmail.tasks import Inline


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*THREE)
    return house


def pair(house: ImapHouse) -> tuple[Guest, Guest]:
    return Guest(house, select="INBOX"), Guest(house, select="INBOX")


def test_new_mail_is_told_with_the_next_command(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    house.put(mail("four"))
    assert guest.heard() == []
    assert guest.say("a NOOP") == ["* 4 EXISTS", "* 4 RECENT", "a OK Done"]
    assert guest.say("b NOOP") == ["b OK Done"]


def test_an_idle_client_hears_of_everything_at_once(house: ImapHouse) -> None:
    idle, busy = pair(house)
    assert idle.say("a IDLE") == ["+ idling"]
    house.put(mail("four"))
    assert idle.heard() == ["* 4 EXISTS", "* 4 RECENT"]
    busy.say("b STORE 1 +FLAGS (\\Deleted)")
    assert idle.heard() == ["* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"]
    busy.say("c EXPUNGE")
    assert idle.heard() == ["* 1 EXPUNGE"]
    assert idle.say("DONE") == ["a OK Done"]


def test_what_happened_before_idle_is_told_when_it_begins(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    house.put(mail("four"))
    assert guest.say("a IDLE") == ["+ idling", "* 4 EXISTS", "* 4 RECENT"]


def test_only_one_session_sees_a_message_as_recent(house: ImapHouse) -> None:
    first, second = pair(house)
    assert first.say("a FETCH 1 FLAGS")[0] == "* 1 FETCH (FLAGS (\\Recent))"
    assert second.say("a FETCH 1 FLAGS")[0] == "* 1 FETCH (FLAGS ())"


@pytest.mark.parametrize(("command", "answer"), [
    pytest.param("FETCH 1:3 FLAGS", ["* 1 FETCH (FLAGS ())", "* 3 FETCH (FLAGS ())", "x NO [EXPUNGEISSUED]"], id="fetch"),
    pytest.param("FETCH 1:3 RFC822.SIZE", ["* 1 FETCH (RFC822.SIZE 149)", "* 3 FETCH (RFC822.SIZE 166)", "x NO [EXPUNGEISSUED]"],
                 id="fetch-of-a-column"),
    pytest.param("FETCH 2:3 UID", ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)", "x OK"], id="which-number-is-which-message"),
    pytest.param("STORE 2 +FLAGS (\\Seen)", ["x NO [EXPUNGEISSUED]"], id="store"),
    pytest.param("SEARCH ALL", ["* SEARCH 1 3", "x OK"], id="search"),
    pytest.param("COPY 1:2 Trash", ["* 2 EXPUNGE", "x NO [EXPUNGEISSUED]"], id="copy-is-all-or-none"),
    pytest.param("UID FETCH 1:3 UID", ["* 1 FETCH (UID 1)", "* 3 FETCH (UID 3)", "* 2 EXPUNGE", "x OK"], id="by-uid-nothing-is-missing"),
    pytest.param("UID COPY 1:2 Trash", ["* 2 EXPUNGE", "x OK [COPYUID"], id="by-uid-what-exists-is-copied"),
    pytest.param("NOOP", ["* 2 EXPUNGE", "x OK"], id="noop"),
])  # fmt: skip
def test_an_expunge_is_told_only_where_numbers_may_change(house: ImapHouse, command: str, answer: list[str]) -> None:
    _, guest = pair(house)
    result_of(house.mailbox().expunge([2]))
    said = guest.say("x " + command)
    assert len(said) == len(answer), said
    for line, wanted in zip(said, answer, strict=True):
        assert line.startswith(wanted), said


def test_numbers_stay_until_the_expunge_is_told(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    result_of(house.mailbox().expunge([1]))
    house.put(mail("four"))
    assert guest.say("a FETCH 3 (UID)") == ["* 3 FETCH (UID 3)", "* 4 EXISTS", "* 4 RECENT", "a OK Done"]
    assert guest.say("b FETCH 4 (UID)") == ["* 4 FETCH (UID 4)", "b OK Done"]
    assert guest.say("c NOOP") == ["* 1 EXPUNGE", "c OK Done"]
    assert guest.say("d FETCH 3 (UID)") == ["* 3 FETCH (UID 4)", "d OK Done"]


def test_several_expunges_are_told_from_the_highest_number_down(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    result_of(house.mailbox().expunge([1, 3]))
    assert guest.say("a NOOP") == ["* 3 EXPUNGE", "* 1 EXPUNGE", "a OK Done"]
    assert guest.say("b UID SEARCH ALL") == ["* SEARCH 2", "b OK Done"]


def test_a_message_that_came_and_went_unseen_is_never_mentioned(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    house.put(mail("four"))
    result_of(house.mailbox().expunge([4]))
    assert guest.say("a NOOP") == ["a OK Done"]
    house.put(mail("five"))
    assert guest.say("b NOOP") == ["* 4 EXISTS", "* 4 RECENT", "b OK Done"]
    assert guest.say("c FETCH 4 UID") == ["* 4 FETCH (UID 5)", "c OK Done"]


def test_our_own_flag_changes_are_told_once(house: ImapHouse) -> None:
    first, second = pair(house)
    assert first.say("a STORE 1 +FLAGS (\\Seen)") == ["* 1 FETCH (FLAGS (\\Seen \\Recent))", "a OK Done"]
    assert first.say("b NOOP") == ["b OK Done"]
    assert second.say("c NOOP") == ["* 1 FETCH (UID 1 FLAGS (\\Seen))", "c OK Done"]


def test_many_flag_changes_are_told_too(house: ImapHouse) -> None:
    house.put(*(mail(f"more {number}") for number in range(600)))
    first, second = pair(house)
    first.say("a STORE 2:601 +FLAGS.SILENT (\\Flagged)")
    said = second.say("b NOOP")
    assert said[0] == "* 2 FETCH (UID 2 FLAGS (\\Flagged))"
    assert said[599] == "* 601 FETCH (UID 601 FLAGS (\\Flagged))"
    assert said[600:] == ["b OK Done"]


def test_a_new_keyword_is_announced_before_it_is_used(house: ImapHouse) -> None:
    first, second = pair(house)
    first.say("a STORE 1 +FLAGS.SILENT ($Important)")
    said = second.say("b NOOP")
    assert said[0] == "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Important)"
    assert said[-2:] == ["* 1 FETCH (UID 1 FLAGS ($Important))", "b OK Done"]


def test_a_deleted_mailbox_ends_the_sessions_that_had_it_open(house: ImapHouse) -> None:
    result_of(house.mailboxes().create("Work"))
    idle, busy, third = Guest(house, select="Work"), Guest(house, select="Work"), Guest(house)
    idle.say("a IDLE")
    assert third.say("b DELETE Work") == ["b OK Deleted"]
    assert idle.heard() == ["* BYE The mailbox that you have selected is gone"]
    idle.advance(11)
    assert idle.transport.closed
    assert idle.heard() == []
    assert busy.say("c NOOP") == ["* BYE The mailbox that you have selected is gone"]
    assert busy.transport.closed


def test_fetching_a_body_tells_the_other_session_that_it_was_seen(house: ImapHouse) -> None:
    first, second = pair(house)
    first.say("a FETCH 2 BODY[1]")
    assert second.say("b NOOP") == ["* 2 FETCH (UID 2 FLAGS (\\Seen))", "b OK Done"]


def test_move_shows_the_others_an_expunge(house: ImapHouse) -> None:
    first, second = pair(house)
    assert first.say("a MOVE 2 Trash")[1:] == ["* 2 EXPUNGE", "a OK Done"]
    assert second.say("b NOOP") == ["* 2 EXPUNGE", "b OK Done"]


def test_close_expunges_without_a_word(house: ImapHouse) -> None:
    first, second = pair(house)
    first.say("a STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert first.say("b CLOSE") == ["b OK Closed"]
    assert second.say("c NOOP") == ["* 1 EXPUNGE", "c OK Done"]


def test_examine_takes_neither_recent_nor_deleted(house: ImapHouse) -> None:
    looking = Guest(house)
    looking.say("a EXAMINE INBOX")
    assert Guest(house).say("b SELECT INBOX")[3] == "* 3 RECENT"
    result_of(house.mailbox().store([1], FlagChange.ADD, ("\\Deleted",)))
    looking.say("c CLOSE")
    assert len(house.mailbox().uids) == 3


# ----- who may come in, and how often


def test_a_user_has_a_limited_number_of_sessions() -> None:
    house = ImapHouse(settings={"max_connections_per_user_ip": 2})
    first, _ = Guest(house), Guest(house)
    third = Guest(house, login=False)
    assert third.say("a LOGIN ann secret") == ["a NO [LIMIT] You have too many sessions"]
    first.leave()
    assert third.say("b LOGIN ann secret")[0].startswith("b OK")


def test_a_session_is_counted_no_longer_when_it_ends() -> None:
    house = ImapHouse()
    guest = Guest(house)
    assert house.census.count("user", "ann@here.example") == 1
    assert house.census.count("address", "192.0.2.7") == 0
    guest.leave()
    assert house.census.count("user", "ann@here.example") == 0


def test_an_address_has_a_limited_number_of_strangers() -> None:
    house = ImapHouse(settings={"max_connections_per_ip": 1})
    first = Guest(house, login=False)
    second = Guest(house, login=False)
    assert first.say("a NOOP") == ["a OK Done"]
    assert second.transport.value().startswith(b"* BYE [UNAVAILABLE]")
    second.advance(11)
    assert second.transport.closed
    assert second.transport.value().count(b"BYE") == 1
    first.say("b LOGIN ann secret")
    assert Guest(house, login=False).say("a NOOP") == ["a OK Done"]


# ----- big messages, slow clients, weather


class InPieces(Memory):
    """Content whose reading is counted."""

    read = 0

    def chunks(self) -> Any:
        for start in range(0, len(self.data), 65536):
            self.read += 65536
            yield self.data[start : start + 65536]


BIG = mail(
    "big",
    more='Content-Type: multipart/mixed; boundary="=b"\r\n',
    body="--=b\r\n\r\n" + "0123456789abcde\r\n" * 100_000 + "--=b\r\nContent-Type: text/x-tail\r\n\r\ntail\r\n--=b--\r\n",
)


def big_house(monkeypatch: pytest.MonkeyPatch) -> tuple[ImapHouse, InPieces]:
    house = ImapHouse()
    house.put(mail("small"), BIG, mail("last"))
    content = InPieces(BIG)

    async def read(uids: Any) -> Any:
        return [(uid, content) for uid in uids]

    async def load(uids: Any) -> Any:
        assert 2 not in uids, "the big message is not loaded as a whole"
        return [(uid, mail("other")) for uid in uids]

    monkeypatch.setattr(house.mailbox(), "read", read)
    monkeypatch.setattr(house.mailbox(), "load", load)
    return house, content


def octets_of(guest: Guest, command: str) -> bytes:
    before = len(guest.transport.value())
    guest.feed(command.encode() + b"\r\n")
    return guest.transport.value()[before:]


def test_a_big_message_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    house, _ = big_house(monkeypatch)
    guest = Guest(house, select="INBOX")
    said = octets_of(guest, "a FETCH 1:3 BODY.PEEK[]")
    assert b"* 2 FETCH (BODY[] {%d}\r\n%b)\r\n* 3 FETCH (BODY[] {" % (len(BIG), BIG) in said
    assert said.endswith(b"a OK Done\r\n")


@pytest.mark.parametrize(("item", "answer"), [
    pytest.param("BODY.PEEK[]<5.6>", b"BODY[]<5> {6}\r\n" + BIG[5:11], id="partial"),
    pytest.param("BODY.PEEK[]<99999999.6>", b"BODY[]<99999999> {0}\r\n", id="behind-the-end"),
    pytest.param("BODY.PEEK[TEXT]<0.4>", b"BODY[TEXT]<0> {4}\r\n--=b", id="text"),
    pytest.param("BODY.PEEK[2]", b"BODY[2] {4}\r\ntail", id="a-part"),
    pytest.param("BODY.PEEK[2.MIME]", b"BODY[2.MIME] {29}\r\nContent-Type: text/x-tail\r\n\r\n", id="a-part-header"),
    pytest.param("BODY.PEEK[7]", b"BODY[7] NIL", id="no-such-part"),
    pytest.param("BODY.PEEK[1]<1699990.20>", b"BODY[1]<1699990> {8}\r\n789abcde", id="the-end-of-a-part"),
])  # fmt: skip
def test_pieces_of_a_big_message(monkeypatch: pytest.MonkeyPatch, item: str, answer: bytes) -> None:
    house, _ = big_house(monkeypatch)
    guest = Guest(house, select="INBOX")
    said = octets_of(guest, f"a FETCH 2 (UID {item})")
    assert said == b"* 2 FETCH (UID 2 " + answer + b")\r\na OK Done\r\n"


def test_the_parts_of_a_big_message_are_sought_once(monkeypatch: pytest.MonkeyPatch) -> None:
    house, content = big_house(monkeypatch)
    guest = Guest(house, select="INBOX")
    octets_of(guest, "a FETCH 2 BODY.PEEK[1]<0.10>")
    content.read = 0
    octets_of(guest, "b FETCH 2 BODY.PEEK[1]<10.10>")
    assert content.read <= 5 * 65536


def test_a_client_that_does_not_read_stops_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    house, content = big_house(monkeypatch)
    guest = Guest(house, select="INBOX")
    guest.pump.pauseProducing()
    octets_of(guest, "a FETCH 2 BODY.PEEK[]")
    assert content.read <= 16 * 65536
    guest.pump.resumeProducing()
    guest.settle()
    assert guest.transport.value().endswith(b"a OK Done\r\n")


def test_a_client_that_does_not_read_stops_the_rows() -> None:
    house = ImapHouse()
    house.put(*(mail(f"number {number}") for number in range(5000)))
    guest = Guest(house, select="INBOX")
    guest.pump.pauseProducing()
    said = octets_of(guest, "a FETCH 1:* (ENVELOPE)")
    assert len(said) < 400_000


def test_a_client_that_leaves_in_the_middle_lets_go_of_its_mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    house, _ = big_house(monkeypatch)
    unwatched = []
    monkeypatch.setattr(house.mailbox(), "unwatch", unwatched.append)
    guest = Guest(house, select="INBOX")
    guest.pump.pauseProducing()
    octets_of(guest, "a FETCH 2 BODY.PEEK[]")
    guest.leave()
    assert len(unwatched) == 1


def test_nul_is_shown_as_an_octet_that_may_be_said(house: ImapHouse) -> None:
    house.put(b"Subject: nul\r\n\r\na\0b\r\n")
    guest = Guest(house, select="INBOX")
    assert octets_of(guest, "a FETCH 4 BODY.PEEK[TEXT]").startswith(b"* 4 FETCH (BODY[TEXT] {5}\r\na\x80b\r\n)")


def test_a_disk_that_fails_is_a_no_and_the_session_goes_on(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rows(uids: Any, columns: Any) -> Any:
        raise OSError(5, "Input/output error")

    guest = Guest(house, select="INBOX")
    monkeypatch.setattr(house.mailbox(), "rows", rows)
    assert guest.say("a FETCH 1 ENVELOPE") == ["a NO [UNAVAILABLE] This cannot be done at the moment, please try again later"]
    assert guest.say("b FETCH 1 FLAGS")[-1] == "b OK Done"


def test_fetching_is_a_fact(house: ImapHouse) -> None:
    house.facts = Facts()
    told: list[Any] = []
    house.facts.listen(told.append)
    guest = Guest(house, select="INBOX")
    guest.say("a FETCH 1:2 BODY.PEEK[]")
    assert [fact.what for fact in told if isinstance(fact.what, Read)] == [Read("imap", "ann@here.example", "INBOX", "1:2")]


def test_a_shutdown_is_said(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    guest.pump.shut_down()
    guest.settle()
    assert guest.heard() == ["* BYE [UNAVAILABLE] The server is going down, please come back later"]
    assert guest.transport.closed


# ----- APPEND of more than memory should hold


def test_a_big_message_is_appended_through_a_draft(tmp_path: Any) -> None:
    house = ImapHouse(drafts=Drafts(tmp_path))
    guest = Guest(house)
    guest.feed(b"a APPEND INBOX {%d+}\r\n" % len(BIG))
    for start in range(0, len(BIG), 100_000):
        guest.feed(BIG[start : start + 100_000])
    assert list(tmp_path.iterdir()), "it goes to the disk"
    assert guest.say("")[0].startswith("a OK [APPENDUID")
    assert result_of(house.mailbox().load([1])) == [(1, BIG)]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", [pytest.param(b"x\r\n", id="abandoned"), pytest.param(None, id="gone")])
def test_a_draft_is_forgotten_when_append_does_not_end(tmp_path: Any, end: bytes | None) -> None:
    house = ImapHouse(drafts=Drafts(tmp_path))
    guest = Guest(house)
    guest.feed(b"a APPEND INBOX {%d+}\r\n" % len(BIG) + BIG[: len(BIG) - (0 if end else 1)])
    assert list(tmp_path.iterdir())
    guest.feed(end) if end else guest.leave()
    assert not list(tmp_path.iterdir())
    assert not house.mailbox().uids


def test_a_full_disk_under_append_is_told_at_its_end(tmp_path: Any) -> None:
    class Full:
        def open(self) -> Any:
            raise OSError(28, "No space left on device")

    house = ImapHouse(drafts=Full())
    guest = Guest(house)
    guest.feed(b"a APPEND INBOX {%d+}\r\n" % len(BIG) + BIG)
    assert guest.say("") == ["a NO [UNAVAILABLE] There is no room at the moment, please try again later"]
    assert guest.say("b NOOP") == ["b OK Done"]


@pytest.mark.parametrize("singly", [pytest.param(True, id="octet-by-octet"), pytest.param(False, id="whole")])
def test_line_ends_are_made_whole_however_they_are_cut(singly: bool) -> None:
    house = ImapHouse()
    guest = Guest(house)
    body = b"a\nb\r\nc\rd\r\r\ne\r\r\r\n\n"
    guest.feed(b"a APPEND INBOX {%d+}\r\n" % len(body))
    guest.feed(body + b"\r\n", singly=singly)
    assert result_of(house.mailbox().load([1])) == [(1, b"a\r\nb\r\nc\rd\r\ne\r\n\r\n")]


def test_threads_are_asked_for_parts(house: ImapHouse) -> None:
    class Counting(Inline):
        ran = 0

        async def run(self, function: Any, *args: Any, **keywords: Any) -> Any:
            self.ran += 1
            return function(*args, **keywords)

    house.threads = Counting()
    guest = Guest(house, select="INBOX")
    guest.say("a FETCH 2 (BODY.PEEK[1] BODY.PEEK[2])")
    assert house.threads.ran == 1
