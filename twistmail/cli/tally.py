"""What a command that moves many messages has done, and what it could not: counted, and told at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import click

from twistmail.cli.exits import Exit
from twistmail.cli.terminal import Terminal, safe
from twistmail.cli.words import amount, plural
from twistmail.formats.contract import Skipped


@dataclass
class Tally:
    """*done* is the word for it: "imported"."""

    terminal: Terminal
    done: str
    messages: int = 0
    octets: int = 0
    folders: int = 0
    before: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def count(self, octets: int) -> None:
        self.messages += 1
        self.octets += octets

    def skip(self, skipped: Skipped) -> None:
        """One that could not be taken: told at once, with its place."""
        self.reasons[skipped.reason] += 1
        if self.terminal.as_json:
            self.terminal.object({"skipped": {"place": safe(skipped.place), "reason": skipped.reason}})
        else:
            click.echo(f"skipped: {safe(skipped.place)}: {skipped.reason}", err=True)

    @property
    def skipped(self) -> int:
        return self.reasons.total()

    def tell(self) -> int:
        """Print the sum; the exit code."""
        if self.terminal.as_json:
            names = ("messages", "octets", "folders", "before", "skipped")
            self.terminal.object({name: getattr(self, name) for name in names})
        else:
            self.terminal.say(self.sentence())
        return Exit.DATAERR if self.skipped else Exit.OK

    def sentence(self) -> str:
        """`imported 1234 messages (5.2 MB) in 3 folders (2 had been already; 3 skipped: 2 empty, 1 not readable)`"""
        aside = [f"{self.before} had been already"] if self.before else []
        if self.skipped:
            aside.append(f"{self.skipped} skipped: " + ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common()))
        where = f" in {plural(self.folders, 'folder')}" if self.folders > 1 else ""
        counted = f"{self.done} {plural(self.messages, 'message')} ({amount(self.octets)}){where}"
        return counted + (f" ({'; '.join(aside)})" if aside else "")
