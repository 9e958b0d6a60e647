"""`twistmail demo`: what a stranger types first."""

from __future__ import annotations

import imaplib
import os
import poplib
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TWISTMAIL = str(Path(sys.executable).with_name("twistmail"))
MOST_SECONDS = 20.0


class Demo:
    """A running demo: what it printed, and the ports it printed."""

    def __init__(self, process: subprocess.Popen[str], text: str) -> None:
        self.process = process
        self.text = text
        self.folder = Path(re.search(r"mail +(\S+)/mail/blue\.test/alice", text)[1])
        self.mx, self.imap, self.pop3 = (
            int(re.search(pattern, text)[1])
            for pattern in (r"SMTP \(MX\) +127\.0\.0\.1:(\d+)", r"IMAP +127\.0\.0\.1:(\d+)", r"POP3 +127\.0\.0\.1:(\d+)")
        )


@contextmanager
def demo(*arguments: str) -> Iterator[Demo]:
    """A demo that listens; ended by its pid whatever happens."""
    process = subprocess.Popen([TWISTMAIL, "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        text = ""
        while "Stop: Ctrl-C" not in text:
            line = process.stdout.readline()
            assert line, f"the demo ended early: {text}"
            text += line
        yield Demo(process, text)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def test_a_stranger_writes_alice_reads_and_ctrl_c_leaves_nothing() -> None:
    with demo() as running:
        with smtplib.SMTP("127.0.0.1", running.mx, timeout=MOST_SECONDS) as client:
            client.sendmail("eve@red.test", ["alice@blue.test"], "Subject: Lunch?\r\n\r\nSoup.\r\n")
        reader = imaplib.IMAP4("127.0.0.1", running.imap, timeout=MOST_SECONDS)
        reader.login("alice@blue.test", "demo")
        assert reader.select("INBOX")[1] == [b"1"]
        reader.logout()
        box = poplib.POP3("127.0.0.1", running.pop3, timeout=MOST_SECONDS)
        box.user("alice")
        box.pass_("demo")
        assert b"Soup." in box.retr(1)[1]
        box.quit()
        assert (running.folder / "mail/blue.test/alice/cur").is_dir()
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
            assert re.search(r"port 1025 \(mx\) is taken; \d+ is used instead", running.text)
            assert running.mx != 1025
            with smtplib.SMTP("127.0.0.1", running.mx, timeout=MOST_SECONDS) as client:
                assert client.noop()[0] == 250


def test_mail_for_others_waits_in_the_queue_and_the_printed_command_shows_why(tmp_path: Path) -> None:
    with demo("--keep", str(tmp_path / "kept")) as running:
        submission = int(re.search(r"submission +127\.0\.0\.1:(\d+)", running.text)[1])
        with smtplib.SMTP("127.0.0.1", submission, timeout=MOST_SECONDS) as client:
            client.login("alice@blue.test", "demo")
            client.sendmail("alice@blue.test", ["carol@green.test"], "Subject: Hello\r\n\r\nHello.\r\n")
        environment = os.environ | {"TWISTMAIL_CONFIG": str(running.folder / "config.ini")}
        end = time.monotonic() + MOST_SECONDS
        while "451" not in (listed := subprocess.run([TWISTMAIL, "queue", "list"], capture_output=True, text=True, env=environment).stdout):
            assert time.monotonic() < end, listed
        assert "carol@green.test" in listed
        running.process.send_signal(signal.SIGINT)
        running.process.communicate(timeout=MOST_SECONDS)
    assert list((tmp_path / "kept" / "queue").rglob("*.envelope"))
    with demo("--keep", str(tmp_path / "kept")) as again:
        listed = subprocess.run([TWISTMAIL, "queue", "list"], capture_output=True, text=True, env=environment).stdout
        assert "carol@green.test" in listed, "what waited waits on"
        assert again.folder == tmp_path / "kept"
