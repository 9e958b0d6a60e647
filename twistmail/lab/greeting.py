"""What `twistmail demo` says when it is ready: who is there, where, and what to try first."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Columns of the table.
PAIRS = {"MX": ("mx",), "submission": ("submission", "submissions"), "IMAP": ("imap", "imaps"), "POP3": ("pop3", "pop3s")}


def greeting(town: Any, watch: str, *, kept: bool) -> str:
    """*watch*: where the pages are."""
    return "\n".join(_lines(town, watch, kept)) + "\n"


def _lines(town: Any, watch: str, kept: bool) -> Iterator[str]:
    about = town.lines()
    offices = about["offices"]
    where = f"everything is kept in {about['folder']}" if kept else "nothing is kept (--keep DIR keeps it)"
    yield f"twistmail demo: three pretend offices on this computer. Nothing leaves it, {where}."
    yield ""
    yield f"  watch      {watch}"
    if town.lan:
        yield f"  class      http://{town.lan.address}:{town.web_port}/   code of the room: {town.lan.code}"
        yield f"  teacher    {town.lan.teacher}   is your own code at that door, from another computer than this one"
        yield f"  screen     {watch}projector"
        yield f"  students   {len(town.lan.students)}, passwords in {about['folder']}/roster.csv, also at {watch}roster.csv"
    people = "    ".join(f"{' '.join(one.partition('@')[0] for one in office['accounts'][:4])} @{office['domain']}" for office in offices)
    yield f"  people     {people}      password: {about['password']}"
    width = max(10, *(len(office["domain"]) for office in offices))
    yield f"  {'':{width}} " + " ".join(f"{name:13}" for name in PAIRS) + " pretend address"
    for office in offices:
        cells = (" ".join(str(office["ports"][service]) for service in services) for services in PAIRS.values())
        yield f"  {office['domain']:{width}} " + " ".join(f"{cell:13}" for cell in cells) + f" {office['address']}"
    yield ""
    yield from _to_try(offices)
    yield f"  lessons    {watch}lessons"
    yield ""
    yield f"  what happened to a message   {command()} --config {shlex.quote(offices[0]['config'])} trace show ID"
    yield f"  where the mail lies          {about['folder']}/{offices[0]['name']}/data/mail   (once somebody there has some)"
    yield "  stop: Ctrl-C"


def _to_try(offices: list[dict[str, Any]]) -> Iterator[str]:
    first, second = offices[0], offices[1]
    ports, alice, carol = first["ports"], first["accounts"][0], second["accounts"][0]
    yield f"  DNS        dig @127.0.0.1 -p {ports['dns']} MX {second['domain']}"
    yield f"  by hand    telnet 127.0.0.1 {ports['mx']}"
    yield f"  send       swaks --server 127.0.0.1:{ports['submission']} --tls --auth-user {alice} --auth-password demo \\"
    yield f"                   --from {alice} --to {carol}"
    yield f"  read       curl -u {carol}:demo 'imap://127.0.0.1:{second['ports']['imap']}/INBOX;UID=1'"


def command() -> str:
    """How to call the administrator's command from another terminal."""
    beside = Path(sys.executable).with_name("twistmail")
    return "twistmail" if shutil.which("twistmail") or not beside.exists() else shlex.quote(str(beside))
