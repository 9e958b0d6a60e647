"""The socket at which everybody may change what is his own: where it is, and whether we need it.

Who may read the database of accounts needs no server; everybody else proves who he is by his password.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from twistmail.accounts.config import OPTIONS as USERS
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal

#: Where the server is looked for by who may not read the configuration.
USUAL_PLACE = Path("/run/twistmail/password.sock")
PLACE = "TWISTMAIL_PASSWORD"


def socket(terminal: Terminal, *, files_first: bool = False) -> Path | None:
    """The server's socket: that of the environment, of the configuration, or the usual one.

    None where we have the files instead; *files_first*: even where there is a socket.
    """
    if named := terminal.environ.get(PLACE):
        return Path(named)
    try:
        config = terminal.glance(USERS)
    except (OSError, Failure):
        return USUAL_PLACE  # the configuration is not for everybody's eyes
    place = config[USERS.name].password_socket
    database = config.file(config[USERS.name].database)
    has_files = os.access(database, os.R_OK | os.W_OK) or os.access(config.data_dir, os.W_OK)
    if place and not (files_first and has_files):
        return config.file(place)
    if has_files or not config.data_dir.exists():
        return None
    if USUAL_PLACE.exists():
        return USUAL_PLACE
    raise Failure("nobody changes his own password here", Exit.NOPERM, "ask an administrator for a new one, or for [users] password_socket")


def anywhere(terminal: Terminal) -> Path | None:
    """The server's socket, where one is at hand though nothing is known of the configuration."""
    if named := terminal.environ.get(PLACE):
        return Path(named)
    return USUAL_PLACE if USUAL_PLACE.exists() else None


def user() -> str:
    """Our name on this machine. Failure where we have none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name.lower()
    except KeyError:
        raise Failure("you have no name on this machine", Exit.USAGE, "say what you log in by, such as anna@blue.example") from None
