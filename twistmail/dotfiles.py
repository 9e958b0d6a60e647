"""Files by which users of this machine say what becomes of their mail: how a server that is not root reads them (row R33).

`Reader` is the server's end of the helper (`dotfiles_helper`, where the rules
are); `read` does without one, where the server may look for itself. `save` and
`remove` change such files, for `twistmail forward`. All of it blocks.
"""

from __future__ import annotations

import array
import json
import os
import pwd
import secrets
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from twistmail.dotfiles_helper import EXTENSION, NUMBER, Found, look_at_home
from twistmail.dotfiles_helper import look as look
from twistmail.dotfiles_helper import names as names

#: Seconds that an answer may take.
PATIENCE = 10.0
#: Octets of one: a file, each octet of which JSON may make six, and the rest.
LONGEST_ANSWER = 6 * 64 * 1024 + 64 * 1024


class Reader:
    """A running helper. Blocking: called in threads, several at a time."""

    def __init__(self, connection: socket.socket, patience: float = PATIENCE) -> None:
        self._connection = connection
        self._patience = patience
        self._turn = threading.Lock()

    def read(self, user: int, extension: str = "") -> Found:
        """The forward of the numeric *user* for mail with *extension*. OSError where the helper has gone or does not answer."""
        if not EXTENSION.fullmatch(extension):
            extension = ""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                rights = array.array("i", [theirs.fileno()])
                with self._turn:
                    self._connection.sendmsg([NUMBER.pack(user) + extension.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            ours.settimeout(self._patience)
            return _answer(ours)

    def close(self) -> None:
        """The helper ends, too."""
        self._connection.close()


def _answer(connection: socket.socket) -> Found:
    said = b""
    while len(said) <= LONGEST_ANSWER and (piece := connection.recv(65536)):
        said += piece
    try:
        return Found(**json.loads(said))
    except (ValueError, TypeError):
        raise BrokenPipeError("the helper that reads people's forwards has ended") from None


def read(user: int, extension: str = "") -> Found:
    """As `Reader.read`, as whoever we are."""
    try:
        return look_at_home(pwd.getpwuid(user), extension)
    except KeyError:
        return Found()


def start(least: int) -> Reader:
    """Start the helper, as root. *least*: the first user of whom anything is read."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    program = Path(__file__).with_name("dotfiles_helper.py")
    with theirs:
        words = [sys.executable, "-I", "-S", str(program), str(theirs.fileno()), str(least)]
        subprocess.Popen(words, pass_fds=(theirs.fileno(),), cwd="/", env={}, stdin=subprocess.DEVNULL)
    return Reader(ours)


def save(path: Path, text: str, mode: int) -> None:
    """Put *text* into the file at *path*, whole or not at all, and for good. OSError."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    _sync(path.parent)


def remove(path: Path) -> bool:
    """Take the file at *path* away, for good; False where there is none. OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    _sync(path.parent)
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
