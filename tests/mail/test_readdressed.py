"""Addresses in headers change where they stand, and nothing else does."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.address import Address
from twistmail.mail.addresses import addresses
from twistmail.mail.readdressed import by_field, list_readdressed, readdressed


def outward(address: Address) -> Address | None:
    """What ends with .lan is in dom1.test for the world."""
    return Address(address.local, "dom1.test") if address.domain.endswith(".lan") else None


@pytest.mark.parametrize(("value", "result"), [
    pytest.param(b" fred@pc7.lan", b" fred@dom1.test", id="one"),
    pytest.param(b" fred@PC7.LAN", b" fred@dom1.test", id="in-capitals"),
    pytest.param(b" Fred <fred@pc7.lan>", b" Fred <fred@dom1.test>", id="in-angles"),
    pytest.param(b' "F (@pc7.lan)" <f@pc7.lan> (at pc7.lan)', b' "F (@pc7.lan)" <f@dom1.test> (at pc7.lan)', id="names-and-comments"),
    pytest.param(b' "f@pc7.lan" <fred@pc7.lan>', b' "f@pc7.lan" <fred@dom1.test>', id="a-name-like-an-address"),
    pytest.param(b" a@x.test,\r\n\tb@y.lan , <c@z.lan>", b" a@x.test,\r\n\tb@dom1.test , <c@dom1.test>", id="several-folded"),
    pytest.param(b" g: a@x.lan, B <b@x.test>;, c@x.lan", b" g: a@dom1.test, B <b@x.test>;, c@dom1.test", id="a-group"),
    pytest.param(b' "a b"@x.lan', b' "a b"@dom1.test', id="quoted"),
    pytest.param(b' "a"@x.lan', b" a@dom1.test", id="quoted-without-need"),
    pytest.param(b" a . b @ x . lan", b" a.b@dom1.test", id="blanks-beside-dots"),
    pytest.param(b" a (x) . b @ (y) x.lan (z)", b" a.b@dom1.test (z)", id="comments-inside"),
    pytest.param(b" <@x.lan,@y.lan:a@z.lan>", b" <@x.lan,@y.lan:a@dom1.test>", id="a-route-stays"),
    pytest.param(b" <a@[192.0.2.1]>", None, id="a-literal"),
    pytest.param(b" Fred Smith fred@x.lan", b" Fred Smith fred@dom1.test", id="a-name-without-angles"),
    pytest.param(b" a@x.test", None, id="somebody-else"),
    pytest.param(b" fred", None, id="no-domain"),
    pytest.param(b" @x.lan", None, id="no-name"),
    pytest.param(b" a@", None, id="an-empty-domain"),
    pytest.param(b" <>", None, id="nobody"),
    pytest.param(b" \xff@x.lan", None, id="not-utf-8"),
    pytest.param(" jos\u00e9@x.lan".encode(), " jos\u00e9@dom1.test".encode(), id="utf-8"),
    pytest.param(b" a@b@x.lan", None, id="two-ats"),
    pytest.param(b"", None, id="empty"),
])  # fmt: skip
def test_lists(value: bytes, result: bytes | None) -> None:
    changed = list_readdressed(value, outward)
    assert changed == (value if result is None else result)
    assert (changed is value) == (result is None)


HEADER = (
    b"Received: from pc7.lan by x.lan for <a@pc7.lan>; now\r\nFrom: Fred\r\n <fred@pc7.lan>\r\nreply-to : fred@pc7.lan\r\n"
    b"To: ann@pc8.lan, eve@far.test\r\nSubject: fred@pc7.lan\r\nno field at all\r\nMessage-ID: <1@pc7.lan>\r\n\r\n"
)


def test_only_the_fields_that_are_asked_for() -> None:
    assert readdressed(HEADER, by_field(outward, None)) == (
        HEADER.replace(b"<fred@pc7.lan>", b"<fred@dom1.test>").replace(b": fred@pc7.lan\r\nTo", b": fred@dom1.test\r\nTo")
    )
    assert readdressed(HEADER, by_field(None, outward)) == HEADER.replace(b"ann@pc8.lan", b"ann@dom1.test")


def test_where_nothing_changes_it_is_the_same_object() -> None:
    assert readdressed(HEADER, by_field(lambda address: None, lambda address: address)) is HEADER


PIECES = st.sampled_from(
    [b"a", b"bob", b"x.lan", b"x.y", b"\xff", b"\xc3\xa9", b"\0", b"@", b",", b";", b":", b"<", b">", b"(", b")", b'"', b"\\", b" ",
     b"\r\n ", b".", b"[", b"]", b"a@x.lan"])  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_any_value_is_read_and_what_is_not_changed_stays(value: bytes) -> None:
    assert list_readdressed(value, lambda address: None) is value
    list_readdressed(value, outward)


@given(st.lists(st.sampled_from(["ann@a.lan", "Bob <bob@b.lan>", '"C, D" <c@far.test>', "g: e@e.lan;"]), min_size=1, max_size=8))
def test_a_parser_of_lists_finds_the_new_ones_in_their_places(entries: list[str]) -> None:
    value = ", ".join(entries).encode()
    found = addresses(list_readdressed(value, outward))
    expected = [
        one._replace(domain=b"dom1.test") if one.domain is not None and one.domain.endswith(b".lan") else one for one in addresses(value)
    ]
    assert found == expected


def test_a_long_list_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        value = b", ".join([b"Fred <fred@pc7.lan>"] * size)
        began = time.process_time()
        list_readdressed(value, outward)
        return time.process_time() - began

    assert takes_linear_time(seconds, 500)
