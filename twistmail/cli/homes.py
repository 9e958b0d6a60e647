"""~/.forward, changed by whose home it is, or by root as if he were: what `twistmail forward` does for users of this machine."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twistmail import dotfiles
from twistmail.accounts.config import OPTIONS as USERS
from twistmail.accounts.domains import OPTIONS as DOMAINS
from twistmail.accounts.domains import configured
from twistmail.accounts.system import Bounds, are_meant
from twistmail.aliases.forward import Permissions, read, written
from twistmail.aliases.own import OPTIONS as FORWARD
from twistmail.cli import own
from twistmail.cli.control import Control, ServerDown
from twistmail.cli.exits import Exit, Failure
from twistmail.cli.terminal import Terminal
from twistmail.dotfiles_helper import NAME
from twistmail.mail.address import parse
from twistmail.mail.domains import Domains
from twistmail.watched import Broken

#: What is asked of the server at [users] password_socket.
HOME = "forward.home"
ANYTHING = Permissions(files=True, programs=True)
#: As the file is made: its owner writes, and a server that is not root can read it where the home is open.
MODE = 0o644


@dataclass(frozen=True)
class Home:
    """The home of *user*. *allowed*: what the server lets ~/.forward lead to, as far as we know."""

    user: pwd.struct_passwd
    allowed: Permissions

    def ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As the verbs of `forwarding` answer. Failure."""
        extension = str(arguments.get("extension") or "")
        path = Path(self.user.pw_dir, dotfiles.names(NAME, extension)[0])
        if verb == "forward.set":
            text = str(arguments["text"])
            _goals(text, self.allowed)
            with being(self.user):
                dotfiles.save(path, text, MODE)
        elif verb == "forward.clear":
            with being(self.user):
                dotfiles.remove(path)
        return self._shown(extension)

    def _shown(self, extension: str) -> dict[str, Any]:
        with being(self.user):
            found = dotfiles.read(self.user.pw_uid, extension)
        goals: list[str] = []
        problems = [found.trouble] if found.trouble else [f"{why}; the server passes it over" for why in found.unsafe]
        if found.text is not None:
            try:
                goals = _goals(found.text, self.allowed)
            except Failure as failure:
                problems.append(f"{found.place}: {failure}")
        return {"name": self.user.pw_name, "extension": extension, "file": found.place, "text": found.text, "goals": goals,
                "problems": problems, "settled": []}  # fmt: skip


def _goals(text: str, allowed: Permissions) -> list[str]:
    try:
        return written(read(text, allowed)).splitlines()
    except Broken as broken:
        told = "; ".join(f"line {line}: {why}" for line, why in broken.problems)
        raise Failure(told, Exit.DATAERR, "nothing has changed; docs/forward.md says what may stand there") from None


def home_of(terminal: Terminal, name: str) -> Home | None:
    """The home of *name*, where that is a user of this machine who has a mailbox by that; None where he has none.

    Who may not read the configuration, or finds none, hears from the server whether ~/.forward counts for him.
    """
    try:
        local, domain = (address := parse(name)).local.lower(), address.domain
        user = pwd.getpwnam(local)
    except (ValueError, KeyError):
        return None
    try:
        config = terminal.glance(USERS)
        forward = terminal.glance(FORWARD)[FORWARD.name]
    except (OSError, Failure):
        return None if domain else _in_the_dark(terminal, user)
    if terminal.file is None:
        return None if domain else _in_the_dark(terminal, user)
    users = config[USERS.name]
    is_meant = are_meant(users.source) and forward.homes and Bounds(users.min_uid, users.max_uid, users.nologin_users).take(user)
    if not is_meant or (domain and domain not in _domains(terminal)):
        return None
    return Home(user, Permissions(forward.files, forward.programs, "as long as [forward] does not allow it"))


def _in_the_dark(terminal: Terminal, user: pwd.struct_passwd) -> Home | None:
    """The home of *user*, where we know nothing of the configuration: it counts as it always has, unless a server says otherwise."""
    place = own.anywhere(terminal)
    if place is None:
        return Home(user, ANYTHING)
    if user.pw_uid != os.getuid():
        return None
    try:
        return Home(user, ANYTHING) if Control(place).ask(HOME)["home"] else None
    except ServerDown:
        return Home(user, ANYTHING)


def _domains(terminal: Terminal) -> frozenset[str]:
    """The domains in which users of this machine have their addresses."""
    config = terminal.glance(DOMAINS)
    found = Domains(configured(config[DOMAINS.name], {}, config["server"].hostname or "localhost", str))
    return frozenset(domain.name for domain in found if found.default in (domain.name, domain.like))


@contextmanager
def being(user: pwd.struct_passwd) -> Iterator[None]:
    """Do what is inside as *user*, which only he and root may. Failure."""
    if os.geteuid() == user.pw_uid:
        yield
        return
    if os.geteuid() != 0:
        raise Failure(f"that is in the home of {user.pw_name}", Exit.NOPERM, f"as {user.pw_name}, or as root: you are {own.user()}")
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
