"""twistmail sendmail, twistmail-sendmail, sendmail: mail from programs of this machine, handed to the running server.

It goes over the UNIX socket that [submission] listens on, where the kernel
tells who we are, so no password is needed and the server's own rules decide
what may be sent. All or nothing: where one recipient is refused, none gets it.
Where no server runs the message is left for it (`dropping`), and whoever is refused
then is told by a report.
Ends with a code of sysexits(3); 75 means that the message was not taken and
should be tried again. What waits is listed and tried by `mailq` (-bp, -q).
"""

from __future__ import annotations

import os
import smtplib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.sendmail_words import Misused, Task, Wanted, read
from twistmail.cli.terminal import Terminal
from twistmail.endpoints import Transport
from twistmail.mail import headers, verp
from twistmail.servers.smtp_options import SUBMISSION

#: Where the server is looked for by who may not read the configuration.
USUAL_PLACE = Path("/run/twistmail/submit.sock")
PLACE = "TWISTMAIL_SUBMIT"
PATIENCE = 300.0  # seconds; RFC 5321 §4.5.3.2 asks for minutes
RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
RESENT_FIELDS = (b"resent-to", b"resent-cc", b"resent-bcc")


@click.command("sendmail", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def sendmail(terminal: Terminal, arguments: tuple[str, ...]) -> int:
    """Send the message on standard input, as sendmail does: [-t] [-i] [-f SENDER] [-F NAME] [ADDRESS ...]."""
    return send(terminal, arguments, sys.stdin.buffer)


def run() -> NoReturn:
    """The console script; also under the names sendmail and mailq."""
    name = "mailq" if Path(sys.argv[0]).name.removeprefix("twistmail-") == "mailq" else "sendmail"
    arguments = ["-bp", *sys.argv[1:]] if name == "mailq" else sys.argv[1:]
    try:
        code = send(Terminal(), arguments, sys.stdin.buffer)
        sys.stdout.flush()
    except Failure as failure:
        click.echo(f"{name}: {failure.format_message()}", err=True)
        code = failure.exit_code
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]  # who reads no longer reads, and wants no complaint
        code = Exit.OK
    sys.exit(code)


def send(terminal: Terminal, arguments: Sequence[str], source: BinaryIO) -> int:
    """Do what *arguments* say with the message that *source* has. Raises Failure."""
    try:
        wanted = read(arguments)
    except Misused as misused:
        raise Failure(str(misused), Exit.USAGE) from None
    if wanted.task is not Task.SEND:
        from twistmail.cli.mailq import attend  # who only sends need not wait for it

        return attend(terminal, wanted)
    if not wanted.recipients and not wanted.from_header:
        raise Failure("nobody is named to get the message", Exit.USAGE, "write addresses, or -t to take them from its header")
    message = _message(source.read(), dots=wanted.dots)
    recipients = [address for word in wanted.recipients for address in _addresses(word.encode())]
    if wanted.from_header:
        recipients += _recipients_in(message)
        message = _without_blind(message)
    if not recipients:
        raise Failure("nobody is named to get the message", Exit.USAGE, "its header has neither To nor Cc nor Bcc")
    recipients, message = list(dict.fromkeys(recipients)), _named(message, wanted)
    try:
        _hand_over(_server(terminal), wanted, recipients, message)
    except _Away as away:
        _leave(terminal, wanted, recipients, message, str(away))
    return Exit.OK


def _leave(terminal: Terminal, wanted: Wanted, recipients: list[str], message: bytes, why: str) -> None:
    """For a server that does not run: it takes the message when it starts, as if it were handed over then."""
    from twistmail.cli.dropping import leave
    from twistmail.mail.dropped import Dropped

    sender = None if wanted.sender is None else _sender(wanted)
    folder = leave(terminal, Dropped(sender, tuple(recipients), message, wanted.notify, wanted.ret, _xtext(wanted.envid), wanted.verp), why)
    if sys.stderr.isatty():
        terminal.hint(f"{why}; the message waits for it in {folder}")


# ----- the message


def _message(raw: bytes, *, dots: bool) -> bytes:
    """*raw* with CRLF line ends, without mbox's first line and (*dots*) without what stands behind a line of one dot."""
    lines = raw.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    lines = [line.removesuffix(b"\r") for line in lines]
    if dots and b"." in lines:
        del lines[lines.index(b".") :]
    if lines and lines[0].startswith((b"From ", b">From ")):
        del lines[0]
    return b"".join(line + b"\r\n" for line in lines)


def _header(message: bytes) -> tuple[bytes, bytes]:
    header, end = headers.split(message)
    return header, message[end:]


