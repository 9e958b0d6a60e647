"""The committer: batches are durable as a whole, and one job's trouble is its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail import disk, tasks
from twistmail.disk import Committer, FileContent, InlineCommitter, status_of
from twistmail.mail.status import BUG, DISK_TROUBLE, NO_ROOM, OVER_QUOTA


class FakeReactor:
    """Collects what the thread wants done on the reactor thread."""

    def callFromThread(self, function: Any, *args: Any) -> None:
        self.calls = [*getattr(self, "calls", []), (function, args)]

    def callLater(self, _: float, function: Any, *args: Any) -> None:
        function(*args)

    def run(self) -> None:
        calls, self.calls = getattr(self, "calls", []), []
        for function, args in calls:
            function(*args)


class OneFile:
    """Writes one file under a temporary name, then gives it its name."""

    def __init__(self, folder: Path, name: str, log: list[str], fails: str = "") -> None:
        self.size = 10
        self.folder, self.name, self.log, self.fails = folder, name, log, fails
        self.descriptor = -1

    def write(self) -> list[int]:
        if self.fails == "write":
            raise OSError(errno.ENOSPC, "No space left on device")
        self.log.append(f"write {self.name}")
        self.descriptor = os.open(self.folder / f"{self.name}.tmp", os.O_CREAT | os.O_WRONLY)
        os.write(self.descriptor, b"x" * self.size)
        return [self.descriptor]

    def publish(self) -> list[int]:
        if self.fails == "publish":
            raise OSError(errno.EIO, "Input/output error")
        self.log.append(f"publish {self.name}")
        os.rename(self.folder / f"{self.name}.tmp", self.folder / self.name)
        return []

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        (self.folder / f"{self.name}.tmp").unlink(missing_ok=True)


def committed(jobs: list[OneFile]) -> list[Any]:
    """What each job's commit ended with: None or the exception."""
    reactor = FakeReactor()
    committer = Committer(reactor)
    results: list[Any] = []
    with committer._wake:  # the thread waits until all are there, so that they make one batch
        for job in jobs:
            tasks.shielded(committer.commit(job)).addBoth(lambda result: results.append(getattr(result, "value", result)))
    committer.stop()
    reactor.run()
    return results


def test_a_batch_is_written_then_synced_then_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    monkeypatch.setattr(disk.os, "fsync", lambda descriptor: log.append("sync"))
    assert committed([OneFile(tmp_path, "a", log), OneFile(tmp_path, "b", log)]) == [None, None]
    assert log == ["write a", "write b", "sync", "sync", "publish a", "publish b"]


def test_a_large_batch_is_synced_with_one_syncfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.os, "fsync", lambda descriptor: pytest.fail("a batch of many files needs one syncfs"))
    jobs = [OneFile(tmp_path, str(n), []) for n in range(disk.SYNCFS_FROM)]
    assert committed(jobs) == [None] * len(jobs)
    assert len(list(tmp_path.iterdir())) == len(jobs)


@pytest.mark.parametrize("where", ["write", "publish"])
def test_a_job_that_fails_harms_no_other_and_leaves_nothing(tmp_path: Path, where: str) -> None:
    results = committed([OneFile(tmp_path, "good", []), OneFile(tmp_path, "bad", [], fails=where)])
    assert results[0] is None
    assert isinstance(results[1], OSError)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_a_sync_that_fails_condemns_the_batch_and_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk.os, "fsync", broken)
    results = committed([OneFile(tmp_path, "a", []), OneFile(tmp_path, "b", [])])
    assert [type(result) for result in results] == [OSError, OSError]
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_committer_takes_nothing_more(tmp_path: Path) -> None:
    committer = Committer(FakeReactor())
    committer.stop()
    with pytest.raises(OSError):
        result_of(committer.commit(OneFile(tmp_path, "late", [])))


def test_the_inline_committer_keeps_the_same_promises(tmp_path: Path) -> None:
    result_of(InlineCommitter(fsync=True).commit(OneFile(tmp_path, "a", [])))
    with pytest.raises(OSError):
        result_of(InlineCommitter().commit(OneFile(tmp_path, "b", [], fails="publish")))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(OSError(errno.ENOSPC, ""), NO_ROOM, id="full-disk"),
        pytest.param(OSError(errno.EDQUOT, ""), OVER_QUOTA, id="quota"),
        pytest.param(OSError(errno.EIO, ""), DISK_TROUBLE, id="input-output-error"),
        pytest.param(OSError(errno.EROFS, ""), DISK_TROUBLE, id="read-only"),
        pytest.param(ZeroDivisionError(), BUG, id="a-bug-is-never-a-5xx"),
    ],
)
def test_what_a_peer_is_told_of_trouble(error: BaseException, status: object) -> None:
    assert status_of(error) == status


def test_content_in_a_file_can_be_read_from_an_offset_and_twice(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"skipped" + b"y" * 200_000)
    content = FileContent(path, 7)
    assert content.size == 200_000
    assert b"".join(content.chunks()) == b"".join(content.chunks()) == b"y" * 200_000
    assert content.beginning(3) == b"yyy"
