"""How long IMAP commands take over one big mailbox, without a network: `python -m benchmarks.imap [messages] [folder]`.

Prints, for each command, the best of five in milliseconds and the size of the answer.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.testing import StringTransport

from twistmail import disk, tasks
from twistmail.facts import Facts
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery
from twistmail.memory.people import MemoryPeople
from twistmail.networks import NETWORKS
from twistmail.servers.imap.service import OPTIONS, ImapService
from twistmail.servers.imap.session import open_connection
from twistmail.servers.login import Login
from twistmail.servers.mechanisms import Openness, Tools
from twistmail.servers.pump import Pump
from twistmail.servers.throttle import Throttle
from twistmail.store.mailstore import MailStore

#: Octets that are kept of an answer: more than its last line has.
LAST = 4096
WHO = "alice@blue.test"
COMMANDS = (
    "SELECT INBOX",
    "UID FETCH 1:* (FLAGS)",
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    "FETCH 1:* (BODYSTRUCTURE)",
    "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID References)])",
    "FETCH 1:2000 (BODY.PEEK[])",
    "SEARCH UNSEEN",
    "SEARCH SUBJECT 777",
    "SEARCH SINCE 1-Jan-2026 LARGER 100",
    "SEARCH BODY nowhere",
    "STORE 1:* +FLAGS.SILENT (\\Flagged)",
    "STORE 1:* -FLAGS (\\Flagged)",
    "NOOP",
)


def message(number: int) -> bytes:
    header = (
        f"Received: from away.test\r\n\tby blue.test; Sat, 21 Nov 2026 03:20:00 +0000\r\nFrom: Ann Other <ann{number}@away.test>\r\n"
        f"To: Alice <alice@blue.test>\r\nSubject: Message number {number}\r\nDate: Sat, 21 Nov 2026 03:20:00 +0000\r\n"
        f"Message-ID: <{number}.bench@away.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return header.encode() + b"a line of text that is long enough to look like one\r\n" * 20


class Collector(StringTransport):
    """Takes what is said and tells when the tagged line has come."""

    TLS = False
    size = 0
    end = b""

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self.end = (self.end + data)[-LAST:]


async def run(reactor: Any, folder: Path, messages: int) -> None:
    committer, threads = disk.Committer(reactor, fsync=False), tasks.Threads(reactor, "bench", 4)
    store = MailStore(folder, reactor, committer, threads)
    for start in range(0, messages, 500):
        await store.deliver([Delivery(WHO, b"", Memory(message(number))) for number in range(start, min(start + 500, messages))])
    facts = Facts()
    login = Login(MemoryPeople({WHO: "secret"}), Throttle(), reactor, facts, time.time, jitter=lambda: 0.0, tools=Tools(lambda: "nonce"),
                  openness=Openness(True, NETWORKS.read("192.0.2.0/24")))
    service = ImapService("imap.blue.test", OPTIONS.defaults(), store, login, facts, threads, None, reactor, time.time)
    pump = Pump("c", *open_connection(service, "c", "192.0.2.7", 4000), reactor, facts, epoch=time.time)
    transport = Collector()
    pump.makeConnection(transport)
    await ask(reactor, pump, transport, f"LOGIN {WHO} secret")
    for command in COMMANDS:
        times = [await ask(reactor, pump, transport, command) for _ in range(5)]
        sys.stdout.write(f"{min(times) * 1000:8.1f} ms {transport.size / 1024:9.0f} KiB  {command[:100]}\n")
    store.close()
    committer.stop()
    threads.stop()


async def ask(reactor: Any, pump: Pump, transport: Collector, command: str) -> float:
    transport.size, transport.end = 0, b""
    began = time.perf_counter()
    pump.dataReceived(b"t " + command.encode() + b"\r\n")
    while b"\r\nt " not in b"\r\n" + transport.end:
        await tasks.sleep(reactor, 0)
    if b"\r\nt OK" not in b"\r\n" + transport.end:
        sys.stdout.write(f"{transport.end!r}\n")
    return time.perf_counter() - began


def main() -> None:
    words = [*sys.argv[1:], "", ""]
    reactor: Any = the_reactor
    with tempfile.TemporaryDirectory(dir=words[1] or None) as folder:

        def begin() -> None:
            tasks.start(run(reactor, Path(folder), int(words[0] or 10_000)), "bench").addCallback(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()


if __name__ == "__main__":
    main()
