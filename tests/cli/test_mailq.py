"""mailq and sendmail -q: the traditional form, and whom they ask (R36, R37)."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from twistmail.cli import sendmail
from twistmail.cli.exits import Exit
from twistmail.cli.mailq import EMPTY, traditional
from twistmail.mail.address import parse
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.status import Status
from twistmail.queue.records import event_written, written
from twistmail.rows import Filter, View, listing

AT = 1_795_000_000.0  # Wednesday 18 November 2026, 11:06:40 UTC


def waiting(identifier, *to, sender="alice@blue.example", answers=(), **more):
    targets = [Target(Kind.REMOTE, parse(one), parse(one)) for one in to]
    item = Item(identifier, parse(sender) if sender else None, tuple(map(Errand, targets)), AT, 4242, **more)
    for target, answer in zip(targets, answers, strict=False):
        if answer:
            item = item.after(Outcome(target, Result.RELAYED if answer.is_positive else Result.DEFERRED, answer, "mx.green.example"))
    return item


def lines(*items, active=()):
    return list(traditional(listing(items, Filter(), View(AT + 60, lambda one: one in active))))


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_empty_queue_is_said_to_be_empty():
    assert lines() == [EMPTY] == ["Mail queue is empty"]


def test_the_form_is_that_of_postfix():
    later, full = Status(451, "4.3.2", "try again later"), Status(452, "4.2.2", "Mailbox full")
    shown = lines(
        waiting("6k3fa2-aaaa", "info@green.example", "bert@green.example", "carl@green.example", "done@green.example",
                answers=(later, later, full, Status(250, "2.0.0", "ok"))),
        waiting("6k3fa3-bbbb", "x@red.example", sender=None, held=True, held_for="body worm:3"),
        waiting("6k3fa4-cccc", "y@red.example"),
        active=("6k3fa4-cccc",),
    )  # fmt: skip
    assert shown == [
        "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------",
        "6k3fa2-aaaa           4242 Wed Nov 18 11:06:40 alice@blue.example",
        "                                (451 4.3.2 try again later (mx.green.example))",
        "                                               info@green.example",
        "                                               bert@green.example",
        "                                   (452 4.2.2 Mailbox full (mx.green.example))",
        "                                               carl@green.example",
        "",
        "6k3fa3-bbbb!          4242 Wed Nov 18 11:06:40 MAILER-DAEMON",
        "                                                           (held: body worm:3)",
        "                                               x@red.example",
        "",
        "6k3fa4-cccc*          4242 Wed Nov 18 11:06:40 alice@blue.example",
        "                                               y@red.example",
        "",
        "-- 12 Kbytes in 3 Requests.",
    ]


def test_programs_that_count_find_what_they_look_for():
    """check_mailq and its kind: the last line's number, or that it is empty."""
    assert re.search(r"-- \d+ Kbytes in (\d+) Request", lines(waiting("6k3fa2-aaaa", "x@y.example"))[-1])[1] == "1"
    assert re.match(r"[0-9a-z-]+[*! ]", lines(waiting("6k3fa2-aaaa", "x@y.example"))[1])


def test_what_strangers_say_stays_on_its_line():
    item = waiting("6k3fa2-aaaa", "x@y.example", answers=(Status(451, "4.0.0", "first\nsecond"),))
    assert [line for line in lines(item) if "second" in line] == [
        "                                   (451 4.0.0 first second (mx.green.example))"]  # fmt: skip


# ----- the programs


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWISTMAIL_")]:
        monkeypatch.delenv(name)
    Path("config.ini").write_text("[server]\nhostname = mail.blue.example\ndata_dir = data\n")
    Path("data").mkdir()
    return tmp_path


@pytest.fixture
def call(house, monkeypatch, capsys):
    """A function that calls the program *name*: (exit code, stdout, stderr)."""

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"/usr/bin/{name}", *arguments])
        with pytest.raises(SystemExit) as ended:
            sendmail.run()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


