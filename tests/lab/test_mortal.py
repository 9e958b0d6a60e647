"""The disk of a crashed office: copied while threads may still be at it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from twistmail.lab import mortal


def test_a_file_that_goes_while_the_disk_is_copied_does_not_end_the_crash_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, remains = tmp_path / "data-1", tmp_path / "data-2"
    disk.mkdir()
    for name in ("kept", "passing", "late"):
        (disk / name).write_text(name)
    looked, copied = mortal._state, shutil.copytree

    def look(folder: Path) -> dict[str, tuple[int, int]]:
        if (disk / "passing").exists():
            (disk / "passing").unlink()
            raise FileNotFoundError(errno.ENOENT, "gone")
        return looked(folder)

    def copy(folder: Path, to: Path, **how: object) -> Path:
        if (disk / "late").exists():
            (disk / "late").unlink()
            to.mkdir()
            raise shutil.Error([("late", "late", "gone")])
        return copied(folder, to, **how)

    monkeypatch.setattr(mortal, "_state", look)
    monkeypatch.setattr(shutil, "copytree", copy)
    mortal._copy(disk, remains)
    assert [path.name for path in remains.iterdir()] == ["kept"]


def test_a_disk_that_cannot_be_copied_leaves_no_half_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data-1").mkdir()

    def full(folder: Path, to: Path, **how: object) -> Path:
        to.mkdir()
        raise shutil.Error([("a", "b", "No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(shutil.Error):
        mortal._copy(tmp_path / "data-1", tmp_path / "data-2")
    assert [path.name for path in tmp_path.iterdir()] == ["data-1"]
