"""The grammar of `twistmail NOUN VERB`: a bare noun means `list`, synonyms are understood, every verb knows --json and --quiet."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
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
        if ctx.resilient_parsing or ctx.parent is None:  # a shell completes: what is not there yet is not list; nor is `twistmail` a noun
            return super().parse_args(ctx, args)
        if "list" in self.list_commands(ctx) and (not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for name in (cmd_name, *SYNONYMS.get(cmd_name, ())):
            if found := self.named(ctx, name):
                return found
        return None

    def named(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command that is called exactly so."""
        return super().get_command(ctx, name)


class Large(Noun):
    """A group whose commands' modules are imported when they are used, by `later`: {name: (module:attribute, help)}."""

    def __init__(self, *args: Any, later: Mapping[str, tuple[str, str]], **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.later})

    def named(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.later and name not in self.commands:
            module, _, attribute = self.later[name][0].partition(":")
            self.add_command(getattr(importlib.import_module(module), attribute), name)
        return super().named(ctx, name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; but its "did you mean" knows only commands that are loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            matches = get_close_matches(args[0], self.list_commands(ctx), 3, 0.6)
            offer = f" Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
            raise click.UsageError(f"No such command {args[0]!r}.{offer}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self._short_help(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _short_help(self, ctx: click.Context, name: str) -> str:
        if name in self.later:
            return self.later[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(100) if command else ""
