"""`twistmail table` by the configuration alone: what sources say of an address, and how it ends."""

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.accounts.services import Bridge
from twistmail.cli.exits import Exit
from twistmail.cli.main import status

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example
[users]
source = config passwd:users http
[user:anna@blue.example]
password = {PLAIN}a long password
name = Anna Arndt
quota = 2G
[http]
url = http://127.0.0.1:PORT/
[aliases]
source = config file:aliases
[alias:list@blue.example]
to = anna far@away.example
"""
USERS = "bert:{SHA256}XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=::::::\nanna:{PLAIN}another::::::\n"


@pytest.fixture(autouse=True)
def bridge(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one, and the service that it names."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    made = Bridge({"carl@blue.example": ("one", {"name": "Carl"})})
    made.start()
    Path("config.ini").write_text(CONFIG.replace("PORT", str(made.port)))
    Path("data").mkdir()
    Path("data/users").write_text(USERS)
    Path("data/aliases").write_text("office: bert, anna\n")
    yield made
    made.stop()


@pytest.fixture
def run(capsys):
    """A function that runs a command: (exit code, stdout, stderr)."""

    def call(line):
        code = status(["table", *shlex.split(line)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_tables_are_listed_as_they_are_asked(run):
    code, out, err = run("list")
    assert code == Exit.OK
    assert [line.split()[0] for line in out.splitlines()] == [
        "TABLE", "users:config", "users:passwd:users", "users:http", "aliases:config", "aliases:file:aliases",
    ]  # fmt: skip
    assert "the server does not run" in err


@pytest.mark.parametrize(("name", "key", "source", "password"), [
    pytest.param("users", "anna@blue.example", "users:config", "PLAIN", id="the-first-answers"),
    pytest.param("users", "Anna", "users:config", "PLAIN", id="the-domain-is-completed"),
    pytest.param("passwd:users", "anna", "users:passwd:users", "PLAIN", id="one-of-them"),
    pytest.param("users", "bert", "users:passwd:users", "SHA256", id="a-later-one"),
    pytest.param("http", "carl", "users:http", "checked by the source", id="a-service"),
])  # fmt: skip
def test_what_is_said_of_an_account(run, name, key, source, password):
    code, out, _ = run(f"query {name} {key} --json")
    said = json.loads(out)
    assert (code, said["found"], said["source"], said["password"]) == (Exit.OK, True, source, password)


def test_no_password_and_no_hash_is_ever_shown(run):
    for question in ("users anna", "users bert", "users:config anna", "passwd:users anna", "passwd:users bert"):
        for flag in ("", "--json"):
            _, out, err = run(f"query {question} {flag}")
            assert "@blue.example" in out
            assert not any(secret in out + err for secret in ("a long password", "another", "XohIm"))


def test_a_sheet_for_people(run):
    code, out, _ = run("query users anna")
    assert (code, out.splitlines()) == (Exit.OK, [
        "key        anna@blue.example", "source     users:config", "account    anna@blue.example", "name       Anna Arndt", "addresses",
        "quota      2147483648", "enabled    yes", "password   PLAIN",
    ])  # fmt: skip


def test_what_an_alias_stands_for(run):
    assert json.loads(run("query aliases list --json")[1])["targets"] == ["anna", "far@away.example"]
    assert json.loads(run("query file:aliases office --json")[1])["targets"] == ["bert", "anna"]


@pytest.mark.parametrize(("line", "code", "says"), [
    pytest.param("query users nobody", Exit.NOTHING, "users has no nobody@blue.example", id="not-found"),
    pytest.param("query user anna", Exit.USAGE, "did you mean users?", id="misspelled"),
    pytest.param("query nonsense anna", Exit.USAGE, "there are: users, aliases, users:config", id="unknown"),
    pytest.param("query config anna", Exit.USAGE, "write users:config or aliases:config", id="ambiguous"),
    pytest.param("query users 'a b'", Exit.USAGE, "write an address, such as anna@blue.example", id="no-address"),
    pytest.param("query users", Exit.USAGE, "Missing argument", id="no-key"),
])  # fmt: skip
def test_what_cannot_be_answered(run, line, code, says):
    answered, _, err = run(line)
    assert (answered, says in err) == (code, True), err


def test_a_source_that_is_away_is_no_answer_and_no_unknown_user(run, bridge):
    with bridge.down():
        code, out, err = run("query users nobody")
        assert (code, out) == (Exit.TEMPFAIL, "")
        assert "users:http does not answer" in err
        assert run("query users anna")[0] == Exit.OK, "whom an earlier source knows"
