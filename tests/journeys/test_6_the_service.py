"""Walk 6 of ARCHITECTURE.md: configuration, start and reload of the service itself; only the reactor is ours.

Ports are real ones of loopback, opened and never read from: what happens on a connection is the business of the other walks.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time

import pytest
from twisted.internet.address import IPv4Address

from tests.journeys.house import ADDRESS, CONFIG, Client, Reactor, count_threads, with_lookup
from tests.tls.authority import Authority
from twistmail import assembly, sections
from twistmail.config.load import load
from twistmail.lab.clock import LessonClock
from twistmail.memory.lookup import MemoryLookup
from twistmail.plugins import discover
from twistmail.service import MailService


class Running:
    """A MailService below *folder*, started."""

    def __init__(self, folder, monkeypatch, text, discovery=None) -> None:
        count_threads(monkeypatch)
        self.reactor = Reactor()
        self.reactor.rightNow = time.time()  # which the service takes for the time of day
        self.file = folder / "config.ini"
        self.discovery = discovery or with_lookup(MemoryLookup())
        self.write(text)
        self.ready: list[dict[str, list[int]]] = []
        self.service = MailService(self.load().config, self.reactor, self.discovery, self.load, ready=self.ready.append)
        self.service.privilegedStartService()
        self.service.startService()
        self.settle()

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.file.chmod(0o600)

    def load(self):
        return load(sections.everything(self.discovery), self.file, (), {}, sections.checks(self.discovery))

    def settle(self) -> None:
        self.reactor.settle()

    def connect(self, service="mx") -> Client:
        """A new connection to the first port of *service*."""
        listener = next(listener for (name, _), listener in self.service.listeners.items() if name == service)
        return Client(self, listener.buildProtocol(IPv4Address("TCP", ADDRESS, 40_000)))

    def ports(self) -> dict[str, int]:
        return {service: port for service, (port,) in self.service.ports().items()}

    def stop(self) -> None:
        if self.service.running:
            ended: list[None] = []
            self.service.stopService().addCallback(ended.append)
            self.reactor.pass_time(15, step=0.05)
            assert ended


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(text, discovery=None) is a Running service, stopped at the end."""
    made = []

    def start(text, discovery=None):
        made.append(Running(tmp_path, monkeypatch, text, discovery))
        return made[-1]

    interval = sys.getswitchinterval()
    yield start
    for running in made:
        running.stop()
    sys.setswitchinterval(interval)


def with_banner(words: str, more: str = "") -> str:
    return CONFIG.replace("[mx]\n", f"[mx]\nbanner = {words}\n") + more


def answer_to(client: Client, recipient: str) -> str:
    """What *client* is told of *recipient*."""
    for line in ("EHLO peer.far.test", "MAIL FROM:<eve@far.test>", f"RCPT TO:<{recipient}>"):
        client.say(line)
    return client.said[-1]


def test_the_file_becomes_a_server_that_says_when_it_is_ready(run):
    running = run(CONFIG)
    (ports,) = running.ready
    assert sorted(ports) == ["imap", "mx", "pop3", "submission"]
    assert all(port > 0 for (port,) in ports.values())
    assert running.connect().said[0].startswith("220 mx.blue.test ESMTP")


def test_new_connections_get_the_new_configuration_and_old_ones_keep_theirs(run):
    """R08, R18 as far as they are done."""
    running = run(with_banner("ESMTP first"))
    ports, old = running.ports(), running.connect()
    running.write(with_banner("ESMTP second", "[alias:new]\nto = ann\n"))
    assert running.service.reload() == ()
    running.settle()
    new = running.connect()
    assert "ESMTP first" in old.transport.value().decode()
    assert new.said[0].startswith("220 mx.blue.test ESMTP second")
    assert answer_to(old, "new@blue.test").startswith("550 5.1.1")
    assert answer_to(new, "new@blue.test").startswith("250 2.1.5")
    assert running.ports() == ports


def test_a_renewed_certificate_is_used_within_a_minute_without_a_reload(run, tmp_path):
    """F006. The first one is our own."""
    running = run(CONFIG)
    chain, key = Authority("Renewed", time.time()).issue("mx.blue.test")
    (tmp_path / "data" / "tls" / "mx.pem").write_bytes(key + chain)
    running.settle()
    found = [running.service.parts.contexts.certificates.find("mx.blue.test").path.name]
    running.reactor.pass_time(60, step=1)
    found.append(running.service.parts.contexts.certificates.find("mx.blue.test").path.name)
    assert found == ["self-signed.pem", "mx.pem"]


