"""Files that are read again when they change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.interfaces import Unavailable
from twistmail.tasks import Inline
from twistmail.watched import Broken, Partly, WatchedFile, WatchedFiles


class LateThreads:
    """Threads that work when they are told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[tasks.Deferred[Any], Callable[[], Any]]] = []

    async def run(self, function: Callable[[], Any]) -> Any:
        done: tasks.Deferred[Any] = tasks.Deferred()
        self.waiting.append((done, function))
        return await done

    def work(self) -> None:
        done, function = self.waiting.pop(0)
        done.callback(function())


def shout(text: str) -> str:
    if "bad" in text:
        raise Broken([(text.count("\n", 0, text.index("bad")) + 1, "this is bad")])
    return text.upper()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    write.clock = getattr(write, "clock", 0) + 1  # type: ignore[attr-defined]
    os.utime(path, (write.clock, write.clock))  # type: ignore[attr-defined]


def value(file: WatchedFile[str]) -> str:
    result_of(file.freshen())
    return file.value


def test_a_change_is_seen_by_the_next_question(path: Path) -> None:
    file = WatchedFile(path, shout, Inline())
    assert value(file) == "ONE"
    write(path, "two")
    assert value(file) == "TWO"


def test_a_file_that_took_its_place_is_seen(path: Path) -> None:
    file = WatchedFile(path, shout, Inline())
    assert value(file) == "ONE"
    before = path.stat()
    other = path.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)
    assert value(file) == "TWO"


def test_an_unchanged_file_is_read_once(path: Path) -> None:
    reads = []
    file = WatchedFile(path, lambda text: reads.append(text) or text, Inline())
    for _ in range(3):
        value(file)
    assert reads == ["one"]


def test_a_broken_file_keeps_the_old_value_and_is_logged_once_with_its_line(path: Path, logged: list[str]) -> None:
    file = WatchedFile(path, shout, Inline())
    value(file)
    write(path, "good\nbad")
    assert [value(file) for _ in range(3)] == ["ONE"] * 3
    assert logged == [f"{path}:2: this is bad (what was read before stays in use)"]
    write(path, "mended")
    assert value(file) == "MENDED"


@pytest.mark.parametrize("octets", [
    pytest.param(None, id="missing"),
    pytest.param(b"bad", id="broken"),
    pytest.param(b"\xff", id="not-utf-8"),
])
def test_without_a_first_good_one_it_is_unavailable_until_there_is_one(path: Path, octets: bytes | None) -> None:
    path.unlink()
    if octets is not None:
        path.write_bytes(octets)
    file = WatchedFile(path, shout, Inline())
    for _ in range(2):
        with pytest.raises(Unavailable):
            value(file)
    write(path, "there")
    assert value(file) == "THERE"


def test_a_file_that_goes_away_leaves_its_value(path: Path, logged: list[str]) -> None:
    file = WatchedFile(path, shout, Inline())
    value(file)
    path.unlink()
    assert [value(file), value(file)] == ["ONE", "ONE"]
    assert len(logged) == 1


def test_a_file_that_somebody_is_about_to_write_takes_nobodys_place(path: Path, logged: list[str]) -> None:
    """An editor makes it empty first; where the disk is full it stays so."""
    file = WatchedFile(path, lambda text: Partly(tuple(text.split()), (), is_hollow=not text), Inline())
    write(path, "")
    assert (value(file), logged) == ((), []), "that is all it ever said"
    write(path, "one two")
    assert value(file) == ("one", "two")
    write(path, "")
    assert [value(file) for _ in range(2)] == [("one", "two")] * 2
    assert logged == [f"{path}: there is nothing in it any more (what was read before stays in use)"]
    write(path, "three")
    assert value(file) == ("three",)


def test_while_it_is_read_the_old_value_answers(path: Path) -> None:
    threads = LateThreads()
    file = WatchedFile(path, shout, threads)
    assert value(file) == "ONE"
    write(path, "two")
    first = tasks.shielded(file.freshen())
    assert not first.called
    assert value(file) == "ONE"
    assert len(threads.waiting) == 1
    threads.work()
    assert first.called
    assert value(file) == "TWO"


def test_a_change_during_the_reading_is_not_missed(path: Path) -> None:
    threads = LateThreads()
    file = WatchedFile(path, shout, threads)
    value(file)
    write(path, "two")
    reading = tasks.shielded(file.freshen())
    write(path, "three")
    threads.work()
    assert reading.called
    again = tasks.shielded(file.freshen())
    threads.work()
    assert again.called
    assert file.value == "THREE"


def test_a_patient_file_is_read_in_a_thread_from_the_first_time_on_and_once_for_all_who_ask(path: Path) -> None:
    threads = LateThreads()
    file = WatchedFiles(threads).file(path, shout)
    asking = [tasks.shielded(file.freshen()) for _ in range(3)]
    assert len(threads.waiting) == 1
    threads.work()
    assert [one.called for one in asking] == [True] * 3
    assert threads.waiting == []
    assert file.value == "ONE"


def test_who_asks_again_for_the_same_file_has_what_was_read_before(path: Path) -> None:
    files = WatchedFiles(Inline())
    assert value(files.file(path, shout)) == "ONE"
    write(path, "bad")
    assert value(files.file(path, shout)) == "ONE", "a reload of the configuration does not forget the good rules"


def test_what_is_wrong_can_be_asked_without_reading_it_in(path: Path) -> None:
    file = WatchedFile(path, shout, Inline())
    assert file.problems() == ()
    write(path, "one\nbad")
    assert file.problems() == ((2, "this is bad"),)
    path.unlink()
    assert file.problems() == ((0, "No such file or directory"),)


def test_a_file_that_never_was_in_order_is_read_and_told_once_until_it_changes(tmp_path, logged):
    readings = []

    def read(text):
        readings.append(text)
        raise Broken([(1, "nonsense")])

    path = tmp_path / "table"
    path.write_text("x")
    file = WatchedFile(path, read, Inline(), patient=True)
    for _ in range(3):
        with pytest.raises(Unavailable, match="nonsense"):
            result_of(file.freshen())
    assert readings == ["x"]
    path.write_text("longer")
    with pytest.raises(Unavailable, match="nonsense"):
        result_of(file.freshen())
    assert readings == ["x", "longer"]
    assert logged == [f"{path}:1: nonsense"] * 2


def test_a_file_that_is_not_there_is_told_once_and_read_when_it_comes(tmp_path, logged):
    file = WatchedFile(tmp_path / "table", str.strip, Inline())
    for _ in range(3):
        with pytest.raises(Unavailable):
            result_of(file.freshen())
    assert logged == [f"{tmp_path}/table: No such file or directory"]
    (tmp_path / "table").write_text("here ")
    result_of(file.freshen())
    assert file.value == "here"
