"""twistd starts, reloads and stops us: as an ordinary user, on loopback, with sessions in progress."""

import imaplib
import os
import re
import shutil
import signal
import socket

import pytest

from tests.interop.house import CONFIG, IS_ROOT, ROOT, TWISTD, House, Person, eventually, folder, free_port, listens, run, running
from tests.interop.talk import Talk, send, smtp

ALICE = Person("alice")


@pytest.fixture
def place():
    with folder() as path:
        yield path


# ----- start


def sockets_of(pid):
    """The (family, address) pairs on which process *pid* listens, as the kernel writes them. For root's eyes only."""
    mine = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
    found = set()
    for family in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{family}") as table:
            for line in list(table)[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                    found.add((family, fields[1].partition(":")[0]))
    return found


def test_the_example_starts_unchanged_without_users_and_is_not_seen_from_outside(place):
    example = (ROOT / "config.example.ini").read_text()
    taken = [port for port in map(int, re.findall(r"(?m)^(?:listen =|  +)\s*(?:tcp:|tls:port=)(\d+)", example)) if listens(port)]
    if taken:
        pytest.skip(f"something else listens on {taken}")
    house = House(place, example)
    shutil.rmtree(house.data)
    place.chmod(0o755)
    with running(house):
        assert not IS_ROOT or sockets_of(house.process.pid) == {("tcp", "0100007F")}
        assert os.stat(f"/proc/{house.process.pid}").st_uid != 0
        with Talk(house.port("mx")) as talk:
            assert talk.hear().startswith("220 mail.blue.example ESMTP")
        assert "@" not in house.twistmail("user", "list")
    assert (place / "twistmail-data").stat().st_mode & 0o777 == 0o700


BEGINNING = "[server]\nhostname = mail.blue.test\n"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        pytest.param("[mx]\nlisten = tcp:2525\nbaner = x\n", 'config.ini:5:1: error: unknown key "baner"', id="unknown-key"),
        pytest.param("[imap]\nlisten = tcp:99999\n", "config.ini:4:", id="no-port"),
        pytest.param("[mx]\nstages = limits realying\n", "realying", id="unknown-stage"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_place(place, rest, said):
    house = House(place, BEGINNING + rest)
    assert house.launch().wait(25) == 78
    assert said in house.log
    assert "Traceback" not in house.log


def test_a_port_that_somebody_else_has_is_told(place):
    with socket.create_server(("127.0.0.1", 0)) as other:
        house = House(place, mx=other.getsockname()[1])
        assert house.launch().wait(25) == 1
    assert "another program listens there" in house.log
    assert "Traceback" not in house.log


@pytest.mark.skipif(not IS_ROOT, reason="only root is refused for being root")
def test_root_is_refused(place):
    house = House(place)
    done = run(TWISTD, "-n", "--pidfile=", "twistmail", "--config", house.config, expect=77, cwd=place)
    assert "twistd --uid twistmail --gid twistmail" in done.stderr


def test_some_services_only(place):
    house = House(place)
    house.launch("--only", "imap,pop3")
    try:
        eventually(lambda: "twistmail listens" in house.log, "it starts")
        assert {word.split()[0] for word in house.log.partition("twistmail listens: ")[2].splitlines()[0].split(", ")} == {"imap", "pop3"}
    finally:
        house.stop()


# ----- reload


class Reloaded(House):
    """A server whose configuration is written again and again; `fixed` and `pop3` are the ports of [mx] and of [pop3]."""

    def __init__(self, place):
        self.fixed, self.pop3 = free_port(), free_port()
        super().__init__(place, self.text(pop3=[self.pop3]))

    def text(self, *, mx=(), pop3=(), banner="ESMTP first", more=""):
        """A configuration in which [mx] and [pop3] listen on these further ports."""
        text = CONFIG.format(domain="blue.test", tls="offered", mx=self.fixed, more_mx=f"banner = {banner}\n", more=more)
        for section, ports in (("mx", mx), ("pop3", pop3)):
            for port in ports:
                text = text.replace(f"[{section}]\nlisten = ", f"[{section}]\nlisten = tcp:{port}:interface=127.0.0.1\n         ", 1)
        return text

    def greeting(self):
        """What a new connection to [mx] hears."""
        with Talk(self.fixed) as talk:
            return talk.hear()


@pytest.fixture
def ours(place):
    """A server of our own with alice in it."""
    house = Reloaded(place)
    house.add(ALICE)
    with running(house):
        yield house


def test_sessions_in_progress_finish_and_new_ones_get_the_new_configuration(ours):
    added = free_port()
    idle, pop3, mail = imaplib.IMAP4("127.0.0.1", ours.port("imap")), Talk(ours.pop3), smtp(ours.fixed, "eve@red.test", ALICE.address)
    idle.login(ALICE.address, ALICE.password)
    idle.select("INBOX")
    idle.send(b"i IDLE\r\n")
    assert idle.readline().startswith(b"+")
    for line in ("", f"USER {ALICE.address}", f"PASS {ALICE.password}"):
        assert (pop3.ask(line) if line else pop3.hear()).startswith("+OK")
    ours.write(ours.text(mx=[added], banner="ESMTP second", more="[alias:everybody@blue.test]\nto = alice@blue.test\n"))
    ours.reload()
    eventually(lambda: listens(added), "the new port answers")
    eventually(lambda: not listens(ours.pop3), "the port that is not wanted any more refuses")
    with Talk(added) as new, Talk(ours.fixed) as kept:
        assert [talk.hear().partition(" ")[2].rpartition(" ")[0] for talk in (new, kept)] == ["mail.blue.test ESMTP second"] * 2
    smtp(added, "eve@red.test", "everybody@blue.test").close()
    assert send(mail, "Subject: in between\n\nreloaded\n").startswith("250 2.0.0")
    assert idle.readline() == b"* 1 EXISTS\r\n"
    assert pop3.ask("STAT").startswith("+OK 0 ")
    assert pop3.ask("QUIT").startswith("+OK")
    idle.send(b"DONE\r\n")
    while not (line := idle.readline()).startswith(b"i OK"):
        assert line
    assert mail.ask("QUIT").startswith("221")
    assert "[mx] banner: ESMTP first -> ESMTP second" in ours.news


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("[imap]", "[imap]\nidle_timeot = 5m"), "unknown key", id="unknown-key"),
        pytest.param(("[imap]", "[imap"), "config.ini:", id="no-file-of-ours"),
        pytest.param(("banner = ESMTP first", "banner = ESMTP second\nmax_message = huge"), "max_message", id="wrong-value"),
    ],
)
def test_a_broken_file_changes_nothing(ours, change, said):
    ours.write(ours.text(pop3=[ours.pop3]).replace(*change))
    ours.reload()
    eventually(lambda: "nothing is changed" in ours.news, "the mistake is told")
    assert said in ours.news
    assert listens(ours.pop3)
    assert "ESMTP first" in ours.greeting()
    ours.twistmail("reload", expect=78)


