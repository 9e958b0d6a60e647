"""twistmail policy: what the stages would say, asked without sending anything."""

from __future__ import annotations

from typing import Any

import click

from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Noun, Verb
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import span


@click.group("policy", cls=Noun)
def group() -> None:
    """Who may send what to whom, and which rule says so."""


@group.command()
@click.argument("client", metavar="IP")
@click.argument("sender")
@click.argument("recipient", metavar="RCPT")
@click.option("--hello", default="client.example", show_default=True, metavar="NAME", help="What the client calls itself.")
@click.option("--service", type=click.Choice(["mx", "submission"]), default="mx", show_default=True)
@click.option("--login", default="", metavar="ACCOUNT", help="Who has logged in. Default: nobody.")
@click.pass_obj
def check(terminal: Terminal, **question: Any) -> int:
    """Tell what every stage says to mail from SENDER at IP to RCPT, and which one decides by which rule.

    SENDER '<>' is nobody. Nothing is sent or counted; what only the message could tell is not asked.
    Ends with 1 where the mail would be refused.
    """
    answer = _answer(terminal, question)
    if terminal.as_json:
        terminal.object(answer)
    else:
        rows = [(row["point"], row["stage"], row["verdict"], row["rule"]) for row in answer["rows"]]
        terminal.table(("POINT", "STAGE", "VERDICT", "RULE"), rows, ())
        terminal.say(_sentence(answer))
    return Exit.NOTHING if answer["result"] == "refused" else Exit.OK


def _answer(terminal: Terminal, question: dict[str, Any]) -> dict[str, Any]:
    """By the stages of the running server, or by stages that are built here when it does not run."""
    try:
        return terminal.server().ask("policy.check", **question)  # type: ignore[no-any-return]
    except ServerDown:
        terminal.hint("the server does not run; this is what it would say by its configuration")
    from twistmail.cli.dry import asked  # imports nearly everything, which whoever asks a running server need not wait for

    try:
        return asked(terminal.whole(), question)
    except ValueError as trouble:
        raise Failure(str(trouble), Exit.USAGE) from None
    except LookupError as trouble:
        raise Failure(str(trouble.args[0]), Exit.NOUSER, "twistmail user   lists them") from None


def _sentence(answer: dict[str, Any]) -> str:
    by = f" by {answer['stage']}" if answer["stage"] else ""
    rule = f" ({answer['rule']})" if answer["rule"] else ""
    if answer["result"] == "refused":
        return f"refused{by}{rule}: {answer['reply']}"
    targets = f"; it goes to {', '.join(answer['targets'])}" if answer["result"] == "accepted" else ""
    return f"{answer['result']}{by}{rule}{targets}"


@click.command("popauth", cls=Verb)
@click.pass_obj
def popauth(terminal: Terminal) -> int:
    """List the addresses that may relay because mail was just read there (pop_before_smtp)."""
    found = terminal.server().ask("popauth.list")
    rows = [(one["address"], one["account"], one["service"], span(one["left_s"])) for one in found]
    if rows or terminal.as_json:
        terminal.table(("ADDRESS", "ACCOUNT", "BY", "LEFT"), rows, found)
    else:
        terminal.hint("no address is open; see [mx] pop_before_smtp")
    return Exit.OK
