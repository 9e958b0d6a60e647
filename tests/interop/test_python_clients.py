"""Python's own clients (smtplib, poplib, imaplib): what every script uses."""

import imaplib
import poplib
import smtplib
import ssl

import pytest


@pytest.fixture
def trust(house):
    return ssl.create_default_context(cafile=house.authority)


@pytest.fixture
def letters(house, guest):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for number in range(1, 4):
            smtp.sendmail("eve@red.test", [guest.address], f"Subject: number {number}\r\n\r\nletter {number}\r\n")
    return guest


@pytest.fixture(params=["in-clear", "starttls", "tls"])
def way(request):
    return request.param


def smtp_to(house, way, trust):
    if way == "tls":
        return smtplib.SMTP_SSL("localhost", house.port("submission", tls=True), context=trust)
    smtp = smtplib.SMTP("localhost", house.port("submission"))
    if way == "starttls":
        smtp.starttls(context=trust)
    return smtp


def pop3_to(house, way, trust):
    if way == "tls":
        return poplib.POP3_SSL("localhost", house.port("pop3", tls=True), context=trust)
    pop3 = poplib.POP3("localhost", house.port("pop3"))
    if way == "starttls":
        pop3.stls(context=trust)
    return pop3


def imap_to(house, way, trust):
    if way == "tls":
        return imaplib.IMAP4_SSL("localhost", house.port("imap", tls=True), ssl_context=trust)
    imap = imaplib.IMAP4("localhost", house.port("imap"))
    if way == "starttls":
        imap.starttls(ssl_context=trust)
    return imap


def test_smtplib_submits_and_hears_which_recipients_are_refused(house, way, trust, guest, other):
    with smtp_to(house, way, trust) as smtp:
        smtp.login(guest.address, guest.password)
        refused = smtp.sendmail(guest.address, [other.address, "nobody@blue.test"], "Subject: hello\r\n\r\nhow are you\r\n")
    assert {address: code for address, (code, _) in refused.items()} == {"nobody@blue.test": 550}
    assert len(house.stored(other)) == 1


def test_smtplib_is_told_in_which_way_its_password_is_wrong(house, trust, guest):
    with smtplib.SMTP("localhost", house.port("submission"), source_address=("127.0.0.61", 0)) as smtp:
        smtp.starttls(context=trust)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            smtp.login(guest.address, "wrong-horse-7")
    assert refusal.value.smtp_code == 535
    assert refusal.value.smtp_error.startswith(b"5.7.8")


def test_poplib_lists_reads_and_deletes(house, way, trust, letters):
    pop3 = pop3_to(house, way, trust)
    assert {"TOP", "UIDL", "PIPELINING"} <= set(pop3.capa())
    pop3.user(letters.address)
    pop3.pass_(letters.password)
    count, size = pop3.stat()
    assert (count, size) == (3, sum(int(line.split()[1]) for line in pop3.list()[1]))
    names = [line.split()[1] for line in pop3.uidl()[1]]
    assert len(set(names)) == 3
    assert pop3.retr(2)[1][-1] == b"letter 2"
    assert pop3.top(3, 0)[1][-2:] == [b"Subject: number 3", b""]
    pop3.dele(1)
    assert pop3.stat()[0] == 2
    pop3.rset()
    pop3.dele(2)
    pop3.quit()
    again = pop3_to(house, way, trust)
    again.user(letters.address)
    again.pass_(letters.password)
    assert [line.split()[1] for line in again.uidl()[1]] == [names[0], names[2]]
    again.quit()


def test_a_pop3_connection_that_breaks_deletes_nothing(house, letters, trust):
    pop3 = pop3_to(house, "in-clear", trust)
    pop3.user(letters.address)
    pop3.pass_(letters.password)
    pop3.dele(1)
    pop3.close()
    assert len(house.stored(letters)) == 3


def test_imaplib_walks_through_a_mailbox(house, way, trust, letters):
    imap = imap_to(house, way, trust)
    imap.login(letters.address, letters.password)
    assert "IDLE" in imap.capabilities
    assert imap.select("INBOX") == ("OK", [b"3"])
    assert imap.search(None, "SUBJECT", '"number 2"')[1] == [b"2"]
    imap.store("2", "+FLAGS", r"(\Flagged Work)")
    assert imap.search(None, "KEYWORD", "Work")[1] == [b"2"]
    divider = imap.namespace()[1][0].split(b'"')[3].decode()
    projects = f"Projects{divider}2024"
    assert imap.create(projects)[0] == "OK"
    assert imap.copy("2", projects)[0] == "OK"
    assert imap.uid("MOVE", "3", projects)[0] == "OK"
    assert imap.response("EXPUNGE")[1] == [b"3"]
    assert imap.status(projects, "(MESSAGES)")[1][0].endswith(b"(MESSAGES 2)")
    imap.store("1", "+FLAGS", r"(\Deleted)")
    assert imap.expunge()[1] == [b"1"]
    assert imap.status("INBOX", "(MESSAGES UNSEEN)")[1][0].endswith(b"(MESSAGES 1 UNSEEN 1)")
    imap.logout()


def test_each_protocol_sees_what_the_others_do(house, letters, trust):
    """POP3 sees INBOX and deletes from it; IMAP hears of it at once."""
    imap = imap_to(house, "in-clear", trust)
    imap.login(letters.address, letters.password)
    imap.select("INBOX")
    pop3 = pop3_to(house, "in-clear", trust)
    pop3.user(letters.address)
    pop3.pass_(letters.password)
    pop3.dele(2)
    pop3.quit()
    imap.noop()
    assert imap.response("EXPUNGE")[1] == [b"2"]
    assert imap.uid("SEARCH", "ALL")[1] == [b"1 3"]
    imap.logout()
