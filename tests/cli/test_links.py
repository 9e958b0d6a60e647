"""twistmail setup --links: the names under which programs look for sendmail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from twistmail.cli import links
from twistmail.cli.exits import Exit
from twistmail.cli.main import status


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """Our program, where this Python is."""
    made = tmp_path / "venv" / "bin" / "twistmail-sendmail"
    made.parent.mkdir(parents=True)
    made.write_text("")
    monkeypatch.setattr(sys, "executable", str(made.with_name("python")))
    return made


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def made(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): str(path.readlink()) for path in root.rglob("*") if path.is_symlink()}


def test_all_names_lead_to_us(ours, root):
    assert status(["setup", "--links", "--to", str(root)]) == Exit.OK
    assert made(root) == dict.fromkeys(links.PLACES, str(ours))
    assert {Path(place).name for place in links.PLACES} == {"sendmail", "mailq", "newaliases", "runq"}
    assert status(["setup", "--links", "--to", str(root)]) == Exit.OK, "a second time changes nothing"


def test_without_a_place_they_are_shown(ours, capsys):
    assert status(["setup", "--links"]) == Exit.OK
    assert capsys.readouterr().out.splitlines()[0] == f"ln -s {ours} /usr/sbin/sendmail"


def test_another_program_is_not_replaced_unasked(ours, root, capsys):
    other = root / "usr/bin/mailq"
    other.parent.mkdir(parents=True)
    other.write_text("another's")
    assert status(["setup", "--links", "--to", str(root)]) == Exit.CANTCREAT
    assert "nothing was made" in capsys.readouterr().err
    assert made(root) == {}
    assert status(["setup", "--links", "--to", str(root), "--force"]) == Exit.OK
    assert other.readlink() == ours
    assert (root / "usr/bin/mailq.before-twistmail").read_text() == "another's"


def test_a_link_of_an_earlier_installation_is_another_program(ours, root):
    old = root / "usr/sbin/sendmail"
    old.parent.mkdir(parents=True)
    old.symlink_to("/gone")
    assert status(["setup", "--links", "--to", str(root)]) == Exit.CANTCREAT
    assert str(old.readlink()) == "/gone"


def test_where_we_are_not_installed_that_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert status(["setup", "--links"]) == Exit.UNAVAILABLE
    assert "pip install" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--links", "--unit"]], ids=["nothing", "both"])
def test_one_thing_is_made_at_a_time(words):
    assert status(["setup", *words]) == Exit.USAGE
