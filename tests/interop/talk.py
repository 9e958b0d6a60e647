"""A conversation by hand, for what real clients do not do: stop half-way, wait, and look at every answer."""

from __future__ import annotations

import socket
from typing import Self


class Talk:
    """One connection to a port of loopback. Lines go out with CRLF and come back without."""

    def __init__(self, port: int, timeout: float = 20.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self.socket.close()

    def hear(self) -> str:
        """The next line; empty where the server has closed."""
        return self._lines.readline().decode("latin-1").rstrip("\r\n")

    def reply(self) -> str:
        """The last line of the next SMTP reply."""
        while (line := self.hear())[3:4] == "-":
            pass
        return line

    def say(self, line: str) -> None:
        self.socket.sendall(line.encode("latin-1") + b"\r\n")

    def ask(self, line: str) -> str:
        """Say *line*; the reply to it (SMTP, or one line of POP3)."""
        self.say(line)
        return self.reply()

    def until(self, beginning: str) -> list[str]:
        """The lines up to and including the one that begins so."""
        lines = []
        while not lines or not lines[-1].startswith(beginning):
            line = self.hear()
            assert line or lines[-1:] != [""], f"{beginning} never came: {lines}"
            lines.append(line)
        return lines


def smtp(port: int, sender: str, *recipients: str) -> Talk:
    """A conversation in which *recipients* have been accepted and DATA may follow."""
    talk = Talk(port)
    assert talk.reply().startswith("220")
    for line in ("EHLO lab.test", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients)):
        answer = talk.ask(line)
        assert answer.startswith("250"), f"{line}: {answer}"
    return talk


def send(talk: Talk, text: str) -> str:
    """The answer to the end of *text* (lines end with a line feed; no line begins with a dot)."""
    answer = talk.ask("DATA")
    assert answer.startswith("354"), answer
    talk.socket.sendall(text.replace("\n", "\r\n").encode("latin-1") + b".\r\n")
    return talk.reply()
