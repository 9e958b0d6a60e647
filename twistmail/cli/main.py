"""`twistmail NOUN VERB`: the administrator's command. The server itself is `twistd twistmail`.

Twisted's reactor is never imported here, and modules that need Twisted are
imported by the one command that uses them: `queue list` has to be quick.
"""

from __future__ import annotations

import sqlite3
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from twistmail.cli.exits import ABOUT, Exit, Failure
from twistmail.cli.grammar import Large
from twistmail.cli.terminal import Terminal
from twistmail.interfaces import Unavailable

#: Imported when they are used; the sentences are those of the commands themselves (a test compares them).
COMMANDS = {
    "alias": ("twistmail.cli.alias:group", "Addresses that stand for others."),
    "app-password": (
        "twistmail.cli.app_password:group",
        "Passwords for single programs and devices, which can be taken away one by one.",
    ),
    "backup": ("twistmail.cli.backup:group", "Copies of the mail, made while the server runs."),
    "ban": ("twistmail.cli.door:bans", "Addresses and networks that may not come in."),
    "cert": ("twistmail.cli.cert:group", "The certificates that this server shows."),
    "config": ("twistmail.cli.config:group", "The configuration: what is wrong, what holds, what there is."),
    "demo": ("twistmail.cli.demo:demo", "Serve three pretend offices and the pages that show them, on this computer, until Ctrl-C."),
    "completion": ("twistmail.cli.completion:completion", "Print what makes a shell complete the words of twistmail."),
    "domain": ("twistmail.cli.domain:group", "The domains whose mail is kept here."),
    "explain": ("twistmail.cli.explain:explain", "Tell what would become of a message, and why; or what an answer like 550 5.7.1 means."),
    "forward": ("twistmail.cli.forward:group", "Where somebody's own mail goes on to: ~/.forward, and what stands for it."),
    "lesson": ("twistmail.cli.lesson:lesson", "Run a lesson of the classroom here: what to do, a prompt, ticks."),
    "list": ("twistmail.cli.list:group", "Mailing lists and their members."),
    "mailbox": ("twistmail.cli.mailbox:group", "The mail of an account, in our store and in the formats of others."),
    "metrics": ("twistmail.cli.server:metrics", "Print the counters and gauges of the server, as Prometheus reads them."),
    "msg": ("twistmail.cli.msg:group", "Single messages in the mailboxes of an account."),
    "newaliases": ("twistmail.cli.newaliases:newaliases", "Check the alias files and let them count from now on."),
    "offline": (
        "twistmail.cli.uplink:offline",
        "Keep mail for others here, without a question to anybody, until twistmail online; also over a restart.",
    ),
    "online": ("twistmail.cli.uplink:online", "Let mail for others go out again, at once."),
    "password": ("twistmail.cli.own_password:password", "Change your own password, by the old one."),
    "places": (
        "twistmail.cli.uplink:places",
        "List the servers and domains where mail goes: who waits for each, how fast it may go, and what stands against it.",
    ),
    "plugin": ("twistmail.cli.plugin:group", "Parts from this and other packages."),
    "policy": ("twistmail.cli.policy:group", "Who may send what to whom, and which rule says so."),
    "popauth": ("twistmail.cli.policy:popauth", "List the addresses that may relay because mail was just read there (pop_before_smtp)."),
    "queue": ("twistmail.cli.queue:group", "Mail that waits."),
    "reload": ("twistmail.cli.server:reload", "Apply the configuration as it is now."),
    "route": (
        "twistmail.cli.route:route",
        "Tell how mail for ADDRESS (or a domain) would go: the rule, the servers in their order, their addresses, TLS and why.",
    ),
    "send": ("twistmail.cli.send:send", "Send a test message and show every line of the dialogue."),
    "sendmail": (
        "twistmail.cli.sendmail:sendmail",
        "Send the message on standard input, as sendmail does: [-t] [-i] [-f SENDER] [-F NAME] [ADDRESS ...].",
    ),
    "session": ("twistmail.cli.door:sessions", "Who is connected."),
    "setup": ("twistmail.cli.setup:setup", "Make what the operating system needs to run this server."),
    "status": ("twistmail.cli.server:status", "Show the services, connections and the queue on one screen."),
    "stop": ("twistmail.cli.server:stop", "Stop the server once the transactions under way have ended."),
    "table": ("twistmail.cli.table:group", "What the sources of accounts and aliases say of one address."),
    "tls": ("twistmail.cli.tls:group", "How other servers encrypt, and what is asked of them."),
    "trace": ("twistmail.cli.trace:group", "What became of a message."),
    "user": ("twistmail.cli.user:group", "Who has a mailbox and may log in."),
    "verify": (
        "twistmail.cli.verify:verify",
        "Look through queue, mailboxes, UID lists and index; tell everything that is not as it should be, and what cures it.",
    ),
}


