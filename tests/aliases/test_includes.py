"""Lists in files (row R29), what they may hold, and what is allowed at all (rows R27 and R28)."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.aliases.sources import alias_file
from tests.helpers import result_of
from twistmail.aliases import members
from twistmail.aliases.file import AliasFile
from twistmail.aliases.members import MOST_MEMBERS
from twistmail.aliases.permits import Permits
from twistmail.interfaces import Unavailable
from twistmail.mail.address import parse

DOMAINS = frozenset({"dom1.test"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aliases").write_text(f"staff: boss, :include:{tmp_path}/staff\n")
    (tmp_path / "staff").write_text(
        '# all of them\nanna, bert\n\ncarl@away.test   \n\t"odd, one"@away.test,\n  # not dora\nDora Duck <dora@away.test>\n')
    return tmp_path


def goals(aliases: AliasFile, name: str = "staff") -> list[str]:
    step = result_of(aliases.lookup(parse(f"{name}@dom1.test")))
    assert step is not None
    return [str(goal) for goal in step.goals]


def test_a_list_in_a_file_has_commas_lines_and_comments(folder: Path) -> None:
    assert goals(alias_file(folder / "aliases", DOMAINS)) == [
        "boss", "anna", "bert", "carl@away.test", '"odd, one"@away.test', "dora@away.test"]


def test_an_edited_list_counts_for_the_next_message(folder: Path) -> None:
    aliases = alias_file(folder / "aliases", DOMAINS)
    goals(aliases)
    (folder / "staff").write_text("zoe\n")
    assert goals(aliases) == ["boss", "zoe"]


def test_lists_may_include_others(folder: Path) -> None:
    (folder / "staff").write_text(f"anna\n:include:{folder}/others\n")
    (folder / "others").write_text("bert")
    assert goals(alias_file(folder / "aliases", DOMAINS)) == ["boss", "anna", "bert"]


def broken(folder: Path, what: str) -> None:
    staff = folder / "staff"
    match what:
        case "missing":
            staff.unlink()
        case "directory":
            staff.unlink()
            staff.mkdir()
        case "pipe":
            staff.unlink()
            os.mkfifo(staff)
        case "device":
            staff.unlink()
            staff.symlink_to("/dev/zero")
        case "of itself":
            staff.write_text(f"anna\n:include:{staff}\n")
        case "of each other":
            staff.write_text(f":include:{folder}/others\n")
            (folder / "others").write_text(f":include:{staff}\n")
        case "deep":
            staff.write_text(f":include:{folder}/0\n")
            for number in range(20):
                (folder / str(number)).write_text(f":include:{folder}/{number + 1}\n")
        case "empty":
            (folder / "aliases").write_text(f"staff: :include:{staff}\n")
            staff.write_text("# nobody\n")
        case "nul":
            staff.write_text('anna\n"/a\0b"\n')
        case "not UTF-8":
            staff.write_bytes(b"anna\n\xff\n")
        case "answer":
            staff.write_text("anna\n:fail: gone\n")
        case "wrong":
            staff.write_text("anna\ntom dick\n")
        case "long":
            staff.write_text("x" * 10_000_000)
        case "many":
            staff.write_text("a,\n" * (MOST_MEMBERS + 1))


@pytest.mark.parametrize(("what", "words"), [
    ("missing", "No such file"), ("directory", "no regular file"), ("pipe", "no regular file"), ("device", "no regular file"),
    ("of itself", "includes itself"), ("of each other", "includes itself"), ("deep", "included by more than 10"),
    ("empty", "leads nowhere"), ("nul", "line 2: there is a control character"), ("not UTF-8", "line 2: this is not UTF-8"),
    ("answer", "line 2: an answer is no member"),
    ("wrong", "line 2: .* white space"), ("long", "larger than 8 MiB"), ("many", "more than 100000 members"),
])
def test_mail_for_a_list_that_cannot_be_read_waits(folder: Path, what: str, words: str) -> None:
    broken(folder, what)
    with pytest.raises(Unavailable, match=words):
        goals(alias_file(folder / "aliases", DOMAINS))


def test_a_list_that_becomes_broken_stays_what_it_was(folder: Path, logged: list[str]) -> None:
    aliases = alias_file(folder / "aliases", DOMAINS)
    before = goals(aliases)
    broken(folder, "wrong")
    assert goals(aliases) == before
    assert logged == [f"{folder}/staff:2: 'tom dick' has white space in it; divide addresses by commas (what was read before stays in use)"]


@pytest.mark.parametrize(("permits", "written", "member", "allowed"), [
    pytest.param(Permits(), "/box", "", False, id="a-file-by-default"),
    pytest.param(Permits(), "|run", "", False, id="a-program-by-default"),
    pytest.param(Permits(files="yes"), "/box", "", True, id="a-file-where-files-are-allowed"),
    pytest.param(Permits(files="yes"), "|run", "", False, id="a-program-where-files-are-allowed"),
    pytest.param(Permits(programs="yes"), "|run", "", True, id="a-program-where-programs-are-allowed"),
    pytest.param(Permits(files="yes", programs="yes"), "", "/box", False, id="a-file-in-a-list"),
    pytest.param(Permits(files="yes", programs="yes"), "", "|run", False, id="a-program-in-a-list"),
    pytest.param(Permits(files="included"), "", "/box", True, id="a-file-in-a-list-where-that-is-allowed"),
    pytest.param(Permits(programs="included"), "", "|run", True, id="a-program-in-a-list-where-that-is-allowed"),
    pytest.param(Permits(includes=False), "", "anna", False, id="a-list-where-none-is-allowed"),
    pytest.param(Permits(), "/dev/null", "", True, id="nothing-is-written-to-dev-null"),
])
def test_what_is_not_allowed_waits(folder: Path, permits: Permits, written: str, member: str, allowed: bool) -> None:
    (folder / "aliases").write_text(f"staff: {written or f':include:{folder}/staff'}\n")
    (folder / "staff").write_text(f"{member}\n")
    aliases = alias_file(folder / "aliases", DOMAINS, permits)
    if allowed:
        assert goals(aliases) == [":blackhole:" if written == "/dev/null" else written or member]
        return
    with pytest.raises(Unavailable, match="which is not allowed"):
        goals(aliases)


def test_the_operator_hears_once_what_is_not_allowed_in_a_list(folder: Path, logged: list[str]) -> None:
    (folder / "staff").write_text("anna\n|run away\n")
    aliases = alias_file(folder / "aliases", DOMAINS)
    for _ in range(3):
        with pytest.raises(Unavailable):
            goals(aliases)
    (line,) = logged
    assert line.startswith(f"{folder}/staff:2: a member leads to a program, which is not allowed ([aliases] programs = included); ")


def test_troubles_are_told_with_their_places(folder: Path) -> None:
    (folder / "aliases").write_text(f"staff: :include:{folder}/staff\nbox: /var/box\nlist: :include:{folder}/none\n")
    broken(folder, "wrong")
    aliases = alias_file(folder / "aliases", DOMAINS)
    assert result_of(aliases.troubles()) == [
        ("staff", f"{folder}/staff:2: 'tom dick' has white space in it; divide addresses by commas", f"{folder}/aliases:1"),
        ("box", "leads to a file, which is not allowed ([aliases] files = yes)", f"{folder}/aliases:2"),
        ("list", f"{folder}/none: No such file or directory", f"{folder}/aliases:3"),
    ]
    broken(folder, "of itself")
    assert result_of(aliases.troubles())[0][1] == f"{folder}/staff includes itself: staff > {folder}/staff > {folder}/staff"
    (folder / "aliases").write_text("a: b\nnonsense\n")
    assert result_of(aliases.troubles())[0] == ("-", "there is no colon; write NAME: TARGET, TARGET", f"{folder}/aliases:2")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("makes", "why"),
    [
        pytest.param(lambda folder: os.chown(folder / "staff", 65534, 65534), "belongs to user 65534, so it may not include", id="owner"),
        pytest.param(lambda folder: (folder / "staff").chmod(0o664), "can be written to by others (mode 664)", id="mode"),
    ],
)
def test_a_list_that_others_write_names_no_other_files(folder: Path, makes: Callable[[Path], object], why: str) -> None:
    """The server may read what he cannot, and would tell him who is on it."""
    (folder / "others").write_text("bert")
    (folder / "staff").write_text(f"anna\n:include:{folder}/others\n")
    makes(folder)
    with pytest.raises(Unavailable, match=re.escape(why)):
        goals(alias_file(folder / "aliases", DOMAINS))
    (folder / "staff").write_text("anna\n")
    assert goals(alias_file(folder / "aliases", DOMAINS)) == ["boss", "anna"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_list_is_no_link_of_somebody_else(folder: Path) -> None:
    (folder / "others").write_text("bert")
    (folder / "staff").unlink()
    (folder / "staff").symlink_to(folder / "others")
    assert goals(alias_file(folder / "aliases", DOMAINS)) == ["boss", "bert"]
    os.lchown(folder / "staff", 65534, 65534)
    with pytest.raises(Unavailable, match="is a link of user 65534"):
        goals(alias_file(folder / "aliases", DOMAINS))


def test_a_list_of_short_lines_takes_no_memory_for_each() -> None:
    text = "# \n" * 100_000
    tracemalloc.start()
    assert members.parse(text).items == ()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(text)
