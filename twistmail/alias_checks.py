"""What `config check` and the start say of the files that aliases stand in, line by line. Blocking.

None of it keeps the server from starting: who has a mailbox can read his mail, and what is for an alias that
cannot be looked up waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twistmail.aliases import file, members, regexpfile, virtualfile
from twistmail.aliases.compiled import place_of
from twistmail.aliases.index import Index
from twistmail.aliases.items import Include
from twistmail.aliases.permits import Permits, permits_of
from twistmail.aliases.table import BY_COMMAND
from twistmail.config.load import CrossCheck
from twistmail.config.problem import WARNING, Place, Problem, warning
from twistmail.config.settled import Config
from twistmail.watched import Broken, WatchedFile

#: What reads the file of a source.
READERS: dict[str, Callable[[str], Any]] = {
    "file": file.read, "virtual": virtualfile.read_postfix, "virtusertable": virtualfile.read_sendmail, "regexp": regexpfile.read,
}  # fmt: skip
WAITS = "mail for the names in it waits until it is mended; a server that runs keeps the aliases that it has"


def alias_files_can_be_read(config: Config) -> Iterator[Problem]:
    """Every file that [aliases] source names, and the lists that are included."""
    permits = permits_of(config["aliases"])
    for source in config["aliases"].source:
        kind, _, name = source.partition(":")
        if kind not in READERS:
            continue
        path = config.file(name)
        for line, text in WatchedFile(path, READERS[kind], None).problems():
            if line:
                yield warning(Place(str(path), line, 1), text, WAITS)
            else:
                yield config.problem("aliases", "source", f"{path}: {text}", "mail for aliases waits for it", WARNING)
        if kind == "file":
            yield from _specials(str(path), permits)
            if config["aliases"].reload == BY_COMMAND and not place_of(path, config.data_dir).exists():
                yield config.problem("aliases", "reload", f"{path} has never been compiled", "run newaliases", WARNING)


def _specials(path: str, permits: Permits) -> Iterator[Problem]:
    """What stands in the file at *path* and is not allowed, or is a list that cannot be read."""
    try:
        index: Index = file.read(Path(path).read_text())
    except (OSError, ValueError, Broken):
        return  # that has been told
    for line, address, item in index.special:
        if why := permits.refusal(item):
            yield warning(Place(path, line, 1), f"{address} {why}", "mail for it has to wait")
        elif isinstance(item, Include):
            for number, text in WatchedFile(Path(item.path), members.parse, None).problems():
                where = f"{item.path}:{number}" if number else item.path
                yield warning(Place(path, line, 1), f"{where}: {text}", "mail for that list has to wait")


CHECKS: tuple[CrossCheck, ...] = (alias_files_can_be_read,)
