"""The units that `twistmail setup --unit` writes: what systemd thinks of them, and a server that is started through sockets."""

from __future__ import annotations

import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.house import (
    IS_ROOT,
    NOBODY,
    PATIENCE,
    TWISTD,
    House,
    Person,
    environment,
    eventually,
    folder,
    free_port,
    give_away,
    listens,
    run,
    running,
)

#: Of 100; what a service without any fence has is 96.
EXPOSED_AT_MOST = 20
LOW = "[mx]\nlisten = tcp:25\n[imap]\nlisten = tls:port=993\n tcp:143:interface=\\:\\:1\n[submission]\nlisten = tcp:2587\n"
CONFIG = "[server]\nhostname = mail.blue.test\ndata_dir = {data}\n[domains]\nlocal = blue.test\n[dns]\nuse = none\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with the units of a server on low ports."""
    (tmp_path / "config.ini").write_text(CONFIG.format(data="/var/lib/twistmail") + LOW)
    run(*_twistmail(tmp_path), "setup", "--unit", "--to", tmp_path / "units")
    return tmp_path / "units"


def _twistmail(place: Path) -> tuple[object, ...]:
    return sys.executable, "-c", "from twistmail.cli.main import run; run()", "--config", place / "config.ini"


def test_there_is_a_socket_for_every_low_port(written: Path) -> None:
    names = sorted(path.name for path in written.iterdir())
    assert names == ["twistmail-imap-143-__1.socket", "twistmail-imap-993.socket", "twistmail-mx-25.socket", "twistmail.service"]
    assert "ListenStream=[::1]:143\n" in (written / names[0]).read_text()
    service = (written / "twistmail.service").read_text()
    assert f"Sockets={' '.join(names[:3])}\n" in service
    assert "User=twistmail\n" in service
    assert "StateDirectory=twistmail\n" in service


@pytest.mark.client("systemd-analyze")
def test_systemd_understands_every_line(written: Path) -> None:
    done = run("systemd-analyze", "verify", "--man=no", *sorted(written.iterdir()), expect=None)
    ours = [line for line in done.stderr.splitlines() if "twistmail" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.client("systemd-analyze")
def test_systemd_finds_the_service_well_hemmed_in(written: Path) -> None:
    service = written / "twistmail.service"
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSED_AT_MOST}", "--no-pager", service)
    bare = written / "bare.service"
    bare.write_text("\n".join(line for line in service.read_text().splitlines() if line.startswith(("[", "Exec", "Type"))))
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSED_AT_MOST}", "--no-pager", bare, expect=1)


def test_nothing_is_overwritten_unless_one_insists(written: Path) -> None:
    place, service = written.parent, written / "twistmail.service"
    before = service.read_text()
    run(*_twistmail(place), "setup", "--unit", "--to", written)  # the same once more
    service.write_text(before.replace("Restart=always", "Restart=no"))
    done = run(*_twistmail(place), "setup", "--unit", "--to", written, expect=73)
    assert "says something else" in done.stderr
    assert "Restart=no" in service.read_text()
    run(*_twistmail(place), "setup", "--unit", "--to", written, "--force")
    assert service.read_text() == before


# ----- the running server


#: What only --uid needs.
DROPPING = {"setuid", "setgid", "setgroups", "setresuid", "setresgid", "setreuid", "setregid", "capset"}


def _a_day(house: House) -> None:
    """Something of everything: TLS, a login, mail that comes and goes, a search, a certificate, a reload."""
    alice = Person("alice")
    house.add(alice)
    context = ssl.create_default_context(cafile=str(house.authority))
    with smtplib.SMTP("localhost", house.port("submission"), timeout=PATIENCE) as sender:
        sender.starttls(context=context)
        sender.login(alice.address, alice.password)
        sender.sendmail(alice.address, [alice.address], b"Subject: fences\r\n\r\nnothing is in the way\r\n")
    eventually(lambda: house.stored(alice), "the mail is there")
    with imaplib.IMAP4_SSL("localhost", house.port("imap", tls=True), ssl_context=context, timeout=PATIENCE) as reader:
        reader.login(alice.address, alice.password)
        reader.select("INBOX")
        assert reader.search(None, "TEXT", "nothing")[1] == [b"1"]
        reader.create("Kept")
        reader.copy("1", "Kept")
        reader.store("1", "+FLAGS", r"\Deleted")
        reader.expunge()
    caller = poplib.POP3_SSL("localhost", house.port("pop3", tls=True), context=context, timeout=PATIENCE)
    caller.user(alice.address)
    caller.pass_(alice.password)
    caller.quit()
    house.twistmail("cert", "check", expect=None)
    house.twistmail("reload")
    assert "queue: 0 messages" in house.twistmail("status")


@pytest.mark.client("strace", "systemd-analyze")
def test_every_system_call_of_a_day_is_allowed(written: Path) -> None:
    service = (written / "twistmail.service").read_text().splitlines()
    allowed: set[str] = set()
    for line in service:
        if line.startswith("SystemCallFilter="):
            words = line.partition("=")[2]
            calls = _calls_of(words.removeprefix("~"))
            allowed = allowed - calls if words.startswith("~") else allowed | calls
    assert {"read", "epoll_wait"} <= allowed
    assert not {"mount", "ptrace", "chown", "setuid", "kexec_load"} & allowed
    with folder() as place:
        give_away(place)
        house = House(place, inside=("strace", "-D", "-f", "-c", "-U", "name", "-o", str(place / "calls")))
        with running(house):
            _a_day(house)
        said = eventually((place / "calls").read_text, "strace has counted")
        made = {line.strip() for line in said.splitlines()} - {"", "syscall", "total"}
    assert {"epoll_wait", "fdatasync"} & made
    assert {call for call in made if not call.startswith("-")} - allowed - DROPPING == set()