def test_without_a_certificate_there_is_no_tls_until_somebody_puts_one_there(run, tmp_path):
    running = run(CONFIG + "[submission]\nlisten = tls:port=0:interface=127.0.0.1\n[tls]\nself_signed = no\n")
    assert not any("STARTTLS" in line for line in running.connect().say("EHLO peer.far.test"))
    private = running.connect("submission")
    assert (private.said, private.transport.closed) == ([], True)
    chain, key = Authority("First", time.time()).issue("mx.blue.test")
    (tmp_path / "data" / "tls").mkdir()
    (tmp_path / "data" / "tls" / "mx.pem").write_bytes(key + chain)
    running.reactor.pass_time(60, step=1)
    assert any("STARTTLS" in line for line in running.connect().say("EHLO peer.far.test"))
    assert not running.connect("submission").transport.closed


@pytest.mark.parametrize("change", [
    pytest.param(("[imap]\n", "[imap]\nidle_timeot = 5m\n"), id="an-unknown-key"),
    pytest.param(("[imap]\n", "[imap\n"), id="no-section"),
    pytest.param(("banner = ESMTP second\n", "banner = ESMTP second\nmax_message = huge\n"), id="no-size"),
    pytest.param(("use = zone", "use = nothing-of-ours"), id="no-such-part"),
])
def test_a_file_with_a_mistake_changes_nothing(run, logged, change):
    """R75 as far as it is done: the place is told."""
    running = run(with_banner("ESMTP first"))
    ports, parts = running.ports(), running.service.parts
    running.write(with_banner("ESMTP second").replace(*change))
    problems = running.service.reload()
    assert any(problem.is_error for problem in problems)
    assert all(str(problem).startswith(str(running.file)) for problem in problems)
    assert logged[-1] == "reload: nothing is changed"
    assert (running.ports(), running.service.parts is parts) == (ports, True)
    assert running.connect().said[0].startswith("220 mx.blue.test ESMTP first")


def test_a_port_that_cannot_be_opened_changes_nothing(run, logged):
    running = run(with_banner("ESMTP first"))
    ports = running.ports()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        running.write(with_banner("ESMTP second").replace("listen =", f"listen = tcp:{taken}:interface=127.0.0.1\n         ", 1))
        (problem,) = running.service.reload()
    assert "in use" in str(problem)
    assert running.ports() == ports
    assert running.connect().said[0].startswith("220 mx.blue.test ESMTP first")


def test_what_cannot_be_built_changes_nothing(run, logged, monkeypatch):
    running = run(with_banner("ESMTP first"))
    ports, parts, config = running.ports(), running.service.parts, running.service.config

    def broken(config, foundation):
        raise PermissionError(13, "Permission denied", "tls/key.pem")

    monkeypatch.setattr(assembly, "build", broken)
    running.write(with_banner("ESMTP second").replace("listen =", "listen = tcp:0:interface=127.0.0.1:backlog=7\n         ", 1))
    (problem,) = running.service.reload()
    assert "tls/key.pem: Permission denied" in str(problem)
    assert (running.ports(), running.service.parts is parts, running.service.config is config) == (ports, True, True)
    assert running.connect().said[0].startswith("220 mx.blue.test ESMTP first")


def test_ports_are_opened_and_closed_as_the_file_says(run):
    """R08: one line switches a service on, and one switches it off."""
    running = run(CONFIG.replace("[pop3]\nlisten = tcp:0:interface=127.0.0.1\n", "[pop3]\n"))
    assert sorted(running.ports()) == ["imap", "mx", "submission"]
    idle = running.connect("imap")
    running.write(CONFIG.replace("[mx]\nlisten = tcp:0:interface=127.0.0.1\n", "[mx]\nlisten = off\n"))
    assert running.service.reload() == ()
    running.settle()
    assert sorted(running.ports()) == ["imap", "pop3", "submission"]
    assert running.connect("pop3").said[0].startswith("+OK")
    assert idle.say("a NOOP")[-1].startswith("a OK")


