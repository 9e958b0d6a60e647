"""Speaking to the running server: one JSON line there, one JSON line back, over its UNIX socket. Blocking, without Twisted.

The other end is `twistmail.control`; what can be asked stands there.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

from twistmail.cli.exits import Exit, Failure

#: Seconds until the server must have answered; and how long an answer may be.
PATIENCE = 60.0
LONGEST_ANSWER = 256 * 1024 * 1024


class ServerDown(Failure):
    """Nobody listens on the control socket."""


class Control:
    """The server behind the socket at *path*. *start_line* is told to those who have not started it."""

    def __init__(self, path: Path, start_line: str = "twistd -n twistmail") -> None:
        self.path = path
        self.patience = PATIENCE
        self._start_line = start_line

    def ask(self, verb: str, **arguments: Any) -> Any:
        """The server's answer to *verb*. Failure with the server's own words, ServerDown, or 77 where we may not ask."""
        said = self.hear(verb, **arguments)
        while True:
            try:
                next(said)
            except StopIteration as end:
                return end.value

    def hear(self, verb: str, **arguments: Any) -> Generator[Any, None, Any]:
        """The parts of the server's answer to *verb* as they come; the generator returns the result. Raises as `ask`."""
        request = json.dumps({"verb": verb, "args": arguments}).encode() + b"\n"
        with self._connected() as connection:
            try:
                connection.sendall(request)
                with connection.makefile("rb") as answers:
                    while (answer := _answer(answers.readline(LONGEST_ANSWER))).keys() == {"part"}:
                        yield answer["part"]
            except OSError as trouble:
                raise Failure(f"the server did not answer: {trouble}", Exit.UNAVAILABLE, "its log says why") from None
        if not answer.get("ok"):
            raise Failure(answer.get("error", "the server refused"), answer.get("exit", Exit.UNAVAILABLE), answer.get("step", ""))
        return answer.get("result")

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.patience)
        try:
            connection.connect(str(self.path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            connection.close()
            raise ServerDown(f"the server does not run (nobody listens on {self.path})", Exit.UNAVAILABLE,
                             f"start it: {self._start_line}") from None
        except PermissionError:
            connection.close()
            raise Failure(f"you may not open {self.path}", Exit.NOPERM, f"sudo -u {_owner(self.path)} twistmail ...") from None
        except OSError as trouble:
            connection.close()
            raise Failure(f"{self.path}: {trouble}", Exit.UNAVAILABLE, "see [server] control") from None
        return connection


def _answer(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise Failure("the server went away while it answered", Exit.UNAVAILABLE, "its log says why")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _owner(path: Path) -> str:
    """Who owns *path*, or the nearest folder above it that we may look at."""
    for place in (path, *path.parents):
        try:
            return pwd.getpwuid(os.stat(place).st_uid).pw_name
        except (OSError, KeyError):
            continue
    return "root"
