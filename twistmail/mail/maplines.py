"""The lines of a table as Postfix's and sendmail's programs read one: what begins with a blank goes on with the line before. Pure."""

from __future__ import annotations

from collections.abc import Iterator


def logical(text: str) -> Iterator[tuple[int, str]]:
    """(number of its beginning, the line) of each that says something; those that go on are joined by one blank."""
    pieces: list[str] = []
    begun = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip(" \t\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if pieces and line[0] in " \t":
            pieces.append(line.strip())
            continue
        if pieces:
            yield begun, " ".join(pieces)
        pieces, begun = [line.strip()], number
    if pieces:
        yield begun, " ".join(pieces)
