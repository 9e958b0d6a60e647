"""Marionette, the protocol by which Mozilla's programs are driven: `LENGTH:JSON` both ways, one question at a time.

A client of our own, because the published one wants seventeen packages and a module that Python 3.13 has no more.
"""

from __future__ import annotations

import json
import socket
from typing import Any


class Refused(Exception):
    """What the program says instead of an answer."""


class Marionette:
    """A session on *port* of this computer, in the program's own ("chrome") context. Nothing takes longer than *patience* seconds."""

    def __init__(self, port: int, patience: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 2 * patience)
        self._file = self._socket.makefile("rb")
        self._number = 0
        greeting = self._hear()
        assert greeting["marionetteProtocol"] == 3, greeting
        self.ask("WebDriver:NewSession")
        self.ask("WebDriver:SetTimeouts", script=int(1000 * patience))
        self.ask("Marionette:SetContext", value="chrome")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def run(self, script: str, *arguments: object) -> Any:
        """What *script* returns; where that is a promise, what it comes to."""
        return self.ask("WebDriver:ExecuteScript", script=script, args=list(arguments), sandbox=None)["value"]

    def ask(self, command: str, **parameters: object) -> Any:
        """The answer to *command*; Refused where it is an error."""
        self._number += 1
        asked = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(asked), asked))
        kind, number, error, result = self._hear()
        assert (kind, number) == (1, self._number), "an answer to another question"
        if error:
            raise Refused(f"{error['error']}: {error['message']}\n{error['stacktrace']}")
        return result

    def _hear(self) -> Any:
        length = b""
        while (octet := self._file.read(1)) != b":":
            assert octet.isdigit(), f"no length: {length + octet!r}"
            length += octet
        return json.loads(self._file.read(int(length)))
