"""The fixtures that other people's tests use, in tests as they would write them: blocking, with the library's own clients."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import subprocess
import sys
from email.message import EmailMessage

import pytest

from twistmail.testing.classroom import Classroom, Refused
from twistmail.testing.process import NotStarted
from twistmail.testing.process import classroom as begun

pytest_plugins = ["twistmail.testing.plugin"]

HERE = "127.0.0.1"


def welcome(port: int, who: str) -> None:
    """What somebody tests: a program that writes a letter."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "shop@elsewhere.test", who, "Welcome"
    letter.set_content("Your code is 123.\n")
    letter.add_attachment(b"%PDF", "application", "pdf", filename="terms.pdf")
    with smtplib.SMTP(HERE, port, timeout=10) as server:
        server.send_message(letter)


def test_a_letter_of_a_program_is_there(office: Classroom) -> None:
    welcome(office.port("blue", "mx"), "bob@blue.test")
    letter = office.wait_for_message("to:bob subject:welcome")
    assert "123" in letter["Text"]
    assert [file["FileName"] for file in letter["Attachments"]] == ["terms.pdf"]
    assert office.raw(letter["ID"]).startswith(b"Return-Path: <shop@elsewhere.test>")
    assert office.messages("is:unread") == []
    office.delete("subject:welcome")
    assert office.messages() == []


def test_each_test_begins_without_mail_and_without_a_past(office: Classroom) -> None:
    assert office.messages() == []
    assert [event for event in office.events() if event["kind"] == "mail"] == []


def test_programs_read_what_was_sent(office: Classroom) -> None:
    sent = office.send("alice@blue.test", ["bob@blue.test"], "Hi", "there", Headers={"X-Own": "1"})
    accepted = office.wait("mail", office="blue", about=sent["ID"], state="accepted")
    assert accepted["recipients"] == ["bob@blue.test"]
    office.wait_for_message("subject:hi")
    imap = imaplib.IMAP4(HERE, office.port("blue", "imap"), timeout=10)
    imap.login("bob@blue.test", office.password)
    assert imap.select()[1] == [b"1"]
    assert b"X-Own: 1" in imap.fetch("1", "(BODY[])")[1][0][1]
    imap.logout()
    office.wait("read", service="imap", account="bob@blue.test")
    pop3 = poplib.POP3(HERE, office.port("blue", "pop3"), timeout=10)
    pop3.user("bob@blue.test")
    pop3.pass_(office.password)
    assert pop3.stat()[0] == 1
    pop3.quit()


def test_mail_waits_for_an_office_that_is_off_and_time_can_be_let_pass(classroom: Classroom) -> None:
    with classroom.broken("office-off", "green"):
        assert not classroom.offices["green"].on
        sent = classroom.send("alice@blue.test", "carol@green.test", "Later")
        waiting = classroom.wait("queue", office="blue", about=sent["ID"], state="waiting")
    before = classroom.now
    classroom.jump(waiting["next"] - before + 1)
    letter = classroom.wait_for_message("to:carol subject:later")
    assert letter["Journey"] == sent["ID"]
    assert classroom.now > before


def test_what_has_not_happened_says_what_has(classroom: Classroom) -> None:
    classroom.send("alice@blue.test", "bob@blue.test", "Not this")
    with pytest.raises(AssertionError, match=r"no mail .*'red'.* within 0.1 seconds; what has happened:(.|\n)*state=accepted"):
        classroom.wait("mail", office="red", seconds=0.1)
    with pytest.raises(AssertionError, match=r"no message fits 'subject:that' within 0.1 seconds"):
        classroom.wait_for_message("subject:that", seconds=0.1)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        pytest.param(lambda room: room.send("alice@blue.test", "bob"), "400 .*has no @", id="no-address"),
        pytest.param(lambda room: room.send("alice@blue.test", "nobody@blue.test"), "400 .*5.1.1", id="nobody-there"),
        pytest.param(lambda room: room.message("blue-bob-INBOX-99"), "404", id="no-message"),
        pytest.param(lambda room: room.jump(-5), "400 .*number of seconds", id="back-in-time"),
        pytest.param(lambda room: room.break_("no-such-fault", "blue"), "409 .*no fault", id="no-fault"),
        pytest.param(lambda room: room.break_("office-off", "pink"), "409 .*pink", id="no-place"),
    ],
)
def test_what_cannot_be_done_says_why(office: Classroom, act, says) -> None:
    with pytest.raises(Refused, match=says):
        act(office)


def test_faults_are_listed_set_and_mended(classroom: Classroom) -> None:
    names = {fault["name"]: fault for fault in classroom.faults()}
    assert "blue>green" in names["black-hole"]["places"]
    classroom.break_("mailbox-full", "bob@blue.test")
    with pytest.raises(Refused, match=r"4\.2\.2"):
        classroom.send("eve@elsewhere.test", "bob@blue.test")
    classroom.mend_all()
    assert classroom.send("eve@elsewhere.test", "bob@blue.test")["ID"]


def test_a_classroom_that_does_not_start_says_why(tmp_path) -> None:
    (tmp_path / "blue").write_text("a file where a folder should be")
    with pytest.raises(NotStarted, match=r"did not start: .*blue"), begun(offices=1, keep=tmp_path):
        pass


def test_a_classroom_ends_with_who_has_begun_it() -> None:
    program = (
        "from twistmail.testing.process import classroom\nimport os\nwith classroom(1) as room:\n print(room.url, flush=True)\n os._exit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 3
    url = ended.stdout.decode().strip()
    with pytest.raises(OSError):
        raise AssertionError([Classroom(url) for _ in range(1000)])  # it ends soon, and has some requests' time
