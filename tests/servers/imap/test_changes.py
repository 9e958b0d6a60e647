"""Who hears of which change, and by which number (RFC 7162 §3.1 and §3.2, RFC 9586)."""

from __future__ import annotations

import re
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from tests.helpers import result_of
from tests.remembering import numbers
from twistmail.mail.mailbox import FlagChange
from twistmail.mail.ranges import runs
from twistmail.servers.imap import view
from twistmail.servers.imap.changes import agreed
from twistmail.wire.imap.sequence import SequenceSet

ALL_FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"


@pytest.fixture
def house() -> ImapHouse:
    """INBOX with ten messages, UIDs 1 to 10."""
    house = ImapHouse()
    house.put(*(mail(f"number {number}") for number in range(10)))
    return house


def client(house: ImapHouse, *enabled: str, select: str = "INBOX") -> Guest:
    guest = Guest(house)
    if enabled:
        guest.say("e ENABLE " + " ".join(enabled))
    if select:
        guest.say(f"s SELECT {select}")
    return guest


def flag(house: ImapHouse, *uids: int, flags: tuple[str, ...] = ("\\Flagged",)) -> int:
    """Somebody else changes flags; the new modification sequence."""
    mailbox = house.mailbox()
    result_of(mailbox.store(uids, FlagChange.ADD, flags))
    return mailbox.highest_modseq


def expunge(house: ImapHouse, *uids: int) -> int:
    mailbox = house.mailbox()
    result_of(mailbox.expunge(uids))
    return mailbox.highest_modseq


# ----- who counts changes


@pytest.mark.parametrize("command", [
    pytest.param("ENABLE CONDSTORE", id="enable"),
    pytest.param("ENABLE QRESYNC", id="enable-qresync"),
    pytest.param("STATUS Trash (HIGHESTMODSEQ)", id="status"),
    pytest.param("FETCH 1 (MODSEQ)", id="fetch-modseq"),
    pytest.param("UID FETCH 1 (FLAGS) (CHANGEDSINCE 99)", id="fetch-changedsince"),
    pytest.param("SEARCH NOT MODSEQ 99", id="search"),
    pytest.param("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", id="store"),
])  # fmt: skip
def test_the_first_command_that_counts_changes_is_told_from_where(house: ImapHouse, command: str) -> None:
    guest = client(house)
    said = guest.say("a " + command)
    assert said[0].startswith(f"* OK [HIGHESTMODSEQ {house.mailbox().highest_modseq}]")
    assert said[-1].startswith("a OK")
    assert not any("HIGHESTMODSEQ" in line for line in guest.say("b FETCH 1 (MODSEQ)"))
    modseq = flag(house, 2)
    assert guest.say("c NOOP")[0] == f"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ ({modseq}))"


def test_select_with_condstore_counts_changes_too(house: ImapHouse) -> None:
    guest = client(house, select="")
    said = guest.say("a EXAMINE INBOX (CONDSTORE)")
    assert [line for line in said if "HIGHESTMODSEQ" in line] == [f"* OK [HIGHESTMODSEQ {house.mailbox().highest_modseq}] "
                                                                  "You know of all changes up to it"]  # fmt: skip
    modseq = flag(house, 2)
    assert f"MODSEQ ({modseq})" in guest.say("b NOOP")[0]


def test_who_does_not_count_hears_of_no_modseq(house: ImapHouse) -> None:
    guest = client(house)
    flag(house, 2)
    expunge(house, 1)
    assert guest.say("a NOOP") == ["* 1 EXPUNGE", "* 1 FETCH (UID 2 FLAGS (\\Flagged \\Recent))", "a OK Done"]
    assert guest.say("b STORE 1 +FLAGS.SILENT (\\Seen)") == ["b OK Done"]


# ----- CHANGEDSINCE


