"""Running the server in the foreground without twistd: for the demo, for measuring, for embedding in a script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner, textFileLogObserver


def run(
    config: Path,
    *,
    overrides: Sequence[str] = (),
    users: Mapping[str, str] | None = None,
    ready: Callable[[dict[str, list[int]]], None] = lambda ports: None,
    connector: Any = None,
    level: LogLevel = LogLevel.warn,
) -> int:
    """Serve what *config* says until SIGINT or SIGTERM; the exit status.

    *users*: accounts (name: password) that are made first. *ready* hears the ports of each service once all listen.
    *connector* replaces the relay's way out (`relay.connect`). Root is allowed: callers listen on loopback only.
    """
    from twisted.internet import reactor

    from twistmail import heap, sections
    from twistmail.accounts.fresh import kinds
    from twistmail.config.load import load
    from twistmail.foundation import Foundation
    from twistmail.plugins import discover
    from twistmail.service import CONFIG_ERROR, MailService

    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(level)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    discovery = discover()

    def read(*, files: bool = False) -> Any:
        return load(sections.everything(discovery), config, overrides, checks=sections.checks(discovery, files=files))

    def prepare(foundation: Foundation) -> None:
        wanted = kinds(foundation.ground.config["auth"].mechanisms)
        for name, password in (users or {}).items():
            if foundation.database.get(name) is None:
                foundation.database.add(name, password, kinds=wanted)

    loaded = read(files=True)
    for problem in loaded.problems:
        print(problem, file=sys.stderr)  # noqa: T201
    if loaded.config is None:
        return CONFIG_ERROR
    service = MailService(loaded.config, reactor, discovery, read, ready=ready, prepare=prepare, connector=connector)
    service.privilegedStartService()
    service.startService()
    reactor.callWhenRunning(heap.settle)  # type: ignore[attr-defined]
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    return 0
