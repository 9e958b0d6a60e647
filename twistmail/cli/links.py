"""twistmail setup --links: the names under which other programs look for sendmail, as links to ours."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal

#: Where programs look (FHS 3.0 §4.16.2 and hier(7) for the first; the second is older than that).
PLACES = ("usr/sbin/sendmail", "usr/lib/sendmail", "usr/bin/mailq", "usr/bin/newaliases", "usr/sbin/runq")
OURS = "twistmail-sendmail"
#: What is put behind the name of a program that another package has brought.
ASIDE = ".before-twistmail"


def install(terminal: Terminal, root: Path | None, *, force: bool) -> int:
    """Show the links, or make them below *root*. All or, where one would take the place of something else (and not *force*), none."""
    target = _ours()
    if terminal.as_json:
        terminal.object({f"/{place}": str(target) for place in PLACES})
        return Exit.OK
    if root is None:
        for place in PLACES:
            terminal.say(f"ln -s {target} /{place}")
        terminal.hint("as root: twistmail setup --links --to /   makes them")
        return Exit.OK
    for path, found in _make({root / place: target for place in PLACES}, force=force).items():
        terminal.say(f"{path} -> {target}" + (f"   (what was there is {found} now)" if found else ""))
    return Exit.OK


def _ours() -> Path:
    """The program beside this Python, else the first one that there is."""
    beside = Path(sys.executable).with_name(OURS)
    found = str(beside) if beside.exists() else shutil.which(OURS)
    if found is None:
        raise Failure(f"there is no {OURS}", Exit.UNAVAILABLE, "install twistmail as a package: pip install twistmail")
    return Path(found)


def _make(links: Mapping[Path, Path], *, force: bool) -> dict[Path, Path | None]:
    """Each link that was made, with where what stood there before is now."""
    wanted = {path: target for path, target in links.items() if not (path.is_symlink() and path.readlink() == target)}
    taken = [path for path in wanted if os.path.lexists(path)]
    if taken and not force:
        raise Failure(f"{taken[0]} is there and is another program's", Exit.CANTCREAT,
                      f"look at it, then add --force, which keeps it as {taken[0].name}{ASIDE}; nothing was made")
    made: dict[Path, Path | None] = {}
    for path, target in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ASIDE) if path in taken else None
        if aside is not None:
            os.rename(path, aside)
        path.symlink_to(target)
        made[path] = aside
    return made
