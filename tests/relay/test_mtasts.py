from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.relay.mtasts import LONGEST_AGE, LONGEST_POLICY, StsPolicy, identifier, parse


@pytest.mark.parametrize(("texts", "expected"), [
    pytest.param([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z", id="as-the-standard-shows-it"),
    pytest.param([b"v=STSv1;id=1"], "1", id="without-spaces-and-a-last-semicolon"),
    pytest.param([b"v=STSv1; more=x.y:z; id=1; "], "1", id="unknown-fields-are-left-alone"),
    pytest.param([b"v=spf1 -all", b"v=STSv1; id=1;"], "1", id="other-records-beside-it"),
    pytest.param([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], None, id="two-records-are-none"),
    pytest.param([], None, id="none"),
    pytest.param([b"id=1; v=STSv1;"], None, id="the-version-comes-first"),
    pytest.param([b"v=STSv2; id=1;"], None, id="another-version"),
    pytest.param([b"v=STSv1;"], None, id="no-id"),
    pytest.param([b"v=STSv1; id=;"], None, id="an-empty-id"),
    pytest.param([b"v=STSv1; id=a-b;"], None, id="an-id-with-other-signs"),
    pytest.param([b"v=STSv1; id=" + b"1" * 33], None, id="an-id-too-long"),
    pytest.param([b"v=STSv1; nonsense; id=1;"], None, id="not-a-field"),
    pytest.param([b"v=STSv1; id=\xc3\xa4;"], None, id="not-ASCII"),
])
def test_which_record_counts(texts, expected):
    assert identifier(texts) == expected


ENFORCE = b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n"


def test_a_policy_as_the_standard_shows_it():
    policy = parse(ENFORCE.replace(b"\n", b"\r\n"))
    assert (policy.mode, policy.max_age) == ("enforce", 604800)
    assert policy.patterns == ("mail.example.com", "*.example.net", "backupmx.example.com")
    assert policy.lines[:2] == ("version: STSv1", "mode: enforce")
    assert policy == parse(ENFORCE.removesuffix(b"\n"))


@pytest.mark.parametrize(("change", "expected"), [
    pytest.param((b"mode: enforce", b"mode: testing"), ("testing", 604800), id="testing"),
    pytest.param((b"max_age: 604800", b"max_age: 9999999999"), ("enforce", LONGEST_AGE), id="a-year-at-most"),
    pytest.param((b"mode: enforce", b"mode: enforce\nmode: none"), ("enforce", 604800), id="the-first-of-two-counts"),
    pytest.param((b"mode:", b"other.key: x\n\n  mode \t:"), ("enforce", 604800), id="spaces-empty-lines-and-what-we-do-not-know"),
    pytest.param((b"mx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n", b"mode: none\n"), None, id="no-servers"),
])
def test_what_else_is_a_policy(change, expected):
    octets = ENFORCE.replace(*change)
    if expected is None:
        with pytest.raises(ValueError, match="no mail server"):
            parse(octets)
        octets = octets.replace(b"mode: enforce", b"mode: none")
        expected = ("none", 604800)
    policy = parse(octets)
    assert (policy.mode, policy.max_age) == expected


@pytest.mark.parametrize(("octets", "words"), [
    pytest.param(b"", "STSv1", id="nothing"),
    pytest.param(ENFORCE.replace(b"STSv1", b"STSv2"), "STSv1", id="another-version"),
    pytest.param(ENFORCE.replace(b"enforce", b"maybe"), "mode", id="an-unknown-mode"),
    pytest.param(ENFORCE.replace(b"max_age: 604800", b"max_age: -1"), "max_age", id="a-negative-age"),
    pytest.param(ENFORCE.replace(b"max_age: 604800\n", b""), "max_age", id="no-age"),
    pytest.param(ENFORCE.replace(b"mail.example.com", b"mail.*.com"), "name of a mail server", id="an-asterisk-in-the-middle"),
    pytest.param(ENFORCE.replace(b"mail.example.com", b"..example.com"), "name of a mail server", id="an-empty-label"),
    pytest.param(ENFORCE.replace(b"mail.example.com", "bücher.example".encode()), "name of a mail server", id="no-A-label"),
    pytest.param(b"<html>\n<body>404</body>", "not a field", id="a-web-page"),
    pytest.param(b"\xff\xfe", "UTF-8", id="not-text"),
    pytest.param(ENFORCE + b"a: b\n" * LONGEST_POLICY, "more than 64 KiB", id="far-too-long"),
    pytest.param(ENFORCE + b"mx: a.example\n" * 500, "more than 200", id="too-many-servers"),
])
def test_what_is_no_policy(octets, words):
    with pytest.raises(ValueError, match=words):
        parse(octets)


@pytest.mark.parametrize(("host", "covered"), [
    ("mail.example.com", True), ("MAIL.example.com.", True), ("a.example.net", True), ("a.b.example.net", False), ("example.net", False),
    ("other.example.com", False),
])
def test_which_servers_a_policy_covers(host, covered):
    """RFC 8461 §4.1."""
    assert parse(ENFORCE).covers(host) == covered


@given(st.binary(max_size=300), st.integers(0, 120))
@settings(max_examples=150, deadline=None)
def test_whatever_a_web_server_sends_is_a_policy_or_a_sentence(noise, place):
    try:
        policy = parse(ENFORCE[:place] + noise + ENFORCE[place:])
    except ValueError:
        return
    assert isinstance(policy, StsPolicy)
    assert 0 <= policy.max_age <= LONGEST_AGE


@given(st.lists(st.binary(max_size=60), max_size=4))
@settings(max_examples=100, deadline=None)
def test_whatever_stands_in_the_dns_is_an_id_or_nothing(texts):
    found = identifier([b"v=STSv1;" + text for text in texts])
    assert found is None or (found.isalnum() and len(found) <= 32)


def test_of_what_is_published_only_what_we_know_is_kept():
    text = b"version: STSv1\nmode: none\nmax_age: 60\n" + b"a: b\n" * 5000
    assert parse(text).lines == ("version: STSv1", "mode: none", "max_age: 60")
