"""The journal tells a message's story after a restart, and never fails mail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twistmail.facts import Accepted, Connected, Fact, Refused
from twistmail.journal import DAY, Journal, entries, story
from twistmail.mail.address import Address
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.ids import EPOCH
from twistmail.mail.outcome import Outcome, Result
from twistmail.mail.status import Status

NOON = float(EPOCH + 2510 * DAY + DAY // 2)
FRED = Address("fred", "dom1.test")


def identifier(counter: int = 0) -> str:
    from twistmail.mail.ids import identifiers

    return next(identifiers(lambda: NOON, counter))


def accepted(message: str, at: float = NOON) -> Fact:
    return Fact(at, message, Accepted("conn", "mx", None, (FRED,), 100, subject="Hällo\n"))


def test_facts_come_back_in_order_and_only_those_of_the_message(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 90 * DAY)
    mine, other = identifier(1), identifier(2)
    journal.note(accepted(mine))
    journal.note(accepted(other))
    journal.note(
        Fact(NOON + DAY, mine, Outcome(Target(Kind.REMOTE, FRED, FRED), Result.RELAYED, Status(250, "2.0.0", "ok"), "mx [192.0.2.1]"))
    )
    journal.write()
    told = story(tmp_path / "journal", mine)
    assert [entry["what"] for entry in told] == ["Accepted", "Outcome"]
    assert told[0]["subject"] == "Hällo\n"
    assert told[0]["recipients"] == ["fred@dom1.test"]
    assert told[1]["status"] == "250 2.0.0 ok"
    assert told[1]["target"]["address"] == "fred@dom1.test"
    assert not journal.has_news


def test_a_unique_beginning_is_enough_and_an_ambiguous_one_is_said_to_be(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 90 * DAY)
    first, second = identifier(1), identifier(2000)
    journal.note(accepted(first))
    journal.note(accepted(second))
    journal.write()
    assert story(tmp_path, first[:-1])[0]["id"] == first
    with pytest.raises(ValueError, match="fits 2 messages"):
        story(tmp_path, first[:6])
    with pytest.raises(KeyError):
        story(tmp_path, "zzzzzz-zzzz")


def test_old_days_are_forgotten_and_damaged_lines_left_out(tmp_path: Path) -> None:
    (tmp_path / "2020-01-05.jsonl").write_text("{}\n")
    journal = Journal(tmp_path, 90 * DAY)
    journal.note(accepted(identifier(), at=4_000_000_000.0))
    journal.write()
    assert not (tmp_path / "2020-01-05.jsonl").exists()
    path = next(tmp_path.iterdir())
    path.write_text("half a li\n" + path.read_text())
    assert len(list(entries(tmp_path))) == 1


def test_one_line_is_one_json_object_whatever_a_peer_wrote(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 90 * DAY)
    journal.note(Fact(NOON, "a", Connected("mx", "192.0.2.1\n{}", 25)))
    journal.note(Fact(NOON, "b", Refused("relaying", Status(550, "5.7.1", "x\r\ny"), "a", None, FRED)))
    journal.write()
    lines = next(tmp_path.iterdir()).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]
    assert next(tmp_path.iterdir()).stat().st_mode & 0o777 == 0o600