def _recipients_in(message: bytes) -> list[str]:
    """All of To, Cc and Bcc; of a message that is sent on, those of the Resent- fields (RFC 5322 §3.6.6)."""
    header, _ = _header(message)
    resent = any(headers.values(header, name) for name in RESENT_FIELDS)
    fields = RESENT_FIELDS if resent else RECIPIENT_FIELDS
    return [address for name in fields for value in headers.values(header, name) for address in _addresses(value)]


def _addresses(value: bytes) -> list[str]:
    """The addresses in a list, with or without domains. Failure where something in it is none."""
    found = []
    for one in headers.addresses(value):
        if one.is_mailbox:
            text = (one.local or b"").decode("utf-8", "replace")
            domain = (one.domain or b"").decode("utf-8", "replace")
            found.append(_spelled(text, domain))
    return found


def _spelled(local: str, domain: str) -> str:
    from twistmail.mail.address import Address

    if not local or any(c in local or c in domain for c in "\r\n\0<>"):
        raise Failure(f"{local}@{domain} is no address", Exit.DATAERR)
    return str(Address(local, domain))


def _without_blind(message: bytes) -> bytes:
    header, body = _header(message)
    return headers.without(header, {b"bcc", b"resent-bcc"}) + body


def _named(message: bytes, wanted: Wanted) -> bytes:
    """*message* with the full name of -F in a From of its own, where it has none."""
    header, body = _header(message)
    if not wanted.name or headers.values(header, b"from"):
        return message
    name = "".join(c for c in wanted.name if c.isprintable() and c not in '"\\')
    author = [(b"From", f'"{name}" <{wanted.sender or _user()}>'.encode())]
    begins = next(headers.fields(header), None)
    if begins is None or begins.start > 0:  # it is all text
        return headers.add(b"\r\n", author) + message
    return headers.add(header, author) + body


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name.lower()
    except KeyError:
        return f"uid{os.getuid()}"


# ----- the server


def _server(terminal: Terminal) -> Path:
    """The socket of the server: that of the environment, of the configuration, or the usual one."""
    if named := terminal.environ.get(PLACE):
        return Path(named)
    try:
        config = terminal.glance(SUBMISSION)
    except (OSError, Failure):
        return USUAL_PLACE  # the configuration is not for everybody's eyes
    places = [listen for listen in config[SUBMISSION.name].listen if listen.kind is Transport.UNIX]
    return config.file(places[0].path) if places else USUAL_PLACE


class _Away(Exception):
    """There is no server to hand the message to; nothing of it was said."""


class _Submission(smtplib.SMTP):
    """SMTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("localhost", local_hostname="localhost", timeout=PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection


def _hand_over(path: Path, wanted: Wanted, recipients: list[str], message: bytes) -> None:
    """One transaction. Failure with the code that fits what the server says."""
    try:
        with _Submission(path) as server:
            server.ehlo()
            _say(server, _mail(server, wanted, message))
            for recipient in recipients:
                _say(server, f"RCPT TO:<{recipient}>" + _asked(server, "NOTIFY", wanted.notify), recipient)
            _judge(*server.data(message))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as trouble:
        raise _Away(f"the server does not run ({path}: {trouble.strerror})") from None
    except PermissionError:
        raise Failure(f"you may not open {path}; nothing was sent", Exit.NOPERM, "the mode of the socket says who may") from None
    except smtplib.SMTPConnectError as answer:
        if answer.smtp_code == 421:
            raise _Away(f"the server takes no mail now ({_text(answer.smtp_error)})") from None
        raise _failure(answer.smtp_code, answer.smtp_error) from None
    except smtplib.SMTPResponseException as answer:
        raise _failure(answer.smtp_code, answer.smtp_error) from None
    except (OSError, smtplib.SMTPException) as trouble:
        raise Failure(f"the server went away: {trouble}", Exit.TEMPFAIL, "try again") from None


def _sender(wanted: Wanted) -> str:
    """What stands in MAIL: the user of this machine where nobody is named, nobody where that is so."""
    if wanted.sender is None:
        return _spelled(_user(), "")
    return (_addresses(wanted.sender.encode()) or [wanted.sender])[0] if wanted.sender else ""


def _mail(server: smtplib.SMTP, wanted: Wanted, message: bytes) -> str:
    sender = _sender(wanted)
    line = f"MAIL FROM:<{sender}>"
    if server.has_extn("8bitmime") and not message.isascii():
        line += " BODY=8BITMIME"
    if server.has_extn("smtputf8") and not (line.isascii() and all(word.isascii() for word in wanted.recipients)):
        line += " SMTPUTF8"
        server.command_encoding = "utf-8"
    line += _asked(server, "RET", wanted.ret) + _asked(server, "ENVID", _xtext(wanted.envid))
    return line + (verp.parameter(wanted.verp) if server.has_extn("xverp") else "")


def _asked(server: smtplib.SMTP, name: str, value: str) -> str:
    return f" {name}={value}" if value and server.has_extn("dsn") else ""


def _xtext(text: str) -> str:
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
