"""A whole server in one test: the real assembly, on a fake clock, with transports, DNS and other servers in memory.

`House` reads a configuration, lays the foundation and builds the parts as the service does; only the reactor is ours. The
store, the queue, the journal, the threads and the committer are the real ones, below a temporary folder. `settle` runs
everything that is due now to its end, threads included, so nothing here ever sleeps.
"""

from __future__ import annotations

import queue
import re
from collections.abc import Callable
from dataclasses import replace
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from tests.dialogues.player import FakeTransport
from tests.relay.peers import Net, Peer
from twistmail import assembly, foundation, sections, tasks
from twistmail.config.load import Loaded, load
from twistmail.disk import Committer
from twistmail.facts import Fact, Line
from twistmail.memory.lookup import MemoryLookup
from twistmail.parts import BuiltIn
from twistmail.plugins import Discovery, Part, discover
from twistmail.servers.listeners import Listener, Pool

#: 2027-01-15 08:00:00 UTC
NOW = 1_800_000_000.0
SECRET = "sesame street"
ADDRESS = "192.0.2.7"
FAR = "192.0.2.25"

CONFIG = """\
[server]
hostname = mx.blue.test
data_dir = data
postmaster = ann@blue.test
[domains]
local = blue.test red.test
[users]
source = config
[user:ann@blue.test]
password = sesame street
[user:bob@blue.test]
password = sesame street
[user:fred@blue.test]
password = sesame street
[alias:flintstone]
to = fred
[alias:authors]
to = fred bob harry@far.test
[alias:all]
to = flintstone authors
[mx]
listen = tcp:0:interface=127.0.0.1
[submission]
listen = tcp:0:interface=127.0.0.1
[imap]
listen = tcp:0:interface=127.0.0.1
tls = offered
[pop3]
listen = tcp:0:interface=127.0.0.1
tls = offered
[queue]
allow = memory
[dns]
use = zone
[auth]
cleartext_from = 0.0.0.0/0 ::/0
"""


class Reactor(MemoryReactorClock):
    """A clock, and what threads say to the reactor; connections are made by the tests."""

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = NOW
        self.busy = 0  # threads at work for us
        self._called: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
        self._called.put(lambda: function(*arguments, **keywords))

    def settle(self) -> None:
        """Run all that is due now to its end. A thread that takes more than ten seconds is a failure."""
        while True:
            self.advance(0)
            try:
                self._called.get(block=self.busy > 0, timeout=10)()
            except queue.Empty:
                assert not self.busy, "a thread does not come back"
                if not any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
                    return

    def pass_time(self, seconds: float, step: float = 60.0) -> None:
        """Let *seconds* go by, in steps in which everything settles."""
        end = self.seconds() + seconds
        while self.seconds() < end:
            self.advance(min(step, end - self.seconds()))
            self.settle()


