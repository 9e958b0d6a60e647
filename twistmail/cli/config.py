"""twistmail config: check, show, explain, example."""

from __future__ import annotations

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun
from twistmail.cli.terminal import Terminal
from twistmail.config.explain import example as example_text
from twistmail.config.explain import explain as explain_text
from twistmail.config.problem import summary


@click.group("config", cls=Noun)
def group() -> None:
    """The configuration: what is wrong, what holds, what there is."""


@group.command()
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.pass_obj
def check(terminal: Terminal, strict: bool) -> int:
    """Tell everything that is wrong, as FILE:LINE:COLUMN, with what would be right.

    Ends with 78 where there are errors; with 0 where there are only warnings.
    """
    if terminal.file is None:
        raise Failure("there is no configuration", Exit.CONFIG, "twistmail config example > config.ini   writes one to start with")
    loaded = terminal.load()
    for problem in loaded.problems:
        if terminal.as_json:
            terminal.object(problem.as_json())
        else:
            terminal.say(str(problem))
    terminal.hint(f"{terminal.file}: {summary(loaded.problems)}")
    return Exit.CONFIG if loaded.config is None or (strict and loaded.problems) else Exit.OK


@group.command()
@click.argument("section", required=False)
@click.option("--changed", is_flag=True, help="Only what differs from the defaults.")
@click.option("--origin", is_flag=True, help="Where each value comes from.")
@click.pass_obj
def show(terminal: Terminal, section: str | None, changed: bool, origin: bool) -> int:
    """Show what holds, from all sources. Secrets are masked."""
    config = terminal.whole()
    settings = [s for s in (config.changed() if changed else config) if section in (None, s.section)]
    if not settings and section is not None:
        raise Failure(f"there is no section [{section}]", Exit.USAGE, "twistmail config show   shows all")
    if terminal.as_json:
        for s in settings:
            terminal.object({"section": s.section, "key": s.option.key, "value": s.shown, "origin": s.origin})
    elif origin:
        rows = [(f"{s.section}.{s.option.key}", s.shown, s.origin) for s in settings]
        terminal.table(("KEY", "VALUE", "ORIGIN"), rows, ())
    else:
        header = ""
        for s in settings:
            if s.section != header:
                terminal.say(f"{'' if not header else chr(10)}[{s.section}]")
                header = s.section
            terminal.say(f"{s.option.key} = {s.shown}".rstrip().replace("\n", "\n    "))
    return Exit.OK


@group.command()
@click.argument("key")
@click.pass_obj
def explain(terminal: Terminal, key: str) -> None:
    """Tell what a setting does: imap.idle_timeout, idle_timeout, or the section imap."""
    loaded = terminal.load()
    try:
        terminal.say(explain_text(terminal.sections(), key, loaded.config))
    except KeyError as unknown:
        raise Failure(str(unknown.args[0]), Exit.USAGE, "twistmail config example   shows all there are") from None


@group.command()
@click.pass_obj
def example(terminal: Terminal) -> None:
    """Print a whole configuration to start with, every setting explained."""
    click.echo(example_text(terminal.sections()), nl=False)
