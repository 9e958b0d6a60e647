"""Programs that fetch by POP3, each as it is used: once everything and away with it, and leaving mail where it is."""

from __future__ import annotations

import mailbox
import os
import poplib
import smtplib

import pytest

from tests.interop.house import CONFIG, House, Person, folder, give_away, running

ANN = Person("ann")
INC = "/usr/bin/mh/inc"
#: Dots at the beginnings of lines, eight bits, and a last line without an end of its own.
TEXTS = ["plain", ".\r\n..\r\n.dot", "Gr\u00fc\u00dfe\r\n", "x" * 900 + "\r\n" + "line\r\n" * 5000]


@pytest.fixture
def letters(house, guest):
    """Somebody with four letters."""
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        smtp.ehlo()
        for number, text in enumerate(TEXTS):
            head = f"From: eve@red.test\r\nSubject: letter {number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            smtp.sendmail("eve@red.test", [guest.address], (head + text).encode(), ["body=8bitmime"])
    return guest


@pytest.fixture
def pop3s(house):
    return house.port("pop3", tls=True)


def texts(box) -> dict[str, bytes]:
    """{subject: text} of a mailbox, with LF line ends."""
    return {message["Subject"]: message.get_payload(decode=True).replace(b"\r\n", b"\n") for message in box}


EXPECTED = {f"letter {number}": (text if text.endswith("\n") else text + "\n").replace("\r\n", "\n").encode()
            for number, text in enumerate(TEXTS)}


@pytest.mark.client("mpop")
@pytest.mark.parametrize("way", ["tls", "starttls"])
@pytest.mark.parametrize("mechanism", ["user", "plain", "login"])
def test_mpop_pipelines_keeps_and_remembers(house, client, place, letters, way, mechanism):
    port = house.port("pop3", tls=way == "tls")
    fetched = mailbox.Maildir(place / "fetched", create=True)
    (place / "secret").write_text(letters.password)

    def fetch(*options):
        client("mpop", "--host=localhost", f"--port={port}", "--tls=on", f"--tls-starttls={'on' if way == 'starttls' else 'off'}",
               f"--tls-trust-file={house.authority}", f"--auth={mechanism}", f"--user={letters.address}",
               f"--passwordeval=cat {place}/secret", f"--uidls-file={place}/uidls", "--received-header=off",
               f"--delivery=maildir,{place}/fetched", *options)  # fmt: skip

    fetch("--keep=on", "--pipelining=on")
    assert texts(fetched) == EXPECTED
    fetch("--keep=on", "--pipelining=auto")
    assert len(fetched) == len(TEXTS)
    fetch("--keep=off", "--only-new=off", "--pipelining=off")
    assert len(fetched) == 2 * len(TEXTS)
    assert house.stored(letters) == []


@pytest.fixture
def knowing():
    """A server that keeps passwords in clear and offers APOP."""
    with folder() as place:
        text = CONFIG.format(domain="blue.test", tls="offered", mx=0, more_mx="", more="[users]\nsource = config\n")
        text += f"[user:{ANN.address}]\npassword = {{PLAIN}}{ANN.password}\n"
        with running(House(place, text.replace("[pop3]\n", "[pop3]\napop = yes\n"))) as house:
            yield house


@pytest.mark.client("mpop")
def test_apop_where_passwords_are_kept_in_clear(knowing, client, place):
    pop3 = poplib.POP3("127.0.0.1", knowing.port("pop3"))
    assert pop3.apop(ANN.address, ANN.password).startswith(b"+OK")
    pop3.quit()
    with smtplib.SMTP("127.0.0.1", knowing.port("mx")) as smtp:
        smtp.sendmail("eve@red.test", [ANN.address], "Subject: letter\r\n\r\nx\r\n")
    (place / "secret").write_text(ANN.password)
    client("mpop", "--host=localhost", f"--port={knowing.port('pop3', tls=True)}", "--tls=on", "--tls-starttls=off",
           f"--tls-trust-file={knowing.authority}", "--auth=apop", f"--user={ANN.address}", f"--passwordeval=cat {place}/secret",
           f"--uidls-file={place}/uidls", f"--delivery=mbox,{place}/got")  # fmt: skip
    assert [message["Subject"] for message in mailbox.mbox(place / "got")] == ["letter"]


