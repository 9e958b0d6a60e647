"""twistmail trace: the story of a message, from the server, or from the journal on disk when it does not run.

What one server knows of one item is its story; what several know of one Message-ID is its way, hop by hop (`hops`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import click

from twistmail import hops, journal
from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount, clock
from twistmail.options import DURATION
from twistmail.rows import iso, recipients, told

#: The journal's folder in data_dir.
FOLDER = "journal"
SHOWN = 100


@click.group("trace", cls=Noun)
def group() -> None:
    """What became of a message."""


def _folder(terminal: Terminal) -> Path:
    return terminal.glance().file(FOLDER)


@group.command()
@click.argument("id")
@click.option("--lines", is_flag=True, help="With the protocol dialogue, where it was kept.")
@click.option("--also", multiple=True, metavar="PATH", help="Of a Message-ID: what another server knows: its config.ini or data folder.")
@click.option("--since", default="90d", show_default=True, help="Of a Message-ID: how far back.")
@click.pass_obj
def show(terminal: Terminal, id: str, lines: bool, also: tuple[str, ...], since: str) -> int:
    """Tell the story of one message or connection, whose ID may be a beginning; or all hops of a message by its Message-ID.

    \b
    twistmail trace show 6k3fa2-9akq
    twistmail trace show '<1234@laptop>' --also /srv/green/config.ini

    With a Message-ID there is a line for each hop in its order, from whoever wrote it to whoever has read it: MUA -> MSA,
    MSA -> queue, MX look-up, MTA -> MTA, MTA -> MDA, MDA -> store, MAA -> MUA. Each server knows its own; --also (any number of
    times) adds those that others know.
    """
    if hops.is_message_id(id):
        return _show_way(terminal, id, also, _begin(since))
    if also:
        raise Failure(f"--also goes with a Message-ID, and {id} is an id of one server", Exit.USAGE, "write it in quotes: '<1234@laptop>'")
    story = _story(terminal, id)
    shown = [entry for entry in story if lines or entry["what"] != "Line"]
    if terminal.as_json:
        for entry in shown:
            terminal.object(_dated(entry))
        return Exit.OK
    terminal.say(f"{story[0]['id']}  {time.strftime('%A %d %B %Y', time.localtime(story[0]['at']))}")
    for entry in shown:
        terminal.say(f"{clock(entry['at'])}  {sentence(entry)}")
    if connection := next((entry["connection"] for entry in story if entry.get("connection")), None):
        terminal.hint(f"how it came in: twistmail trace show {connection}")
    return Exit.OK


def _show_way(terminal: Terminal, message_id: str, also: tuple[str, ...], since: float) -> int:
    """One line for each hop that the servers know of."""
    servers: dict[str, list[dict[str, Any]]] = {}
    for name, entries in [_known(terminal, message_id, since), *(_known_at(terminal, Path(one), message_id, since) for one in also)]:
        servers.setdefault(name, []).extend(entries)
    way = hops.hops(servers)
    if not way:
        raise Failure(f"nothing is known of {message_id}", Exit.NOUSER, "twistmail trace find --to ADDRESS   looks for messages")
    subject = next((str(entry["subject"]) for entry in chain(*servers.values()) if entry.get("subject")), "")
    if not terminal.as_json:
        terminal.say(f"Message <{hops.bare(message_id)}>" + (f'  "{subject}"' if subject else ""))
    cells = [(clock(hop.at), hop.name, hop.server, hop.id, hop.peer or "-", hop.text) for hop in way]
    terminal.table(("TIME", "HOP", "SERVER", "ID", "PEER", "WHAT"), cells, [{"at": iso(hop.at), **hop.as_json()} for hop in way])
    return Exit.OK


def _known(terminal: Terminal, message_id: str, since: float) -> tuple[str, list[dict[str, Any]]]:
    """The name of the server of *terminal*, and what it knows."""
    try:
        answer = terminal.server().ask("trace.message", message_id=message_id, since=since)
        return answer["server"], answer["entries"]
    except ServerDown:
        return terminal.glance()["server"].hostname, hops.told_of(_folder(terminal), message_id, since)


def _known_at(terminal: Terminal, path: Path, message_id: str, since: float) -> tuple[str, list[dict[str, Any]]]:
    """The same of another server: by its configuration, or by its data folder, whose server is not asked."""
    if path.is_file():
        return _known(replace(terminal, config=str(path), overrides=(), socket=None), message_id, since)
    folder = path if path.name == FOLDER else path / FOLDER
    if not folder.is_dir():
        raise Failure(f"{path} is neither a configuration nor a folder with a journal", Exit.NOINPUT, "give a config.ini, or its data_dir")
    return folder.absolute().parent.name, hops.told_of(folder, message_id, since)


def _story(terminal: Terminal, id: str) -> list[dict[str, Any]]:
    """The server's answer, which has the last second too; else what the files say."""
    try:
        return terminal.server().ask("trace.story", id=id)  # type: ignore[no-any-return]
    except ServerDown:
        pass
    try:
        return journal.story(_folder(terminal), id)
    except KeyError:
        raise Failure(f"nothing is known of {id}", Exit.NOUSER, "twistmail trace find --to ADDRESS   looks for messages") from None
    except ValueError as several:
        raise Failure(str(several), Exit.USAGE, "type more of it") from None