def _calls_of(group: str) -> set[str]:
    """The system calls that systemd means by *group*, groups in it followed."""
    lines = [line.strip() for line in run("systemd-analyze", "--no-pager", "syscall-filter", *group.split()).stdout.splitlines()]
    found = {line for line in lines if line and not line.startswith(("@", "#"))}
    for inner in {line for line in lines if line.startswith("@")} - set(group.split()):
        found |= _calls_of(inner)
    return found


def _status(process: subprocess.Popen[bytes]) -> dict[str, list[str]]:
    """What the kernel says of *process*."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def _is_nobody_with_nothing(status: dict[str, list[str]]) -> bool:
    none = [f"{0:016x}"]
    return (
        (status["Uid"], status["Gid"]) == ([str(NOBODY)] * 4, [str(NOBODY)] * 4)
        and set(status["Groups"]) <= {str(NOBODY)}
        and [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [none] * 4
        and (status["NoNewPrivs"], status["Umask"]) == (["1"], ["0077"])
    )


@pytest.mark.skipif(not IS_ROOT, reason="only root can drop to another user")
def test_after_the_ports_are_open_nothing_of_root_is_left() -> None:
    with folder() as place:
        house = House(place)
        try:
            house.start()
            assert house.process is not None
            assert _is_nobody_with_nothing(_status(house.process))
        finally:
            house.stop()


class Started(House):
    """Started by *command* instead of twistd's usual one."""

    def __init__(self, place: Path, command: tuple[str, ...], **rest: Any) -> None:
        super().__init__(place, **rest)
        self.command = command

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        words = [*self.command, "twistmail", "--config", str(self.config)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment() | self._environ)  # fmt: skip
        return self.process


BARE = (str(TWISTD), "-n", "--pidfile=")


@pytest.mark.skipif(not IS_ROOT, reason="only root can keep being root")
@pytest.mark.parametrize(("options", "said"), [
    pytest.param(("--uid", "0"), "does not run as root", id="uid-0"),
    pytest.param(("--uid", str(NOBODY), "--gid", str(NOBODY), "--euid"), "is root", id="euid"),
    pytest.param((), "does not run as root", id="no-uid"),
])
def test_whoever_stays_root_does_not_serve(options: tuple[str, ...], said: str) -> None:
    with folder() as place:
        house = Started(place, (*BARE, *options))
        process = house.launch()
        assert process.wait(PATIENCE) != 0
        assert said in house.log
        assert "twistmail listens" not in house.log
        assert not (house.data / "queue").exists()


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a capability away")
@pytest.mark.client("setpriv")
def test_the_right_to_open_low_ports_ends_when_they_are_open() -> None:
    port = next(port for port in range(1023, 600, -1) if not listens(port))
    only = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+net_bind_service",
            "--ambient-caps=+net_bind_service")  # fmt: skip
    with folder() as place:
        house = Started(place, (*only, *BARE), mx=port)
        try:
            house.start()
            assert house.port("mx") == port
            assert house.process is not None
            assert _is_nobody_with_nothing(_status(house.process))
        finally:
            house.stop()


@pytest.mark.skipif(not IS_ROOT, reason="only root has rights to keep")
@pytest.mark.client("setpriv")
def test_the_rights_of_a_service_that_begins_as_root_suffice_and_end() -> None:
    """As its unit says where mail belongs to users of the machine (tests/test_units.py)."""
    bounded = ("setpriv", "--bounding-set=-all,+chown,+dac_override,+setgid,+setuid", "--no-new-privs")
    with folder() as place:
        house = House(place, inside=bounded)
        with running(house):
            assert house.process is not None
            assert _is_nobody_with_nothing(_status(house.process))
            with socket.create_connection(("127.0.0.1", house.port("mx")), PATIENCE) as caller:
                assert caller.recv(100).startswith(b"220 ")


@pytest.mark.client("systemd-socket-activate")
def test_a_server_serves_on_the_sockets_that_systemd_has_opened(tmp_path: Path) -> None:
    """One by the usual words for a place, one by its name; and it says when it is ready."""
    smtp, imap = free_port(), free_port()
    with folder() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind(str(place / "notify"))
        os.chmod(place / "notify", 0o777)
        hearing.settimeout(PATIENCE)
        who = ("--uid", str(NOBODY), "--gid", str(NOBODY)) if IS_ROOT else ()
        activate = ("systemd-socket-activate", "-l", f"127.0.0.1:{smtp}", "-l", f"127.0.0.1:{imap}", "--fdname=mx:imap",
                    f"--setenv=NOTIFY_SOCKET={place}/notify", "--setenv=PYTHONPATH", *BARE, *who)  # fmt: skip
        config = CONFIG.format(data="data") + (
            f"[mx]\nlisten = tcp:{smtp}:interface=127.0.0.1\n[imap]\nlisten = systemd:domain=INET:name=imap\n"
        )
        house = Started(place, activate, configuration=config)
        give_away(place)
        try:
            house.launch()
            eventually(lambda: listens(smtp) or None, "the sockets are open")  # the first connection starts the server
            assert hearing.recv(100) == b"READY=1"
            for port, word in ((smtp, b"220 mail.blue.test"), (imap, b"* OK")):
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
                    assert caller.recv(100).startswith(word)
            house.twistmail("reload")
            with imaplib.IMAP4("127.0.0.1", imap, PATIENCE) as reader:
                assert "IMAP4REV1" in reader.capabilities
        finally:
            assert house.process is not None
            house.stop()
        house.check_log()
        assert hearing.recv(100) == b"STOPPING=1"