def test_what_changed_since_is_told_and_nothing_else(house: ImapHouse) -> None:
    guest, since = client(house, "CONDSTORE"), house.mailbox().highest_modseq
    first, second = flag(house, 3, 7), flag(house, 4)
    answers = [f"* {uid} FETCH (UID {uid} FLAGS (\\Flagged \\Recent) MODSEQ ({modseq}))" for uid, modseq in
               ((3, first), (4, second), (7, first))]  # fmt: skip
    guest.say("z NOOP")
    assert guest.say(f"a UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since})") == [*answers, "a OK Done"]
    assert guest.say(f"b UID FETCH 4:* (FLAGS) (CHANGEDSINCE {since})") == [*answers[1:], "b OK Done"]
    assert guest.say(f"c UID FETCH 1:* (FLAGS) (CHANGEDSINCE {first})") == [answers[1], "c OK Done"]
    assert guest.say(f"d FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE {first})") == [answers[1].replace("UID 4 ", ""), "d OK Done"]
    assert guest.say(f"e UID FETCH 1:* (FLAGS) (CHANGEDSINCE {second})") == ["e OK Done"]


def test_a_few_changes_among_many_messages_are_found(house: ImapHouse) -> None:
    house.put(*(mail("more") for _ in range(1500)))
    guest, since = client(house, "CONDSTORE"), house.mailbox().highest_modseq
    changed = [1, 2, 499, 500, 501, 999, 1510]
    flag(house, *changed)
    guest.say("z NOOP")
    said = guest.say(f"a UID FETCH 1:* (UID) (CHANGEDSINCE {since})")
    assert [int(re.match(r"\* (\d+) FETCH \(UID \1 ", line)[1]) for line in said[:-1]] == changed
    said = guest.say(f"b UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)] UID) (CHANGEDSINCE {since})")
    assert sum("FETCH" in line for line in said) == len(changed)


def test_by_number_what_is_gone_is_missed_and_by_uid_not(house: ImapHouse) -> None:
    guest, since = client(house, "CONDSTORE"), house.mailbox().highest_modseq
    flag(house, 2)
    expunge(house, 1)
    assert guest.say(f"a FETCH 1:2 (UID) (CHANGEDSINCE {since})")[-1].startswith("a NO [EXPUNGEISSUED]")
    assert guest.say(f"b UID FETCH 1:2 (UID) (CHANGEDSINCE {since})")[-1] == "b OK Done"


# ----- VANISHED


def test_what_vanished_is_told_before_what_changed(house: ImapHouse) -> None:
    since = house.mailbox().highest_modseq
    expunge(house, 1, 3, 4, 5, 9)
    flag(house, 2)
    guest = client(house, "QRESYNC")
    said = guest.say(f"a UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)")
    assert said[0] == "* VANISHED (EARLIER) 1,3:5,9"
    assert said[1].startswith("* 1 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (")
    assert said[2:] == ["a OK Done"]
    assert guest.say(f"b UID FETCH 4:8 (FLAGS) (CHANGEDSINCE {since} VANISHED)") == ["* VANISHED (EARLIER) 4:5", "b OK Done"]


def test_star_reaches_behind_the_last_message_where_others_have_vanished(house: ImapHouse) -> None:
    since = house.mailbox().highest_modseq
    expunge(house, 8, 9, 10)
    guest = client(house, "QRESYNC")
    assert guest.say(f"a UID FETCH 9:* (FLAGS) (CHANGEDSINCE {since} VANISHED)") == ["* VANISHED (EARLIER) 9:10", "a OK Done"]


def test_what_the_client_is_yet_to_hear_of_has_not_vanished_earlier(house: ImapHouse) -> None:
    """A message that still has its number vanishes by the other kind of VANISHED, once (RFC 7162 §3.2.10)."""
    since, guest = house.mailbox().highest_modseq, client(house, "QRESYNC")
    expunge(house, 2, 3)
    assert guest.say(f"a UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)") == ["* VANISHED 2:3", "a OK Done"]
    assert guest.say(f"b UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)") == ["* VANISHED (EARLIER) 2:3", "b OK Done"]