@click.group(cls=Large, later=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("-c", "--config", metavar="FILE", help="The configuration; else $TWISTMAIL_CONFIG, ./config.ini, /etc/twistmail/config.ini.")
@click.option("--set", "overrides", metavar="SECTION.KEY=VALUE", multiple=True, help="Set one key of the configuration; repeatable.")
@click.option("--socket", metavar="PATH", help="The control socket of the server, instead of the one that the configuration names.")
@click.option("--color/--no-color", default=None, help="Whatever stdout is.")
@click.pass_context
def main(context: click.Context, config: str | None, overrides: tuple[str, ...], socket: str | None, color: bool | None) -> None:
    """Administer a twistmail server.

    \b
    twistmail config check              what is wrong with the configuration
    twistmail user add anna@blue.example
    twistmail queue list                what waits, and why
    twistmail trace show 6k3fa2         the story of one message

    A bare noun lists. Every command knows --help and --json.
    """
    context.obj = Terminal(config, overrides, socket, color)


@main.command()
def version() -> None:
    """Tell the versions of twistmail, Twisted and Python."""
    from importlib.metadata import version as version_of

    click.echo(f"twistmail {version_of('twistmail')}, Twisted {version_of('twisted')}, Python {sys.version.split()[0]}")


@main.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help_(context: click.Context, topic: str | None) -> None:
    """Tell about a command, or about exit-codes."""
    if topic == "exit-codes":
        for code, about in ABOUT.items():
            click.echo(f"{int(code):3}  {code.name:12} {about}")
        return
    root = context.find_root()
    command = main.get_command(root, topic) if topic else main
    if command is None:
        raise click.UsageError(f"there is no help about {topic}; try twistmail help, or twistmail help exit-codes")
    click.echo(command.get_help(click.Context(command, parent=root if topic else None, info_name=topic or "twistmail")))


def status(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code. Every failure is told on stderr."""
    try:
        result = main.main(args=arguments, prog_name="twistmail", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else Exit.OK
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.exceptions.Abort:
        click.echo("stopped; nothing was changed", err=True)
        return Exit.NOTHING
    except Failure as failure:
        failure.show()
        return failure.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.NOINPUT
    except (BrokenPipeError, SystemExit):  # click makes the one of the other
        sys.stdout = None  # type: ignore[assignment]  # who reads no longer reads, and wants no complaint
        return Exit.OK
    except PermissionError as error:
        return _tell(f"{error.filename}: {error.strerror}", Exit.NOPERM, "run this as the user that the server runs as")
    except OSError as error:
        return _tell(str(error), Exit.IOERR)
    except (sqlite3.Error, Unavailable) as error:
        return _tell(str(error), Exit.TEMPFAIL)


def _tell(text: str, code: Exit, step: str = "") -> int:
    Failure(text, code, step).show()
    return code


def run() -> NoReturn:
    """The console script."""
    code = int(Exit.SOFTWARE)
    try:
        code = status()
    finally:
        if code == Exit.SOFTWARE:
            traceback.print_exc()
            click.echo("error: this is a bug in twistmail; the lines above tell where", err=True)
        sys.exit(code)
