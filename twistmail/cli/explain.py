"""twistmail explain: what would become of a message that nobody sends, and why; or what an answer of a mail server means."""

from __future__ import annotations

import secrets
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import click

from twistmail.cli.alias import tree_lines
from twistmail.cli.codes import tell
from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.route import show_way
from twistmail.cli.terminal import Terminal
from twistmail.cli.words import amount

#: Octets of a letter that fit into one request to the server (base64 makes four of three).
PIECE = 45_000


@click.command("explain", cls=Verb)
@click.argument("words", nargs=-1, metavar="[CODE ... | MESSAGE]")
@click.option("--from", "sender", default=None, metavar="ADDRESS", help="Who would send it; '<>' is nobody.")
@click.option("--to", "recipient", default=None, metavar="ADDRESS", help="To whom.")
@click.option("--ip", "client", default="", metavar="IP", help="Where the client would come from. Default: 192.0.2.1, which is nobody's.")
@click.option("--login", default="", metavar="ACCOUNT", help="Who would have logged in. Default: nobody.")
@click.option("--hello", default="client.example", show_default=True, metavar="NAME", help="What the client would call itself.")
@click.option("--service", type=click.Choice(["mx", "submission"]), default=None, help="Default: submission with --login, else mx.")
@click.pass_obj
def explain(terminal: Terminal, words: tuple[str, ...], sender: str | None, recipient: str | None, **question: Any) -> int:
    """Tell what would become of a message, and why; or what an answer like 550 5.7.1 means.

    \b
    twistmail explain --from eve@away.example --to info@blue.example letter.eml
    twistmail explain 550 5.7.1

    With --from and --to a message is taken in as far as MESSAGE goes (a file, or - for standard input; without one up to the
    moment when it would come): the conversation, what each stage of the policy says by which rule, the aliases, the limits, and
    where it would go. Nothing is sent, written or counted. Ends with 1 where it would be refused, or come back.
    """
    if sender is None and recipient is None:
        if not words:
            raise Failure("explain what?", Exit.USAGE, "write --from ADDRESS --to ADDRESS, or an answer such as 550 5.7.1")
        return tell(terminal, " ".join(words))
    if recipient is None or sender is None or len(words) > 1:
        raise Failure("a message has one --from, one --to, and at most one file", Exit.USAGE, "--from '<>' is nobody")
    message = _message(words[0]) if words else None
    answer = _answer(terminal, {"sender": sender, "recipient": recipient, **question}, message)
    if terminal.as_json:
        terminal.object(answer)
    else:
        _show(terminal, answer)
    return Exit.OK if _arrives(answer) else Exit.NOTHING


def _message(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except FileNotFoundError:
        raise Failure(f"there is no file {name}", Exit.NOINPUT) from None
    except IsADirectoryError:
        raise Failure(f"{name} is a folder", Exit.NOINPUT, "name the file of one message") from None


def _answer(terminal: Terminal, question: dict[str, Any], message: bytes | None) -> dict[str, Any]:
    """By the running server, or by what is built here when it does not run."""
    try:
        return _asked(terminal, question, message)
    except ServerDown:
        terminal.hint("the server does not run; this is what it would do by its configuration (how full it is, is not known)")
    from twistmail.cli import dry  # imports nearly everything, which whoever asks a running server need not wait for
    from twistmail.control import Refusal

    try:
        return dry.explained(terminal.whole(), question, message)
    except Refusal as refusal:
        raise Failure(str(refusal), refusal.exit_code, refusal.step) from None


def _asked(terminal: Terminal, question: dict[str, Any], message: bytes | None) -> dict[str, Any]:
    server = terminal.server()
    if message is None:
        return server.ask("explain.show", **question)  # type: ignore[no-any-return]
    letter = secrets.token_hex(8)
    for start in range(0, len(message) or 1, PIECE):
        server.ask("explain.letter", letter=letter, data=b64encode(message[start : start + PIECE]).decode())
    return server.ask("explain.show", **question, letter=letter)  # type: ignore[no-any-return]


def _arrives(answer: dict[str, Any]) -> bool:
    """Whether nothing of it is refused, or known to come back."""
    statuses = [one["way"]["status"] if "way" in one else one["status"] for one in answer["deliveries"]]
    return answer["result"] != "refused" and not any(status.startswith("5") for status in statuses)


# ----- for people


def _show(terminal: Terminal, answer: dict[str, Any]) -> None:
    terminal.say(f"what {answer['service']} would hear and say")
    for line in answer["conversation"]:
        terminal.say(f"  {line['said']:44}  {line['reply']}")
    terminal.say("")
    rows = [(row["point"], row["stage"], row["verdict"], row["rule"], "decides" if row["decides"] else "") for row in answer["policy"]]
    terminal.table(("POINT", "STAGE", "VERDICT", "RULE", ""), rows, ())
    terminal.say("")
    for address, what in tree_lines(answer["aliases"]):
        terminal.say(f"{address:36} {what}".rstrip())
    _show_limits(terminal, answer["limits"])
    terminal.say("")
    terminal.say(_sentence(answer))
    for delivery in answer["deliveries"]:
        _show_delivery(terminal, delivery)


def _show_limits(terminal: Terminal, limits: list[dict[str, Any]]) -> None:
    if limits:
        terminal.say("")
    for limit in limits:
        write = str if limit["what"] == "recipients" else amount
        terminal.say(f"{limit['what']}: {write(limit['used'])} of {write(limit['most'])}")


def _sentence(answer: dict[str, Any]) -> str:
    by = f" by {answer['stage']}" if answer["stage"] else ""
    rule = f" ({answer['rule']})" if answer["rule"] else ""
    if answer["result"] == "refused":
        return f"refused{by}{rule}: {answer['reply']}"
    more = " until an operator releases it (twistmail queue release)" if answer["result"] == "held" else ""
    more += "" if answer["message"] is not None else "; the message itself may change that"
    return f"{answer['result']}{by}{rule}{more}"


def _show_delivery(terminal: Terminal, delivery: dict[str, Any]) -> None:
    if "way" in delivery:
        show_way(terminal, delivery["for"], delivery["way"] | {key: delivery[key] for key in ("sender", "sender_by") if key in delivery})
        return
    terminal.say(f"{delivery['address']} (for {delivery['for']})" if delivery["for"] != delivery["address"] else delivery["address"])
    terminal.say(f"  {'goes':10}{_to(delivery['where'])}" + (", at once" if delivery.get("at_once") else ""))
    if "sender" in delivery:
        terminal.say(f"  {'sender':10}{delivery['sender']} ({delivery['sender_by']})")
    if delivery["status"]:
        word = "waits" if delivery["status"].startswith("4") else "returns"
        terminal.say(f"  {word:10}{delivery['status']}" + (f" ({delivery['why']})" if delivery["why"] else ""))


def _to(where: str) -> str:
    return where if where.startswith("nowhere") else f"to {where}"
