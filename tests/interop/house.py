"""A twistmail of our own, started as its operators start it: `twistd twistmail`, as an ordinary user, on loopback.

Root starts it with --uid and --gid, because the service refuses to stay root; everybody else starts it directly.
Nothing here imports twistmail: what is asked of the server is asked from outside.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
TWISTD = Path(sys.executable).with_name("twistd")
PASSWORD = "correct-horse-7"
PATIENCE = 25.0  # seconds that any one program may take
NOBODY = 65534
IS_ROOT = os.geteuid() == 0
LISTENS = re.compile(r"twistmail listens: (.*)")
PLACE = re.compile(r"(\w+) 127\.0\.0\.1:(\d+)( \(TLS\))?")

CONFIG = """\
[server]
hostname = mail.{domain}
data_dir = data
postmaster = alice@{domain}
[domains]
local = {domain}
[queue]
allow = memory
[dns]
use = none
[auth]
failures = 1000/1m
[mx]
listen = tcp:{mx}:interface=127.0.0.1
max_rate_per_ip = 100000
max_message = 64M
{more_mx}
[submission]
listen = tls:port=0:interface=127.0.0.1
         tcp:0:interface=127.0.0.1
tls = {tls}
max_rate_per_ip = 100000
max_message = 64M
[imap]
listen = tls:port=0:interface=127.0.0.1
         tcp:0:interface=127.0.0.1
tls = {tls}
max_message = 64M
[pop3]
listen = tls:port=0:interface=127.0.0.1
         tcp:0:interface=127.0.0.1
tls = {tls}
{more}
"""


def environment() -> dict[str, str]:
    """Ours, without what would change the meaning of a configuration, and with twistmail to be imported from here."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TWISTMAIL"))}
    return clean | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run(
    *command: object, expect: int | None = 0, stdin: bytes | str = b"", cwd: Path | None = None, timeout: float = PATIENCE, **environ: str
) -> subprocess.CompletedProcess[str]:
    """What *command* does within *timeout* seconds; it must end with *expect* (None: with anything)."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        cwd=cwd,
        env=environment() | environ,
        timeout=timeout,
        capture_output=True,
        check=False,
    )
    said = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
    assert expect is None or done.returncode == expect, f"{said.args} ended with {said.returncode}:\n{said.stdout}\n{said.stderr}"
    return said


def eventually(ask, what: str, patience: float = 10.0):
    """The first true answer of *ask*(); AssertionError where none comes within *patience* seconds."""
    end = time.monotonic() + patience
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def undisturbed(names: Callable[[], list[Path]], look: Callable[[], T]) -> T:
    """What *look* finds while *names* are the same before and after it. AssertionError where they never are.

    A server that nobody uses has files to rename all the same, and what is renamed during a look may be missed, or seen twice.
    """

    def found() -> tuple[T] | None:
        before = names()
        with contextlib.suppress(FileNotFoundError):
            seen = look()
            return (seen,) if names() == before else None
        return None

    return eventually(found, "the names of files stay as they are", 60.0)[0]


#: Below those that a system gives to whoever connects, and that classrooms take; each process of tests has its own.
_PORTS = [range(start, start + 375) for start in range(9000, 12_000, 375)]
_GIVEN: set[int] = set()


def free_port() -> int:
    """A port of loopback on which nobody listens at the moment, and that nobody was given before: he may not have begun yet."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    left = [port for port in _PORTS[worker % len(_PORTS)] if port not in _GIVEN]
    random.shuffle(left)  # the same tests may run twice on this machine
    for port in left:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _GIVEN.add(port)
            return port
    raise AssertionError("no port is left for this process of tests")


