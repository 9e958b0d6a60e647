"""What does not go together, though each value is right by itself. Components' own checks stand beside their assembly."""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.config.problem import WARNING, Problem
from twistmail.config.settled import Config
from twistmail.endpoints import ENDPOINTS, Listen, Transport


def listeners(config: Config) -> Iterator[tuple[str, str, Listen]]:
    """(section, key, Listen) of everything that listens."""
    for setting in config:
        if setting.option.kind is ENDPOINTS:
            for listen in getattr(config[setting.section], setting.option.key):
                yield setting.section, setting.option.key, listen


def one_place_one_service(config: Config) -> Iterator[Problem]:
    """Two services on one port, or one service on it twice."""
    taken: dict[tuple[str, ...], str] = {}
    for section, key, listen in listeners(config):
        if listen.kind in (Transport.TCP, Transport.TLS) and listen.port == 0:
            continue
        places = [listen.place]
        if listen.place[0] == "port" and listen.interface:
            places.append(("port", "", str(listen.port)))
        owner = next((taken[place] for place in places if place in taken), None)
        if owner:
            yield config.problem(section, key, f"{listen} is taken by [{owner}] already", "give one of them another port")
        taken.setdefault(listen.place, section)


def somebody_listens(config: Config) -> Iterator[Problem]:
    """A server that nobody can reach is rarely meant."""
    if not any(True for _ in listeners(config)):
        services = [setting.section for setting in config if setting.option.kind is ENDPOINTS]
        if services:
            suggestion = "set listen in " + ", ".join(f"[{service}]" for service in services)
            yield config.problem(services[0], "listen", "no service listens anywhere", suggestion, WARNING)


CHECKS = (one_place_one_service, somebody_listens)