@group.command()
@click.option("--from", "sender", default="", help="Part of the sender's address.")
@click.option("--to", "recipient", default="", help="Part of a recipient's address.")
@click.option("--subject", default="", help="Part of the subject.")
@click.option("--message-id", default="", help="The Message-ID.")
@click.option("--refused", is_flag=True, help="What was refused instead of what was accepted.")
@click.option("--since", default="2d", show_default=True, help="How far back.")
@click.option("--limit", default=SHOWN, show_default=True, help="At most so many, the latest.")
@click.pass_obj
def find(terminal: Terminal, since: str, limit: int, refused: bool, **wanted: str) -> int:
    """Look for messages. Ends with 1 where nothing is found."""
    found = _found(terminal, "Refused" if refused else "Accepted", _begin(since), limit, wanted)
    if found or terminal.as_json:
        headings = ("ID", "WHEN", "FROM", "TO", "ANSWER" if refused else "SUBJECT")
        terminal.table(headings, [_cells(entry) for entry in found], [_dated(entry) for entry in found])
    else:
        terminal.hint("nothing found")
    return Exit.OK if found else Exit.NOTHING


def _begin(since: str) -> float:
    """The POSIX second that was *since* (a length of time) ago."""
    try:
        return time.time() - DURATION.read(since)
    except ValueError as trouble:
        raise click.BadParameter(str(trouble).replace("\n", "; "), param_hint="--since") from None


def _found(terminal: Terminal, what: str, since: float, limit: int, wanted: dict[str, str]) -> list[dict[str, Any]]:
    try:
        return terminal.server().ask("trace.find", what=what, since=since, most=limit, wanted=wanted)  # type: ignore[no-any-return]
    except ServerDown:
        return [dict(entry) for entry in told(journal.entries(_folder(terminal), since), what, since, wanted)][-limit:]


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    last = entry.get("subject") or str(entry.get("status", ""))
    return entry["id"], iso(entry["at"]), str(entry.get("sender") or "<>"), " ".join(recipients(entry)), last


def _dated(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"at": iso(entry["at"]), "at_s": entry["at"]}


def sentence(entry: dict[str, Any]) -> str:
    """What one entry of the journal says, for people; entries that we know nothing of are told field by field."""
    known = _SENTENCES.get(entry["what"])
    try:
        return known(entry) if known else _fields(entry)
    except (KeyError, TypeError, AttributeError):
        return _fields(entry)


def _fields(entry: dict[str, Any]) -> str:
    rest = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in ("at", "id", "what") and value not in ("", None, []))
    return f"{entry['what'].lower():11} {rest}"


def _target(entry: dict[str, Any]) -> str:
    return str(entry["target"]["address"])


def _outcome(entry: dict[str, Any]) -> str:
    by = f" (by {entry['host']})" if entry["host"] else ""
    return f"{entry['result']:11} {_target(entry)}: {entry['status']}{by}"


def _accepted(entry: dict[str, Any]) -> str:
    who = f" by {entry['account']}" if entry["account"] else ""
    subject = f' "{entry["subject"]}"' if entry["subject"] else ""
    to = ", ".join(entry["recipients"])
    return f"accepted    {entry['service']}{who}: from {entry['sender'] or '<>'} to {to},{subject} {amount(entry['size'])}"


