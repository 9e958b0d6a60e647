"""Room on the disk: new mail is refused for now while there is still some left to work with (spec/limits: disk.reserve).

A disk that is quite full makes everything fail at once, the queue, the index
and the log among it; so the last of it is kept. What is announced by SIZE counts
one and a half times: a big message lies in a draft and in the mailbox at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import NO_ROOM, Status
from twistmail.options import Settings
from twistmail.policy.pipeline import House

log = Logger()

#: The part of the file system that is kept free at least, beside the configured octets.
SHARE = 0.02
#: ... but of a big disk not more than this.
MOST_SHARED = 4 * 1024**3
ANNOUNCED = 1.5
#: Seconds for which an answer of the file system holds. What a disk takes meanwhile is a small part of what is kept.
FRESH = 0.05
#: Seconds between two entries in the log about the same trouble.
QUIET = 60.0


@implementer(IPolicyStage)
class Room:
    """*reserve*: octets of the file system of *folder* that stay free."""

    name = "room"
    point = Point.SENDER

    def __init__(self, folder: Path, reserve: int, clock: Any) -> None:
        self._folder = folder
        self._reserve = reserve
        self._clock = clock
        self._told = -QUIET
        self._looked = -FRESH
        self._free = self._kept = 0

    async def judge(self, transaction: Transaction) -> Status | None:
        if self._clock.seconds() - self._looked >= FRESH:
            self._look()
        free, kept = self._free, self._kept
        if free - ANNOUNCED * int(transaction.parameters.get("SIZE", "0")) >= kept:
            return None
        if self._clock.seconds() - self._told >= QUIET:
            self._told = self._clock.seconds()
            log.error("{folder}: {free} octets free, {kept} are kept: mail is refused for now", folder=self._folder, free=free, kept=kept)
        return NO_ROOM

    def _look(self) -> None:
        disk = os.statvfs(self._folder)
        self._free = disk.f_bavail * disk.f_frsize
        self._kept = max(self._reserve, int(min(SHARE * disk.f_blocks * disk.f_frsize, MOST_SHARED)))
        self._looked = self._clock.seconds()


@implementer(IPolicyStageFactory)
class RoomFactory:
    name = "room"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        reserve = house.settings.disk_reserve
        return () if reserve is None or house.folder is None else (Room(house.folder, reserve, house.clock),)
