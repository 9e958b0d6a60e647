"""What the shell may offer while somebody types: users and domains that there are. Silence where it cannot be told at once."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from twistmail.cli.exits import Failure
from twistmail.cli.terminal import Terminal


class Known(click.ParamType):
    """A word that one of the rows of *verb* has as its *key*. Only a running server is asked: a shell cannot wait for more."""

    def __init__(self, name: str, verb: str, key: str = "name") -> None:
        self.name = name
        self._verb = verb
        self._key = key

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        terminal = ctx.find_object(Terminal) or Terminal()
        try:
            rows = terminal.server().ask(self._verb)
        except (Failure, OSError, ValueError):
            return []
        return [CompletionItem(row[self._key]) for row in rows if row[self._key].startswith(incomplete)]


USER = Known("name", "user.list")
ALIAS = Known("name", "alias.list", key="address")
DOMAIN = Known("domain", "domain.list")
