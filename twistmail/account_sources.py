"""The sources of accounts that the configuration names, each built with what it needs.

`assembly` makes the house's people of them; `table query` asks them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twistmail.accounts.circles import role_table
from twistmail.accounts.config import config_table
from twistmail.accounts.file import PasswdFile
from twistmail.accounts.house import House
from twistmail.accounts.sqlite import DatabaseSource
from twistmail.accounts.system import Bounds, SystemSource
from twistmail.accounts.table import TableSource
from twistmail.config.settled import Config
from twistmail.foundation import Standing
from twistmail.foundation import build as part

ROLES = "roles"
#: Sources that lean on others which lean on others ...: nobody means more.
DEEPEST = 5


def words_of(config: Config) -> tuple[str, ...]:
    """The words of the sources, in the order of `sources_of`."""
    return (*((ROLES,) if config.named("role") else ()), *config["users"].source)


def sources_of(config: Config, foundation: Standing, default_domain: str) -> tuple[Any, ...]:
    """The sources in order; what the configuration itself names comes first. ValueError where they lean on each other in a circle."""
    builder = _Builder(config, foundation, default_domain)
    return tuple(builder.source(word) for word in words_of(config))


@dataclass(frozen=True)
class _Builder:
    config: Config
    foundation: Standing
    default_domain: str
    depth: int = 0

    def source(self, word: str) -> Any:
        """The source that *word* of [users] source stands for."""
        ground = self.foundation.ground
        kind, _, argument = word.partition(":")
        if kind == ROLES:
            return TableSource(role_table(self.config.named("role"), self.default_domain), ground.threads, origin="role")
        if kind == "sqlite":
            return DatabaseSource(self.foundation.database, ground.threads)
        if kind == "config":
            return TableSource(config_table(self.config.named("user"), self.default_domain), ground.threads, origin="user")
        if kind == "passwd":
            path = self.config.file(argument)
            return TableSource(PasswdFile(path, ground.threads, self.default_domain), ground.threads, origin=str(path))
        if kind == "system":
            users = self.config["users"]
            bounds = Bounds(users.min_uid, users.max_uid, users.nologin_users)
            return SystemSource(bounds, self.default_domain, ground.threads, self.config.file(users.shadow) if users.shadow else None)
        source = part("accounts", kind, ground, self._house(word, argument), self.config)
        if not hasattr(source, "origin"):
            source.origin = word
        return source

    def _house(self, word: str, argument: str) -> House:
        if self.depth >= DEEPEST:
            raise ValueError(f"[users] source: {word} leans on itself")
        ground = self.foundation.ground
        deeper = _Builder(self.config, self.foundation, self.default_domain, self.depth + 1)
        return House(self.default_domain, ground.reactor, ground.threads, ground.lasting, self.config.file, deeper.source, argument)
