"""twistmail setup: units for systemd, made for this configuration, and the names under which programs look for sendmail (`links`)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from twistmail.accounts.system import are_meant
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal


@click.command(cls=Verb)
@click.option("--unit", is_flag=True, help="Print units for systemd: the service, and a socket for each port below 1024.")
@click.option("--links", is_flag=True, help="Print the links by which programs find our sendmail, mailq, newaliases and runq.")
@click.option("--user", default="twistmail", metavar="NAME", help="As whom the server runs. Default: twistmail.")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Write them there: units in /etc/systemd/system, say, links below /.")
@click.option("--force", is_flag=True, help="Even over files that are there and say something else.")
@click.pass_obj
def setup(terminal: Terminal, unit: bool, links: bool, user: str, folder: Path | None, force: bool) -> int:
    """Make what the operating system needs to run this server."""
    if unit == links:
        raise click.UsageError("say what: --unit (for systemd), or --links (for programs that look for sendmail)")
    if links:
        from twistmail.cli.links import install

        return install(terminal, folder, force=force)
    made = _units(terminal, user)
    if terminal.as_json:
        terminal.object(dict(made))
        return Exit.OK
    if folder is None:
        for name, text in made.items():
            terminal.say(f"# /etc/systemd/system/{name}\n{text}")
        terminal.hint("twistmail setup --unit --to /etc/systemd/system   writes them there")
        return Exit.OK
    _write(made, folder, force)
    for name in made:
        terminal.say(str(folder / name))
    terminal.hint(
        f"as root: useradd --system --home-dir / --shell /usr/sbin/nologin {user}   (where there is no such user yet)\n"
        f"         systemctl daemon-reload && systemctl enable --now {' '.join(made)}"
    )
    return Exit.OK


def _units(terminal: Terminal, user: str) -> dict[str, str]:
    from twistmail.config.cross import listeners
    from twistmail.units import Installation, units

    config = terminal.whole()
    if terminal.file is None:
        raise Failure("a service needs a configuration", Exit.CONFIG, "twistmail config example > config.ini")
    gives_files = are_meant(config["users"].source)
    data_dir, pickup = config.data_dir.resolve(), config.file(config["queue"].pickup).resolve()
    outside = pickup if data_dir != pickup and data_dir not in pickup.parents else None
    installation = Installation(_twistd(), terminal.file.resolve(), user, data_dir, gives_files, outside)
    return dict(units(installation, [(section, listen) for section, _, listen in listeners(config)]))


def _twistd() -> Path:
    """The one beside this Python, else the first one that there is."""
    beside = Path(sys.executable).with_name("twistd")
    found = str(beside) if beside.exists() else shutil.which("twistd")
    if found is None:
        raise Failure("there is no twistd", Exit.UNAVAILABLE, f"it belongs to Twisted, which {sys.executable} uses")
    return Path(found)


def _write(made: dict[str, str], folder: Path, force: bool) -> None:
    """All or, where one would be overwritten, none."""
    for name, text in made.items():
        path = folder / name
        if path.exists() and path.read_text() != text and not force:
            raise Failure(f"{path} is there and says something else", Exit.CANTCREAT, "look at it, then add --force; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
