"""What the journal tells of ends, whatever order its lines come in, and however many there are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.journal import entries
from twistmail.steering import history
from twistmail.steering.history import KINDS, RESULTS, Search, ended, latest, search_in

ADDRESSES = ("bob@far.test", "eve@far.test", "ann@blue.example")


def outcome(identifier, at, address, result):
    target = {"address": address, "original": address}
    return {"at": at, "id": identifier, "what": "Outcome", "target": target, "result": result, "status": f"250 {result}", "host": "mx"}


def told(identifier, at, what, **more):
    return {"at": at, "id": identifier, "what": what, **more}


@st.composite
def journals(draw):
    """Entries about a few messages, in any order that a clock allows."""
    found, at = [], 1_800_000_000.0
    for _ in range(draw(st.integers(0, 30))):
        at += draw(st.floats(0, 100))
        identifier = draw(st.sampled_from(["6k3fa2-aaaa", "6k3fa2-bbbb", "r1"]))
        what = draw(st.sampled_from(sorted(KINDS)))
        if what == "Outcome":
            found.append(outcome(identifier, at, draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from([*RESULTS, "deferred"]))))
        else:
            found.append(told(identifier, at, what, sender="ann@blue.example", account="ann@blue.example", status="451 4.4.7 late"))
    return found


@settings(max_examples=50)
@given(journals())
def test_every_end_is_told_once_and_nothing_else(journal):
    rows = list(ended(journal, Search()))
    ends = [entry for entry in journal if entry["what"] == "Outcome" and entry["result"] in RESULTS]
    given_up = [row for row in rows if row["result"] == "failed" and row["answer"] == "250 deferred"]
    assert len(rows) == len(ends) + len(given_up)
    assert [row["at_s"] for row in rows] == sorted(row["at_s"] for row in rows)
    assert all(row["result"] in RESULTS for row in rows)


@settings(max_examples=50)
@given(journals(), st.sampled_from(RESULTS), st.sampled_from(ADDRESSES))
def test_a_search_is_a_part_of_the_whole(journal, result, address):
    everything = list(ended(journal, Search()))
    found = list(ended(journal, Search(result=result, recipient=address)))
    assert found == [row for row in everything if row["result"] == result and row["to"] == address]


def test_whoever_waited_when_it_was_given_up_has_failed_with_what_was_said_last():
    journal = [
        told("i1", 1.0, "Accepted", sender="ann@blue.example", account=""),
        outcome("i1", 2.0, ADDRESSES[0], "deferred"),
        outcome("i1", 3.0, ADDRESSES[1], "relayed"),
        outcome("i1", 4.0, ADDRESSES[2], "deferred"),
        outcome("i1", 5.0, ADDRESSES[2], "delivered"),
        told("i1", 9.0, "GaveUp", status="451 4.4.7 late"),
    ]
    assert [(row["to"], row["result"], row["at_s"], row["from"]) for row in ended(journal, Search())] == [
        ("eve@far.test", "relayed", 3.0, "ann@blue.example"),
        ("ann@blue.example", "delivered", 5.0, "ann@blue.example"),
        ("bob@far.test", "failed", 9.0, "ann@blue.example"),
    ]


def test_whose_message_it_was_is_known_though_it_came_before_the_time_that_is_asked_for(tmp_path):
    day = 86400.0
    lines = [told("i1", 20 * day, "Accepted", sender="ann@blue.example", account="ann@blue.example"),
             outcome("i1", 24 * day, ADDRESSES[0], "failed")]  # fmt: skip
    for entry, name in zip(lines, ("1970-01-21", "1970-01-25"), strict=True):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(entry, separators=(",", ":")) + "\n")
    (row,) = latest(tmp_path, Search(since=23 * day, account="ann@blue.example"), 10)
    assert (row["from"], row["result"]) == ("ann@blue.example", "failed")
    assert latest(tmp_path, Search(since=23 * day, account="bert@blue.example"), 10) == []


def test_only_so_many_messages_are_remembered(monkeypatch):
    monkeypatch.setattr(history, "MOST_REMEMBERED", 2)
    journal = [told(f"i{n}", float(n), "Accepted", sender="ann@blue.example", account="") for n in range(3)]
    journal += [outcome(f"i{n}", 10.0, ADDRESSES[0], "relayed") for n in (0, 2)]
    assert [row["from"] for row in ended(journal, Search())] == ["<>", "ann@blue.example"]


@pytest.mark.parametrize("kinds", [(), KINDS, frozenset({"Outcome"})])
def test_only_the_kinds_that_are_asked_for_are_read(tmp_path, kinds):
    lines = [told("i1", 1.0, "Accepted"), outcome("i1", 2.0, ADDRESSES[0], "relayed")]
    lines.append(told("i1", 3.0, "Connected", service='"what":"Outcome'))
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (tmp_path / "1970-01-01.jsonl").write_text(text + '{"at":4,"id":"x","what":"Outcome" cut short')
    whats = [entry["what"] for entry in entries(tmp_path, 0.0, kinds)]
    assert [what for what in whats if what != "Connected"] == [what for what in ("Accepted", "Outcome") if not kinds or what in kinds]


def test_a_long_journal_takes_its_time_and_no_more():
    def seconds(count):
        import time

        journal = [told(f"i{n}", float(n), "Accepted", sender="ann@blue.example", account="") for n in range(count)]
        journal += [outcome(f"i{n}", float(n), ADDRESSES[0], "relayed") for n in range(count)]
        begin = time.process_time()
        assert sum(1 for _ in ended(journal, Search())) == count
        return time.process_time() - begin

    assert takes_linear_time(seconds, 500)


@pytest.mark.parametrize("wanted", [
    {"result": "lost"}, {"since": "x"}, {"until": []}, {"sender": 5}, {"id": None},
])  # fmt: skip
def test_a_question_that_makes_no_sense(wanted):
    with pytest.raises(ValueError, match=r"question|result"):
        search_in(wanted)
