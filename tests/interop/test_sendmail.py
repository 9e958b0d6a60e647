"""Programs of this machine send through the running server, as whoever they run as (R57)."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
from email.parser import BytesParser
from pathlib import Path

import pytest

from tests.interop.house import IS_ROOT, House, Person, environment, eventually, folder, give_away, running

ALICE, DAEMON = Person("alice"), Person("daemon")
NO_PERMISSION, TRY_AGAIN, NO_USER, BAD_DATA, USAGE = 77, 75, 67, 65, 64
MORE = """\
[queue]
pickup = {place}/home/pickup
[submission]
listen = tcp:0:interface=127.0.0.1
         unix:{place}/submit.sock:mode=666
tls = required
local_senders = {senders}
[aliases]
source = config file:{place}/aliases
[alias:boss@blue.test]
to = alice
[alias:staff@blue.test]
to = daemon alice
"""


#: Who it is to be may not be allowed to read the program.
PROGRAM = (
    "import os; from twistmail.cli.sendmail import run; from twistmail.cli import dropping; "
    "from twistmail.queue import dropbox, spool; from twistmail.servers import smtp_options; from twistmail.wire.smtp import server; "
    "{become}run()"
)


class Office:
    """A server with a door for programs, and its users."""

    def __init__(self, house: House, place: os.PathLike[str]) -> None:
        self.house = house
        self.place = Path(place)
        self.pickup = self.place / "home/pickup"
        self.socket = f"{place}/submit.sock"
        self._had: dict[Person, int] = {}

    def mark(self) -> None:
        """What has come is old."""
        self.house.mark()
        self._had = {person: len(self.house.stored(person)) for person in (ALICE, DAEMON)}

    def new(self, person: Person) -> list[bytes]:
        """What has come since the mark."""
        return self.house.stored(person)[self._had.get(person, 0) :]

    def sendmail(
        self, *arguments: str, message: str = "Subject: hi\n\nhello\n", user: int | None = None, pickup: object = "/nowhere"
    ) -> tuple[int, str]:
        """The exit code, and what is said. *user* None: whoever runs the tests. *pickup*: where mail is left without a server."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(become=f"os.setgid({user}); os.setuid({user}); " if user else ""), *arguments],
            input=message.encode(), capture_output=True, timeout=25, check=False, cwd="/",
            env=environment() | {"TWISTMAIL_SUBMIT": self.socket, "TWISTMAIL_PICKUP": str(pickup)},
        )  # fmt: skip
        return done.returncode, done.stderr.decode()

    def latest(self, person: Person):
        """The message that has come since the mark."""
        return BytesParser().parsebytes(eventually(lambda: self.new(person), f"mail for {person.name}")[-1])


@contextlib.contextmanager
def opened(senders: str = "owner"):
    with folder() as place:
        place.chmod(0o755)
        home = place / "home"
        home.mkdir()
        give_away(home)
        (place / "aliases").write_text("flintstone: alice\n")
        with running(House(home, more=MORE.format(place=place, senders=senders))) as house:
            house.add(ALICE, DAEMON)
            yield Office(house, place)


@pytest.fixture(scope="module")
def shared():
    with opened() as made:
        yield made


@pytest.fixture
def office(shared):
    shared.mark()
    yield shared
    shared.house.check_log()


DAEMONS = 1
as_daemon = pytest.mark.skipif(not IS_ROOT, reason="only root can be somebody else")


def test_whoever_runs_the_program_is_the_sender(office):
    me = pwd.getpwuid(os.getuid()).pw_name
    assert office.sendmail("alice") == (0, "")
    message = office.latest(ALICE)
    assert (message["From"], message["Return-Path"]) == (f"{me}@blue.test", f"<{me}@blue.test>")
    assert (message["Subject"], message.get_payload()) == ("hi", "hello\n")
    assert message["Message-ID"]
    assert "with ESMTPA" in " ".join(message["Received"].split())


def test_recipients_may_stand_in_the_header_and_blind_ones_go(office):
    assert office.sendmail("-t", "-oi", message="To: Al <alice>\nBcc: daemon\nSubject: x\n\n.\nrest\n") == (0, "")
    assert (office.latest(ALICE)["To"], office.latest(ALICE)["Bcc"]) == ("Al <alice@blue.test>", None)
    assert office.latest(DAEMON).get_payload() == ".\nrest\n"


@as_daemon
def test_a_user_sends_as_himself_and_as_what_is_his(office):
    assert office.sendmail("-f", "staff@blue.test", "-F", "The Staff", "alice@blue.test", user=DAEMONS) == (0, "")
    message = office.latest(ALICE)
    assert (message["Return-Path"], message["From"]) == ("<staff@blue.test>", '"The Staff" <staff@blue.test>')


