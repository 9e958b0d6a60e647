"""twistmail verify: is everything on the disk as it should be? Looks only; works while the server runs, and while it does not."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from twistmail.anomalies import Anomaly, Report, Severity
from twistmail.cli.exits import Exit
from twistmail.cli.grammar import Verb
from twistmail.cli.progress import progress
from twistmail.cli.stored import Storage
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import plural
from twistmail.queue.spool import OPTIONS as QUEUE
from twistmail.queue.verify import verify_drafts, verify_pickup, verify_spool
from twistmail.store.redo_check import verify_redo
from twistmail.store.verify import verify_account


@click.command("verify", cls=Verb)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--deep", is_flag=True, help="Read every message, too: finds what was overwritten with zeros, and wrong sizes.")
@click.option("--notes", is_flag=True, help="Tell also what may be so and goes by itself.")
@click.pass_obj
def verify(terminal: Terminal, accounts: tuple[str, ...], deep: bool, notes: bool) -> int:
    """Look through queue, mailboxes, UID lists and index; tell everything that is not as it should be, and what cures it.

    Without ACCOUNT: all accounts and the queue. Nothing is changed. Ends with 1 where there are errors.
    """
    report = checked(terminal, accounts, deep=deep)
    tell(terminal, report, notes=notes)
    return Exit.OK if report.is_sound else Exit.NOTHING


def checked(terminal: Terminal, accounts: Sequence[str], *, deep: bool = False) -> Report:
    """What there is to tell of *accounts*; of everything where there are none."""
    storage = Storage(terminal)
    chosen = storage.chosen(accounts)
    report = Report()
    if not accounts:
        config = terminal.glance(QUEUE)
        report.join(verify_spool(config.file(config["queue"].path)))
        report.join(verify_drafts(storage.root / "drafts"))
        if config["queue"].pickup:
            report.join(verify_pickup(config.file(config["queue"].pickup)))
        report.join(verify_redo(storage.root))
    with progress(terminal, "checking", len(chosen)) as bar:
        for account in chosen:
            report.join(verify_account(storage.tree(account), account, time.time(), deep=deep))
            bar.step(at=account)
    return report


def tell(terminal: Terminal, report: Report, *, notes: bool) -> None:
    """Print *report*: the anomalies, then how much was looked at."""
    for anomaly in report.anomalies:
        if terminal.as_json:
            terminal.object(anomaly.as_json())
        elif notes or anomaly.severity is not Severity.NOTE:
            _print(terminal, anomaly)
    found = {severity: len(report.of(severity)) for severity in Severity}
    if terminal.as_json:
        terminal.object({**report.counted, **{f"{severity.value}s": count for severity, count in found.items()}})
        return
    counted = [plural(report.counted[f"{noun}s"], noun) for noun in ("account", "message")]
    if "items" in report.counted:
        counted.append(f"{report.counted['items']} in the queue")
    problems = [plural(count, severity.value) for severity, count in found.items()]
    terminal.hint(f"{', '.join(counted)}: {', '.join(problems)}" + _see_notes(found[Severity.NOTE], shown=notes))


def _see_notes(count: int, *, shown: bool) -> str:
    return "" if shown or not count else " (--notes shows them)"


def _print(terminal: Terminal, anomaly: Anomaly) -> None:
    terminal.say(f"{anomaly.path}: {anomaly.severity.value}: {anomaly.what}")
    terminal.say(f"    {anomaly.cure}")
