"""The grammar of `twistmail NOUN VERB`: a bare noun means `list`, synonyms are understood, every verb knows --json and --quiet."""

from __future__ import annotations

from typing import Any

import click

from twistmail.cli.terminal import Terminal

#: Word -> what it may stand for, the first that exists. Accepted, not documented.
SYNONYMS = {
    "ls": ("list",),
    "rm": ("remove", "delete"),
    "del": ("remove", "delete"),
    "delete": ("remove",),
    "remove": ("delete",),
    "create": ("add",),
    "new": ("add",),
    "passwd": ("password",),
}


class Verb(click.Command):
    """A command that does something."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.params.append(_switch("--json", "as_json", "One JSON object per line (times in ISO 8601, sizes in bytes)."))
        self.params.append(_switch("--quiet", "quiet", "No hints, no progress."))


def _switch(flag: str, attribute: str, help: str) -> click.Option:
    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:
        terminal = context.find_object(Terminal)
        if value and terminal:
            setattr(terminal, attribute, True)

    return click.Option([flag, attribute], is_flag=True, expose_value=False, callback=remember, help=help)


class Noun(click.Group):
    """A group of verbs about one thing."""

    command_class = Verb

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "list" in self.commands and (not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for name in (cmd_name, *SYNONYMS.get(cmd_name, ())):
            if found := super().get_command(ctx, name):
                return found
        return None


class Root(Noun):
    """The program itself."""

    command_class = Verb
    group_class = Noun
