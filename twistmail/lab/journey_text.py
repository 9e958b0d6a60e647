"""A journey as plain text, for handouts and for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from twistmail.lab.filters import since, time_of_day
from twistmail.lab.journey import LF_ONLY, Journey
from twistmail.lab.letter_head import Head, rows
from twistmail.lab.stations import how_read, stations, summary

WIDTH = 78


def as_text(journey: Journey, head: Head) -> str:
    """All of it. Control characters of strangers are shown as question marks."""
    parts = [_title(journey), _stations(journey), _envelope(journey, head), _aliases(journey), _questions(journey), _legs(journey),
             _copies(journey), _traces(head), *_dialogues(journey)]  # fmt: skip
    lines = [line for part in parts for line in (*part, "")]
    return "\n".join(_safe(line) for line in lines)


def _safe(line: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in line)


def _title(journey: Journey) -> list[str]:
    subject = f' "{journey.subject}"' if journey.subject else ""
    title = f"Journey of {journey.key}{subject}"
    to = ", ".join(journey.recipients)
    return [title, "=" * min(len(title), WIDTH), f"{journey.first.sender or '<>'} to {to}: {summary(journey)[1]}"]


def _headed(title: str, lines: list[str]) -> list[str]:
    return [title, "-" * len(title), *lines] if lines else []


def _stations(journey: Journey) -> list[str]:
    lines = []
    for one in stations(journey):
        at = time_of_day(one.at) if one.at else ""
        lines.append(f"{one.number} {one.name:6} {one.state:9} {at:9} {'; '.join((one.who, *one.lines))}".rstrip())
    return _headed("Stations", lines)


def _envelope(journey: Journey, head: Head) -> list[str]:
    lines = []
    for row in rows(journey.first, head):
        lines.append(f"{row.envelope or '(not on it)':10} {', '.join(row.said):35} {row.field}: {', '.join(row.written)}".rstrip())
        if row.why:
            lines.append(f"           differs: {row.why}")
    return _headed("Envelope and letter head", lines)


def _aliases(journey: Journey) -> list[str]:
    return _headed("Aliases", [f"{leg.office}: {one.name} = {', '.join(one.targets)}" for leg in journey.legs for one in leg.aliases])


def _questions(journey: Journey) -> list[str]:
    lines = [f"{one.office}: {one.type} {one.name}: {', '.join(one.answer) or one.result}" for one in journey.questions]
    return _headed("Questions to the DNS", lines)


def _legs(journey: Journey) -> list[str]:
    lines = []
    for leg in journey.legs:
        lines.append(f"{leg.office} {leg.id}: {leg.state}")
        lines += [f"    try {one.number}, {time_of_day(one.at)}: {one.recipient}: {one.state}: {one.status}" for one in leg.attempts]
        lines += [f"    report {report} to the sender" for report in leg.reports]
    return _headed("From office to office", lines)


def _copies(journey: Journey) -> list[str]:
    lines = []
    for copy in journey.copies:
        read = ", ".join(f"read {how_read(one.service)} at {time_of_day(one.at)}" for one in copy.readings)
        lines.append(f"{copy.office}: {copy.account}, {copy.mailbox}, UID {copy.uid} {copy.file}; {read or 'not read yet'}")
    return _headed("Where it lies", lines)


def _traces(head: Head) -> list[str]:
    return _headed("Received lines, the newest on top", [f"{one.office or '?':6} {one.text}" for one in head.traces])


def _dialogues(journey: Journey) -> Iterator[list[str]]:
    for one in journey.dialogues:
        lines = [f"{since(line.at - journey.began):>9} {line.side} {line.text}" for line in one.lines]
        mark = [f"LF only: {LF_ONLY}"] if one.lone_lf else []
        yield _headed(f"{one.title} ({one.key})", [*mark, *lines, *([f"          ended: {one.end}"] if one.end else [])])