@pytest.fixture
def server(house, monkeypatch):
    """A function that has a server answer the next request at *place*: what was asked."""
    asked, threads = [], []

    def serve(result, place=None):
        path = place or house / "data" / "run" / "control.sock"
        path.parent.mkdir(parents=True, exist_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(10)

        def once():
            connection, _ = listening.accept()
            with connection, listening:
                asked.append(json.loads(connection.makefile("rb").readline()))
                connection.sendall(json.dumps(result).encode() + b"\n")

        threads.append(threading.Thread(target=once))
        threads[-1].start()
        return asked

    yield serve
    for thread in threads:
        thread.join(10)


EMPTY_LIST = {"ok": True, "result": {"rows": [], "count": 0, "size": 0}}


@pytest.mark.parametrize("words", [("mailq",), ("twistmail-mailq",), ("sendmail", "-bp"), ("twistmail-sendmail", "-bp")])
def test_both_names_say_the_same(call, server, words):
    server(EMPTY_LIST)
    assert call(*words) == (Exit.OK, "Mail queue is empty\n", "")


@pytest.mark.parametrize(("words", "arguments"), [
    pytest.param(["-q"], {"all": True, "from": "", "to": "", "ids": []}, id="everything"),
    pytest.param(["-qRfar.test"], {"all": False, "to": "far.test"}, id="recipient"),
    pytest.param(["-qSann@", "-v"], {"all": False, "from": "ann@"}, id="sender"),
    pytest.param(["-qI6k3"], {"all": False, "ids": ["6k3"]}, id="id"),
])
def test_what_waits_is_tried_without_a_word(call, server, words, arguments):
    asked = server({"ok": True, "result": {"count": 3}})
    assert call("sendmail", *words) == (Exit.OK, "", "")
    assert asked[0]["verb"] == "queue.flush"
    assert arguments.items() <= asked[0]["args"].items()


def test_a_run_now_and_then_is_nothing_to_do_for_a_server_that_does_it_by_itself(call):
    assert call("sendmail", "-q30m") == (Exit.OK, "", "")


def test_a_user_is_answered_at_the_door_that_is_for_him(call, server, house, monkeypatch):
    monkeypatch.setenv("TWISTMAIL_QUEUE", str(house / "public.sock"))
    asked = server(EMPTY_LIST, house / "public.sock")
    assert call("mailq", "-qSann@") == (Exit.OK, "Mail queue is empty\n", "")
    assert asked[0]["args"]["from"] == "ann@"


def test_the_configuration_names_the_door_where_the_control_socket_is_not_ours(call, server, house):
    with Path("config.ini").open("a") as file:
        file.write(f"[queue]\nsocket = {house}/public.sock\n")
    server(EMPTY_LIST, house / "public.sock")
    assert call("mailq")[0] == Exit.OK


def test_the_files_of_a_stopped_server_are_listed(call, house):
    ready = house / "data" / "queue" / "ready"
    ready.mkdir(parents=True)
    item = waiting("6k3fa2-aaaa", "x@y.example")
    event = Outcome(item.errands[0].target, Result.DEFERRED, Status(451, "4.0.0", "\x1b[31mred"), "")
    (ready / "6k3fa2-aaaa.envelope").write_bytes(written(item) + event_written(event))
    code, out, _ = call("mailq")
    assert (code, "6k3fa2-aaaa  " in out, "(451 4.0.0 ?[31mred)" in out, "\x1b" in out) == (Exit.OK, True, True, False)
    assert json.loads(call("mailq", "--json")[1])["id"] == "6k3fa2-aaaa"


@pytest.mark.parametrize(("words", "code", "said"), [
    pytest.param(["-q"], Exit.UNAVAILABLE, "sendmail: the server does not run", id="no-server"),
    pytest.param(["-bp", "ann@x.example"], Exit.USAGE, "nobody is written to by -bp and -q", id="an-address"),
    pytest.param(["-qRa", "-qRb"], Exit.USAGE, "the same part is named twice", id="twice"),
    pytest.param(["-qXa"], Exit.USAGE, "-qXa is no order", id="no-such-part"),
])
def test_what_cannot_be_done_is_told(call, words, code, said):
    result, out, err = call("sendmail", *words)
    assert (result, out, said in err) == (code, "", True), err
