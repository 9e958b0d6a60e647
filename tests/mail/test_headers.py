"""Header blocks: splitting, finding, choosing and changing fields, to the octet."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail import headers

HEADER = b"From: a@b\r\nSubject: one\r\n two\r\nnonsense line\r\nX-Empty:\r\nsubject : three\r\nTo:\tc@d\r\n\r\n"


@pytest.mark.parametrize(("message", "header", "body"), [
    pytest.param(b"A: b\r\n\r\nbody", b"A: b\r\n\r\n", b"body", id="plain"),
    pytest.param(b"\r\nbody", b"\r\n", b"body", id="no-fields"),
    pytest.param(b"A: b\r\n", b"A: b\r\n", b"", id="no-empty-line"),
    pytest.param(b"A: b\r\n\r\n", b"A: b\r\n\r\n", b"", id="no-body"),
    pytest.param(b"", b"", b"", id="nothing"),
    pytest.param(b"A: b\n\nc\r\n\r\nd", b"A: b\n\nc\r\n\r\n", b"d", id="bare-lf-is-no-line-end"),
])  # fmt: skip
def test_splitting(message: bytes, header: bytes, body: bytes) -> None:
    found, offset = headers.split(message)
    assert (found, message[offset:]) == (header, body)


def test_fields_have_names_values_and_places() -> None:
    found = list(headers.fields(HEADER))
    assert [field.name for field in found] == [b"From", b"Subject", b"X-Empty", b"subject", b"To"]
    assert found[1].value == b" one\r\n two"
    assert b"".join(HEADER[field.start : field.end] for field in found) + b"\r\n" == HEADER.replace(b"nonsense line\r\n", b"")


_PIECES = [b"a", b"A", b"ab", b"aB:", b":", b" ", b"\t", b"\r\n", b"\r", b"\n", b"x", b"\r\n\r\n"]


@given(st.lists(st.sampled_from(_PIECES), max_size=15).map(b"".join), st.sampled_from([b"ab", b"A"]))
def test_a_field_is_found_by_its_name_where_all_fields_are_seen(header: bytes, name: bytes) -> None:
    assert headers.values(header, name) == [one.value for one in headers.fields(header) if one.name.lower() == name.lower()]


def test_one_field_and_all_of_a_name() -> None:
    assert headers.first(HEADER, b"SUBJECT") == b"one two"
    assert headers.values(HEADER, b"subject") == [b" one\r\n two", b" three"]
    assert headers.first(HEADER, b"x-empty") == b""
    assert headers.first(HEADER, b"cc") is None
    assert headers.text(b"Subject: =?utf-8?q?=C3=BC?=\r\n\r\n", b"subject") == "\u00fc"


@pytest.mark.parametrize(("names", "exclude", "chosen"), [
    pytest.param({b"subject"}, False, b"Subject: one\r\n two\r\nsubject : three\r\n\r\n", id="some"),
    pytest.param({b"cc"}, False, b"\r\n", id="none"),
    pytest.param({b"subject", b"from", b"x-empty"}, True, b"nonsense line\r\nTo:\tc@d\r\n\r\n", id="others"),
    pytest.param(set(), True, HEADER, id="all"),
])  # fmt: skip
def test_choosing_fields(names: set[bytes], exclude: bool, chosen: bytes) -> None:
    assert headers.select(HEADER, names, exclude) == chosen


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"To: a", b"X-Odd: b", b"Subject : c", b" more", b"no field", b"\r\n", b"\r\n", b"\r\n\r\n", b"\tx"])))
def test_what_is_chosen_of_the_listed_fields_is_what_is_chosen_of_all(pieces: list[bytes]) -> None:
    block = b"".join(pieces)
    header = block[: block.find(b"\r\n\r\n") + 4] if b"\r\n\r\n" in block else block
    for names in ({b"to"}, {b"subject", b"cc"}):
        assert headers.select(headers.select(header, headers.LISTED), names) == headers.select(header, names)


@pytest.mark.parametrize(("header", "chosen"), [
    pytest.param(b"Subject: x\r\n", b"Subject: x\r\n", id="no-empty-line"),
    pytest.param(b"Subject: x", b"Subject: x\r\n", id="no-line-end"),
    pytest.param(b"To: x\r\n", b"", id="no-empty-line-and-no-such-field"),
    pytest.param(b"\r\n", b"\r\n", id="nothing-but-an-empty-line"),
    pytest.param(b"", b"", id="nothing"),
])  # fmt: skip
def test_no_empty_line_is_told_where_a_message_without_a_body_has_none(header: bytes, chosen: bytes) -> None:
    """RFC 3501 §6.4.5."""
    assert headers.select(header, {b"subject"}) == chosen


def test_message_ids() -> None:
    assert headers.message_ids(b" <a@b>\r\n <c.d@e> junk <f g> <h@i><j>") == [b"<a@b>", b"<c.d@e>", b"<h@i>", b"<j>"]


@pytest.mark.parametrize(("header", "result"), [
    pytest.param(b"A: b\r\n\r\n", b"A: b\r\nX: y\r\n\r\n", id="before-the-empty-line"),
    pytest.param(b"\r\n", b"X: y\r\n\r\n", id="into-an-empty-header"),
    pytest.param(b"A: b\r\n", b"A: b\r\nX: y\r\n", id="without-an-empty-line"),
    pytest.param(b"A: b", b"A: b\r\nX: y\r\n", id="unfinished"),
    pytest.param(b"", b"X: y\r\n", id="nothing"),
])  # fmt: skip
def test_adding_a_field(header: bytes, result: bytes) -> None:
    assert headers.add(header, [(b"X", b"y")]) == result


def test_removing_fields() -> None:
    assert headers.without(HEADER, {b"subject", b"to"}) == b"From: a@b\r\nnonsense line\r\nX-Empty:\r\n\r\n"
    assert headers.without(HEADER, {b"bcc"}) == HEADER


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"A", b":", b" ", b"\r\n", b"\t", b"b", b"\n", b"\r", b"\0", b"\xff"])))
def test_changes_keep_what_they_do_not_mean(pieces: list[bytes]) -> None:
    header, offset = headers.split(b"".join(pieces))
    assert header == b"".join(pieces)[:offset]
    assert headers.without(header, {b"no-such-field"}) == header
    removed = headers.without(header, {b"a"})
    assert headers.values(removed, b"a") == [] or b"\r\n" not in header
    assert all(field.start < field.end for field in headers.fields(header))


@pytest.mark.parametrize(("message", "body"), [
    pytest.param(b"A: b\r\nC: defgh\r\nI: j\r\n", 6, id="ends-with-the-last-line-that-fits"),
    pytest.param(b"A: b\r\nC: d\r\n", 12, id="fits"),
    pytest.param(b"A: b\r\nC: d\r\n\r\ne", 14, id="is-closed-just-in-time"),
    pytest.param(b"A: bbb\r\nC: d\r\n\r\ne", 14, id="is-closed-too-late"),
    pytest.param(b"A: " + b"b" * 50, 14, id="one-line"),
])  # fmt: skip
def test_a_header_is_no_longer_than_allowed(monkeypatch: pytest.MonkeyPatch, message: bytes, body: int) -> None:
    monkeypatch.setattr(headers, "MOST", 14)
    assert headers.split(message) == (message[:body], body)


@given(st.lists(st.sampled_from([b"A: b", b"\r\n", b"\r\n", b" c", b"\r", b"\n", b"\r\n\r\n"]), max_size=30).map(b"".join))
def test_long_headers_are_taken_apart_as_short_ones(header: bytes) -> None:
    assert list(headers._one_by_one(header)) == list(headers.lines(header))
