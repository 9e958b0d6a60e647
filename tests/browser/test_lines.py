"""The lines of the about page do what it says, typed as they stand there."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import time

import pytest

from tests.browser.house import PATIENCE, Classroom, until
from tests.conftest import must_be_there
from twistmail.lab.authority import Authority
from twistmail.lab.copying import lines
from twistmail.lab.offices import OFFICES

#: What is typed into telnet, and how the answer to it begins.
DIALOGUE = (
    ("", b"220 "),
    ("EHLO me\n", b"250 "),
    ("MAIL FROM:<me@pc.example>\n", b"250 "),
    ("RCPT TO:<alice@blue.test>\n", b"250 "),
    ("DATA\n", b"354 "),
    ("Subject: by hand\n\nHello.\n.\n", b"250 2.0.0 Accepted"),
    ("QUIT\n", b"221 "),
)


@pytest.fixture(scope="module")
def typed(classroom: Classroom):
    """typed(name) runs the line and gives (exit status, what it printed); *words* are piped into it, *more* is typed behind it."""
    made = {line.name: line for line in lines(classroom.about, "127.0.0.1")}

    def run(name: str, words: str = "", more: str = "", *, terminal: bool = False) -> tuple[int, str]:
        line = made[name]
        must_be_there((line.program, "script"), "twisted")
        command = ["script", "-qec", line.line + more, "/dev/null"] if terminal else ["sh", "-c", line.line + more]
        environment = os.environ | {"TERM": "xterm"}
        ran = subprocess.run(command, input=words, text=True, stdout=-1, stderr=-2, timeout=PATIENCE * 2, env=environment)
        return ran.returncode, ran.stdout

    return run


@pytest.mark.parametrize(
    ("name", "status", "printed"),
    [
        pytest.param("stranger", 0, r"250 2\.0\.0 Accepted as", id="a-stranger-writes-to-alice"),
        pytest.param("submit", 0, r'peer DN="/O=twistmail classroom/CN=mx\.blue\.test"(?s:.)*235 2\.7\.0', id="alice-logs-in"),
        pytest.param("refused", 24, r"550 5\.7\.1", id="nobody-is-carried-who-is-not-known"),
        pytest.param("mx", 0, r"green\.test\.\s+5\s+IN\s+MX\s+10 mx\.green\.test\.", id="the-dns-answers"),
        pytest.param("imap", 0, r"\* STATUS INBOX \(MESSAGES [1-9]", id="imap-counts"),
        pytest.param("fetch", 0, r"Subject: Lunch\?", id="imap-reads"),
        pytest.param("checked", 0, r"\* STATUS INBOX \(MESSAGES [1-9]", id="imap-inside-checked-tls"),
        pytest.param("certificate", 0, r"Verification: OK", id="the-authority-vouches-for-green"),
        pytest.param("pop3", 0, r"^1 \d+", id="pop3-lists"),
    ],
)
def test_a_line_does_what_it_says(typed, name, status, printed):
    ended, said = typed(name)
    assert ended == status, said
    assert re.search(printed, said, re.MULTILINE), said


@pytest.mark.parametrize(("name", "printed"), [("submit", "verif"), ("checked", "certificate"), ("certificate", "Verification error")])
def test_a_line_that_checks_the_certificate_takes_no_other_authority_s_word(typed, classroom, tmp_path, name, printed):
    other = Authority(tmp_path)
    other.provide(OFFICES, "", time.time())
    line = next(line for line in lines(classroom.about, "127.0.0.1") if line.name == name)
    ran = subprocess.run(["sh", "-c", line.line.replace(classroom.about["authority"], str(other.path))], stdout=-1, stderr=-2, text=True,
                         timeout=PATIENCE, check=False)  # fmt: skip
    assert printed in ran.stdout, ran.stdout
    assert "235 2.7.0" not in ran.stdout
    assert "STATUS INBOX" not in ran.stdout


def test_a_letter_typed_into_curl_arrives(typed, classroom):
    ended, said = typed("send", "Subject: From the keyboard\n\nHello.\n")
    assert ended == 0, said
    until(lambda: "From the keyboard" in classroom.read("/map/latest"), "it is accepted")


def test_mutt_shows_the_inbox(typed):
    ended, said = typed("mutt", more=" -e 'push <quit>'", terminal=True)
    assert ended == 0, said
    assert "Lunch?" in said
    assert "(r)eject" not in said, "it has nothing to ask about the certificate"


def test_telnet_speaks_with_the_office(classroom):
    must_be_there(("telnet",), "twisted")
    line = next(line for line in lines(classroom.about, "127.0.0.1") if line.name == "telnet").line
    keyboard, terminal = pty.openpty()  # a person's telnet: without a terminal it would send other line ends
    talk = subprocess.Popen(line.split(), stdin=terminal, stdout=-1, stderr=-2)
    try:
        for said, answer in DIALOGUE:
            os.write(keyboard, said.encode())
            while not (heard := talk.stdout.readline()).startswith(answer):
                assert heard, f"{said}: no {answer}"
                assert not heard.startswith(b"5"), heard
    finally:
        talk.kill()
        talk.wait()
        talk.stdout.close()
        os.close(keyboard)
        os.close(terminal)
