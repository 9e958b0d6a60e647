"""`twistmail msg`: one message among many is found, taken apart and moved aside, and the others do not notice (R69)."""

import binascii
import json
import os
import random
from email.message import EmailMessage
from pathlib import Path

import pytest

from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.cli.opened import finished, mailbox, opened
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage

PHOTO = random.Random(69).randbytes(60_000)


def uuencoded(octets, name):
    lines = b"".join(binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45))
    return b"begin 644 %b\n%b \nend\n" % (name.encode(), lines)


def attached(*files):
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "Carl <carl@blue.example>", "Two files"
    mail.set_content("here they are")
    for name, octets in files:
        mail.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


LETTERS = [
    b"From: bert@blue.example\nTo: anna@blue.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nhello\n",
    b"From: bert@blue.example\nSubject: A photo\n\nlook:\n" + uuencoded(PHOTO, "/home/bert/photo.jpg") + b"Bye\n",
    attached(("report.pdf", PHOTO[:5000]), ("../../.ssh/authorized_keys", b"ssh-rsa")),
    b"From: \x1b[31mmallory@red.example\nSubject: last\n\nx\n",
]


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """An account with four letters: plain, a uuencoded file, two attachments, one that speaks to terminals."""
    monkeypatch.chdir(tmp_path)
    Path("config.ini").write_text("[server]\nhostname = mail.blue.example\ndata_dir = data\n")
    Path("data").mkdir()
    with opened(Storage(Terminal())) as store:
        boxes = finished(store.mailboxes("anna@blue.example"))
        box = finished(boxes.open("INBOX"))
        letters = [Memory(octets.replace(b"\n", b"\r\n")) for octets in LETTERS]
        finished(box.append([NewMessage(one, ("\\Seen",), 1_700_000_000.0 + n) for n, one in enumerate(letters)]))
        box.close()


@pytest.fixture
def run(capsysbinary):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capsysbinary.readouterr()
        return code, said.out.decode(), said.err.decode()

    return run


def uids(folder="INBOX"):
    with opened(Storage(Terminal())) as store, mailbox(store, "anna@blue.example", folder) as box:
        return box.uidvalidity, list(box.uids)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param("", [1, 2, 3, 4], id="all"),
        pytest.param("--larger 50k", [2], id="larger"),
        pytest.param("--smaller 1k", [1, 4], id="smaller"),
        pytest.param("--larger 1k --smaller 50k", [3], id="between"),
        pytest.param("--from BERT", [1, 2], id="from"),
        pytest.param("--subject grüße", [1], id="subject-decoded"),
        pytest.param("--to anna --from bert", [1], id="all-of-them"),
        pytest.param("--since 1d", [], id="since"),
        pytest.param("--from nobody", [], id="none"),
    ],
)
def test_messages_are_listed_by_what_they_are(run, filters, expected):
    code, out, _ = run(f"msg list anna --json {filters}")
    assert code == (Exit.OK if expected else Exit.NOTHING)
    assert [json.loads(line)["uid"] for line in out.splitlines()] == expected


def test_a_row_tells_what_is_in_the_envelope(run):
    row = json.loads(run("msg list anna --json --subject photo")[1])
    assert (row["date"], row["flags"], row["from"]) == ("2023-11-14T22:13:21Z", ["\\Seen"], "bert@blue.example")
    assert row["size"] == len(LETTERS[1].replace(b"\n", b"\r\n"))
    assert "\x1b" not in run("msg list anna")[1]


def test_a_uuencoded_file_comes_out_to_the_octet_and_the_mailbox_stays_as_it_is(run):
    before = uids()
    Path("out").mkdir()
    code, out, _ = run("msg extract anna 2 --decode uu --dir out")
    assert (code, out) == (Exit.OK, "out/photo.jpg  60 kB\n")
    assert Path("out/photo.jpg").read_bytes() == PHOTO
    assert uids() == before


