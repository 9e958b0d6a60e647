"""How octets travel over a slow line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twistmail.lab.traffic import AT_ONCE, CRAWL, Pace, Traffic


def test_on_a_whole_line_all_is_there_at_once():
    traffic = Traffic()
    traffic.add(b"HELO x\r\n", 5.0, AT_ONCE)
    assert traffic.arrived(5.0) == b"HELO x\r\n"
    assert (traffic.next, traffic.size) == (None, 0)


def test_on_a_slow_line_the_first_octets_take_two_seconds_and_a_thousand_take_one_more():
    traffic = Traffic()
    traffic.add(bytes(1000), 0.0, CRAWL)
    assert traffic.arrived(2.0) == b""
    assert len(traffic.arrived(2.5)) == 400  # in drips of a tenth of a second; the fifth is due a rounding error later
    assert len(traffic.arrived(3.1)) == 600


def test_what_is_said_while_the_line_is_slow_is_not_overtaken_when_it_is_mended():
    traffic = Traffic()
    traffic.add(b"first", 0.0, CRAWL)
    traffic.add(b"second", 0.1, AT_ONCE)
    assert traffic.arrived(1.0) == b""
    assert traffic.arrived(2.1) == b"firstsecond"


saying = st.tuples(st.binary(max_size=300), st.floats(0, 3), st.sampled_from([AT_ONCE, CRAWL, Pace(0.5, 10.0), Pace(1.0)]))


@given(st.lists(saying, max_size=20))
def test_every_octet_arrives_once_in_its_order_and_not_before_its_time(sayings):
    traffic, now, said, heard = Traffic(), 0.0, b"", b""
    for data, later, pace in sayings:
        now += later
        heard += traffic.arrived(now)
        traffic.add(data, now, pace)
        said += data
        assert len(heard) + traffic.size == len(said)
    while (due := traffic.next) is not None:
        assert traffic.arrived(due - 1e-6) == b"" or due <= now
        heard += traffic.arrived(due)
    assert heard == said


@given(st.floats(1.0, 5000.0), st.integers(1, 10), st.floats(0.0, 20.0))
def test_no_more_octets_arrive_than_the_rate_allows(rate, sayings, now):
    traffic = Traffic()
    for _ in range(sayings):
        traffic.add(bytes(50), 0.0, Pace(0.0, rate))
    assert len(traffic.arrived(now)) <= now * rate + 1
    assert len(traffic.arrived(50 * sayings / rate + 0.01)) <= 50 * sayings
    assert traffic.size == 0
