"""Searches that are followed (RFC 5267 §4.3): what is told keeps a client's result equal to what a new search would find."""

from __future__ import annotations

import random

import pytest

from tests.dialogues.imap_house import THREE, Guest, ImapHouse, mail
from twistmail.servers.imap import contexts


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*THREE)
    return house


def test_what_others_do_is_told_to_an_idle_client(house: ImapHouse) -> None:
    guest, other = Guest(house, select="INBOX"), Guest(house, select="INBOX")
    assert guest.say("c UID SEARCH RETURN (UPDATE COUNT) SUBJECT t")[0] == '* ESEARCH (TAG "c") UID COUNT 2'
    guest.say("i IDLE")
    house.put(mail("tea"), mail("soup"))
    assert guest.heard() == ["* 5 EXISTS", "* 5 RECENT", '* ESEARCH (TAG "c") UID ADDTO (0 4)']
    other.say("a STORE 2 +FLAGS (\\Deleted)")
    guest.heard()
    other.say("b EXPUNGE")
    assert guest.heard() == ['* ESEARCH (TAG "c") UID REMOVEFROM (0 2)', "* 2 EXPUNGE"]


def test_numbers_in_the_program_mean_what_they_meant(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    guest.say("c SEARCH RETURN (UPDATE ALL) 2:* NOT DELETED")
    guest.say("d STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert guest.say("e EXPUNGE") == ["* 1 EXPUNGE", "e OK Expunged"]
    house.put(mail("four"))
    assert guest.say("f NOOP") == ["* 3 EXISTS", "* 3 RECENT", "f OK Done"]
    assert guest.say("g STORE 1 +FLAGS.SILENT (\\Deleted)") == ['* ESEARCH (TAG "c") REMOVEFROM (0 1)', "g OK Done"]


def test_one_too_many_is_refused_and_the_search_is_made(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    for number in range(contexts.MOST_CONTEXTS):
        assert guest.say(f"c{number} SEARCH RETURN (UPDATE COUNT) ALL")[-1] == f"c{number} OK Done"
    said = guest.say("d SEARCH RETURN (UPDATE COUNT) ALL")
    assert said == ['* ESEARCH (TAG "d") COUNT 3', '* NO [NOUPDATE "d"] There is too much that you follow', "d OK Done"]
    guest.say('e CANCELUPDATE "c0"')
    assert len(guest.say("f SEARCH RETURN (UPDATE COUNT) ALL")) == 2


def test_another_mailbox_ends_them_all(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    guest.say("c SEARCH RETURN (UPDATE) ALL")
    guest.say("d SELECT INBOX")
    house.put(mail("four"))
    assert guest.say("e NOOP") == ["* 4 EXISTS", "* 1 RECENT", "e OK Done"]
    assert guest.say("c SEARCH RETURN (UPDATE COUNT) ALL") == ['* ESEARCH (TAG "c") COUNT 4', "c OK Done"]


PROGRAMS = (
    "FLAGGED",
    "NOT SEEN SUBJECT m",
    "OR DELETED SUBJECT 3",
    "UID 5:1000",
    "LARGER 10 NOT KEYWORD x",
    "OR SMALLER 20 SINCE 1-Jan-2000",
)


@pytest.mark.parametrize("few", [500, 0], ids=["one-by-one", "all-again"])
@pytest.mark.parametrize("seed", range(6))
def test_a_client_that_does_as_it_is_told_has_the_right_result(seed: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "FEW", few)
    rng, house = random.Random(seed), ImapHouse()
    house.put(*[mail(f"m{number}") for number in range(6)])
    guest, other = Guest(house, select="INBOX"), Guest(house, select="INBOX")
    results = {f"c{n}": uids_in(guest.say(f"c{n} UID SEARCH RETURN (UPDATE ALL) {text}")) for n, text in enumerate(PROGRAMS)}
    for step in range(40):
        who = rng.choice((guest, other))
        command = rng.choice(("STORE {} +FLAGS (\\Flagged)", "STORE {} -FLAGS (\\Flagged \\Seen)", "STORE {} +FLAGS (\\Seen x)",
                              "STORE {} +FLAGS (\\Deleted)", "EXPUNGE", "put", "NOOP"))  # fmt: skip
        if command == "put":
            house.put(mail(f"m{step}"))
        follow(results, act(who, step, command, rng.choice(("1", "1:*", "*"))) if who is guest else act(who, step, command, "1")[:0])
        follow(results, guest.say(f"n{step} NOOP"))
        for number, program in enumerate(PROGRAMS):
            assert results[f"c{number}"] == uids_in(guest.say(f"t UID SEARCH RETURN (ALL) {program}")), (program, step)


ORDERS = (
    "(REVERSE SUBJECT) UTF-8 FLAGGED", "(SIZE REVERSE ARRIVAL) UTF-8 NOT SEEN", "(SUBJECT) UTF-8 ALL",
    "(FROM REVERSE SUBJECT) UTF-8 UID 3:99",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_a_client_that_does_as_it_is_told_has_the_right_order(seed: int) -> None:
    rng, house = random.Random(seed), ImapHouse()
    house.put(*[mail(f"m{number}") for number in range(6)])
    guest, other = Guest(house, select="INBOX"), Guest(house, select="INBOX")
    results = {f"c{n}": order_in(guest.say(f"c{n} UID SORT RETURN (UPDATE ALL) {text}")) for n, text in enumerate(ORDERS)}
    for step in range(30):
        who = rng.choice((guest, other))
        command = rng.choice(("STORE {} +FLAGS (\\Flagged)", "STORE {} -FLAGS (\\Flagged \\Seen)", "STORE {} +FLAGS (\\Seen)",
                              "STORE {} +FLAGS (\\Deleted)", "EXPUNGE", "put", "NOOP"))  # fmt: skip
        if command == "put":
            house.put(mail(f"m{step % 7}"), mail(f"m{rng.randrange(99)}"))
        follow_order(results, act(who, step, command, rng.choice(("1", "1:3", "*"))) if who is guest else act(who, step, command, "1")[:0])
        follow_order(results, guest.say(f"n{step} NOOP"))
        for number, program in enumerate(ORDERS):
            assert results[f"c{number}"] == order_in(guest.say(f"t UID SORT RETURN (ALL) {program}")), (program, step)


def test_numbers_of_a_sort_are_those_that_the_client_knows(house: ImapHouse) -> None:
    guest, other = Guest(house, select="INBOX"), Guest(house, select="INBOX")
    assert guest.say("c SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 ALL")[0] == '* ESEARCH (TAG "c") ALL 3,1:2'
    guest.say("i IDLE")
    house.put(mail("tea"), mail("zoo"), mail("ale"))
    assert guest.heard()[-1] == '* ESEARCH (TAG "c") ADDTO (1 5 3 4 6 6)'
    other.say("a STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    guest.heard()
    other.say("b EXPUNGE")
    assert guest.heard() == ['* ESEARCH (TAG "c") REMOVEFROM (4 1 2 3)', "* 3 EXPUNGE", "* 1 EXPUNGE"]


def order_in(lines: list[str]) -> list[int]:
    return listed(next(line for line in lines if "ESEARCH" in line).partition(" ALL ")[2])


def follow_order(results: dict[str, list[int]], lines: list[str]) -> None:
    for line in lines:
        if "ADDTO" not in line and "REMOVEFROM" not in line:
            continue
        order, words = results[line.split('"')[1]], line.rpartition("(")[2].rstrip(")").split()
        for position, numbers in zip(words[::2], map(listed, words[1::2]), strict=True):
            at = int(position) - 1
            if "ADDTO" in line:
                order[at:at] = numbers
            else:
                assert order[at : at + len(numbers)] == numbers
                del order[at : at + len(numbers)]


def listed(text: str) -> list[int]:
    pieces = [piece.partition(":") for piece in text.split(",") if piece]
    return [number for low, _, high in pieces for number in range(int(low), int(high or low) + 1)]


def act(guest: Guest, step: int, command: str, numbers: str) -> list[str]:
    return guest.say(f"s{step} " + command.format(numbers)) if command != "put" else []


def follow(results: dict[str, set[int]], lines: list[str]) -> None:
    for line in lines:
        if "ADDTO" in line or "REMOVEFROM" in line:
            tag, numbers = line.split('"')[1], numbers_of(line.rpartition("(0 ")[2].rstrip(")"))
            assert results[tag].isdisjoint(numbers) if "ADDTO" in line else results[tag] >= numbers, line
            results[tag] ^= numbers


def uids_in(lines: list[str]) -> set[int]:
    return numbers_of(next(line for line in lines if "ESEARCH" in line).partition(" ALL ")[2])


def numbers_of(text: str) -> set[int]:
    found: set[int] = set()
    for piece in filter(None, text.split(",")):
        low, _, high = piece.partition(":")
        found.update(range(int(low), int(high or low) + 1))
    return found
