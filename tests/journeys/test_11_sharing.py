"""Two colleagues, one mailbox info@ and what one shows the other: own logins, answers in the role's name, and rights that end at once."""

from __future__ import annotations

import pytest

from tests.journeys.house import SECRET
from twistmail import assembly
from twistmail.facts import Entered, Granted, Refused
from twistmail.mail.outcome import Outcome

SHARING = """\
[sharing]
enabled = yes
admins = fred
[group:office]
members = ann bob
[role:info@blue.test]
members = group=office
[alias:kontakt]
to = info
"""
ROLE = "Shared/info@blue.test"
INQUIRY = b"From: eve@far.test\r\nTo: info@blue.test\r\nSubject: how much\r\n\r\nHow much is it?\r\n"


def reply(author: str, to: str = "fred@blue.test") -> bytes:
    return f"From: {author}\r\nTo: {to}\r\nSubject: Re: how much\r\nMessage-ID: <{author}>\r\n\r\nFour.\r\n".encode()


@pytest.fixture
def house(build):
    return build(SHARING)


def reload(house, old, new):
    """The configuration has changed, as after SIGHUP."""
    text = house.file.read_text()
    assert old in text
    house.file.write_text(text.replace(old, new))
    loaded = house.load()
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    house.parts = assembly.build(loaded.config, house.foundation)
    house.parts.hand_over()
    house.settle()


def submitted(house, name, message, *, sender, to="fred@blue.test"):
    """What *name* is told who sends *message* as *sender*."""
    client = house.login("submission", name)
    said = client.say(f"MAIL FROM:<{sender}>")[-1]
    if not said.startswith("250"):
        return said
    client.say(f"RCPT TO:<{to}>")
    return client.content(message)


def test_mail_for_a_role_is_read_and_answered_by_its_members_each_with_his_own_login(house):
    """Feature 12. Nobody logs in as the role; both members see its mail at once, answer as it, and see each other's answers."""
    ann, bob = house.login("imap", "ann"), house.login("imap", "bob")
    assert ann.say(f"a SELECT {ROLE}/INBOX")[-1].startswith("a OK [READ-WRITE]")
    bob.say(f"a SELECT {ROLE}/INBOX")
    bob.say("b IDLE")
    assert house.send(INQUIRY, "kontakt@blue.test").startswith("250")
    assert "* 1 EXISTS" in bob.heard()
    assert any("* 1 EXISTS" in line for line in ann.say("b NOOP"))
    assert submitted(house, "ann", reply("Info <info@blue.test>"), sender="info@blue.test").startswith("250")
    bob.say("DONE")
    bob.say(f"c SELECT {ROLE}/Sent")
    assert bob.say("d FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])")[:3] == [
        "* 1 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (SUBJECT FROM)] {54}",
        "From: Info <info@blue.test>",
        "Subject: Re: how much",
    ]
    assert [message["subject"] for message in house.mail("fred")] == ["Re: how much"]
    assert [outcome.target.folder for outcome in house.told(Outcome) if outcome.target.account == "info@blue.test"] == ["", "Sent"]


def test_nobody_logs_in_as_a_role(house):
    for password in (SECRET, "", "nothing"):
        client = house.client("imap")
        assert client.say(f'l LOGIN info@blue.test "{password}"') in ([], ["l BAD Login and password must not be empty"])
        if password:
            house.pass_time(30, step=1)
            assert client.heard()[-1].startswith("l NO [AUTHENTICATIONFAILED]")


@pytest.mark.parametrize(
    ("sender", "author", "filed"),
    [
        pytest.param("info@blue.test", "info@blue.test", 1, id="as-the-role"),
        pytest.param("ann@blue.test", "info@blue.test", 1, id="as-the-role-in-the-header-only"),
        pytest.param("kontakt@blue.test", "kontakt@blue.test", 1, id="as-an-alias-of-the-role"),
        pytest.param("ann@blue.test", "ann@blue.test", 0, id="as-oneself"),
    ],
)
def test_what_is_sent_as_the_role_is_filed_once(house, sender, author, filed):
    assert submitted(house, "ann", reply(author), sender=sender).startswith("250")
    assert len(house.files("info", ".Sent")) == filed
    assert len(house.mail("fred")) == 1


def test_who_got_a_blind_copy_stands_in_what_is_filed_and_nowhere_else(house):
    blind = b"Bcc: Bob <bob@blue.test>,\r\n harry@far.test\r\n"
    assert submitted(house, "ann", blind + reply("info@blue.test"), sender="info@blue.test").startswith("250")
    (filed,), (received,) = house.files("info", ".Sent"), house.files("fred")
    assert filed.count(blind.replace(b"\r\n", b"\n")) == 1
    assert b"Bcc" not in received


