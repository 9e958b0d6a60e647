"""Drafts: big content while it is being received."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.drafts import Drafted, Drafts


def test_a_draft_gives_back_what_was_written(tmp_path: Path) -> None:
    draft = Drafts(tmp_path / "a" / "drafts").open()
    draft.write(b"one")
    draft.write(b"two" * 50_000)
    content = draft.finish()
    assert content.size == 150_003
    assert b"".join(content.chunks()) == b"one" + b"two" * 50_000
    assert content.beginning(5) == b"onetw"


def test_a_draft_that_is_discarded_is_gone_at_any_time(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    for finish in (True, False):
        draft = drafts.open()
        draft.write(b"x")
        if finish:
            draft.finish()
        draft.discard()
        draft.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    Drafts(tmp_path).open().write(b"left")
    (tmp_path / "README").write_text("not a draft")
    Drafts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README"]


def test_drafts_are_nobody_elses_business(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    assert drafts.folder.stat().st_mode & 0o077 == 0
    assert drafts.open().path.stat().st_mode & 0o077 == 0


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr("os.write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    draft = Drafts(tmp_path).open()
    draft.write(b"0123456789")
    assert draft.finish().beginning(100) == b"0123456789"


PIECES = st.lists(st.text(alphabet="ab\r\n", max_size=8).map(str.encode), max_size=8)


@given(PIECES)
def test_whatever_the_line_ends_the_content_comes_back(pieces: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        draft = Drafts(Path(folder)).open()
        for piece in pieces:
            draft.write(piece)
        content, whole = draft.finish(), b"".join(pieces)
        assert (b"".join(content.chunks()), content.size, content.beginning(5)) == (whole, len(whole), whole[:5])
        is_plain = whole == whole.replace(b"\r", b"").replace(b"\n", b"\r\n")
        assert isinstance(content, Drafted) == is_plain
        assert draft.path.read_bytes() == (whole.replace(b"\r\n", b"\n") if is_plain else whole)
        draft.discard()
        assert os.listdir(folder) == []


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_mailbox_gets_the_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool) -> None:
    if not in_kernel:
        monkeypatch.setattr("os.copy_file_range", _refusing)
    draft = Drafts(tmp_path).open()
    draft.write(b"a line\r\n" * 40_000)
    content = draft.finish()
    assert isinstance(content, Drafted)
    with (tmp_path / "copy").open("wb", buffering=0) as file:
        file.write(b"before\n")
        content.copy_to(file.fileno())
        file.write(b"after\n")
    assert (tmp_path / "copy").read_bytes() == b"before\n" + b"a line\n" * 40_000 + b"after\n"


def _refusing(*_: object) -> int:
    raise OSError(errno.EXDEV, "not between these two")


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Drafts(tmp_path).open()
    draft.write(b"a line\r\n")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("os.write", full)
    for data in (b"more\r\n", b"a bare\nline"):
        with pytest.raises(OSError, match="no room"):
            draft.write(data)
    draft.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_draft_that_cannot_be_removed_troubles_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]) -> None:
    draft = Drafts(tmp_path).open()

    def unlink(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        draft.discard()
    assert [said for said in logged if "Read-only" in said]
