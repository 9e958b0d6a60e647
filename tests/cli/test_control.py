"""Both ends of the control socket: the server's protocol, and the command's blocking client."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher

from tests.packaging.made import ROOT
from twistmail.cli.control import Control, ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.main import status
from twistmail.control import LONGEST_REQUEST, MOST_CONNECTIONS, ControlFactory, Part, Refusal


class Talk:
    """A ControlProtocol on a transport of strings."""

    def __init__(self, verbs):
        self.factory = ControlFactory(verbs)
        self.protocol = self.factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def ask(self, *requests):
        self.protocol.dataReceived(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        return self.answers()

    def answers(self):
        said = [json.loads(line) for line in self.transport.value().splitlines()]
        self.transport.clear()
        return said


async def echo(arguments):
    return dict(arguments)


def test_a_verb_answers_with_its_result():
    assert Talk({"echo": echo}).ask({"verb": "echo", "args": {"a": "ä"}}) == [{"ok": True, "result": {"a": "ä"}}]


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b"{}", b'{"verb": 5}', b'{"verb": "echo", "args": []}', b'"x"', b"\xff\xfe", b"[" * 5000]
)
def test_what_is_no_request_is_refused_and_the_connection_lives(line):
    talk = Talk({"echo": echo})
    talk.protocol.dataReceived(line + b"\n")
    (answer,) = talk.answers()
    assert answer["ok"] is False
    assert answer["exit"] in (64, 69)
    assert talk.ask({"verb": "echo"}) == [{"ok": True, "result": {}}]


def test_a_refusal_says_what_to_do_and_a_bug_says_nothing_of_itself():
    async def refuse(arguments):
        raise Refusal("no such message", 67, "look elsewhere")

    async def break_(arguments):
        raise ValueError("secret detail")

    logged = []
    globalLogPublisher.addObserver(logged.append)
    try:
        refused, broken = Talk({"refuse": refuse, "break": break_}).ask({"verb": "refuse"}, {"verb": "break"})
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert refused == {"ok": False, "error": "no such message", "exit": 67, "step": "look elsewhere"}
    assert (broken["ok"], broken["exit"], "secret" in json.dumps(broken)) == (False, 70, False)
    assert any("secret detail" in str(event.get("log_failure", "")) for event in logged)


def test_requests_are_answered_in_order_one_at_a_time():
    waiting: list[Deferred] = []

    async def slow(arguments):
        waiting.append(Deferred())
        return await waiting[-1]

    talk = Talk({"slow": slow, "echo": echo})
    assert talk.ask({"verb": "slow"}, {"verb": "echo", "args": {"n": 2}}) == []
    waiting[0].callback(1)
    assert [answer["result"] for answer in talk.answers()] == [1, {"n": 2}]


async def count(arguments):
    for number in range(arguments["to"]):
        yield Part(number)
    yield "all"


def test_a_verb_may_say_parts_before_its_result():
    said = Talk({"count": count, "echo": echo}).ask({"verb": "count", "args": {"to": 2}}, {"verb": "echo"})
    assert said == [{"part": 0}, {"part": 1}, {"ok": True, "result": "all"}, {"ok": True, "result": {}}]


def test_no_more_is_said_than_is_read():
    talk = Talk({"count": count})
    talk.protocol.pauseProducing()
    assert talk.ask({"verb": "count", "args": {"to": 2}}) == [{"part": 0}]
    talk.protocol.resumeProducing()
    assert talk.answers() == [{"part": 1}, {"ok": True, "result": "all"}]


@pytest.mark.parametrize("full", [True, False])
def test_a_verb_that_speaks_ends_when_nobody_listens_any_more(full):
    waiting, ended = [], []

    async def forever(arguments):
        try:
            while True:
                waiting.append(Deferred())
                await waiting[-1]
                yield Part()
        finally:
            ended.append(True)

    talk = Talk({"forever": forever})
    talk.ask({"verb": "forever"})
    waiting[0].callback(None)
    assert (len(waiting), talk.answers(), ended) == (2, [], [])
    if full:
        talk.protocol.pauseProducing()
    talk.protocol.connectionLost()
    waiting[1].callback(None)
    assert (len(waiting), ended) == (2, [True])


def test_a_verb_that_is_refused_after_it_has_begun_to_speak_is_refused():
    async def stumble(arguments):
        yield Part(1)
        raise Refusal("no more", 75)

    assert Talk({"stumble": stumble}).ask({"verb": "stumble"}) == [
        {"part": 1}, {"ok": False, "error": "no more", "exit": 75, "step": ""}]  # fmt: skip


def test_the_client_hears_the_parts_and_then_the_result(server):
    path, _ = server(b'{"part": 1}\n{"part": 2}\n{"ok": true, "result": 3}\n')
    heard = []

    def hear():
        heard.append((yield from Control(path).hear("count")))

    assert list(hear()) == [1, 2]
    assert heard == [3]


def test_who_only_wants_the_result_need_not_hear_the_parts(server):
    path, _ = server(b'{"part": 1}\n{"ok": true, "result": 3}\n')
    assert Control(path).ask("count") == 3


def test_an_endless_request_ends_the_connection():
    talk = Talk({})
    talk.protocol.dataReceived(b"x" * (LONGEST_REQUEST + 2))
    assert talk.transport.disconnecting


def test_connections_are_counted():
    talk = Talk({})
    others = [talk.factory.buildProtocol(None) for _ in range(MOST_CONNECTIONS - 1)]
    assert all(others)
    assert talk.factory.buildProtocol(None) is None
    talk.protocol.connectionLost()
    assert talk.factory.buildProtocol(None) is not None


@pytest.fixture
def server(tmp_path):
    """A function that serves *answer* (bytes) to the next who asks: (path of the socket, what was asked)."""
    path, asked, threads = tmp_path / "control.sock", [], []

    def serve(answer: bytes):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(10)

        def once():
            connection, _ = listening.accept()
            with connection, listening:
                asked.append(json.loads(connection.makefile("rb").readline()))
                connection.sendall(answer)

        threads.append(threading.Thread(target=once))
        threads[-1].start()
        return path, asked

    yield serve
    for thread in threads:
        thread.join(10)


def test_the_client_asks_and_hears(server):
    path, asked = server(b'{"ok": true, "result": [1, 2]}\n')
    assert Control(path).ask("queue.list", most=5) == [1, 2]
    assert asked == [{"verb": "queue.list", "args": {"most": 5}}]


@pytest.mark.parametrize(
    ("answer", "code"), [(b'{"ok": false, "error": "no", "exit": 67}\n', 67), (b'{"ok": tr', Exit.UNAVAILABLE), (b"", Exit.UNAVAILABLE)]
)
def test_the_client_fails_as_the_server_says(server, answer, code):
    path, _ = server(answer)
    with pytest.raises(Failure) as failure:
        Control(path).ask("x")
    assert failure.value.exit_code == code


def test_a_socket_without_a_server_says_how_to_start_one(tmp_path):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "dead.sock"))
    dead.close()
    for name in ("dead.sock", "none.sock"):
        with pytest.raises(ServerDown, match="does not run"):
            Control(tmp_path / name).ask("x")


RECIPIENT = {
    "address": "info@green.example", "original": "info@green.example", "state": "deferred", "code": "451", "enhanced": "4.3.2",
    "text": "try again later", "host": "mx.green.example", "attempts": 2,
}  # fmt: skip
ROW = {
    "id": "6k3fa2-9akq", "arrived": "2026-11-21T14:02:11Z", "age_s": 720, "attempts": 2, "next_s": 180, "held": False, "size": 412,
    "from": "alice@blue.example", "account": "", "to": [RECIPIENT],
}  # fmt: skip
ROWS = {"rows": [ROW], "count": 2, "size": 41_000}
SESSION = {
    "id": "6k3fa2-9akq", "service": "imap", "user": "anna@blue.example", "client": "192.0.2.7:4711", "tls": "TLSv1.3",
    "since_s": 7300, "idle_s": 65, "proxy": "",
}  # fmt: skip
SEEN = "imap     anna@blue.example  192.0.2.7:4711  TLSv1.3  2h     1m"
BANNED = {
    "network": "192.0.2.7", "since": 1795262400.0, "until": 1795263300.0, "left_s": 890, "by": "server",
    "reason": "too many failed logins", "times": 1, "turned_away": 3,
}  # fmt: skip
KEPT = {"applied": False, "problems": ["c.ini:1:1: error: x"], "changes": []}
MOVED = {
    "applied": True, "problems": [],
    "changes": [{"section": "server", "key": "data_dir", "before": "a", "now": "b", "reload": "restart"}],
}  # fmt: skip
ALIAS = {"address": "a@b.example", "targets": ["c", "d"], "source": "config.ini:7"}
CIRCLE = {"address": "a@b.example", "problem": "loops", "source": "x"}


def answer(result) -> bytes:
    return json.dumps({"ok": True, "result": result}).encode() + b"\n"


def test_the_queue_is_a_table_with_hints_beside_it(server, capsys):
    path, asked = server(answer(ROWS))
    assert status(["--socket", str(path), "queue", "list", "--domain", "green.example"]) == Exit.OK
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "ID           AGE  TRIES  NEXT   FROM                TO                  LAST ANSWER",
        "6k3fa2-9akq  12m  2      in 3m  alice@blue.example  info@green.example  451 4.3.2 try again later (mx.green.example)",
    ]
    assert said.err.startswith("2 messages, 41 kB, 1 of them not shown (--limit).   flush: twistmail queue flush 6k3fa2-9akq")
    assert asked[0]["args"]["domain"] == "green.example"


def test_a_message_that_is_held_says_why_and_one_that_waits_as_its_sender_wants_says_so(server, capsys):
    (row,) = ROWS["rows"]
    held = row | {"held": True, "held_for": "body worm:3"}
    later = row | {"hold_until": "2026-11-22T09:00:00Z", "priority": 4}
    path, _ = server(answer({"rows": [held, later], "count": 2, "size": 10}))
    assert status(["--socket", str(path), "queue", "list"]) == Exit.OK
    _, first, second = capsys.readouterr().out.splitlines()
    assert "held: body worm:3" in first
    assert "in 3m, as asked" in second


def test_a_message_that_waits_as_its_sender_wants_is_shown_with_what_he_wants(server, capsys):
    later = ROWS["rows"][0] | {"hold_until": "2026-11-22T09:00:00Z", "priority": 4}
    path, _ = server(answer({"rows": [later], "count": 1, "size": 10}))
    assert status(["--socket", str(path), "queue", "show", later["id"]]) == Exit.OK
    shown = capsys.readouterr().out
    assert "2026-11-22T09:00:00Z" in shown
    assert "priority" in shown


@pytest.mark.parametrize("words", ["a.example b.example", "a.example --domain b.example"])
def test_one_domain_is_flushed_at_a_time(capsys, words):
    assert status(["queue", "flush", *words.split()]) == Exit.USAGE


def test_quiet_means_no_hints(server, capsys):
    path, _ = server(answer(ROWS))
    assert status(["--socket", str(path), "queue", "list", "--quiet"]) == Exit.OK
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("line", "request_", "result", "code", "told"),
    [
        pytest.param("queue flush 6k3", ("queue.flush", {"ids": ["6k3"], "all": False}), {"count": 1}, 0, "1 message", id="flush-some"),
        pytest.param("queue flush", ("queue.flush", {"ids": [], "all": True}), {"count": 0}, 1, "0 messages", id="flush-all"),
        pytest.param(
            "queue flush part.example", ("queue.flush", {"ids": [], "domain": "part.example", "all": False}), {"count": 2}, 0,
            "2 messages will be tried now", id="flush-a-domain",
        ),
        pytest.param("queue hold --all", ("queue.hold", {"all": True}), {"count": 3}, 0, "3 messages held", id="hold-all"),
        pytest.param("queue release x", ("queue.release", {"ids": ["x"]}), {"count": 1}, 0, "1 message released", id="release"),
        pytest.param("session", ("session.list", {}), [SESSION], 0, SEEN, id="sessions"),
        pytest.param("session list anna@blue.example", ("session.list", {"who": ["anna@blue.example"]}), [], 0, "", id="sessions-of-one"),
        pytest.param("ban", ("ban.list", {}), [BANNED], 0, "192.0.2.7  14m   server  3          too many failed logins", id="bans"),
        pytest.param("ban add 192.0.2.7 --for 2h", ("ban.add", {"networks": ["192.0.2.7/32"], "for_s": 7200.0}), [BANNED], 0,
                     "192.0.2.7 banned for 2h", id="ban"),
        pytest.param("ban add 2001:db8::/32", ("ban.add", {"networks": ["2001:db8::/32"], "for_s": None}), [BANNED], 0,
                     "banned until it is removed", id="ban-for-ever"),
        pytest.param("ban remove 192.0.2.7", ("ban.remove", {"networks": ["192.0.2.7/32"]}), {"lifted": ["192.0.2.7"]}, 0,
                     "192.0.2.7 may come in again", id="lift"),
        pytest.param("ban remove 192.0.2.7", ("ban.remove", {"networks": ["192.0.2.7/32"]}), {"lifted": []}, 67, "", id="lift-nobody"),
        pytest.param("reload", ("reload", {}), KEPT, 78, "", id="reload-refused"),
        pytest.param("reload", ("reload", {}), MOVED, 0, "server.data_dir: a -> b   (after a restart)", id="reload-with-restart"),
        pytest.param("stop --yes", ("stop", {}), {}, 0, "stopping", id="stop"),
        pytest.param("alias list", ("alias.list", {}), [ALIAS], 0, "c d      config.ini:7", id="aliases"),
        pytest.param("alias check", ("alias.check", {}), [CIRCLE], 1, "loops", id="alias-check"),
    ],
)  # fmt: skip
def test_a_command_asks_the_server_and_tells_the_answer(server, capsys, line, request_, result, code, told):
    path, asked = server(answer(result))
    assert status(["--socket", str(path), *line.split()]) == code
    assert told in capsys.readouterr().out
    verb, arguments = request_
    assert asked[0]["verb"] == verb
    assert arguments.items() <= asked[0]["args"].items()


def test_an_alias_is_shown_as_a_tree(server, capsys):
    tree = {
        "address": "info@blue.example",
        "what": "alias, config.ini:71",
        "arrives": True,
        "children": [
            {"address": "anna@blue.example", "what": "mailbox"},
            {"address": "sales@blue.example", "what": "alias", "children": [{"address": "carl@partner.example", "what": "outside"}]},
        ],
    }
    path, _ = server(answer(tree))
    assert status(["--socket", str(path), "alias", "resolve", "info@blue.example"]) == Exit.OK
    assert [line.split("  ")[0].rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "info@blue.example",
        "|- anna@blue.example",
        "`- sales@blue.example",
        "",
    ]


def test_status_fits_one_screen(server, capsys):
    now = {
        "hostname": "mail.blue.example",
        "version": "0.1.0",
        "pid": 7,
        "up_s": 90_000,
        "config": "config.ini",
        "services": [{"name": "imap", "listen": ["tcp:143"], "connections": 3, "most": 10_000}],
        "queue": {"count": 1, "size": 412, "oldest_s": 60, "held": 0},
        "offline_s": None,
        "warnings": ["the disk is nearly full"],
    }
    path, _ = server(answer(now))
    assert status(["--socket", str(path), "status"]) == Exit.OK
    out = capsys.readouterr().out
    for words in (
        "mail.blue.example  twistmail 0.1.0, process 7, up 1d",
        "imap     tcp:143  3",
        "1 message, 412 bytes, oldest 1m, 0 held",
        "warning: the disk",
    ):
        assert words in out


@pytest.mark.parametrize("line", ["--help", "queue list"])
def test_a_quick_command_does_not_import_the_reactor_s_world(server, line, tmp_path):
    path, _ = server(answer(ROWS)) if line != "--help" else (tmp_path / "none.sock", [])
    code = (
        f"import sys; from twistmail.cli.main import status; code = status(['--socket', {str(path)!r}, *{line.split()!r}]);"
        "print(sorted(name for name in sys.modules if name.startswith('twisted.internet')), code)"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, text=True, capture_output=True, timeout=60, check=True
    ).stdout
    assert said.splitlines()[-1] == "[] 0"


def test_the_socket_of_a_real_reactor_is_for_its_owner_only(tmp_path):
    """In a process of its own, because a reactor runs once."""
    code = """
import os, stat, sys
from pathlib import Path
from twisted.internet import reactor
from twistmail.control import ControlFactory, listen
async def stop(arguments):
    reactor.callLater(0.1, reactor.stop)  # the answer goes first
    return {"mode": oct(stat.S_IMODE(os.stat(path).st_mode)), "folder": oct(stat.S_IMODE(os.stat(path.parent).st_mode))}
path = Path(sys.argv[1])
listen(reactor, path, ControlFactory({"stop": stop}))
print("ready", flush=True)
reactor.run()
"""
    path = tmp_path / "run" / "control.sock"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        assert Control(path).ask("stop") == {"mode": "0o600", "folder": "0o700"}
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not Path(path).exists()
