"""A town of paper, for tests of pages: the ring and the clock are real, the offices are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

from twistmail import tasks
from twistmail.lab.clock import LessonClock
from twistmail.lab.heads import Heads
from twistmail.lab.journeys import Journeys
from twistmail.lab.offices import OFFICES, PASSWORD, USUAL_PORTS
from twistmail.lab.ring import Ring
from twistmail.lab.zones import Zones


class PaperTown:
    """What `Town` has, as far as pages read it; `off`: names of offices; `broken`: {(from, to): state}."""

    def __init__(self) -> None:
        self.reactor: Any = Clock()
        self.reactor.advance(1_800_000_000)
        self.threads = tasks.Inline()
        self.clock = LessonClock(self.reactor)
        self.ring = Ring(self.clock.seconds)
        self.offices = OFFICES
        self.off: set[str] = set()
        self.resets = 0
        self.secret: Any = None
        self.web_port = 8025
        self.authority = SimpleNamespace(path=None, certificate=b"-----BEGIN CERTIFICATE-----\n")
        self.lan: Any = None
        self.whose: Any = None
        self.broken: dict[tuple[str, str], str] = {}
        self.network = SimpleNamespace(link=lambda a, b: SimpleNamespace(state=self.broken.get((a, b), "whole")))
        self.journeys = Journeys(self.ring)
        self.heads = Heads(self.service)
        self.ring.listen(self.heads.note)
        self.zones = Zones(OFFICES)
        self.ports = {(office.name, service): office.port(service) for office in OFFICES for service in USUAL_PORTS}

    def service(self, name: str) -> Any:
        return None if name in self.off else SimpleNamespace()

    def password_of(self, account: str) -> str:
        return PASSWORD

    def source(self, account: str) -> str:
        return "127.0.0.1"

    def config_file(self, name: str) -> Any:
        return f"/tmp/town/{name}/config.ini"

    async def switch_off(self, name: str) -> None:
        self.off.add(name)

    async def switch_on(self, name: str) -> None:
        self.off.discard(name)

    async def crash(self, name: str) -> None:
        """It is back at once."""

    async def reset(self) -> None:
        self.resets += 1

    def lines(self) -> Any:
        rows = [{"name": office.name, "domain": office.domain, "host": office.host, "address": office.address,
                 "accounts": office.accounts, "on": office.name not in self.off, "config": f"/tmp/town/{office.name}/config.ini",
                 "ports": {service: self.ports[office.name, service] for service in USUAL_PORTS}} for office in self.offices]  # fmt: skip
        return {"password": PASSWORD, "offices": rows, "folder": "/tmp/town", "authority": "/tmp/town/town.pem"}
