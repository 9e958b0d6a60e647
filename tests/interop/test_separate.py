"""R07: sending and reading are services of their own; one process does the one, another the other, over one store."""

import imaplib
import poplib
import smtplib

import pytest

from tests.interop.house import PASSWORD, House, Person, eventually, folder, give_away

ALICE = Person("alice")
SERVICES = {"writing": ("mx", "submission"), "reading": ("imap", "pop3")}


class Half(House):
    """A server that does only some of the work, over a store that another one uses too."""

    def __init__(self, place, services, store):
        path = f"[store]\npath = {store}/%d/%n\n[users]\nsource = config\n[user:{ALICE.address}]\npassword = {PASSWORD}\n"
        super().__init__(place, more=path)
        self.services = services

    def launch(self, *options):
        return super().launch("--only", ",".join(self.services), *options)


@pytest.fixture
def halves():
    with folder() as here, folder() as there, folder() as store:
        give_away(store)
        pair = Half(here, SERVICES["writing"], store), Half(there, SERVICES["reading"], store)
        try:
            yield tuple(half.start() for half in pair)
        finally:
            for half in pair:
                half.stop()


def test_what_one_process_takes_the_other_shows(halves):
    writing, reading = halves
    assert {name for name, _ in writing.ports} == set(SERVICES["writing"])
    assert {name for name, _ in reading.ports} == set(SERVICES["reading"])
    with imaplib.IMAP4("127.0.0.1", reading.port("imap"), timeout=20) as reader:
        reader.login(ALICE.address, PASSWORD)
        assert reader.select("INBOX")[1] == [b"0"]
        for number in range(3):
            with smtplib.SMTP("127.0.0.1", writing.port("mx"), timeout=20) as writer:
                writer.sendmail("eve@red.test", [ALICE.address], f"Subject: number {number}\r\n\r\nHello.\r\n")

        def all_there():
            reader.noop()
            return reader.search(None, "ALL")[1] == [b"1 2 3"]

        eventually(all_there, "the reader sees what the other process has delivered")
        assert reader.uid("SEARCH", "ALL")[1] == [b"1 2 3"]
        reader.store("1", "+FLAGS", "\\Deleted")
        reader.expunge()
    box = poplib.POP3("127.0.0.1", reading.port("pop3"), timeout=20)
    box.user(ALICE.address)
    box.pass_(PASSWORD)
    assert box.stat()[0] == 2
    box.quit()
    with smtplib.SMTP("127.0.0.1", writing.port("mx"), timeout=20) as writer:
        writer.sendmail("eve@red.test", [ALICE.address], "Subject: the last\r\n\r\nHello.\r\n")
    with imaplib.IMAP4("127.0.0.1", reading.port("imap"), timeout=20) as reader:
        reader.login(ALICE.address, PASSWORD)
        reader.select("INBOX")
        assert reader.uid("SEARCH", "ALL")[1] == [b"2 3 4"], "a UID is never used again"
    for half in halves:
        half.check_log()
