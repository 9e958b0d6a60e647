"""curl speaks SMTP, IMAP and POP3 to us, over TLS and in clear."""

import pytest

pytestmark = pytest.mark.client("curl")

LETTER = b"From: anna@blue.test\r\nSubject: number %d\r\n\r\nletter %d\r\n.with a dot\r\n"


@pytest.fixture
def curl(house, client):
    def call(*options, **rest):
        return client("curl", "-sS", "--cacert", house.authority, *options, **rest)

    return call


@pytest.fixture
def letters(house, curl, place, guest):
    """Three letters that curl has sent to a guest, in the order of their numbers."""
    for number in (1, 2, 3):
        (place / "letter").write_bytes(LETTER % (number, number))
        url = f"smtp://localhost:{house.port('mx')}/pc.test"
        curl("--ssl-reqd", "--mail-from", "anna@red.test", "--mail-rcpt", guest.address, "-T", place / "letter", url)
    return guest


def test_submission_with_starttls_and_over_tls(house, curl, place, guest, other):
    (place / "letter").write_bytes(LETTER % (1, 1))
    who = ["-u", f"{guest.address}:{guest.password}", "--mail-from", guest.address, "--mail-rcpt", other.address, "-T", place / "letter"]
    curl("--ssl-reqd", *who, f"smtp://localhost:{house.port('submission')}/pc.test")
    curl(*who, f"smtps://localhost:{house.port('submission', tls=True)}/pc.test")
    assert [message.count(b"\n.with a dot\n") for message in house.stored(other)] == [1, 1]


@pytest.fixture(params=["in-clear", "starttls", "tls"])
def way(request, house):
    """(Options, function from service and scheme to the beginning of a URL) for each way to connect."""

    def url(scheme):
        tls = request.param == "tls"
        return f"{scheme}{'s' if tls else ''}://localhost:{house.port(scheme, tls=tls)}/"

    return (["--ssl-reqd"] if request.param == "starttls" else []), url


def test_imap_folders_headers_bodies_and_searches(curl, letters, way):
    options, url = way

    def ask(path, *more):
        return curl(*options, "-u", f"{letters.address}:{letters.password}", url("imap") + path, *more).stdout

    assert 'LIST (\\HasNoChildren \\Sent) "." Sent' in ask("").replace('"Sent"', "Sent").replace('"/"', '"."')
    assert ask("INBOX;UID=2").replace("\r\n", "\n").endswith("\nletter 2\n.with a dot\n")
    assert ask("INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)") == "Subject: number 1\r\n\r\n"
    assert ask("INBOX?SUBJECT%20%22number%203%22").split() == ["*", "SEARCH", "3"]
    assert "MESSAGES 3" in ask("", "-X", "STATUS INBOX (MESSAGES UNSEEN)")


def test_imap_upload(house, curl, place, guest, way):
    options, url = way
    (place / "letter").write_bytes(LETTER % (7, 7))
    curl(*options, "-u", f"{guest.address}:{guest.password}", "-T", place / "letter", url("imap") + "Drafts")
    assert house.stored(guest, ".Drafts") == [(LETTER % (7, 7)).replace(b"\r\n", b"\n")]


def test_pop3_lists_fetches_and_deletes(house, curl, letters, way):
    options, url = way

    def ask(path, *more):
        return curl(*options, "-u", f"{letters.address}:{letters.password}", url("pop3") + path, *more).stdout

    listing = ask("").split("\r\n")
    assert [line.split()[0] for line in listing if line] == ["1", "2", "3"]
    assert ask("3").replace("\r\n", "\n").endswith("\nletter 3\n.with a dot\n")
    ask("2", "-X", "DELE", "-l")
    assert [message.count(b"letter 2") for message in house.stored(letters)] == [0, 0]


def test_a_wrong_password_is_refused_everywhere(house, curl, guest):
    # Each from an address of its own: whoever guesses wrongly is answered ever later.
    for number, scheme in enumerate(("imap", "pop3"), 51):
        url = f"{scheme}s://localhost:{house.port(scheme, tls=True)}/"
        refused = curl("--interface", f"127.0.0.{number}", "-u", f"{guest.address}:wrong-horse-7", url, expect=None)
        assert refused.returncode == 67  # CURLE_LOGIN_DENIED
