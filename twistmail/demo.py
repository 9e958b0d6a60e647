"""The demo: one pretend office on loopback, nothing to write first, nothing left behind, nothing leaves the machine.

`run` writes a configuration into a fresh folder, makes the two people, and
serves in the foreground like any other server: same code, other settings. The
way out is shut: the connector refuses every address, and no name server is asked.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError

from twistmail import foreground

DOMAIN = "blue.test"
HOST = "mail.blue.test"
PASSWORD = "demo"
USERS = {f"alice@{DOMAIN}": PASSWORD, f"bob@{DOMAIN}": PASSWORD}

#: Port by what it is for; the usual number and 1000.
PORTS = {"mx": 1025, "submission": 1587, "submissions": 1465, "imap": 1143, "imaps": 1993, "pop3": 1110, "pop3s": 1995}

CONFIG = """\
[server]
hostname = {host}
data_dir = {folder}
postmaster = alice@{domain}
[domains]
local = {domain}
[queue]
allow = memory
[dns]
use = none
[mx]
listen = tcp:{mx}:interface=127.0.0.1
[submission]
listen = tls:port={submissions}:interface=127.0.0.1
         tcp:{submission}:interface=127.0.0.1
tls = offered
[imap]
listen = tls:port={imaps}:interface=127.0.0.1
         tcp:{imap}:interface=127.0.0.1
tls = offered
[pop3]
listen = tls:port={pop3s}:interface=127.0.0.1
         tcp:{pop3}:interface=127.0.0.1
tls = offered
[relay]
retry = 5s 15s 30s 1m
warn_sender_after = 1m
expire = 5m
[log]
transcripts = all
"""

TEXT = """\
twistmail demo: one pretend office on this computer. Nothing leaves it{kept}.

  people      alice@{domain}  bob@{domain}          password: {password}
  SMTP (MX)   127.0.0.1:{mx}
  submission  127.0.0.1:{submission} (STARTTLS)   {submissions} (TLS)
  IMAP        127.0.0.1:{imap} (STARTTLS)   {imaps} (TLS)
  POP3        127.0.0.1:{pop3} (STLS)       {pop3s} (TLS)
  mail        {folder}/mail/{domain}/alice   (a plain maildir)

Lines to copy:

  a stranger writes to alice
    swaks --server 127.0.0.1:{mx} --from eve@red.test --to alice@{domain}
  alice writes to bob, logged in, over TLS
    swaks --server 127.0.0.1:{submission} --tls --auth PLAIN --auth-user alice@{domain} --auth-password {password} \\
          --from alice@{domain} --to bob@{domain}
  alice writes to another domain: it waits in the queue, because the demo is shut in
    swaks --server 127.0.0.1:{submission} --tls --auth-user alice@{domain} --auth-password {password} \\
          --from alice@{domain} --to carol@green.test
    {twistmail} queue list
  read
    curl -u alice@{domain}:{password} 'imap://127.0.0.1:{imap}/INBOX;UID=1'
    curl -u alice@{domain}:{password} pop3://127.0.0.1:{pop3}/1
    mutt -e 'set ssl_force_tls=no ssl_starttls=no folder=~' -f imap://alice%40{domain}:{password}@127.0.0.1:{imap}/INBOX
  by hand
    telnet 127.0.0.1 {mx}          then: HELO me / MAIL FROM:<me@red.test> / RCPT TO:<bob@{domain}> / DATA / ... / .
  what happened to a message (its id stands in the answer to DATA and in its Received field)
    {twistmail} trace show ID

Stop: Ctrl-C
"""


def run(keep: Path | None = None) -> int:
    """Serve the demo until Ctrl-C; the exit status. *keep*: a folder that is used and left (None: a temporary one)."""
    folder = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="twistmail-demo-"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _serve(folder, kept=keep is not None)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _serve(folder: Path, *, kept: bool) -> int:
    ports = _free_ports()
    config = folder / "config.ini"
    config.write_text(CONFIG.format(host=HOST, domain=DOMAIN, folder=folder, **ports))

    def ready(listening: Mapping[str, Any]) -> None:
        about = {"domain": DOMAIN, "password": PASSWORD, "folder": folder, "twistmail": _command(config)} | ports
        text = TEXT.format(kept="" if kept else ", nothing is kept (--keep DIR keeps it)", **about)
        print(text, flush=True)  # noqa: T201 - this is what the command is for

    status = foreground.run(config, users=USERS, ready=ready, connector=_shut_in)
    print("twistmail demo: stopped" + (f"; the mail is in {folder}" if kept else ", everything is removed"))  # noqa: T201
    return status


def _command(config: Path) -> str:
    """How to call the administrator's command from another terminal."""
    beside = Path(sys.executable).with_name("twistmail")
    program = "twistmail" if shutil.which("twistmail") else os.path.relpath(beside)
    return f"{shlex.quote(program)} --config {shlex.quote(str(config))}"


def _shut_in(address: str, port: int) -> Deferred[Any]:
    """The relay's way out of the demo: there is none."""
    return fail(ConnectError(string=f"the demo does not leave this machine ({address} port {port})"))


def _free_ports() -> dict[str, int]:
    """The usual ports, or another free one where something listens there already (and says so)."""
    chosen = {}
    for name, port in PORTS.items():
        chosen[name] = port if _is_free(port) else _any_free()
        if chosen[name] != port:
            print(f"port {port} ({name}) is taken; {chosen[name]} is used instead", file=sys.stderr)  # noqa: T201
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
