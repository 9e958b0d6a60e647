"""What addresses become as mail comes in, built from the configuration: `assembly` gives it to expansion, policy and mail flow."""

from __future__ import annotations

from twistmail.canonical.rules import Canonical, House, Map
from twistmail.canonical_tables import table_at
from twistmail.config.settled import Config
from twistmail.following import spelled
from twistmail.foundation import Standing
from twistmail.leaving.senders import Names, machine_names
from twistmail.mail.domains import Domains


def canonical_of(config: Config, foundation: Standing, domains: Domains) -> Canonical:
    """The one Canonical of the house, as *config* says."""
    settings, ground = config["canonical"], foundation.ground
    names = Names(domains.names, machine_names(config["server"].hostname), spelled(config))
    wanted = (
        (settings.senders, frozenset(f"{part}_sender" for part in settings.senders_in)),
        (settings.recipients, frozenset(f"{part}_recipient" for part in settings.recipients_in)),
        (settings.table, settings.table_in),
    )
    named = ((*table_at(word), classes) for word, classes in wanted if word)
    maps = [Map(ground.watched.file(config.file(name), parse), classes) for name, parse, classes in named]
    return Canonical(House(names, domains.default), maps, ground.threads, everybody=settings.headers_of == "everybody")
