"""Where users have their mail sent on to, as the house has it: the source for the expansion, and the verbs of `twistmail forward`.

    forward.show        name, extension         {"name", "file", "text", "goals", "problems", "settled"}
    forward.set         name, extension, text   the same, afterwards
    forward.clear       name, extension         the same, afterwards

Operators ask on the control socket, or the files while the server is down;
everybody else for himself, by his password, where he changes that, too
(`own_passwords`). Users of this machine need nobody for it: they write
~/.forward, and nobody does it for them.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from twistmail import dotfiles
from twistmail.accounts.system import Bounds, are_meant
from twistmail.aliases.forward import Permissions, read, written
from twistmail.aliases.own import ADDRESSES_ONLY, NAME, Folders, OwnForwards
from twistmail.config.settled import Config
from twistmail.control import Refusal, Verb
from twistmail.dotfiles_helper import EXTENSION
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Final
from twistmail.mail.forward import settled
from twistmail.watched import Broken

log = Logger()

USAGE, DATA, TEMPORARY, NO_PERMISSION, CONFIG = 64, 65, 75, 77, 78  # sysexits
#: Forwards that are read at a time: a home that does not answer holds up no other files.
AT_A_TIME = 4
SHOW, SET, CLEAR = "forward.show", "forward.set", "forward.clear"
VERBS = (SHOW, SET, CLEAR)
#: Whether ~/.forward counts for whoever asks, which is no secret: {"home"}. At the desk for everybody only.
HOME = "forward.home"


def forwards_of(config: Config, ground: Any) -> OwnForwards:
    """The forwards that *config* lets people have, standing on *ground* (`foundation.Ground`)."""
    settings = config["forward"]
    return OwnForwards(
        ground.lasting.threads("forwards", AT_A_TIME),
        home=_reader(ground) if settings.homes else None,
        folders=folders_of(config) if settings.users else None,
        allowed=allowed_by(config),
    )


def _reader(ground: Any) -> Callable[[int, str], dotfiles.Found]:
    """The helper's, where there is one."""
    return ground.reader.read if ground.reader is not None else dotfiles.read  # type: ignore[no-any-return]


def allowed_by(config: Config) -> Permissions:
    """What ~/.forward may lead to."""
    return Permissions(config["forward"].files, config["forward"].programs, "as long as [forward] does not allow it")


def folders_of(config: Config) -> Folders:
    """Where the forwards of those are who have no home on this machine."""
    return Folders(config.data_dir, config["store"].path)


# ----- when accounts change


def renamed(config: Config, old: str, new: str) -> None:
    """The account *old* is called *new* now, and its folder with it: a copy that stays by that name goes on to stay. Blocks."""
    before, after = parse(old), Final(parse(new))
    for path in _files(config, new):
        with _told(path), suppress(Broken, UnicodeDecodeError):  # what is broken has to be mended anyway
            goals = read(path.read_text("utf-8"), ADDRESSES_ONLY)
            now = [after if isinstance(goal, Final) and _is(goal.address, before) else goal for goal in goals]
            if now != list(goals):
                dotfiles.save(path, written(now), 0o600)


def _is(name: Address, whole: Address) -> bool:
    return name.folded in (whole, Address(whole.local))


def removed(config: Config, name: str) -> None:
    """The account *name* is no more: nobody who is called so later has his mail sent on to where it went. Blocks."""
    for path in _files(config, name):
        with _told(path):
            dotfiles.remove(path)


