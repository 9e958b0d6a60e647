"""Aliases of every source, as whoever writes to them sees it (rows R20, R24 to R31): the answer to RCPT, and where mail lies then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.house import FAR, House
from twistmail.aliases import compiled
from twistmail.aliases.book import AliasBook, Kept
from twistmail.mail.address import Address

LETTER = b"From: eve@green.test\r\nTo: bob@blue.test\r\nSubject: hello\r\nMessage-ID: <1@green.test>\r\n\r\nhow are you\r\n"
LATER = "451 4.3.0 An address table cannot be read at the moment, please try again later"


def answers(house: House, *names: str) -> list[str]:
    """What RCPT is answered for each of *names*."""
    return [house.smtp("MAIL FROM:<eve@green.test>", f"RCPT TO:<{name}>")[-1] for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def with_source(build, source: str, folder: Path, text: str, more: str = "") -> House:
    (folder / "table").write_text(text)
    return build(f"[aliases]\nsource = config {source}:{folder}/table\n{more}")


def test_a_file_answers_refuses_and_throws_away(build, folder: Path) -> None:
    house = with_source(build, "file", folder, (
        "flint: fred\ngone: :fail: She has left\nmonday: :defer: Not before Monday\nmoved: :moved: fred@far.test\n"
        "hole: :blackhole:\njoe: error:nouser 550 No such user here\n"))  # fmt: skip
    assert answers(house, "Flint@blue.test", "gone@blue.test", "monday@blue.test", "moved@blue.test", "joe@blue.test") == [
        "250 2.1.5 Recipient ok", "550 5.1.1 She has left", "451 4.2.1 Not before Monday",
        "551 5.1.6 User has moved; please try <fred@far.test>", "550 5.1.1 No such user here"]
    house.send(LETTER, "flint@blue.test")
    house.send(LETTER, "hole@blue.test")
    assert (len(house.files("fred")), house.waiting) == (1, [])


def test_files_programs_and_broken_lists_make_mail_wait_and_nothing_is_made(build, folder: Path) -> None:
    house = with_source(build, "file", folder, (
        f"box: {folder}/box\nrun: |touch {folder}/run\nlist: :include:{folder}/list\nself: :include:{folder}/self\nfine: fred\n"))
    (folder / "self").write_text(f"fred\n:include:{folder}/self\n")
    before = sorted(folder.rglob("*box*")), sorted(folder.rglob("*run*"))
    assert answers(house, *(f"{name}@blue.test" for name in ("box", "run", "list", "self"))) == [LATER] * 4
    assert answers(house, "fine@blue.test") == ["250 2.1.5 Recipient ok"]
    assert (sorted(folder.rglob("*box*")), sorted(folder.rglob("*run*"))) == before


def test_a_list_is_read_again_and_reports_go_to_its_owner(build, folder: Path) -> None:
    """R29, R30."""
    (folder / "list").write_text("fred\n")
    house = with_source(build, "file", folder, f"staff: :include:{folder}/list\nowner-staff: bob\n")
    far = house.town("far.test", FAR)
    house.send(LETTER, "staff@blue.test")
    assert len(house.files("fred")) == 1
    (folder / "list").write_text("fred\nharry@far.test\n")
    house.pass_time(2, 1)
    house.send(LETTER, "staff@blue.test")
    assert len(house.files("fred")) == 2
    assert far.said[1].startswith(b"MAIL FROM:<owner-staff@blue.test>")
    assert house.files("fred")[1].startswith(b"Return-Path: <owner-staff@blue.test>")


def test_a_broken_edit_changes_nothing(build, folder: Path) -> None:
    house = with_source(build, "file", folder, "flint: fred\n")
    assert answers(house, "flint@blue.test") == ["250 2.1.5 Recipient ok"]
    (folder / "table").write_text("flint: fred\nnonsense\n")
    house.pass_time(2, 1)
    assert answers(house, "flint@blue.test") == ["250 2.1.5 Recipient ok"]


def test_in_the_exam_s_mode_mail_waits_for_newaliases(build, folder: Path) -> None:
    """R31."""
    house = with_source(build, "file", folder, "flint: fred\n", "reload = newaliases\n")
    assert answers(house, "flint@blue.test") == [LATER]
    compiled.compile_(folder / "table", compiled.place_of(folder / "table", house.config.data_dir))
    house.pass_time(2, 1)
    assert answers(house, "flint@blue.test") == ["250 2.1.5 Recipient ok"]


def test_sendmail_s_virtual_users(build, folder: Path) -> None:
    """R20: the four lines of the row."""
    house = with_source(build, "virtusertable", folder, (
        "joe@blue.test error:nouser 550 No such user here\ninfo@blue.test fred\nold+*@blue.test new+%2@far.test\n"))
    far = house.town("far.test", FAR)
    assert answers(house, "joe@blue.test", "nobody@blue.test") == [
        "550 5.1.1 No such user here", "550 5.1.1 There is no mailbox of that name here"]
    house.send(LETTER, "info@blue.test")
    house.send(LETTER, "old+x@blue.test")
    assert len(house.files("fred")) == 1
    assert b"RCPT TO:<new+x@far.test>" in far.said


def test_a_catch_all_of_a_table_comes_after_every_name(build, folder: Path) -> None:
    """Also after those of sources behind it; but it hides accounts, as it does in Postfix."""
    house = with_source(build, "virtual", folder, "@blue.test bob@blue.test\nbob@blue.test bob@blue.test\n")
    house.send(LETTER, "flintstone@blue.test")
    assert len(house.files("fred")) == 0, "flintstone is an alias that leads to fred, who has no line of his own"
    assert len(house.files("bob")) == 1


def test_regular_expressions(build, folder: Path) -> None:
    house = with_source(build, "regexp", folder, "/^(.*)-list@blue\\.test$/ $1@blue.test\n/^old/ :fail: No more\n")
    assert answers(house, "oldie@blue.test", "fred-list@blue.test", "/etc/passwd-list@blue.test", "|run-list@blue.test") == [
        "550 5.1.1 No more", "250 2.1.5 Recipient ok", *["550 5.1.1 There is no mailbox of that name here"] * 2]
    house.send(LETTER, "fred-list@blue.test")
    assert len(house.files("fred")) == 1


def test_the_database_counts_at_once(build, folder: Path) -> None:
    house = build("[aliases]\nsource = config sqlite\n")
    assert answers(house, "news@blue.test") == ["550 5.1.1 There is no mailbox of that name here"]
    AliasBook(house.config.data_dir / "aliases.db").put([Kept(Address("news"), (Address("fred"),))])
    house.pass_time(2, 1)
    house.send(LETTER, "news@blue.test")
    assert len(house.files("fred")) == 1
