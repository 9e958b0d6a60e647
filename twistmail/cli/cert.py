"""twistmail cert: the certificates that the server shows. Of the running server, or read from the files."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.owner import become_owner
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import span

LONGEST_PASSWORD = 1024
#: Seconds until an authority must have decided, with the time that name servers may take.
RENEWAL_PATIENCE = 600.0


@click.group("cert", cls=Noun)
def group() -> None:
    """The certificates that this server shows."""


def _asked(terminal: Terminal, verb: str, read: Any) -> list[dict[str, Any]]:
    """What the server says to *verb*; where it does not run, what *read* finds out from the files."""
    try:
        return terminal.server().ask(verb)  # type: ignore[no-any-return]
    except ServerDown:
        from twistmail.certificate_views import certificates_of
        from twistmail.tls.contexts import OPTIONS

        terminal.hint("the server does not run; this is what the files say")
        config = terminal.glance(OPTIONS)
        return read(certificates_of(config, time.time, self_sign=False), time.time())  # type: ignore[no-any-return]


@group.command("list")
@click.pass_obj
def list_(terminal: Terminal) -> int:
    """List the certificates: their names, who has signed them, until when they hold."""
    from twistmail.certificate_views import listed

    found = _asked(terminal, "cert.list", listed)
    rows = [(" ".join(one["names"]) or "-", _ends(one), one.get("issuer", "-"), _state(one), one["path"]) for one in found]
    if rows or terminal.as_json:
        terminal.table(("NAMES", "ENDS", "SIGNED BY", "STATE", "FILE"), rows, found)
    else:
        terminal.hint("no certificates yet: at its first start the server makes one, or twistmail cert import FILE")
    return Exit.OK


def _ends(row: dict[str, Any]) -> str:
    if "ends" not in row:
        return "-"
    left = row["left_s"]
    return f"{row['ends'][:10]} ({'in ' + span(left) if left > 0 else 'over'})"


def _state(row: dict[str, Any]) -> str:
    if row["trouble"]:
        return row["trouble"] + (" (an earlier one is used)" if row["used_for"] else "")
    if not row["used_for"]:
        return "not used: another has its names"
    return "used, and over" if row["left_s"] <= 0 else "used; to be renewed" if row["ends_soon"] else "used"


@group.command()
@click.pass_obj
def check(terminal: Terminal) -> int:
    """Find what is wrong with the certificates, or soon will be. Ends with 1 where clients will refuse one."""
    from twistmail.certificate_views import checked

    found = _asked(terminal, "cert.check", checked)
    if terminal.as_json:
        terminal.table((), (), found)
    for finding in () if terminal.as_json else found:
        where = f"{finding['path']}: " if finding["path"] else ""
        terminal.say(f"{finding['level']}: {where}{finding['what']}" + (f"\n    {finding['step']}" if finding["step"] else ""))
    if not found:
        terminal.hint("nothing is wrong")
    return Exit.NOTHING if any(finding["level"] == "error" for finding in found) else Exit.OK


@group.command()
@click.option("--force", is_flag=True, help="Even if it is not time. Authorities count how often.")
@click.pass_obj
def renew(terminal: Terminal, force: bool) -> int:
    """Get a new certificate by ACME now, where it is time. Works through the running server, at which the authority looks."""
    server = terminal.server()
    server.patience = RENEWAL_PATIENCE
    answer = server.ask("cert.renew", force=force)
    row = answer["certificate"]
    if terminal.as_json:
        terminal.object(answer)
    elif row is not None:
        verdict = "new" if answer["renewed"] else "not time yet (--force: all the same)"
        terminal.say(f"{' '.join(row['names'])}: {verdict}, holds until {row['ends'][:10]}")
    return Exit.OK


@group.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--password-stdin", is_flag=True, help="Read the password of the key, or of the PKCS #12 file, from standard input.")
@click.option("--force", is_flag=True, help="Even if its time is over.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be imported.")
@click.pass_obj
def import_(terminal: Terminal, files: tuple[Path, ...], password_stdin: bool, force: bool, dry_run: bool) -> int:
    """Take a certificate with its key: one PEM or PKCS #12 file, or two PEM files. The server uses it at once, where it runs."""
    from twistmail.tls import bringing
    from twistmail.tls.certificates import OWN_CERTIFICATES
    from twistmail.tls.examination import instant, issuer

    password = sys.stdin.readline(LONGEST_PASSWORD).rstrip("\r\n").encode() if password_stdin else None
    certificate = _brought(files, password)
    told = {"names": list(certificate.names), "issuer": issuer(certificate), "ends": instant(certificate.expires)}
    if certificate.expires <= time.time() and not force:
        raise Failure(f"it has ended at {told['ends']}", Exit.DATAERR, "get a new one, or add --force")
    folder = terminal.glance().data_dir / OWN_CERTIFICATES
    path = folder / bringing.file_name(certificate)
    if not dry_run:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        become_owner(folder.parent)
        path = bringing.keep(certificate, folder)
    if terminal.as_json:
        terminal.object({"path": str(path), **told})
    else:
        terminal.say(f"{path}: {' '.join(certificate.names)}, signed by {told['issuer']}, holds until {told['ends'][:10]}")
    if not dry_run:
        _tell_server(terminal, str(path))
    return Exit.OK


def _brought(files: tuple[Path, ...], password: bytes | None) -> Any:
    from twistmail.tls import bringing
    from twistmail.tls.files import UNREADABLE, said

    try:
        certificate = bringing.bring(files, password)
        bringing.file_name(certificate)
    except UNREADABLE as trouble:
        step = "add --password-stdin" if isinstance(trouble, TypeError) else "take both from the same renewal" if len(files) > 1 else ""
        raise Failure(f"{files[0]}: {said(trouble, files[0])}", Exit.DATAERR, step) from None
    return certificate


def _tell_server(terminal: Terminal, path: str) -> None:
    """Let a server that runs use it now; else it does so when it starts."""
    try:
        rows = terminal.server().ask("cert.look")
    except ServerDown:
        terminal.hint("the server does not run; it will use it when it starts")
        return
    row = next((row for row in rows if row["path"] == path), None)
    used = row is not None and row["used_for"]
    terminal.hint(f"used from now on for {' '.join(row['used_for'])}" if row and used else "not used: another certificate has its names")
