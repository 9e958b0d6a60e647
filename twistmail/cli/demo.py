"""twistmail demo: a server to try, with nothing to write first."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Keep the mail in this folder, and go on with what is in it.")
def demo(keep: Path | None) -> int:
    """Serve one pretend office on this computer until Ctrl-C."""
    from twistmail.demo import run

    return run(keep)
