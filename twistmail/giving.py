"""Files for users of this machine: how a server that is not root makes mail belong to whom it is for (row R21).

`Giver` is the server's end of the helper (`giving_helper`), `Owner` what the
store does with it. The group of such files is the server's, which may go on
reading and writing them.
"""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from twistmail.giving_helper import NUMBER
from twistmail.mail.values import frozen

FILE_MODE, FOLDER_MODE = 0o660, 0o2770  # files made in the folder by its owner have the server's group, too
#: Seconds that an answer may take.
PATIENCE = 10.0


class Giver:
    """A running helper. Blocking, a few microseconds a call; any thread may ask."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._unheard = 0  # answers that somebody has given up to wait for

    def give(self, descriptor: int, user: int) -> None:
        """Make what *descriptor* has open belong to *user*. OSError where it may not, or where the helper has gone."""
        rights = array.array("i", [descriptor])
        with self._turn:
            self._hear(self._unheard)  # late, but in order: none of them is the answer to this
            self._connection.sendmsg([NUMBER.pack(user)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            self._unheard += 1
            answer = self._hear(1)
        if len(answer) != NUMBER.size:
            raise BrokenPipeError("the helper that gives files away has ended")
        if number := NUMBER.unpack(answer)[0]:
            raise OSError(number, f"a file is not given to user {user}: {os.strerror(number)}")

    def _hear(self, answers: int) -> bytes:
        """The last of so many *answers*."""
        answer = b""
        for _ in range(answers):
            answer = self._connection.recv(NUMBER.size)
            self._unheard -= 1
        return answer

    def close(self) -> None:
        """The helper ends, too."""
        self._connection.close()


def start(server: int, least: int) -> Giver:
    """Start the helper, as root. *server*: the numeric user that the server will be; *least*: the first user who may be given files."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    program = Path(__file__).with_name("giving_helper.py")
    with theirs:
        words = [sys.executable, "-I", "-S", str(program), str(theirs.fileno()), str(server), str(least)]
        subprocess.Popen(words, pass_fds=(theirs.fileno(),), cwd="/", env={}, stdin=subprocess.DEVNULL)
    return Giver(ours)


@frozen
class Owner:
    """The numeric user *user*, to whom *give*(descriptor, user) gives files."""

    user: int
    give: Callable[[int, int], None]

    def takes_file(self, descriptor: int) -> None:
        """A file of ours is his now, and still open to us. OSError."""
        os.fchmod(descriptor, FILE_MODE)
        self.give(descriptor, self.user)

    def takes_folder(self, path: Path) -> None:
        """As `takes_file`: he may put files into the folder, and take some away. OSError."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, FOLDER_MODE)
            self.give(descriptor, self.user)
        finally:
            os.close(descriptor)
