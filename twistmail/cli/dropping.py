"""Mail for a server that does not run: left where it will be picked up (`queue.dropbox`), by whoever may put files there."""

from __future__ import annotations

from pathlib import Path

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal
from twistmail.config.load import peek
from twistmail.mail.dropped import Dropped, Unreadable, read, written

#: Where it is left by who may not read the configuration.
USUAL_PLACE = Path("/var/spool/twistmail")
PLACE = "TWISTMAIL_PICKUP"


def leave(terminal: Terminal, message: Dropped, why: str) -> Path:
    """Leave *message* durably; the folder in which it waits now. *why*: what is wrong with the server. Raises Failure."""
    from twistmail.queue import dropbox

    folder = _folder(terminal)
    if folder is None:
        raise Failure(f"{why}; nothing was sent", Exit.TEMPFAIL,
                      "try again when it runs; [queue] pickup names no folder for mail meanwhile")
    data = written(message)
    _look(terminal, message, data, why)
    try:
        dropbox.leave(folder, data)
    except FileNotFoundError:
        raise Failure(f"{why}, and there is no folder {folder}/new for mail meanwhile; nothing was sent", Exit.TEMPFAIL,
                      "try again when it runs; docs/pickup.md tells how to make the folder") from None
    except PermissionError:
        raise Failure(f"{why}, and you may not put mail into {folder}/new; nothing was sent", Exit.TEMPFAIL,
                      "try again when it runs; docs/pickup.md has a folder for all users") from None
    except OSError as trouble:
        raise Failure(f"{why}, and {folder}/new takes no mail: {trouble.strerror}; nothing was sent", Exit.TEMPFAIL, "try again") from None
    return folder


def _look(terminal: Terminal, message: Dropped, data: bytes, why: str) -> None:
    """Failure where the server would not take *data*, the file of *message*: nobody would hear of that."""
    from twistmail.servers.smtp_options import SUBMISSION

    try:
        most = terminal.glance(SUBMISSION)[SUBMISSION.name].max_message
    except (OSError, Failure):
        most = peek(SUBMISSION, None, (), {})[SUBMISSION.name].max_message  # as it is where nobody has said anything
    if most is not None and len(message.content) > most:
        raise Failure(f"{why}, and would not take so large a message; nothing was sent", Exit.DATAERR,
                      f"it has {len(message.content)} octets; [submission] max_message = {most}")
    try:
        read(data)
    except Unreadable as trouble:
        raise Failure(f"{why}, and such a message cannot wait for it: {trouble}; nothing was sent", Exit.DATAERR) from None


def _folder(terminal: Terminal) -> Path | None:
    """That of the environment, of the configuration, or the usual one; None where the configuration wants none."""
    if named := terminal.environ.get(PLACE):
        return Path(named)
    from twistmail.queue.spool import OPTIONS  # it needs Twisted, which whoever finds a server need not wait for

    try:
        config = terminal.glance(OPTIONS)
    except (OSError, Failure):
        return USUAL_PLACE  # the configuration is not for everybody's eyes
    if terminal.file is None:
        return USUAL_PLACE
    return config.file(config[OPTIONS.name].pickup) if config[OPTIONS.name].pickup else None
