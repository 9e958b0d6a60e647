"""Where the domains come from whose mail is kept here: the configuration, a file, and the database of accounts.

The configuration names them first, so the default domain is one of its own.
The file is sendmail's local-host-names: a domain a line, each of them another
name of the default domain. `DomainBook` outlives a reload and is looked at every
second (`service`), so that nobody has to say when the file or the database has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from twistmail.interfaces import Unavailable
from twistmail.mail.address import canonical_domain
from twistmail.mail.domains import Domain, Domains
from twistmail.options import SEPARATORS, TEXT, WORDS, Option, Section, Settings, choice
from twistmail.stamps import Remembered, Stamp, stamp_of
from twistmail.watched import Broken, Partly, WatchedFile

log = Logger()

MOST_DOMAINS = 100_000

OPTIONS = Section(
    "domains",
    "Whose mail is for us, besides the [domain:NAME] sections and the domains of `twistmail domain add`.",
    Option("local", WORDS, "", "Domains with users of their own; the first one is the default. "
           "Without any domain: the host's own name and the domain it is in."),
    Option("normal", WORDS, "", "Further names of the default domain: bob@ each of them is one person.", example="azure.test navy.test"),
    Option("normal_file", TEXT, "", "A file with more of them, one a line, watched.", example="/etc/mail/local-host-names"),
)  # fmt: skip

DOMAIN_OPTIONS = Section(
    "domain",
    "A domain whose mail is kept here: [domain:blue.example].",
    Option("same_as", TEXT, "", "The local domain whose users it has (an alias domain); empty: users of its own.", example="blue.example"),
    Option("catchall", TEXT, "", "Who gets mail for names that nobody has; empty: it is refused.", example="postmaster@blue.example"),
    Option("other_server", TEXT, "", "A second server that has mailboxes of this domain, written as [relay] smarthost; empty: none.",
           example="[10.0.0.2]:25"),
    Option("other_gets", choice("unknown", "all"), "unknown", "What goes there: mail for names that nobody has here (a split domain), or "
           "all: a copy of the mail for those who are here, too."),
    Option("subaddress", SEPARATORS, "", "What divides names from suffixes in this domain, as [aliases] subaddress; empty: the same as "
           "there; none: nothing.", example="-"),
    Option("description", TEXT, "", "A word about it, for people."),
    pattern=True,
)


def configured(settings: Settings, named: dict[str, Settings], hostname: str, origin: Callable[[str], str]) -> list[Domain]:
    """The domains of [domains] and of the [domain:NAME] sections. *origin*(section) tells where these stand."""
    own = [Domain(name, source=origin("domains")) for name in settings.local if name not in named]
    first = next((name for name in (*settings.local, *named)), "") or next(iter(settings.normal), "")
    sections = [Domain(name, one.same_as, one.catchall, one.description, origin(f"domain:{name}")) for name, one in named.items()]
    normal = [Domain(name, "" if name == first else first, source=origin("domains")) for name in settings.normal]
    found = sorted([*own, *sections, *normal], key=lambda domain: domain.name != first)  # stable: only the default moves
    return found or [Domain(name, source="hostname") for name in _of_host(hostname)]


def _of_host(hostname: str) -> tuple[str, ...]:
    parent = hostname.partition(".")[2]
    return (parent, hostname) if "." in parent else (hostname,)


def parse(text: str) -> Partly[tuple[tuple[int, str], ...]]:
    """(line number, domain) of each line that names one."""
    found: list[tuple[int, str]] = []
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            found.append((number, canonical_domain(word)))
        except ValueError as error:
            problems.append((number, str(error)))
        if len(found) > MOST_DOMAINS:
            raise Broken([(number, f"there are more than {MOST_DOMAINS} domains")])
    return Partly(tuple(found), tuple(problems))


class DomainBook:
    """All domains. Blocking, but for `is_current`.

    *database* tells those that were made by a command, and keeps them in *files*; while it raises Unavailable, those that were known stay.
    *now*: as the file system stamps files, nanoseconds.
    """

    def __init__(self, database: Callable[[], Sequence[Domain]], files: Sequence[Path], now: Callable[[], int] = time.time_ns) -> None:
        self._made: Remembered[Sequence[Domain]] = Remembered(files, database, (), now)
        self._files: dict[Path, tuple[Stamp | None, tuple[tuple[int, str], ...]]] = {}

    def is_current(self, file: Path | None) -> bool:
        """Whether `read` would say the same again. A stat for each file and no more: for every second of the reactor thread."""
        return self._made.is_current() and (file is None or (file in self._files and self._files[file][0] == stamp_of(file)))

    def read(self, configured: Sequence[Domain], file: Path | None) -> Domains:
        """What there is now; where the file cannot be read, what it said before."""
        default = configured[0].name
        listed = [Domain(name, default, source=f"{file}:{line}") for line, name in self._lines(file) if name != default] if file else ()
        if not self._made.is_current():
            with suppress(Unavailable):
                self._made.read()
        return Domains([*configured, *listed, *self._made.value])

    def _lines(self, path: Path) -> Iterable[tuple[int, str]]:
        now, known = stamp_of(path), self._files.get(path)
        if known is None or known[0] != now:
            known = self._files[path] = now, self._read(path, known[1] if known else ())
        return known[1]

    def _read(self, path: Path, known: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
        try:
            read = parse(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            log.error("{path}: {error} (what was read before stays in use)", path=str(path), error=error)
            return known
        for line, text in read.problems:
            log.error("{path}:{line}: {text} (the other lines are in use)", path=str(path), line=line, text=text)
        return read.value


def problems(path: Path) -> tuple[tuple[int, str], ...]:
    """What is wrong with the file at *path*, for the checker: (line, text), line 0 where it cannot be read. Blocking."""
    file: WatchedFile[tuple[tuple[int, str], ...]] = WatchedFile(path, parse, None)
    return file.problems()
