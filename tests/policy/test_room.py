"""New mail is refused while there is still room to work with."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from tests.helpers import result_of
from twistmail.mail.envelope import Peer, Transaction
from twistmail.mail.status import NO_ROOM
from twistmail.policy import room
from twistmail.policy.room import Room

MEGABYTE = 1024 * 1024
GIGABYTE = 1024 * MEGABYTE


def judged(monkeypatch: pytest.MonkeyPatch, *, free: int, size: int = 0, whole: int = 10 * GIGABYTE) -> object:
    """The opinion on a message of *size* announced octets on a disk of *whole* octets of which *free* are left."""
    disk = SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_blocks=whole // 4096)
    monkeypatch.setattr(room.os, "statvfs", lambda folder: disk)
    parameters = {"SIZE": str(size)} if size else {}
    transaction = Transaction(Peer("conn", "192.0.2.1", 1), "item", 0.0, None, parameters)
    return result_of(Room(Path("/"), 256 * MEGABYTE, Clock()).judge(transaction))


@pytest.mark.parametrize(
    ("free", "size", "whole", "verdict"),
    [
        pytest.param(GIGABYTE, 0, 10 * GIGABYTE, None, id="plenty"),
        pytest.param(255 * MEGABYTE, 0, 10 * GIGABYTE, NO_ROOM, id="less-than-the-reserve"),
        pytest.param(300 * MEGABYTE, 10 * MEGABYTE, 10 * GIGABYTE, None, id="a-message-that-fits"),
        pytest.param(300 * MEGABYTE, 40 * MEGABYTE, 10 * GIGABYTE, NO_ROOM, id="a-message-that-would-eat-into-it"),
        pytest.param(GIGABYTE, 0, 100 * GIGABYTE, NO_ROOM, id="less-than-its-share-of-a-bigger-disk"),
        pytest.param(5 * GIGABYTE, 0, 10_000 * GIGABYTE, None, id="the-share-of-a-huge-disk-is-bounded"),
    ],
)
def test_mail_is_taken_while_the_reserve_is_left(monkeypatch, free, size, whole, verdict):
    assert judged(monkeypatch, free=free, size=size, whole=whole) == verdict


def test_the_real_disk_can_be_asked(tmp_path: Path) -> None:
    transaction = Transaction(Peer("conn", "192.0.2.1", 1), "item", 0.0, None)
    free = os.statvfs(tmp_path)
    most = free.f_bavail * free.f_frsize
    assert result_of(Room(tmp_path, 2 * most, Clock()).judge(transaction)) == NO_ROOM
