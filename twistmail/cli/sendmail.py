"""twistmail sendmail, twistmail-sendmail, sendmail: mail from programs of this machine, handed to the running server.

It goes over the UNIX socket that [submission] listens on, where the kernel
tells who we are, so no password is needed and the server's own rules decide
what may be sent. All or nothing: where one recipient is refused, none gets it.
Where no server runs the message is left for it (`dropping`), and whoever is refused
then is told by a report.
Ends with a code of sysexits(3); 75 means that the message was not taken and
should be tried again. What waits is listed and tried by `mailq` (-bp, -q); a program may say all of it
by SMTP (-bs, `sendmail_smtp`). Which of its names it is called by says what it does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import click

from twistmail.cli.control import Control
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.sendmail_message import addresses, cleaned, named, recipients_in, without_blind
from twistmail.cli.sendmail_talk import Away, hand_over, place_of, sender_of, verified, xtext
from twistmail.cli.sendmail_words import Misused, Task, Wanted, read
from twistmail.cli.terminal import Terminal, safe
from twistmail.mail.dropped import Dropped

#: What the names stand for. Each may have "twistmail-" in front of it.
NAMES = {"sendmail": (), "mailq": ("-bp",), "newaliases": ("-bi",), "runq": ("-q",)}
#: Octets of a message that are read; where the server's limit is lower, it says so itself.
MOST = 256 * 1024 * 1024


@click.command("sendmail", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def sendmail(terminal: Terminal, arguments: tuple[str, ...]) -> int:
    """Send the message on standard input, as sendmail does: [-t] [-i] [-f SENDER] [-F NAME] [ADDRESS ...]."""
    return send(terminal, arguments, sys.stdin.buffer)


def run() -> NoReturn:
    """The console script, under any of NAMES."""
    _open_what_is_closed()
    called = Path(sys.argv[0]).name.removeprefix("twistmail-")
    name = called if called in NAMES else "sendmail"
    try:
        code = send(Terminal(), [*NAMES[name], *sys.argv[1:]], sys.stdin.buffer)
        sys.stdout.flush()
    except Failure as failure:
        click.echo(f"{name}: {failure.format_message()}", err=True)
        code = failure.exit_code
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]  # who reads no longer reads, and wants no complaint
        code = Exit.OK
    except KeyboardInterrupt:
        click.echo(f"{name}: stopped", err=True)
        code = Exit.TEMPFAIL
    sys.exit(code)


def _open_what_is_closed() -> None:
    """Whoever starts us may have closed our standard descriptors; a socket of ours must not become one of them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115  # for as long as we run
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def send(terminal: Terminal, arguments: Sequence[str], source: BinaryIO) -> int:
    """Do what *arguments* say with the message that *source* has. Raises Failure."""
    try:
        wanted = read(arguments)
    except Misused as misused:
        raise Failure(str(misused), Exit.USAGE) from None
    if wanted.config:
        terminal.config = wanted.config
    match wanted.task:
        case Task.SEND:
            return _send(terminal, wanted, source)
        case Task.SPEAK:
            return _speak(terminal, wanted, source)
        case Task.VERIFY:
            return _verify(terminal, wanted)
        case Task.ALIASES:
            return _rebuild(terminal, wanted)
    from twistmail.cli.mailq import attend  # who only sends need not wait for it

    return attend(terminal, wanted)


def _send(terminal: Terminal, wanted: Wanted, source: BinaryIO) -> int:
    if not wanted.recipients and not wanted.from_header:
        raise Failure("nobody is named to get the message", Exit.USAGE, "write addresses, or -t to take them from its header")
    raw = source.read(MOST + 1)
    if len(raw) > MOST:
        raise Failure(f"the message has more than {MOST // 1024 // 1024} MiB; nothing was sent", Exit.DATAERR)
    message = cleaned(raw, dots=wanted.dots)
    recipients = [address for word in wanted.recipients for address in addresses(word.encode(errors="surrogateescape"))]
    if wanted.from_header:
        recipients += recipients_in(message)
        message = without_blind(message)
    if not recipients:
        raise Failure("nobody is named to get the message", Exit.USAGE, _NOBODY if wanted.from_header else "no word is an address")
    recipients, message = list(dict.fromkeys(recipients)), named(message, wanted.name, wanted.sender)
    try:
        hand_over(place_of(terminal), wanted, recipients, message)
    except Away as away:
        sender = None if wanted.sender is None else sender_of(wanted)
        dropped = Dropped(sender, tuple(recipients), message, wanted.notify, wanted.ret, xtext(wanted.envid), wanted.verp)
        _leave(terminal, dropped, str(away))
    return Exit.OK


_NOBODY = "its header has neither To nor Cc nor Bcc"


def _leave(terminal: Terminal, message: Dropped, why: str) -> None:
    """For a server that does not run: it takes the message when it starts, as if it were handed over then."""
    from twistmail.cli.dropping import leave

    folder = leave(terminal, message, why)
    if sys.stderr.isatty():
        terminal.hint(f"{why}; the message waits for it in {folder}")


def _speak(terminal: Terminal, wanted: Wanted, source: BinaryIO) -> int:
    """-bs."""
    from twistmail.cli.sendmail_smtp import speak

    if wanted.recipients:
        raise Failure(f"{wanted.recipients[0]}: with -bs the recipients are told by SMTP", Exit.USAGE, "leave addresses out")
    sys.stdout.flush()
    away = "the server does not run"
    return speak(place_of(terminal), lambda message: _leave(terminal, message, away), source.fileno(), sys.stdout.fileno())


def _rebuild(terminal: Terminal, wanted: Wanted) -> int:
    """-bi."""
    from twistmail.cli.newaliases import rebuild

    if wanted.recipients:
        raise Failure(f"{wanted.recipients[0]}: all alias files are read by -bi", Exit.USAGE, "leave names out")
    terminal.as_json = wanted.as_json
    return rebuild(terminal)


def _verify(terminal: Terminal, wanted: Wanted) -> int:
    """-bv: the tree of each address for who may ask for it, else what the server says to VRFY. Ends with 67 where one leads nowhere."""
    from twistmail.cli.mailq import operators_door

    if not wanted.recipients:
        raise Failure("nobody is named to be looked up", Exit.USAGE, "sendmail -bv ADDRESS ...")
    control = operators_door(terminal)
    arrive = [_arrives(terminal, control, recipient) for recipient in wanted.recipients]
    return Exit.OK if all(arrive) else Exit.NOUSER


def _arrives(terminal: Terminal, control: Control | None, recipient: str) -> bool:
    """Whether mail for *recipient* leads anywhere; it is told how. *control*: of an operator."""
    if control is not None:
        from twistmail.cli.alias import shown

        return shown(terminal, control.ask("alias.resolve", address=recipient))
    try:
        code, text = verified(place_of(terminal), recipient)
    except Away as away:
        raise Failure(str(away), Exit.UNAVAILABLE, "addresses are looked up by the server that runs") from None
    if 400 <= code < 500:
        raise Failure(f"{recipient}: {text}", Exit.TEMPFAIL)
    click.echo(safe(f"{recipient} ... {code} {text}"))
    return code < 400
