"""When it may be believed that files are what they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twistmail.stamps import TIME_STEP_NS, Remembered, is_past, stamp_of

SECOND = 1_000_000_000


class Clock:
    """Nanoseconds; begins long after the files that a test has made."""

    def __init__(self, path: Path) -> None:
        self.now = path.stat().st_mtime_ns + 3600 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "book"
    path.write_text("one")
    return path


def remembered(file: Path, clock: Clock, *more: Path) -> Remembered[str]:
    return Remembered((file, *more), file.read_text, "", clock)


def test_what_was_never_read_is_not_current(file: Path) -> None:
    book = remembered(file, Clock(file))
    assert not book.is_current()
    assert book.value == ""


def test_what_was_read_long_after_its_last_change_is_current(file: Path) -> None:
    book = remembered(file, Clock(file))
    assert book.read() == book.value == "one"
    assert book.is_current()


@pytest.mark.parametrize(
    ("after", "is_believed"),
    [
        pytest.param(0, False, id="in-the-same-moment"),
        pytest.param(TIME_STEP_NS, False, id="within-a-step"),
        pytest.param(TIME_STEP_NS + 1, True, id="later"),
        pytest.param(-SECOND, False, id="a-change-of-the-future"),
    ],
)
def test_a_time_is_believed_once_another_change_would_have_another(file: Path, after: int, is_believed: bool) -> None:
    clock = Clock(file)
    clock.now = file.stat().st_mtime_ns + after
    book = remembered(file, clock)
    book.read()
    assert book.is_current() is is_believed
    assert is_past(0, after) is is_believed


def test_a_change_within_the_step_is_found_although_it_shows_nowhere(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stamp = Clock(file), stamp_of(file)
    clock.now = file.stat().st_mtime_ns
    monkeypatch.setattr("twistmail.stamps.stamp_of", lambda path: stamp)
    book = remembered(file, clock)
    book.read()
    file.write_text("two")
    clock.now += SECOND
    assert not book.is_current()
    assert book.read() == "two"
    assert book.is_current()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("two")
    before = path.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_text("three"), id="longer"),
        pytest.param(lambda path: os.utime(path, ns=(0, 0)), id="an-older-time"),
        pytest.param(replace, id="another-in-its-place"),
        pytest.param(Path.unlink, id="gone"),
        pytest.param(lambda path: path.with_name("book-wal").write_text(""), id="a-log-beside-it"),
    ],
)
def test_every_change_is_seen(file: Path, change) -> None:  # type: ignore[no-untyped-def]
    book = remembered(file, Clock(file), file.with_name("book-wal"))
    book.read()
    assert book.is_current()
    change(file)
    assert not book.is_current()


def test_what_could_not_be_read_keeps_its_value_and_is_tried_again(file: Path) -> None:
    book = remembered(file, Clock(file))
    book.read()
    file.unlink()
    with pytest.raises(FileNotFoundError):
        book.read()
    assert book.value == "one"
    assert not book.is_current()


def test_a_change_while_it_is_read_is_not_taken_for_read(file: Path) -> None:
    def read() -> str:
        text = file.read_text()
        if text == "one":
            file.write_text("three")
        return text

    book = Remembered((file,), read, "", Clock(file))
    assert book.read() == "one"
    assert not book.is_current()
