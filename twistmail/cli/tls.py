"""twistmail tls: how others encrypt. Of the running server, or read from its files."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.owner import become_owner
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import plural, span

DAY = 86400.0
LEVELS = {"encrypted": "encrypted", "verified": "certificate in order"}


@click.group("tls", cls=Noun)
def group() -> None:
    """How other servers encrypt, and what is asked of them."""


@group.command("list")
@click.argument("domain", default="")
@click.pass_obj
def list_(terminal: Terminal, domain: str) -> int:
    """List the domains of which something is known: the best that they have shown, their MTA-STS policy, how connections went."""
    rows = _rows(terminal, domain)
    if rows or terminal.as_json:
        headings = ("DOMAIN", "BEST", "LAST", "MTA-STS", "GOOD", "BAD")
        terminal.table(headings, [_cells(row) for row in rows], rows)
        return Exit.OK
    terminal.hint(f"nothing is known of {domain}" if domain else "nothing is known yet: no mail has left")
    return Exit.NOTHING if domain else Exit.OK


def _rows(terminal: Terminal, domain: str) -> list[dict[str, Any]]:
    try:
        return terminal.server().ask("tls.list", domain=domain)  # type: ignore[no-any-return]
    except ServerDown:
        from twistmail.relay.tlsviews import listed

        terminal.hint("the server does not run; this is what it has written down")
        book, name = _book(terminal), _spelled(domain)
        policies = [kept for kept in book.policies() if name in ("", kept.domain)]
        return listed(book.seen(name), policies, book.results("", name), time.time())


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    last = f"{span(row['last_s'])} ago" if row["last_s"] is not None else "-"
    return row["domain"], LEVELS.get(row["level"], "-"), last, _policy(row["mta_sts"]), str(row["good"]), str(row["bad"])


def _policy(kept: dict[str, Any] | None) -> str:
    return f"{kept['mode']}, holds {span(kept['holds_s'])}" if kept else "-"


@group.command()
@click.argument("domain")
@click.pass_obj
def show(terminal: Terminal, domain: str) -> int:
    """Show what the servers of a domain would have to show now, in the order in which they are tried, and why.

    Looked up anew, DANE and MTA-STS too; nobody is connected to. Needs the running server.
    """
    answer = terminal.server().ask("tls.show", domain=domain)
    if terminal.as_json:
        terminal.object(answer)
        return Exit.OK if answer["servers"] else Exit.NOTHING
    if not answer["servers"]:
        raise Failure(f"{answer['domain']}: {answer['why']}", Exit.NOHOST, "no server is known for it, so nothing would be sent")
    terminal.say(f"{answer['domain']}   {answer['why']}")
    for one in answer["servers"]:
        terminal.say(f"  {one['server']} [{one['address']}]:{one['port']}   {one['tls'] or 'gets no mail'}")
        terminal.say(f"      {one['out'] or one['why']}")
        for record in one["records"]:
            terminal.say(f"      TLSA {record}")
    _show_known(terminal, answer["known"])
    return Exit.OK


def _show_known(terminal: Terminal, row: dict[str, Any] | None) -> None:
    """What is remembered."""
    for one in row["servers"] if row else ():
        terminal.say(f"  seen: {one['name']}   {LEVELS[one['level']]}, last {span(one['last_s'])} ago")
    if row and row["mta_sts"]:
        terminal.say(f"  MTA-STS: {_policy(row['mta_sts'])}: {', '.join(row['mta_sts']['mx'])}")


@group.command()
@click.argument("domains", metavar="DOMAIN...", nargs=-1, required=True)
@click.pass_obj
def forget(terminal: Terminal, domains: tuple[str, ...]) -> int:
    """Forget what domains have shown, and their MTA-STS policies: for those that encrypt no more, or worse than before.

    What they publish by DANE and MTA-STS is looked up again with the next message.
    """
    try:
        count = terminal.server().ask("tls.forget", domains=list(domains))["count"]
    except ServerDown:
        book = _book(terminal)
        become_owner(book.path.parent)
        count = book.forget(map(_spelled, domains)) if book.path.exists() else 0
    if terminal.as_json:
        terminal.object({"count": count})
    else:
        terminal.say(f"{plural(count, 'domain')} forgotten")
    return Exit.OK if count else Exit.NOTHING


@group.command()
@click.argument("domain", default="")
@click.option("--days", default=1, show_default=True, type=click.IntRange(0, 400), help="So many days before today as well (UTC).")
@click.option("--report", is_flag=True, help="As the policies of a report by RFC 8460, in JSON; of one domain.")
@click.pass_obj
def results(terminal: Terminal, domain: str, days: int, report: bool) -> int:
    """Tell what came of connections: by day, domain, the policy that held (tlsa, sts) and the kind of trouble."""
    if report and not domain:
        raise Failure("a report is about one domain", Exit.USAGE, "twistmail tls results DOMAIN --report")
    found = _results(terminal, domain, days, report=report)
    if report:
        terminal.say(json.dumps(found, ensure_ascii=False, indent=None if terminal.as_json else 2))
    elif found or terminal.as_json:
        headings = ("DAY", "DOMAIN", "POLICY", "RESULT", "COUNT", "SERVER", "REASON")
        cells = [(r["day"], r["domain"], r["policy"], r["result"], str(r["count"]), r["server"] or "-", r["reason"] or "-") for r in found]
        terminal.table(headings, cells, found)
    else:
        terminal.hint("no connections in that time")
    return Exit.OK


def _results(terminal: Terminal, domain: str, days: int, *, report: bool) -> list[dict[str, Any]]:
    try:
        return terminal.server().ask("tls.results", domain=domain, days=days, report=report)  # type: ignore[no-any-return]
    except ServerDown:
        from twistmail.relay.tlsviews import reported, told

        terminal.hint("the server does not run; this is what it has written down")
        first_day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * DAY))
        found = _book(terminal).results(first_day, _spelled(domain))
        return reported(found) if report else told(found)


def _book(terminal: Terminal) -> Any:
    from twistmail.relay.tlsbook import FILE, TlsBook  # slow: it brings the cryptography

    return TlsBook(terminal.glance().data_dir / FILE)


def _spelled(domain: str) -> str:
    from twistmail.mail.address import canonical_domain

    try:
        return domain.lower() if not domain or domain.startswith("[") else canonical_domain(domain)
    except ValueError as mistake:
        raise Failure(str(mistake).partition("\n")[0], Exit.USAGE) from None
