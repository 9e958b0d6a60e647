"""twistmail list, on the files of a server that does not run; a running one answers by the same verbs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twistmail.cli.exits import Exit
from twistmail.cli.main import status

CONFIG = """\
[server]
hostname = mx.blue.example
data_dir = data
[domains]
local = blue.example
[users]
source = config
[user:anna@blue.example]
password = sesame street
[list:news@blue.example]
owners = anna
members = book anna
subscribe = confirm
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command line: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.ini").write_text(CONFIG)

    def run(line: str) -> tuple[int, str, str]:
        code = status(["--config", "config.ini", *line.split()])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def members(run: Any) -> dict[str, str]:
    code, out, _ = run("list members news --json")
    assert code == Exit.OK
    return {row["address"]: row["state"] for row in map(json.loads, out.splitlines())}


def test_a_bare_noun_lists_and_the_program_alone_does_not(run: Any) -> None:
    code, out, _ = run("list")
    assert (code, out.splitlines()[1].split()) == (Exit.OK, ["news@blue.example", "1", "0", "members", "anna@blue.example"])
    assert run("--json")[0] == Exit.USAGE


def test_members_come_and_go(run: Any) -> None:
    assert run("list add news bert@blue.example carl@far.example")[:2] == (Exit.OK, "2 added\n")
    assert run("list add news bert@blue.example")[:2] == (Exit.OK, "0 added, 1 are members already\n")
    assert set(members(run)) == {"anna@blue.example", "bert@blue.example", "carl@far.example"}
    assert run("list remove news carl@far.example")[:2] == (Exit.OK, "carl@far.example removed\n")
    code, out, _ = run("list remove news anna")
    assert (code, out) == (Exit.OK, "anna@blue.example gets nothing more, although config.ini:12 names him\n")
    assert set(members(run)) == {"bert@blue.example"}
    assert run("list add news anna")[1] == "1 added\n"
    assert set(members(run)) == {"anna@blue.example", "bert@blue.example"}


def test_a_member_is_suspended_and_resumed(run: Any) -> None:
    assert run("list suspend news anna")[:2] == (Exit.OK, "anna@blue.example suspended\n")
    assert members(run) == {"anna@blue.example": "suspended"}
    assert run("list")[1].splitlines()[1].split()[2] == "1"
    assert "anna@blue.example" in run("list members news --suspended")[1]
    assert run("list resume news anna")[:2] == (Exit.OK, "anna@blue.example resumed\n")
    assert members(run) == {"anna@blue.example": "member"}


def test_one_list_is_shown_with_its_addresses(run: Any) -> None:
    code, out, _ = run("list show news")
    assert (code, "{" in out) == (Exit.OK, False)
    assert [line for line in out.splitlines() if line.startswith(("unsubscribe by", "subscribe by"))] == [
        "unsubscribe by  news-unsubscribe@blue.example", "subscribe by    news-subscribe@blue.example"
    ]  # fmt: skip
    assert json.loads(run("list show news --json")[1])["addresses"]["request"] == "news-request@blue.example"


def test_many_come_from_a_file_or_none(run: Any, tmp_path: Path) -> None:
    (tmp_path / "people").write_text("# the class\nBert <bert@blue.example>\ncarl@far.example\n")
    assert run("list add news --from people")[:2] == (Exit.OK, "2 added\n")
    (tmp_path / "people").write_text("dora@blue.example\nno address at all\nnor this one\n")
    code, _, err = run("list add news --from people")
    assert (code, "people:2:" in err, "(and 1 more)" in err) == (Exit.DATAERR, True, True)
    assert "dora@blue.example" not in members(run)


@pytest.mark.parametrize(("line", "code", "told"), [
    pytest.param("list show nwes", Exit.NOUSER, "did you mean news@blue.example?", id="a-list-that-is-not-there"),
    pytest.param("list remove news bert", Exit.NOUSER, "bert@blue.example is not on the list", id="one-who-is-not-on-it"),
    pytest.param("list suspend news ana", Exit.NOUSER, "did you mean anna@blue.example?", id="misspelled"),
    pytest.param("list add news", Exit.USAGE, "--from FILE", id="nobody"),
    pytest.param("list add news a@b@c", Exit.USAGE, "write an address", id="no-address"),
    pytest.param("list add news --from nothing", Exit.USAGE, "does not exist", id="no-file"),
    pytest.param("list remove news", Exit.USAGE, "Missing argument", id="whom"),
])  # fmt: skip
def test_what_cannot_be_done_says_what_to_do(run: Any, line: str, code: Exit, told: str) -> None:
    found, out, err = run(line)
    assert (found, out) == (code, "")
    assert told in err


def test_with_mistakes_in_the_configuration_nobody_knows_the_lists(run: Any, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text(f"{CONFIG}nonsense = 1\n")
    code, _, err = run("list")
    assert (code, "twistmail config check" in err) == (Exit.CONFIG, True)


def test_where_the_book_is_no_source_nobody_is_added(run: Any, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text(CONFIG.replace("members = book anna", "members = anna"))
    code, _, err = run("list add news bert")
    assert (code, "put the word book into its members" in err) == (Exit.DATAERR, True)
