"""Mail leaves: to another twistmail, to Postfix's smtp-sink, to nobody; and what the sender and the operator are told."""

import email
import email.policy
import imaplib
import json
import re
import smtplib
import ssl
import subprocess

import pytest

from tests.interop.house import IS_ROOT, House, Person, eventually, folder, free_port, listens, running
from tests.interop.talk import send, smtp

ALICE, CAROL = Person("alice"), Person("carol", domain="green.test")
ALIASES = "[alias:carol@blue.test]\nto = carol@green.test\n[alias:gone@blue.test]\nto = gone@green.test\n"


@pytest.fixture(scope="module")
def towns():
    """blue.test, whose mail for green.test goes straight to green.test, and green.test, which does not run yet."""
    with folder() as there, folder() as here:
        green = House(there, domain="green.test", mx=free_port())
        green.add(CAROL)
        port = green.config.read_text().partition("[mx]\nlisten = tcp:")[2].partition(":")[0]
        blue = House(here, more=f"[route:green.test]\nvia = [127.0.0.1]:{port}\n[relay]\nretry = 1h\n{ALIASES}")
        with running(blue):
            blue.add(ALICE)
            yield blue, green


@pytest.fixture
def blue(towns):
    towns[0].mark()
    yield towns[0]
    towns[0].check_log()


@pytest.fixture
def green(towns):
    """green.test, running."""
    with running(towns[1]) as house:
        yield house


def submit(blue, recipient, text="Subject: hello\n\nhow are you\n"):
    """Let alice write to *recipient*; the id of her message."""
    with smtplib.SMTP("localhost", blue.port("submission")) as client:
        client.starttls(context=ssl.create_default_context(cafile=blue.authority))
        client.login(ALICE.address, ALICE.password)
        client.mail(ALICE.address)
        client.rcpt(recipient)
        code, said = client.data(text)
    assert code == 250
    return re.search(rb"Accepted as (\S+)", said)[1].decode()


def arrived(house, person, known=()):
    """The messages in somebody's INBOX, once there are more than those in *known*; the new ones."""
    eventually(lambda: len(house.stored(person)) > len(known), f"mail for {person.address}")
    return [email.message_from_bytes(one, policy=email.policy.default) for one in house.stored(person) if one not in known]


def queued(house):
    return [json.loads(line) for line in house.twistmail("queue", "list", "--json").splitlines()]


def test_from_one_server_to_the_next_and_into_a_mailbox(blue, green):
    known = green.stored(CAROL)
    identifier = submit(blue, CAROL.address)
    (message,) = arrived(green, CAROL, known)
    assert message["Return-Path"] == f"<{ALICE.address}>"
    last, first = message.get_all("Received")
    assert "from mail.blue.test" in last
    assert "by mail.green.test" in last
    assert "with ESMTPS" in last  # the peer offered STARTTLS
    assert "by mail.blue.test" in first
    assert "with ESMTPSA" in first
    assert identifier in first
    with imaplib.IMAP4("127.0.0.1", green.port("imap")) as imap:
        imap.login(CAROL.address, CAROL.password)
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", "hello")[1] != [b""]
    eventually(lambda: queued(blue) == [], "the queue is empty")
    story = eventually(lambda: (text := blue.twistmail("trace", "show", identifier, expect=None)) and "left " in text and text, "the story")
    assert re.search(r"accepted.*alice@blue\.test", story)
    assert re.search(r"relayed +carol@green\.test: 250 2\.0\.0 Accepted as .* \(by ", story)
    told = [json.loads(line)["what"] for line in blue.twistmail("trace", "show", identifier, "--json").splitlines()]
    assert [what for what in told if what in ("Accepted", "Queued", "Outcome", "Removed")] == ["Accepted", "Queued", "Outcome", "Removed"]


def test_a_message_is_followed_by_its_message_id_over_both_servers_to_its_reader(blue, green):
    """R01: all hops in their order, each with its time, peer and id."""
    known = green.stored(CAROL)
    submit(blue, CAROL.address, "Subject: the way\nMessage-ID: <way@laptop>\n\nhow are you\n")
    arrived(green, CAROL, known)
    with imaplib.IMAP4("127.0.0.1", green.port("imap")) as imap:
        imap.login(CAROL.address, CAROL.password)
        imap.select("INBOX")
        (numbers,) = imap.search(None, "SUBJECT", '"the way"')[1]
        imap.fetch(numbers.split()[-1], "(RFC822)")
    eventually(lambda: queued(blue) == [], "the queue is empty")
    told = blue.twistmail("trace", "show", "<way@laptop>", "--also", str(green.config), "--json").splitlines()
    way = [json.loads(line) for line in told]
    assert [(hop["hop"], hop["server"]) for hop in way] == [
        ("MUA -> MSA", "mail.blue.test"), ("MSA -> queue", "mail.blue.test"), ("MX look-up", "mail.blue.test"),
        ("MTA -> MTA", "mail.green.test"), ("MTA -> MDA", "mail.green.test"), ("MDA -> store", "mail.green.test"),
        ("MAA -> MUA", "mail.green.test")]
    assert all(hop["at"] and hop["id"] for hop in way)
    assert [hop["hop"] for hop in way if not hop["peer"]] == ["MSA -> queue", "MX look-up"]


