"""Names without a domain are found where they stand, and nothing else changes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.addresses import addresses
from twistmail.mail.unqualified import bare_names, qualified


@pytest.mark.parametrize(("value", "names", "result"), [
    pytest.param(b" bob", [b"bob"], b" bob@h", id="one"),
    pytest.param(b" bob\r\n ,\r\n\tann ", [b"bob", b"ann"], b" bob@h\r\n ,\r\n\tann@h ", id="folded"),
    pytest.param(b" a@x, bob, c@y", [b"bob"], b" a@x, bob@h, c@y", id="between-others"),
    pytest.param(b" Bob Smith <bob>", [b"bob"], b" Bob Smith <bob@h>", id="in-angles"),
    pytest.param(b' "Smith, Bob" < bob > ', [b"bob"], b' "Smith, Bob" < bob@h > ', id="blanks-in-angles"),
    pytest.param(b" bob (Robert, of course)", [b"bob"], b" bob@h (Robert, of course)", id="a-comment-behind"),
    pytest.param(b" (a) b (c) . (d) e", [b"b.e"], b" (a) b (c) . (d) e@h", id="comments-and-a-dot-inside"),
    pytest.param(b' "bob smith"', [b"bob smith"], b' "bob smith"@h', id="quoted"),
    pytest.param(b' "a\\"b"', [b'a"b'], b' "a\\"b"@h', id="quoted-with-an-escape"),
    pytest.param(b" friends: bob, a@x, ann;, carl", [b"bob", b"ann", b"carl"], b" friends: bob@h, a@x, ann@h;, carl@h", id="a-group"),
    pytest.param(b" undisclosed-recipients:;", [], None, id="an-empty-group"),
    pytest.param(b" <@a,@b:bob>", [b"bob"], b" <@a,@b:bob@h>", id="behind-a-route"),
    pytest.param(b" <@a,@b:bob@c>", [], None, id="a-route-to-a-full-address"),
    pytest.param(b" <>", [], None, id="nobody"),
    pytest.param(b" Bob Smith", [], None, id="a-name-only"),
    pytest.param(b" bob@", [], None, id="an-empty-domain-is-written"),
    pytest.param(b" bob@[192.0.2.7]", [], None, id="a-literal"),
    pytest.param("\u00a0Jos\u00e9".encode(), ["\u00a0Jos\u00e9".encode()], "\u00a0Jos\u00e9@h".encode(), id="utf-8"),
    pytest.param(b"", [], None, id="empty"),
    pytest.param(b" ,, bob,,", [b"bob"], b" ,, bob@h,,", id="empty-entries"),
    pytest.param(b" <bob, ann@x", [b"bob"], b" <bob@h, ann@x", id="an-angle-that-is-not-closed"),
])  # fmt: skip
def test_names_without_a_domain(value: bytes, names: list[bytes], result: bytes | None) -> None:
    assert [bare.local for bare in bare_names(value)] == names
    assert qualified(value, dict.fromkeys(names, b"h")) == (value if result is None else result)


def test_only_those_that_are_known_are_completed() -> None:
    assert qualified(b"ann, bob, <carl>", {b"bob": b"here.example"}) == b"ann, bob@here.example, <carl>"


MARKS = [b"@", b",", b";", b":", b"<", b">", b"(", b")", b'"', b"\\", b" ", b"\r\n ", b".", b"[", b"]"]
PIECES = st.sampled_from([b"a", b"bob", b"x.y", b"\xff", b"\xc3\xa9", b"\0", *MARKS])


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_any_value_is_read_and_only_domains_are_added(value: bytes) -> None:
    found = bare_names(value)
    assert [bare.end for bare in found] == sorted({bare.end for bare in found})
    result = qualified(value, {bare.local: b"here.example" for bare in found})
    assert len(result) == len(value) + len(found) * len(b"@here.example")
    at, rest = 0, result
    for bare in found:  # taking the domains out again gives what was written
        size = bare.end - at
        assert (rest[:size], rest[size : size + 13]) == (value[at : bare.end], b"@here.example")
        at, rest = bare.end, rest[size + 13 :]
    assert rest == value[at:]


@given(st.lists(st.sampled_from([b"bob", b"a@x.y", b"Ann <ann>", b'"C, D" <c@d>', b"G: e, f@g;", b"<h> (i)"]), max_size=12))
def test_what_is_completed_is_an_address_to_every_reader(entries: list[bytes]) -> None:
    value = b",\r\n ".join(entries)
    result = qualified(value, {bare.local: b"here.example" for bare in bare_names(value)})
    mailboxes = [one for one in addresses(result) if one.is_mailbox]
    assert all(one.domain for one in mailboxes)
    assert [one.local for one in mailboxes] == [one.local for one in addresses(value) if one.is_mailbox]


@pytest.mark.parametrize("unit", [b"bob, ", b"bob ", b"(", b'"', b"<@a,", b"a:", b'"b" ', b"\\"])
def test_reading_takes_linear_time(unit: bytes) -> None:
    def seconds(size: int) -> float:
        value = unit * size
        began = time.thread_time()
        bare_names(value)
        return time.thread_time() - began

    assert takes_linear_time(seconds, 400)
