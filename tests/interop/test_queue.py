"""What waits in a real server: mailq and sendmail -q for everybody, watching, history and numbers (R36, R37, F030, F034)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.interop.house import IS_ROOT, House, environment, eventually, folder, free_port, give_away, listens, running

pytestmark = [pytest.mark.client("smtp-sink"), pytest.mark.skipif(not IS_ROOT, reason="only root can be somebody else")]
DAEMON = 1  # of this machine's users, and no operator of the server
NO_PERMISSION, TRY_AGAIN, USAGE = 77, 75, 64
MORE = """\
[submission]
listen = unix:{place}/submit.sock:mode=666
[route:far.test]
via = [127.0.0.1]:{port}
[relay]
retry = 1h
[metrics]
listen = tcp:0:interface=127.0.0.1
"""
#: Who it is to be may not be allowed to read the program.
#: All that is needed is imported before: users may not be able to read the Python that runs the tests.
PROGRAM = (
    "import os, sys; sys.argv[0] = {name!r}; from twistmail.cli.sendmail import run; from twistmail.cli import door, dropping, mailq; "
    "from twistmail.queue import dropbox, spool; {become}run()"
)


class Office:
    """A server whose mail for far.test goes to *port*, where at first nobody listens."""

    def __init__(self, house: House, place: os.PathLike[str], port: int) -> None:
        self.house, self.place, self.port = house, place, port

    def call(self, name: str, *arguments: str, user: int = 0, message: str = "") -> tuple[int, str]:
        """The exit code, and what is said, of `sendmail` or `mailq`."""
        become = f"os.setgid({user}); os.setuid({user}); " if user else ""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(name=name, become=become), *arguments],
            input=message.encode(), capture_output=True, timeout=25, check=False, cwd="/",
            env=environment() | {"TWISTMAIL_SUBMIT": f"{self.place}/submit.sock", "TWISTMAIL_QUEUE": f"{self.place}/queue.sock"},
        )  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).decode()

    def waiting(self) -> list[str]:
        """Whom the messages that wait are for."""
        return [json.loads(line)["to"][0]["address"] for line in self.house.twistmail("queue", "list", "--json").splitlines()]

    def tried(self, count: int) -> bool:
        """Whether so many wait, and it is known that nobody gets through: each was tried, or the place of all rests."""
        rows = [json.loads(line) for line in self.house.twistmail("queue", "list", "--json").splitlines()]
        return len(rows) == count and all(row["state"] in ("deferred", "new") and (row["attempts"] or row.get("waits_for")) for row in rows)

    def number(self, name: str) -> float:
        port = self.house.port("metrics")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            found = re.search(rf"^{re.escape(name)} (\S+)$", page.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextlib.contextmanager
def sink(port: int):
    """Postfix's smtp-sink, which takes everything."""
    program = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "100"])
    try:
        eventually(lambda: listens(port), "smtp-sink listens")
        yield
    finally:
        program.kill()
        program.wait()


@pytest.fixture(scope="module")
def office():
    port = free_port()
    with folder() as place:
        place.chmod(0o755)
        home = place / "home"
        home.mkdir()
        give_away(home)
        house = House(home, more=MORE.format(place=place, port=port), more_queue=f"socket = {place}/queue.sock\n")
        with running(house):
            yield Office(house, place, port)
            house.check_log()


