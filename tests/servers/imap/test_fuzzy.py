"""FUZZY (RFC 6203): what resembles a text, and how much."""

from __future__ import annotations

import pytest

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from twistmail.servers.imap.fuzzy import MOST_WORDS, stem_of, words_of

MAILS = (
    mail("Quarterly meeting", body="The meeting about the budget is on Monday.\r\n"),
    mail("Re: lunch", body="After the meetings we talk of the budget\r\n"),
    mail("holiday", body="The meeting room is free\r\n"),
    mail("nothing", body="Nothing at all\r\n"),
)


@pytest.fixture
def guest() -> Guest:
    house = ImapHouse()
    house.put(*MAILS)
    return Guest(house, select="INBOX")


@pytest.mark.parametrize(("key", "found"), [
    pytest.param("FUZZY TEXT meetings", [1, 2, 3], id="a-stem-fits"),
    pytest.param('FUZZY TEXT "budget meetings"', [1, 2, 3], id="half-of-the-words-are-enough"),
    pytest.param('FUZZY BODY "budget room unicorn"', [], id="a-third-is-not"),
    pytest.param('FUZZY SUBJECT "meeting quarterly"', [1], id="in-any-order"),
    pytest.param("FUZZY TEXT meetings NOT FUZZY SUBJECT lunches", [1, 3], id="not"),
    pytest.param("FUZZY (OR BODY budget BODY rooms) 2:3", [2, 3], id="or-and-exact-keys-beside"),
    pytest.param("FUZZY UNSEEN", [1, 2, 3, 4], id="flags-mean-what-they-mean"),
    pytest.param('FUZZY TEXT "..."', [], id="no-word-at-all"),
])  # fmt: skip
def test_what_resembles_is_found(guest: Guest, key: str, found: list[int]) -> None:
    assert guest.say(f"a SEARCH {key}")[0] == "* SEARCH" + "".join(f" {number}" for number in found)


def scores(guest: Guest, key: str) -> list[int]:
    line = guest.say(f"a SEARCH RETURN (RELEVANCY) {key}")[0]
    assert line.startswith('* ESEARCH (TAG "a") RELEVANCY (')
    return [int(score) for score in line.rpartition("(")[2].rstrip(")").split()]


def test_the_whole_text_in_the_subject_scores_best_and_a_stem_least(guest: Guest) -> None:
    first, second, third = scores(guest, "FUZZY TEXT meeting")
    assert first > max(second, third)
    assert scores(guest, 'FUZZY TEXT "quarterly meeting"')[0] == 100


def test_scores_of_many_texts_stay_within_bounds(guest: Guest) -> None:
    for key in (("FUZZY TEXT meeting " * 20).strip(), "FUZZY NOT TEXT unicorn", 'FUZZY TEXT "' + "meeting budget " * 40 + '"'):
        assert all(1 <= score <= 100 for score in scores(guest, key))


def test_scores_stand_beside_what_else_is_told(guest: Guest) -> None:
    line = guest.say("a UID SEARCH RETURN (ALL RELEVANCY PARTIAL 2:3) FUZZY TEXT meeting")
    assert line[0].startswith("a BAD")
    line = guest.say("a UID SEARCH RETURN (COUNT RELEVANCY PARTIAL 2:3) FUZZY TEXT meeting")
    assert line[0].startswith('* ESEARCH (TAG "a") UID COUNT 3 PARTIAL (2:3 2:3) RELEVANCY (')
    assert len(line[0].rpartition("(")[2].split()) == 2


def test_words_and_stems() -> None:
    assert words_of("Straße, MEETING-room! Meeting") == ["strasse", "meeting", "room"]
    assert len(words_of(" ".join(map(str, range(100))))) == MOST_WORDS
    assert [stem_of(word) for word in ("cat", "rooms", "meetings", "internationalization")] == ["cat", "room", "meeti", "international"]


def test_sorting_puts_the_best_first(guest: Guest) -> None:
    told = scores(guest, "FUZZY TEXT meeting")
    best = sorted([1, 2, 3], key=lambda number: -told[number - 1])
    assert guest.say("a SORT (RELEVANCY) UTF-8 FUZZY TEXT meeting")[0] == "* SORT " + " ".join(map(str, best))
    worst = sorted([1, 2, 3], key=lambda number: told[number - 1])
    assert guest.say("a UID SORT (REVERSE RELEVANCY ARRIVAL) UTF-8 FUZZY TEXT meeting")[0] == "* SORT " + " ".join(map(str, worst))
    line = guest.say("a SORT RETURN (ALL RELEVANCY) (RELEVANCY) UTF-8 FUZZY TEXT meeting")[0]
    assert line.endswith("RELEVANCY (" + " ".join(map(str, sorted(told, reverse=True))) + ")")
    assert "NOUPDATE" in " ".join(guest.say("b SORT RETURN (UPDATE) (RELEVANCY) UTF-8 FUZZY TEXT meeting"))
