"""Drafts: big content while it is being received."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twistmail.drafts import Drafts


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
