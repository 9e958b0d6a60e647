"""Connections to other servers in a process of their own: that there is one, whose it is, and what comes of its end and of ours."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.interop.house import House, Person, as_ordinary_user, environment, eventually, folder, free_port, running

ALICE, CAROL = Person("alice"), Person("carol", domain="green.test")
MORE = "relay_networks = 127.0.0.1\n[route:green.test]\nvia = [127.0.0.1]:{port}\n[relay]\nprocess = yes\nretry = 1s 1h\n"


def may_be_started():
    """Whether the server, who is somebody else where root starts it, may start the Python that runs the tests."""
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, cwd="/", env=environment(), **as_ordinary_user())
    except PermissionError:
        return False
    return True


pytestmark = pytest.mark.skipif(not may_be_started(), reason="the ordinary user may not start this Python")


@pytest.fixture(scope="module")
def green():
    """Where the mail goes: green.test, which offers STARTTLS."""
    with folder() as place, running(House(place, domain="green.test", mx=free_port())) as house:
        house.add(CAROL)
        yield house


@contextlib.contextmanager
def sending(green):
    with folder() as place:
        more = MORE.format(port=green.port("mx"))
        with running(House(place, more_mx=more)) as house:
            yield house


def send(house, subject):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as client:
        client.sendmail(ALICE.address, [CAROL.address], f"Subject: {subject}\r\n\r\nhello\r\n")


def arrived(green, subject):
    return next((one for one in green.stored(CAROL) if f"\nSubject: {subject}\n".encode() in one), None)


def carriers(house):
    """The process ids of those that *house* has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_carrier = b"twistmail.relay.carrying" in (place / "cmdline").read_bytes()
            if is_carrier and f"PPid:\t{house.process.pid}\n" in (place / "status").read_text():
                found.append(int(place.name))
    return found


def with_carrier(house, green, name):
    """*house* has sent something, has a process for it, and this has the connection that is kept; its id."""
    send(house, f"{name} first")
    (pid,) = eventually(lambda: carriers(house), "a process for connections")
    number = 0
    end = time.monotonic() + 20
    while not connected(pid):
        assert time.monotonic() < end, "it never carried anything"
        number += 1
        send(house, f"{name} {number}")
        eventually(lambda number=number: arrived(green, f"{name} {number}"), "mail in a mailbox")
    return pid


def connected(pid):
    """Whether a process has a TCP connection."""
    with contextlib.suppress(OSError):
        table = Path("/proc/net/tcp").read_text()
        inodes = {line.split()[9] for line in table.splitlines()[1:]}
        return any(os.readlink(one)[8:-1] in inodes for one in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(one).startswith("socket:["))
    return False


def gone(pid):
    with contextlib.suppress(OSError):
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


def test_mail_goes_encrypted_by_a_process_that_ends_with_the_server(green):
    with sending(green) as house:
        pid = with_carrier(house, green, "by")
        assert b"with ESMTPS" in arrived(green, "by 1")
        outside = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()} & {
            os.readlink(one) for one in Path(f"/proc/{house.process.pid}/fd").iterdir()
        }
        assert not [one for one in outside if str(house.data) in one], "it has nothing open of the server's"
        assert os.stat(f"/proc/{pid}").st_uid == os.stat(f"/proc/{house.process.pid}").st_uid
    eventually(lambda: gone(pid), "the process has ended")


def test_one_that_is_killed_costs_nothing_but_time(green):
    with sending(green) as house:
        pid = with_carrier(house, green, "killed")
        os.kill(pid, signal.SIGKILL)
        send(house, "after the end")
        eventually(lambda: arrived(green, "after the end"), "mail in a mailbox")
        eventually(lambda: "has ended; the next one is started" in house.news, "it is logged")
        eventually(lambda: gone(pid) and not carriers(house), "nothing is left of it")


def test_signals_for_whole_groups_do_not_end_it(green):
    with sending(green) as house:
        pid = with_carrier(house, green, "signals")
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, name)
        send(house, "after signals")
        eventually(lambda: arrived(green, "after signals"), "mail in a mailbox")
        assert carriers(house) == [pid]


def test_a_server_that_is_killed_leaves_no_process_behind(green):
    with sending(green) as house:
        pid = with_carrier(house, green, "server")
        house.kill()
        eventually(lambda: gone(pid), "the process has ended")
