"""A class in the LAN: the code of the room, the roster, what an office listens on then."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from twistmail.lab.classroom import Classroom
from twistmail.lab.door import COOKIE, MOST_WRONG, MOST_WRONG_IN_ALL, WITHIN, Door, Wrong
from twistmail.lab.lan import (
    MOST_STUDENTS,
    Lan,
    NoLan,
    Student,
    lan_in,
    opened,
    own_address,
    read,
    roster_in,
    students_of,
    with_students,
    written,
)  # fmt: skip
from twistmail.lab.offices import OFFICES, PASSWORD
from twistmail.lab.running import CONFIG
from twistmail.web.page import Asked

AWAY = "192.168.1.50"


def asked(path: str = "/", client: str = AWAY, cookie: str = "") -> Asked:
    return Asked("GET", path, client=client, cookies={COOKIE: cookie} if cookie else {})


def ticket(door: Door, code: str) -> str:
    return door.enter(asked(), code).partition(";")[0].removeprefix(f"{COOKIE}=")


def test_who_has_given_the_code_once_comes_in_and_others_are_led_to_the_door() -> None:
    door = Door("012345", lambda: 0.0)
    refused = door(asked("/inbox"))
    assert refused is not None
    assert refused.headers["Location"] == "/room"
    with pytest.raises(Wrong):
        door.enter(asked(), "543210")
    assert door(asked(cookie=ticket(door, " 012 345 "))) is None
    assert door(asked(cookie="x" * 32)) is not None
    assert door(asked(cookie=ticket(Door("012345", lambda: 0.0), "012345"))) is not None, "of another day"


@pytest.mark.parametrize("path", ["/room", "/assets/lab.css", "/favicon.ico"])
def test_the_door_itself_is_seen_by_all(path: str) -> None:
    assert Door("1", lambda: 0.0)(asked(path)) is None


def test_the_teacher_s_own_computer_needs_no_code() -> None:
    assert Door("1", lambda: 0.0)(asked(client="127.0.0.1")) is None


def test_guesses_are_few_for_one_and_for_all_and_come_back_after_a_while() -> None:
    now = [0.0]
    door = Door("123456", lambda: now[0])
    for _ in range(MOST_WRONG):
        with pytest.raises(Wrong):
            door.enter(asked(), "0")
    with pytest.raises(PermissionError):
        door.enter(asked(), "123456")
    assert door.enter(asked(client="192.168.1.51"), "123456"), "others may still come in"
    for number in range(MOST_WRONG_IN_ALL - MOST_WRONG):
        with pytest.raises(Wrong):
            door.enter(asked(client=f"10.0.0.{number}"), "0")
    with pytest.raises(PermissionError):
        door.enter(asked(client="192.168.1.52"), "123456")
    now[0] = WITHIN + 1
    assert door.enter(asked(), "123456")


def test_students_are_spread_over_the_offices_each_with_a_password_of_his_own() -> None:
    students = students_of(OFFICES)
    assert [one.account for one in students[:4]] == ["s01@blue.test", "s02@green.test", "s03@red.test", "s04@blue.test"]
    assert students[-1].account == "s30@red.test"
    assert len({one.password for one in students}) == 30
    offices = with_students(OFFICES, students)
    assert offices[0].people[:4] == ("alice", "bob", "s01", "s04")
    lan = Lan("192.168.1.2", students)
    assert lan.password_of("s01@blue.test") == students[0].password
    assert lan.password_of("alice@blue.test") == PASSWORD
    assert len(lan.code) == 6
    assert lan.code.isdigit()


def test_a_roster_comes_back_as_it_was_written() -> None:
    students = (Student("s01@blue.test", "abc", "Anna, the first"), Student("s02@green.test", "d\"e", "Zoë"))
    assert read(written(students), OFFICES) == students


def test_what_a_spreadsheet_would_run_is_only_text() -> None:
    assert "'=SUM(1)" in written([Student("s01@blue.test", "x", "=SUM(1)")])


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        pytest.param("name\nAnna\nBen\n", ["s01@blue.test", "s02@green.test"], id="names alone"),
        pytest.param("\ufeffaccount,name\r\nAnna,Anna\r\n", ["anna@blue.test"], id="from Excel"),
        pytest.param("password,account\nsecret,zoe@red.test\n", ["zoe@red.test"], id="another order"),
    ],
)
def test_what_is_missing_is_made_up(text: str, accounts: list[str]) -> None:
    students = read(text, OFFICES)
    assert [one.account for one in students] == accounts
    assert all(one.password for one in students)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "heading", id="nothing"),
        pytest.param("a;b;c\n", "heading", id="semicolons"),
        pytest.param("account\nanna@far.example\n", "line 2", id="an office that there is not"),
        pytest.param("account\n../etc\n", "line 2", id="a path"),
        pytest.param("account\nanna\nanna@blue.test\n" + "x\n" * 0 + "anna@blue.test\n", "twice", id="twice"),
        pytest.param("account\n" + "\n".join(f"a{n}" for n in range(MOST_STUDENTS + 1)), "more than", id="too many"),
    ],
)
def test_a_roster_that_cannot_be_used_says_where(text: str, words: str) -> None:
    with pytest.raises(NoLan, match=words):
        read(text, OFFICES)


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_no_roster_does_harm(text: str) -> None:
    try:
        students = read("account,name\n" + text, OFFICES)
    except NoLan:
        return
    assert all(one.account.endswith(tuple(office.domain for office in OFFICES)) for one in students)


def test_a_roster_is_kept_with_the_class(tmp_path: Path) -> None:
    first = roster_in(tmp_path, OFFICES)
    assert roster_in(tmp_path, OFFICES) == first
    assert (tmp_path / "roster.csv").stat().st_mode & 0o077 == 0
    (tmp_path / "bad.csv").write_bytes(b"account,name\nm\xfcller,x\n")
    with pytest.raises(NoLan, match="UTF-8"):
        roster_in(tmp_path, OFFICES, tmp_path / "bad.csv")


def test_who_was_in_comes_in_again_the_next_day(tmp_path: Path) -> None:
    first, second = (lan_in(tmp_path, AWAY, OFFICES) for _ in range(2))
    assert second == first
    monday, tuesday = (Door(lan.code, lambda: 0.0, lan.passwords, lan.teacher, lan.key) for lan in (first, second))
    assert tuesday(asked(cookie=ticket(monday, first.code))) is None
    assert (tmp_path / "room.json").stat().st_mode & 0o077 == 0
    assert first.key.hex() not in repr(first)


DAMAGED = (b"", b"[]", b"{}", b"5", b'["1", "x", "y"]', b'["123456", "", ""]', b'["123456", "abcdefgh", "zz"]', b"\xff")


@pytest.mark.parametrize("octets", DAMAGED)
def test_a_room_that_is_damaged_is_another_one(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "room.json").write_bytes(octets)
    lan = lan_in(tmp_path, AWAY, OFFICES)
    assert len(lan.code) == 6
    assert lan_in(tmp_path, AWAY, OFFICES) == lan


def test_a_class_that_cannot_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.csv").write_text("nobody\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    classroom = Classroom(Clock(), address="192.168.1.2", roster=tmp_path / "bad.csv")
    with pytest.raises(NoLan):
        classroom.startService()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_only_for_a_class_an_office_listens_elsewhere_than_on_loopback() -> None:
    assert "192.168.1.2" not in CONFIG
    text = opened(CONFIG.replace("{interface}", "127.0.0.1"), "192.168.1.2")
    assert text.count(":interface=192.168.1.2\n") == text.count(":interface=127.0.0.1\n") == 7
    assert "rate = 60/10m" in text
    assert "         tcp:{mx}:interface=192.168.1.2\n" in text


def test_an_address_is_an_address() -> None:
    assert own_address("192.168.1.20") == "192.168.1.20"
    with pytest.raises(NoLan, match="no IPv4 address"):
        own_address("my computer")
