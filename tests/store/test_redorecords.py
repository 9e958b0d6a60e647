"""Records of the redo log: what is whole is read back, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.segments import HEADER_SIZE, Header
from twistmail.store.redorecords import Removed, Stored, format_header, format_records, parse_header, parse_records

names = st.binary(min_size=1, max_size=60)
numbers = st.integers(1, 0xFFFFFFFF)
stored = st.builds(Stored, names, numbers, numbers, names, st.none() | st.binary(max_size=31), st.floats(0, 4e9), st.binary(max_size=300))
records = st.lists(stored | st.builds(Removed, names, names), max_size=6)
generations = st.integers(1, 1 << 60)

SAMPLE = [
    Stored(b"mail/blue.test/alice", 7, 1, b"1.M2P3.mx,S=4,W=5", None, 1e9, b"one\n"),
    Removed(b"mail/blue.test/alice", b"1.M2P3.mx,S=4,W=5"),
    Stored(b"mail/blue.test/alice/.Sent", 8, 1, b"1.M3P3.mx,S=4,W=5", b"FS", 1e9, b"two\n" * 20),
]


@given(records, generations)
def test_records_are_read_back(some, generation):
    assert list(parse_records(format_records(some, generation, 0) + bytes(100), generation)) == some


@given(records, records, generations)
def test_records_that_are_appended_later_go_on_where_the_others_ended(first, second, generation):
    data = format_records(first, generation, 0) + format_records(second, generation, len(first))
    assert list(parse_records(data, generation)) == first + second


def test_of_a_log_that_is_torn_anywhere_the_whole_records_are_read():
    data = format_records(SAMPLE, 5, 0)
    ends = [len(format_records(SAMPLE[:count], 5, 0)) for count in range(1, len(SAMPLE) + 1)]
    for length in range(len(data) + 1):
        whole = SAMPLE[: sum(end <= length for end in ends)]
        assert list(parse_records(data[:length], 5)) == whole
        assert list(parse_records(data[:length] + bytes(len(data) - length), 5)) == (whole if length < len(data) else SAMPLE)


def test_a_changed_octet_ends_the_log_before_its_record():
    data = format_records(SAMPLE, 5, 0)
    ends = [len(format_records(SAMPLE[:count], 5, 0)) for count in range(1, len(SAMPLE) + 1)]
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
        assert list(parse_records(changed, 5)) == SAMPLE[: sum(end <= place for end in ends)]


def test_what_an_earlier_generation_has_left_does_not_count():
    old, new = format_records(SAMPLE, 4, 0), format_records(SAMPLE[:1], 5, 0)
    assert list(parse_records(new + old[len(new) :], 5)) == SAMPLE[:1]
    assert list(parse_records(old, 5)) == []


def test_a_record_out_of_its_order_does_not_count():
    data = format_records(SAMPLE[:1], 5, 0) + format_records(SAMPLE[1:2], 5, 2)
    assert list(parse_records(data, 5)) == SAMPLE[:1]


@given(generations, st.booleans())
def test_a_header_is_read_back(generation, doubtful):
    header = Header(generation, doubtful)
    assert parse_header(format_header(header) + bytes(HEADER_SIZE)) == header


@pytest.mark.parametrize("place", range(len(format_header(Header(5)))))
def test_a_header_that_is_not_whole_is_none(place):
    data = format_header(Header(5))
    assert parse_header(data[:place]) is None
    assert parse_header(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) is None


@given(st.binary(max_size=200), generations)
def test_any_octets_can_be_read(data, generation):
    assert list(parse_records(data, generation)) == []
    assert parse_header(data) is None
