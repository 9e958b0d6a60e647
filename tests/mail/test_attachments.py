"""The files in a message come out to the octet; their names can do no harm."""

import binascii
from base64 import encodebytes
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.mail.attachments import Attachment, found, safe_name


def uuencoded(octets, name="photo.jpg", end=b"`\r\nend\r\n"):
    lines = [binascii.b2a_uu(octets[at : at + 45], backtick=True)[:-1] for at in range(0, len(octets), 45)]
    return b"begin 644 %b\r\n" % name.encode() + b"".join(line + b"\r\n" for line in lines) + end


def message(body, fields=b""):
    return b"Subject: x\r\n" + fields + b"\r\n" + body


@given(st.binary(max_size=500))
def test_uuencoded_octets_come_back(octets):
    text = b"Hello,\r\nbegin the day\r\n" + uuencoded(octets) + b"Bye\r\n"
    assert list(found(message(text))) == [Attachment("photo.jpg", "uu", octets)]


@given(st.binary(max_size=300))
def test_uuencoded_octets_come_back_where_blanks_were_used_and_lost(octets):
    lines = uuencoded(octets).replace(b"`", b" ").split(b"\r\n")
    assert list(found(message(b"\r\n".join(line.rstrip(b" ") for line in lines)))) == [Attachment("photo.jpg", "uu", octets)]


@given(st.binary(max_size=500))
def test_mime_octets_come_back(octets):
    mail = EmailMessage()
    mail.set_content("see below")
    mail.add_attachment(octets, maintype="application", subtype="octet-stream", filename="Bäder.bin")
    assert list(found(mail.as_bytes().replace(b"\n", b"\r\n"))) == [Attachment("Bäder.bin", "base64", octets)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(uuencoded(b"a", "1") + uuencoded(b"b", "2"), [("1", b"a", True), ("2", b"b", True)], id="two"),
        pytest.param(uuencoded(b"abc", end=b""), [("photo.jpg", b"abc", False)], id="cut-short"),
        pytest.param(
            uuencoded(b"abc", end=b"and so on\r\n") + uuencoded(b"d", "2"),
            [("photo.jpg", b"abc", False), ("2", b"d", True)],
            id="broken-off",
        ),
        pytest.param(b"begin 644 x\r\nend\r\n", [("x", b"", True)], id="empty"),
        pytest.param(b"begin 644 x\r\nbegin 644 y\r\nprose\r\n", [], id="prose"),
        pytest.param(b"begin-base64 644 x\r\naGVs\r\nbG8=\r\n====\r\n", [("x", b"hello", True)], id="base64-by-uuencode"),
        pytest.param(b"no file here\r\n", [], id="none"),
    ],
)
def test_what_stands_in_a_text(body, expected):
    assert [(one.name, one.octets, one.is_whole) for one in found(message(body))] == expected


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param(b"Content-Type: image/png; name=a.png\r\n", "a.png", id="name"),
        pytest.param(b'Content-Type: image/png\r\nContent-Disposition: attachment; filename="b c.png"\r\n', "b c.png", id="filename"),
        pytest.param(
            b"Content-Type: image/png\r\nContent-Disposition: attachment; filename*=utf-8''na%C3%AFve.png\r\n", "naïve.png", id="rfc-2231"
        ),
        pytest.param(b'Content-Type: image/png; name="=?utf-8?q?na=C3=AFve?="\r\n', "naïve", id="encoded-word"),
        pytest.param(b"Content-Type: image/png\r\n", "part-0", id="none"),
    ],
)
def test_the_name_of_a_part(fields, name):
    text = message(encodebytes(b"x").replace(b"\n", b"\r\n"), fields + b"Content-Transfer-Encoding: base64\r\n")
    assert [(one.name, one.octets) for one in found(text)] == [(name, b"x")]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        pytest.param("a.txt", "a.txt", id="plain"),
        pytest.param("/etc/passwd", "passwd", id="absolute"),
        pytest.param("..\\..\\boot.ini", "boot.ini", id="windows"),
        pytest.param("../..", "attachment", id="only-dots"),
        pytest.param(".bashrc", "bashrc", id="hidden"),
        pytest.param("a\0b\x1b[31m\u202etxt.exe", "a_b_[31m_txt.exe", id="controls"),
        pytest.param("", "attachment", id="empty"),
        pytest.param("dir/", "dir", id="directory"),
    ],
)
def test_a_name_leads_nowhere(name, safe):
    assert safe_name(name) == safe


@given(st.text(max_size=600))
def test_any_name_becomes_one_that_a_file_can_have(name):
    safe = safe_name(name)
    assert safe
    assert "/" not in safe
    assert "\0" not in safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 200


@given(st.binary(max_size=300), st.lists(st.sampled_from([b"begin 644 x\r\n", b"end\r\n", b"`\r\n", b"!80``\r\n", b"\r\n"])))
def test_anything_is_looked_through(octets, lines):
    for one in found(octets + b"\r\n\r\n" + b"".join(lines) + octets):
        assert isinstance(one.octets, bytes)


def test_many_beginnings_take_no_longer_than_one():
    body = b"begin 644 x\r\n" * 100_000
    assert list(found(message(body))) == []