def test_a_stop_says_goodbye(run):
    running = run(CONFIG)
    clients = {service: running.connect(service) for service in ("mx", "imap", "pop3")}
    running.stop()
    assert clients["mx"].heard()[-1].startswith("421 4.3.2")
    assert clients["imap"].heard()[-1].startswith("* BYE")
    assert all(client.transport.closed for client in clients.values())


# ----- neighbours, and what a killed server leaves


def test_a_second_server_on_the_same_folder_ends_before_it_touches_anything(run):
    running = run(CONFIG)
    running.reactor.settle()
    draft = running.service.foundation.drafts.folder / "under-way.draft"
    draft.write_text("half a message")
    with pytest.raises(SystemExit, match="another server uses"):
        run(CONFIG)
    assert draft.exists()


@pytest.mark.parametrize("trouble", [
    pytest.param(("tenancy.occupy", PermissionError(13, "Permission denied", "/var/lib/twistmail")), id="the-folder"),
    pytest.param(("lay", PermissionError(13, "Permission denied", "/var/lib/twistmail/accounts.db")), id="a-file-in-it"),
    pytest.param(("lay", sqlite3.OperationalError("attempt to write a readonly database")), id="a-database"),
])  # fmt: skip
def test_a_data_folder_of_somebody_else_is_told_in_one_line_with_what_to_do(run, monkeypatch, trouble):
    where, error = trouble

    def refuse(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"twistmail.service.{where}", refuse)
        with pytest.raises(SystemExit) as ended:
            run(CONFIG)
    told = str(ended.value)
    assert told.startswith("error: [server] data_dir: ")
    assert str(getattr(error, "filename", None) or error) in told
    assert "chown -R" in told


def test_sockets_that_a_killed_server_has_left_do_not_keep_the_next_from_starting(run):
    """Nor does the number of its process, which somebody else may have by now."""
    first = run(CONFIG)
    folder = first.service.config.data_dir
    first.stop()
    for name in ("run/control.sock", "mx.sock"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(folder / name))
    (folder / "run" / "control.sock.lock").symlink_to(str(os.getpid()))
    second = run(CONFIG.replace("[mx]\nlisten =", "[mx]\nlisten = unix:mx.sock\n        "))
    assert second.service.running


# ----- no network (R58)


def test_a_start_without_any_network_asks_nobody(run, monkeypatch):
    """R58: the resolver of the configuration is out of reach, and no other is thought of."""
    asked: list[object] = []

    def ask(*arguments, **keywords):
        asked.append(arguments)
        raise OSError(101, "Network is unreachable")

    for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr", "getfqdn"):
        monkeypatch.setattr(socket, name, ask)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, ask)
    for name in ("listenUDP", "connectTCP"):
        monkeypatch.setattr(Reactor, name, ask, raising=False)
    running = run(CONFIG.replace("use = zone", "use = resolver\nservers = 192.0.2.1"), discover())
    assert running.connect().said[0].startswith("220 mx.blue.test ESMTP")
    assert running.ready
    client = running.connect()
    assert answer_to(client, "ann@blue.test").startswith("250 2.1.5")
    assert asked == []
    assert client.say("RCPT TO:<authors@blue.test>")[0].startswith("250 2.1.5")
    assert client.content(b"Subject: x\r\n\r\nhello\r\n").startswith("250 2.0.0")
    assert asked
    (item,) = running.service.foundation.queue.items()
    assert [str(errand.target.address) for errand in item.pending] == ["harry@far.test"]


def test_the_daily_tidying_goes_by_the_clock_that_mail_goes_by(run, monkeypatch):
    """In the classroom five days pass at once, and what is due by then goes at once."""
    made: list[LessonClock] = []
    begun = MailService.__init__

    def with_clock(self, config, reactor, *rest, **more):
        made.append(LessonClock(reactor))
        begun(self, config, reactor, *rest, clock=made[0], **more)

    monkeypatch.setattr(MailService, "__init__", with_clock)
    running = run(CONFIG)
    tidied: list[float] = []

    async def tidy():
        tidied.append(made[0].seconds())

    monkeypatch.setattr(running.service.foundation.store, "tidy", tidy)
    running.reactor.pass_time(3, step=0.5)
    assert tidied == []
    made[0].jump(5 * 86400)
    running.reactor.pass_time(3, step=0.5)
    assert len(tidied) == 1, "once for all the days that were left out"