def _files(config: Config, name: str) -> list[Path]:
    """The forwards of the account *name*, as far as *config* is known."""
    folder = folders_of(config).of(name) if "store" in config else None
    found = os.listdir(folder) if folder is not None and os.path.isdir(folder) else []
    return [Path(str(folder), one) for one in sorted(found) if one == NAME or one.startswith(f"{NAME}+")]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What has been done about the account stays done, whatever becomes of its forward."""
    try:
        yield
    except OSError as error:
        log.error("{path} is not changed: {error}", path=str(path), error=error.strerror)


# ----- the verbs


class ForwardDesk:
    """Shows and changes forwards. *config*() is the configuration of now, *changed*(name) hears whose forward is another now.

    *threads* do what blocks; *reader*() is the `dotfiles.Reader`, or None.
    """

    def __init__(
        self, config: Callable[[], Config], threads: Any, changed: Callable[[str], None], reader: Callable[[], Any] = lambda: None
    ) -> None:
        self._config = config
        self._threads = threads
        self._changed = changed
        self._reader = reader

    @classmethod
    def of(cls, books: Any, threads: Any, reader: Callable[[], Any] = lambda: None) -> ForwardDesk:
        """As the `registrar.Books` *books* have it."""
        return cls(lambda: books.config, threads, books.user_changed, reader)

    def verbs(self, found: Callable[[Any], Awaitable[Account]]) -> dict[str, Verb]:
        """The verbs for operators. *found*(text) gives the account that is meant, or raises Refusal."""

        def verb(name: str) -> Verb:
            async def ask(arguments: Mapping[str, Any]) -> Any:
                return await self.answer(name, await found(arguments.get("name")), arguments, "an operator")

            return ask

        return {name: verb(name) for name in VERBS}

    async def has_home(self, user: int | None) -> dict[str, bool]:
        """Whether ~/.forward of the numeric *user* counts."""
        config = self._config()
        users = config["users"]
        bounds = Bounds(users.min_uid, users.max_uid, users.nologin_users)

        def look() -> bool:
            try:
                return user is not None and bounds.take(pwd.getpwuid(user))
            except KeyError:
                return False

        return {"home": are_meant(users.source) and config["forward"].homes and await self._threads.run(look)}

    async def answer(self, verb: str, account: Account, arguments: Mapping[str, Any], who: str) -> Any:
        """What *verb* does for *account*, asked by *who*. Refusal."""
        extension = arguments.get("extension") or ""
        if "forward" not in self._config():
            raise Refusal("the configuration has mistakes", CONFIG, "mend them: twistmail config check")
        if not isinstance(extension, str) or (extension and not EXTENSION.fullmatch(extension)):
            raise Refusal("that extension cannot be the name of a file", USAGE, "use lower-case letters, digits, - and _")
        try:
            if verb != SHOW:
                await self._change(verb, account, extension, arguments.get("text"), who)
            return await self._threads.run(self._shown, account, extension)
        except OSError as error:
            raise Refusal(f"{error.filename or 'the forward'}: {error.strerror or error}", TEMPORARY, "nothing has changed") from None

    async def _change(self, verb: str, account: Account, extension: str, text: Any, who: str) -> None:
        if account.uid is not None:
            step = f"as {account.local}: twistmail forward {verb.partition('.')[2]} {account.local}"
            raise Refusal(f"{account.name} has a home on this machine, with a ~/.forward of his own in it", NO_PERMISSION, step)
        path = self._path(account, extension)
        if verb == CLEAR:
            await self._threads.run(dotfiles.remove, path)
        else:
            if not isinstance(text, str):
                raise Refusal("text is no text", USAGE)
            await self._threads.run(_save, path, _checked(text))
        self._changed(account.name)
        log.info("{who} has changed where mail for {name} goes on to", who=who, name=account.name + ("+" if extension else "") + extension)

    def _path(self, account: Account, extension: str) -> Path:
        """The file of *account*, who has no home on this machine. Refusal where there can be none."""
        config = self._config()
        folder = folders_of(config).of(account.name) if config["forward"].users else None
        if folder is None:
            raise Refusal("nobody changes his own forward here", NO_PERMISSION, "ask an administrator; see [forward] users")
        return Path(folder, dotfiles.names(NAME, extension)[0])

    def _shown(self, account: Account, extension: str) -> dict[str, Any]:
        """What holds for mail to *account* with *extension*, and where it is written."""
        found, allowed = self._found(account, extension)
        goals, problems = [], [found.trouble] if found.trouble else [f"{why}; it is passed over" for why in found.unsafe]
        if found.text is not None:
            try:
                goals = written(read(found.text, allowed)).splitlines()
            except Broken as broken:
                problems += [f"{found.place}:{line}: {why}; mail for it has to wait" for line, why in broken.problems]
        kept = settled(account)
        return {
            "name": account.name,
            "extension": extension,
            "file": found.place,
            "text": None if found.text is None else found.text.encode("utf-8", "replace").decode(),
            "goals": goals,
            "problems": problems,
            "settled": written(kept.goals).splitlines() if kept else [],
        }

    def _found(self, account: Account, extension: str) -> tuple[dotfiles.Found, Permissions]:
        config = self._config()
        if account.uid is not None:
            reader = self._reader()
            look = reader.read if reader is not None else dotfiles.read
            return look(account.uid, extension) if config["forward"].homes else dotfiles.Found(), allowed_by(config)
        folder = folders_of(config).of(account.name) if config["forward"].users else None
        if folder is None:
            return dotfiles.Found(), ADDRESSES_ONLY
        return dotfiles.look(folder, extension, (os.geteuid(), 0), name=NAME, above=False), ADDRESSES_ONLY


def _checked(text: str) -> str:
    """*text*, which means something that may be done. Refusal."""
    try:
        goals = read(text, ADDRESSES_ONLY)
    except Broken as broken:
        told = "; ".join(f"line {line}: {why}" for line, why in broken.problems)
        raise Refusal(told, DATA, "write addresses, and \\NAME for a copy that stays") from None
    return text if text.endswith("\n") or not goals else text + "\n"


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    dotfiles.save(path, text, 0o600)
