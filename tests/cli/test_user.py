"""`twistmail user` and `twistmail domain` while the server is down: what they print, change and refuse."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import argon2
import pytest
from click.testing import CliRunner

from twistmail.accounts import passwords
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.cli.completing import USER
from twistmail.cli.exits import Exit
from twistmail.cli.main import main, status
from twistmail.cli.user import VERBS, group
from twistmail.mail.domains import Domain
from twistmail.relay.mtasts import identifier

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example green.example
[users]
source = config sqlite passwd:users
[user:carl@blue.example]
password = {PLAIN}x
quota = 5M
[imap]
listen = tls:port=993
         tcp:143
[submission]
listen = tls:port=465
[dns]
use = none
"""


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(passwords, "HASHER", argon2.PasswordHasher(1, 8, 1))
    Path("config.ini").write_text(CONFIG)
    Path("config.ini").chmod(0o600)
    Path("data").mkdir()
    Path("data/users").write_text("dora:{PLAIN}x::::::\nbroken\n")
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(*words: str, stdin: str | None = None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = status([*words[0].split(), *words[1:]])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def anna(run):
    """The database, with one user."""
    assert run("user add anna@blue.example --generate")[0] == Exit.OK
    return AccountDatabase(Path("data/accounts.db"))


def listed(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_verbs_say_of_themselves_what_the_list_says():
    for name, (_, sentence) in VERBS.items():
        command = group.get_command(None, name)
        assert command.help.partition("\n\n")[0].replace("\n", " ") == sentence


def test_users_of_all_sources_are_listed_with_the_place_where_they_stand(run, anna):
    code, out, _ = run("user list --json")
    assert code == Exit.OK
    sources = {row["name"]: row["source"] for row in listed(out)}
    assert sources["anna@blue.example"] == "database"
    assert sources["carl@blue.example"] == "config.ini:8"
    assert sources["dora@blue.example"].endswith("data/users")
    assert [row["name"] for row in listed(run("user list green.example --json")[1])] == []


def test_who_stands_in_the_configuration_is_changed_there(run):
    code, _, err = run("user disable carl@blue.example")
    assert (code, "change it there: config.ini:8" in err) == (Exit.NOPERM, True)
    code, _, err = run("user add carl@blue.example --generate")
    assert (code, "there is a user carl@blue.example already" in err) == (Exit.DATAERR, True)


@pytest.mark.parametrize(("line", "code", "told"), [
    pytest.param("user add ../../etc --generate", Exit.USAGE, "is not an address", id="climbing"),
    pytest.param('user add "../x"@blue.example --generate', Exit.USAGE, "cannot name a directory", id="climbing-in-quotes"),
    pytest.param("user add a@b@c --generate", Exit.USAGE, "is not a domain name", id="no-address"),
    pytest.param("user set anna@blue.example quota=much", Exit.USAGE, "much is not a size", id="no-size"),
    pytest.param("user set anna@blue.example quotta=1M", Exit.USAGE, "did you mean quota?", id="no-field"),
    pytest.param("user set anna@blue.example name", Exit.USAGE, "sets nothing", id="no-value"),
    pytest.param("user set anna@blue.example addresses=carl@blue.example", Exit.OK, "", id="hides-nobody-of-the-database"),
    pytest.param("user rename anna@blue.example carl@blue.example --yes", Exit.DATAERR, "carl@blue.example already", id="taken-name"),
    pytest.param("user show nobody@blue.example", Exit.NOUSER, "no user nobody@blue.example", id="unknown"),
    pytest.param("user usage", Exit.USAGE, "whose mail?", id="usage-of-nobody"),
    pytest.param("user import none", Exit.NOINPUT, "none is not there", id="no-file"),
    pytest.param("user forward anna@blue.example x@y --off", Exit.USAGE, "exclude each other", id="forward-off"),
    pytest.param("user forward anna@blue.example two@@at", Exit.USAGE, "forward:", id="forward-to-nobody"),
    pytest.param("domain show blue.exampel", Exit.NOUSER, "did you mean blue.example?", id="domain"),
    pytest.param("domain add no_such..name", Exit.USAGE, "not a domain name", id="no-domain"),
    pytest.param("domain add blue.example", Exit.DATAERR, "it stands in config.ini:4", id="domain-of-the-file"),
    pytest.param("domain remove blue.example --yes", Exit.NOPERM, "remove it there: config.ini:4", id="remove-domain-of-the-file"),
    pytest.param("domain add red.example --same-as tan.example", Exit.NOUSER, "tan.example is no domain of ours", id="alias-of-nobody"),
    pytest.param("completion tcsh", Exit.USAGE, "'bash', 'fish', 'zsh'", id="no-shell"),
])  # fmt: skip
def test_what_is_refused(run, anna, line, code, told):
    found, _, err = run(line)
    assert found == code
    assert told in err


def test_a_user_is_changed_field_by_field(run, anna):
    fields = ("display_name=Anna Other", "addresses=a@blue.example b@green.example", "rate=5/1m")
    assert run("user set anna@blue.example", *fields)[0] == Exit.OK
    assert run("user quota anna@blue.example 2G")[1] == "anna@blue.example may hold 2.1 GB\n"
    assert run("user quota anna@blue.example")[1] == "2.1 GB\n"
    account = anna.get("b@green.example")
    assert (account.name, account.display_name, account.quota, account.rate) == ("anna@blue.example", "Anna Other", 2 << 30, ((5, 60.0),))
    out = run("user show a@blue.example")[1]
    assert "anna@blue.example" in out
    assert "a@blue.example b@green.example" in out


def test_mail_is_forwarded_and_stays_again(run, anna):
    assert run("user forward anna@blue.example a@far.example b@far.example --no-keep")[1] == (
        "mail for anna@blue.example goes on to a@far.example b@far.example; no copy stays\n")
    assert anna.get("anna@blue.example").forward == ("a@far.example", "b@far.example")
    assert not anna.get("anna@blue.example").keep_copy
    assert run("user forward anna@blue.example")[1] == "a@far.example b@far.example\n"
    assert run("user forward anna@blue.example --off")[1] == "mail for anna@blue.example stays here\n"
    assert anna.get("anna@blue.example").forward == ()


def test_a_user_gets_another_name_and_the_mail_goes_along(run, anna):
    for folder in ("cur", "new", "tmp"):
        Path("data/mail/blue.example/anna", folder).mkdir(parents=True, exist_ok=True)
    Path("data/mail/blue.example/anna/new/1.x.y,S=17,W=20").write_bytes(b"Subject: x\n\ntext\n")
    secret = anna.entry("anna@blue.example").secret
    assert run("user rename anna@blue.example ann@green.example --dry-run")[1] == (
        "anna@blue.example would become ann@green.example, with all mail\n")
    assert run("user rename anna@blue.example ann@green.example --keep-address --yes")[1] == "anna@blue.example is ann@green.example now\n"
    assert anna.entry("anna@blue.example").account.name == "ann@green.example"
    assert anna.entry("ann@green.example").secret == secret
    assert list(Path("data/mail/green.example/ann").rglob("1.x.y*"))
    assert not Path("data/mail/blue.example/anna").exists()
    (row,) = listed(run("user usage ann@green.example --json")[1])
    assert (row["messages"], row["octets"]) == (1, 20)


def test_where_the_mail_cannot_go_along_nothing_changes(run, anna):
    for name in ("anna", "ann"):
        Path(f"data/mail/blue.example/{name}/cur").mkdir(parents=True)
    code, _, err = run("user rename anna@blue.example ann@blue.example --yes")
    assert (code, "nothing has changed" in err) == (Exit.DATAERR, True)
    assert anna.get("anna@blue.example") is not None
    assert anna.get("ann@blue.example") is None


def test_users_go_to_another_server_as_they_are(run, anna, tmp_path):
    run("user set anna@blue.example quota=1M format=mbox addresses=a@blue.example forward=x@far.example keep_copy=no")
    before = anna.entry("anna@blue.example")
    assert run("user export --output users.jsonl")[0] == Exit.OK
    assert Path("users.jsonl").stat().st_mode & 0o077 == 0
    assert run("user export --output users.jsonl")[0] == Exit.CANTCREAT
    run("user remove anna@blue.example --yes")
    assert run("user import users.jsonl --dry-run")[1] == "1 user would be made, 0 left out\n"
    assert anna.entry("anna@blue.example") is None
    assert run("user import users.jsonl")[1] == "1 user made, 0 left out\n"
    assert anna.entry("anna@blue.example") == before
    code, out, err = run("user import users.jsonl")
    assert (code, out) == (Exit.NOTHING, "0 users made, 1 left out\n")
    assert "users.jsonl:1: there is a user anna@blue.example already" in err


def test_a_passwd_file_is_taken_over_and_its_broken_lines_are_told(run):
    Path("old").write_text("# ours\nfred:{PLAIN}secret:::Fred F:::quota=3M\nbob@green.example:!:::\ntwo words:x\n\n")
    code, out, err = run("user import old --domain blue.example")
    assert (code, out) == (Exit.NOTHING, "2 users made, 1 left out\n")
    assert err.startswith("old:4: ")
    database = AccountDatabase(Path("data/accounts.db"))
    fred, bob = database.entry("fred@blue.example"), database.entry("bob@green.example")
    assert (fred.secret, fred.account.quota, fred.account.display_name) == ("{PLAIN}secret", 3 << 20, "Fred F")
    assert bob.secret == ""


@pytest.mark.parametrize("text", ["{", "{}", "[1]\n{", '{"name": 5}', '{"name": "x@y.example", "keys": 7}',
                                  '{"name": "x@y.example", "app_passwords": [{}]}', '{"name": "x@y.example", "secret": "{ROT13}x"}'])
def test_lines_that_are_no_users_are_left_out(run, text):
    Path("lines").write_text(text)
    code, out, _ = run("user import lines")
    assert (code, out.startswith("0 users made")) == (Exit.NOTHING, True)


def test_the_settings_sheet_tells_what_to_type(run, anna):
    sheet = json.loads(run("user settings anna@blue.example --json")[1])
    assert sheet["login"] == "anna@blue.example"
    assert [(one["protocol"], one["port"], one["security"]) for one in sheet["services"]] == [
        ("IMAP", 993, "TLS"), ("IMAP", 143, "STARTTLS"), ("SMTP", 465, "TLS")]
    out = run("user settings anna@blue.example")[1]
    assert "mail.blue.example  993" in out
    assert "User name  anna@blue.example" in out
    Path("config.ini").write_text(CONFIG.replace("[users]\n", "[users]\nlogin = local\n"))
    assert json.loads(run("user settings anna@blue.example --json")[1])["login"] == "anna"


def test_with_a_broken_configuration_the_database_is_still_at_hand(run, anna):
    Path("config.ini").write_text(CONFIG + "[imapp]\nx = y\n")
    assert [row["name"] for row in listed(run("user list --json")[1])] == ["anna@blue.example"]
    assert run("user disable anna@blue.example")[0] == Exit.OK
    assert run("user settings anna@blue.example")[0] == Exit.CONFIG


# ----- domains


def test_domains_are_added_listed_and_removed(run, anna):
    assert run("domain add Red.example --same-as blue.example --description", "The red one")[1] == (
        "mail for red.example is taken, for the users of blue.example\n")
    assert run("domain add tan.example --catchall anna@blue.example")[0] == Exit.OK
    rows = {row["name"]: row for row in listed(run("domain list --json")[1])}
    assert list(rows) == ["blue.example", "green.example", "red.example", "tan.example"]
    assert rows["red.example"] == {"name": "red.example", "same_as": "blue.example", "catchall": "", "description": "The red one",
                                   "default": False, "source": "database", "users": 0}
    assert rows["blue.example"]["users"] == 3
    assert run("domain remove red.example --dry-run")[1] == "red.example would be removed.\n"
    assert run("domain remove red.example --yes")[1] == "red.example removed\n"
    assert [domain.name for domain in AccountDatabase(Path("data/accounts.db")).domains()] == ["tan.example"]


def test_an_alias_domain_is_no_domain_with_users(run):
    AccountDatabase(Path("data/accounts.db")).put_domain(Domain("red.example", "blue.example"))
    code, _, err = run("domain add tan.example --same-as red.example")
    assert (code, "red.example has no users of its own" in err) == (Exit.DATAERR, True)


def test_the_records_that_a_domain_needs_are_ready_to_paste(run):
    rows = listed(run("domain dns blue.example --json")[1])
    assert {(row["type"], row["name"], row["value"]) for row in rows} == {
        ("MX", "blue.example", "10 mail.blue.example"),
        ("TXT", "blue.example", "v=spf1 mx -all"),
        ("TXT", "_dmarc.blue.example", "v=DMARC1; p=quarantine; rua=mailto:postmaster@blue.example"),
        ("SRV", "_imaps._tcp.blue.example", "0 1 993 mail.blue.example"),
        ("SRV", "_imap._tcp.blue.example", "0 1 143 mail.blue.example"),
        ("SRV", "_submissions._tcp.blue.example", "0 1 465 mail.blue.example"),
    }
    zone = run("domain dns blue.example --zone")[1]
    assert 'IN TXT   "v=spf1 mx -all"' in zone
    assert "IN MX    10 mail.blue.example." in zone


def test_where_we_publish_how_we_encrypt_there_are_records_for_that_too(run):
    """RFC 8461 §3.1, RFC 8460 §3, RFC 7672, RFC 8659."""
    run("cert list")
    rows = listed(run("--set mta_sts.mode=enforce --set acme.enabled=yes domain dns blue.example --json")[1])
    found = {row["name"]: (row["type"], row["value"]) for row in rows}
    assert found["mta-sts.blue.example"] == ("CNAME", "mail.blue.example")
    assert found["_smtp._tls.blue.example"] == ("TXT", "v=TLSRPTv1; rua=mailto:postmaster@blue.example")
    assert found["mail.blue.example"] == ("CAA", '0 issue "letsencrypt.org"')
    assert identifier((found["_mta-sts.blue.example"][1].encode(),))
    zone = run("--set mta_sts.mode=enforce --set acme.enabled=yes domain dns blue.example --zone")[1]
    assert 'IN CAA   0 issue "letsencrypt.org"\n' in zone
    assert "IN CNAME mail.blue.example.\n" in zone


def test_what_the_dns_does_not_say_is_told(run):
    code, out, _ = run("domain check blue.example --json")
    assert code == Exit.NOTHING
    assert {row["verdict"] for row in listed(out)} == {"WRONG"}


# ----- completion


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_gets_what_completes_our_words(run, shell):
    assert "_TWISTMAIL_COMPLETE" in run(f"completion {shell}")[1]


def test_words_are_completed():
    result = CliRunner().invoke(main, [], prog_name="twistmail", env={"COMP_WORDS": "twistmail user ena", "COMP_CWORD": "2",
                                                                      "_TWISTMAIL_COMPLETE": "bash_complete"})
    assert result.output == "plain,enable\n"


def test_without_a_server_no_names_are_offered():
    assert USER.shell_complete(main.make_context("twistmail", ["version"]), None, "a") == []

