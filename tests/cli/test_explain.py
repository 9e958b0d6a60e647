"""`twistmail explain --from A --to B` by the configuration alone: what is printed, what decides, how it ends, and that nothing is made."""

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from twistmail.cli.exits import Exit
from twistmail.cli.main import status

CONFIG = """\
[server]
hostname = mail.blue.example
data_dir = data
[domains]
local = blue.example
[users]
source = config
[user:anna@blue.example]
password = a long password
[user:bob@blue.example]
password = a long password
quota = 2000
[alias:list@blue.example]
to = anna bob far@away.example
[dns]
use = none
[mx]
listen = tcp:2525:interface=127.0.0.1
max_message = 10000
[submission]
listen = tcp:2587:interface=127.0.0.1
rate = 1/1h
[access]
file = access
[checks]
file = checks
[relay]
smarthost = [192.0.2.9]
"""
ACCESS = "Connect:192.0.2.66 REJECT\nFrom:odd@ QUARANTINE:odd people\nFrom:junk@ DISCARD\n"
CHECKS = "# ours\nheader Subject /worm/i reject We take no worms\n"
LETTER = "From: eve@away.example\nSubject: hello\n\n.hello\n"


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    Path("data").mkdir()
    Path("data/access").write_text(ACCESS)
    Path("data/checks").write_text(CHECKS)
    Path("letter").write_text(LETTER)
    Path("worm").write_text("Subject: a WORM\n\nx\n")
    Path("long").write_bytes(b"Subject: long\n\n" + b"x" * 70 * 1000)
    Path("much").write_bytes(b"Subject: much\n\n" + b"x" * 3000)
    Path("odd").write_bytes(b"\x00\xff\r\n\x00" * 100)
    return tmp_path


@pytest.fixture
def explain(capsys):
    """A function that asks: (exit code, stdout, stderr)."""

    def explain(*words: str):
        code = status(["explain", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return explain


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param("--from eve@a.example --to anna letter", 0, "accepted", id="ours"),
        pytest.param("--from eve@a.example --to anna", 0, "accepted; the message itself may change that", id="no-message"),
        pytest.param("--from <> --to LIST@blue.example letter", 0, "accepted", id="a-list-from-nobody"),
        pytest.param("--from eve@a.example --to nobody letter", 1, "refused by recipients: 550 5.1.1 There is no mailbox", id="nobody"),
        pytest.param("--from eve@a.example --to x@b.example letter", 1, "refused by relaying: 550 5.7.1 Not a local", id="a-relay"),
        pytest.param("--from eve@a.example --to anna --ip 192.0.2.66", 1, "refused by access ({}/data/access:1): 550 5.7.1", id="access"),
        pytest.param("--from odd@a.example --to anna letter", 0, "held by access ({}/data/access:2 (odd people))", id="held"),
        pytest.param("--from junk@a.example --to anna letter", 0, "thrown away by access ({}/data/access:3)", id="thrown-away"),
        pytest.param("--from eve@a.example --to anna worm", 1, "refused by checks ({}/data/checks:2): 550 5.7.1 We take no", id="checks"),
        pytest.param("--from eve@a.example --to anna long", 1, "refused: 552 5.3.4 The message is too big", id="too-big"),
        pytest.param("--from eve@a.example --to bob much", 1, "refused: 452 4.2.2", id="more-than-a-mailbox-may-hold"),
        pytest.param("--from eve@a.example --to list much", 0, "accepted", id="more-than-one-of-several-may-hold"),
        pytest.param("--from eve@a.example --to anna odd", 0, "accepted", id="odd-octets"),
        pytest.param("--from anna --to x@b.example --service submission", 1, "refused: 530 5.7.0 Log in first", id="no-login"),
        pytest.param("--from anna --to x@b.example --login anna letter", 0, "accepted", id="a-user"),
        pytest.param("--from bob --to x@b.example --login anna letter", 1, "refused by senders (own_addresses_only): 550", id="as-another"),
    ],
)
def test_what_would_become_of_it_and_by_which_rule(explain, house, words, code, sentence):
    ended, said, _ = explain(*words.split())
    assert [line for line in said.splitlines() if line.startswith(sentence.format(house))], said
    assert ended == code


ORDER = (
    "what mx would hear and say",
    "  RCPT TO:<list@blue.example>",
    "  (the message)",
    "POINT",
    "recipient  relaying",
    "message    loops",
    "list@blue.example",
    "message: 46 bytes of 10 kB",
    "recipients: 3 of 1000",
    "accepted",
    "anna@blue.example (for list@blue.example)",
    "  goes      to the mailbox of anna@blue.example, INBOX, at once",
    "far@away.example (for list@blue.example)",
    "  goes      by smtp to [192.0.2.9]",
)


def test_the_whole_story_is_told_in_order(explain):
    _, said, hint = explain("--from", "eve@away.example", "--to", "list", "letter")
    lines, places = said.splitlines(), []
    for start in ORDER:
        places += [number for number, line in enumerate(lines) if line.startswith(start) and number >= max(places, default=0)][:1]
    assert len(places) == len(ORDER), said
    assert "the server does not run" in hint


