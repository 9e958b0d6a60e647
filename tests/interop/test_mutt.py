"""mutt sends through our submission service, reads through IMAP, and works on the maildir itself (R64)."""

import mailbox
import smtplib

import imapclient
import pytest

from tests.interop.house import House, Person, folder, running

pytestmark = pytest.mark.client("mutt")

RC = """\
set ssl_starttls=yes
set ssl_force_tls=yes
set certificate_file={authority}
set from={address}
set use_from=yes
set envelope_from=yes
set realname="Guest"
set smtp_url=smtp://{url}@localhost:{submission}/
set folder=imaps://{url}@localhost:{imaps}/
set spoolfile=+INBOX
set record=+Sent
set confirmappend=no
set delete=yes
set quit=yes
set move=no
set header_cache=
"""


def rc_of(house: House, person: Person, place) -> object:
    """A muttrc for *person* in *place*."""
    ports = {"submission": house.port("submission"), "imaps": house.port("imap", tls=True)}
    text = RC.format(authority=house.authority, address=person.address, url=person.url, **ports)
    path = place / "muttrc"
    path.write_text(text)
    return path


@pytest.fixture
def mutt(house, client, place, guest):
    rc = rc_of(house, guest, place)

    def call(*options, **rest):
        return client("mutt", "-n", "-F", rc, *options, **rest)

    return call


def test_sending_files_a_copy_in_the_sent_folder(house, mutt, guest, other):
    mutt("-s", "greetings", "--", other.address, stdin="hello from mutt\n")
    (arrived,) = house.stored(other)
    (kept,) = house.stored(guest, ".Sent")
    for message in (arrived, kept):
        assert b"\nSubject: greetings\n" in message
        assert message.endswith(b"\nhello from mutt\n")


def test_reading_and_deleting_over_imap(house, mutt, guest, other):
    mutt("-s", "to read", "--", guest.address, stdin="one\n")
    mutt("-s", "to delete", "--", guest.address, stdin="two\n")
    mutt("-e", 'push "<delete-pattern>~s delete<enter><sync-mailbox><exit>"', terminal=True)
    (left,) = house.stored(guest)
    assert b"\nSubject: to read\n" in left


def test_the_header_cache_is_brought_up_to_date_by_qresync(house, mutt, guest, place):
    """RFC 7162 §3.2.6: what others have flagged and expunged meanwhile mutt learns when it opens the mailbox, and nothing else of it."""
    (place / "cache").mkdir()
    resyncs = ["-e", f"set imap_condstore imap_qresync header_cache={place}/cache/"]
    for number in range(5):
        mutt("-s", f"number {number}", "--", guest.address, stdin="one\n")
    mutt(*resyncs, "-e", 'push "<exit>"', terminal=True)
    with imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False) as imap:
        imap.login(guest.address, guest.password)
        imap.select_folder("INBOX")
        imap.delete_messages([2], silent=True)
        imap.expunge()
        imap.add_flags([4], ["\\Flagged"])
    mutt("-s", "number 5", "--", guest.address, stdin="one\n")
    mutt(*resyncs, "-e", 'push "<delete-pattern>~F<enter><sync-mailbox><exit>"', terminal=True)
    subjects = {line for stored in house.stored(guest) for line in stored.splitlines() if line.startswith(b"Subject")}
    assert subjects == {b"Subject: number %d" % number for number in (0, 2, 4, 5)}


def test_the_maildir_itself_can_be_read_while_the_server_is_stopped(client, place):
    """R64: what mutt and Python read from the directory is what IMAP shows; what mutt marks, IMAP sees."""
    person = Person("alice")
    with folder() as home:
        house = House(home)
        house.add(person)
        with running(house), smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
            for number in range(3):
                smtp.sendmail("eve@red.test", [person.address], f"Subject: number {number}\r\n\r\nletter {number}\r\n")
            with imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False) as imap:  # the standard folders come with the first look
                imap.login(person.address, person.password)
                imap.list_folders()
        on_disk = mailbox.Maildir(house.maildir(person), create=False)
        assert sorted(message["Subject"] for message in on_disk) == ["number 0", "number 1", "number 2"]
        assert {"Sent", "Drafts", "Trash"} <= set(on_disk.list_folders())
        (place / "Mail").mkdir()  # else mutt asks whether to make it
        options = [
            "-e",
            "set quit=yes",
            "-e",
            "set move=no",
            "-e",
            'push "<tag-pattern>~s 1<enter><tag-prefix><flag-message><sync-mailbox><exit>"',
        ]
        client("mutt", "-n", "-F", "/dev/null", "-f", house.maildir(person), *options, terminal=True)
        with running(house), imapclient.IMAPClient("127.0.0.1", house.port("imap"), ssl=False) as imap:
            imap.login(person.address, person.password)
            imap.select_folder("INBOX")
            found = imap.fetch(imap.search(), ["FLAGS", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
            flagged = {uid for uid, parts in found.items() if b"\\Flagged" in parts[b"FLAGS"]}
            assert [found[uid][b"BODY[HEADER.FIELDS (SUBJECT)]"] for uid in flagged] == [b"Subject: number 1\r\n\r\n"]
            assert sorted(found) == [1, 2, 3]
