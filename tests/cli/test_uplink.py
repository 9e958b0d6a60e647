"""`twistmail offline`, `online` and `places`: with a server that says what it is told to, and without one."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from twistmail import tenancy
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.queue.absence import FILE, read

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n"


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(capsys):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def serving(house):
    """A function that lets a server answer so; the requests that it has heard."""
    doors = []

    def serve(*answers):
        (house / "data" / "run").mkdir(parents=True, mode=0o700)
        door = socket.socket(socket.AF_UNIX)
        door.bind("data/run/control.sock")
        door.listen()
        doors.append(door)
        heard = []

        def answer():
            for one in answers:
                connection, _ = door.accept()
                with connection, connection.makefile("rwb") as lines:
                    heard.append(json.loads(lines.readline()))
                    lines.write(json.dumps({"ok": True, "result": one}).encode() + b"\n")

        threading.Thread(target=answer, daemon=True).start()
        return heard

    yield serve
    for door in doors:
        door.close()


SAID = {"offline": True, "since": "2026-11-21T14:02:11Z", "since_s": 0, "changed": True, "waiting": 3}


def test_the_server_is_told_and_says_what_is_new(run, serving):
    heard = serving(SAID, SAID | {"changed": False, "since_s": 7200}, SAID | {"offline": False})
    assert run("offline") == (0, "mail for others stays here from now on\n", "twistmail online   lets it go\n")
    assert run("offline")[1] == "it does so already, for 2h\n"
    assert run("online")[1] == "mail goes out again; 3 messages in the queue\n"
    assert [one["verb"] for one in heard] == ["uplink.down", "uplink.down", "uplink.up"]


def test_programs_get_an_object(run, serving):
    serving(SAID)
    code, out, err = run("offline --json")
    assert (code, json.loads(out), err) == (0, SAID, "")


def test_a_server_that_does_not_run_finds_it_when_it_starts(run, house):
    (house / "data").mkdir()
    code, out, err = run("offline")
    assert (code, out.splitlines()[-1]) == (0, "mail for others stays here from now on")
    assert "the server does not run" in err
    assert read(house / "data" / FILE).since is not None
    assert run("online")[1].splitlines()[-1] == "mail goes out again"
    absence = read(house / "data" / FILE)
    assert (absence.since, len(absence.spans)) == (None, 1)
    assert run("online")[1].splitlines()[-1] == "it does so already"


def test_a_file_that_makes_no_sense_is_written_anew(run, house):
    (house / "data").mkdir()
    (house / "data" / FILE).write_text("{")
    code, _, err = run("offline")
    assert (code, "makes no sense; it is written anew" in err) == (0, True)
    assert read(house / "data" / FILE).since is not None
    (house / "data" / FILE).write_text("{")
    assert "it does so already" in run("online")[1]
    assert read(house / "data" / FILE).since is None


@pytest.mark.parametrize(("line", "code", "told"), [
    pytest.param("offline", Exit.NOINPUT, "see [server] data_dir", id="no-data-folder"),
    pytest.param("offlin", Exit.USAGE, "Did you mean 'offline'", id="misspelled"),
    pytest.param("offline far.test", Exit.USAGE, "unexpected extra argument", id="it-is-for-all"),
    pytest.param("places", Exit.UNAVAILABLE, "start it: twistd -n twistmail", id="places-without-a-server"),
    pytest.param("places --all", Exit.USAGE, "No such option", id="unknown-option"),
])
def test_what_is_wrong_is_told(run, line, code, told):
    got, _, err = run(line)
    assert (got, told in err) == (code, True), err


def test_a_server_that_does_not_answer_keeps_its_folder(run, house):
    (house / "data").mkdir(mode=0o700)
    home = tenancy.occupy(house / "data")
    try:
        code, _, err = run("offline")
    finally:
        os.close(home)
    assert (code, "does not answer" in err) == (Exit.UNAVAILABLE, True)
    assert not (house / "data" / FILE).exists()


PLACES = [
    {"place": "dead.test", "rule": "", "waiting": 40, "running": 0, "at_a_time": 1, "rests_s": 240, "why": "451 4.4.1 No connection"},
    {"place": "part.test", "rule": "route:part.test", "waiting": 2, "running": 1, "at_a_time": 2, "rests_s": 0, "why": ""},
    {"place": "far.test", "rule": "", "waiting": 0, "running": 5, "at_a_time": 7, "rests_s": 0, "why": ""},
]


def test_places_are_listed(run, serving):
    serving(PLACES)
    code, out, _ = run("places")
    assert code == 0
    rows = [line.split(None, 4) for line in out.splitlines()[1:]]
    assert [row[:4] for row in rows] == [["dead.test", "40", "0", "1"], ["part.test", "2", "1", "2"], ["far.test", "0", "5", "7"]]
    assert [row[4].strip() for row in rows] == ["rests, tried in 4m: 451 4.4.1 No connection", "route:part.test", "open"]


def test_places_for_programs_and_none_at_all(run, serving):
    serving(PLACES, [])
    assert [json.loads(line) for line in run("places --json")[1].splitlines()] == PLACES
    assert run("places")[1:] == ("", "no mail is on its way to anybody, and nothing is known of any place\n")