def test_vanished_waits_where_numbers_must_stay(house: ImapHouse) -> None:
    guest = client(house, "QRESYNC")
    before = house.mailbox().highest_modseq
    expunge(house, 2)
    after = flag(house, 3)
    said = guest.say("a FETCH 1 (UID)")
    assert said == [
        "* 1 FETCH (UID 1)",
        f"* OK [HIGHESTMODSEQ {before}] You know of all changes up to it",
        f"* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ ({after}))",
        "a OK Done",
    ]
    assert guest.say("b UID SEARCH 1") == ["* SEARCH 1", f"* OK [HIGHESTMODSEQ {before}] You know of all changes up to it", "b OK Done"]
    assert guest.say("c UID SEARCH ALL")[1:] == ["* VANISHED 2", "c OK Done"]
    assert guest.say("d NOOP") == ["d OK Done"]


def test_many_that_vanished_come_in_lines_of_bounded_length(house: ImapHouse) -> None:
    house.put(*(mail("more") for _ in range(2400)))
    guest = client(house, "QRESYNC")
    gone = list(range(1, 2401, 2))
    expunge(house, *gone)
    said = guest.say("a NOOP")
    assert max(map(len, said)) < 8192
    assert [int(uid) for line in said[:-1] for uid in line.removeprefix("* VANISHED ").split(",")] == gone
    assert guest.say("b UID SEARCH UID 1:9") == ["* SEARCH 2 4 6 8", "b OK Done"]


def test_an_idle_client_hears_who_vanished(house: ImapHouse) -> None:
    guest = client(house, "QRESYNC")
    guest.say("a IDLE")
    expunge(house, 4, 5)
    assert guest.heard() == ["* VANISHED 4:5"]


@pytest.mark.parametrize(("command", "told"), [
    pytest.param("EXPUNGE", True, id="expunge"),
    pytest.param("UID EXPUNGE 1:9", True, id="uid-expunge"),
    pytest.param("UID MOVE 2 Trash", True, id="move"),
    pytest.param("UID EXPUNGE 3", False, id="nothing-to-expunge"),
    pytest.param("CLOSE", False, id="close"),
])  # fmt: skip
def test_the_end_of_an_expunge_tells_how_far_the_client_may_count(house: ImapHouse, command: str, told: bool) -> None:
    guest = client(house, "QRESYNC")
    flag(house, 2, flags=("\\Deleted",))
    said = guest.say("a " + command)
    assert (said[-1].startswith(f"a OK [HIGHESTMODSEQ {house.mailbox().highest_modseq}]")) == told
    assert told or "MODSEQ" not in said[-1]


def test_closed_divides_the_old_mailbox_from_the_new(house: ImapHouse) -> None:
    guest = client(house)
    flag(house, 1)
    said = guest.say("a SELECT Trash")
    assert said[0].startswith("* OK [CLOSED]")
    assert guest.say("b SELECT Nowhere")[0].startswith("* OK [CLOSED]")
    assert not any("CLOSED" in line for line in guest.say("c SELECT INBOX"))
    guest.say("d UNSELECT")
    assert not any("CLOSED" in line for line in guest.say("e SELECT INBOX"))


# ----- conditional STORE


def test_a_conditional_store_spares_what_somebody_has_changed(house: ImapHouse) -> None:
    guest = client(house, "CONDSTORE")
    since = house.mailbox().highest_modseq
    elsewhere = flag(house, 2, 5)
    said = guest.say(f"a STORE 1:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)")
    now = house.mailbox().highest_modseq
    assert said == [
        f"* 1 FETCH (UID 1 MODSEQ ({now}))",
        f"* 3 FETCH (UID 3 MODSEQ ({now}))",
        f"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ ({elsewhere}))",
        f"* 5 FETCH (UID 5 FLAGS (\\Flagged \\Recent) MODSEQ ({elsewhere}))",
        "a OK [MODIFIED 2] Some messages have been changed by somebody else",
    ]
    assert guest.say(f"b STORE 2 (UNCHANGEDSINCE {elsewhere}) +FLAGS (\\Deleted)")[-1] == "b OK Done"