def listens(port: int) -> bool:
    """Does anybody answer on *port*?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def folder(prefix: str = "twistmail-test-", where: Path | None = None) -> Iterator[Path]:
    """A fresh folder (in *where*) that the ordinary user may enter and own; gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
    give_away(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def give_away(path: Path) -> None:
    """Make *path* the ordinary user's."""
    if IS_ROOT:
        os.chown(path, NOBODY, NOBODY)


def as_ordinary_user() -> dict[str, int]:
    """Arguments of subprocess by which root starts a program as the ordinary user."""
    return {"user": NOBODY, "group": NOBODY} if IS_ROOT else {}


@dataclass(frozen=True)
class Person:
    """Somebody with a mailbox."""

    name: str
    domain: str = "blue.test"
    password: str = PASSWORD

    @property
    def address(self) -> str:
        return f"{self.name}@{self.domain}"

    @property
    def url(self) -> str:
        """As it stands before the @ of a URL."""
        return f"{self.name}%40{self.domain}:{self.password}"


class House:
    """One server below *folder*. `configuration` is a whole file, or `more` lines for the usual one.

    `inside` is a command that runs twistd, such as ("unshare", "-m").
    """

    def __init__(
        self,
        folder: Path,
        configuration: str = "",
        *,
        domain: str = "blue.test",
        tls: str = "offered",
        mx: int = 0,
        more_mx: str = "",
        more_queue: str = "",
        more: str = "",
        environ: dict[str, str] | None = None,
        inside: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.domain = domain
        self.data = folder / "data"
        self.config = folder / "config.ini"
        self.log_file = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.ports: dict[tuple[str, bool], int] = {}
        self._environ = environ or {}
        self._inside = inside
        self._marked = 0
        usual = CONFIG.replace("[queue]\n", "[queue]\n" + more_queue)
        self.write(configuration or usual.format(domain=domain, tls=tls, mx=mx, more_mx=more_mx, more=more))
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            give_away(self.data)

    def write(self, configuration: str) -> None:
        self.config.write_text(configuration)

    def add(self, *people: Person) -> None:
        """Make accounts, as the administrator would."""
        for person in people:
            self.twistmail("user", "add", person.address, "--password-stdin", stdin=f"{person.password}\n")

    # ----- the process

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        """Start twistd and do not wait. Everything it says goes to the log."""
        drop = ["--uid", str(NOBODY), "--gid", str(NOBODY)] if IS_ROOT else []
        command = [
            *self._inside,
            str(TWISTD),
            "-n",
            "--pidfile=",
            "--umask=077",
            *drop,
            "twistmail",
            "--config",
            str(self.config),
            *options,
        ]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment() | self._environ
            )
        return self.process

    def start(self) -> House:
        """Start, and wait until it listens."""
        self.mark()
        process = self.launch()
        said = eventually(lambda: LISTENS.search(self.news) or process.poll() is not None, "the server listens", PATIENCE)
        assert isinstance(said, re.Match), f"the server has ended with {process.poll()}:\n{self.news}"
        self.note_ports(said[1])
        return self

    def note_ports(self, said: str) -> None:
        self.ports = {(name, bool(tls)): int(port) for name, port, tls in PLACE.findall(said)}

    def stop(self) -> int:
        """End it by SIGTERM; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    # ----- what can be asked

    def port(self, service: str, *, tls: bool = False) -> int:
        return self.ports[service, tls]

    def twistmail(self, *command: object, expect: int | None = 0, stdin: str = "") -> str:
        """What the administrator's command prints on stdout."""
        program = (sys.executable, "-c", "from twistmail.cli.main import run; run()", "--config", self.config)
        return run(*program, *command, expect=expect, stdin=stdin, cwd=self.folder).stdout

    @property
    def authority(self) -> Path:
        """What clients must trust."""
        return self.data / "tls" / "self-signed.pem"

    def maildir(self, person: Person) -> Path:
        return self.data / "mail" / person.domain / person.name

    def stored(self, person: Person, folder: str = ".") -> list[bytes]:
        """The messages of a folder as they lie on the disk, oldest name first."""
        place = self.maildir(person) / folder

        def paths() -> list[Path]:
            return sorted([*place.glob("new/*"), *place.glob("cur/*")], key=lambda path: path.name)

        return undisturbed(paths, lambda: [path.read_bytes() for path in paths()])

    # ----- the log

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def mark(self) -> None:
        """From here on the log is news."""
        self._marked = len(self.log)

    @property
    def news(self) -> str:
        return self.log[self._marked :]

    def check_log(self) -> None:
        """Show the news, and fail where the server has met a bug."""
        news = self.news
        print(f"--- log of {self.config}\n{news[-20_000:]}")  # noqa: T201 - pytest shows it where the test has failed
        assert "Traceback" not in news, f"the server met a bug:\n{news[-20_000:]}"
        assert "#critical" not in news, f"the server met a bug:\n{news[-20_000:]}"


@contextlib.contextmanager
def running(house: House) -> Iterator[House]:
    """*house*, started, and stopped at the end; its log must be clean."""
    try:
        house.start()
        yield house
    finally:
        if house.process is not None:
            house.stop()
        house.check_log()
