"""Transcripts: kept for those who will be asked about, forgotten for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twistmail.facts import Closed, Connected, Fact, Facts, Line, LoginFailed, Refused
from twistmail.journal import TRANSCRIPTS, Journal, entries, story
from twistmail.mail.status import Status
from twistmail.transcripts import MOST_LINES, Transcripts

KEPT = 1e11  # seconds
REFUSAL = Refused("relaying", Status(550, "5.7.1", "no"), "conn-1")


def kept(tmp_path: Path, *facts: Any, only_failures: bool = True) -> list[str]:
    """The lines that are on disk after *facts* about connection conn-1."""
    journal = Journal(tmp_path / TRANSCRIPTS, KEPT)
    transcripts = Transcripts(journal, only_failures=only_failures)
    for at, what in enumerate(facts):
        transcripts.note(Fact(float(at), "conn-1", what))
    journal.write()
    return [entry["text"] for entry in entries(tmp_path / TRANSCRIPTS)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param((Closed("quit", 1, 1),), [], id="all-went-well"),
        pytest.param((REFUSAL, Closed("quit", 1, 1)), ["EHLO a", "250 b"], id="something-was-refused"),
        pytest.param((LoginFailed("bob", "PLAIN"), Closed("peer gone", 1, 1)), ["EHLO a", "250 b"], id="a-wrong-password"),
        pytest.param((Closed("timed out", 1, 1),), ["EHLO a", "250 b"], id="timed-out"),
        pytest.param((Closed("bug", 1, 1),), ["EHLO a", "250 b"], id="a-bug-of-ours"),
    ],
)
def test_only_failures_are_kept(tmp_path: Path, facts: tuple[Any, ...], expected: list[str]) -> None:
    assert kept(tmp_path, Connected("mx", "192.0.2.1", 1), Line("C", b"EHLO a"), Line("S", b"250 b"), *facts) == expected


def test_all_are_kept_where_all_are_wanted(tmp_path: Path) -> None:
    assert kept(tmp_path, Line("C", b"NOOP"), Closed("quit", 1, 1), only_failures=False) == ["NOOP"]


def test_a_connection_that_talks_for_ever_costs_a_bounded_memory(tmp_path: Path) -> None:
    lines = [Line("C", b"%d" % n) for n in range(MOST_LINES + 10)]
    assert kept(tmp_path, *lines, Closed("bug", 1, 1))[0] == "10"


def test_the_story_of_a_connection_has_its_lines_in_order_of_time(tmp_path: Path) -> None:
    journal, lines = Journal(tmp_path / "journal", KEPT), Journal(tmp_path / TRANSCRIPTS, KEPT)
    transcripts = Transcripts(lines, only_failures=False)
    facts = Facts()
    facts.listen(journal.note)
    facts.listen(transcripts.note, lines=True)
    for at, what in enumerate((Connected("mx", "192.0.2.1", 1), Line("C", b"QUIT"), Closed("quit", 6, 0))):
        facts.tell(Fact(2_000_000_000.0 + at, "6k3fa2-9akq", what))
    journal.write()
    lines.write()
    assert [entry["what"] for entry in story(tmp_path / "journal", "6k3fa2-9akq")] == ["Connected", "Line", "Closed"]