def test_attachments_come_out_and_lead_nowhere(run):
    Path("out").mkdir()
    assert run("msg extract anna 3 --to out")[0] == Exit.OK
    assert sorted(os.listdir("out")) == ["authorized_keys", "report.pdf"]
    assert Path("out/report.pdf").read_bytes() == PHOTO[:5000]


def test_nothing_is_overwritten_nor_written_through_a_link(run):
    Path("report.pdf").write_bytes(b"mine")
    Path("victim").write_bytes(b"mine")
    Path("report-2.pdf").symlink_to("victim")
    assert run("msg extract anna 3")[0] == Exit.OK
    assert Path("report.pdf").read_bytes() == Path("victim").read_bytes() == b"mine"
    assert Path("report-3.pdf").read_bytes() == PHOTO[:5000]


def test_a_file_without_its_end_is_written_and_told(run):
    torn = b"Subject: x\r\n\r\nbegin 644 a\r\n#86)C\r\n"
    with opened(Storage(Terminal())) as store, mailbox(store, "anna@blue.example", "INBOX") as box:
        finished(box.append([NewMessage(Memory(torn))]))
    code, out, _ = run("msg extract anna 5")
    assert (code, out) == (Exit.DATAERR, "a  3 bytes  (its end is missing)\n")
    assert Path("a").read_bytes() == b"abc"


def test_one_is_moved_aside_and_all_others_keep_their_uids(run):
    validity, _ = uids()
    code, out, _ = run("msg hold anna 2 4")
    assert (code, out) == (Exit.OK, "2 messages moved to Held as UID 1 2\n")
    assert uids() == (validity, [1, 3])
    assert uids("Held")[1] == [1, 2]
    assert run("msg hold anna 3")[1] == "1 message moved to Held as UID 3\n"
    assert run("msg show anna 1 --folder Held --raw")[1].encode() == LETTERS[1].replace(b"\n", b"\r\n")


def test_a_message_is_shown_with_its_parts(run):
    shown = json.loads(run("msg show anna 3 --json")[1])
    assert (shown["subject"], [part["name"] for part in shown["parts"]]) == ("Two files", ["", "report.pdf", "../../.ssh/authorized_keys"])
    assert "part        application/octet-stream, 6.8 kB, base64, report.pdf" in run("msg show anna 3")[1]
    assert run("msg show anna 1 --raw")[1].encode() == LETTERS[0].replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("msg show anna 9", Exit.NOUSER, "has no UID 9", id="no-such-uid"),
        pytest.param("msg hold anna 1 9", Exit.NOUSER, "has no UID 9", id="hold-no-such-uid"),
        pytest.param("msg show anna x", Exit.USAGE, "not a valid integer", id="no-number"),
        pytest.param("msg list anna --larger 5q", Exit.USAGE, "5q", id="no-size"),
        pytest.param("msg list bert", Exit.NOUSER, "bert has no mail here", id="no-such-account"),
        pytest.param("msg list anna --folder Nope", Exit.NOUSER, "twistmail mailbox list anna@blue.example", id="no-such-folder"),
        pytest.param("msg extract anna 2 --dir nowhere", Exit.NOINPUT, "mkdir nowhere", id="no-such-directory"),
        pytest.param("msg extract anna 1", Exit.NOTHING, "has no files", id="nothing-to-extract"),
        pytest.param("msg extract anna 2 --decode base64", Exit.NOTHING, "try --decode auto", id="another-encoding"),
        pytest.param("msg hold anna 1 --into ..", Exit.USAGE, "not a name for a mailbox", id="bad-folder"),
    ],
)
def test_bad_input_is_told_with_what_would_be_right(run, line, code, told):
    before = uids()
    ended, _, err = run(line)
    assert ended == code
    assert told in err
    assert uids() == before


def test_a_dry_run_writes_and_moves_nothing(run):
    before = uids(), sorted(os.listdir())
    assert run("msg extract anna 2 --dry-run")[1] == "photo.jpg  60 kB\n"
    assert run("msg hold anna 2 --dry-run")[1] == "1 message would go from INBOX to Held\n"
    assert (uids(), sorted(os.listdir())) == before
