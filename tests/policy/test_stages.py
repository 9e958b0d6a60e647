"""The built-in stages, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.helpers import result_of
from tests.servers.smtp.house import DOMAINS, SmtpHouse
from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import Peer, Role, Transaction
from twistmail.options import Section
from twistmail.policy.builtin import STAGES
from twistmail.policy.loops import Loops
from twistmail.servers.smtp_options import MX, SUBMISSION

FRED = Account("fred@here.example")
FREDS = parse("fred@here.example")


def peer(connection: str = "c1", address: str = "192.0.2.7", **more: Any) -> Peer:
    return Peer(connection, address, 4711, **more)


def mail(header: bytes = b"", sender: Address | None = FREDS, account: Account | None = FRED) -> Transaction:
    return Transaction(peer(role=Role.SUBMISSION, account=account), "item-1", 0.0, sender, header=header)


@pytest.mark.parametrize("role", [Role.MX, Role.SUBMISSION])
@pytest.mark.parametrize("word", STAGES)
def test_every_stage_keeps_the_contract(word: str, role: Role) -> None:
    factory = STAGES[word]
    verifyObject(IPolicyStageFactory, factory)
    assert factory.name == word
    for stage in factory.build(None, SmtpHouse().house(role)):
        assert IPolicyStage.providedBy(stage)
        assert stage.name == word
        assert isinstance(stage.point, Point)


@pytest.mark.parametrize("section", [MX, SUBMISSION])
def test_the_stages_of_the_defaults_exist(section: Section) -> None:
    assert set(section.defaults().stages) <= set(STAGES)


# ----- loops


@pytest.mark.parametrize(("header", "refused"), [
    pytest.param(b"Received: x\r\n" * 50 + b"\r\n", False, id="fifty-hops"),
    pytest.param(b"received: x\r\n" * 51 + b"\r\n", True, id="fifty-one-hops"),
    pytest.param(b"Delivered-To: fred@here.example\r\n\r\n", False, id="fetched-mail-was-delivered-once"),
    pytest.param(b"Delivered-To: fred@here.example\r\nX: y\r\nDelivered-To:\r\n Fred@Here.example\r\n\r\n", True, id="delivered-twice"),
    pytest.param(b"Delivered-To: fred@here.example\r\nDelivered-To: ann@here.example\r\n\r\n", False, id="to-two-of-us"),
    pytest.param(b"Delivered-To: x@away.example\r\nDelivered-To: x@away.example\r\n\r\n", False, id="twice-elsewhere-is-not-our-business"),
])
def test_loops(header: bytes, refused: bool) -> None:
    verdict = result_of(Loops(50, DOMAINS).judge(mail(header)))
    assert (verdict.code if verdict else None) == (554 if refused else None)


# ----- submission


def test_mail_from_the_world_is_never_touched() -> None:
    house = SmtpHouse()
    player = house.player(house.service(stages=tuple(STAGES)))
    player.say("EHLO peer.example", "MAIL FROM:<a@away.example>", "RCPT TO:<fred@here.example>", "DATA", "Bcc: x@y", "", "text", ".")
    assert house.contents[0].endswith(b"\r\nBcc: x@y\r\n\r\ntext\r\n")


def test_a_submitted_message_is_completed_on_its_way() -> None:
    house = SmtpHouse()
    player = house.player(house.service(Role.SUBMISSION, plaintext=True, tls="offered"))
    player.say("EHLO pc", "AUTH PLAIN AGZyZWQAc2VzYW1l", "MAIL FROM:<fred@here.example>", "RCPT TO:<x@away.example>", "DATA")
    assert player.say("Bcc: y@away.example", "Subject: x", "", "text", ".")[-1].startswith("250")
    ((item, content),) = house.queued
    assert item.account == "fred@here.example"
    assert content.startswith(b"Subject: x\r\nDate: ")
    assert content.endswith(b"\r\nFrom: fred@here.example\r\n\r\ntext\r\n")
