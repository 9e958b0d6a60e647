"""ENVELOPE, BODY, BODYSTRUCTURE and HEADER of messages: from the index, rendered at first use. Blocking parts run in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from twistmail.mail.mime import Description
from twistmail.store.contents import StoredContent
from twistmail.store.index import RENDERED, Index, Rendering

log = Logger()


def render(
    index: Index, directory: str, messages: Sequence[tuple[int, StoredContent]], describe: Callable[[bytes], Description]
) -> dict[int, Rendering]:
    """Describe *messages* and store it; those that have gone are left out."""
    renderings: dict[int, Rendering] = {}
    for uid, content in messages:
        try:
            described = describe(content.whole())
        except FileNotFoundError:
            continue
        renderings[uid] = (uid, described.envelope, described.body, described.bodystructure, described.header)
    try:
        index.save_rendered(directory, renderings.values())
    except sqlite3.Error as error:
        log.warn("{path} cannot be written: {error}", path=index.path, error=error)
    return renderings


def chosen(rendering: Rendering, columns: Sequence[str]) -> tuple[bytes, ...]:
    """The *columns* (of RENDERED) of one rendering."""
    return tuple(rendering[1 + RENDERED.index(column)] for column in columns)  # type: ignore[misc]