def test_modified_names_messages_as_the_command_did(house: ImapHouse) -> None:
    expunge(house, 1, 2)
    guest = client(house, "CONDSTORE")
    assert "[MODIFIED 1:3]" in guest.say("a STORE 1:3 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)")[-1]
    assert "[MODIFIED 3:5]" in guest.say("b UID STORE 3:5 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)")[-1]


def test_a_conditional_store_on_what_is_gone_too_is_no_success(house: ImapHouse) -> None:
    """RFC 7162 §3.1.3, Example 11."""
    guest, since = client(house, "CONDSTORE"), house.mailbox().highest_modseq
    flag(house, 2)
    expunge(house, 4)
    assert guest.say(f"a STORE 1:4 (UNCHANGEDSINCE {since}) +FLAGS (\\Seen)")[-1].startswith("a NO [MODIFIED 2]")


def test_flags_that_are_set_already_are_told_and_change_nothing(house: ImapHouse) -> None:
    guest, modseq = client(house, "CONDSTORE"), flag(house, 1)
    guest.say("z NOOP")
    said = guest.say(f"a STORE 1 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\\Flagged)")
    assert said == [f"* 1 FETCH (UID 1 MODSEQ ({modseq}))", "a OK Done"]


# ----- UIDONLY


def test_no_number_is_ever_told_to_who_wants_none(house: ImapHouse) -> None:
    guest = client(house, "UIDONLY")
    flag(house, 4)
    expunge(house, 2, 3)
    said = guest.say("a NOOP")
    assert said == ["* VANISHED 2:3", "* 4 UIDFETCH (FLAGS (\\Flagged \\Recent))", "a OK Done"]
    guest.say("b UID STORE 10 +FLAGS.SILENT (\\Deleted)")
    assert guest.say("c EXPUNGE") == ["* VANISHED 10", "c OK Expunged"]
    house.put(mail("new"))
    assert guest.say("d NOOP") == ["* 8 EXISTS", "* 8 RECENT", "d OK Done"]
    assert guest.say("e UID FETCH 8:* (RFC822.SIZE)")[-2].startswith("* 11 UIDFETCH (RFC822.SIZE ")


# ----- MODSEQ in searches


