"""What twistd calls: a service made of its options (`makeService`, named by the plugin), and no root that stays root."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from twisted.application.service import Service

from twistmail import heap, privileges, sections, systemd
from twistmail.config.load import Loaded, find_file, load
from twistmail.plugins import discover
from twistmail.secrecy import keep_memory_private
from twistmail.service import CONFIG_ERROR, MailService
from twistmail.service_options import Options

__all__ = ["Options", "makeService"]

NO_PERMISSION = 77  # EX_NOPERM


def makeService(options: Options) -> Service:
    """The service that *options* describe, or the classroom. Prints every problem and exits with 78 where the configuration is wrong."""
    from twisted.internet import reactor

    if options["demo"]:
        from twistmail.lab.classroom import Classroom

        refuse_root(options)
        return Classroom(reactor)
    discovery = discover()
    for broken in discovery.broken:
        print(broken, file=sys.stderr)  # noqa: T201 - the log does not run yet
    path = find_file(options["config"])

    def read(*, files: bool = False) -> Loaded:
        return load(sections.everything(discovery), path, options["set"], checks=sections.checks(discovery, files=files))

    loaded = read(files=True)
    for problem in loaded.problems:
        print(problem, file=sys.stderr)  # noqa: T201
    if loaded.config is None:
        sys.exit(CONFIG_ERROR)
    if options["check"]:
        sys.exit(0)
    refuse_root(options)
    reactor.callWhenRunning(heap.settle)  # type: ignore[attr-defined]
    if _of_twistd(options).get("umask") is None:
        os.umask(0o077)
    settle = partial(_give_up, began_as_root=os.geteuid() == 0)
    user = _of_twistd(options).get("uid") or 0
    return MailService(loaded.config, reactor, discovery, read, only=options["only"], ready=_tell_systemd, settle=settle, user=user)


def _of_twistd(options: Any) -> Any:
    """What twistd itself was told."""
    return getattr(options, "parent", None) or {}


def _give_up(*, began_as_root: bool) -> None:
    try:
        privileges.give_up(began_as_root=began_as_root)
        keep_memory_private()  # a change of users has opened it again
    except privileges.StillPrivileged as trouble:
        print(  # noqa: T201
            f"error: twistmail does not run as root: {trouble}\n    Start it with: twistd --uid twistmail --gid twistmail twistmail ...; "
            "without --euid",
            file=sys.stderr,
        )
        sys.exit(NO_PERMISSION)


def _tell_systemd(ports: dict[str, list[int]]) -> None:
    systemd.notify("READY=1")


def refuse_root(options: Any) -> None:
    """Root stays root only until the ports are open: without --uid we do not start (spec/limits.md section 4)."""
    if os.geteuid() == 0 and not _of_twistd(options).get("uid"):
        print(  # noqa: T201
            "error: twistmail does not run as root: a mistake in it would own the machine.\n"
            "    Start it with: twistd --uid twistmail --gid twistmail twistmail ... (ports are opened first, then root is given up),\n"
            "    or as an ordinary user on ports above 1023.",
            file=sys.stderr,
        )
        sys.exit(NO_PERMISSION)
