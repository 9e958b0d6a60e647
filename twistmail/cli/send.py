"""twistmail send: one test message, and the whole dialogue to look at."""

from __future__ import annotations

import smtplib
import socket
import ssl
import sys
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal

PATIENCE = 60.0


@click.command("send", cls=Verb)
@click.option("--to", "recipients", multiple=True, required=True, metavar="ADDRESS", help="To whom; repeatable.")
@click.option("--from", "sender", default="", metavar="ADDRESS", help="By whom. Default: postmaster of this server; '<>' for nobody.")
@click.option("--server", metavar="HOST[:PORT]", help="Which server. Default: this one, the first place at which [mx] listens.")
@click.option("--subject", default="A test message", show_default=True)
@click.option("--body", help="The text. Default: a sentence; - reads it from standard input.")
@click.option("--tls", type=click.Choice(["no", "starttls", "implicit"]), default="no", help="No certificate is checked. Default: no.")
@click.option("--user", metavar="NAME", help="Log in; the password is asked for.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def send(terminal: Terminal, recipients: tuple[str, ...], sender: str, server: str | None, tls: str, **rest: Any) -> int:
    """Send a test message and show every line of the dialogue. Ends with 1 where a recipient was refused."""
    host, port = _address(terminal, server)
    name = terminal.glance()["server"].hostname or socket.getfqdn()
    sender = "" if sender == "<>" else sender or f"postmaster@{name}"
    message = _message(sender, recipients, rest["subject"], rest["body"], name)
    password = _password(rest["user"], rest["password_stdin"])
    try:
        with _Dialogue(terminal, host, port, tls, name) as dialogue:
            dialogue.enter(tls, rest["user"], password)
            return dialogue.carry(sender, recipients, message)
    except smtplib.SMTPException as refused:
        raise Failure(_told(refused), Exit.NOTHING, "twistmail explain CODE   says what an answer means") from None
    except socket.gaierror:
        raise Failure(f"there is no host {host}", Exit.NOHOST) from None
    except OSError as trouble:
        raise Failure(f"{host} port {port}: {trouble}", Exit.UNAVAILABLE, "is the server started, and does it listen there?") from None


def _told(refused: smtplib.SMTPException) -> str:
    """What went wrong, as a sentence; the dialogue above it has the details."""
    if isinstance(refused, smtplib.SMTPRecipientsRefused):
        return "every recipient was refused"
    if isinstance(refused, smtplib.SMTPResponseException):
        said = refused.smtp_error
        return f"{refused.smtp_code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
    return str(refused)


def _address(terminal: Terminal, server: str | None) -> tuple[str, int]:
    if server:
        host, _, port = server.rpartition(":")
        return (host.strip("[]"), int(port)) if host and port.isdigit() else (server.strip("[]"), 25)
    listens = [listen for listen in terminal.whole()["mx"].listen if listen.port]
    if not listens:
        raise Failure("[mx] listens nowhere", Exit.CONFIG, "name a server with --server")
    return listens[0].interface or "127.0.0.1", listens[0].port


def _message(sender: str, recipients: tuple[str, ...], subject: str, body: str | None, name: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender or f"postmaster@{name}", ", ".join(recipients), subject
    message["Date"], message["Message-ID"] = formatdate(time.time(), localtime=True), make_msgid(domain=name)
    message.set_content(sys.stdin.read() if body == "-" else body or f"This is a test message of twistmail send on {name}.\n")
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


def _password(user: str | None, from_stdin: bool) -> str:
    if not user:
        return ""
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else click.prompt("Password", hide_input=True, err=True)


class _Dialogue(smtplib.SMTP):
    """An SMTP client that shows what is said. Secrets and the content are left out."""

    def __init__(self, terminal: Terminal, host: str, port: int, tls: str, name: str) -> None:
        self._terminal = terminal
        self._masked = False
        self._implicit = _context() if tls == "implicit" else None
        super().__init__(host, port, name, PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        return self._implicit.wrap_socket(plain, server_hostname=host) if self._implicit else plain

    def send(self, s: Any) -> None:
        """smtplib calls this for each command, and once with the whole content."""
        lines = (s if isinstance(s, str) else s.decode("utf-8", "replace")).rstrip("\r\n").split("\r\n")
        if self._masked:
            lines = [lines[0].split(" ")[0] + " ..." if lines[0].startswith("AUTH") else "..."]
        elif len(lines) > 3:
            lines = [f"({len(lines)} lines)", lines[-1]]
        for line in lines:
            self._show("C", line)
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """smtplib calls this for each reply; its lines are joined by LF."""
        code, text = super().getreply()
        *first, last = text.decode("utf-8", "replace").split("\n")
        for line in first:
            self._show("S", f"{code}-{line}")
        self._show("S", f"{code} {last}")
        return code, text

    def _show(self, side: str, line: str) -> None:
        if self._terminal.as_json:
            self._terminal.object({"side": side, "text": line})
        else:
            self._terminal.say(f"{side}: {line}")

    def enter(self, tls: str, user: str | None, password: str) -> None:
        """EHLO, STARTTLS and AUTH, as far as they are wanted."""
        self.ehlo_or_helo_if_needed()
        if tls == "starttls":
            self.starttls(context=_context())
            self.ehlo()
        if user:
            self._masked = True
            try:
                self.login(user, password)
            finally:
                self._masked = False

    def carry(self, sender: str, recipients: tuple[str, ...], message: bytes) -> int:
        """One transaction; 1 where anybody was refused."""
        refused = self.sendmail(sender, list(recipients), message)
        return Exit.NOTHING if refused else Exit.OK


def _context() -> ssl.SSLContext:
    """TLS without asking who it is: a test should work against a server with a certificate of its own making."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