@pytest.mark.parametrize(("command", "answer"), [
    pytest.param("SEARCH MODSEQ {second}", "* SEARCH 4 9 (MODSEQ {third})", id="search"),
    pytest.param("SEARCH NOT MODSEQ {first}", "* SEARCH 1 2 5 6 7 8 10 (MODSEQ 2)", id="not"),
    pytest.param("UID SEARCH MODSEQ {first} UNFLAGGED", "* SEARCH", id="nothing-found"),
    pytest.param("SEARCH MODSEQ {first} SEEN", "* SEARCH 9 (MODSEQ {third})", id="and"),
    pytest.param("SEARCH RETURN (ALL) MODSEQ {first}", '* ESEARCH (TAG "a") ALL 3:4,9 MODSEQ {third}', id="all"),
    pytest.param("SEARCH RETURN (MIN) MODSEQ {first}", '* ESEARCH (TAG "a") MIN 3 MODSEQ {first}', id="min"),
    pytest.param("SEARCH RETURN (MAX) MODSEQ {first}", '* ESEARCH (TAG "a") MAX 9 MODSEQ {third}', id="max"),
    pytest.param("SEARCH RETURN (MIN COUNT) MODSEQ {first}", '* ESEARCH (TAG "a") MIN 3 COUNT 3 MODSEQ {third}', id="min-and-count"),
    pytest.param("SEARCH RETURN (PARTIAL 1:2) MODSEQ {first}", '* ESEARCH (TAG "a") PARTIAL (1:2 3:4) MODSEQ {second}', id="partial"),
    pytest.param("SEARCH RETURN (COUNT) MODSEQ 999999", '* ESEARCH (TAG "a") COUNT 0', id="nothing-counted"),
    pytest.param("SORT (REVERSE SUBJECT) UTF-8 MODSEQ {second}", "* SORT 9 4 (MODSEQ {third})", id="sort"),
    pytest.param("SORT RETURN (MIN) (REVERSE SUBJECT) UTF-8 MODSEQ {first} UNSEEN", '* ESEARCH (TAG "a") MIN 4 MODSEQ {second}',
                 id="sort-min"),
    pytest.param("THREAD ORDEREDSUBJECT UTF-8 MODSEQ {third}", "* THREAD (9)", id="thread"),
    pytest.param("ESEARCH IN (selected) RETURN (ALL) MODSEQ {second}", "* ESEARCH (TAG \"a\" MAILBOX INBOX UIDVALIDITY {validity}) "
                 "UID ALL 4,9 MODSEQ {third}", id="esearch"),
])  # fmt: skip
def test_a_search_by_modseq_tells_the_highest_of_what_it_found(house: ImapHouse, command: str, answer: str) -> None:
    numbers = {"first": flag(house, 3), "second": flag(house, 4), "third": flag(house, 9, flags=("\\Flagged", "\\Seen")),
               "validity": house.mailbox().uidvalidity}  # fmt: skip
    guest = client(house, "CONDSTORE")
    assert guest.say("a " + command.format(**numbers)) == [answer.format(**numbers), "a OK Done"]


def test_a_search_by_modseq_does_not_find_what_is_gone(house: ImapHouse) -> None:
    guest, since = client(house, "CONDSTORE"), flag(house, 3, 4, 9)
    expunge(house, 4)
    assert guest.say(f"a SEARCH MODSEQ {since}")[0] == f"* SEARCH 3 9 (MODSEQ {since})"
    assert guest.say(f"b SEARCH 5:10 MODSEQ {since}")[0] == f"* SEARCH 9 (MODSEQ {since})"
    assert guest.say(f"c UID SEARCH MODSEQ {since}")[0] == f"* SEARCH 3 9 (MODSEQ {since})"


def test_a_search_by_modseq_can_be_followed(house: ImapHouse) -> None:
    """RFC 5267 §4.3 with a program that has MODSEQ: what changes comes into the result."""
    guest, since = client(house, "CONDSTORE"), flag(house, 3)
    assert guest.say(f"a SEARCH RETURN (ALL UPDATE) MODSEQ {since}")[0] == f'* ESEARCH (TAG "a") ALL 3 MODSEQ {since}'
    flag(house, 7)
    assert '* ESEARCH (TAG "a") ADDTO (0 7)' in guest.say("b NOOP")


# ----- the sample of QRESYNC


class Uids:
    """As much of a View as `agreed` looks at."""

    def __init__(self, uids: list[int]) -> None:
        self.uids = array("L", uids)


def sample_of(uids: list[int], numbers: list[int]) -> tuple[SequenceSet, SequenceSet]:
    """What a client knows of these sequence numbers, of which the first is 1."""
    return SequenceSet(tuple(runs(numbers))), SequenceSet(tuple(runs([uids[number - 1] for number in numbers])))


@given(st.data())
def test_up_to_the_sample_that_agrees_nothing_has_gone(data: st.DataObject) -> None:
    """RFC 7162 §3.2.5.2: the highest pair that is still true, found without looking at every one."""
    before = sorted(data.draw(st.sets(st.integers(1, 80), min_size=1)))
    after = [uid for uid in before if uid not in data.draw(st.sets(st.integers(1, 80), max_size=4))] + [90, 91]
    numbers = sorted(data.draw(st.sets(st.integers(1, len(before)), min_size=1)))
    still = [before[number - 1] for number in numbers if number <= len(after) and after[number - 1] == before[number - 1]]
    assert agreed(Uids(after), sample_of(before, numbers)) == max(still, default=0)  # type: ignore[arg-type]


