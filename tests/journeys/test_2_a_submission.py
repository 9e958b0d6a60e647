"""Walk 2 of ARCHITECTURE.md: a user logs in, writes, and his message is made whole and sent on."""

from __future__ import annotations

import email.utils

import pytest

from tests.journeys.house import FAR, NOW, identifier, plain
from twistmail import assembly
from twistmail.facts import Accepted, LoggedIn, LoginFailed, Refused

BARE = b"Subject: hello\r\nBcc: bob@blue.test\r\n\r\nhow are you\r\n"
WHOLE = (
    b"Date: Fri, 15 Jan 2027 07:00:00 +0000\r\nFrom: ann@blue.test\r\nTo: bob@blue.test\r\nMessage-ID: <mine@blue.test>\r\n"
    b"Subject: whole\r\n\r\nhow are you\r\n"
)


def test_nobody_writes_without_having_logged_in(house):
    """R03 (RFC 6409 §4.3): in clear, and behind TLS."""
    client = house.client("submission")
    client.say("EHLO ann.home.test")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("530 5.7.0")
    client.start_tls()
    client.say("EHLO ann.home.test")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("530 5.7.0")
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("235 2.7.0")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("250 2.1.0")
    assert client.say("RCPT TO:<harry@far.test>")[0].startswith("250 2.1.5")


def test_a_password_is_neither_invited_nor_heard_in_clear(house):
    """R51."""
    client = house.client("submission")
    assert not any("AUTH" in line for line in client.say("EHLO ann.home.test"))
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("530 5.7.0")
    client.start_tls()
    offered = [line[4:] for line in client.say("EHLO ann.home.test")]
    assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in offered
    assert house.told(LoggedIn, LoginFailed) == []


def test_a_wrong_password_costs_time_and_in_the_end_the_connection(house):
    """R51."""
    client = house.client("submission")
    client.say("EHLO ann.home.test")
    client.start_tls()
    client.say("EHLO ann.home.test")
    answers = []
    for _ in range(3):
        assert client.say(f"AUTH PLAIN {plain('ann', 'guess')}") == []
        house.pass_time(30, step=1)
        answers += client.heard()
    assert [answer[:9] for answer in answers] == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert client.transport.closed
    assert [failed.login for failed in house.told(LoginFailed)] == ["ann"] * 3


