"""`twistmail forward`: by an operator while the server is down, in one's own home, and by one's own password."""

from __future__ import annotations

import json
import os
import pwd
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from click.testing import CliRunner

from twistmail.cli import forward, homes, own
from twistmail.cli.control import Control
from twistmail.cli.exits import Exit
from twistmail.cli.main import status

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example green.example
[users]
source = config
[user:anna@blue.example]
password = {PLAIN}x
forward = set@far.example
[dns]
use = none
"""
FILE = "data/mail/blue.example/anna/forward"


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(own, "USUAL_PLACE", tmp_path / "nowhere.sock")
    Path("config.ini").write_text(CONFIG)
    Path("config.ini").chmod(0o600)
    Path("data").mkdir()
    return tmp_path


@pytest.fixture
def run(capsys):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str) -> tuple[int, str, str]:
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


# ----- an operator, at the files


def test_an_operator_sets_shows_and_clears(run, house):
    code, said, _ = run("forward set anna a@far.example b@green.example")
    assert (code, said.splitlines()) == (0, [
        f"{'a copy stays here':36} {house}/{FILE}", f"{'a@far.example':36} {house}/{FILE}", f"{'b@green.example':36} {house}/{FILE}",
    ])  # fmt: skip
    assert Path(FILE).read_text() == "\\anna\na@far.example\nb@green.example\n"
    row = json.loads(run("forward show anna@blue.example --json")[1])
    assert (row["name"], row["goals"], row["settled"]) == ("anna@blue.example", ["\\anna", "a@far.example", "b@green.example"],
                                                           ["\\anna@blue.example", "set@far.example"])  # fmt: skip
    assert run("forward clear anna")[1].splitlines()[1].split() == ["set@far.example", "what", "is", "set", "for", "the", "account:",
                                                                    "twistmail", "user", "forward"]  # fmt: skip
    assert not Path(FILE).exists()


def test_an_empty_file_is_no_missing_one(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"# nowhere\n")))
    assert run("forward set anna --file -")[:2] == (0, f"mail for anna@blue.example goes on to nobody: {Path(FILE).resolve()} says so\n")


def test_an_extension_has_its_own(run):
    assert run("forward set anna list@far.example --no-keep --extension list")[0] == 0
    assert Path(FILE + "+list").read_text() == "list@far.example\n"
    assert "list@far.example" in run("forward show anna --extension list")[1]
    assert "list@far.example" not in run("forward show anna")[1]


@pytest.mark.parametrize(("line", "code", "said"), [
    pytest.param("forward set anna", 64, "name the addresses", id="nothing"),
    pytest.param("forward set anna a@far.example --file x", 64, "name the addresses", id="both"),
    pytest.param("forward set anna a@", 64, "not a domain name", id="no-address"),
    pytest.param("forward set anna a@far.example --extension ../x", 64, "cannot be part", id="a-path-as-extension"),
    pytest.param("forward set nobody a@far.example", 67, "did you mean", id="nobody"),
    pytest.param("forward set anna --file missing", 66, "there is no missing", id="no-file"),
    pytest.param("forward set anna --file binary", 65, "not UTF-8", id="no-text"),
    pytest.param("forward set anna --file program", 65, "line 2: sh is a program", id="a-program"),
    pytest.param("forward set anna --file box", 65, "/var/mail/anna is a file", id="a-file"),
    pytest.param("forward set anna --file holiday", 65, "vacation is not built in yet", id="vacation"),
    pytest.param("forward list", 64, "No such command", id="no-such-verb"),
])  # fmt: skip
def test_what_cannot_be_changes_nothing(run, line, code, said):
    Path("binary").write_bytes(b"a\xff@far.example")
    Path("program").write_text("a@far.example\n\"|/bin/sh -c 'touch owned'\"\n")
    Path("box").write_text("/var/mail/anna\n")
    Path("holiday").write_text('\\anna, "|vacation anna"\n')
    result, _, err = run(line)
    assert (result, said in err, Path(FILE).exists()) == (code, True, False)


def test_what_is_broken_by_hand_is_told_and_ends_with_1(run):
    run("forward set anna a@far.example")
    Path(FILE).write_text("a@far.example\n|/bin/sort\n")
    code, said, err = run("forward show anna")
    assert (code, said) == (Exit.NOTHING, "")
    assert "forward:2: sort is a program, and none is run for users without a home on this machine; mail for it has to wait" in err


def test_it_goes_along_with_a_new_name_and_away_with_its_user(run, monkeypatch):
    Path("config.ini").write_text(CONFIG.replace("source = config", "source = config sqlite"))
    assert run("user add dora@blue.example --generate")[0] == 0
    run("forward set dora@blue.example d@far.example")
    assert run("user rename dora@blue.example dot@blue.example --yes")[0] == 0
    row = json.loads(run("forward show dot@blue.example --json")[1])
    assert (row["goals"], row["problems"]) == (["\\dot@blue.example", "d@far.example"], [])
    assert run("user remove dot@blue.example --yes")[0] == 0
    assert run("user add dot@blue.example --generate")[0] == 0
    assert run("forward show dot@blue.example")[1] == "mail for dot@blue.example goes on to nobody\n"


def test_a_configuration_with_mistakes_is_told(run):
    Path("config.ini").write_text(CONFIG + "[imapp]\nx = y\n")
    assert run("forward show anna@blue.example")[0] in (Exit.CONFIG, Exit.NOUSER)  # anna is one of those that cannot be read


def test_the_help_has_examples():
    assert "twistmail forward set anna anna@partner.example" in CliRunner().invoke(forward.group, ["--help"]).output


# ----- one's own home


@pytest.fixture
def home(tmp_path, monkeypatch):
    """We are fred, a user of this machine, with a home that is ours."""
    place = tmp_path / "fred"
    place.mkdir(mode=0o700)
    fred = pwd.struct_passwd(("fred", "x", os.getuid(), os.getgid(), "", str(place), "/bin/sh"))

    def by_name(name):
        if name != "fred":
            raise KeyError(name)
        return fred

    monkeypatch.setattr(pwd, "getpwnam", by_name)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: fred)
    monkeypatch.setattr(homes.Bounds, "take", lambda bounds, user: True)
    text = CONFIG.replace("source = config", "source = system").partition("[user:")[0]
    Path("config.ini").write_text(text + "[forward]\nfiles = yes\n")
    return place


def test_he_writes_his_dot_forward_and_needs_no_server(run, home):
    code, said, _ = run("forward set fred f@far.example")
    assert (code, said.splitlines()[1]) == (0, f"{'f@far.example':36} {home}/.forward")
    assert ((home / ".forward").read_text(), (home / ".forward").stat().st_mode & 0o777) == ("\\fred\nf@far.example\n", 0o644)
    assert "f@far.example" in run("forward show")[1]  # his own name is meant
    assert run("forward clear fred@blue.example")[:2] == (0, "mail for fred goes on to nobody\n")
    assert list(home.iterdir()) == []


def test_what_the_server_would_not_do_is_refused_here_already(run, home):
    Path("text").write_text(f"{home}/archive\n|/bin/sort\n")
    code, _, err = run("forward set fred --file text")
    assert (code, "line 2: sort is a program, and none is run as long as [forward] does not allow it" in err) == (65, True)
    Path("text").write_text(f"{home}/archive\n")
    assert run("forward set fred --file text")[:2] == (0, f'{chr(34)}{home}/archive{chr(34)}'.ljust(36) + f" {home}/.forward\n")


def test_a_file_that_the_server_passes_over_is_told(run, home):
    run("forward set fred f@far.example")
    (home / ".forward").chmod(0o666)
    code, _, err = run("forward show fred")
    assert (code, "others may write to it (mode 666); chmod go-w; the server passes it over" in err) == (Exit.NOTHING, True)


def test_where_there_is_no_configuration_it_counts_as_it_always_has(run, home):
    Path("config.ini").unlink()
    assert run("forward set fred f@far.example")[0] == 0
    assert (home / ".forward").exists()


@pytest.mark.parametrize(("answer", "exists"), [(True, True), (False, False)])
def test_where_there_is_none_but_a_server_that_is_asked(run, home, monkeypatch, answer, exists):
    Path("config.ini").unlink()
    monkeypatch.setenv("TWISTMAIL_PASSWORD", "own.sock")
    asked = []

    def ask(self, verb, **arguments):
        asked.append((str(self.path), verb, arguments.get("old")))
        row = {"name": "fred", "extension": "", "file": "x", "text": "", "goals": ["f@far.example"], "problems": [], "settled": []}
        return {"home": answer} if verb == homes.HOME else row

    monkeypatch.setattr(Control, "ask", ask)
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"his password\n")))
    code, said, _ = run("forward set fred f@far.example --password-stdin")
    assert (code, "f@far.example" in said, (home / ".forward").exists()) == (0, True, exists)
    assert asked == [("own.sock", homes.HOME, None)] + ([] if answer else [("own.sock", "forward.set", "his password")])
