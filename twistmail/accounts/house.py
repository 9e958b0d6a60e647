"""What a source of accounts is given to stand on when it is built (`interfaces.IPart`, kind "accounts")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twistmail.mail.values import frozen


@frozen
class House:
    """Everything here outlives a reload but the sources themselves."""

    default_domain: str
    reactor: Any
    #: For files. A source that asks somebody elsewhere takes threads of its own, from `lasting`.
    threads: Any
    #: `lasting.Lasting`: threads(name, most), and keep(name, key, make) for connections.
    lasting: Any
    #: The path that a name in a setting means.
    path: Callable[[str], Path]
    #: Another source, by its word in [users] source.
    source: Callable[[str], Any]
    #: What stands behind the source's own word in [users] source: `passwd:PATH` gives "PATH".
    argument: str = ""