def test_what_waits_is_seen_and_tried_by_whom_it_concerns(office):
    assert office.call("mailq") == (0, "Mail queue is empty\n")
    assert office.call("mailq", user=DAEMON) == (0, "Mail queue is empty\n")
    for name, user in (("a", 0), ("b", 0), ("c", DAEMON)):
        assert office.call("sendmail", f"{name}@far.test", user=user, message=f"Subject: {name}\n\nhello\n")[0] == 0
    eventually(lambda: office.tried(3), "all were tried")

    code, said = office.call("mailq")
    assert (code, said.splitlines()[-1]) == (0, "-- 0 Kbytes in 3 Requests.")
    assert re.search(r"^[0-9a-z]{6}-[0-9a-z]{4}  +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d daemon@", said, re.MULTILINE)
    assert re.search(r"^ *\(4\d\d 4\.4\.\d .*\)$", said, re.MULTILINE)
    code, own = office.call("mailq", user=DAEMON)
    assert (code, "in 1 Request." in own, "c@far.test" in own, "a@far.test" in own) == (0, True, True, False)
    assert json.loads(office.call("mailq", "--json", user=DAEMON)[1])["account"].startswith("daemon@")
    assert sum(office.number(f'twistmail_queue_messages{{state="{state}"}}') for state in ("deferred", "new")) == 3

    watcher = subprocess.Popen(
        [sys.executable, "-c", "from twistmail.cli.main import run; run()", "--config", office.house.config, "queue", "watch", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True,
    )  # fmt: skip
    try:
        assert watcher.stdout is not None
        assert watcher.stderr is not None
        with sink(office.port):
            assert office.call("sendmail", "-qRnobody@far.test") == (0, "")
            assert office.call("sendmail", "-qRa@far") == (0, "")
            eventually(lambda: "a@far.test" not in office.waiting(), "the one that was named has gone")
            assert json.loads(watcher.stdout.readline())["what"] == "Outcome"
            assert office.call("sendmail", "-q", user=DAEMON) == (0, "")
            eventually(lambda: "c@far.test" not in office.waiting(), "his own has gone")
            code, said = office.call("sendmail", "-q", user=DAEMON)
            assert (code, "once in 5 seconds" in said) == (TRY_AGAIN, True)
            assert office.call("sendmail", "-q") == (0, "")
            eventually(lambda: office.waiting() == [], "all have gone")
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()
        watcher.stderr.close()
    assert office.number('twistmail_deliveries_total{result="relayed",way="relay"}') == 3
    past = [json.loads(line) for line in office.house.twistmail("queue", "history", "--result", "relayed", "--json").splitlines()]
    assert sorted(row["to"] for row in past) == ["a@far.test", "b@far.test", "c@far.test"]
    assert "# TYPE twistmail_queue_messages gauge" in office.house.twistmail("metrics")


def test_an_operator_s_orders_are_obeyed(office):
    for name in "defg":
        office.call("sendmail", f"{name}@far.test", message=f"Subject: {name}\n\nbody of {name}\n")
    eventually(lambda: office.tried(4), "all were tried")
    twistmail = office.house.twistmail
    assert twistmail("queue", "hold", "--to", "d@", "--because", "legal").startswith("1 message held")
    twistmail("queue", "flush")
    assert "held: legal" in twistmail("queue", "list", "--state", "held")
    identifier = json.loads(twistmail("queue", "list", "--to", "e@", "--json"))["id"]
    assert twistmail("queue", "dump", identifier).rstrip().endswith("body of e")
    other = free_port()
    with sink(other):
        assert "will go by" in twistmail("queue", "route", identifier, f"[127.0.0.1]:{other}")
        eventually(lambda: "e@far.test" not in office.waiting(), "it went by another way")
    assert twistmail("queue", "delete", "--to", "f@", "--yes").startswith("1 message deleted")
    assert twistmail("queue", "bounce", "--to", "g@", "--because", "they have closed", "--yes").startswith("1 message returned")
    assert office.waiting() == ["d@far.test"]
    failed = json.loads(twistmail("queue", "history", "--result", "failed", "--json"))
    assert (failed["to"], "they have closed" in failed["answer"]) == ("g@far.test", True)
    twistmail("queue", "delete", "--all", expect=USAGE)  # nobody is there to ask
    twistmail("queue", "delete", "--all", "--yes")
    assert office.waiting() == []


def test_the_page_of_numbers_is_the_only_one(office):
    port = office.house.port("metrics")
    for path, code in (("/", 404), ("/metrics/x", 404)):
        with pytest.raises(urllib.error.HTTPError) as answered:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)
        assert answered.value.code == code
        answered.value.close()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