def test_a_port_that_cannot_be_opened_changes_nothing(ours):
    with socket.create_server(("127.0.0.1", 0)) as other:
        ours.write(ours.text(mx=[other.getsockname()[1]], banner="ESMTP second"))
        ours.reload()
        eventually(lambda: "reload: " in ours.news and "listen" in ours.news.partition("reload: ")[2], "the mistake is told")
    assert listens(ours.pop3)
    assert "ESMTP first" in ours.greeting()


def test_the_command_reloads_and_tells_what_has_changed(ours):
    ours.write(ours.text(pop3=[ours.pop3], banner="ESMTP third"))
    assert "ESMTP third" in ours.twistmail("reload")
    assert "ESMTP third" in ours.greeting()


# ----- stop


def test_a_stop_says_goodbye_and_finishes_what_is_under_way(place):
    house = House(place)
    house.add(ALICE)
    with running(house):
        imap, idle_smtp = Talk(house.port("imap")), Talk(house.port("mx"))
        imap.hear()
        idle_smtp.hear()
        house.process.send_signal(signal.SIGTERM)
        assert imap.hear().startswith("* BYE")
        assert idle_smtp.hear().startswith("421 4.3.2")
        imap.close()
        idle_smtp.close()
        # twistd ends by the very signal that it was sent, once everything is closed; 0 where it was stopped otherwise.
        assert house.process.wait(25) in (0, -signal.SIGTERM)
        assert "Server Shut Down" in house.log
    with running(house):
        house.twistmail("stop", "--yes")
        assert house.process.wait(25) == 0
