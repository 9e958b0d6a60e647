"""The states of a protocol as a drawing: boxes and arrows with their places, for an inline SVG. Pure.

What is drawn is what the tables say (`dialects`); only the places are chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twistmail.lab.dialects import POP3_ARROWS, imap_arrows, smtp_arrows
from twistmail.mail.values import frozen

WIDTH, ROW, BOX_WIDTH, BOX_HEIGHT, EDGE = 740, 88, 200, 44, 14
#: x of the left edge of a box, by column.
COLUMNS = (240, 520)
#: From one line of words to the next.
LINE = 18

#: (column, row) of each state.
PLACES: dict[str, dict[str, tuple[int, int]]] = {
    "smtp": {
        "greeted": (0, 0), "said hello": (0, 1), "authenticating": (1, 0), "has a sender": (0, 2), "has a recipient": (0, 3),
        "sending content": (0, 4), "has sent a chunk": (1, 4),
    },
    "pop3": {"before login": (0, 0), "in a SASL exchange": (1, 1), "after login": (0, 2)},
    "imap": {"not authenticated": (0, 0), "authenticated": (0, 1), "selected": (0, 2)},
    "http": {"asks": (0, 0)},
}  # fmt: skip


@frozen
class Box:
    """A state: its name and its upper left corner. `again`: what leads from it to itself."""

    state: str
    x: int
    y: int
    again: str = ""


@frozen
class Arrow:
    """`path`: for the d of an SVG path. `words` stand at (`x`, `y`), `anchor` says which end of them."""

    start: str
    end: str
    words: str
    path: str
    x: int
    y: int
    anchor: str = "start"


@frozen
class Drawing:
    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]

    @property
    def sentence(self) -> str:
        """What the drawing says, for who does not see it."""
        return "; ".join(f"from {arrow.start} to {arrow.end}: {arrow.words}" for arrow in self.arrows)


def arrows_of(protocol: str) -> Mapping[tuple[str, str], list[str]]:
    """(state, state) -> the commands that lead there."""
    return {"smtp": smtp_arrows, "pop3": lambda: POP3_ARROWS, "imap": imap_arrows, "http": dict}[protocol]()


def drawing(protocol: str) -> Drawing:
    """*protocol*: "smtp", "pop3", "imap", "http"."""
    places, ways = PLACES[protocol], arrows_of(protocol)
    boxes = tuple(
        Box(state, COLUMNS[column], EDGE + row * ROW, ", ".join(ways.get((state, state), ()))) for state, (column, row) in places.items()
    )
    where = {box.state: box for box in boxes}
    arrows: list[Arrow] = []
    for (start, end), words in ways.items():
        if start != end:
            arrow = _arrow(where[start], where[end], ", ".join(words))
            while any((one.x, one.y, one.anchor) == (arrow.x, arrow.y, arrow.anchor) for one in arrows):
                arrow = replace(arrow, y=arrow.y + LINE)
            arrows.append(arrow)
    rows = max(row for _, row in places.values()) + 1
    return Drawing(WIDTH, 2 * EDGE + (rows - 1) * ROW + BOX_HEIGHT + 20, boxes, tuple(arrows))


def _arrow(start: Box, end: Box, words: str) -> Arrow:
    """Down to the next box: straight. Up, in the same column: around on the left, wider the further. Otherwise from side to side."""
    if start.x != end.x:
        return _across(start, end, words)
    middle = start.x + BOX_WIDTH // 2
    if end.y == start.y + ROW:
        top, bottom = start.y + BOX_HEIGHT, end.y
        return Arrow(start.state, end.state, words, f"M{middle} {top}L{middle} {bottom}", middle + 8, (top + bottom) // 2 + 8)
    steps = abs(end.y - start.y) // ROW
    side, begin, finish = start.x, start.y + BOX_HEIGHT // 2, end.y + BOX_HEIGHT // 2 + 4 * steps
    bulge = side - 26 * steps - 14
    path = f"M{side} {begin}C{bulge} {begin} {bulge} {finish} {side} {finish}"
    return Arrow(start.state, end.state, words, path, side - 6, begin + 14, "end")


def _across(start: Box, end: Box, words: str) -> Arrow:
    rightwards = end.x > start.x
    leave, reach = (start.x + BOX_WIDTH, end.x) if rightwards else (start.x, end.x + BOX_WIDTH)
    shift = -7 if rightwards else 7  # there and back are two lines
    begin, finish = start.y + BOX_HEIGHT // 2 + shift, end.y + BOX_HEIGHT // 2 + shift
    path = f"M{leave} {begin}L{reach} {finish}"
    if rightwards:
        return Arrow(start.state, end.state, words, path, (leave + reach) // 2 + 8, (begin + finish) // 2 + 4)
    return Arrow(start.state, end.state, words, path, leave, start.y - 8)
