"""kill -9, and power losses, while a queue is full of work: whatever was accepted for others arrives there, or its sender hears why not.

The neighbour to whom all of it goes lives in the test: it refuses some recipients, has no time for others at first, and sometimes
hangs up instead of answering the end of a message. Messages may come twice where the server could not know, and only there.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.crash.disks import MIB, house_on_a_disk
from tests.crash.rigs import chosen, quick_place
from tests.interop.house import House, eventually, folder
from tests.interop.talk import Talk, send

KILLS, WHOLE_KILLS = 10, 60
LOSSES, WHOLE_LOSSES = 5, 25
#: Connections of the relay to one place, and so messages that may be on their way when the server dies.
AT_A_TIME = 10
SENDERS = 3
MARK = re.compile(rb"X-Mark: ([\w.-]+)")
MORE = """\
[relay]
smarthost = [127.0.0.1]:{port}
retry = 1s 1s 1s 2s
expire = 1h
concurrency_per_domain = {most}
[dsn]
limit = unlimited
[users]
source = config
[aliases]
source = config
[alias:out@blue.test]
to = carol@green.test
[alias:late@blue.test]
to = late@green.test
[alias:gone@blue.test]
to = nobody@green.test
"""


class Neighbour(socketserver.ThreadingTCPServer):
    """The smart host. `got`: how often each message has come for whom; `unanswered`: how often we hung up in place of an answer."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.port: int = self.server_address[1]
        self.got: Counter[tuple[str, str]] = Counter()
        self.unanswered = 0
        self.patient: set[str] = set()  # who was told to come again
        self.guard = threading.Lock()
        self.dice = random.Random("neighbour")
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def refusal(self, recipient: str) -> bytes:
        if recipient.startswith("nobody@"):
            return b"550 5.1.1 No such user here"
        with self.guard:
            if recipient.startswith("late@") and self.dice.random() < 0.5:
                return b"450 4.2.0 Come again"
        return b""

    def take(self, recipients: list[str], content: bytes) -> bool:
        """Note the message; whether the peer hears of it."""
        mark = MARK.search(content)
        assert mark, content
        with self.guard:
            for one in recipients:
                self.got[mark[1].decode(), one.partition("@")[0]] += 1
            is_answered = self.dice.random() > 0.03
            self.unanswered += 0 if is_answered else len(recipients)
            return is_answered

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever was killed hangs up."""


class _Conversation(socketserver.StreamRequestHandler):
    server: Neighbour

    def handle(self) -> None:
        self.say(b"220 green.test")
        recipients: list[str] = []
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.say(b"250-green.test\r\n250-PIPELINING\r\n250 8BITMIME")
            elif verb in (b"MAIL", b"RSET"):
                recipients = []
                self.say(b"250 2.0.0 Ok")
            elif verb == b"RCPT":
                one = line[9 : line.index(b">")].decode()
                refusal = self.server.refusal(one)
                recipients += [] if refusal else [one]
                self.say(refusal or b"250 2.1.5 Ok")
            elif verb == b"DATA":
                if not recipients:
                    self.say(b"554 5.5.1 No valid recipients")
                elif not self.content(recipients):
                    return
            else:
                self.say(b"221 2.0.0 Bye" if verb == b"QUIT" else b"502 5.5.2 What?")

    def content(self, recipients: list[str]) -> bool:
        self.say(b"354 Go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False  # the server has died: half a message is none
            lines.append(line)
        time.sleep(0.002)
        if not self.server.take(recipients, b"".join(lines)):
            return False
        self.say(b"250 2.0.0 Taken")
        return True

    def say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


class Ledger:
    """What was promised: {mark: alias}."""

    def __init__(self) -> None:
        self.promised: dict[str, str] = {}
        self.begun: set[str] = set()
        self.deaths = 0
        self.where = ""  # how to come here again

    def died(self, where: str) -> None:
        self.deaths += 1
        self.where = where

    def judge(self, neighbour: Neighbour) -> None:
        """AssertionError where anything is lost, comes back without need, or comes too often."""
        got, where = neighbour.got, self.where
        kept = {"out": "carol", "late": "late", "gone": "eve"}  # of the last one the sender is told
        lost = [f"{mark} for {alias}" for mark, alias in self.promised.items() if not got[mark, kept[alias]]]
        assert lost == [], f"{where}: {len(lost)} of {len(self.promised)} are lost: {lost[:10]}"
        wrong = [mark for mark, who in got if who == "eve" and not mark.startswith("gone-")]
        assert wrong == [], f"{where}: came back without need: {wrong[:10]}"
        assert {mark for mark, _ in got} <= self.begun
        twice = sum(count - 1 for count in got.values())
        assert twice <= self.deaths * 2 * AT_A_TIME + neighbour.unanswered, f"{where}: {twice} came once too often"


class Sender(threading.Thread):
    """Writes to the aliases, one after the other, until the server is gone or it is told to end."""

    def __init__(self, port: int, ledger: Ledger, name: str, ending: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.port, self.ledger, self.ending = port, ledger, ending
        self.dice = random.Random(name)

    def run(self) -> None:
        try:
            with Talk(self.port) as talk:
                talk.reply()
                talk.ask("EHLO lab.test")
                for number in range(100_000):
                    if self.ending.is_set() or not self.one(talk, number):
                        return
        except (OSError, AssertionError):
            return  # killed

    def one(self, talk: Talk, number: int) -> bool:
        alias = self.dice.choice(("out", "out", "late", "gone"))
        mark = f"{alias}-{self.name}-{number}"
        for line in ("MAIL FROM:<eve@red.test>", f"RCPT TO:<{alias}@blue.test>"):
            if not talk.ask(line).startswith("250"):
                return False
        self.ledger.begun.add(mark)
        letter = f"X-Mark: {mark}\nSubject: x\n\n" + "a line of text\n" * self.dice.choice((1, 10, 1000))
        if send(talk, letter).startswith("250"):
            self.ledger.promised[mark] = alias
            return True
        return False


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    made = Neighbour()
    yield made
    made.shutdown()
    made.server_close()


@contextlib.contextmanager
def housed(neighbour_port: int) -> Iterator[House]:
    """A house that sends all to the one who listens there; not yet started."""
    with folder(where=quick_place()) as place:
        house = House(place, more=MORE.format(port=neighbour_port, most=AT_A_TIME))
        try:
            yield house
        finally:
            if house.process and house.process.poll() is None:
                house.stop()


def work(house: House, ledger: Ledger, seed: str) -> None:
    """Mail comes in for a while; then the caller lets something happen while it is on its way out."""
    ending = threading.Event()
    senders = [Sender(house.port("mx"), ledger, f"{seed}-{number}", ending) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    time.sleep(random.Random(seed).uniform(0.3, 0.8))
    ending.set()


def until_empty(house: House, ledger: Ledger) -> None:
    """All that waits has gone its way: more than a hundred messages a second do, where the machine is quiet."""

    def is_empty() -> bool:
        house.twistmail("queue", "flush", expect=None)
        return house.twistmail("queue", "list", "--json") == ""

    eventually(is_empty, "the queue is empty", 60.0 + len(ledger.promised) / 50)


def test_whatever_was_accepted_arrives_or_comes_back_whenever_the_server_is_killed(neighbour, record_property):
    ledger = Ledger()
    with housed(neighbour.port) as house:
        for _, seed, where in chosen(KILLS, WHOLE_KILLS):
            house.start()
            work(house, ledger, seed)
            house.kill()
            ledger.died(where)
        house.start()
        until_empty(house, ledger)
        ledger.judge(neighbour)
        house.twistmail("verify", "--deep")
        assert "Traceback" not in house.log
    assert len(ledger.promised) > 2 * ledger.deaths, "there was no load"
    twice = sum(count - 1 for count in neighbour.got.values())
    record_property("figures", f"{ledger.deaths} kills, {len(ledger.promised)} promises kept, {twice} came twice")


@pytest.mark.client("mkfs.ext4", "mount", "umount")
def test_whatever_was_accepted_arrives_or_comes_back_whenever_the_power_fails(neighbour, record_property):
    ledger = Ledger()
    with house_on_a_disk(400 * MIB, more=MORE.format(port=neighbour.port, most=AT_A_TIME)) as (house, its_disk):
        for _, seed, where in chosen(LOSSES, WHOLE_LOSSES):
            house.start()
            work(house, ledger, seed)
            its_disk.cut_power()
            time.sleep(0.02)  # whatever is said now is a lie or a refusal
            house.kill()
            its_disk.unmount()
            its_disk.mount()
            ledger.died(where)
        house.start()
        until_empty(house, ledger)
        ledger.judge(neighbour)
    assert len(ledger.promised) > 2 * ledger.deaths, "there was no load"
    record_property("figures", f"{ledger.deaths} power losses, {len(ledger.promised)} promises kept")


def test_the_rig_sees_a_loss(neighbour):
    """The negative control: a message that was accepted, and whose files somebody takes away."""
    ledger = Ledger()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # where nobody listens
        away = nobody.getsockname()[1]
        with housed(away) as house:
            house.start()
            with Talk(house.port("mx")) as talk:
                talk.reply()
                talk.ask("EHLO lab.test")
                assert Sender(house.port("mx"), ledger, "control", threading.Event()).one(talk, 0)
            house.kill()
            for path in (house.data / "queue/ready").iterdir():
                path.unlink()
            house.write(house.config.read_text().replace(f":{away}", f":{neighbour.port}"))
            house.start()
            until_empty(house, ledger)
    with pytest.raises(AssertionError, match="are lost"):
        ledger.judge(neighbour)