def test_a_sample_of_four_billion_is_no_work() -> None:
    everything = SequenceSet(((1, 0xFFFFFFFF),))
    assert agreed(Uids([1, 2, 3, 5]), (everything, everything)) == 3  # type: ignore[arg-type]
    assert agreed(Uids([]), (everything, everything)) == 0  # type: ignore[arg-type]


def test_a_client_is_not_told_again_what_its_sample_shows_it_knows(house: ImapHouse) -> None:
    """As in RFC 7162 §3.2.5.2; the client has forgotten when, and still need not hear of what is below."""
    expunge(house, 1, 2, 4, 8)
    validity = house.mailbox().uidvalidity
    guest = client(house, "QRESYNC", select="")
    said = guest.say(f"a SELECT INBOX (QRESYNC ({validity} 1 1:10 (1,2,4:5 3,5,7,8)))")
    assert [line for line in said if "VANISHED" in line] == ["* VANISHED (EARLIER) 8"]
    said = guest.say(f"b SELECT INBOX (QRESYNC ({validity} 1 1:3))")
    assert [line for line in said if "VANISHED" in line] == ["* VANISHED (EARLIER) 1:2"]
    assert [line for line in said if "FETCH" in line] == ["* 1 FETCH (UID 3 FLAGS () MODSEQ (2))"]


def test_another_uidvalidity_makes_everything_else_void(house: ImapHouse) -> None:
    expunge(house, 1)
    guest = client(house, "QRESYNC", select="")
    said = guest.say("a SELECT INBOX (QRESYNC (1 1 1:10))")
    assert said[-1] == "a OK [READ-WRITE] Selected"
    assert not any("VANISHED" in line or "FETCH" in line for line in said)


# ----- much at once


@pytest.mark.parametrize("enabled", ["CONDSTORE", "QRESYNC"])
def test_many_changes_are_told_in_pieces_and_all_of_them(house: ImapHouse, monkeypatch: pytest.MonkeyPatch, enabled: str) -> None:
    monkeypatch.setattr(view, "TOLD_AT_ONCE", 3)
    guest = client(house, enabled)
    flag(house, *range(1, 11))
    expunge(house, 1, 2, 4, 6, 7, 8, 10)
    house.put(mail("new"))
    uids: list[int | None] = list(range(1, 11))
    for line in guest.say("a NOOP")[:-1]:
        if match := re.fullmatch(r"\* (\d+) EXPUNGE", line):
            del uids[int(match[1]) - 1]
        elif match := re.fullmatch(r"\* VANISHED (\S+)", line):
            for uid in numbers(match[1]):
                uids.remove(uid)
        elif match := re.fullmatch(r"\* (\d+) EXISTS", line):
            uids += [None] * (int(match[1]) - len(uids))
        elif match := re.match(r"\* (\d+) FETCH \(UID (\d+) FLAGS \(\\Flagged", line):
            assert uids[int(match[1]) - 1] == int(match[2])
    assert uids == [3, 5, 9, None]
    assert guest.say("b NOOP") == ["b OK Done"]


def test_the_first_unseen_is_found_wherever_it_is(house: ImapHouse) -> None:
    guest = client(house)
    for unseen in (0, 10, 7, 1):
        if unseen:
            guest.say(f"a STORE {unseen} -FLAGS.SILENT (\\Seen)")
        else:
            guest.say("a STORE 1:* +FLAGS.SILENT (\\Seen)")
        told = [line for line in guest.say("b SELECT INBOX") if "[UNSEEN" in line]
        assert told == ([f"* OK [UNSEEN {unseen}] The first unseen"] if unseen else [])
