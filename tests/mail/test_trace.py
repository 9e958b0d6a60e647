from __future__ import annotations

import calendar
import email.utils
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail import trace
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.envelope import Peer, Role, TlsState

AT = float(calendar.timegm((2026, 11, 21, 3, 20, 5)))
PEER = Peer("c1", "192.0.2.7", 40000, hello="peer.example", extended=True)
TLS = TlsState("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
ANN = Account("ann@here.example")
BOB = Address("bob", "here.example")


def test_a_received_field_reads_as_rfc_5321_wants_it():
    assert trace.received(replace(PEER, tls=TLS), "mx.here.example", "6k3fa2-9akq", AT, BOB) == (
        b"Received: from peer.example ([192.0.2.7])\r\n"
        b"\tby mx.here.example with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid 6k3fa2-9akq for <bob@here.example>;\r\n"
        b"\tSat, 21 Nov 2026 03:20:05 +0000\r\n"
    )


@pytest.mark.parametrize(("changes", "utf8", "protocol"), [
    pytest.param({"extended": False}, False, "SMTP", id="HELO"),
    pytest.param({}, False, "ESMTP", id="EHLO"),
    pytest.param({"tls": TLS}, False, "ESMTPS", id="TLS"),
    pytest.param({"account": ANN}, False, "ESMTPA", id="AUTH"),
    pytest.param({"tls": TLS, "account": ANN}, False, "ESMTPSA", id="both"),
    pytest.param({"tls": TLS, "account": ANN}, True, "UTF8SMTPSA", id="SMTPUTF8"),
    pytest.param({"role": Role.LMTP}, False, "LMTP", id="LMTP"),
    pytest.param({"role": Role.LMTP}, True, "UTF8LMTP", id="LMTP-UTF8"),
])
def test_the_with_protocol_tells_how_it_came(changes, utf8, protocol):
    field = trace.received(replace(PEER, **changes), "mx", "i", AT, None, utf8)
    assert f" with {protocol}" in field.decode()
    assert field.decode().split(" with ")[1].split()[0] == protocol


@pytest.mark.parametrize(("address", "literal"), [
    pytest.param("192.0.2.7", b"([192.0.2.7])", id="IPv4"),
    pytest.param("2001:db8::7", b"([IPv6:2001:db8::7])", id="IPv6"),
    pytest.param("unix", b"(local)", id="unix-socket"),
])
def test_the_peer_is_named_by_its_address_literal(address, literal):
    assert literal in trace.received(replace(PEER, address=address), "mx", "i", AT, None)


def test_a_recipient_that_is_not_ascii_is_named_only_in_an_internationalized_message():
    umlaut = Address("jörg", "here.example")
    assert b" for " not in trace.received(PEER, "mx", "i", AT, umlaut)
    assert " for <jörg@here.example>".encode() in trace.received(PEER, "mx", "i", AT, umlaut, utf8=True)


@given(hello=st.text(max_size=300), local=st.text(min_size=1, max_size=64), utf8=st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_a_peer_calls_itself_the_field_stays_one_field(hello, local, utf8):
    local = local.encode("utf-8", "replace").decode()
    hello = hello.encode("utf-8", "replace").decode()
    field = trace.received(replace(PEER, hello=hello), "mx.here.example", "id", AT, Address(local, "here.example"), utf8)
    first, *rest, last = field.split(b"\r\n")
    assert last == b""
    assert field.replace(b"\r\n\t", b" ").startswith(b"Received: from ")
    assert first.startswith(b"Received: from")
    assert all(line.startswith(b"\t") for line in rest)
    assert b"\n" not in field.replace(b"\r\n", b"")
    assert b"\r" not in field.replace(b"\r\n", b"")
    assert b"\0" not in field
    assert utf8 or field.isascii()


def test_a_name_that_fills_a_line_has_one_of_its_own():
    field = trace.received(replace(PEER, hello="a" * 70), "mx", "i", AT, None)
    assert field.startswith(b"Received: from\r\n\t" + b"a" * 70 + b"\r\n\t([192.0.2.7])")


def test_long_names_are_folded_below_78_columns():
    peer = replace(PEER, hello="a" * 60 + ".example", tls=TLS)
    field = trace.received(peer, "b" * 40 + ".example", "6k3fa2-9akq", AT, Address("c" * 40, "here.example"))
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert field.replace(b"\r\n\t", b" ").count(b"\r\n") == 1


@given(st.integers(min_value=0, max_value=4_102_444_800))
@settings(max_examples=200, deadline=None)
def test_a_date_means_the_second_it_was_made_from(at):
    assert email.utils.parsedate_to_datetime(trace.date(at)).timestamp() == at


def test_return_path_and_delivered_to():
    assert trace.return_path(None) == b"Return-Path: <>\r\n"
    assert trace.return_path(Address("a b", "x.example")) == b'Return-Path: <"a b"@x.example>\r\n'
    assert trace.delivered_to(BOB) == b"Delivered-To: bob@here.example\r\n"
    assert trace.delivered_to(Address("a\r\nX: y", "x")) == b'Delivered-To: "a??X: y"@x\r\n'
