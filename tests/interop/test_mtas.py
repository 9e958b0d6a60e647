"""Debian's mail servers bring us mail: in clear and under TLS, in chunks, in UTF-8, with their wishes for reports."""

import email
from email import policy

import pytest

from tests.interop.house import IS_ROOT, eventually, folder
from tests.interop.mtas import Exim, OpenSmtpd, Postfix, users_exist

MTAS = [
    pytest.param(Postfix, (), marks=pytest.mark.client("postfix"), id="postfix"),
    pytest.param(Exim, ("Debian-exim",), marks=pytest.mark.client("exim4"), id="exim"),
    pytest.param(OpenSmtpd, ("opensmtpd", "opensmtpq"), marks=pytest.mark.client("smtpd", "unshare"), id="opensmtpd"),
]
MESSAGE = b"From: eve@red.test\r\nSubject: %b\r\nMessage-ID: <%b@red.test>\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\n\r\n%b"
TEXT = b"..two dots\r\n.\r\n..\r\nGr\xc3\xbc\xc3\x9fe\r\n" + b"x" * 900 + b"\r\nthe last line\r\n"
BIG = b"".join(b"%07d " % number + b"y" * 60 + b"\r\n" for number in range(20_000))


@pytest.fixture(params=[pytest.param(False, id="in-clear"), pytest.param(True, id="under-tls")])
def tls(request):
    return request.param


@pytest.fixture
def mta(request, house, tls):
    kind, users = request.param
    if not IS_ROOT:
        pytest.skip("mail servers are started by root")
    assert users_exist(*users), f"{kind.name} wants the users {users}"
    with folder() as place:
        place.chmod(0o755)
        peer = kind(place, house.port("mx"), house.authority, tls=tls)
        with peer.running():
            yield peer
        print(f"--- log of {peer.name}\n{peer.log}")  # noqa: T201 - pytest shows it where the test has failed


def arrived(house, person, count, mta):
    return eventually(lambda: len(house.stored(person)) >= count and house.stored(person), f"{count} from {mta.name}:\n{mta.log}", 20)


ALL = pytest.mark.parametrize("mta", [pytest.param(p.values, marks=p.marks, id=p.id) for p in MTAS], indirect=True)


@ALL
def test_mail_comes_whole(house, mta, tls, guest):
    for name, text in ((b"text", TEXT), (b"big", BIG)):
        mta.send(MESSAGE % (name, name, text), "eve@red.test", guest.address)
    stored = {email.message_from_bytes(octets)["Subject"]: octets for octets in arrived(house, guest, 2, mta)}
    for name, text in (("text", TEXT), ("big", BIG)):
        octets = stored[name]
        assert octets.partition(b"\n\n")[2] == text.replace(b"\r\n", b"\n")
        assert b"Return-Path: <eve@red.test>" in octets
        received = email.message_from_bytes(octets, policy=policy.default).get_all("Received")[0]
        assert f"from {mta.hello} " in received
        assert (" with ESMTPS" if tls else " with ESMTP ") in received or (not tls and "with ESMTP" in received)


@ALL
def test_an_unknown_recipient_comes_back_to_its_sender(house, mta, guest):
    mta.send(MESSAGE % (b"lost", b"lost", b"text\r\n"), guest.address, "nobody-has-this-name@blue.test")
    (report,) = arrived(house, guest, 1, mta)
    assert b"nobody-has-this-name@blue.test" in report
    assert b"5.1.1" in report


@pytest.mark.parametrize("mta", [MTAS[1].values], indirect=True, ids=["exim"])
@pytest.mark.client("exim4")
def test_exim_sends_in_chunks(house, mta, guest):
    mta.send(MESSAGE % (b"chunks", b"chunks", BIG), "eve@red.test", guest.address)
    arrived(house, guest, 1, mta)
    assert " K " in mta.log, "its log marks what went by BDAT"


@pytest.mark.parametrize("mta", [MTAS[0].values], indirect=True, ids=["postfix"])
@pytest.mark.client("postfix")
def test_postfix_sends_what_is_international(house, mta, guest):
    message = MESSAGE.replace(b"eve@", "grüße@".encode()) % ("Grüße".encode(), b"utf8", TEXT)
    mta.send(message, "grüße@red.test", guest.address)
    (octets,) = arrived(house, guest, 1, mta)
    assert "Return-Path: <grüße@red.test>".encode() in octets
    assert b" with UTF8SMTP" in octets


@pytest.mark.parametrize("mta", [MTAS[0].values, MTAS[1].values], indirect=True, ids=["postfix", "exim"])
@pytest.mark.client("postfix", "exim4")
def test_a_wish_for_a_report_is_taken_over(house, mta, guest, other):
    mta.send(MESSAGE % (b"wish", b"wish", b"text\r\n"), other.address, guest.address, report=True)
    arrived(house, guest, 1, mta)
    (report,) = arrived(house, other, 1, mta)
    assert b"Action: delivered" in report
