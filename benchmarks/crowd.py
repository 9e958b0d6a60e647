"""Many at once: `python -m benchmarks.crowd [submission] [thousand] [attackers]`.

submission: users on kept connections with TLS and AUTH. thousand: so many connections at once, each with a message to
bring. attackers: honest clients alone, then beside slow attackers that drip octets of commands and of content and come
back when they are sent away; the honest ones' waiting times are compared. The server runs in a process of its own
(`benchmarks.serve`), the clients in this one; both on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import random
import resource
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.compare import PATIENCE, wait_for
from benchmarks.serve import DOMAIN, PASSWORD, USERS

MESSAGE = b"Subject: crowd\r\nFrom: eve@red.test\r\n\r\n" + b"%b\r\n" % (b"x" * 70) * 40 + b".\r\n"


class Client:
    """One SMTP connection. Raises ConnectionError where the server says anything that is not hoped for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Client:
        client = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(address, 0)))
        await client.hear()
        await client.ask(b"EHLO crowd.test")
        return client

    async def hear(self) -> bytes:
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        if line[:1] not in (b"2", b"3"):
            raise ConnectionError(line.decode() or "closed")
        return line

    async def ask(self, command: bytes) -> None:
        self.writer.write(command + b"\r\n")
        await self.hear()

    async def log_in(self, user: str) -> None:
        await self.ask(b"AUTH PLAIN " + base64.b64encode(f"\0{user}@{DOMAIN}\0{PASSWORD}".encode()))

    async def send(self, sender: str, recipient: str) -> None:
        """One message, the envelope in one piece (RFC 2920)."""
        self.writer.write(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}@{DOMAIN}>\r\nDATA\r\n".encode())
        for _ in range(3):
            await self.hear()
        self.writer.write(MESSAGE)
        await self.hear()

    def close(self) -> None:
        self.writer.close()


@contextlib.contextmanager
def server() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.serve", "--json", str(told)], stderr=subprocess.DEVNULL)
        try:
            wait_for(told)
            yield json.loads(told.read_text())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=2 * PATIENCE)


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def submission(told: dict[str, Any], connections: int = 20, messages: int = 2000) -> None:
    """Messages a second from users who stay."""
    clients = [await Client.open(told["submissions"], trusting()) for _ in range(connections)]
    for number, client in enumerate(clients):
        await client.log_in(USERS[number % len(USERS)])

    async def work(client: Client, number: int) -> None:
        user = USERS[number % len(USERS)]
        for _ in range(messages // connections):
            await client.send(f"{user}@{DOMAIN}", USERS[(number + 1) % len(USERS)])

    began = time.perf_counter()
    await asyncio.gather(*(work(client, number) for number, client in enumerate(clients)))
    say("submission", f"{messages / (time.perf_counter() - began):.0f} messages/s on {connections} kept connections with TLS and AUTH")


async def thousand(told: dict[str, Any], connections: int = 1000) -> None:
    """Everybody connects, nobody has finished before all have begun."""
    began = time.perf_counter()
    clients = await asyncio.gather(*(Client.open(told["smtp"]) for _ in range(connections)))
    opened = time.perf_counter()

    async def work(client: Client) -> float:
        start = time.perf_counter()
        await client.send("eve@red.test", random.choice(USERS))
        return time.perf_counter() - start

    waits = await asyncio.gather(*map(work, clients))
    done = time.perf_counter()
    say("thousand", f"{connections} greeted in {opened - began:.2f} s, their messages taken in {done - opened:.2f} s "
        f"(median {statistics.median(waits) * 1000:.0f} ms), {memory(told['pid']):.0f} MiB")  # fmt: skip


async def honest(port: int, clients: int, seconds: float) -> list[float]:
    """The waiting times (seconds per message, connection included) of *clients* who bring one message after the other."""
    waits: list[float] = []
    end = time.perf_counter() + seconds

    async def live() -> None:
        while time.perf_counter() < end:
            start = time.perf_counter()
            client = await Client.open(port)
            await client.send("eve@red.test", random.choice(USERS))
            client.close()
            waits.append(time.perf_counter() - start)
            await asyncio.sleep(0.5 + random.random())

    await asyncio.gather(*(live() for _ in range(clients)))
    return waits


async def attack(port: int, number: int) -> None:
    """Drips for ever: half of them commands, half of them content."""
    address = f"127.0.{1 + number // 200}.{1 + number % 200}"
    while True:
        with contextlib.suppress(OSError):
            client = await Client.open(port, address=address)
            if number % 2:
                client.writer.write(b"MAIL FROM:<eve@red.test>\r\nRCPT TO:<alice@bench.test>\r\nDATA\r\nSubject: ")
            while not client.writer.is_closing() and not client.reader.at_eof():
                client.writer.write(b"x")
                await asyncio.sleep(1 + random.random())
            client.close()
        await asyncio.sleep(random.random())


async def attackers(told: dict[str, Any], count: int = 2000, clients: int = 50, seconds: float = 20.0) -> None:
    alone = await honest(told["smtp"], clients, seconds)
    enemies = [asyncio.create_task(attack(told["smtp"], number)) for number in range(count)]
    await asyncio.sleep(10)  # until all are there
    beside = await honest(told["smtp"], clients, seconds)
    for enemy in enemies:
        enemy.cancel()
    before, after = percentile(alone, 0.99), percentile(beside, 0.99)
    say("attackers", f"{clients} honest clients beside {count} slow attackers: p99 {after * 1000:.0f} ms, {after / before:.2f} times "
        f"what it is alone; median {statistics.median(beside) * 1000:.0f} ms, alone {statistics.median(alone) * 1000:.0f} ms")  # fmt: skip


def memory(pid: int) -> float:
    """MiB that the process holds."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def say(load: str, text: str) -> None:
    print(f"{load:12}{text}", flush=True)  # noqa: T201


LOADS = {"submission": submission, "thousand": thousand, "attackers": attackers}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loads", nargs="*", choices=[*LOADS, []], help="which; all where none is named")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    for name in options.loads or LOADS:
        with server() as told:
            asyncio.run(LOADS[name](told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
