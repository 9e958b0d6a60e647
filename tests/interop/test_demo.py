"""`twistmail demo`: what a stranger types first, as a process of its own."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TWISTMAIL = str(Path(sys.executable).with_name("twistmail"))
TWISTD = str(Path(sys.executable).with_name("twistd"))
MOST_SECONDS = 60.0
NOBODY = "65534"
LETTER = "Subject: Lunch?\r\nFrom: alice@blue.test\r\nTo: carol@green.test\r\n\r\nSoup.\r\n"


class Demo:
    """A running demo: what it printed, and what stands in that."""

    def __init__(self, process: subprocess.Popen[str], text: str) -> None:
        self.process = process
        self.text = text
        self.watch = re.search(r"watch +(\S+)", text)[1]
        self.folder = Path(re.search(r"where the mail lies +(\S+)/blue/data/mail", text)[1])
        self.ports = {name: [int(port) for port in re.findall(r"\d+", line)[:7]]
                      for name, line in re.findall(r"^  (blue|green|red)\.test (.*)$", text, re.MULTILINE)}  # fmt: skip

    def port(self, office: str, service: str) -> int:
        return self.ports[office][("mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s").index(service)]


@contextmanager
def demo(*arguments: str, command: tuple[str, ...] = (TWISTMAIL, "demo")) -> Iterator[Demo]:
    """A demo that listens; ended by its pid whatever happens."""
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = ""
    try:
        while "stop: Ctrl-C" not in text:
            line = process.stdout.readline()
            assert line, f"the demo ended early: {text}"
            text += line
        yield Demo(process, text)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        if "nothing is kept" in text and (folder := Demo(process, text).folder).name.startswith("twistmail-demo-"):
            shutil.rmtree(folder, ignore_errors=True)  # who is killed leaves it


def submit(running: Demo, sender: str, recipient: str) -> None:
    office = sender.partition("@")[2].removesuffix(".test")
    with smtplib.SMTP("127.0.0.1", running.port(office, "submission"), timeout=MOST_SECONDS) as client:
        client.login(sender, "demo")
        client.sendmail(sender, [recipient], LETTER)


def inbox(running: Demo, who: str) -> int:
    """Messages in somebody's INBOX."""
    office = who.partition("@")[2].removesuffix(".test")
    with imaplib.IMAP4("127.0.0.1", running.port(office, "imap"), timeout=MOST_SECONDS) as reader:
        reader.login(who, "demo")
        return int(reader.select("INBOX")[1][0])


def wait_until(is_so: object) -> None:
    end = time.monotonic() + MOST_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_mail_goes_from_office_to_office_the_pages_are_there_and_ctrl_c_leaves_nothing() -> None:
    with demo() as running:
        submit(running, "alice@blue.test", "carol@green.test")
        wait_until(lambda: inbox(running, "carol@green.test") == 1)
        box = poplib.POP3("127.0.0.1", running.port("green", "pop3"), timeout=MOST_SECONDS)
        box.user("carol@green.test")
        box.pass_("demo")
        assert b"Soup." in box.retr(1)[1]
        box.quit()
        with urllib.request.urlopen(running.watch, timeout=MOST_SECONDS) as page:
            assert b"green.test" in page.read()
        assert list((running.folder / "green/data/mail/green.test").iterdir())
        running.process.send_signal(signal.SIGINT)
        rest, _ = running.process.communicate(timeout=MOST_SECONDS)
        assert running.process.returncode == 0
        assert "everything is removed" in rest
        assert "Traceback" not in running.text + rest
        assert not running.folder.exists()


