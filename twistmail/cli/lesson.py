"""twistmail lesson: the lessons of the classroom in a terminal, and a look at those that teachers write."""

from __future__ import annotations

from pathlib import Path

import click

from twistmail.cli.exits import Exit, Failure


@click.command("lesson", no_args_is_help=False)
@click.argument("what", nargs=-1, metavar="[N | check FILE ...]")
def lesson(what: tuple[str, ...]) -> int:
    """Run a lesson of the classroom here: what to do, a prompt, ticks.

    Three offices are started, and a prompt tells what to do. Without N: the list. `twistmail lesson check FILE ...` tells
    what is wrong with lessons of your own, line by line: docs/lessons.md.
    """
    match what:
        case ():
            return listed()
        case ("check", *files) if files:
            return checked([Path(name) for name in files])
        case (number,) if number.isascii() and number.isdigit():
            insist(int(number))
            from twistmail.lab.demo import run

            return run(lesson=int(number), terminal=True)
    raise click.UsageError("write the number of a lesson, or: check FILE ...")


def listed() -> int:
    from twistmail.lab.lesson_file import load_all

    for one in load_all()[0]:
        click.echo(f"{one.number:3}  {one.title}  ({one.minutes} min)")
    return Exit.OK


def checked(files: list[Path]) -> int:
    """Each mistake with file and line; 65 where there are some."""
    from twistmail.lab.lesson_file import load

    code = Exit.OK
    for path in files:
        found, problems = load(path)
        for problem in problems:
            click.echo(str(problem), err=True)
        if found is None:
            code = Exit.DATAERR
        else:
            click.echo(f"{path.name}: lesson {found.number}, {len(found.steps)} steps, {len(found.questions)} questions")
    return code


def insist(number: int) -> None:
    """Failure where there is no lesson *number*."""
    from twistmail.lab.lesson_file import load_all

    numbers = [one.number for one in load_all()[0]]
    if number not in numbers:
        raise Failure(f"there is no lesson {number}; there are {numbers[0]} to {numbers[-1]}", Exit.USAGE)
