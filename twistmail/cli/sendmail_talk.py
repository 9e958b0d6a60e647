"""What sendmail says to the running server, over the UNIX socket that [submission] listens on, and what its answers mean for a program."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Sequence
from pathlib import Path

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.sendmail_message import addresses, spelled, user
from twistmail.cli.sendmail_words import Wanted
from twistmail.cli.terminal import Terminal
from twistmail.endpoints import ENDPOINTS, Transport
from twistmail.mail import verp
from twistmail.options import Option, Section

#: Where the server is looked for by who may not read the configuration; and the variable that names another place.
USUAL_PLACE = Path("/run/twistmail/submit.sock")
PLACE = "TWISTMAIL_SUBMIT"
#: All of [submission] that we need. Its own declaration (`servers.smtp_options`) would bring half the server with it.
LISTEN = Section("submission", "Where the server listens.", Option("listen", ENDPOINTS, "off", "Endpoints."))
PATIENCE = 300.0  # seconds; RFC 5321 §4.5.3.2 asks for minutes


class Away(Exception):
    """There is no server to hand the message to; nothing of it was said."""


def place_of(terminal: Terminal) -> Path:
    """The socket of the server: that of the environment, of the configuration, or the usual one."""
    if named := terminal.environ.get(PLACE):
        return Path(named)
    try:
        config = terminal.glance(LISTEN)
    except (OSError, Failure):
        return USUAL_PLACE  # the configuration is not for everybody's eyes
    places = [listen for listen in config[LISTEN.name].listen if listen.kind is Transport.UNIX]
    return config.file(places[0].path) if places else USUAL_PLACE


def connected(path: Path) -> socket.socket:
    """A connection to the server at *path*. Away, or Failure with 77 where we may not."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as trouble:
        connection.close()
        raise Away(f"the server does not run ({path}: {trouble.strerror})") from None
    except PermissionError:
        connection.close()
        raise Failure(f"you may not open {path}; nothing was sent", Exit.NOPERM, "the mode of the socket says who may") from None
    except OSError as trouble:
        connection.close()
        raise Failure(f"{path}: {trouble}; nothing was sent", Exit.TEMPFAIL, "try again") from None
    return connection


class _Submission(smtplib.SMTP):
    """SMTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("localhost", local_hostname="localhost", timeout=PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connected(self._path)


def hand_over(path: Path, wanted: Wanted, recipients: Sequence[str], message: bytes) -> None:
    """One transaction. Failure with the code that fits what the server says; Away."""
    try:
        with _Submission(path) as server:
            server.ehlo()
            _say(server, _mail(server, wanted, message))
            for recipient in recipients:
                _say(server, f"RCPT TO:<{recipient}>" + _asked(server, "NOTIFY", wanted.notify), recipient)
            _judge(*server.data(message))
    except smtplib.SMTPConnectError as answer:
        if answer.smtp_code == 421:
            raise Away(f"the server takes no mail now ({_text(answer.smtp_error)})") from None
        raise _failure(answer.smtp_code, answer.smtp_error) from None
    except smtplib.SMTPResponseException as answer:
        raise _failure(answer.smtp_code, answer.smtp_error) from None
    except (OSError, smtplib.SMTPException) as trouble:
        raise Failure(f"the server went away: {trouble}", Exit.TEMPFAIL, "try again") from None


def verified(path: Path, recipient: str) -> tuple[int, str]:
    """(code, text) that the server answers to VRFY of *recipient*. Failure, Away."""
    try:
        with _Submission(path) as server:
            server.ehlo()
            code, said = server.docmd("VRFY", recipient)
    except (OSError, smtplib.SMTPException) as trouble:
        raise Failure(f"the server went away: {trouble}", Exit.TEMPFAIL, "try again") from None
    return code, _text(said)


def sender_of(wanted: Wanted) -> str:
    """What stands in MAIL: the user of this machine where nobody is named, nobody where that is so."""
    if wanted.sender is None:
        return spelled(user(), "")
    return (addresses(wanted.sender.encode()) or [wanted.sender])[0] if wanted.sender else ""


def _mail(server: smtplib.SMTP, wanted: Wanted, message: bytes) -> str:
    sender = sender_of(wanted)
    line = f"MAIL FROM:<{sender}>"
    if server.has_extn("8bitmime") and not message.isascii():
        line += " BODY=8BITMIME"
    if server.has_extn("smtputf8") and not (line.isascii() and all(word.isascii() for word in wanted.recipients)):
        line += " SMTPUTF8"
        server.command_encoding = "utf-8"
    line += _asked(server, "RET", wanted.ret) + _asked(server, "ENVID", xtext(wanted.envid))
    return line + (verp.parameter(wanted.verp) if server.has_extn("xverp") else "")


def _asked(server: smtplib.SMTP, name: str, value: str) -> str:
    return f" {name}={value}" if value and server.has_extn("dsn") else ""


def xtext(text: str) -> str:
    """RFC 3461 §4."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else "".join(f"+{octet:02X}" for octet in c.encode()) for c in text)


def _say(server: smtplib.SMTP, line: str, about: str = "") -> None:
    _judge(*server.docmd(line), about)


def _judge(code: int, said: bytes, about: str = "") -> None:
    if code >= 400:
        raise _failure(code, said, about)


def _failure(code: int, said: bytes | str, about: str = "") -> Failure:
    text = _text(said)
    words = text.split(" ", 1)
    enhanced, rest = words if len(words) == 2 and words[0].count(".") == 2 else ("", text)
    return Failure(f"{about}: {rest}" if about else rest, _exit_code(code, enhanced))


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _exit_code(code: int, enhanced: str) -> Exit:
    """What sysexits(3) calls it."""
    if code < 500:
        return Exit.TEMPFAIL
    if code == 530 or enhanced.startswith("5.7."):
        return Exit.NOPERM
    if enhanced in ("5.1.1", "5.1.6", "5.1.10"):
        return Exit.NOUSER
    if enhanced in ("5.1.2", "5.1.8"):
        return Exit.NOHOST
    return Exit.DATAERR if enhanced.startswith(("5.1.", "5.3.4", "5.5.", "5.6.")) else Exit.UNAVAILABLE
