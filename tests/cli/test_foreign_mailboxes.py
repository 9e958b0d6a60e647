"""`twistmail mailbox import|export|convert`: mail of other programs in and out, with flags and dates, and nothing twice."""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from twistmail.cli import mailbox_import
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.cli.opened import finished, flags_of, mailbox, opened
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.formats import mbox
from twistmail.formats.imported import Imported
from twistmail.formats.known import named
from twistmail.formats.locks import locked
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Column, NewMessage

AT = 1_700_000_000.0
FLAGS = [(), ("\\Seen",), ("\\Flagged", "$Work"), ("\\Seen", "\\Answered")]


def octets(n):
    return b"From: bert@blue.example\r\nSubject: Number %d\r\n\r\nFrom me.\r\n%d\r\n" % (n, n)


def written(form, path, numbers):
    with named(form).writing(Path(path)) as writer:
        for n in numbers:
            writer.add(NewMessage(Memory(octets(n)), FLAGS[n % 4], AT + n))


def expected(numbers):
    return [(octets(n), frozenset(FLAGS[n % 4]), AT + n) for n in numbers]


def read(form, path):
    with named(form).reading(Path(path)) as found:
        return [(b"".join(one.message.content.chunks()), frozenset(one.message.flags), one.message.internaldate) for one in found]


def held(folder="INBOX", account="anna@blue.example"):
    """What the account's mailbox holds: (uid, octets, flags, date)."""
    with opened(Storage(Terminal())) as store, mailbox(store, account, folder) as box:
        flags = dict(zip(box.uids, (frozenset(flags_of(bits, box.keywords)) for bits in box.bits), strict=True))
        dates = dict(finished(box.rows(list(box.uids), (Column.INTERNALDATE,))))
        return [(uid, b"".join(content.chunks()), flags[uid], dates[uid]) for uid, content in finished(box.read(list(box.uids)))]


