"""`twistmail NOUN VERB` without a server: what it prints, where, and how it ends."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from twistmail.accounts.passwords import verify
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.cli.exits import ABOUT, Exit
from twistmail.cli.mailbox import VERBS
from twistmail.cli.mailbox import group as mailboxes
from twistmail.cli.main import COMMANDS, main, status
from twistmail.facts import Accepted, Fact, ServersFound, Stored, TlsFailed, TlsStarted
from twistmail.journal import Journal
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind, Target, TlsState
from twistmail.mail.ids import identifiers
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Frozen, Outcome, Reported, Result
from twistmail.mail.status import Status
from twistmail.queue.records import event_written, written

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n[imap]\nlisten = tcp:2143:interface=127.0.0.1\n"


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str, stdin: str | None = None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


# ----- the grammar


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("queu list", Exit.USAGE, "Did you mean 'queue'?", id="misspelled-noun"),
        pytest.param("queue lst", Exit.USAGE, "No such command", id="misspelled-verb"),
        pytest.param("queue list --nope", Exit.USAGE, "No such option", id="unknown-option"),
        pytest.param("user add", Exit.USAGE, "Missing argument", id="argument-missing"),
        pytest.param("queue delete", Exit.USAGE, "--all means all of them", id="delete-never-defaults-to-all"),
        pytest.param("queue hold", Exit.USAGE, "--all means all of them", id="nor-does-hold"),
        pytest.param("queue list --age 5", Exit.USAGE, "write 5s for seconds", id="age-without-unit"),
        pytest.param("status", Exit.UNAVAILABLE, "start it: twistd -n twistmail --config config.ini", id="server-down"),
        pytest.param("alias show x@y.example", Exit.NOUSER, "there is no alias x@y.example", id="no-such-alias"),
        pytest.param("stop --yes", Exit.UNAVAILABLE, "the server does not run", id="server-down-stop"),
        pytest.param("user show ann@blue.example", Exit.NOUSER, "make it: twistmail user add ann@blue.example", id="unknown-user"),
        pytest.param("trace show 6k3fa2-9akq", Exit.NOUSER, "nothing is known of 6k3fa2-9akq", id="unknown-message"),
        pytest.param("config explain nope", Exit.USAGE, "nothing is called", id="unknown-key"),
        pytest.param("explain hello", Exit.USAGE, "write 550 5.7.1", id="no-code"),
        pytest.param("--config none.ini config check", Exit.CONFIG, "", id="no-such-file"),
        pytest.param("help nope", Exit.USAGE, "there is no help about nope", id="no-such-topic"),
        pytest.param("trace find --since 5", Exit.USAGE, "write 5s", id="since-without-unit"),
    ],
)
def test_a_command_that_cannot_be_done_says_what_to_do(run, line, code, told):
    assert run(line)[0] == code
    assert told in run(line)[2]


def test_a_bare_noun_lists_and_synonyms_are_understood(run):
    run("user add anna@blue.example --generate")
    assert run("user")[1] == run("user list")[1] == run("user ls")[1]
    assert run("user --json")[1] == run("user list --json")[1]
    assert run("user rm anna --yes")[0] == Exit.OK


def test_exit_codes_are_explained(run):
    lines = run("help exit-codes")[1].splitlines()
    assert len(lines) == len(Exit) == len(ABOUT)
    assert " 78  CONFIG       the configuration has errors" in lines


def test_help_names_every_command(run):
    code, said, _ = run("--help")
    assert code == Exit.OK
    for noun in (
        "alias",
        "config",
        "plugin",
        "queue",
        "session",
        "trace",
        "user",
        "status",
        "reload",
        "stop",
        "send",
        "explain",
        "version",
    ):
        assert f"\n  {noun} " in said
    assert run("help queue")[1].startswith("Usage: twistmail queue")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_sentence_in_the_list_of_commands_is_the_command_s_own(name):
    command = main.get_command(click.Context(main), name)
    assert command.get_short_help_str(200).rstrip(".") == COMMANDS[name][1].rstrip(".")


@pytest.mark.parametrize("verb", VERBS)
def test_the_sentence_in_the_list_of_mailbox_verbs_is_the_command_s_own(verb):
    command = mailboxes.get_command(click.Context(mailboxes), verb)
    assert VERBS[verb][1].startswith(command.get_short_help_str(200).rstrip("."))


def test_help_needs_no_twisted(house):
    program = (
        "import sys; from twistmail.cli.main import status\n"
        "status(['mailbox', '--help']); sys.exit('twisted.internet' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, check=True, timeout=30)


# ----- config


def test_check_tells_all_problems_as_editors_read_them(run):
    Path("config.ini").write_text(CONFIG + "idle_timout = 5m\n[mx]\nlisten = tls:25\n")
    code, out, err = run("config check")
    assert code == Exit.CONFIG
    assert out.splitlines() == [
        'config.ini:6:1: error: unknown key "idle_timout" in [imap]',
        '    did you mean "idle_timeout"?',
        'config.ini:8:10: error: listen = tls:25: Twisted reads "25" as a certificate directory, port 443',
        '    did you mean "tls:port=25"?',
    ]
    assert err == "config.ini: 2 errors\n"


def test_warnings_are_no_errors_unless_one_is_strict(run):
    Path("config.ini").write_text(CONFIG + "idle_timeout = 40m\nidle_timeout = 50m\n")
    assert run("config check")[0] == Exit.OK
    assert run("config check --strict")[0] == Exit.CONFIG


def test_problems_come_as_json_too(run):
    Path("config.ini").write_text(CONFIG + "idle_timout = 5m\n")
    problem = json.loads(run("config check --json")[1])
    assert (problem["file"], problem["line"], problem["column"], problem["level"]) == ("config.ini", 6, 1, "error")


def test_show_tells_what_holds_and_where_it_comes_from(run):
    code, out, _ = run("--set imap.idle_timeout=45m config show imap --origin --json")
    shown = {entry["key"]: (entry["value"], entry["origin"]) for entry in map(json.loads, out.splitlines())}
    assert code == Exit.OK
    assert shown["idle_timeout"] == ("45m", "--set imap.idle_timeout")
    assert shown["listen"][1] == "config.ini:5"
    assert shown["login_timeout"][1] == "default"


def test_show_changed_is_a_configuration_again(run, house):
    (house / "again.ini").write_text(run("config show --changed")[1])
    assert run("--config again.ini config show --changed")[1] == (house / "again.ini").read_text()


def test_example_is_a_configuration_without_problems(run, house):
    (house / "example.ini").write_text(run("config example")[1])
    code, out, _ = run("--config example.ini config check")
    assert (code, out) == (Exit.OK, "")


# ----- user


def test_a_password_comes_from_stdin_or_is_made_up_but_never_from_the_command_line(run):
    assert run("user add anna@blue.example --password-stdin", "a long password\n")[0] == Exit.OK
    assert run("user add bert@blue.example --password-stdin", "short\n")[0] == Exit.DATAERR
    assert run("user add carl@blue.example", "")[0] == Exit.USAGE
    assert run("user add carl@blue.example a-password-here")[0] == Exit.USAGE
    made = json.loads(run("user add dora@blue.example --generate --json")[1])["password"]
    database = AccountDatabase(Path("data/accounts.db"))
    assert verify(database.entry("anna@blue.example").secret, "a long password")
    assert verify(database.entry("dora@blue.example").secret, made)
    assert {account.name for account in database.list()} == {"anna@blue.example", "dora@blue.example"}


def test_a_new_password_replaces_the_old_one(run):
    run("user add anna@blue.example --generate")
    assert run("user password anna --password-stdin", "another password\n")[0] == Exit.OK
    assert verify(AccountDatabase(Path("data/accounts.db")).entry("anna@blue.example").secret, "another password")


def test_a_missing_domain_is_completed_where_there_is_one_only_and_said_so(run):
    run("user add anna@blue.example --generate")
    code, out, err = run("user show anna")
    assert (code, "anna@blue.example" in out, err) == (Exit.OK, True, "meaning anna@blue.example\n")
    run("user add bert@green.example --generate")
    assert run("user show anna")[0] == Exit.USAGE


def test_a_similar_name_is_offered(run):
    run("user add anna@blue.example --generate")
    code, _, err = run("user show anna@bleu.example")
    assert code == Exit.NOUSER
    assert "did you mean anna@blue.example?" in err


def test_a_user_is_disabled_enabled_and_removed(run):
    run("user add anna@blue.example --generate --quota 2G")
    run("user disable anna")
    assert json.loads(run("user show anna --json")[1]) == {
        "name": "anna@blue.example",
        "display_name": "",
        "enabled": False,
        "quota": 2 * 1024**3,
        "source": "database",
        "addresses": [],
        "app_passwords": [],
        "settings": {},
        "last_login": None,
    }
    run("user enable anna")
    assert json.loads(run("user show anna --json")[1])["enabled"] is True
    assert run("user remove anna --dry-run")[1] == "anna@blue.example would be removed; the mail would stay\n"
    assert run("user remove anna", "")[0] == Exit.USAGE
    assert run("user remove anna --yes")[0] == Exit.OK
    assert run("user list --json")[1] == ""


# ----- queue and trace, from the files


@pytest.fixture
def waiting(house):
    """Two messages in the spool of a server that does not run."""
    spool = house / "data" / "queue" / "ready"
    spool.mkdir(parents=True)
    for identifier, sender, recipient in (
        ("6k3fa2-aaaa", "alice@blue.example", "info@green.example"),
        ("6k3fa3-bbbb", None, "x@red.example"),
    ):
        target = Target(Kind.REMOTE, parse(recipient), parse(recipient))
        item = Item(
            identifier,
            parse(sender) if sender else None,
            (Errand(target),),
            arrived=1_795_000_000.0,
            size=412,
            due=1_795_000_100.0,
            attempts=2,
        )
        event = Outcome(target, Result.DEFERRED, Status(451, "4.3.2", "try \x1b[31mlater"), "mx.green.example")
        (spool / f"{identifier}.envelope").write_bytes(written(item) + event_written(event))
    return spool


def test_the_queue_of_a_stopped_server_is_read_from_its_files_and_said_so(run, waiting):
    code, out, _ = run("queue list --json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == Exit.OK
    assert [(row["id"], row["from"], row["attempts"], row["arrived"]) for row in rows] == [
        ("6k3fa2-aaaa", "alice@blue.example", 2, "2026-11-18T11:06:40Z"),
        ("6k3fa3-bbbb", "<>", 2, "2026-11-18T11:06:40Z"),
    ]
    assert (rows[0]["to"][0]["state"], rows[0]["to"][0]["code"], rows[0]["to"][0]["enhanced"]) == ("deferred", "451", "4.3.2")
    assert run("queue list")[2].startswith("--offline")


def test_what_strangers_say_cannot_speak_to_the_terminal(run, waiting):
    out = run("queue list")[1]
    assert "451 4.3.2 try ?[31mlater (mx.green.example)" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ("", {"6k3fa2-aaaa", "6k3fa3-bbbb"}),
        ("6k3fa2", {"6k3fa2-aaaa"}),
        ("--from alice", {"6k3fa2-aaaa"}),
        ("--to x@", {"6k3fa3-bbbb"}),
        ("--domain green.example", {"6k3fa2-aaaa"}),
        ("--domain reen.example", set()),
        ("--age 3000d", set()),
        ("--from alice --domain red.example", set()),
    ],
)
def test_a_filter_picks_what_fits_all_of_it(run, waiting, filters, ids):
    assert {json.loads(line)["id"] for line in run(f"queue list {filters} --json")[1].splitlines()} == ids


def test_one_message_is_shown_by_a_unique_beginning(run, waiting):
    code, out, _ = run("queue show 6k3fa2")
    assert code == Exit.OK
    assert "info@green.example: deferred  451 4.3.2" in out
    assert run("queue show 6k3")[0] == Exit.USAGE
    assert run("queue show zz")[0] == Exit.NOUSER


def test_a_damaged_envelope_is_told_and_the_others_are_listed(run, waiting):
    (waiting / "6k3fa4-cccc.envelope").write_bytes(b"nonsense\n")
    code, out, err = run("queue list --json")
    assert (code, len(out.splitlines())) == (Exit.OK, 2)
    assert "6k3fa4-cccc.envelope" in err


@pytest.fixture
def story(house):
    """A journal in which one message was accepted and deferred; its id."""
    journal = Journal(house / "data" / "journal", 1e9)
    target = Target(Kind.REMOTE, parse("bert@green.example"), parse("bert@green.example"))
    now = time.time()
    identifier = next(identifiers(time.time, 5))
    accepted = Accepted(
        "6k3fa1-conn", "submission", parse("anna@blue.example"), (parse("bert@green.example"),), 412, "anna@blue.example", "<1@x>", "Lunch?"
    )
    journal.note(Fact(now, identifier, accepted))
    journal.note(Fact(now + 1, identifier, Outcome(target, Result.DEFERRED, Status(451, "4.3.2", "later"), "mx.green.example")))
    journal.write()
    return identifier


def test_the_story_of_a_message_is_told_in_sentences(run, story):
    code, out, err = run(f"trace show {story[:9]}")
    assert code == Exit.OK
    assert 'accepted    submission by anna@blue.example: from anna@blue.example to bert@green.example, "Lunch?" 412 bytes' in out
    assert "deferred    bert@green.example: 451 4.3.2 later (by mx.green.example)" in out
    assert "twistmail trace show 6k3fa1-conn" in err


def test_all_hops_of_a_message_id_are_told_and_those_that_another_server_knows(run, house, story):
    folder = house / "green"
    journal, now = Journal(folder / "journal", 1e9), time.time()
    sender, bert = parse("anna@blue.example"), parse("bert@green.example")
    journal.note(Fact(now + 9, "6k3fa3-0001", Accepted("c", "mx", sender, (bert,), 500, "", "<1@x>", "Lunch?")))
    journal.note(Fact(now + 9, "6k3fa3-0001", Stored("bert@green.example", "INBOX", 3, "new/3")))
    journal.write()
    code, out, _ = run("trace show <1@x>")
    assert (code, out.count("\n")) == (Exit.OK, 4)
    assert 'Message <1@x>  "Lunch?"' in out
    way = [json.loads(line) for line in run(f"trace show 1@x --also {folder} --json")[1].splitlines()]
    assert [(hop["hop"], hop["server"]) for hop in way] == [
        ("MUA -> MSA", "mail.blue.example"), ("MTA -> MTA", "mail.blue.example"), ("MTA -> MTA", "green"), ("MDA -> store", "green")]
    (house / "green.ini").write_text("[server]\nhostname = mail.green.example\ndata_dir = green\n")
    way = [json.loads(line) for line in run(f"trace show 1@x --also {house / 'green.ini'} --json")[1].splitlines()]
    assert {hop["server"] for hop in way} == {"mail.blue.example", "mail.green.example"}


@pytest.mark.parametrize(("words", "code", "said"), [
    pytest.param("trace show <2@x>", Exit.NOUSER, "nothing is known of <2@x>", id="unknown"),
    pytest.param("trace show <1@x> --also nowhere", Exit.NOINPUT, "nowhere is neither", id="no-such-folder"),
    pytest.param("trace show <1@x> --since 5", Exit.USAGE, "write 5s", id="since-without-unit"),
    pytest.param("trace show 6k3fa2-9akq --also data", Exit.USAGE, "--also goes with a Message-ID", id="an-id-of-one-server"),
])  # fmt: skip
def test_a_message_id_that_cannot_be_followed(run, story, words, code, said):
    ended, _, err = run(words)
    assert (ended, said in err) == (code, True)


@pytest.mark.parametrize(("what", "sentence"), [
    pytest.param(
        TlsStarted(TlsState("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)), "TLS         TLSv1.3, TLS_AES_256_GCM_SHA384, 256 bits", id="tls"
    ),
    pytest.param(
        TlsStarted(TlsState("TLSv1.2", "X", 128, "mx.blue.example", "anna@blue.example")),
        "TLS         TLSv1.2, X, 128 bits; asked for mx.blue.example; certificate of anna@blue.example",
        id="by-certificate",
    ),
    pytest.param(
        TlsStarted(TlsState("TLSv1.2", "X", 128, client_fault="it has expired")),
        "TLS         TLSv1.2, X, 128 bits; its certificate is not believed: it has expired",
        id="whose-certificate-is-not-believed",
    ),
    pytest.param(TlsFailed("no shared cipher"), "TLS         failed: no shared cipher", id="no-tls"),
    pytest.param(Reported("r1", (parse("bert@green.example"),)), "reported    r1 tells of bert@green.example", id="reported"),
    pytest.param(Reported("r1", (parse("bert@green.example"),), success=True), "reported    r1 tells of success for bert@green.example",
                 id="success"),
    pytest.param(Reported("", (parse("bert@green.example"),), why="its sender is forged"),
                 "reported    nobody is told of bert@green.example: its sender is forged", id="nobody-is-told"),
    pytest.param(Frozen("it has no sender"), "frozen      it has no sender", id="frozen"),
    pytest.param(ServersFound("far.test", True, ("mx.far.test [192.0.2.1]",), 0.1), "MX          far.test: mx.far.test [192.0.2.1]",
                 id="mx"),
    pytest.param(ServersFound("hub.test", False, (), 0.1, Status(451, "4.4.3", "Silent")), "servers     hub.test: 451 4.4.3 Silent",
                 id="no-hub"),
    pytest.param(Stored("anna@blue.example", "INBOX", 7, "new/1"), "stored      INBOX of anna@blue.example, UID 7, new/1", id="stored"),
])  # fmt: skip
def test_what_else_happened_is_told_in_sentences(run, house, what, sentence):
    journal = Journal(house / "data" / "journal", 1e9)
    journal.note(Fact(time.time(), identifier := next(identifiers(time.time, 5)), what))
    journal.write()
    assert run(f"trace show {identifier}")[1].split("\n")[1].partition("  ")[2] == sentence


def test_messages_are_found_by_what_is_known_of_them(run, story):
    assert json.loads(run("trace find --subject lunch --json")[1])["id"] == story
    assert run("trace find --to bert@green.example")[0] == Exit.OK
    assert run("trace find --to nobody@green.example")[0] == Exit.NOTHING
    assert run("trace find --refused")[0] == Exit.NOTHING


# ----- others


@pytest.mark.parametrize(
    ("code", "means"),
    [
        ("550 5.7.1", "relaying denied"),
        ("5.2.2", "mailbox is full"),
        ("454 4.7.0 whatever it says", "table of users"),
        ("599", "trying again does not help"),
        ("4.1.9", "an address"),
        ("421", "Too many connections"),
        ("550 5.7.515 Access denied", "really comes from your domain"),
        ("421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", "on a list of those it refuses"),
        ("554 delivery error: This user doesn't have a yahoo.com account", "has no mailbox of that name"),
    ],
)
def test_an_answer_is_explained(run, code, means):
    result, out, _ = run(f"explain {code}")
    assert result == Exit.OK
    assert means in out


def test_version_tells_what_runs(run):
    assert run("version")[1].startswith("twistmail ")


def test_the_package_is_the_command_where_that_is_not_on_the_path():
    said = subprocess.run([sys.executable, "-m", "twistmail", "version"], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.startswith("twistmail ")


def test_sending_to_a_closed_port_is_no_bug(run):
    code, _, err = run("send --to anna@blue.example --server 127.0.0.1:1")
    assert code == Exit.UNAVAILABLE
    assert "is the server started" in err
