"""Where commands about users, domains and aliases are done: by the running server, or on the files while it is down.

Both ways go through the same verbs (`registrar`, `alias_desk`). Without a server the sources
are built here as the server would build them; where the configuration is too
broken for that, there is the database at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from twistmail.accounts.config import OPTIONS as USERS
from twistmail.cli.control import ServerDown
from twistmail.cli.exits import Failure
from twistmail.cli.terminal import Terminal
from twistmail.config.settled import Config


@dataclass
class Desk:
    """Answers verbs. `is_offline` tells after a question whether it was answered from the files."""

    terminal: Terminal
    is_offline: bool = field(default=False, init=False)

    def ask(self, verb: str, **arguments: Any) -> Any:
        """What the verb says. Failure with its own words."""
        if not self.is_offline:
            try:
                return self.terminal.server().ask(verb, **arguments)
            except ServerDown:
                if self.terminal.socket:
                    raise
                self.is_offline = True
        return self._on_the_files(verb, arguments)

    @cached_property
    def _configuration(self) -> tuple[Config, bool]:
        """The configuration, or as much of it as can be read; and whether that is all. Read once: by then root may be given up."""
        whole = self.terminal.load().config
        return (whole, True) if whole is not None else (self.terminal.glance(USERS), False)

    def _on_the_files(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        from twistmail.alias_desk import AliasDesk
        from twistmail.cli.books import books
        from twistmail.control import Refusal
        from twistmail.forwarding import ForwardDesk
        from twistmail.list_views import ListDesk
        from twistmail.registrar import Registrar
        from twistmail.tasks import Inline

        with books(self.terminal, *self._configuration) as found:
            registrar = Registrar(found)
            forwards = ForwardDesk.of(found, Inline()).verbs(registrar.account)
            verbs = {**registrar.verbs(), **AliasDesk(found).verbs(), **ListDesk(found).verbs(), **forwards}
            try:
                return found.finish(verbs[verb](arguments))
            except Refusal as refusal:
                raise Failure(str(refusal), refusal.exit_code, refusal.step) from None
