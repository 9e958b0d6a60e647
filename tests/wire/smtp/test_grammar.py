"""Paths and parameters (RFC 5321 §4.1.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.mail.address import Address
from twistmail.wire.smtp.grammar import BadSyntax, address_literal, forward_path, hello_name, reverse_path
from twistmail.wire.smtp.parameters import MAIL, read


@pytest.mark.parametrize(("text", "local", "domain"), [
    pytest.param("<ann@away.example>", "ann", "away.example", id="ordinary"),
    pytest.param("<Ann.B@Away.EXAMPLE>", "Ann.B", "away.example", id="domain-in-lower-case-local-part-as-it-is"),
    pytest.param(" <ann@away.example>", "ann", "away.example", id="a-space-before-it-is-forgiven"),
    pytest.param("<@one,@two.example:ann@away.example>", "ann", "away.example", id="source-route-is-ignored"),
    pytest.param('<"ann b"@away.example>', "ann b", "away.example", id="quoted"),
    pytest.param(r'<"a\"\\b"@away.example>', 'a"\\b', "away.example", id="escapes-are-undone"),
    pytest.param('<"ann"@away.example>', "ann", "away.example", id="needless-quotes-mean-nothing"),
    pytest.param('<"a@b"@away.example>', "a@b", "away.example", id="an-at-inside-quotes"),
    pytest.param("<ann@[192.0.2.7]>", "ann", "[192.0.2.7]", id="IPv4-literal"),
    pytest.param("<ann@[IPv6:2001:DB8:0:0::1]>", "ann", "[ipv6:2001:db8::1]", id="IPv6-literal-in-its-one-spelling"),
    pytest.param("<!#$%&'*+/=?^_`{|}~-@away.example>", "!#$%&'*+/=?^_`{|}~-", "away.example", id="every-atext"),
    pytest.param("<" + "a" * 64 + "@away.example>", "a" * 64, "away.example", id="longest-local-part"),
    pytest.param("<a@xn--mnchen-3ya.example>", "a", "xn--mnchen-3ya.example", id="A-label"),
])
def test_paths(text: str, local: str, domain: str) -> None:
    assert forward_path(text + " X=1") == (Address(local, domain), " X=1")
    assert reverse_path(text) == (Address(local, domain), "")


def test_the_null_sender_is_a_reverse_path_only() -> None:
    assert reverse_path("<> BODY=7BIT") == (None, " BODY=7BIT")
    with pytest.raises(BadSyntax):
        forward_path("<>")


@pytest.mark.parametrize("text", ["<postmaster>", "<Postmaster>", " <POSTMASTER>"])
def test_postmaster_needs_no_domain(text: str) -> None:
    assert forward_path(text) == (Address("postmaster"), "")


@pytest.mark.parametrize("text", [
    pytest.param("", id="nothing"),
    pytest.param("ann@away.example", id="no-brackets"),
    pytest.param("<ann@away.example", id="no-end"),
    pytest.param("<ann>", id="no-domain"),
    pytest.param("<@away.example>", id="no-local-part"),
    pytest.param('<""@away.example>', id="empty-quotes"),
    pytest.param("<ann@>", id="empty-domain"),
    pytest.param("<.ann@away.example>", id="leading-dot"),
    pytest.param("<ann.@away.example>", id="trailing-dot"),
    pytest.param("<a..b@away.example>", id="two-dots"),
    pytest.param("<a b@away.example>", id="space"),
    pytest.param("<ann@away..example>", id="two-dots-in-the-domain"),
    pytest.param("<ann@away.example.>", id="final-dot"),
    pytest.param("<ann@-away.example>", id="leading-hyphen"),
    pytest.param("<ann@[192.0.2.256]>", id="no-IPv4-address"),
    pytest.param("<ann@[IPv6:::::1]>", id="no-IPv6-address"),
    pytest.param("<ann@[IPv6:fe80::1%eth0]>", id="IPv6-address-with-a-zone"),
    pytest.param("<ann@[IPv6:::1%> NOTIFY=NEVER x]>", id="parameters-hidden-in-a-literal"),
    pytest.param("<ann@[192.0.2.7>", id="unfinished-literal"),
    pytest.param('<"ann@away.example>', id="unfinished-quotes"),
    pytest.param('<"ann\\', id="unfinished-escape"),
    pytest.param("<@one,two:ann@away.example>", id="malformed-route"),
    pytest.param("<ann@away.example,bob@away.example>", id="two-addresses"),
    pytest.param("<" + "a" * 65 + "@away.example>", id="local-part-too-long"),
    pytest.param("<a@" + "b." * 127 + "example>", id="domain-too-long"),
    pytest.param("<" + "@a.example," * 200 + "@b.example:ann@away.example>", id="path-too-long"),
])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        forward_path(text)
    assert caught.value.status.code == 501


@pytest.mark.parametrize(("text", "expected"), [
    pytest.param("", {}, id="none"),
    pytest.param("  ", {}, id="blanks"),
    pytest.param(" size=100 Body=8bitmime", {"SIZE": "100", "BODY": "8BITMIME"}, id="names-in-upper-case"),
    pytest.param(" AUTH=<>", {"AUTH": "<>"}, id="an-address-in-AUTH"),
])
def test_parameters(text: str, expected: dict[str, str]) -> None:
    assert read(text, MAIL, {"SIZE", "8BITMIME"}) == expected


@pytest.mark.parametrize(("text", "code"), [
    pytest.param("SIZE=1", 501, id="no-space"),
    pytest.param(" SIZE=1 SIZE=2", 501, id="twice"),
    pytest.param(" SIZE", 501, id="SIZE-without-a-number"),
    pytest.param(" SIZE=" + "9" * 21, 501, id="SIZE-with-too-long-a-number"),
    pytest.param(" BODY=9BIT", 501, id="a-body-that-nobody-knows"),
    pytest.param(" BODY=BINARYMIME", 555, id="a-body-that-is-not-offered"),
    pytest.param(" AUTH", 501, id="AUTH-without-an-address"),
    pytest.param(" -A=1", 501, id="a-name-that-is-none"),
    pytest.param(" SIZE=1=2", 501, id="two-equals-signs"),
    pytest.param(" RET=FULL", 555, id="not-known"),
    pytest.param(" A" * 21, 501, id="too-many"),
])
def test_parameters_that_are_refused(text: str, code: int) -> None:
    with pytest.raises(BadSyntax) as caught:
        read(text, MAIL, {"SIZE", "8BITMIME"})
    assert caught.value.status.code == code


@pytest.mark.parametrize("text", ["", "  ", "two words", "a" * 256])
def test_what_is_no_name_of_a_host(text: str) -> None:
    with pytest.raises(BadSyntax):
        hello_name(text)


def test_address_literals_of_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="no address literal"):
        address_literal("[x400:something]")


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
pathlike = st.text(st.sampled_from('<>@,:."\\[]ab1 %!'), max_size=60)


@settings(max_examples=200)
@given(st.one_of(printable, pathlike))
def test_the_grammar_says_yes_or_no_and_never_anything_else(text: str) -> None:
    for parse in (forward_path, reverse_path, hello_name, lambda text: read(text, MAIL, {"SIZE"})):
        assert _code(parse, text) in (0, 501, 550, 555)


def _code(parse: Callable[[str], Any], text: str) -> int:
    """0 where *text* is fine."""
    try:
        parse(text)
    except BadSyntax as bad:
        return bad.status.code
    return 0


@settings(max_examples=200)
@given(printable.filter(bool).map(lambda text: text[:60]), st.sampled_from(["away.example", "[192.0.2.7]"]))
def test_what_we_write_we_can_read(local: str, domain: str) -> None:
    address = Address(local, domain)
    assert forward_path(f"<{address}>") == (address, "")


@pytest.mark.parametrize("piece", ["a.", "@a,", "\\", '"', "<", "[", "a@"])
def test_the_grammar_takes_linear_time(piece: str) -> None:
    def seconds(count: int) -> float:
        best = 1.0
        for opening in ("<", '<"', "<@a:"):
            began = time.thread_time()
            with pytest.raises(BadSyntax):
                forward_path(opening + piece * count)
            best = min(best, time.thread_time() - began)
        return best

    assert takes_linear_time(seconds, 5_000)