def test_what_cannot_be_delivered_now_waits_tells_why_and_goes_when_told(blue, towns):
    known = towns[1].stored(CAROL)
    identifier = submit(blue, CAROL.address)
    listed = eventually(lambda: (text := blue.twistmail("queue", "list")) and "refused" in text and text, "the reason is listed")
    assert identifier in listed
    assert CAROL.address in listed
    (row,) = queued(blue)
    assert (row["id"], row["from"], row["attempts"]) == (identifier, ALICE.address, 1)
    assert [(to["address"], to["state"], to["enhanced"]) for to in row["to"]] == [(CAROL.address, "deferred", "4.4.1")]
    with running(towns[1]):
        assert "1 message will be tried now" in blue.twistmail("queue", "flush")
        (message,) = arrived(towns[1], CAROL, known)
        assert message.get_content() == "how are you\n"
        eventually(lambda: queued(blue) == [], "the queue is empty")


def test_a_refusal_comes_back_to_the_sender_as_a_report(blue, green):
    known = blue.stored(ALICE)
    submit(blue, "nobody@green.test", "Subject: lost\nMessage-ID: <lost@blue.test>\n\nsecret words\n")
    (report,) = arrived(blue, ALICE, known)
    assert report["Return-Path"] == "<>"
    assert report["To"] == ALICE.address
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    words, status, original = report.iter_parts()
    assert "nobody@green.test" in words.get_content()
    assert "There is no mailbox of that name here" in " ".join(words.get_content().split())
    whole, one = status.get_payload()
    assert whole["Reporting-MTA"] == "dns; mail.blue.test"
    assert one["Final-Recipient"].endswith("nobody@green.test")
    assert (one["Action"], one["Status"]) == ("failed", "5.1.1")
    assert one["Diagnostic-Code"].startswith("smtp; 550 5.1.1")
    assert "Subject: lost" in original.as_string()
    eventually(lambda: queued(blue) == [], "the queue is empty")


def test_a_report_that_nobody_wants_goes_to_the_postmaster(blue, green):
    """R40: the sender does not exist either; alice is the postmaster."""
    known = blue.stored(ALICE)
    with smtp(blue.port("mx"), "nobody@green.test", "gone@blue.test") as talk:
        assert send(talk, "Subject: into the void\n\nwords\n").startswith("250")
    (report,) = arrived(blue, ALICE, known)
    assert report["Return-Path"] == "<>"
    assert "into the void" in report.as_string()
    eventually(lambda: queued(blue) == [], "the queue is empty")
    assert len(blue.stored(ALICE)) == len(known) + 1


@pytest.fixture
def got():
    """Where smtp-sink puts what it gets, a file for each transaction."""
    with folder() as place:
        yield place


@pytest.fixture
def sink(got):
    """Run smtp-sink on a port until the test ends."""
    started = []

    def run(port, *options):
        user = ["-u", "nobody"] if IS_ROOT else []
        command = ["/usr/sbin/smtp-sink", *user, *options, "-d", str(got / "%M."), f"127.0.0.1:{port}", "100"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        eventually(lambda: listens(port), "smtp-sink listens")
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def town():
    """A server whose mail for sink.test goes to a port of its own: (server, port)."""
    port = free_port()
    with folder() as here:
        aliases = "[alias:away@blue.test]\nto = dan@sink.test\n"
        with running(House(here, more=f"[route:sink.test]\nvia = [127.0.0.1]:{port}\n[relay]\nretry = 1h\n{aliases}")) as house:
            yield house, port


@pytest.mark.client("smtp-sink", "smtp-source")
def test_a_hundred_messages_to_postfix(got, client, town, sink):
    house, port = town
    sink(port)
    client("/usr/sbin/smtp-source", "-s", 5, "-m", 100, "-f", "eve@red.test", "-t", "away@blue.test", f"127.0.0.1:{house.port('mx')}")
    eventually(lambda: queued(house) == [], "everything has left", 20)
    assert len(list(got.iterdir())) == 100
    assert all("X-Rcpt-Args: <dan@sink.test>" in path.read_text() for path in got.iterdir())


@pytest.mark.client("smtp-sink")
def test_a_peer_that_says_later_is_asked_again(got, town, sink):
    house, port = town
    busy = sink(port, "-r", "RCPT")
    with smtp(house.port("mx"), "eve@red.test", "away@blue.test") as talk:
        assert send(talk, "Subject: patience\n\nplease\n").startswith("250")
    row = eventually(lambda: next((row for row in queued(house) if row["to"][0]["state"] == "deferred"), None), "it is put off")
    assert row["to"][0]["code"].startswith("4")
    busy.kill()
    busy.wait()
    sink(port)
    house.twistmail("queue", "flush", row["id"])
    eventually(lambda: queued(house) == [], "it has left")
    assert any("Subject: patience" in path.read_text() for path in got.iterdir())
