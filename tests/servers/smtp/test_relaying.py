"""No open relay (R48): what strangers have tried for thirty years, all of it refused while they wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.servers.smtp.house import SmtpHouse
from twistmail import tasks
from twistmail.interfaces import Point
from twistmail.mail.status import Status
from twistmail.networks import NETWORKS
from twistmail.policy.relay_domains import DOMAINS
from twistmail.policy.relay_domains import parse as parse_recipients
from twistmail.servers.smtp_options import MX
from twistmail.watched import Broken, WatchedFiles

#: Every form means a mailbox at far.test to somebody.
FORMS = [
    pytest.param("<user@far.test>", id="plain"),
    pytest.param("<user%far.test@here.example>", id="percent-hack"),
    pytest.param("<user%far.test@[127.0.0.1]>", id="percent-hack-by-literal"),
    pytest.param("<user%far.test@mx.here.example>", id="percent-hack-by-host-name"),
    pytest.param("<@here.example:user@far.test>", id="source-route"),
    pytest.param("<@here.example,@other.example:user@far.test>", id="long-source-route"),
    pytest.param("<far.test!user>", id="bang-path"),
    pytest.param("<far.test!user@here.example>", id="bang-path-at-our-domain"),
    pytest.param("<here.example!far.test!user>", id="bang-path-by-way-of-us"),
    pytest.param('<"user@far.test">', id="quoted-whole"),
    pytest.param('<"user@far.test"@here.example>', id="quoted-local-part"),
    pytest.param('<"user%far.test"@here.example>', id="quoted-percent-hack"),
    pytest.param('<"far.test!user"@here.example>', id="quoted-bang-path"),
    pytest.param("<user@far.test@here.example>", id="two-ats"),
    pytest.param("<user@[198.51.100.1]>", id="address-literal"),
    pytest.param("<user@here.example.far.test>", id="our-name-inside-theirs"),
    pytest.param("<user@FAR.TEST>", id="upper-case"),
    pytest.param("<@far.test:user%far.test@here.example>", id="route-and-percent"),
]
SENDERS = [
    pytest.param("<eve@away.example>", id="from-a-stranger"),
    pytest.param("<>", id="from-nobody"),
    pytest.param("<fred@here.example>", id="forged-as-one-of-us"),
]


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("form", FORMS)
def test_strangers_write_to_us_and_not_through_us(form: str, sender: str) -> None:
    house = SmtpHouse()
    player = house.player()
    player.say("EHLO peer.example", f"MAIL FROM:{sender}")
    assert player.say(f"RCPT TO:{form}")[0].startswith("550 5.7.1 ")
    assert player.say("DATA")[0].startswith("503")
    assert house.queued == []
    assert house.contents == []


@pytest.mark.parametrize("form", ["<fred@here.example>", "<FRED@HERE.EXAMPLE>", '<"fred"@here.example>', "<fred+list@here.example>",
                                  "<@away.example:fred@here.example>", "<postmaster>", "<Postmaster@here.example>"])
def test_what_is_ours_is_taken(form: str) -> None:
    player = SmtpHouse().player()
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>")
    assert player.say(f"RCPT TO:{form}") == ["250 2.1.5 Recipient ok"]


# ----- the doors (R49, R52, R54), and who does not come through them


def answer(house: SmtpHouse, form: str, host: str = "192.0.2.7", sender: str = "<eve@away.example>", hello: str = "peer.example",
           **settings: Any) -> str:  # fmt: skip
    player = house.player(house.service(**settings), host)
    player.say(f"EHLO {hello}", f"MAIL FROM:{sender}")
    return str(player.say(f"RCPT TO:{form}")[0])


OFFICE = NETWORKS.read("192.168.1.0/24 2001:db8:1::/48")
BACKUP = DOMAINS.read("friend.test .family.test")


@pytest.mark.parametrize(("host", "code"), [
    pytest.param("192.168.1.77", "250", id="inside"),
    pytest.param("::ffff:192.168.1.77", "250", id="inside-written-as-IPv6"),
    pytest.param("2001:db8:1:2::3", "250", id="inside-by-IPv6"),
    pytest.param("192.168.2.77", "550", id="beside"),
    pytest.param("127.0.0.1", "550", id="this-machine-is-not-implied"),
    pytest.param("unix", "550", id="a-socket-has-no-address"),
])
def test_clients_in_relay_networks_send_through_us(host: str, code: str) -> None:
    assert answer(SmtpHouse(), "<user@far.test>", host, relay_networks=OFFICE)[:3] == code


def test_nobody_is_in_relay_networks_unless_somebody_wrote_it() -> None:
    assert MX.defaults().relay_networks == ()
    assert answer(SmtpHouse(), "<user@far.test>", "127.0.0.1").startswith("550 5.7.1")


@pytest.mark.parametrize(("hello", "sender"), [
    pytest.param("[192.168.1.77]", "<eve@away.example>", id="hello-with-an-address-inside"),
    pytest.param("here.example", "<eve@away.example>", id="hello-as-a-domain-of-ours"),
    pytest.param("friend.test", "<eve@away.example>", id="hello-as-a-friend"),
    pytest.param("peer.example", "<fred@here.example>", id="sender-of-ours"),
    pytest.param("peer.example", "<ann@friend.test>", id="sender-of-a-friend"),
    pytest.param("peer.example", "<x@[192.168.1.77]>", id="sender-at-an-address-inside"),
])
def test_what_a_client_says_of_itself_opens_nothing(hello: str, sender: str) -> None:
    rules = "Connect:192.168.1 RELAY\nConnect:friend.test RELAY\nTo:friend.test RELAY\nFrom:friend.test OK\nhere.example RELAY"
    house = SmtpHouse(access=rules)
    own = {"relay_networks": OFFICE, "relay_domains": BACKUP}
    assert answer(house, "<user@far.test>", hello=hello, sender=sender, **own).startswith("550 5.7.1")


@pytest.mark.parametrize(("form", "code"), [
    pytest.param("<user@friend.test>", "250", id="a-friend"),
    pytest.param("<user@FRIEND.test>", "250", id="in-capitals"),
    pytest.param("<user@deep.family.test>", "250", id="below"),
    pytest.param("<user@family.test>", "550", id="not-itself"),
    pytest.param("<user@sub.friend.test>", "550", id="not-below"),
    pytest.param("<user@notfriend.test>", "550", id="only-ends-so"),
    pytest.param("<user@far.test>", "550", id="another"),
    pytest.param("<user%far.test@friend.test>", "550", id="percent-hack-by-way-of-a-friend"),
    pytest.param("<far.test!user@friend.test>", "550", id="bang-path-by-way-of-a-friend"),
    pytest.param('<"user@far.test"@friend.test>', "550", id="quoted-by-way-of-a-friend"),
])
def test_strangers_write_to_the_domains_that_we_are_a_backup_for(form: str, code: str) -> None:
    assert answer(SmtpHouse(), form, relay_domains=BACKUP)[:3] == code
    if "%" in form or "!" in form or '"' in form:
        assert answer(SmtpHouse(access="To:friend.test RELAY"), form).startswith("550 5.7.1 Mail is not routed")


def test_mail_for_a_backup_domain_goes_into_the_queue() -> None:
    house = SmtpHouse()
    player = house.player(house.service(relay_domains=BACKUP))
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example>", "RCPT TO:<user@friend.test>", "DATA")
    assert player.say("Subject: x", "", "hello", ".")[-1].startswith("250")
    ((item, _),) = house.queued
    assert [str(errand.target.address) for errand in item.errands] == ["user@friend.test"]


def test_who_is_there_may_be_said_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "who").write_text("# at our friends'\nAnn@friend.test\n@deep.family.test\n")
    house = SmtpHouse(folder=tmp_path)
    own = {"relay_domains": BACKUP, "relay_recipients": "who"}
    expected = {"ann@friend.test": "250 2.1.5", "b@friend.test": "550 5.1.1", "x@deep.family.test": "250 2.1.5", "x@far.test": "550 5.7.1"}
    assert {who: answer(house, f"<{who}>", **own)[:9] for who in expected} == expected
    (tmp_path / "who").write_text("bob@friend.test\nhere\n")
    house.watched = WatchedFiles(tasks.Inline())
    assert answer(house, "<bob@friend.test>", **own).startswith("451"), "nobody knows who is there"


@pytest.mark.parametrize(("text", "problems"), [
    pytest.param("a b@friend.test", ["'a b@friend.test' is not an address"], id="no-address"),
    pytest.param("here\n@a..b", ["here has no domain; write here@friend.example", "'a..b' is not a domain name"], id="no-domain"),
])
def test_mistakes_in_the_list_of_recipients_have_lines(text: str, problems: list[str]) -> None:
    with pytest.raises(Broken) as raised:
        parse_recipients(text)
    assert [line for line, _ in raised.value.problems] == list(range(1, len(problems) + 1))
    assert all(told.startswith(text) for (_, told), text in zip(raised.value.problems, problems, strict=True))


@pytest.mark.parametrize(("rules", "host", "code"), [
    pytest.param("Connect:192.0.2 RELAY", "192.0.2.7", "250", id="by-network"),
    pytest.param("192.0.2 RELAY", "192.0.2.7", "250", id="without-a-tag"),
    pytest.param("Connect:192.0.2 RELAY\nConnect:192.0.2.7 SKIP", "192.0.2.7", "550", id="but-one"),
    pytest.param("Connect:192.0.2 OK", "192.0.2.7", "550", id="a-welcome-is-not-enough"),
    pytest.param("Connect:desk.test RELAY", "192.0.2.7", "250", id="by-name"),
    pytest.param("Connect:desk.test RELAY", "192.0.2.8", "550", id="not-by-a-name-that-does-not-lead-back"),
    pytest.param("Connect:[192.0.2.9] RELAY", "192.0.2.9", "250", id="without-a-name"),
    pytest.param("Connect:[192.0.2.7] RELAY", "192.0.2.7", "550", id="brackets-are-not-for-those-with-a-name"),
    pytest.param("To:far.test OK", "192.0.2.7", "550", id="a-welcome-recipient-is-not-enough"),
    pytest.param("To:far.test RELAY", "192.0.2.7", "250", id="to-a-domain"),
    pytest.param("To:test RELAY", "192.0.2.7", "250", id="to-all-below"),
    pytest.param("To:user@far.test RELAY", "192.0.2.7", "250", id="to-an-address"),
    pytest.param("To:user@ RELAY", "192.0.2.7", "550", id="not-to-a-name-anywhere"),
    pytest.param("To:far.test RELAY\nConnect:192.0.2.7 REJECT", "192.0.2.7", "503", id="unless-the-client-is-refused"),
])
@pytest.mark.parametrize("stages", [("access", "relaying", "recipients"), ("recipients", "relaying", "access")], ids=["before", "behind"])
def test_the_access_list_relays_by_RELAY_alone(rules: str, host: str, code: str, stages: tuple[str, ...]) -> None:
    house = SmtpHouse(access=rules)
    house.lookup.names |= {"192.0.2.7": {"PTR": ["desk.test"]}, "192.0.2.8": {"PTR": ["desk.test"]}, "desk.test": {"A": ["192.0.2.7"]}}
    assert answer(house, "<user@far.test>", host, stages=stages)[:3] == code


class Waves:
    """A stage from elsewhere that accepts every recipient."""

    name = "waves"
    point = Point.RECIPIENT

    async def judge(self, transaction: Any, recipient: Any) -> Status:
        return Status(250, "2.1.5", "Come in")


def test_whatever_another_stage_accepts_the_gate_is_asked() -> None:
    house = SmtpHouse(stages=(Waves(),))
    assert answer(house, "<user@far.test>").startswith("550 5.7.1")
    assert answer(house, "<fred@here.example>").startswith("250")
