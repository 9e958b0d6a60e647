"""`twistmail alias` and `newaliases` while the server is down: what they print, change and refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from twistmail.cli.alias import VERBS, group
from twistmail.cli.exits import Exit
from twistmail.cli.main import status

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example green.example
[aliases]
source = config sqlite file:aliases
[alias:boss]
to = anna@blue.example
owner = bert
[imap]
listen = off
[submission]
listen = off
[dns]
use = none
"""
TEXT = "# ours\nflintstone: fred\nauthors: tom, dick,\n  harry@away.example\nbox: /var/box\n"


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    Path("config.ini").chmod(0o600)
    Path("data").mkdir()
    Path("data/aliases").write_text(TEXT)
    return tmp_path


@pytest.fixture
def run(capsys):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(*words: str):
        code = status([*words[0].split(), *words[1:]])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def rows(out):
    return [json.loads(line) for line in out.splitlines()]


def test_the_verbs_say_of_themselves_what_the_list_says():
    for name, (_, sentence) in VERBS.items():
        assert group.get_command(None, name).help.partition("\n\n")[0].replace("\n", " ") == sentence


def test_an_alias_is_made_shown_changed_and_removed(run):
    assert run("alias add info@blue.example anna@blue.example bert@green.example")[:2] == (
        Exit.OK, "info@blue.example: anna@blue.example, bert@green.example\n")
    assert rows(run("alias show INFO@blue.example --json")[1]) == [
        {"address": "info@blue.example", "targets": ["anna@blue.example", "bert@green.example"], "source": "database"}]
    assert run("alias set info@blue.example", "\\anna", "carl@away.example", "--owner", "bert@blue.example")[:2] == (
        Exit.OK, "info@blue.example: \\anna, carl@away.example   (owner bert@blue.example)\n")
    assert run("alias remove info@blue.example --dry-run")[1] == "info@blue.example: \\anna, carl@away.example   would be removed\n"
    assert run("alias remove info@blue.example --yes")[:2] == (Exit.OK, "info@blue.example removed\n")
    code, _, err = run("alias show info@blue.example")
    assert (code, "there is no alias info@blue.example" in err) == (Exit.NOUSER, True)


def test_aliases_of_all_sources_are_listed_with_their_places(run, house):
    run("alias add gone", ":fail: gone, away")
    assert {row["address"]: row["source"] for row in rows(run("alias list --json")[1])} == {
        "authors": f"{house}/data/aliases:3", "boss": "config.ini:8", "box": f"{house}/data/aliases:5",
        "flintstone": f"{house}/data/aliases:2", "gone": "database"}


@pytest.mark.parametrize(("words", "code", "told"), [
    pytest.param(("alias add info", "tom dick"), Exit.USAGE, "white space", id="two-words"),
    pytest.param(("alias add a@nowhere.example x",), Exit.USAGE, "no domain of ours", id="somebody-else's-domain"),
    pytest.param(("alias add a@b@c x",), Exit.USAGE, "not a domain name", id="no-name"),
    pytest.param(("alias add info", "|rm -rf /"), Exit.NOPERM, "a program, which is not allowed", id="a-program"),
    pytest.param(("alias add info", "/etc/passwd"), Exit.NOPERM, "a file, which is not allowed", id="a-file"),
    pytest.param(("alias add info", ":fail: gone", "anna"), Exit.USAGE, "cannot be refused and go somewhere too", id="an-answer-and-more"),
    pytest.param(("alias add info", "a\0b"), Exit.USAGE, "control character", id="nul"),
    pytest.param(("alias add info",), Exit.USAGE, "TARGET", id="no-target"),
    pytest.param(("alias add there x",), Exit.DATAERR, "change it: twistmail alias set there", id="twice"),
    pytest.param(("alias add info anna --owner", "no body"), Exit.USAGE, "needs quotes", id="owner-that-is-no-address"),
    pytest.param(("alias remove flintstone --yes",), Exit.NOPERM, "remove it there", id="of-a-file"),
    pytest.param(("alias remove ther --yes",), Exit.NOUSER, "did you mean there?", id="misspelled"),
    pytest.param(("alias show box",), Exit.TEMPFAIL, "has to wait", id="what-is-not-allowed"),
])
def test_what_makes_no_sense_is_refused_with_what_would_be_right(run, words, code, told):
    run("alias add there anna")
    before = run("alias list --json")[1]
    got, _, err = run(*words)
    assert (got, told in err) == (code, True)
    assert run("alias list --json")[1] == before


def test_who_would_not_be_heard_is_told(run):
    assert "config.ini:8 says something else of boss, and is asked first" in run("alias add boss zoe")[2]
    run("user add anna@blue.example --generate")
    assert "anna@blue.example has a mailbox" in run("alias add anna@blue.example zoe")[2]


def test_without_the_source_nothing_is_made(run):
    Path("config.ini").write_text(CONFIG.replace("config sqlite file", "config file"))
    code, _, err = run("alias add info anna")
    assert (code, "write sqlite into [aliases] source" in err) == (Exit.NOPERM, True)


