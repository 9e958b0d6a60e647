"""twistmail demo: the classroom, with nothing to write first."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Keep everything in this folder, and go on with what is in it.")
@click.option("--open", "open_page", is_flag=True, help="Show the map in a web browser.")
@click.option("--lan", metavar="[ADDRESS]", is_flag=False, flag_value="", default=None,
              help="Let a class come in over the LAN too, with the code of the room; ADDRESS: of this computer, else it is found out.")
@click.option("--roster", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The students of --lan: CSV with the columns account, password, name. Default: s01 to s30, with passwords made up.")
@click.option("--lesson", type=click.IntRange(1, 99), metavar="N", help="Show lesson N.")
@click.option("--terminal", is_flag=True, help="Run the lesson here: instructions, a prompt, ticks.")
def demo(keep: Path | None, open_page: bool, lan: str | None, roster: Path | None, lesson: int | None, terminal: bool) -> int:
    """Serve three pretend offices and the pages that show them, on this computer, until Ctrl-C.

    Nothing leaves this computer: docs/demo.md.
    """
    if roster is not None and lan is None:
        raise click.UsageError("--roster goes with --lan")
    if terminal and lesson is None:
        raise click.UsageError("--terminal wants --lesson N")
    from twistmail.cli.lesson import insist
    from twistmail.lab.demo import run

    if lesson is not None:
        insist(lesson)
    return run(keep, open_page=open_page, lan=lan, roster=roster, lesson=lesson or 0, terminal=terminal)
