"""The sources of aliases that the configuration names, each built with what it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twistmail.aliases.book import AliasBook
from twistmail.aliases.chain import AliasChain
from twistmail.aliases.compiled import place_of
from twistmail.aliases.database import DatabaseAliases
from twistmail.aliases.file import AliasFile
from twistmail.aliases.meaning import Meaning
from twistmail.aliases.permits import permits_of
from twistmail.aliases.regexpfile import RegexpFile
from twistmail.aliases.table import BY_COMMAND, alias_table
from twistmail.aliases.virtual import POSTFIX, SENDMAIL
from twistmail.aliases.virtualfile import House, VirtualFile
from twistmail.config.settled import Config
from twistmail.following import separators_of
from twistmail.foundation import Ground
from twistmail.foundation import build as part
from twistmail.mail.address import Address
from twistmail.mail.domains import Domains
from twistmail.mail.spelled import spellings

DIALECTS = {dialect.name: dialect for dialect in (POSTFIX, SENDMAIL)}


def resolver_of(config: Config, ground: Ground, domains: Domains, first: Sequence[Any] = ()) -> AliasChain:
    """All sources, in order; *first* are some that no setting names."""
    settings = config["aliases"]
    meaning = Meaning(permits_of(settings), ground.watched)
    sources = [_source(word, config, ground, domains, meaning) for word in settings.source]
    return AliasChain((*first, *sources), spelled_by(config))


def _house(config: Config, domains: Domains) -> House:
    """Names alone hold in the default domain, and in those that are only other names of it."""
    own = {domains.default, *(name for name, other in domains.like.items() if other == domains.default)}
    return House(domains.default, own, spelled_by(config))


def spelled_by(config: Config) -> Callable[[Address], tuple[Address, ...]]:
    """How an address may be spelled without its suffix, by the separators of its domain."""
    usual, of_domain = config["aliases"].subaddress, separators_of(config)
    return lambda address: spellings(address, of_domain.get(address.domain, usual))


def _source(word: str, config: Config, ground: Ground, domains: Domains, meaning: Meaning) -> Any:
    """The source that *word* of [aliases] source stands for."""
    kind, _, argument = word.partition(":")
    if kind == "config":
        named = config.named("alias")
        return alias_table(named, domains.names, meaning, {name: config.place(f"alias:{name}").short for name in named})
    if kind == "sqlite":
        path = config.file(config["aliases"].database)
        return DatabaseAliases(ground.lasting.keep("aliases", path, lambda: AliasBook(path)), ground.threads, domains.names, meaning)
    if kind == "file":
        path = config.file(argument)
        compiled = place_of(path, config.data_dir) if config["aliases"].reload == BY_COMMAND else None
        return AliasFile(path, ground.watched, domains.names, meaning, compiled=compiled)
    if kind in DIALECTS:
        return VirtualFile(config.file(argument), DIALECTS[kind], ground.watched, _house(config, domains))
    if kind == "regexp":
        return RegexpFile(config.file(argument), ground.watched, domains.default, meaning)
    return part("alias source", kind, ground, config=config)