def test_what_is_exported_is_imported_again(run):
    run("alias add info anna", "\\bert", '"odd, one"@away.example', "--owner", "bert@blue.example")
    run("alias add gone", ":fail: 553 5.7.1 gone, away")
    text = run("alias export")[1]
    assert text == (
        'gone: :fail: 553 5.7.1 gone, away\ninfo: anna, \\bert, "odd, one"@away.example\nowner-info: bert@blue.example\n')
    assert run("alias export out")[0] == Exit.OK
    assert run("alias export out")[0] == Exit.CANTCREAT
    Path("config.ini").write_text(CONFIG + "[users]\nsource = sqlite\n")
    Path("data/aliases.db").unlink()
    assert run("alias import out")[:2] == (Exit.OK, "3 aliases imported, 0 left out\n")
    assert run("alias export")[1] == text


def test_what_is_there_already_stays_unless_it_is_to_be_replaced(run):
    run("alias add info anna")
    Path("more").write_text("info: zoe\nnews: zoe\n")
    assert run("alias import more --dry-run")[:2] == (Exit.NOTHING, "1 aliases would be imported, 1 left out\n")
    assert run("alias export")[1] == "info: anna\n"
    assert run("alias import more")[0] == Exit.NOTHING
    assert run("alias export")[1] == "info: anna\nnews: zoe\n"
    assert run("alias import more --replace")[0] == Exit.OK
    assert run("alias export")[1] == "info: zoe\nnews: zoe\n"


@pytest.mark.parametrize(("text", "code", "told"), [
    pytest.param("a: b\nnonsense\nc d\n", Exit.DATAERR, "more:2: there is no colon", id="mistakes"),
    pytest.param("a: b\nbox: /var/box\n", Exit.NOPERM, "which is not allowed", id="what-is-not-allowed"),
    pytest.param("a: b\nlist: " + ", ".join(f"member{n}@away.example" for n in range(4000)), Exit.DATAERR, ":include:", id="large"),
    pytest.param("a: b\n" + "c" * 2_000_000, Exit.DATAERR, "more:2: the entry is too long", id="a-long-line"),
])
def test_a_file_with_mistakes_is_not_imported_at_all(run, text, code, told):
    Path("more").write_text(text)
    got, _, err = run("alias import more")
    assert (got, told in err) == (code, True)
    assert run("alias export")[1] == ""


def test_thousands_are_imported(run):
    Path("more").write_text("".join(f"user{n}: a{n}@away.example, b{n}@away.example\n" for n in range(3000)))
    assert run("alias import more")[1] == "3000 aliases imported, 0 left out\n"
    assert len(run("alias export")[1].splitlines()) == 3000


def test_where_mail_goes_is_shown_from_the_files(run, house):
    run("user add anna@blue.example --generate")
    code, out, _ = run("alias resolve boss@blue.example")
    assert (code, out.split()) == (Exit.OK, ["boss@blue.example", "alias,", "config.ini:8", "`-", "anna@blue.example", "mailbox"])
    assert run("alias resolve nobody@blue.example")[0] == Exit.NOTHING


def test_what_is_wrong_is_told_from_the_files(run, house):
    Path("data/aliases").write_text(TEXT + f"list: :include:{house}/none\n")
    code, out, _ = run("alias check --json")
    told = {row["source"]: row["problem"] for row in rows(out)}
    assert code == Exit.NOTHING
    assert told[f"{house}/data/aliases:5"] == "leads to a file, which is not allowed ([aliases] files = yes)"
    assert told[f"{house}/data/aliases:6"] == f"{house}/none: No such file or directory"
    assert "leads outside" in told[f"{house}/data/aliases:3"]


def test_a_broken_configuration_is_told_and_nothing_else_happens(run):
    Path("config.ini").write_text(CONFIG + "nonsense = 1\n")
    for line in ("alias list", "alias add info anna", "newaliases", "alias check"):
        code, _, err = run(line)
        assert (code, "twistmail config check" in err) == (Exit.CONFIG, True)


# ----- what alias check says of files that mail goes into


@pytest.fixture
def archive(house):
    """A folder for files of aliases, with some that are not fit."""
    folder = house / "archive"
    for name in ("good", "open"):
        (folder / name).mkdir(parents=True)
    (folder / "open").chmod(0o777)
    (folder / "link").symlink_to("/etc/motd")
    (folder / "way").symlink_to("good")
    (folder / "program").touch(mode=0o755)
    config = CONFIG.replace("source = config", "files = included\nsource = config").replace("to = anna", "to = :blackhole:\n#")
    Path("config.ini").write_text(f"{config}[delivery]\nfile_dirs = {folder}\n")
    return folder


