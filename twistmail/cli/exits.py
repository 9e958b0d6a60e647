"""How a command ends: sysexits(3) codes, and failures that name the next step."""

from __future__ import annotations

from enum import IntEnum

import click


class Exit(IntEnum):
    """Exit codes; the same for every command. `ABOUT` has a sentence for each."""

    OK = 0
    NOTHING = 1
    USAGE = 64
    DATAERR = 65
    NOINPUT = 66
    NOUSER = 67
    NOHOST = 68
    UNAVAILABLE = 69
    SOFTWARE = 70
    CANTCREAT = 73
    IOERR = 74
    TEMPFAIL = 75
    NOPERM = 77
    CONFIG = 78


ABOUT = {
    Exit.OK: "done; for check: no errors",
    Exit.NOTHING: "ran fine; the answer is: nothing found, or problems",
    Exit.USAGE: "wrong arguments",
    Exit.DATAERR: "a file that was given is broken",
    Exit.NOINPUT: "a file that was given is not there",
    Exit.NOUSER: "no such user, alias or message",
    Exit.NOHOST: "a host was not found",
    Exit.UNAVAILABLE: "the server does not run, or does not answer",
    Exit.SOFTWARE: "a bug in twistmail",
    Exit.CANTCREAT: "a file cannot be made",
    Exit.IOERR: "the disk or the connection failed",
    Exit.TEMPFAIL: "try again later",
    Exit.NOPERM: "you may not; the message says who may",
    Exit.CONFIG: "the configuration has errors",
}


class Failure(click.ClickException):
    """A command that could not be done. `step` says what to do next."""

    def __init__(self, text: str, exit_code: int, step: str = "") -> None:
        super().__init__(text)
        self.exit_code = int(exit_code)  # type: ignore[misc]
        self.step = step

    def format_message(self) -> str:
        return f"{self.message}\n    {self.step}" if self.step else self.message

    def show(self, file: object = None) -> None:
        click.echo(f"error: {self.format_message()}", err=True)
