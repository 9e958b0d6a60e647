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
        b"\tby mx.here.example with ESMTPS\r\n"
        b"\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256)\r\n"
        b"\tid 6k3fa2-9akq for <bob@here.example>\r\n"
        b"\ttls TLS_AES_256_GCM_SHA384; Sat, 21 Nov 2026 03:20:05 +0000\r\n"
    )


def test_without_tls_it_is_shorter():
    assert trace.received(PEER, "mx.here.example", "6k3fa2-9akq", AT, BOB) == (
        b"Received: from peer.example ([192.0.2.7])\r\n"
        b"\tby mx.here.example with ESMTP\r\n"
        b"\tid 6k3fa2-9akq for <bob@here.example>;\r\n"
        b"\tSat, 21 Nov 2026 03:20:05 +0000\r\n"
    )


@pytest.mark.parametrize(("cipher", "clause"), [
    pytest.param("TLS_CHACHA20_POLY1305_SHA256", " tls TLS_CHACHA20_POLY1305_SHA256;", id="of-TLS-1.3"),
    pytest.param("ECDHE-RSA-AES128-GCM-SHA256", " tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;", id="of-TLS-1.2-by-its-registered-name"),
    pytest.param("ECDHE-ECDSA-CHACHA20-POLY1305", " tls TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;", id="hash-left-out"),
    pytest.param("CAMELLIA128-SHA", None, id="unknown-ones-stand-in-the-comment-only"),
])
def test_the_tls_clause_has_the_registered_name_of_the_cipher_suite(cipher, clause):
    field = trace.received(replace(PEER, tls=TlsState("TLSv1.2", cipher, 128)), "mx", "i", AT, BOB).decode()
    assert f"(version=TLSv1.2 cipher={cipher} bits=128)" in field.replace("\r\n\t", " ")
    assert ("\ttls " in field) is (clause is not None)
    assert clause is None or clause in field.replace("\r\n\t", " ")


@pytest.mark.parametrize(("account", "shown"), [
    pytest.param(None, True, id="of-a-server"),
    pytest.param(ANN, False, id="of-somebody-who-has-logged-in"),
])
def test_whose_certificate_it_was_is_told_of_servers_and_not_of_users(account, shown):
    peer = replace(PEER, tls=replace(TLS, client="ann@here.example"), account=account)
    assert (b"client=ann@here.example)" in trace.received(peer, "mx", "i", AT, None)) is shown


def test_a_hostile_name_in_a_certificate_ends_neither_comment_nor_field():
    peer = replace(PEER, tls=replace(TLS, client="a)\r\nX: y (b"))
    assert b"client=a???X:?y??b)\r\n" in trace.received(peer, "mx", "i", AT, None)


def test_the_name_that_leads_back_to_the_address_stands_before_it():
    field = trace.received(replace(PEER, name="mail.peer.example"), "mx", "i", AT, None)
    assert field.startswith(b"Received: from peer.example (mail.peer.example [192.0.2.7])\r\n")


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