@pytest.mark.parametrize(("target", "problem"), [
    pytest.param("{}/good/box", None, id="a-new-mbox"),
    pytest.param("{}/good/", None, id="a-maildir"),
    pytest.param("/dev/null", None, id="nowhere"),
    pytest.param("{}/none/box", "none: No such file or directory", id="no-such-folder"),
    pytest.param("/etc/passwd", "does not lie below {}", id="not-permitted"),
    pytest.param("{}/../box", "has . or .. or an empty name in it", id="a-way-out"),
    pytest.param("{}/link", "is a symbolic link", id="a-link"),
    pytest.param("{}/way/box", "way is a symbolic link, or no folder", id="a-link-on-the-way"),
    pytest.param("{}/open/box", "everybody may write to the folder open", id="a-folder-for-everybody"),
    pytest.param("{}/program", "is a program", id="a-program"),
    pytest.param("{}/good", "is no ordinary file", id="a-folder-without-a-slash"),
])  # fmt: skip
def test_check_tells_of_files_that_are_not_fit_with_their_lines(run, house, archive, target, problem):
    path = target.format(archive)
    Path("data/aliases").write_text(f"# ours\n\nbox: {path}\n")
    code, out, _ = run("alias check --json")
    expected = [{"address": "box", "problem": f"{path}: {problem.format(archive)}", "source": f"{house}/data/aliases:3"}] if problem else []
    assert [json.loads(line) for line in out.splitlines()] == expected
    assert code == (Exit.NOTHING if problem else Exit.OK)


def test_check_looks_at_files_that_included_lists_name(run, house, archive):
    (house / "list").write_text(f"{archive}/none/box\n")
    Path("data/aliases").write_text(f"all: :include:{house}/list\n")
    (row,) = map(json.loads, run("alias check --json")[1].splitlines())
    assert (row["address"], row["source"]) == ("all", f"{house}/data/aliases:1")
    assert row["problem"].endswith("none: No such file or directory")


# ----- what config check says of the files


@pytest.mark.parametrize(("source", "text", "told"), [
    pytest.param("file", TEXT, ["5:1 warning: box leads to a file, which is not allowed ([aliases] files = yes)"], id="not-allowed"),
    pytest.param("file", "a: b\nnonsense\nc d\n", ["2:1 warning: there is no colon", "3:1 warning: there is no colon"], id="mistakes"),
    pytest.param("file", "a: b\nlist: :include:/no/such/list\n", ["2:1 warning: /no/such/list: No such file or directory"], id="no-list"),
    pytest.param("virtual", "a@blue.example b\nc@blue.example\n", ["2:1 warning: c@blue.example stands for nothing"], id="virtual"),
    pytest.param("virtusertable", "@blue.example b c\n", ["1:1 warning: 'b c' is more than one address"], id="virtusertable"),
    pytest.param("regexp", "/a/ b\nif /c/\n", ["2:1 warning: this if has no endif"], id="regexp"),
])
def test_config_check_tells_mistakes_with_their_lines(run, house, source, text, told):
    Path("config.ini").write_text(CONFIG.replace("file:aliases", f"{source}:aliases"))
    Path("data/aliases").write_text(text)
    _, out, err = run("config check")
    for words in told:
        assert words.partition(": ")[2] in (out + err)
        assert f"data/aliases:{words.partition(':')[0]}" in (out + err)


def test_config_check_tells_a_missing_file(run):
    Path("data/aliases").unlink()
    _, out, err = run("config check")
    assert "data/aliases: No such file or directory" in (out + err)


# ----- newaliases (row R31)


def test_newaliases_tells_what_is_in_the_files(run, house):
    assert run("newaliases")[:2] == (Exit.OK, f"{house}/data/aliases: 3 aliases, longest 31 bytes, 63 bytes total\n")


def test_a_bad_file_is_told_with_its_line(run, house):
    Path("data/aliases").write_text(TEXT + "nonsense\n")
    code, out, err = run("newaliases")
    assert (code, out) == (Exit.DATAERR, "")
    assert f"{house}/data/aliases:6: there is no colon" in err
    assert run("newaliases --json")[0] == Exit.DATAERR


def test_a_missing_file_is_told(run):
    Path("data/aliases").unlink()
    code, _, err = run("newaliases")
    assert (code, "data/aliases: No such file or directory" in err) == (Exit.NOINPUT, True)


def test_in_the_exam_s_mode_an_edit_counts_when_it_has_been_run(run):
    Path("config.ini").write_text(CONFIG.replace("[alias:boss]", "reload = newaliases\n[alias:boss]"))
    assert run("alias show flintstone")[0] == Exit.TEMPFAIL
    run("newaliases")
    Path("data/aliases").write_text("flintstone: wilma\n")
    assert "fred" in run("alias show flintstone")[1]
    Path("data/aliases").write_text("flintstone wilma\n")
    assert run("newaliases")[0] == Exit.DATAERR
    assert "fred" in run("alias show flintstone")[1]
    Path("data/aliases").write_text("flintstone: wilma\n")
    assert run("newaliases")[0] == Exit.OK
    assert "wilma" in run("alias show flintstone")[1]


def test_without_files_there_is_nothing_to_do(run):
    Path("config.ini").write_text(CONFIG.replace(" file:aliases", ""))
    code, out, err = run("newaliases")
    assert (code, out, "no source of aliases is a file" in err) == (Exit.OK, "", True)
