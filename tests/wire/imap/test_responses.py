from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.wire.imap import responses as r
from twistmail.wire.imap.commands import Bad, No
from twistmail.wire.imap.tokens import Cursor


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        pytest.param(r.Untagged(b"3 EXISTS"), b"* 3 EXISTS\r\n", id="untagged"),
        pytest.param(r.untagged_ok(b"COPYUID 1 2 3", b"Moved"), b"* OK [COPYUID 1 2 3] Moved\r\n", id="ok-with-a-code"),
        pytest.param(r.untagged_ok(b"", b"Moved"), b"* OK Moved\r\n", id="ok-without-a-code"),
        pytest.param(r.Raw(b"* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n"), b"* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n", id="raw"),
        pytest.param(r.Tagged(b"a", r.OK, "Done"), b"a OK Done\r\n", id="tagged"),
        pytest.param(r.Tagged(b"a", r.NO, "Full", b"OVERQUOTA"), b"a NO [OVERQUOTA] Full\r\n", id="with-a-code"),
        pytest.param(r.Tagged(b"a", r.OK, ""), b"a OK .\r\n", id="text-is-never-empty"),
        pytest.param(r.Tagged(b"a", r.NO, "no \u00fc\r\nb OK"), b"a NO no ?  b OK\r\n", id="a-text-cannot-break-out"),
        pytest.param(r.Continuation("idling"), b"+ idling\r\n", id="continuation"),
        pytest.param(r.Challenge(b""), b"+ \r\n", id="empty-challenge"),
        pytest.param(r.Challenge(b"x\xff"), b"+ eP8=\r\n", id="challenge"),
        pytest.param(r.Bye("Shutting down", b"UNAVAILABLE"), b"* BYE [UNAVAILABLE] Shutting down\r\n", id="bye"),
    ],
)
def test_a_response_is_spelled(response, octets):
    assert response.octets() == octets


def test_only_what_concludes_is_final():
    assert not r.Raw(b"").is_final
    assert not r.Untagged(b"").is_final
    assert all(kind.is_final for kind in (r.Tagged, r.Continuation, r.Challenge, r.Bye))


def test_a_refusal_says_what_the_wire_found():
    assert r.refusal(Bad(b"a", "What?")) == r.Tagged(b"a", r.BAD, "What?")
    assert r.refusal(Bad(b"*", "What?")).octets() == b"* BAD What?\r\n"
    assert r.refusal(Bad(b"a", "Enough", close=True)) == r.Bye("Enough")
    assert r.refusal(No(b"a", b"TOOBIG", "Large")) == r.Tagged(b"a", r.NO, "Large", b"TOOBIG")


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        pytest.param(b"", b'""', id="empty"),
        pytest.param(b"a b", b'"a b"', id="quoted"),
        pytest.param(b'a"b\\', b'"a\\"b\\\\"', id="escaped"),
        pytest.param(b"a\r\nb", b"{4}\r\na\r\nb", id="line-end"),
        pytest.param(b"\xc3\xbc", b"{2}\r\n\xc3\xbc", id="eight-bits"),
        pytest.param(b"x" * 1001, b"{1001}\r\n" + b"x" * 1001, id="long"),
    ],
)
def test_a_string_is_quoted_where_it_can_be(value, octets):
    assert r.string(value) == octets
    assert r.nstring(value) == octets


def test_nothing_is_nil():
    assert r.nstring(None) == b"NIL"


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("INBOX", b"INBOX"),
        ("a b", b'"a b"'),
        ("", b'""'),
        ("nil", b'"nil"'),
        ("a]b", b'"a]b"'),
        ("Entw\u00fcrfe/100%", b'"Entw&APw-rfe/100%"'),
    ],
)
def test_a_mailbox_name_is_spelled(name, octets):
    assert r.mailbox(name) == octets


def test_flags_are_listed():
    assert r.flag_list(()) == b"()"
    assert r.flag_list(("\\Seen", "Junk")) == b"(\\Seen Junk)"


@pytest.mark.parametrize(
    ("seconds", "octets"),
    [
        pytest.param(837571465.0, b'"17-Jul-1996 02:44:25 +0000"', id="example-of-the-rfc"),
        pytest.param(0.9, b'" 1-Jan-1970 00:00:00 +0000"', id="fractions-are-cut-off"),
        pytest.param(4102444800, b'" 1-Jan-2100 00:00:00 +0000"', id="far"),
    ],
)
def test_an_internaldate_is_spelled(seconds, octets):
    assert r.internaldate(seconds) == octets


@given(st.integers(-2_000_000_000, 5_000_000_000))
def test_an_internaldate_is_read_as_it_was_written(seconds):
    cursor = Cursor(r.internaldate(seconds))
    assert cursor.date_time() == seconds
    cursor.end()


def read_back(octets):
    """Text and literals as the wire would cut them (one value)."""
    if octets.startswith(b"{"):
        mark, _, value = octets.partition(b"\r\n")
        return Cursor(mark + b"\r\n", [value])
    return Cursor(octets)


@given(st.binary(max_size=60))
def test_a_string_is_read_as_it_was_written(value):
    for spell, read in ((r.string, Cursor.string), (r.astring, Cursor.astring), (r.nstring, Cursor.nstring)):
        cursor = read_back(spell(value))
        assert read(cursor) == value
        cursor.end()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_mailbox_name_is_read_as_it_was_written(name):
    cursor = read_back(r.mailbox(name))
    assert cursor.mailbox() == ("INBOX" if name.upper() == "INBOX" else name)


@pytest.mark.parametrize(("name", "octets"), [
    pytest.param("INBOX", b"INBOX", id="atom"),
    pytest.param("a&b", b"a&b", id="ampersand"),
    pytest.param("a b", b'"a b"', id="blank"),
    pytest.param("Entw\u00fcrfe", b'"Entw\xc3\xbcrfe"', id="utf8"),
    pytest.param('\u00fc"\\', b'"\xc3\xbc\\"\\\\"', id="quotes"),
    pytest.param("\U0001f600", b'"\xf0\x9f\x98\x80"', id="beyond-the-first-plane"),
])  # fmt: skip
def test_a_mailbox_name_in_utf8(name, octets):
    assert r.mailbox_in_utf8(name) == octets