def test_a_user_behind_the_implicit_tls_of_port_465_logs_in_at_once(build):
    """R03 (RFC 8314 §3.3): the handshake comes before the greeting."""
    house = build("[submission]\nlisten = tls:port=0:interface=127.0.0.1\n")
    client = house.client("submission")
    assert (client.said, len(client.transport.contexts)) == ([], 1)
    client.pump.handshakeCompleted()
    house.settle()
    assert client.heard()[0].startswith("220 mx.blue.test")
    answers = client.say("EHLO ann.home.test")
    assert any("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in line for line in answers)
    assert not any("STARTTLS" in line for line in answers)
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("235 2.7.0")


def test_what_is_missing_in_the_header_is_added_and_the_blind_copy_is_taken_out(house):
    """R14 as far as it is done, F012 (RFC 6409 §8)."""
    about = identifier(house.submit(BARE, "bob@blue.test"))
    (message,) = house.mail("bob")
    assert (message["From"], message["Message-ID"], message["Bcc"]) == ("ann@blue.test", f"<{about}@mx.blue.test>", None)
    assert email.utils.parsedate_to_datetime(message["Date"]).timestamp() == NOW
    assert "with ESMTPSA" in " ".join(message["Received"].split())
    (accepted,) = house.told(Accepted)
    assert (accepted.service, accepted.account) == ("submission", "ann@blue.test")


def test_a_whole_header_stays_as_it_is(house):
    house.submit(WHOLE, "bob@blue.test")
    (content,) = house.files("bob")
    assert content.endswith(WHOLE.replace(b"\r\n", b"\n"))


def test_mail_from_the_world_keeps_its_header_however_little_there_is(house):
    """R14: on port 25 nothing is changed but the trace fields."""
    house.send(BARE, "bob@blue.test")
    (message,) = house.mail("bob")
    assert (message["From"], message["Date"], message["Message-ID"], message["Bcc"]) == (None, None, None, "bob@blue.test")


@pytest.mark.parametrize("sender", ["bob@blue.test", "ann@far.test", "nobody@blue.test"])
def test_a_user_writes_as_himself_only(house, sender):
    """R13, in the envelope."""
    client = house.login("submission")
    assert client.say(f"MAIL FROM:<{sender}>")[0].startswith("550 5.7.1")
    assert [refused.stage for refused in house.told(Refused)] == ["senders"]


def test_a_foreign_author_gets_the_user_beside_him(house):
    """R13, in the header: `from_check = add_sender` is the default."""
    house.submit(WHOLE.replace(b"From: ann", b"From: fred"), "bob@blue.test")
    (message,) = house.mail("bob")
    assert (message["From"], message["Sender"]) == ("fred@blue.test", "ann@blue.test")


def test_a_submission_reaches_the_neighbour_at_once_and_the_other_town_in_the_same_minute(house):
    far = house.town("far.test", FAR)
    house.submit(WHOLE, "bob@blue.test", "harry@far.test")
    assert (len(house.files("bob")), house.waiting) == (1, [])
    (content,) = far.contents
    assert content.endswith(WHOLE)
    assert b"MAIL FROM:<ann@blue.test>" in far.said[1]


# ----- R03: the port of the world as a submission port


@pytest.fixture
def double(build):
    """A house whose MX takes submissions too."""
    return build("[mx]\nlisten = tcp:0:interface=127.0.0.1\nalso_submission = yes\n")


def test_port_25_knows_no_login_unless_it_is_told_to(house):
    client = house.client("mx")
    client.say("EHLO ann.home.test")
    client.start_tls()
    assert not any("AUTH" in line for line in client.say("EHLO ann.home.test"))
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("502 5.5.1")


def test_on_port_25_strangers_still_write_to_us_and_not_through_us(double):
    double.send(BARE, "bob@blue.test")
    (message,) = double.mail("bob")
    assert (message["From"], message["Bcc"]) == (None, "bob@blue.test"), "nothing is completed for the world"
    answers = double.smtp("MAIL FROM:<ann@blue.test>", "RCPT TO:<harry@far.test>")
    assert answers[-1].startswith("550 5.7.1")


def test_on_port_25_a_password_needs_tls(double):
    client = double.client("mx")
    assert not any("AUTH" in line for line in client.say("EHLO ann.home.test"))
    assert client.say(f"AUTH PLAIN {plain('ann')}")[0].startswith("530 5.7.0")


def test_on_port_25_who_has_logged_in_is_a_user_in_every_respect(double):
    client = double.login("mx")
    assert client.say("MAIL FROM:<bob@blue.test>")[0].startswith("550 5.7.1")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("250 2.1.0")
    assert client.say("RCPT TO:<harry@far.test>")[0].startswith("250 2.1.5")
    assert client.say("RCPT TO:<bob@blue.test>")[0].startswith("250 2.1.5")
    assert client.content(BARE).startswith("250 2.0.0")
    (message,) = double.mail("bob")
    assert (message["From"], message["Bcc"]) == ("ann@blue.test", None)
    (accepted,) = double.told(Accepted)
    assert (accepted.service, accepted.account) == ("submission", "ann@blue.test")


def test_a_connection_that_became_a_users_is_counted_where_it_came_in(build):
    double = build("[mx]\nlisten = tcp:0:interface=127.0.0.1\nalso_submission = yes\nmax_connections_per_ip = 1\n")
    for _ in range(3):
        double.login("mx").leave()


# ----- R14: names without a domain in the envelope


def test_a_recipient_without_a_domain_is_completed_where_he_is_here(house):
    client = house.login("submission")
    assert client.say("MAIL FROM:<ann>")[0].startswith("250 2.1.0")
    assert client.say("RCPT TO:<nobody>")[0].startswith("550 5.1.1")
    assert client.say("RCPT TO:<all@>")[0].startswith("501 5.1.3")
    assert client.say("RCPT TO:<Bob>")[0].startswith("250 2.1.5")
    assert client.content(WHOLE).startswith("250 2.0.0")
    (accepted,) = house.told(Accepted)
    assert [str(accepted.sender), *map(str, accepted.recipients)] == ["ann@blue.test", "Bob@blue.test"]
    assert len(house.files("bob")) == 1


def test_a_sender_without_a_domain_is_himself_or_nobody(house):
    client = house.login("submission")
    assert client.say("MAIL FROM:<bob>")[0].startswith("550 5.7.1")


def test_the_world_writes_addresses_in_full(house):
    assert house.smtp("MAIL FROM:<eve>")[-1].startswith("501 5.1.7")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<bob>")[-1].startswith("501 5.1.3")
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<postmaster>")[-1].startswith("250 2.1.5")


def test_a_name_in_the_header_is_completed_or_refused(house):
    answer = house.submit(WHOLE.replace(b"To: bob@blue.test", b"To: Bob <bob>, flintstone"), "bob@blue.test")
    assert answer.startswith("250")
    assert house.mail("bob")[0]["To"] == "Bob <bob@blue.test>, flintstone@blue.test"
    answer = house.submit(WHOLE.replace(b"To: bob@blue.test", b"To: bobby"), "bob@blue.test")
    assert answer.startswith("554 5.6.0 To: bobby has no domain")
    assert [(refused.stage, refused.rule) for refused in house.told(Refused)] == [("submission", "unqualified address")]


def test_what_a_user_has_sent_is_remembered_over_a_reload(build):
    """F012: one message an hour, whatever the connection."""
    house = build("[submission]\nlisten = tcp:0:interface=127.0.0.1\nrate = 1/1h\n")
    house.submit(WHOLE, "bob@blue.test")
    house.parts = assembly.build(house.config, house.foundation)
    house.listeners["submission"].adopt(house.parts.born("submission", house.config["submission"].listen[0]))
    client = house.login("submission")
    assert client.say("MAIL FROM:<ann@blue.test>")[0].startswith("451 4.7.1 You may send 1 messages within 1h")
    assert [refused.rule for refused in house.told(Refused)] == ["1 messages in 1h"]


def test_a_draft_is_sent_out_of_its_mailbox_and_never_comes_down_the_line(house):
    """F090 (RFC 4467, RFC 4468): IMAP makes a URL that only the submission of the same user may use."""
    imap = house.login("imap")
    imap.say(f"a APPEND Drafts {{{len(WHOLE)}+}}\r\n{WHOLE.decode()}")
    (told, _) = imap.say('g GENURLAUTH "imap://ann@mx.blue.test/Drafts/;UID=1;URLAUTH=submit+ann" INTERNAL')
    url = told.removeprefix("* GENURLAUTH ").strip('"')
    fred = house.login("submission", "fred")
    for line in ("MAIL FROM:<fred@blue.test>", "RCPT TO:<bob@blue.test>"):
        fred.say(line)
    assert fred.say(f"BURL {url} LAST") == ["554 5.7.0 That URL is no leave for you to read"]
    ann = house.login("submission")
    assert "250-BURL imap imap://mx.blue.test" in [line.replace("250 ", "250-") for line in ann.say("EHLO ann.home.test")]
    for line in ("MAIL FROM:<ann@blue.test>", "RCPT TO:<bob@blue.test>"):
        ann.say(line)
    assert ann.say(f"BURL {url} LAST")[0].startswith("250 2.0.0")
    (message,) = house.files("bob")
    assert message.endswith(WHOLE.replace(b"\r\n", b"\n"))
    assert imap.say(f'f URLFETCH "{url}"')[0].endswith(" NIL")
