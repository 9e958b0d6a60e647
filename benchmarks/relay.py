"""The relay beside Debian's Postfix: `python -m benchmarks.relay [--rounds N] [--messages N]`. Needs root (Postfix does) and postfix.

Both get the same messages from smtp-source over twenty connections, make each durable, and pass it on to smtp-sink by way of a
smart host, twenty connections at a time; the time runs from the first connection until smtp-sink has counted the last message.
"kept": connections carry many messages, on both sides; "new": one message each. Servers take turns in each round, and the table
has the medians. CPU is that of the server with all its processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.compare import wait_for

PATIENCE = 300.0  # seconds for one round
AT_ONCE = 20
WARM_UP = 1500  # messages, so that the processes that come with load are there
OCTETS = 4096
TICKS = os.sysconf("SC_CLK_TCK")

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {place}
maillog_file = {place}/log
myhostname = postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{sink}
smtpd_client_connection_count_limit = 0
smtp_destination_concurrency_limit = {at_once}
default_process_limit = 200
smtp_tls_security_level = none
smtp_connection_cache_on_demand = no
smtp_connection_cache_destinations = {cached}
"""
MASTER_CF = """\
127.0.0.1:{port} inet n - n - 100 smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
RELAY = """\
[relay]
smarthost = [127.0.0.1]:{sink}
concurrency_per_domain = {at_once}
tls = off
keep_connections = {keep}
"""


class Sink:
    """smtp-sink, whose running count of messages is read as it is printed."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self._process = subprocess.Popen(
            [shutil.which("smtp-sink") or "/usr/sbin/smtp-sink", "-c", "-u", "nobody", f"127.0.0.1:{port}", "1000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 65536):
            *lines, rest = (rest + data).split(b"\r")
            if lines and (found := re.search(rb"mesg=(\d+)", lines[-1])):
                self.count = int(found[1])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextlib.contextmanager
def twistmail(folder: Path, sink: int, *, kept: bool) -> Iterator[tuple[int, int]]:
    """(port, process id) of a server that passes everything on."""
    told = folder / "told.json"
    more = folder / "more.ini"
    more.write_text(RELAY.format(sink=sink, at_once=AT_ONCE, keep="5s" if kept else "0s"))
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.serve", "--json", str(told), "--folder", str(folder), "--more", str(more)])
    try:
        wait_for(told)
        about = json.loads(told.read_text())
        yield about["smtp"], about["pid"]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


@contextlib.contextmanager
def postfix(folder: Path, sink: int, *, kept: bool, port: int = 20526) -> Iterator[tuple[int, int]]:
    """The same of Postfix."""
    folder.chmod(0o755)
    for name in ("queue", "data", "etc"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix", "postfix")
    cached = "127.0.0.1" if kept else ""
    (folder / "etc/main.cf").write_text(MAIN_CF.format(place=folder, sink=sink, at_once=AT_ONCE, cached=cached))
    (folder / "etc/master.cf").write_text(MASTER_CF.format(port=port))
    command = ["postfix", "-c", str(folder / "etc")]
    subprocess.run([*command, "start"], check=True, capture_output=True)
    try:
        yield port, int((folder / "queue/pid/master.pid").read_text())
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True)


def seconds_used(pid: int) -> float:
    """User and system time of *pid*, of all that it has waited for, and of all below it that still run."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], used[int(entry.name)] = int(words[1]), sum(map(int, words[11:15]))
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(used.get(one, 0) for one in below) / TICKS


def measure(port: int, pid: int, sink: Sink, messages: int, *, kept: bool) -> tuple[float, float]:
    """Messages a second from the first connection until the sink has the last one, and CPU milliseconds a message."""
    before, used, began = sink.count, seconds_used(pid), time.monotonic()
    command = [shutil.which("smtp-source") or "/usr/sbin/smtp-source", "-s", str(AT_ONCE), "-m", str(messages), "-l", str(OCTETS),
               *(["-d"] if kept else []), "-f", "ann@here.test", "-t", "bob@far.test", f"127.0.0.1:{port}"]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    while sink.count < before + messages:
        if time.monotonic() > began + PATIENCE:
            raise TimeoutError(f"{sink.count - before} of {messages} messages have arrived")
        time.sleep(0.005)
    took = time.monotonic() - began
    return messages / took, (seconds_used(pid) - used) / messages * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--only", default="", help="twistmail or postfix")
    parser.add_argument("--folder", type=Path, help="a folder below which the queues are kept (default: the system's temporary one)")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    port = 20599
    for _ in range(options.rounds):
        for way in ("kept", "new"):
            for name, server in (("twistmail", twistmail), ("postfix", postfix)):
                if options.only in ("", name):
                    port += 1
                    with tempfile.TemporaryDirectory(dir=options.folder, prefix="relay-") as folder:
                        found.setdefault((way, name), []).append(once(server, Path(folder), port, options.messages, kept=way == "kept"))
    for (way, name), rounds in sorted(found.items()):
        rate, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
        against = found.get((way, "postfix"))
        ratio = f"{rate / statistics.median(rate for rate, _ in against):5.2f}x" if against else ""
        print(f"{way:5} {name:10} {rate:8.0f} messages/s {cpu:6.2f} ms CPU a message  {ratio}")  # noqa: T201
    return 0


def once(server, folder: Path, port: int, messages: int, *, kept: bool) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Start, warm up, measure, stop."""
    sink = Sink(port)
    try:
        with server(folder, port, kept=kept) as (at, pid):
            measure(at, pid, sink, WARM_UP, kept=kept)
            return measure(at, pid, sink, messages, kept=kept)
    finally:
        sink.stop()


if __name__ == "__main__":
    sys.exit(main())
