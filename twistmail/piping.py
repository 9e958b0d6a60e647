"""Programs that mail is given to: how a server that is not root runs them as others, by a helper (`piping_helper`).

`Piper` is the server's end; `relay.programs` makes of it what a courier needs.
"""

from __future__ import annotations

import array
import grp
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path

from twistmail.mail.lines import stream_to_lf
from twistmail.mail.values import frozen
from twistmail.piping_helper import NOT_BEGUN

#: Processes of one run; seconds of processor time.
PROCESSES, CPU = 16, 10
#: Seconds beyond a program's own time after which the helper is given up.
GRACE = 10.0
#: Octets of one answer: the output, which JSON may make six times as long, and the rest.
LONGEST_ANSWER = 6 * 64 * 1024 + 1024
_OPEN_TO_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@frozen
class Command:
    """One program. `words` have gaps: {recipient}, {user}, {domain}, {sender}, {size}, {id}. `user`: who runs it; empty: we.

    `runs`: how many there may be at a time, which his processes are counted for. Instead of `words` there may be a `folder`, whose
    programs are asked for by name, or `files`: folders below which mail is put into files. `least`: it is run as the user whose
    mail it is, who has that number or a higher one; `user` does not count then. `groups`: beside the user's own. `keeps_mail`: it
    writes to mailboxes. `apart`: never as the server itself, whose mail it could read.
    """

    words: tuple[str, ...] = ()
    user: str = ""
    seconds: float = 60.0
    output: int = 4096
    runs: int = 1
    folder: str = ""
    files: tuple[str, ...] | None = None
    least: int | None = None
    groups: tuple[str, ...] = ()
    keeps_mail: bool = False
    apart: bool = False


@frozen
class Wanted:
    """What is to be done with a message: `name` is a row of the table, `values` fill its gaps. `user`: as whom, where the row leaves
    that open; `words`: a program of a folder and its words; `path`: of a file."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    words: tuple[str, ...] = ()
    path: str = ""


@frozen
class Run:
    """How a run has ended: the exit code (a signal's number, negative), what the program said, whether its time was over."""

    status: int
    output: str = ""
    late: bool = False

    @property
    def has_begun(self) -> bool:
        return self.status != NOT_BEGUN


class Piper:
    """A running helper. Blocking: called in threads, several at a time."""

    def __init__(self, connection: socket.socket, folder: Path, patience: Mapping[str, float]) -> None:
        self._connection = connection
        self._folder = folder
        self._patience = patience
        self._turn = threading.Lock()

    @property
    def names(self) -> frozenset[str]:
        """The programs that there are."""
        return frozenset(self._patience)

    def run(self, name: str, values: Mapping[str, str], message: Iterable[bytes]) -> Run:
        """Run the program *name* on *message* (chunks, CRLF line ends), which it gets with LF. OSError where the helper has gone."""
        return self.do(Wanted(name, values), message)

    def do(self, wanted: Wanted, message: Iterable[bytes]) -> Run:
        """As `run`."""
        with tempfile.TemporaryFile(dir=self._folder) as content:
            for chunk in stream_to_lf(message):
                content.write(chunk)
            content.flush()
            request = json.dumps({
                "name": wanted.name, "values": dict(wanted.values), "size": content.tell(), "user": wanted.user,
                "words": list(wanted.words), "path": wanted.path,
            }).encode()  # fmt: skip
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with ours:
                with theirs:
                    rights = array.array("i", [content.fileno(), theirs.fileno()])
                    with self._turn:
                        self._connection.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                ours.settimeout(self._patience[wanted.name] + GRACE)
                return _answer(ours)

    def close(self) -> None:
        """The helper ends, too."""
        self._connection.close()


def _answer(connection: socket.socket) -> Run:
    said = b""
    while len(said) <= LONGEST_ANSWER and (piece := connection.recv(65536)):
        said += piece
    try:
        told = json.loads(said)
    except ValueError:
        raise BrokenPipeError("the helper that runs programs has ended") from None
    return Run(told["status"], told["output"], told["late"])


def objection(command: Command, server: int | None = None) -> str:
    """Why *command* cannot be run, in words; empty: it can. *server* as for `start`."""
    us = os.geteuid() if server is None else server
    if command.folder and (why := folder_objection(command.folder)):
        return why
    if missing := [name for name in command.groups if not is_group(name)]:
        return f"there is no group {missing[0]} on this machine"
    if command.least is not None:
        return "" if os.geteuid() == 0 and us else "to run it as the user whose mail it is takes a start as root, with twistd --uid"
    if not command.user:
        return "it would be run as root; set user" if us == 0 else ""
    try:
        user = pwd.getpwnam(command.user).pw_uid
    except KeyError:
        return f"there is no user {command.user} on this machine"
    if user == 0:
        return "no program is run as root"
    if command.apart and user == us:
        return f"{command.user} is the server itself, all of whose mail a program could read"
    return "" if user == us or os.geteuid() == 0 else f"to run it as {command.user} takes a start as root, with twistd --uid"


def folder_objection(folder: str) -> str:
    """Why nothing is run that lies in *folder*, in words; empty: it may be."""
    try:
        status = os.stat(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is no folder"
    return f"others than its owner may put programs into {folder}" if status.st_mode & _OPEN_TO_OTHERS else ""


def is_group(name: str) -> bool:
    """Whether there is such a group on this machine, which is not root's."""
    try:
        return grp.getgrnam(name).gr_gid > 0
    except KeyError:
        return False


def start(commands: Mapping[str, Command], folder: Path, server: int | None = None) -> Piper:
    """Start the helper. *folder*: where messages lie while a program reads them. *server*: the user that the server will be.

    To none of *commands* there is an `objection`.
    """
    us = os.geteuid() if server is None else server
    table = {name: _row(command, us) for name, command in commands.items()}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = Path(__file__).with_name("piping_helper.py")
    with theirs:
        words = [sys.executable, "-I", "-S", str(program), str(theirs.fileno())]
        helper = subprocess.Popen(words, pass_fds=(theirs.fileno(),), cwd="/", env={}, stdin=subprocess.PIPE)
        assert helper.stdin is not None
        with helper.stdin as pipe:
            pipe.write(json.dumps(table).encode())
    return Piper(ours, folder, {name: command.seconds for name, command in commands.items()})


def _row(command: Command, us: int) -> dict[str, object]:
    """What the helper knows of *command*, beside a server that is *us*."""
    extra = [grp.getgrnam(name).gr_gid for name in command.groups]
    row: dict[str, object] = {
        "command": list(command.words), "folder": command.folder, "files": None if command.files is None else list(command.files),
        "seconds": command.seconds, "output": command.output, "keeps_mail": command.keeps_mail,
        "cpu": max(CPU, int(command.seconds)) if command.keeps_mail else CPU,
        "user": None, "least": command.least, "groups": extra, "processes": 0,
    }  # fmt: skip
    if command.least is not None:
        return row
    user = pwd.getpwnam(command.user) if command.user else pwd.getpwuid(us)
    return row | {
        "user": user.pw_uid, "group": user.pw_gid, "groups": os.getgrouplist(user.pw_name, user.pw_gid) + extra,
        "processes": PROCESSES * command.runs if user.pw_uid != us else 0,
    }  # fmt: skip
