"""The table of the pretend DNS: what may stand there, and what is said to the rest."""

from __future__ import annotations

import pytest

from twistmail.lab.offices import OFFICES
from twistmail.lab.zones import LONGEST_VALUE, MOST_NAMES, MOST_VALUES, Zones


@pytest.fixture
def zones() -> Zones:
    return Zones(OFFICES)


def test_a_lesson_begins_with_an_mx_an_address_and_a_name_for_the_address_of_each_office(zones: Zones) -> None:
    assert zones.records["green.test"] == {"MX": ["10 mx.green.test."]}
    assert zones.records["mx.green.test"] == {"A": ["192.0.2.20"]}
    assert zones.records["20.2.0.192.in-addr.arpa"] == {"PTR": ["mx.green.test."]}


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        pytest.param("MX", "20 mx2.green.test", "20 mx2.green.test.", id="MX"),
        pytest.param("MX", "0 .", "0 .", id="a null MX"),
        pytest.param("A", " 192.0.2.21 ", "192.0.2.21", id="A, with spaces around"),
        pytest.param("AAAA", "2001:DB8::1", "2001:db8::1", id="AAAA"),
        pytest.param("TXT", "v=spf1 mx -all", '"v=spf1 mx -all"', id="TXT without quotes"),
        pytest.param("TXT", '"a" "b"', '"a" "b"', id="TXT of two strings"),
        pytest.param("TXT", 'say "hi" \\', '"say \\"hi\\" \\\\"', id="TXT with a quote and a backslash"),
        pytest.param("CNAME", "mx.green.test", "mx.green.test.", id="CNAME"),
        pytest.param("PTR", "mx.green.test.", "mx.green.test.", id="PTR"),
        pytest.param("TLSA", "3 1 1 " + "ab" * 32, "3 1 1 " + "ab" * 32, id="TLSA"),
    ],
)
def test_values_are_written_as_in_a_zone_file(zones: Zones, kind: str, value: str, kept: str) -> None:
    zones.set("New.green.test.", kind.lower(), [value])
    assert zones.records["new.green.test"][kind] == [kept]


@pytest.mark.parametrize(
    ("name", "kind", "values", "words"),
    [
        pytest.param("green.test", "MX", ["mx.green.test"], "10 mx.green.test", id="MX without a preference"),
        pytest.param("green.test", "A", ["192.0.2.300"], "192.0.2.20", id="no address"),
        pytest.param("green.test", "A", [""], "192.0.2.20", id="nothing"),
        pytest.param("green.test", "A", ["192.0.2.1\n; more"], "192.0.2.20", id="a line end"),
        pytest.param("green.test", "TXT", ["x" * (LONGEST_VALUE + 1)], "no value of TXT", id="too long"),
        pytest.param("green.test", "SOA", ["x"], "none of MX", id="a kind that there is not"),
        pytest.param("a..b", "A", ["192.0.2.1"], "no name of the DNS", id="an empty label"),
        pytest.param("x" * 64, "A", ["192.0.2.1"], "no name of the DNS", id="a label that is too long"),
        pytest.param(".", "A", ["192.0.2.1"], "such as", id="the root"),
        pytest.param("green.test", "A", ["192.0.2.1"] * (MOST_VALUES + 1), "at most", id="too many"),
        pytest.param("w.test", "CNAME", ["a.test", "b.test"], "one CNAME", id="two aliases"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_changes_nothing(
    zones: Zones, name: str, kind: str, values: list[str], words: str
) -> None:
    before = {known: dict(kinds) for known, kinds in zones.records.items()}
    with pytest.raises(ValueError, match=words):
        zones.set(name, kind, values)
    assert zones.records == before


def test_beside_an_alias_nothing_else_stands(zones: Zones) -> None:
    with pytest.raises(ValueError, match="beside a CNAME"):
        zones.set("green.test", "CNAME", ["red.test"])
    zones.set("www.green.test", "CNAME", ["green.test"])
    with pytest.raises(ValueError, match="beside a CNAME"):
        zones.set("www.green.test", "A", ["192.0.2.1"])


def test_names_are_bounded(zones: Zones) -> None:
    for number in range(MOST_NAMES - len(zones.records)):
        zones.set(f"n{number}.test", "A", ["192.0.2.1"])
    with pytest.raises(ValueError, match="already"):
        zones.set("more.test", "A", ["192.0.2.1"])
    zones.set("green.test", "A", ["192.0.2.1"])
    assert len(zones.records) == MOST_NAMES


def test_a_name_without_anything_is_gone(zones: Zones) -> None:
    zones.set("green.test", "MX", [])
    assert "green.test" not in zones.records
    assert zones.exists("green.test"), "mx.green.test is below it"
    with pytest.raises(ValueError, match="there is no"):
        zones.remove("green.test")
    with pytest.raises(ValueError, match="has no TXT"):
        zones.remove("mx.green.test", "txt")


def test_a_chain_of_aliases_is_found_whole_and_a_circle_ends(zones: Zones) -> None:
    zones.set("a.test", "CNAME", ["b.test"])
    zones.set("b.test", "CNAME", ["mx.green.test"])
    answer, end = zones.chain("a.test", "A")
    assert [rrset.to_text().split()[-1] for rrset in answer] == ["b.test.", "mx.green.test.", "192.0.2.20"]
    assert end == "mx.green.test"
    zones.set("b.test", "CNAME", ["a.test"])
    assert len(zones.chain("a.test", "A")[0]) == 8


def test_trouble_is_one_of_three_and_goes_again(zones: Zones) -> None:
    zones.break_name("Green.test", "silent")
    assert zones.trouble == {"green.test": "silent"}
    with pytest.raises(ValueError, match="none of"):
        zones.break_name("green.test", "tired")
    zones.break_name("green.test", "")
    zones.break_name("green.test", "")
    assert zones.trouble == {}
