"""The drawing beside the console: every state of the tables, every way between two of them, nothing upon another."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from twistmail.lab.dialects import DIALECTS
from twistmail.lab.state_drawing import BOX_HEIGHT, BOX_WIDTH, arrows_of, drawing

PROTOCOLS = sorted({dialect.name for dialect in DIALECTS.values()})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_states_and_ways_are_drawn(protocol):
    drawn, ways = drawing(protocol), arrows_of(protocol)
    states = {box.state for box in drawn.boxes}
    assert {place for pair in ways for place in pair} <= states
    assert {(arrow.start, arrow.end) for arrow in drawn.arrows} == {pair for pair in ways if pair[0] != pair[1]}
    assert {box.state for box in drawn.boxes if box.again} == {start for start, end in ways if start == end}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_box_lies_upon_another_and_all_is_within_the_drawing(protocol):
    drawn = drawing(protocol)
    corners = [(box.x, box.y) for box in drawn.boxes]
    for place, (x, y) in enumerate(corners):
        assert 0 <= x <= drawn.width - BOX_WIDTH
        assert 0 <= y <= drawn.height - BOX_HEIGHT
        assert all(abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT for other_x, other_y in corners[:place])
    for arrow in drawn.arrows:
        numbers = list(map(int, re.findall(r"-?\d+", arrow.path)))
        assert all(0 <= x <= drawn.width for x in numbers[::2]), arrow
        assert all(0 <= y <= drawn.height for y in numbers[1::2]), arrow


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_words_stand_upon_others(protocol):
    drawn = drawing(protocol)
    ends = sorted((arrow.anchor, arrow.x, arrow.y) for arrow in drawn.arrows)
    assert all(one[:2] != other[:2] or other[2] - one[2] >= 16 for one, other in pairwise(ends))
    assert all(arrow.y <= drawn.height for arrow in drawn.arrows)


@pytest.mark.parametrize("service", sorted(DIALECTS))
def test_the_state_at_the_beginning_is_drawn(service):
    dialect = DIALECTS[service]()
    assert dialect.state in {box.state for box in drawing(dialect.name).boxes}