def _reported(entry: dict[str, Any]) -> str:
    what = f"{'success for ' if entry.get('success') else ''}{', '.join(entry['addresses'])}"
    if entry["report"]:
        return f"reported    {entry['report']} tells of {what}"
    return f"reported    nobody is told of {what}" + (f": {entry['why']}" if entry.get("why") else "")


def _servers(entry: dict[str, Any]) -> str:
    found = ", ".join(entry["servers"]) or str(entry.get("status") or "nobody")
    return f"{'MX' if entry['by_mx'] else 'servers':12}{entry['next_hop']}: {found}"


def _refused(entry: dict[str, Any]) -> str:
    rule = f" ({entry['rule']})" if entry.get("rule") else ""  # the journal of an older version has none
    return f"refused     {entry['stage']}{rule}: {entry['status']}" + (f" (to {entry['recipient']})" if entry["recipient"] else "")


def _logged_in(entry: dict[str, Any]) -> str:
    by = f", by {entry['by']}" if entry.get("by") else ""
    return f"logged in   {entry['account']} ({entry['mechanism']}{by})"


def _tls(entry: dict[str, Any]) -> str:
    """The journal of an older version has only some of it."""
    tls = entry["tls"]
    parts = [f"{tls['version']}, {tls['cipher']}, {tls['bits']} bits"]
    if tls.get("server_name"):
        parts.append(f"asked for {tls['server_name']}")
    if tls.get("client"):
        parts.append(f"certificate of {tls['client']}")
    if tls.get("client_fault"):
        parts.append(f"its certificate is not believed: {tls['client_fault']}")
    return f"TLS         {'; '.join(parts)}"


_SENTENCES = {
    "Accepted": _accepted,
    "Outcome": _outcome,
    "Refused": _refused,
    "Fated": lambda e: f"{'held' if e['fate'] == 'HOLD' else 'discarded':12}{e['reason']}",
    "Renamed": lambda e: f"canonical   {e['address']} is {e['becomes']} from here on ({e['rule']})",
    "Expanded": lambda e: f"aliases     {e['address']} leads to {', '.join(t['address'] for t in e['targets']) or 'nobody'}",
    "ServersFound": _servers,
    "Stored": lambda e: f"stored      {e['mailbox']} of {e['account']}, UID {e['uid']}" + (f", {e['file']}" if e.get("file") else ""),
    "Queued": lambda e: f"queued      {e['pending']} to go",
    "Postponed": lambda e: f"waits       next try {iso(e['until'])}",
    "SenderWarned": lambda e: f"warned      the sender was told that it is {'later than he wanted' if e.get('overdue') else 'late'}",
    "Reported": _reported,
    "Frozen": lambda e: f"frozen      {e['why']}",
    "GaveUp": lambda e: f"gave up     {e['status']}",
    "Removed": lambda e: f"left        {e['why']}",
    "Connected": lambda e: f"connected   {e['service']} from {e['address']}" + (f" (through {e['via']})" if e.get("via") else ""),
    "TlsStarted": _tls,
    "TlsFailed": lambda e: f"TLS         failed: {e['why']}",
    "LoggedIn": _logged_in,
    "Introduced": lambda e: f"client      {', '.join(f'{name} {value}' for name, value in e['parameters'])}",
    "Entered": lambda e: f"opened      {e['mailbox']} of {e['owner']}{'' if e['writes'] else ', to read'} ({e['account']})",
    "Granted": lambda e: f"granted     {e['identifier']} {e['rights'] or 'nothing'} in {e['mailbox']} of {e['owner']} ({e['account']})",
    "Vouched": lambda e: f"let through {e['recipient']}, because {e['account']} has read mail by {e['service']} from {e['address']}",
    "LoginFailed": lambda e: f"login       failed for {e['login']} ({e['mechanism']})",
    "Closed": lambda e: f"closed      {e['why']}; {amount(e['received'])} received, {amount(e['sent'])} sent",
    "Read": lambda e: f"read        {e['account']} by {e['service']}: {e['mailbox']}, UID {e.get('uids', e.get('uid'))}",
    "Line": lambda e: f"{e['side']}: {e['text']}",
}