@pytest.mark.parametrize(
    ("to", "lines"),
    [
        pytest.param("box", ["goes      to the file {0}/mail/box"], id="a-file"),
        pytest.param("link", ["waits     451 4.3.5 Mail for that address goes into a file that it cannot go into",
                              "{0}/mail/link: is a symbolic link"], id="a-symbolic-link"),
        pytest.param("far", ["451 4.3.5", "does not lie below {0}/mail"], id="a-file-elsewhere"),
        pytest.param("ticket", ["goes      to the program ticket --new", "waits     451 4.3.5 Mail for that address goes to a program"],
                     id="a-program-without-a-folder"),
        pytest.param("none", ["goes      nowhere: it is thrown away"], id="nowhere"),
        pytest.param("black", ["goes      nowhere: it is thrown away"], id="a-black-hole"),
    ],
)  # fmt: skip
def test_files_and_programs_are_told_with_what_stands_against_them(explain, house, to, lines):
    text = CONFIG + "[aliases]\nsource = config file:aliases\nfiles = yes\nprograms = yes\n[delivery]\nfile_dirs = {0}/mail\n"
    Path("config.ini").write_text(text.format(house))
    table = "box: {0}/mail/box\nlink: {0}/mail/link\nfar: /etc/passwd\nticket: |ticket --new\nnone: /dev/null\nblack: :blackhole:\n"
    Path("data/aliases").write_text(table.format(house))
    Path("mail").mkdir(mode=0o700)
    Path("mail/link").symlink_to("/etc/passwd")
    code, said, _ = explain("--from", "eve@a.example", "--to", to, "letter")
    for line in lines:
        assert line.format(house) in said
    assert code == 0
    assert os.listdir("mail") == ["link"]


def test_programs_get_all_of_it(explain):
    code, said, hint = explain("--from", "eve@a.example", "--to", "list", "letter", "--json")
    answer = json.loads(said)
    assert (code, hint) == (0, "")
    assert (answer["result"], answer["running"], answer["service"], answer["message"]) == ("accepted", False, "mx", 46)
    assert [(one["kind"], one["address"]) for one in answer["deliveries"]] == [
        ("mailbox", "anna@blue.example"), ("mailbox", "bob@blue.example"), ("remote", "far@away.example")]  # fmt: skip
    assert answer["deliveries"][2]["way"]["hosts"][0]["address"] == "192.0.2.9"


def test_stages_that_nobody_came_to_are_told_too(explain):
    rows = json.loads(explain("--from", "eve@a.example", "--to", "anna", "--ip", "192.0.2.66", "letter", "--json")[1])["policy"]
    verdicts = {(row["point"], row["stage"]): row["verdict"] for row in rows}
    assert verdicts["sender", "access"].startswith("550 5.7.1")
    assert verdicts["recipient", "relaying"] == verdicts["message", "checks"] == "not asked any more"
    assert [row["stage"] for row in rows if row["decides"]] == ["access"]


def test_the_message_may_come_from_standard_input(explain, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"Subject: worm\n\nx\n")))
    assert "We take no worms" in explain("--from", "eve@a.example", "--to", "anna", "-")[1]


def test_an_answer_is_still_explained(explain):
    assert "  means    " in explain("550", "5.1.1")[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param("", Exit.USAGE, "explain what?", id="nothing"),
        pytest.param("--from eve@a.example", Exit.USAGE, "one --from, one --to", id="no-recipient"),
        pytest.param("--to anna", Exit.USAGE, "one --from, one --to", id="no-sender"),
        pytest.param("--from eve@a.example --to anna letter worm", Exit.USAGE, "at most one file", id="two-messages"),
        pytest.param("--from eve@a.example --to @ letter", Exit.USAGE, "the recipient: ", id="no-address"),
        pytest.param("--from e\x01e@a.example --to anna", Exit.USAGE, "the sender: ", id="a-control-character"),
        pytest.param("--from eve@a.example --to anna --ip 192.0.2", Exit.USAGE, "'192.0.2' is no IP address", id="no-ip"),
        pytest.param("--from eve@a.example --to anna --login zoe", Exit.NOUSER, "there is no account zoe", id="a-strange-account"),
        pytest.param("--from eve@a.example --to anna nowhere", Exit.NOINPUT, "there is no file nowhere", id="no-file"),
        pytest.param("--from eve@a.example --to anna data", Exit.NOINPUT, "data is a folder", id="a-folder"),
        pytest.param("hello", Exit.USAGE, "hello is no answer of a mail server", id="no-answer"),
    ],
)
def test_what_cannot_be_asked(explain, words, code, told):
    ended, _, said = explain(*words.split(" ") if words else ())
    assert told in said
    assert ended == code


@pytest.mark.parametrize(
    ("hello", "code", "said"),
    [
        pytest.param("a b", Exit.NOTHING, "501 5.5.4", id="two-words"),
        pytest.param("x\r\nRSET", Exit.USAGE, "on one line", id="two-lines"),
        pytest.param("x" * 3000, Exit.NOTHING, "500 5.5.2", id="a-long-one"),
    ],
)
def test_whatever_the_client_calls_itself_is_one_line_of_the_conversation(explain, hello, code, said):
    ended, told, trouble = explain("--from", "eve@a.example", "--to", "anna", "--hello", hello)
    assert said in told + trouble
    assert ended == code


def test_nothing_is_made_and_nothing_is_changed(explain, house):
    def look():
        return {str(path): path.stat().st_mtime_ns for path in house.rglob("*")}

    before = look()
    explain("--from", "eve@a.example", "--to", "list", "letter")
    explain("--from", "anna", "--to", "list", "--login", "anna", "letter")
    assert look() == before
