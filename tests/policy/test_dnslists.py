"""One list in the DNS: its spelling, its answers, its test."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.helpers import result_of
from tests.policy.slow_lookup import SlowLookup
from twistmail import tasks
from twistmail.policy import dnslists
from twistmail.policy.dnslists import ADDRESSES, DOMAINS, LISTED, LISTS, DnsList, Listing, ListName, lists, reversed_name, sanitised

LISTED_IN = {"2.0.0.127.bl.test": {"A": ["127.0.0.2"]}}
ENTRY = "7.2.0.192"


class House:
    """A list `bl.test` over a DNS that can be slow."""

    def __init__(self, spelled: str = "bl.test", touchstones: Any = ADDRESSES, names: dict[str, Any] | None = None) -> None:
        self.clock = Clock()
        self.lookup = SlowLookup(self.clock, LISTED_IN | (names or {}))
        (self.list,) = lists(LISTS.read(spelled), touchstones, self.lookup, self.clock, timeout=5.0)

    def find(self, entry: str = ENTRY) -> Listing | None:
        return result_of(self.list.find(entry))

    def begin(self, entry: str = ENTRY) -> list[Any]:
        found: list[Any] = []
        tasks.shielded(self.list.find(entry)).addCallback(found.append)
        return found


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    class Log:
        def note(self, text: str, **more: Any) -> None:
            lines.append(text.format(**more))

        warn = error = info = note

    monkeypatch.setattr(dnslists, "log", Log())
    return lines


# ----- spelling


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", (), id="none"),
        pytest.param("bl.test", (ListName("bl.test"),), id="all-answers"),
        pytest.param("BL.Test", (ListName("bl.test"),), id="capitals"),
        pytest.param("zen.test=127.0.0.2-11", (ListName("zen.test", (range(127, 128), range(1), range(1), range(2, 12))),), id="a-range"),
        pytest.param(
            "a.test=127.0.*.2, b.test",
            (ListName("a.test", (range(127, 128), range(1), range(256), range(2, 3))), ListName("b.test")),
            id="any-octet-and-two-lists",
        ),
    ],
)
def test_lists_in_settings(text: str, names: tuple[ListName, ...]) -> None:
    assert LISTS.read(text) == names
    assert LISTS.read(LISTS.write(names)) == names


@pytest.mark.parametrize(
    "text",
    [
        "bl",
        "[192.0.2.1]",
        "a b..c",
        "bl.test=",
        "bl.test=127.0.0",
        "bl.test=127.0.0.9-2",
        "bl.test=127.0.0.256",
        "bl.test=10.0.0.1",
        "bl.test=127.0.0.2.3",
        "bl.test=127.0.0.[2..11]",
        "bl.test=*.0.0.2",
        "bl.test=127.0.0.-",
    ],
)
def test_what_is_no_list_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match=r"\nwrite "):
        LISTS.read(text)


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        pytest.param("192.0.2.7", "7.2.0.192", id="ipv4"),
        pytest.param("::ffff:192.0.2.7", "7.2.0.192", id="ipv4-written-as-ipv6"),
        pytest.param("2001:db8::1", "1.0.0.0." + "0.0.0.0." * 5 + "8.b.d.0.1.0.0.2", id="ipv6"),
        pytest.param("fe80::1%eth0", "1.0.0.0." + "0.0.0.0." * 6 + "0.8.e.f", id="with-a-zone"),
    ],
)
def test_addresses_are_asked_backwards(address: str, entry: str) -> None:
    assert reversed_name(address) == entry


@given(st.binary(max_size=2000))
def test_a_reason_is_printable_and_short(text: bytes) -> None:
    reason = sanitised(text)
    assert reason == "" or (reason.isascii() and reason.isprintable())
    assert len(reason) <= 200


# ----- answers


@pytest.mark.parametrize(
    ("spelled", "answers", "listed"),
    [
        pytest.param("bl.test", ["127.0.0.2"], "127.0.0.2", id="the-usual"),
        pytest.param("bl.test", ["127.0.0.9", "127.0.0.4"], "127.0.0.9", id="several"),
        pytest.param("bl.test=127.0.0.4-8", ["127.0.0.9", "127.0.0.4"], "127.0.0.4", id="the-one-that-counts"),
        pytest.param("bl.test=127.0.0.2-3 bl.test=127.0.0.9", ["127.0.0.9"], "127.0.0.9", id="named-twice"),
        pytest.param("bl.test=127.0.0.2-8", ["127.0.0.9"], None, id="none-that-counts"),
        pytest.param("bl.test", ["198.51.100.7"], None, id="outside-127"),
        pytest.param("bl.test", ["127.255.255.254"], None, id="a-refusal"),
        pytest.param("bl.test=127.0-255.*.*", ["127.255.255.252"], None, id="a-refusal-even-where-all-answers-count"),
        pytest.param("bl.test", [], None, id="nothing-of-that-kind"),
        pytest.param("bl.test", None, None, id="not-there"),
    ],
)
def test_answers(spelled: str, answers: list[str] | None, listed: str | None) -> None:
    house = House(spelled, names={f"{ENTRY}.bl.test": {"A": answers}} if answers is not None else {})
    found = house.find()
    assert (found.answer if found else None) == listed


def test_the_first_text_is_the_reason() -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"], "TXT": [b"see http://bl.test/7\r\n250 ok\xff", b"other"]}})
    assert house.find() == Listing("bl.test", "127.0.0.4", "see http://bl.test/7??250 ok?")


def test_a_listing_counts_though_its_reason_does_not_come() -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}})
    house.find("other")
    house.lookup.txt = lambda name: tasks.sleep(house.clock, 1000)  # type: ignore[assignment, method-assign, return-value]
    found = house.begin()
    assert not found
    house.clock.advance(2)
    assert found == [Listing("bl.test", "127.0.0.4")]


def test_a_name_too_long_for_the_DNS_is_not_asked_about() -> None:
    house = House()
    assert house.find("x." * 125 + "test") is None
    assert house.lookup.asked == []


# ----- trouble


def test_a_list_that_does_not_answer_costs_the_time_out_and_a_line_a_minute(told: list[str]) -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}})
    house.find()
    house.lookup.delays["bl.test"] = 100.0
    first, second = house.begin(), house.begin("8.2.0.192")
    house.clock.advance(4.9)
    assert not first
    house.clock.advance(0.1)
    assert first == second == [None]
    assert told == ["the DNS list bl.test: bl.test took longer than 5 s; mail is accepted without it"]
    house.clock.advance(60)
    house.begin()
    house.clock.advance(5)
    assert len(told) == 2


def test_a_server_that_fails_is_trouble_and_no_listing(told: list[str]) -> None:
    house = House()
    house.find()
    house.lookup.broken.add(f"{ENTRY}.bl.test")
    assert house.find() is None
    assert "SERVFAIL; mail is accepted without it" in told[0]


def test_a_list_that_never_answers_is_left_in_peace_for_a_minute() -> None:
    house = House()
    house.find()
    house.lookup.broken.add(f"{ENTRY}.bl.test")
    for _ in range(dnslists.MOST_FAILURES):
        house.find()
    asked = len(house.lookup.asked)
    house.lookup.broken.clear()
    house.find()
    assert len(house.lookup.asked) == asked
    house.clock.advance(60)
    house.find()
    assert len(house.lookup.asked) == asked + 1


def test_no_more_than_so_many_questions_wait_for_one_list() -> None:
    house = House()
    house.find()
    house.lookup.delays["bl.test"] = 3.0
    found = [house.begin(f"{number}.2.0.192") for number in range(dnslists.MOST_ASKING + 5)]
    assert sum(map(len, found)) == 5
    house.clock.advance(3)
    assert sum(map(len, found)) == len(found)
    assert house.begin() == []  # there is room again


# ----- the test of a list (RFC 5782 §5)


@pytest.mark.parametrize(
    ("names", "touchstones", "fault"),
    [
        pytest.param({"2.0.0.127.bl.test": {}}, ADDRESSES, "does not list 127.0.0.2", id="lists-nobody"),
        pytest.param({"2.0.0.127.bl.test": {"A": ["198.51.100.1"]}}, ADDRESSES, "does not list 127.0.0.2", id="a-parked-domain"),
        pytest.param({"1.0.0.127.bl.test": {"A": ["127.0.0.2"]}}, ADDRESSES, "it lists 127.0.0.1", id="lists-everybody"),
        pytest.param({"2.0.0.127.bl.test": {"A": ["127.255.255.254"]}}, ADDRESSES, "does not list 127.0.0.2", id="takes-no-questions"),
        pytest.param(
            {"test.bl.test": {"A": ["127.0.0.2"]}, "invalid.bl.test": {"A": ["127.0.0.2"]}},
            DOMAINS,
            "it lists invalid",
            id="a-list-of-all-domains",
        ),
    ],
)
def test_a_list_that_cannot_be_right_is_switched_off(names: dict[str, Any], touchstones: Any, fault: str, told: list[str]) -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}} | names, touchstones=touchstones)
    assert house.find() is None
    assert fault in told[-1]
    assert "switched off" in told[-1]
    asked = len(house.lookup.asked)
    assert house.find() is None
    assert len(house.lookup.asked) == asked


@pytest.mark.parametrize(
    ("names", "touchstones"),
    [
        pytest.param({}, ADDRESSES, id="addresses"),
        pytest.param({"2.0.0.127.bl.test": {"A": ["127.0.0.4", "127.0.0.10"]}}, ADDRESSES, id="other-answers-than-those-that-count"),
        pytest.param(
            {"2.0.0.127.bl.test": {}, "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "bl.test": {"A": ["127.0.0.2"]}}, ADDRESSES, id="only-ipv6"
        ),
        pytest.param({"test.bl.test": {"A": ["127.0.1.2"]}}, DOMAINS, id="domains"),
    ],
)
def test_a_list_in_order_is_believed(names: dict[str, Any], touchstones: Any, told: list[str]) -> None:
    house = House("bl.test=127.0.0.3", names={f"{ENTRY}.bl.test": {"A": ["127.0.0.3"]}} | names, touchstones=touchstones)
    assert house.find() == Listing("bl.test", "127.0.0.3")
    assert told == []


def test_a_list_of_domains_without_its_entry_is_believed_with_a_word_of_warning(told: list[str]) -> None:
    house = House(names={"bad.example.bl.test": {"A": ["127.0.1.2"]}}, touchstones=DOMAINS)
    assert house.find("bad.example") == Listing("bl.test", "127.0.1.2")
    assert told == ["the DNS list bl.test: it does not list the domain test, as it should (RFC 5782 §5); is it a list of domains?"]


def test_a_list_is_tested_again_every_hour(told: list[str]) -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}})
    assert house.find() is not None
    house.lookup.names["1.0.0.127.bl.test"] = {"A": ["127.0.0.2"]}  # it dies, and lists everybody
    house.clock.advance(3600)
    assert house.find() is None
    assert "switched off" in told[-1]
    del house.lookup.names["1.0.0.127.bl.test"]
    house.clock.advance(3599)
    assert house.find() is None
    house.clock.advance(1)
    assert house.find() is not None
    assert told[-1] == "the DNS list bl.test is in order again"


def test_whoever_comes_during_the_first_test_waits_for_it() -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}})
    house.lookup.delays["0.0.127.bl.test"] = 1.0
    house.list.begin_test()
    found = [house.begin(), house.begin()]
    house.clock.advance(1)
    assert found == [[], []]
    house.clock.advance(1)
    assert found == [[Listing("bl.test", "127.0.0.4")]] * 2


def test_a_test_without_a_network_is_made_again_a_minute_later(told: list[str]) -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}})
    house.lookup.broken.add("1.0.0.127.bl.test")
    assert house.find() is None
    assert len(told) == 1
    house.lookup.broken.clear()
    assert house.find() is None
    house.clock.advance(60)
    assert house.find() is not None


def test_a_later_test_keeps_nobody_waiting() -> None:
    house = House(names={f"{ENTRY}.bl.test": {"A": ["127.0.0.4"]}})
    house.find()
    house.clock.advance(3600)
    house.lookup.delays["0.0.127.bl.test"] = 4.0
    assert house.find() is not None


def test_a_list_named_several_times_is_asked_once() -> None:
    several = lists(LISTS.read("a.test=127.0.0.2 b.test a.test=127.0.0.9"), ADDRESSES, SlowLookup(Clock()), Clock(), timeout=1.0)
    assert [one.zone for one in several] == ["a.test", "b.test"]
    assert isinstance(several[0], DnsList)
    assert LISTED[0] == range(127, 128)