class _Threads(tasks.Threads):
    async def run(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        self.reactor.busy += 1
        try:
            return await super().run(function, *arguments, **keywords)
        finally:
            self.reactor.busy -= 1


class _Committer(Committer):
    async def commit(self, job: Any) -> None:
        self.reactor.busy += 1
        try:
            await super().commit(job)
        finally:
            self.reactor.busy -= 1


def count_threads(monkeypatch: Any) -> None:
    """Let the Reactor know how many threads work for it."""
    monkeypatch.setattr(tasks, "Threads", _Threads)
    monkeypatch.setattr(foundation, "Committer", _Committer)


class House:
    """One server. `facts` is everything that was told; `net` are the other servers, `zone` the DNS.

    `more` is put behind the usual configuration. `world`: of a house that was here before, whose DNS and neighbours go on, as
    does the time. Make it by the fixture `build`, which closes it.
    """

    def __init__(self, folder: Path, monkeypatch: Any, more: str = "", world: House | None = None) -> None:
        count_threads(monkeypatch)
        self.folder = folder
        self.file = folder / "config.ini"
        self.file.write_text(CONFIG + more)
        self.reactor = Reactor()
        self.net = Net(self.reactor)
        self.zone = MemoryLookup({"far.test": {"MX": [(10, "mx.far.test")]}, "mx.far.test": {"A": [FAR]}})  # nobody is there yet
        if world is not None:
            self.reactor.rightNow = world.reactor.rightNow
            self.net.peers, self.zone = world.net.peers, world.zone
        self.facts: list[Fact] = []
        self.connections: list[Client] = []
        self.discovery = with_lookup(self.zone)
        loaded = self.load()
        assert loaded.config is not None, [str(problem) for problem in loaded.problems]
        self.config = loaded.config
        self.foundation = foundation.lay(self.config, self.reactor, self.discovery, self.net, self.reactor.seconds)
        self.foundation.facts.listen(self.facts.append)
        self.parts = assembly.build(self.config, self.foundation)
        self.parts.hand_over()
        self.listeners = {service: Listener(Pool(set()), self.reactor) for service in assembly.SERVICES if self.config[service].listen}
        for service, listener in self.listeners.items():
            listener.adopt(self.parts.born(service, self.config[service].listen[0]))
        self.run(self.foundation.runner.start())

    def load(self) -> Loaded:
        return load(sections.everything(self.discovery), self.file, (), {}, sections.checks(self.discovery))

    def run(self, coroutine: Any) -> Any:
        """What *coroutine* returns, or raises."""
        results: list[Any] = []
        tasks.shielded(coroutine).addBoth(results.append)
        self.settle()
        assert results, f"{coroutine} has not ended"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def settle(self) -> None:
        self.reactor.settle()

    def pass_time(self, seconds: float, step: float = 60.0) -> None:
        self.reactor.pass_time(seconds, step)

    def kill(self) -> None:
        """As by kill -9: nothing is finished, and nobody hears of what was under way. Jobs of the committer may still end."""
        self.foundation.close()

    def close(self) -> None:
        for client in self.connections:
            client.leave()
        self.run(self.foundation.runner.stop(0))
        self.run(self.parts.relay.stop())
        self.foundation.close()

    # ----- the world outside

    def town(self, domain: str, address: str, answers: dict[bytes, Any] | None = None) -> Peer:
        """Another server, in the DNS and at its address."""
        peer = self.net.peers[address] = Peer(answers)
        self.zone.names[domain] = {"MX": [(10, f"mx.{domain}")]}
        self.zone.names[f"mx.{domain}"] = {"A": [address]}
        return peer

    def client(self, service: str, address: str = ADDRESS) -> Client:
        """A new connection to *service*; its greeting is in `heard`."""
        client = Client(self, self.listeners[service].buildProtocol(IPv4Address("TCP", address, 40_000)))
        self.connections.append(client)
        return client

    def smtp(self, *lines: str | bytes, service: str = "mx") -> list[str]:
        """All that we answer to a peer who says *lines*, one after the other."""
        client = self.client(service)
        return [answer for line in ("EHLO peer.far.test", *lines) for answer in client.say(line)]

    def send(self, message: bytes, *to: str, sender: str = "eve@far.test") -> str:
        """Mail from the world; the answer to its end."""
        client = self.client("mx")
        client.say("EHLO peer.far.test")
        for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to)):
            assert client.say(line)[-1].startswith("250"), client.said
        return client.content(message)

    def login(self, service: str, name: str = "ann") -> Client:
        """A connection that has logged in (in clear, which these services allow here, or behind a handshake)."""
        client = self.client(service)
        if service == "imap":
            client.say(f'l LOGIN {name} "{SECRET}"')
        elif service == "pop3":
            client.say(f"USER {name}")
            client.say(f"PASS {SECRET}")
        else:
            client.say("EHLO ann.home.test")
            client.start_tls()
            client.say("EHLO ann.home.test")
            client.say(f"AUTH PLAIN {plain(name)}")
            assert client.said[-1].startswith("235"), client.said
        return client

    def submit(self, message: bytes, *to: str, sender: str = "ann@blue.test") -> str:
        """Mail from ann; the answer to its end."""
        client = self.login("submission")
        for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to)):
            assert client.say(line)[-1].startswith("250"), client.said
        return client.content(message)

    # ----- what can be seen

    @property
    def waiting(self) -> list[Any]:
        """The items in the queue."""
        return list(self.foundation.queue.items())

    def files(self, name: str, folder: str = ".", domain: str = "blue.test") -> list[bytes]:
        """The messages of a maildir as they lie on the disk, oldest first."""
        place = self.config.data_dir / "mail" / domain / name / folder
        return [path.read_bytes() for path in sorted([*place.glob("new/*"), *place.glob("cur/*")], key=lambda path: path.name)]

    def mail(self, name: str) -> list[Message]:
        return [BytesParser().parsebytes(content) for content in self.files(name)]

    def told(self, *kinds: type, about: str = "") -> list[Any]:
        """What happened, of these kinds (none: of any but lines), about this id (none: about anything)."""
        return [
            fact.what
            for fact in self.facts
            if (not about or fact.about == about) and (isinstance(fact.what, kinds) if kinds else not isinstance(fact.what, Line))
        ]


class Client:
    """One connection from outside, driven by the test. `house` is whatever has `settle`."""

    def __init__(self, house: Any, pump: Any) -> None:
        self.house = house
        self.pump = pump
        self.transport = FakeTransport()
        self.said: list[str] = []
        self._read = 0
        pump.makeConnection(self.transport)
        house.settle()
        self.heard()

    def feed(self, octets: bytes) -> list[str]:
        """Octets from the client; the lines that we say to them."""
        if not self.transport.closed:
            self.pump.dataReceived(octets)
        self.house.settle()
        return self.heard()

    def say(self, line: str | bytes) -> list[str]:
        return self.feed((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def heard(self) -> list[str]:
        """What we have said since the last call. `said` has it as well."""
        octets = self.transport.value()[self._read :]
        self._read += len(octets)
        self.said = octets.decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        return self.said

    def content(self, message: bytes) -> str:
        """DATA and *message*; the answer to its end."""
        assert self.say("DATA")[-1].startswith("354"), self.said
        stuffed = re.sub(rb"(?m)^\.", b"..", message)
        return self.feed(stuffed + b".\r\n")[-1]

    def start_tls(self) -> None:
        self.say("STARTTLS")
        assert self.transport.contexts, f"no handshake begins: {self.said}"
        self.pump.handshakeCompleted()
        self.house.settle()

    def leave(self) -> None:
        """Gone, without a word."""
        if self.pump.connected:
            self.pump.connected = 0
            self.pump.connectionLost(Failure(ConnectionDone()))
            self.house.settle()


def with_lookup(zone: Any) -> Discovery:
    """All parts that are installed, and *zone* as the lookup of that name."""
    found = discover()
    factory = BuiltIn("lookup", "zone", None, lambda settings, ground: zone)
    return replace(found, parts=(*found.parts, Part("lookup", "zone", factory, __name__)))


def plain(name: str, secret: str = SECRET) -> str:
    """The initial response of SASL PLAIN (RFC 4616)."""
    import base64

    return base64.b64encode(f"\0{name}\0{secret}".encode()).decode()


def identifier(answer: str) -> str:
    """The id in `250 2.0.0 Accepted as ID`."""
    match = re.fullmatch(r"250 2\.0\.0 Accepted as (\S+)", answer)
    assert match, answer
    return match[1]