def test_a_port_that_is_taken_is_told_and_another_one_used() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 1025))
            taken.listen()
        except OSError:
            pass  # somebody else has it: as good
        with demo() as running:
            assert re.search(r"port 1025 \(blue mx\) is taken; \d+ is used instead", running.text)
            assert running.port("blue", "mx") != 1025
            with smtplib.SMTP("127.0.0.1", running.port("blue", "mx"), timeout=MOST_SECONDS) as client:
                assert client.noop()[0] == 250


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short enough for the sockets in it."""
    with tempfile.TemporaryDirectory(prefix="twistmail-test-") as folder:
        yield Path(folder)


def test_what_is_kept_is_there_again_and_the_usual_commands_work_on_it(short: Path) -> None:
    kept = short / "kept"
    with demo("--keep", str(kept)) as running:
        submit(running, "alice@blue.test", "bob@blue.test")
        submit(running, "alice@blue.test", "nobody@elsewhere.example")
        environment = os.environ | {"TWISTMAIL_CONFIG": str(kept / "blue/config.ini")}
        called = subprocess.run([TWISTMAIL, "user", "list", "--json"], capture_output=True, text=True, env=environment)
        assert "alice@blue.test" in called.stdout, called.stderr
        assert [json.loads(line)["enabled"] for line in called.stdout.splitlines()] == [True, True]
        wait_until(lambda: inbox(running, "alice@blue.test") == 1)  # there is no elsewhere.example: it comes back
        running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=MOST_SECONDS)
    with demo("--keep", str(kept)) as again:
        assert again.folder == kept
        assert inbox(again, "bob@blue.test") == 1


@pytest.mark.parametrize("folder", [pytest.param("a file", id="a file"), pytest.param("a file/below", id="below a file")])
def test_a_folder_that_cannot_be_is_told_in_words(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file").touch()
    ended = subprocess.run([TWISTMAIL, "demo", "--keep", str(tmp_path / folder)], capture_output=True, text=True, timeout=MOST_SECONDS)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "a file" in ended.stderr


def test_a_second_demo_in_the_same_folder_is_told_so(short: Path) -> None:
    with demo("--keep", str(short)):
        ended = subprocess.run([TWISTMAIL, "demo", "--keep", str(short)], capture_output=True, text=True, timeout=MOST_SECONDS)
        assert ended.returncode == 1
        assert "another classroom uses" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_folder_whose_name_is_too_long_for_sockets_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    kept = tmp_path / ("k" * 100)
    ended = subprocess.run([TWISTMAIL, "demo", "--keep", str(kept)], capture_output=True, text=True, timeout=MOST_SECONDS)
    assert ended.returncode != 0
    assert "shorter name" in ended.stderr
    assert not kept.exists()


def test_twistd_serves_the_classroom_too(tmp_path: Path) -> None:
    who = ("--uid", NOBODY, "--gid", NOBODY) if os.geteuid() == 0 else ()
    with demo(command=(TWISTD, "-n", *who, f"--pidfile={tmp_path / 'pid'}", "twistmail", "--demo")) as running:
        assert running.folder.stat().st_uid == int(NOBODY if who else os.geteuid())
        submit(running, "bob@blue.test", "mallory@red.test")
        wait_until(lambda: inbox(running, "mallory@red.test") == 1)
        running.process.send_signal(signal.SIGINT)
        running.process.communicate(timeout=MOST_SECONDS)
        assert running.process.returncode in (0, -signal.SIGINT)
        assert not running.folder.exists()


def lan_address() -> str:
    """An address of this machine that is not loopback; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


@pytest.mark.skipif(not lan_address(), reason="this machine is in no network")
def test_a_class_comes_in_over_the_lan_with_the_code_of_the_room(tmp_path: Path) -> None:
    with demo("--lan", "--keep", str(tmp_path)) as running:
        address, code = re.search(r"class +(\S+) +code of the room: (\d{6})", running.text).groups()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        page = browser.open(address, timeout=MOST_SECONDS)
        assert page.url.endswith("/room")
        token = re.search(r'name="token" value="([^"]+)"', page.read().decode())[1]
        entered = browser.open(address + "room", f"token={token}&code={code}".encode(), timeout=MOST_SECONDS)
        assert b"green.test" in entered.read()
        account, password = (tmp_path / "roster.csv").read_text().splitlines()[1].split(",")[:2]
        host = re.search(r"//([^:/]+)", address)[1]
        with smtplib.SMTP(host, running.port("blue", "submission"), timeout=MOST_SECONDS) as client:
            with pytest.raises(smtplib.SMTPException):
                client.login(account, password)
            client.starttls()
            client.login(account, password)
            client.sendmail(account, ["carol@green.test"], LETTER)
        wait_until(lambda: inbox(running, "carol@green.test") == 1)
    with demo() as alone, pytest.raises(OSError):
        socket.create_connection((lan_address(), alone.port("blue", "mx")), timeout=MOST_SECONDS).close()
