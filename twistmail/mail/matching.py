"""What FETCH, SORT, THREAD and SEARCH ask of one whole message, for stores that keep no index of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from twistmail.mail import headers as header_fields
from twistmail.mail import texts
from twistmail.mail.folding import folded
from twistmail.mail.mailbox import Column, SortKey
from twistmail.mail.mime import Description
from twistmail.mail.searched import searched
from twistmail.mail.threads import Threaded


def column(described: Description, wanted: Column, date: float) -> Any:
    """A column that the content of a message tells. *date*: its INTERNALDATE."""
    match wanted:
        case Column.SENT:
            return date if described.summary.sent is None else described.summary.sent
        case Column.ENVELOPE | Column.BODY | Column.BODYSTRUCTURE | Column.HEADER | Column.LISTED:
            return getattr(described, wanted.value)
    return getattr(described.summary, wanted.value)


def sort_value(described: Description, key: SortKey, date: float, size: int) -> Any:
    """What SORT compares (RFC 5256 §3, RFC 5957)."""
    summary = described.summary
    match key:
        case SortKey.ARRIVAL:
            return date
        case SortKey.SIZE:
            return size
        case SortKey.DATE:
            return date if summary.sent is None else summary.sent
        case SortKey.SUBJECT:
            return summary.base_subject
        case SortKey.FROM:
            return summary.sort_from
        case SortKey.TO:
            return summary.sort_to
        case SortKey.CC:
            return summary.sort_cc
        case SortKey.DISPLAYFROM:
            return summary.display_from
    return summary.display_to


def threaded(rows: Iterable[tuple[Any, ...]]) -> Threaded:
    """The columns of *rows* (`thread_row`), UIDs ascending."""
    columns = list(zip(*rows, strict=True))
    return Threaded(*columns) if columns else Threaded((), (), (), (), ())


def thread_row(uid: int, described: Description, date: float) -> tuple[Any, ...]:
    """What is compared of a message when it is threaded. *date*: its INTERNALDATE."""
    summary = described.summary
    return uid, column(described, Column.SENT, date), summary.base_subject, summary.reply, summary.threading


def has_field(message: bytes, field: str, wanted: str) -> bool:
    """Whether *message* (CRLF line ends) has a *field* that holds *wanted* (`folded`) when it is decoded (RFC 2047)."""
    header = header_fields.split(message)[0]
    name = field.lower().encode("utf-8", "replace")
    return any(wanted in searched(name, value) for value in header_fields.values(header, name))


def holds(message: bytes, wanted: str, *, headers: bool) -> bool:
    """Whether *message* (CRLF line ends) holds *wanted* (`folded`), as MIME decodes it; *headers*: or its header does."""
    if headers and wanted in folded(texts.header_of(message)):
        return True
    return any(_stands_in(text, wanted) for text in texts.texts_of(message))


def _stands_in(text: Iterable[str], wanted: str) -> bool:
    """Whether the pieces of *text*, joined and case folded, hold *wanted*."""
    return any(wanted in window for window in _windows(text, len(wanted) - 1))


def _windows(text: Iterable[str], overlap: int) -> Iterator[str]:
    """The pieces, folded, each after the last *overlap* characters of what came before."""
    before = ""
    for piece in text:
        window = before + folded(piece)
        yield window
        before = window[-overlap:] if overlap > 0 else ""
