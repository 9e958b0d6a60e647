from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.imap import sequence
from twistmail.wire.imap.sequence import MOST_RANGES, STAR, SequenceSet

UIDS = array("L", [3, 4, 7, 10, 11, 12, 40])


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        pytest.param(b"1", ((1, 1),), id="one-number"),
        pytest.param(b"2:4", ((2, 4),), id="a-range"),
        pytest.param(b"4:2", ((2, 4),), id="a-range-backwards"),
        pytest.param(b"*", ((STAR, STAR),), id="the-last"),
        pytest.param(b"9:*", ((9, STAR),), id="up-to-the-last"),
        pytest.param(b"*:9", ((9, STAR),), id="from-the-last"),
        pytest.param(b"5,1,3", ((1, 1), (3, 3), (5, 5)), id="sorted"),
        pytest.param(b"1,2,3:5", ((1, 5),), id="touching-ranges-become-one"),
        pytest.param(b"1:10,3:5,8:12", ((1, 12),), id="overlapping-ranges-become-one"),
        pytest.param(b"*:4,5:7", ((4, STAR),), id="example-of-the-rfc"),
        pytest.param(b"4294967295", ((4294967295, 4294967295),), id="largest-number"),
    ],
)
def test_a_set_is_merged_and_sorted(text, ranges):
    assert sequence.parse(text) == SequenceSet(ranges)


@pytest.mark.parametrize(
    "text", [b"", b"0", b"01", b"1:", b":1", b"1,", b",1", b"1:2:3", b"4294967296", b"99999999999", b"a", b"**", b"-1", b"\xb2"]
)
def test_what_is_no_set_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"numbers from 1"):
        sequence.parse(text)


def test_a_set_has_ten_thousand_ranges_at_most():
    pieces = [b"%d" % (2 * number) for number in range(1, MOST_RANGES + 2)]
    assert len(sequence.parse(b",".join(pieces[:MOST_RANGES])).ranges) == MOST_RANGES
    with pytest.raises(ValueError, match="10000"):
        sequence.parse(b",".join(pieces))


@pytest.mark.parametrize(
    ("text", "numbers", "uids"),
    [
        pytest.param(b"1:2", True, [3, 4], id="first-two"),
        pytest.param(b"6:99", True, [12, 40], id="beyond-the-end-is-cut-off"),
        pytest.param(b"99", True, [], id="a-number-beyond-the-end-means-nothing"),
        pytest.param(b"*", True, [40], id="last-number"),
        pytest.param(b"9:*", True, [40], id="star-includes-the-last-even-behind-it"),
        pytest.param(b"1,*", True, [3, 40], id="two-places"),
        pytest.param(b"6:7,50:*", True, [12, 40], id="the-last-is-not-meant-twice"),
        pytest.param(b"3:10", False, [3, 4, 7, 10], id="uids-with-gaps"),
        pytest.param(b"5:6", False, [], id="a-gap-only"),
        pytest.param(b"41:*", False, [40], id="uid-star-includes-the-last"),
        pytest.param(b"1:*", False, list(UIDS), id="everything"),
        pytest.param(b"40,100:*", False, [40], id="uid-star-falls-back-into-a-range"),
    ],
)
def test_a_set_means_these_messages(text, numbers, uids):
    meant = sequence.parse(text)
    assert meant.resolve(UIDS, numbers=numbers).tolist() == uids
    spans = meant.spans(UIDS, numbers=numbers)
    assert [UIDS[at] for start, stop in spans for at in range(start, stop)] == uids


def test_nothing_is_in_an_empty_mailbox():
    assert sequence.parse(b"1:*").spans(array("L"), numbers=True) == []
    assert sequence.parse(b"*").resolve(array("L"), numbers=False) == array("L")


def test_the_highest_number_written_ignores_the_star():
    assert sequence.parse(b"3:7,*").highest == 7
    assert sequence.parse(b"9:*").highest == 9
    assert sequence.parse(b"*").highest == 0


@pytest.mark.parametrize(
    ("uids", "text"),
    [
        pytest.param([], b"", id="none"),
        pytest.param([7], b"7", id="one"),
        pytest.param([1, 2, 3, 5, 7, 8], b"1:3,5,7:8", id="runs"),
        pytest.param([5, 4, 1], b"5,4,1", id="order-is-kept"),
    ],
)
def test_uids_are_written_as_runs(uids, text):
    assert sequence.render(uids) == text


ends = st.integers(1, 60) | st.just(STAR)


@given(st.lists(st.tuples(ends, ends), min_size=1, max_size=12), st.sets(st.integers(1, 60), max_size=40), st.booleans())
def test_a_set_means_what_its_definition_says(ranges, uids, numbers):
    """Against the definition, message by message (RFC 3501 §9, `sequence-set`)."""
    uids = array("L", sorted(uids))
    last = (len(uids) if numbers else uids[-1]) if uids else 0
    expected = []
    for position, uid in enumerate(uids):
        number = position + 1 if numbers else uid
        concrete = [sorted(last if end == STAR else end for end in pair) for pair in ranges]
        if any(low <= number <= high for low, high in concrete):
            expected.append(uid)
    assert sequence.merged(ranges).resolve(uids, numbers=numbers).tolist() == expected


@given(st.sets(st.integers(1, 4294967295), min_size=1))
def test_what_is_written_is_read_again(uids):
    ordered = array("L", sorted(uids))
    assert sequence.parse(sequence.render(ordered)).resolve(ordered, numbers=False) == ordered
