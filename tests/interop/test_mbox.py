"""A user with an mbox: mail comes by SMTP and procmail, is read by POP3, IMAP and mutt, and nobody takes anything from the others (R60)."""

import contextlib
import imaplib
import mailbox
import poplib
import re

import pytest

from tests.interop.conftest import hash_of_password
from tests.interop.house import House, Person, eventually, folder, give_away, run, running

BOB = Person("bob")
LETTER = b"From: anna@blue.test\r\nSubject: number %d\r\n\r\nFrom here\r\nletter %d\r\n.with a dot\r\n"
SETTINGS = "set quit=yes move=no confirmappend=no confirmcreate=no delete=yes mark_old=no mail_check=0 resolve=no"
MUTT = ("mutt", "-n", "-F", "/dev/null", "-e", SETTINGS)


@pytest.fixture(scope="module")
def town():
    """A server with one user whose mail is an mbox; carol's is a maildir."""
    hashed = hash_of_password()
    people = "".join(f"[user:{name}@blue.test]\npassword = {hashed}\n" for name in ("alice", "carol", "bob"))
    with folder() as place, running(House(place, more=f"[users]\nsource = config\n{people}format = mbox\n")) as house:
        yield house


@pytest.fixture
def inbox(town):
    """The file of bob's INBOX, empty."""
    town.mark()
    path = town.data / "mbox" / "blue.test" / "bob" / "INBOX"
    with imap(town) as client:
        client.select()
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()
    yield path
    town.check_log()


@contextlib.contextmanager
def imap(house):
    client = imaplib.IMAP4("127.0.0.1", house.port("imap"))
    client.login(BOB.address, BOB.password)
    try:
        yield client
    finally:
        client.logout()


def send(client, house, place, *numbers, to=BOB.address):
    for number in numbers:
        (place / "letter").write_bytes(LETTER % (number, number))
        url = f"smtp://127.0.0.1:{house.port('mx')}/pc.test"
        client("curl", "-sS", "--mail-from", "anna@red.test", "--mail-rcpt", to, "-T", place / "letter", url)


def subjects(path):
    return [message["Subject"] for message in mailbox.mbox(path, create=False)]


def uids(client):
    said = client.select()
    assert said[0] == "OK", said
    return {int(re.search(rb"UID (\d+)", part[0])[1]): part[1].split(b"\r\n")[0] for part in fetched(client) if isinstance(part, tuple)}


def texts(fetched):
    return [part[1] for part in fetched if isinstance(part, tuple)]


def fetched(client):
    return client.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]


@pytest.mark.client("curl", "mutt")
def test_mail_comes_by_smtp_is_read_and_deleted_and_mutt_reads_the_rest(town, inbox, client, place):
    send(client, town, place, 1, 2, 3)
    send(client, town, place, 4, to="carol@blue.test")
    assert subjects(inbox) == ["number 1", "number 2", "number 3"]
    assert len(town.stored(Person("carol"))) == 1
    user = ["-u", f"{BOB.address}:{BOB.password}"]
    read = client("curl", "-sS", *user, f"pop3://127.0.0.1:{town.port('pop3')}/2").stdout.replace("\r\n", "\n")
    assert read.endswith("\n\nFrom here\nletter 2\n.with a dot\n")
    client("curl", "-sS", *user, f"pop3://127.0.0.1:{town.port('pop3')}/2", "-X", "DELE", "-l")
    assert subjects(inbox) == ["number 1", "number 3"]
    found = client("curl", "-sS", *user, f"imap://127.0.0.1:{town.port('imap')}/INBOX?SUBJECT%20%22number%203%22").stdout
    assert found.split() == ["*", "SEARCH", "2"]
    keys = f'push "<tag-pattern>~s number<enter><tag-prefix><copy-message>{place}/copies<enter><exit>"'
    (place / "Mail").mkdir()
    client(*MUTT, "-R", "-f", inbox, "-e", keys, terminal=True)
    assert subjects(place / "copies") == ["number 1", "number 3"]
    assert next(iter(mailbox.mbox(place / "copies", create=False))).get_payload().startswith(">From here\n")


@pytest.mark.client("mutt", "curl")
def test_uids_outlive_what_mutt_does_to_the_file(town, inbox, client, place):
    send(client, town, place, 1, 2, 3, 4)
    with imap(town) as session:
        before = uids(session)
        whole = session.fetch("1:*", "(BODY.PEEK[])")[1]
    (place / "Mail").mkdir()
    keys = "<first-entry><flag-message><next-entry><delete-message><next-entry><set-flag>r<last-entry><toggle-new><sync-mailbox><exit>"
    client(*MUTT, "-f", inbox, "-e", f'push "{keys}"', terminal=True)
    give_away(inbox)
    assert b"Content-Length:" in inbox.read_bytes()  # mutt has rewritten it
    with imap(town) as session:
        after = uids(session)
        flags = [line.decode() for line in session.fetch("1:*", "(FLAGS)")[1]]
        kept = session.fetch("1:*", "(BODY.PEEK[])")[1]
    assert after == {uid: subject for uid, subject in before.items() if not subject.endswith(b"number 2")}
    assert "\\Flagged" in flags[0]
    assert "\\Answered" in flags[1]
    assert texts(kept) == [text for text in texts(whole) if b"number 2" not in text]


@pytest.mark.client("procmail")
def test_who_has_it_open_hears_of_what_procmail_delivers(town, inbox, place):
    rc = place / "procmailrc"
    rc.write_text(f"DEFAULT={inbox}\nSHELL=/bin/sh\nLOCKSLEEP=1\n")
    rc.chmod(0o644)
    with imap(town) as session:
        session.select()
        run("procmail", "-f", "anna@red.test", "-m", rc, stdin=LETTER % (7, 7), cwd=place)
        give_away(inbox)
        eventually(lambda: session.noop() and session.untagged_responses.get("EXISTS"), "EXISTS")
        assert uids(session).popitem()[1] == b"Subject: number 7"


@pytest.mark.client("curl")
def test_flags_are_written_for_others_when_the_session_ends(town, inbox, client, place):
    send(client, town, place, 1, 2)
    with imap(town) as session:
        session.select()
        session.store("2", "+FLAGS", "(\\Flagged $Work)")
        session.create("Lists/Birds")
        session.copy("2", "Lists/Birds")
    eventually(lambda: b"X-Status: F" in inbox.read_bytes(), "the flags are in the file")
    for path in (inbox, inbox.with_name("folders") / "Lists" / "Birds.mbox"):
        message = list(mailbox.mbox(path, create=False))[-1]
        assert set(message.get_flags()) >= {"F"}
        assert message["X-Keywords"] == "$Work"


@pytest.mark.client("curl")
def test_unique_ids_outlive_the_server(town, inbox, client, place):
    send(client, town, place, 1, 2)
    lists = []
    for _ in range(2):
        session = poplib.POP3("127.0.0.1", town.port("pop3"))
        session.user(BOB.address)
        session.pass_(BOB.password)
        lists.append(session.uidl()[1])
        session.quit()
        town.stop()
        town.start()
    assert lists[0] == lists[1]
    assert len(lists[0]) == 2
