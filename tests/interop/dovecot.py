"""Debian's Dovecot on a maildir of ours: its IMAP process and its delivery agent, without a master, as an ordinary user.

`state` is what a mail program can learn of an account; two servers on one directory must say the same.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imapclient

from tests.interop.house import PATIENCE, as_ordinary_user, give_away

LIBRARY = Path("/usr/lib/dovecot")
#: Words by which Dovecot's log tells of a store that is not as it should be.
COMPLAINTS = ("Error:", "Panic:", "Fatal:", "Warning:", "Corrupted", "corrupted", "Duplicate", "Broken")

CONFIG = """\
base_dir = {folder}/run
mail_location = maildir:{maildir}{location}
mail_plugins = {plugins}
stats_writer_socket_path =
namespace inbox {{
  inbox = yes
  separator = {separator}
}}
protocol lda {{
  postmaster_address = postmaster@blue.test
}}
lda_mailbox_autocreate = yes
"""


class Dovecot:
    """Dovecot for the one account in *maildir*; *folder* is for its own files. *location*: what stands behind its mail_location."""

    def __init__(self, folder: Path, maildir: Path, *, plugins: str = "listescape", separator: str = "/", location: str = "") -> None:
        self.maildir = maildir
        self._folder = folder / "dovecot"
        self._folder.mkdir(exist_ok=True)
        give_away(self._folder)
        self._config = self._folder / "dovecot.conf"
        self._config.write_text(
            CONFIG.format(folder=self._folder, maildir=maildir, plugins=plugins, separator=separator, location=location)
        )
        self._log = self._folder / "log"
        self._told = 0

    def start(self, program: str, *options: str, **streams: Any) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [str(LIBRARY / program), "-c", str(self._config), *options],
                env={"USER": "alice", "HOME": str(self._folder), "PATH": "/usr/bin", "TZ": "UTC"},
                cwd=self._folder,
                stderr=log,
                **streams,
                **as_ordinary_user(),
            )

    @contextlib.contextmanager
    def client(self) -> Iterator[imapclient.IMAPClient]:
        """A session of its IMAP process, which needs no login: the process gets the connection as its standard input."""
        started: list[subprocess.Popen[bytes]] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                started.append(self.start("imap", stdin=connection, stdout=connection))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve)
            thread.start()
            client = imapclient.IMAPClient("127.0.0.1", listener.getsockname()[1], ssl=False, timeout=PATIENCE)
            thread.join()
        with client:  # logs out
            yield client
        started[0].wait(PATIENCE)

    def unique_ids(self) -> list[tuple[int, bytes]]:
        """What its POP3 process tells clients: (number, unique id)."""
        ours, its = socket.socketpair()
        with its:
            process = self.start("pop3", stdin=its, stdout=its)
        with ours, ours.makefile("rwb") as talk:
            talk.write(b"UIDL\r\nQUIT\r\n")
            talk.flush()
            lines = talk.read().split(b"\r\n")
        process.wait(PATIENCE)
        return [(int(number), name) for number, _, name in (line.partition(b" ") for line in lines) if number.isdigit()]

    def deliver(self, message: bytes, folder: str = "INBOX") -> None:
        """By its local delivery agent, as a mail server would."""
        agent = self.begin_delivery(message, folder)
        assert agent.wait(PATIENCE) == 0, self.log

    def begin_delivery(self, message: bytes, folder: str = "INBOX") -> subprocess.Popen[bytes]:
        """`deliver`, without waiting for its end."""
        agent = self.start("dovecot-lda", "-m", folder, "-f", "eve@red.test", stdin=subprocess.PIPE)
        assert agent.stdin
        agent.stdin.write(message)
        agent.stdin.close()
        return agent

    def forget(self) -> None:
        """Remove its indexes; the maildir says it all."""
        for path in [*self.maildir.glob("dovecot.*"), *self.maildir.glob(".*/dovecot.*")]:
            path.unlink()

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def check_log(self) -> None:
        """Fail where Dovecot has complained since the last time."""
        news = self.log[self._told :]
        self._told = len(self.log)
        complaints = [line for line in news.split("\n") if any(word in line for word in COMPLAINTS)]
        assert not complaints, "\n".join(complaints)


@dataclass(frozen=True)
class Mailbox:
    """What can be seen of a mailbox. `messages`: {UID: (flags, INTERNALDATE, RFC822.SIZE, octets)}."""

    uidvalidity: int
    uidnext: int
    messages: dict[int, tuple[frozenset[bytes], object, int, bytes]]


@dataclass(frozen=True)
class State:
    """What can be seen of an account."""

    mailboxes: dict[str, Mailbox]
    subscribed: frozenset[str]


def state_of(client: imapclient.IMAPClient) -> State:
    names = [name for flags, _, name in client.list_folders() if not {b"\\noselect", b"\\nonexistent"} & {f.lower() for f in flags}]
    return State({name: _mailbox(client, name) for name in names}, frozenset(name for _, _, name in client.list_sub_folders()))


def _mailbox(client: imapclient.IMAPClient, name: str) -> Mailbox:
    selected = client.select_folder(name, readonly=True)
    found = client.fetch(client.search(), ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]"]) if selected[b"EXISTS"] else {}
    client.unselect_folder()
    return Mailbox(
        selected[b"UIDVALIDITY"],
        selected[b"UIDNEXT"],
        {
            uid: (frozenset(parts[b"FLAGS"]) - {b"\\Recent"}, parts[b"INTERNALDATE"], parts[b"RFC822.SIZE"], parts[b"BODY[]"])
            for uid, parts in found.items()
        },
    )


def difference(one: State, other: State) -> list[str]:
    """What is not the same, in words; empty when all is."""
    found = [f"only one subscribes {name}" for name in one.subscribed ^ other.subscribed]
    found += [f"only one has {name}" for name in one.mailboxes.keys() ^ other.mailboxes.keys()]
    for name in one.mailboxes.keys() & other.mailboxes.keys():
        first, second = one.mailboxes[name], other.mailboxes[name]
        if (first.uidvalidity, first.uidnext) != (second.uidvalidity, second.uidnext):
            found.append(f"{name}: {first.uidvalidity} {first.uidnext} / {second.uidvalidity} {second.uidnext}")
        for uid in first.messages.keys() | second.messages.keys():
            if first.messages.get(uid) != second.messages.get(uid):
                found.append(f"{name} {uid}: {first.messages.get(uid)} / {second.messages.get(uid)}")
    return found
