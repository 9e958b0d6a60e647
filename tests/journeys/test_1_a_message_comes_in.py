"""Walk 1 of ARCHITECTURE.md: from the octets on port 25 to the maildir, and to whoever watches the mailbox."""

from __future__ import annotations

import mailbox

import pytest

from tests.journeys.house import FAR, identifier
from twistmail import tasks
from twistmail.facts import Accepted, Expanded, Queued, Refused, Stored
from twistmail.journal import story
from twistmail.mail.address import Address
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, Result

LETTER = b"From: boss@x.test\r\nTo: nobody@x.test\r\nSubject: lunch\r\nMessage-ID: <1@far.test>\r\n\r\nAt noon?\r\n.hidden\r\n"


def lines(content: bytes) -> list[str]:
    return content.decode().split("\n")


def test_raw_octets_on_port_25_become_a_file_and_an_exists_at_once(house):
    """R01, R02."""
    idle = house.login("imap", "fred")
    idle.say("s SELECT INBOX")
    assert idle.say("i IDLE")[0].startswith("+ ")
    stranger = house.client("mx")
    stranger.feed(b"EHLO peer.far.test\r\n")
    stranger.feed(b"MAIL FROM:<eve@far.test> SIZE=120 BODY=8BITMIME\r\nRCPT TO:<fred@blue.test>\r\nDATA\r\n")
    assert [line[:3] for line in stranger.said] == ["250", "250", "354"]
    stranger.feed(LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\nQUIT\r\n")
    assert [line[:3] for line in stranger.said] == ["250", "221"]
    assert "* 1 EXISTS" in idle.heard()
    (content,) = house.files("fred")
    assert content.endswith(LETTER.replace(b"\r\n", b"\n"))
    assert house.waiting == []
    idle.say("DONE")
    assert any("At noon?" in line for line in idle.say("f FETCH 1 BODY.PEEK[TEXT]"))


def test_the_facts_of_one_message_stand_in_the_order_in_which_they_happened(house):
    """R01: what `twistmail trace` tells."""
    about = identifier(house.send(LETTER, "flintstone@blue.test"))
    accepted, expanded, stored, delivered = house.told(about=about)
    assert (type(accepted), type(expanded), type(stored), type(delivered)) == (Accepted, Expanded, Stored, Outcome)
    assert (accepted.service, str(accepted.sender), accepted.subject, accepted.message_id) == (
        "mx", "eve@far.test", "lunch", "<1@far.test>")  # fmt: skip
    assert [str(target.account) for target in expanded.targets] == ["fred@blue.test"]
    assert delivered.result is Result.DELIVERED
    assert (stored.account, stored.mailbox, stored.uid, stored.file[:4]) == ("fred@blue.test", "INBOX", 1, "new/")
    journal = house.foundation.journals[0]
    journal.write()
    assert [entry["what"] for entry in story(journal.folder, about)] == ["Accepted", "Expanded", "Stored", "Outcome"]


def test_the_envelope_goes_into_the_trace_fields_and_the_header_is_left_alone(house):
    """R10."""
    house.send(LETTER, "fred@blue.test")
    (content,) = house.files("fred")
    (message,) = house.mail("fred")
    assert lines(content)[:2] == ["Return-Path: <eve@far.test>", "Delivered-To: fred@blue.test"]
    assert message["Received"].startswith("from peer.far.test ([192.0.2.7])")
    assert "by mx.blue.test with ESMTP" in " ".join(message["Received"].split())
    assert "for <fred@blue.test>" in " ".join(message["Received"].split())
    assert (message["From"], message["To"], message["Subject"]) == ("boss@x.test", "nobody@x.test", "lunch")
    assert content.count(b"boss@x.test") == 1


def test_nobody_sees_who_else_got_a_blind_copy(house):
    """R10: two recipients of one transaction, of whom only one is in the header."""
    house.send(LETTER.replace(b"nobody@x.test", b"fred@blue.test"), "fred@blue.test", "bob@blue.test")
    for name, other in (("fred", b"bob@blue.test"), ("bob", b"for <")):
        (content,) = house.files(name)
        assert other not in content
    (content,) = house.files("bob")
    assert b"Delivered-To: bob@blue.test\n" in content


def test_a_message_without_a_sender_has_an_empty_return_path(house):
    house.send(LETTER, "fred@blue.test", sender="")
    assert lines(house.files("fred")[0])[0] == "Return-Path: <>"


# ----- who gets it (R12, R16, R24, R25)


@pytest.mark.parametrize(("recipient", "code"), [
    pytest.param("fred@blue.test", "250 2.1.5", id="an-account"),
    pytest.param("FRED@Blue.Test", "250 2.1.5", id="in-any-case"),
    pytest.param("fred+lists@blue.test", "250 2.1.5", id="with-a-suffix"),
    pytest.param("nouser@blue.test", "550 5.1.1", id="nobody"),
    pytest.param("x@far.test", "550 5.7.1", id="of-another-domain"),
    pytest.param("postmaster", "250 2.1.5", id="postmaster-without-a-domain"),
    pytest.param("PostMaster", "250 2.1.5", id="in-any-case-without-a-domain"),
    pytest.param("postmaster@blue.test", "250 2.1.5", id="postmaster"),
    pytest.param("postmaster@red.test", "250 2.1.5", id="postmaster-of-a-domain-without-accounts"),
    pytest.param("postmaster@far.test", "550 5.7.1", id="the-postmaster-of-others"),
])
def test_a_recipient_is_judged_while_the_peer_waits(house, recipient, code):
    """R12, R16."""
    answer = house.smtp("MAIL FROM:<eve@far.test>", f"RCPT TO:<{recipient}>")[-1]
    assert answer.startswith(code)
    assert house.waiting == []
    assert len(house.told(Refused)) == (0 if code.startswith("250") else 1)


@pytest.mark.parametrize("address", ["postmaster", "postmaster@blue.test", "postmaster@red.test"])
def test_what_is_for_the_postmaster_arrives_at_the_one_the_configuration_names(house, address):
    """R16."""
    house.send(LETTER, address)
    assert len(house.files("ann")) == 1


def test_a_postmaster_who_does_not_exist_gets_his_mail_all_the_same(build):
    """R16: in a box of the house; reports that nobody wants go there too (R40)."""
    house = build("[server]\npostmaster = gone-since@blue.test\n")
    house.town("far.test", FAR, {b"RCPT": b"550 5.1.1 No such user"})
    for address in ("postmaster", "postmaster@red.test"):
        house.send(LETTER, address)
    house.send(LETTER, "authors@blue.test", sender="nobody@nowhere.test")
    assert [message["Subject"][:13] for message in house.mail("postmaster")] == ["lunch", "lunch", "Double bounce"]


def test_nothing_is_sent_back_for_what_was_refused(house):
    """R12: no bounce is made, and nobody is dialled."""
    house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<nouser@blue.test>", "RCPT TO:<x@other.test>", "DATA", "QUIT")
    house.pass_time(3600)
    assert (house.waiting, house.net.dialled, house.told(Queued, Accepted)) == ([], [], [])


@pytest.mark.parametrize("spelling", ["flintstone", "Flintstone", "FLINTSTONE"])
def test_an_alias_leads_to_its_user_however_it_is_written(house, spelling):
    """R24."""
    house.send(LETTER, f"{spelling}@blue.test")
    (content,) = house.files("fred")
    assert b"Delivered-To: fred@blue.test\n" in content


def test_an_alias_of_many_brings_one_copy_each_and_one_entry_for_those_elsewhere(house):
    """R25. Nobody answers at far.test yet."""
    answer = house.send(LETTER, "all@blue.test", "authors@blue.test", "fred@blue.test")
    assert [len(house.files(name)) for name in ("fred", "bob", "ann")] == [1, 1, 0]
    (item,) = house.waiting
    assert item.id == identifier(answer)
    assert [str(errand.target.address) for errand in item.pending] == ["harry@far.test"]


# ----- a 250 is a promise (R11), under load too (R59)


def test_before_the_250_the_message_is_in_the_mailbox_or_in_the_queue(house, monkeypatch):
    """R11: until the disk has answered, nothing is said."""
    client = house.client("mx")
    for line in ("EHLO peer.far.test", "MAIL FROM:<eve@far.test>", "RCPT TO:<authors@blue.test>", "DATA"):
        client.say(line)
    written: list[str] = []
    store, spool = house.foundation.store, house.foundation.queue
    octets = len(client.transport.value())

    def watched(name, real):
        async def act(*arguments, **keywords):
            result = await real(*arguments, **keywords)
            written.append((name, len(client.transport.value()) - octets))
            return result

        return act

    monkeypatch.setattr(store, "deliver", watched("store", store.deliver))
    monkeypatch.setattr(spool, "add", watched("queue", spool.add))
    (answer,) = client.feed(LETTER + b".\r\n")
    assert (written, answer[:3]) == ([("store", 0), ("queue", 0)], "250")


def test_a_thousand_deliveries_at_once_do_not_clash(house):
    """R59: through the real store, its committer and its files."""
    target = Target(Kind.MAILBOX, Address("fred", "blue.test"), Address("fred", "blue.test"), "fred@blue.test")
    results: list = []
    for number in range(1000):
        message = Memory(b"Subject: %d\r\n\r\nhello\r\n" % number)
        item = Item(f"i{number}", None, (), house.reactor.seconds(), message.size)
        tasks.shielded(house.parts.dispatch._couriers[Kind.MAILBOX].carry(item, (target,), message)).addBoth(results.append)
    house.settle()
    assert [outcome.result for (outcome,) in results] == [Result.DELIVERED] * 1000
    box = mailbox.Maildir(house.config.data_dir / "mail" / "blue.test" / "fred", create=False)
    assert sorted(int(message["Subject"]) for message in box) == list(range(1000))
    assert list((house.config.data_dir / "mail" / "blue.test" / "fred" / "tmp").iterdir()) == []
    inbox = house.run(house.run(house.foundation.store.mailboxes("fred@blue.test")).open("INBOX"))
    assert list(inbox.uids) == list(range(1, 1001))
    inbox.close()


def test_what_python_s_mailbox_reads_is_what_imap_serves(house):
    """R64: no port is needed to read one's mail, and what another program marks is seen here."""
    for number in range(3):
        house.send(b"Subject: %d\r\n\r\nhello\r\n" % number, "fred@blue.test")
    box = mailbox.Maildir(house.config.data_dir / "mail" / "blue.test" / "fred", create=False)
    assert sorted(message["Subject"] for message in box) == ["0", "1", "2"]
    key = next(key for key, message in box.items() if message["Subject"] == "1")
    message = box[key]
    message.set_subdir("cur")
    message.add_flag("S")
    box[key] = message
    client = house.login("imap", "fred")
    client.say("s SELECT INBOX")
    assert client.say("f SEARCH SEEN")[0] == "* SEARCH 2"
    assert "Subject: 1" in "\n".join(client.say("g FETCH 2 BODY.PEEK[HEADER]"))