@as_daemon
def test_a_user_may_not_send_as_another(office):
    code, said = office.sendmail("-f", "boss@blue.test", "alice", user=DAEMONS)
    assert (code, said) == (NO_PERMISSION, "sendmail: That address is not yours to send from\n")
    assert office.new(ALICE) == []


@as_daemon
def test_root_is_trusted(office):
    assert office.sendmail("-fboss@blue.test", "alice", message="From: boss@blue.test\n\nx\n") == (0, "")
    message = office.latest(ALICE)
    assert (message["Return-Path"], message["Sender"], message["X-Authentication-Warning"]) == ("<boss@blue.test>", None, None)


@as_daemon
def test_where_it_is_only_warned_the_message_tells_who_it_was():
    with opened("warn") as office:
        assert office.sendmail("-f", "boss@blue.test", "alice", user=DAEMONS) == (0, "")
        message = office.latest(ALICE)
    assert message["Return-Path"] == "<boss@blue.test>"
    assert message["X-Authentication-Warning"] == "mail.blue.test: daemon set sender to boss@blue.test using -f"
    assert message["Sender"] == "daemon@blue.test"


@pytest.mark.parametrize("nobody", ["<>", ""])
def test_a_report_has_no_sender(office, nobody):
    assert office.sendmail("-f", nobody, "alice") == (0, "")
    assert office.latest(ALICE)["Return-Path"] == "<>"


@pytest.mark.parametrize(("arguments", "message", "code", "said"), [
    pytest.param(("nobody-here",), "x\n", NO_USER, "nobody-here: There is no mailbox of that name here", id="an-unknown-recipient"),
    pytest.param(("alice", "nobody-here"), "x\n", NO_USER, "nobody-here: ", id="one-of-two"),
    pytest.param(("alice",), "To: nobody-here\n\nx\n", BAD_DATA, "To: nobody-here has no domain", id="an-unknown-name-in-the-header"),
    pytest.param((), "x\n", USAGE, "nobody is named", id="nobody"),
    pytest.param(("-t",), "Subject: x\n\nx\n", USAGE, "neither To nor Cc nor Bcc", id="nobody-in-the-header"),
    pytest.param(("\u2013bp",), "", USAGE, "did you mean -bp?", id="a-dash-of-the-wrong-kind"),
])  # fmt: skip
def test_what_cannot_be_sent_is_told_by_the_exit_code(office, arguments, message, code, said):
    found, text = office.sendmail(*arguments, message=message)
    assert (found, said in text) == (code, True), text
    assert office.new(ALICE) == []


def test_while_the_server_is_down_nothing_is_lost_silently():
    with opened() as office:
        office.house.stop()
        code, said = office.sendmail("alice", pickup=office.place / "nowhere")
    assert (code, "nothing was sent" in said) == (TRY_AGAIN, True), said


@as_daemon
def test_what_is_sent_while_the_server_is_down_is_delivered_when_it_runs():
    """R35: left by an ordinary user, with no program that has the rights of another; a kill of the server changes nothing."""
    with opened() as office:
        office.house.kill()
        assert office.sendmail("alice", user=DAEMONS, pickup=office.pickup) == (0, "")
        assert office.sendmail("alice", "nobody-here", message="Subject: partly\n\nhello\n", user=DAEMONS, pickup=office.pickup) == (0, "")
        assert office.new(ALICE) == []
        office.house.start()
        eventually(lambda: len(office.new(ALICE)) == 2, "both messages")
        report = office.latest(DAEMON)
        assert (report.get_content_type(), report["Return-Path"]) == ("multipart/report", "<>")
        assert "nobody-here@blue.test" in report.as_string()
        eventually(lambda: not list((office.pickup / "new").iterdir()), "nothing is left")
        socket, office.socket = office.socket, "/nowhere"
        assert office.sendmail("alice", message="Subject: running\n\nhello\n", user=DAEMONS, pickup=office.pickup) == (0, "")
        office.socket = socket
        eventually(lambda: len(office.new(ALICE)) == 3, "what is left while it runs")
        assert {message["Return-Path"] for message in map(BytesParser().parsebytes, office.new(ALICE))} == {"<daemon@blue.test>"}
        office.house.check_log()


def test_the_administrators_command_finds_the_socket_by_the_configuration(office):
    office.house.twistmail("sendmail", "-i", "alice", stdin="Subject: x\n\nhello\n")
    assert office.latest(ALICE)["Subject"] == "x"