def without_uids(messages):
    return [rest for _, *rest in messages]


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A folder with a configuration in it, which is the current one."""
    monkeypatch.chdir(tmp_path)
    Path("config.ini").write_text("[server]\nhostname = mail.blue.example\ndata_dir = data\n")


@pytest.fixture
def run(capsys):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def anna(run):
    run("user add anna@blue.example --generate")
    return "anna@blue.example"


# ----- import


@pytest.mark.parametrize("form", ["mbox", "mmdf", "mh", "maildir"])
def test_every_format_is_imported_with_flags_and_dates(run, anna, form):
    written(form, "old", range(10))
    code, out, _ = run("mailbox import anna old")
    assert (code, out.partition(" (")[0]) == (Exit.OK, "imported 10 messages")
    assert sorted(map(tuple, without_uids(held()))) == sorted(expected(range(10)))
    assert [uid for uid, *_ in held()] == list(range(1, 11))


def test_a_tree_becomes_folders_that_are_subscribed(run, anna):
    for folder, numbers in (("INBOX", [0]), ("Work/2024", [1, 2]), ("Größe", [3])):
        written("maildir", named("maildir").path_of(Path("tree"), folder), numbers)
    assert run("mailbox import anna tree")[1].startswith("imported 4 messages")
    folders = {row["name"]: row for row in map(json.loads, run("mailbox list anna --json")[1].splitlines())}
    assert {name: folders[name]["messages"] for name in ("INBOX", "Work/2024", "Größe")} == {"INBOX": 1, "Work/2024": 2, "Größe": 1}
    assert folders["Work/2024"]["subscribed"]
    assert folders["Größe"]["subscribed"]
    assert run("mailbox import anna tree --folder Old")[1].startswith("imported 4 messages")
    assert [content for _, content, _, _ in held("Old/Work/2024")] == [octets(1), octets(2)]


def test_an_import_that_is_done_again_brings_what_has_come_since(run, anna):
    written("mbox", "old", range(3))
    run("mailbox import anna old")
    written("mbox", "old", [1, 3])  # a second copy of one that was brought, and a new one
    code, out, _ = run("mailbox import anna old --json")
    assert (code, json.loads(out)["messages"], json.loads(out)["before"]) == (Exit.OK, 2, 3)
    assert [content for _, content, _, _ in held()] == [octets(n) for n in (0, 1, 2, 1, 3)]
    assert json.loads(run("mailbox import anna old --again --json")[1])["messages"] == 5


class Killed(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize("step", ["begin_batch", "after append", "end_batch"])
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_an_import_that_was_killed_goes_on_and_doubles_nothing(run, anna, monkeypatch, step, batch):
    numbers = [0, 1, 1, 2, 3, 4, 5, 5, 5, 6]
    written("mbox", "old", numbers)
    monkeypatch.setattr(mailbox_import, "MOST_MESSAGES", 3)
    countdown = batch

    def counted(really):
        def call(*arguments):
            nonlocal countdown
            countdown -= 1
            if step == "after append":
                really(*arguments)
            if not countdown:
                raise Killed
            return None if step == "after append" else really(*arguments)

        return call

    target, name = (mailbox_import, "append") if step == "after append" else (Imported, step)
    with monkeypatch.context() as patch:
        patch.setattr(target, name, counted(getattr(target, name)))
        with pytest.raises(Killed):
            run("mailbox import anna old")
    assert run("mailbox import anna old")[0] == Exit.OK
    assert without_uids(held()) == [list(one) for one in expected(numbers)]


def test_ctrl_c_and_a_full_disk_say_how_far_it_came_and_how_to_go_on(run, anna, monkeypatch):
    written("mbox", "old", range(9))
    monkeypatch.setattr(mailbox_import, "MOST_MESSAGES", 3)
    really = mailbox_import.append
    for trouble, code, told in (
        (KeyboardInterrupt(), Exit.TEMPFAIL, "stopped"),
        (OSError(28, "No space left on device"), Exit.IOERR, "make room"),
    ):
        batches = []

        def fail(box, messages, trouble=trouble, batches=batches):
            if batches:
                raise trouble
            batches.append(messages)
            really(box, messages)

        with monkeypatch.context() as patch:
            patch.setattr(mailbox_import, "append", fail)
            ended, _, err = run("mailbox import anna old --again")
        assert ended == code
        assert told in err
        assert "imported 3 messages" in err
        assert "the same command goes on" in err


def test_more_keywords_than_a_mailbox_can_have_cost_the_keyword_and_not_the_message(run, anna):
    with named("mh").writing(Path("old")) as writer:
        for n in range(40):
            writer.add(NewMessage(Memory(octets(n)), ("\\Seen", f"key{n}"), AT))
    assert run("mailbox import anna old")[1].startswith("imported 40 messages")
    flags = [told for _, _, told, _ in held()]
    assert all("\\Seen" in told for told in flags)
    assert 20 <= sum(len(told) == 2 for told in flags) <= 26


def test_what_is_skipped_is_told_with_its_place(run, anna):
    Path("old").write_bytes(b"junk\nFrom a@b Mon Nov 24 18:22:48 1986\nSubject: x\n\n\nFrom a@b Mon Nov 24 18:22:48 1986\n\n")
    code, out, err = run("mailbox import anna old --format mbox")
    assert (code, out) == (Exit.DATAERR, "imported 1 message (14 bytes) (2 skipped: 1 text before the first message, 1 empty)\n")
    assert err.splitlines()[-2:] == ["skipped: old:1: text before the first message", "skipped: old:6: empty"]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        pytest.param("mailbox import anna nowhere", Exit.NOINPUT, "nowhere is not there", id="no-such-path"),
        pytest.param("mailbox import anna config.ini", Exit.DATAERR, "neither Maildir nor MH nor mbox nor MMDF", id="no-mailbox"),
        pytest.param("mailbox import anna config.ini --format mbox", Exit.DATAERR, "does not begin as mbox files do", id="another-format"),
        pytest.param("mailbox import bert old", Exit.NOUSER, "twistmail user add, or --new", id="no-such-user"),
        pytest.param("mailbox import ../x old --new", Exit.USAGE, "cannot be an account", id="bad-name"),
        pytest.param("mailbox import anna old --folder ..", Exit.DATAERR, "cannot be a folder", id="bad-folder"),
        pytest.param("mailbox import anna old --format pst", Exit.USAGE, "is not one of", id="unknown-format"),
        pytest.param("mailbox export anna there", Exit.CANTCREAT, "nothing is ever overwritten", id="something-there"),
        pytest.param("mailbox export anna out --folder Nope", Exit.NOUSER, "twistmail mailbox list", id="no-such-folder"),
        pytest.param("mailbox convert nowhere out --to mh", Exit.NOINPUT, "nowhere is not there", id="convert-nothing"),
        pytest.param("mailbox convert old out", Exit.USAGE, "--to", id="convert-to-what"),
        pytest.param("mailbox convert old there --to mh", Exit.CANTCREAT, "nothing is ever overwritten", id="convert-over"),
    ],
)
def test_bad_input_is_told_with_what_would_be_right(run, anna, line, code, told):
    written("mbox", "old", range(2))
    written("mbox", "there", range(2))
    run("mailbox import anna old")
    ended, _, err = run(line)
    assert ended == code
    assert told in err


def test_a_mailbox_that_somebody_holds_is_told(run, anna, monkeypatch):
    written("mbox", "old", range(2))
    monkeypatch.setattr(mbox, "reading", partial(mbox.reading, timeout=0.0))
    with locked(Path("old")):
        code, _, err = run("mailbox import anna old")
    assert code == Exit.TEMPFAIL
    assert f"locked by process {os.getpid()}" in err


def test_a_dry_run_counts_and_changes_nothing(run, anna):
    written("mbox", "old", range(2))
    assert run("mailbox import anna old --dry-run")[1].startswith("would import 2 messages")
    assert run("mailbox convert old new --to mh --dry-run")[1].startswith("would convert 2 messages")
    assert sorted(os.listdir()) == ["config.ini", "data", "old"]
    assert not Path("data/mail").exists()


def test_an_import_while_another_process_has_the_store_open_gives_every_message_its_own_uid(run, anna):
    written("mbox", "one", range(60))
    written("mbox", "two", range(100, 160))
    run("mailbox import anna one --dry-run")
    root = Path(__file__).parents[2]
    program = "import sys; from twistmail.cli.main import status; sys.exit(status(sys.argv[1:]))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, "mailbox", "import", anna, name],
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=subprocess.DEVNULL,
        )
        for name in ("one", "two")
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    found = held()
    assert [uid for uid, *_ in found] == list(range(1, 121))
    assert sorted(content for _, content, _, _ in found) == sorted(octets(n) for n in (*range(60), *range(100, 160)))


# ----- export


@pytest.mark.parametrize("form", ["mbox", "mmdf", "mh", "maildir"])
def test_every_format_is_exported_with_flags_and_dates(run, anna, form):
    written("mbox", "old", range(10))
    run("mailbox import anna old")
    run("mailbox import anna old --folder Work/2024")
    code, out, _ = run(f"mailbox export anna new --format {form} --folder INBOX")
    assert (code, out.partition(" (")[0]) == (Exit.OK, "exported 10 messages")
    assert read(form, "new") == expected(range(10))
    assert run(f"mailbox export anna tree --format {form}")[0] == Exit.OK
    assert read(form, named(form).path_of(Path("tree"), "Work/2024")) == expected(range(10))
    assert not list(Path().glob("*.unfinished"))


def test_what_an_interrupted_export_has_left_is_begun_anew(run, anna):
    written("mbox", "old", range(3))
    run("mailbox import anna old")
    Path("new.unfinished").write_bytes(b"half a mess")
    assert run("mailbox export anna new --folder INBOX")[0] == Exit.OK
    assert read("mbox", "new") == expected(range(3))


# ----- convert


@pytest.mark.parametrize(("source", "target"), [("mbox", "maildir"), ("maildir", "mh"), ("mh", "mmdf"), ("mmdf", "mbox")])
def test_conversion_keeps_count_dates_and_flags(run, source, target):
    written(source, "old", range(20))
    code, out, _ = run(f"mailbox convert --from {source} --to {target} old new")
    assert (code, out.partition(" (")[0]) == (Exit.OK, "converted 20 messages")
    assert read(target, "new") == expected(range(20))


def test_a_tree_is_converted_whole(run):
    for folder, numbers in (("INBOX", [0, 1]), ("A/B", [2]), ("A", [3])):
        written("maildir", named("maildir").path_of(Path("old"), folder), numbers)
    assert run("mailbox convert old new --to mbox")[1].startswith("converted 4 messages")
    assert run("mailbox convert new again --to maildir")[1].startswith("converted 4 messages")
    for folder, numbers in (("INBOX", [0, 1]), ("A/B", [2]), ("A", [3])):
        assert read("maildir", named("maildir").path_of(Path("again"), folder)) == expected(numbers)


def test_progress_goes_to_stderr_as_json_where_that_is_asked_for(run, anna, monkeypatch):
    written("mbox", "old", range(30))
    times = iter(range(0, 10_000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(times)))
    monkeypatch.setattr("twistmail.cli.progress.progress.__defaults__", (lambda: float(next(times)),))
    code, out, err = run("mailbox convert old new --to mh --json")
    assert (code, json.loads(out)["messages"]) == (Exit.OK, 30)
    assert all("progress" in json.loads(line) for line in err.splitlines())
    assert err


def test_local_time_of_an_mbox_may_be_meant(run, monkeypatch):
    Path("old").write_bytes(b"From a@b Mon Nov 24 13:22:48 1986\nSubject: x\n\n\n")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5")
        time.tzset()
        assert run("mailbox convert old new --to mh --local-time")[0] == Exit.OK
    time.tzset()
    assert next(iter(read("mh", "new")))[2] == 533240568.0
