"""`twistmail queue`: what it prints, with a server that says what it is told to, and over the files of one that does not run."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest

from twistmail import tenancy
from twistmail.cli.exits import Exit
from twistmail.cli.main import status
from twistmail.cli.queue import VERBS, group
from twistmail.facts import Accepted, Fact, Removed
from twistmail.journal import Journal
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.ids import identifiers
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import GaveUp, Outcome, Result
from twistmail.mail.status import Status
from twistmail.queue.records import event_written, read, written

CONFIG = "[server]\nhostname = mail.blue.example\ndata_dir = data\n"
LATER = Status(452, "4.2.2", "Mailbox \x1b[31mfull")


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(capfdbinary):
    """A function that runs a command line: (exit code, stdout, stderr)."""

    def run(line: str):
        code = status(line.split())
        said = capfdbinary.readouterr()
        return code, said.out.decode(), said.err.decode()

    return run


@pytest.mark.parametrize("verb", VERBS)
def test_the_sentence_in_the_list_of_verbs_is_the_command_s_own(verb):
    command = group.get_command(click.Context(group), verb)
    assert command.get_short_help_str(200).startswith(VERBS[verb][1].rstrip(":."))


# ----- files of a server that does not run


@pytest.fixture
def ready(house):
    """Two messages in the spool: one deferred, and one that a filter holds."""
    spool = house / "data" / "queue" / "ready"
    spool.mkdir(parents=True)
    body = b"Subject: x\r\n\r\nhello\r\n"
    for identifier, sender, to, held_for in (("6k3fa2-aaaa", "alice@blue.example", ("info@green.example", "x@red.example"), ""),
                                             ("6k3fa3-bbbb", None, ("x@red.example",), "body worm:3")):
        targets = [Target(Kind.REMOTE, parse(one), parse(one)) for one in to]
        item = Item(identifier, parse(sender) if sender else None, tuple(map(Errand, targets)), 1_795_000_000.0, len(body) + 3,
                    b"A:b", held=bool(held_for), held_for=held_for, attempts=2, due=1_795_000_900.0)
        event = Outcome(targets[0], Result.DEFERRED, LATER, "mx.green.example")
        (spool / f"{identifier}.envelope").write_bytes(written(item) + event_written(event))
        (spool / f"{identifier}.content").write_bytes(body)
    return spool


def item_of(ready, identifier="6k3fa2-aaaa"):
    return read((ready / f"{identifier}.envelope").read_bytes())[0]


def test_what_waits_is_listed_with_what_was_said_or_what_it_means(run, ready):
    code, out, err = run("queue list")
    assert code == Exit.OK
    heading, first, second = out.splitlines()
    assert heading.split() == ["ID", "AGE", "TRIES", "NEXT", "FROM", "TO", "LAST", "ANSWER"]
    assert first.endswith("alice@blue.example  info@green.example +1  452 4.2.2 Mailbox ?[31mfull (mx.green.example)")
    assert second.endswith("held  <>                  x@red.example          held: body worm:3")
    assert "2 messages, 48 bytes" in err
    plain = run("queue list --why")[1].splitlines()
    assert "full" in plain[1].partition("info@green.example +1")[2]
    assert plain[2].endswith("An operator has to release it: body worm:3.")


def test_one_message_is_shown_with_what_its_answers_mean(run, ready):
    code, out, _ = run("queue show 6k3fa2")
    assert code == Exit.OK
    lines = out.splitlines()
    at = lines.index("  info@green.example: deferred  452 4.2.2 Mailbox ?[31mfull (mx.green.example)")
    assert "full" in lines[at + 1]
    assert lines[at + 2] == "  x@red.example: waiting"
    told = json.loads(run("queue show 6k3fa2 --json")[1])
    assert "full" in told["to"][0]["means"]


@pytest.mark.parametrize(("line", "code", "told"), [
    pytest.param("queue show zz", Exit.NOUSER, "no message zz is in the queue\n    what became of it: twistmail trace show", id="unknown"),
    pytest.param("queue show 6k3fa2-aaab", Exit.NOUSER, "did you mean 6k3fa2-aaaa?", id="nearly"),
    pytest.param("queue show 6k3", Exit.USAGE, "fits 2 messages", id="several"),
    pytest.param("queue dump 6k3", Exit.USAGE, "fits 2 messages", id="dump-several"),
    pytest.param("queue dump 6k3fa2 --json", Exit.USAGE, "no JSON", id="dump-as-json"),
    pytest.param("queue list --state asleep", Exit.USAGE, "is not one of 'active', 'held', 'new', 'deferred'", id="no-such-state"),
    pytest.param("queue list --age 5", Exit.USAGE, "write 5s for seconds", id="age-without-unit"),
    pytest.param("queue list --domain a..b", Exit.USAGE, "", id="no-domain"),
    pytest.param("queue list --limit -1", Exit.USAGE, "", id="negative-limit"),
    pytest.param("queue delete", Exit.USAGE, "--all means all of them", id="delete-never-defaults-to-all"),
    pytest.param("queue bounce", Exit.USAGE, "--all means all of them", id="nor-does-bounce"),
    pytest.param("queue release", Exit.USAGE, "--all means all of them", id="nor-does-release"),
    pytest.param("queue route [10.0.0.2]", Exit.USAGE, "--all means all of them", id="nor-does-route"),
    pytest.param("queue delete --all --from x", Exit.USAGE, "leave it out, or the ids and filters", id="all-and-a-filter"),
    pytest.param("queue delete 6k3fa2", Exit.USAGE, "add --yes", id="nobody-to-ask"),
    pytest.param("queue delete --from nobody@", Exit.NOTHING, "nothing fits", id="nothing-to-delete"),
    pytest.param("queue route", Exit.USAGE, "by which server?", id="route-without-server"),
    pytest.param("queue route 6k3fa2 [10.0.0.2]:99999", Exit.USAGE, "99999 is no port", id="no-port"),
    pytest.param("queue flush", Exit.UNAVAILABLE, "the server does not run", id="flush-takes-a-server"),
    pytest.param("queue watch", Exit.UNAVAILABLE, "the server does not run", id="so-does-watch"),
    pytest.param("queue relase 6k3fa2", Exit.USAGE, "Did you mean 'release'", id="misspelled-verb"),
    pytest.param("queue stats --by colour", Exit.USAGE, "", id="no-such-chart"),
    pytest.param("queue history --result lost", Exit.USAGE, "", id="no-such-end"),
    pytest.param("queue history --since 5", Exit.USAGE, "write 5s", id="since-without-unit"),
])
def test_a_command_that_cannot_be_done_says_what_to_do(run, ready, line, code, told):
    before = {path.name: path.read_bytes() for path in ready.iterdir()}
    result, _, err = run(line)
    assert (result, told in err) == (code, True), err
    assert {path.name: path.read_bytes() for path in ready.iterdir()} == before


def test_a_message_is_dumped_from_the_files(run, ready):
    code, out, err = run("queue dump 6k3fa2")
    assert (code, out) == (Exit.OK, "A:bSubject: x\r\n\r\nhello\r\n")
    assert err.startswith("--offline")


def test_whoever_reads_only_the_beginning_hears_no_complaint(ready, house):
    (ready / "6k3fa2-aaaa.content").write_bytes(b"x" * 1_000_000)
    program = [sys.executable, "-c", "from twistmail.cli.main import run; run()", "queue", "dump", "6k3fa2", "--quiet"]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(program, cwd=house, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as dump:
        assert dump.stdout.read(3) == b"A:b"
        dump.stdout.close()
        assert (dump.stderr.read(), dump.wait(30)) == (b"", Exit.OK)


def test_a_chart_of_the_files(run, ready):
    code, out, err = run("queue stats")
    assert code == Exit.OK
    heading, total, red, green = out.splitlines()
    assert heading.split() == ["DOMAIN", "T", "<5m", "<10m", "<20m", "<40m", "<80m", "<160m", "<320m", "<640m", "<1280m", ">1280m"]
    assert total.split() == ["TOTAL", "2", *"000000000", "2"]
    assert [line.split()[:2] for line in (red, green)] == [["red.example", "2"], ["green.example", "1"]]
    assert "1 held, 1 deferred" in err
    assert json.loads(run("queue stats --by sender --json")[1])["rows"][0]["name"] in ("<>", "blue.example")


def test_an_empty_queue(run):
    Path("data").mkdir()
    assert run("queue list")[0] == Exit.OK
    assert run("queue list --json")[1] == ""
    assert "nothing waits" in run("queue stats")[2]


@pytest.mark.parametrize(("line", "said", "changed"), [
    pytest.param("queue hold 6k3fa2 --because legal", "1 message held", lambda item: item.held and item.held_for == "legal", id="hold"),
    pytest.param("queue release --state held", "1 message released", lambda item: not item.held, id="release"),
    pytest.param("queue route --from alice [10.0.0.2]:2525", "1 message will go by [10.0.0.2]:2525",
                 lambda item: item.via == "[10.0.0.2]:2525", id="route"),
    pytest.param("queue route 6k3fa2 smtp:[10.0.0.2]:2525", "1 message will go by smtp:[10.0.0.2]:2525",
                 lambda item: item.via == "smtp:[10.0.0.2]:2525", id="route-as-in-a-table"),
    pytest.param("queue route 6k3fa2 usual", "1 message will go as all others", lambda item: item.via == "", id="usual-route"),
])
def test_an_order_is_written_into_the_files(run, ready, line, said, changed):
    code, out, err = run(line)
    assert (code, out.strip()) == (Exit.OK, said), err
    assert "its files were changed" in err
    one = item_of(ready, "6k3fa3-bbbb" if "held" in line.split() else "6k3fa2-aaaa")
    assert changed(one)


def test_a_message_that_is_given_up_is_returned_when_the_server_starts(run, ready):
    asked = run("queue bounce 6k3fa3 --dry-run")
    assert asked[:2] == (Exit.OK, "Return 1 message, 24 bytes, from <>: that is what would be done. "
                                  "They will not be tried any more, and their senders are told.\n")
    code, out, _ = run("queue bounce 6k3fa3 --yes --because gone")
    assert (code, out) == (Exit.OK, "1 message returned\n")
    item = item_of(ready, "6k3fa3-bbbb")
    assert (item.held, item.pending, item.is_settled) == (False, (), False)
    assert item.errands[0].status.text == (
        f"An operator of this server has given up on the message: gone; the last answer was: {LATER}")
    assert item.next_try <= time.time()


def test_a_message_is_deleted_from_the_files_once_that_is_sure(run, ready):
    assert run("queue delete --all --dry-run")[1].startswith("Delete 2 messages, 48 bytes, from <>, alice@blue.example: ")
    assert run("queue delete 6k3fa2 --yes")[:2] == (Exit.OK, "1 message deleted\n")
    assert sorted(path.name for path in ready.iterdir()) == ["6k3fa3-bbbb.content", "6k3fa3-bbbb.envelope"]


def test_what_a_crash_left_at_the_end_of_an_envelope_is_written_over(run, ready):
    with (ready / "6k3fa2-aaaa.envelope").open("ab") as file:
        file.write(b"deadbeef " + b"x" * 500)
    run("queue hold 6k3fa2")
    data = (ready / "6k3fa2-aaaa.envelope").read_bytes()
    assert read(data) == (item_of(ready), len(data))
    assert item_of(ready).held


def test_files_that_a_server_has_are_not_touched(run, ready, house):
    home = tenancy.occupy(house / "data")
    try:
        code, _, err = run("queue hold --all")
    finally:
        os.close(home)
    assert (code, "a server has" in err) == (Exit.UNAVAILABLE, True)
    assert not item_of(ready).held


# ----- what has been


@pytest.fixture
def past(house):
    """A journal: one message to two people, of whom one had it and one could not; the id."""
    journal = Journal(house / "data" / "journal", 1e9)
    bob, eve = (Target(Kind.REMOTE, parse(one), parse(one)) for one in ("bob@green.example", "eve@red.example"))
    now = time.time() - 100
    identifier = next(identifiers(lambda: now, 5))
    for after, what in (
        (0, Accepted("c", "submission", parse("anna@blue.example"), (bob.address, eve.address), 4, "anna@blue.example")),
        (1, Outcome(bob, Result.RELAYED, Status(250, "2.0.0", "ok"), "mx.green.example", secured="TLSv1.3")),
        (2, Outcome(eve, Result.DEFERRED, Status(451, "4.4.1", "no route"), "")),
        (90, GaveUp(Status(451, "4.4.7", "too long"))),
        (91, Removed("done")),
    ):
        journal.note(Fact(now + after, identifier, what))
    journal.write()
    return identifier


def test_history_tells_how_each_recipient_s_mail_ended(run, past):
    code, out, _ = run("queue history --json")
    assert code == Exit.OK
    relayed, failed = (json.loads(line) for line in out.splitlines())
    assert (relayed["result"], relayed["to"], relayed["host"], relayed["secured"]) == (
        "relayed", "bob@green.example", "mx.green.example", "TLSv1.3")  # fmt: skip
    assert (failed["result"], failed["to"], failed["answer"], failed["from"]) == (
        "failed", "eve@red.example", "451 4.4.1 no route", "anna@blue.example")  # fmt: skip
    assert (relayed["took_s"] <= 2, 88 <= failed["took_s"] <= 91) == (True, True)
    assert "1 failed, 1 relayed" in run("queue history")[2]


@pytest.mark.parametrize(("filters", "ends"), [
    pytest.param("--result failed", 1, id="failed"),
    pytest.param("--result delivered", 0, id="delivered"),
    pytest.param("--to eve", 1, id="to"),
    pytest.param("--from ANNA", 2, id="from"),
    pytest.param("--from bert", 0, id="from-another"),
    pytest.param("--domain green.example", 1, id="domain"),
    pytest.param("--reason mx.green", 1, id="server"),
    pytest.param("--reason no.route", 0, id="reasons-are-no-patterns"),
    pytest.param("--since 50s", 1, id="since"),
    pytest.param("--until 50s", 1, id="until"),
    pytest.param("--limit 1", 1, id="limit"),
    pytest.param("zzz", 0, id="id"),
])
def test_a_part_of_the_history(run, past, filters, ends):
    code, out, _ = run(f"queue history {filters} --json")
    assert (code, len(out.splitlines())) == (Exit.OK if ends else Exit.NOTHING, ends)


# ----- a server


@pytest.fixture
def server(house):
    """A function that has a server answer the next request with these lines: what was asked."""
    asked, threads = [], []

    def serve(*lines):
        (house / "data" / "run").mkdir(parents=True, exist_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(house / "data" / "run" / "control.sock"))
        listening.listen()
        listening.settimeout(10)

        def once():
            connection, _ = listening.accept()
            with connection, listening:
                asked.append(json.loads(connection.makefile("rb").readline()))
                connection.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

        threads.append(threading.Thread(target=once))
        threads[-1].start()
        return asked

    yield serve
    for thread in threads:
        thread.join(10)


def ok(result):
    return {"ok": True, "result": result}


@pytest.mark.parametrize(("line", "verb", "arguments", "said"), [
    pytest.param("queue bounce --reason full --yes --because closed --all", None, None, "leave it out", id="all-and-a-reason"),
    pytest.param("queue route 6k3fa2 6k3fa3 [10.0.0.2]:2525", "queue.route", {"ids": ["6k3fa2", "6k3fa3"], "via": "[10.0.0.2]:2525"},
                 "5 messages will go by [10.0.0.2]:2525", id="route"),
    pytest.param("queue route --domain Green.Example --via relay.example", "queue.route",
                 {"domain": "green.example", "via": "relay.example"}, "5 messages will go by relay.example", id="route-by-option"),
    pytest.param("queue route --all usual", "queue.route", {"via": "", "all": True}, "5 messages will go as all others", id="route-all"),
    pytest.param("queue hold --place [relay.example]:587 --because x", "queue.hold", {"place": "[relay.example]:587", "words": "x"},
                 "5 messages held", id="hold-place"),
    pytest.param("queue release --reason worm", "queue.release", {"reason": "worm", "all": False}, "5 messages released", id="release"),
    pytest.param("queue flush --state deferred", "queue.flush", {"state": "deferred", "all": False},
                 "5 messages will be tried", id="flush"),
])
def test_an_order_reaches_the_server(run, server, line, verb, arguments, said):
    asked = server(ok({"count": 5})) if verb else []
    code, out, err = run(line)
    assert said in out + err
    assert code == (Exit.OK if verb else Exit.USAGE)
    if verb:
        assert asked[0]["verb"] == verb
        assert arguments.items() <= asked[0]["args"].items()


def test_a_long_list_is_put_together(run, server):
    to = [{"address": "x@red.example", "original": "x@red.example", "state": "waiting", "code": "", "enhanced": "", "text": "", "host": "",
           "place": "red.example"}]
    rows = [{"id": f"i{n}", "age_s": 5, "attempts": 0, "next_s": 3, "held": False, "from": "<>", "to": to} for n in range(3)]
    server({"part": rows[:2]}, {"part": rows[2:]}, ok({"rows": [], "count": 7, "size": 70}))
    code, out, err = run("queue list --limit 3")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (Exit.OK, ["ID", "i0", "i1", "i2"])
    assert "7 messages, 70 bytes, 4 of them not shown (--limit)" in err


@pytest.mark.parametrize(("said", "next_", "last", "why"), [
    pytest.param({"next_s": None, "waits_for": "the line is down; twistmail online ends that"}, "not yet",
                 "the line is down; twistmail online ends that", "The line is down; twistmail online ends that.", id="offline"),
    pytest.param({"next_s": 600, "waits_for": "nobody gets through to red.example: 421"}, "in 10m",
                 "nobody gets through to red.example: 421", "Nobody gets through to red.example: 421.", id="a-place-that-rests"),
    pytest.param({"next_s": 0, "waits_for": "waits for its turn"}, "now", "452 4.2.2 full", "full", id="its-turn"),
    pytest.param({"next_s": 60, "waits_for": ""}, "in 1m", "452 4.2.2 full", "full", id="its-time"),
    pytest.param({"next_s": 0, "state": "active"}, "being tried", "452 4.2.2 full", "full", id="tried"),
])
def test_what_a_message_waits_for_is_told(run, server, said, next_, last, why):
    to = [{"address": "x@red.example", "original": "x@red.example", "state": "deferred", "code": "452", "enhanced": "4.2.2", "text": "full",
           "host": "", "place": "red.example"}]
    row = {"id": "i1", "age_s": 5, "attempts": 1, "held": False, "from": "<>", "to": to} | said
    server(ok({"rows": [row], "count": 1, "size": 1}))
    line = run("queue list")[1].splitlines()[1].split("  ")
    assert (next_ in line, line[-1]) == (True, last)
    (Path("data") / "run" / "control.sock").unlink()
    server(ok({"rows": [row], "count": 1, "size": 1}))
    assert why in run("queue list --why")[1].splitlines()[1]


def test_a_message_is_dumped_by_the_server(run, server):
    server(*({"part": base64.b64encode(piece).decode()} for piece in (b"A: b\r\n", b"\r\n\xff\x00")), ok({"id": "i1", "size": 10}))
    code = status(["queue", "dump", "i1"])
    assert code == Exit.OK


def test_what_happens_is_told_line_by_line(run, server):
    fact = {"at": 1_795_000_000.0, "id": "6k3fa2-aaaa", "what": "Removed", "why": "done\x1b"}
    server({"part": {"facts": [], "missed": 0, "count": 2}}, {"part": {"facts": [fact], "missed": 3, "count": 1}}, ok(None))
    code, out, err = run("queue watch --domain red.example")
    assert (code, out.split("  ", 1)[1]) == (Exit.OK, "6k3fa2-aaaa  left        done?\n")
    assert err.splitlines() == ["2 messages in the queue; Ctrl-C ends", "3 more are left out: too much happens at a time"]


def test_watching_ends_after_a_time(run, server):
    server(*[{"part": {"facts": [], "missed": 0, "count": 0}}] * 3, ok(None))
    assert run("queue watch --for 0s --quiet") == (Exit.OK, "", "")


@pytest.mark.parametrize(("line", "words"), [
    pytest.param("twistmail queue show 6", {"6k3fa2-aaaa"}, id="ids"),
    pytest.param("twistmail queue list --domain r", {"red.example"}, id="domains"),
    pytest.param("twistmail queue hold --place [", {"[relay.example]:587"}, id="places"),
    pytest.param("twistmail queue flush --to x", {"x@red.example"}, id="recipients"),
    pytest.param("twistmail queue re", {"release"}, id="verbs"),
    pytest.param("twistmail queue list --state h", {"held"}, id="states"),
])
def test_a_shell_is_offered_what_there_is(server, house, capfd, monkeypatch, line, words):
    from twistmail.cli.main import main

    to = [{"address": "x@red.example", "place": "[relay.example]:587"}]
    if not words & {"release", "held"}:
        server(ok({"rows": [{"id": "6k3fa2-aaaa", "from": "<>", "to": to}], "count": 1, "size": 1}))
    monkeypatch.setenv("_TWISTMAIL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    with pytest.raises(SystemExit):
        main.main(prog_name="twistmail")
    assert {offer.partition(",")[2] for offer in capfd.readouterr().out.split()} == words
