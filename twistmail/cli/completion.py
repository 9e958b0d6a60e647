"""twistmail completion: what a shell needs to complete our words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal

#: Where each shell looks for it.
_PLACES = {
    "bash": "~/.local/share/bash-completion/completions/twistmail",
    "zsh": "a folder of $fpath, as _twistmail",
    "fish": "~/.config/fish/completions/twistmail.fish",
}


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(sorted(_PLACES)))
@click.pass_obj
def completion(terminal: Terminal, shell: str) -> None:
    """Print what makes a shell complete the words of twistmail.

    \b
    twistmail completion bash > ~/.local/share/bash-completion/completions/twistmail
    """
    from twistmail.cli.main import main

    made = get_completion_class(shell)
    assert made is not None, "click knows these shells"
    terminal.say(made(main, {}, "twistmail", "_TWISTMAIL_COMPLETE").source())
    terminal.hint(f"put it into {_PLACES[shell]}")