def test_what_is_sent_to_the_role_as_the_role_lies_in_both_mailboxes(house):
    assert submitted(house, "ann", reply("info@blue.test"), sender="info@blue.test", to="info@blue.test").startswith("250")
    assert (len(house.files("info", ".Sent")), len(house.files("info"))) == (1, 1)


def test_nothing_is_filed_where_the_role_wants_no_copies(build):
    house = build(SHARING.replace("members = group=office", "members = group=office\nfile_sent = no"))
    assert submitted(house, "ann", reply("info@blue.test"), sender="info@blue.test").startswith("250")
    assert house.files("info", ".Sent") == []


def test_only_its_members_send_as_the_role(house, build):
    assert submitted(house, "fred", reply("info@blue.test"), sender="info@blue.test").startswith("550 5.7.1")
    assert [refused.stage for refused in house.told(Refused)] == ["senders"]
    assert house.files("info", ".Sent") == []


def test_only_its_senders_send_as_the_role(build):
    house = build(SHARING.replace("members = group=office", "members = group=office\nsenders = bob"))
    assert submitted(house, "ann", reply("info@blue.test"), sender="info@blue.test").startswith("550 5.7.1")
    assert submitted(house, "bob", reply("info@blue.test"), sender="info@blue.test").startswith("250")


def test_the_copy_of_a_message_that_waits_in_the_queue_is_there_at_once(house):
    message = reply("info@blue.test", "harry@far.test")
    assert submitted(house, "ann", message, sender="info@blue.test", to="harry@far.test").startswith("250")
    assert len(house.files("info", ".Sent")) == 1
    assert len(house.waiting) == 1


def test_who_leaves_the_group_has_lost_the_role_in_the_midst_of_idle(house):
    """A reload of the configuration is heard by sessions that were there before it."""
    ann, bob = house.login("imap", "ann"), house.login("imap", "bob")
    for client in (ann, bob):
        client.say(f"a SELECT {ROLE}/INBOX")
        client.say("b IDLE")
    reload(house, "members = ann bob", "members = ann")
    assert [line[:6] for line in bob.heard()] == ["* BYE "]
    assert ann.heard() == []
    assert house.login("imap", "bob").say(f"a SELECT {ROLE}/INBOX")[-1].startswith("a NO [NONEXISTENT]")


def test_what_one_shows_another_ends_at_once(house):
    ann, bob = house.login("imap", "ann"), house.login("imap", "bob")
    assert ann.say("a CREATE Plans")[-1].startswith("a OK")
    assert ann.say("b SETACL Plans bob lrs")[-1].startswith("b OK")
    assert ann.say("c APPEND Plans {5+}\r\nhello")[-1].startswith("c OK")
    there = '"Other users/ann@blue.test/Plans"'
    assert f'* LIST (\\HasNoChildren) "/" {there}' in bob.say('a LIST "" "Other users/*"')
    assert bob.say(f"b SELECT {there}")[-1].startswith("b OK [READ-WRITE]")
    assert bob.say("c FETCH 1 BODY[]")[-1].startswith("c OK")
    assert bob.say("d MOVE 1 INBOX")[-1].startswith("d NO [NOPERM]")
    bob.say("e IDLE")
    assert ann.say("d SETACL Plans bob -s")[-1].startswith("d OK")
    assert bob.heard()[-1] == "* OK [READ-ONLY] Your rights have changed"
    assert ann.say("e DELETEACL Plans bob")[-1].startswith("e OK")
    assert [line[:6] for line in bob.heard()] == ["* BYE "]
    assert house.told(Granted)[0] == Granted("ann@blue.test", "ann@blue.test", "Plans", "bob@blue.test", "lrs")
    assert Entered("bob@blue.test", "ann@blue.test", "Plans", writes=True) in house.told(Entered)
    kept = (house.config.data_dir / "mail" / "blue.test" / "ann" / "twistmail-annotations").read_text()
    assert "/server/acl" not in kept
    assert ann.say("f SETACL Plans group=office lr")[-1].startswith("f OK")
    kept = (house.config.data_dir / "mail" / "blue.test" / "ann" / "twistmail-annotations").read_text()
    assert "/server/acl" in kept


def test_a_message_goes_from_one_account_to_another_all_or_none(house):
    ann, bob = house.login("imap", "ann"), house.login("imap", "bob")
    for subject in ("one", "two", "three"):
        house.send(f"Subject: {subject}\r\n\r\n{subject}\r\n".encode(), "ann@blue.test")
    ann.say("a SETACL INBOX bob lrte")
    bob.say('a SELECT "Other users/ann@blue.test/INBOX"')
    assert bob.say("b UID MOVE 1,3 INBOX")[-1].startswith("b OK")
    assert [message["subject"] for message in house.mail("bob")] == ["one", "three"]
    assert [message["subject"] for message in house.mail("ann")] == ["two"]
    assert bob.say("c COPY 1 Nowhere")[-1].startswith("c NO [TRYCREATE]")