def test_apop_is_not_offered_where_it_is_switched_off(house):
    pop3 = poplib.POP3("127.0.0.1", house.port("pop3"))
    assert b"<" not in pop3.getwelcome()
    with pytest.raises(poplib.error_proto, match="APOP not supported"):
        pop3.apop("ann", "x")
    pop3.close()


@pytest.fixture
def home():
    """A folder that the ordinary user may enter."""
    with folder() as place:
        yield place


@pytest.mark.client("getmail")
@pytest.mark.parametrize("delete", [False, True], ids=["keeps", "deletes"])
def test_getmail_fetches_everything_once(house, client, home, letters, pop3s, delete):
    fetched = mailbox.Maildir(home / "fetched")
    (home / "getmailrc").write_text(f"""\
[retriever]
type = SimplePOP3SSLRetriever
server = localhost
port = {pop3s}
username = {letters.address}
password = {letters.password}
ca_certs = {house.authority}
[destination]
type = Maildir
path = {home}/fetched/
[options]
delete = {delete}
read_all = false
received = false
delivered_to = false
""")
    for made in home.rglob("*"):
        give_away(made)
    command = ["getmail", "--getmaildir", home, "--rcfile", home / "getmailrc"]
    if os.geteuid() == 0:  # it refuses to be root
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    for _ in range(2):
        client(*command)
        assert texts(fetched) == EXPECTED
    assert len(house.stored(letters)) == (0 if delete else len(TEXTS))


@pytest.mark.client("mutt")
def test_mutt_reads_and_deletes_over_pop3(house, client, place, letters, pop3s):
    (place / "muttrc").write_text(
        f"set ssl_force_tls=yes\nset certificate_file={house.authority}\nset pop_pass={letters.password}\nset pop_delete=yes\n"
        f"set delete=yes\nset quit=yes\nset move=no\nset confirmappend=no\nset confirmcreate=no\nset pop_reconnect=no\n"
    )
    copies = "".join(f"<jump>{number}<enter><copy-message>{place}/got<enter>" for number in range(1, 5))
    keys = f"push '{copies}"
    keys += "<delete-pattern>~s \"letter [12]\"<enter><sync-mailbox><exit>'"
    client("mutt", "-n", "-F", place / "muttrc", "-e", keys, "-f", f"pops://{letters.url}@localhost:{pop3s}/", terminal=True)
    assert texts(mailbox.mbox(place / "got")) == EXPECTED
    subjects = sorted((b"\n" + kept).partition(b"\nSubject: ")[2].partition(b"\n")[0] for kept in house.stored(letters))
    assert subjects == [b"letter 0", b"letter 3"]


@pytest.mark.client(INC)
@pytest.mark.parametrize("way", ["-initialtls", "-tls"])
def test_nmh_s_inc_takes_everything_in(house, client, place, letters, way):
    port = house.port("pop3", tls=way == "-initialtls")
    (place / "Mail").mkdir()
    (place / ".mh_profile").write_text(f"Path: {place}/Mail\ncredentials: file:{place}/netrc\n")
    (place / "netrc").write_text(f"machine localhost login {letters.address} password {letters.password}\n")
    (place / "netrc").chmod(0o600)
    client(INC, "+inbox", "-host", "localhost", "-port", port, "-user", letters.address, way, SSL_CERT_FILE=str(house.authority))
    assert texts(mailbox.MH(place / "Mail" / "inbox", create=False)) == EXPECTED
    assert house.stored(letters) == []
