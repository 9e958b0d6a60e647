"""What a dialogue file cannot say: what reached the mailboxes, what is left behind, what it costs."""

from __future__ import annotations

import errno
import tracemalloc
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.servers.smtp.house import SmtpHouse
from twistmail.drafts import Drafts
from twistmail.interfaces import Point, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address
from twistmail.mail.envelope import Notify, Peer, Role, Wishes
from twistmail.mail.status import OVER_QUOTA, Status
from twistmail.servers.smtp.session import LONGEST_VISIT, SmtpSession
from twistmail.wire.smtp.content import Limits
from twistmail.wire.smtp.server import SmtpServerWire

BEGIN = ("EHLO peer.example", "MAIL FROM:<eve@away.example>", "RCPT TO:<fred@here.example>", "DATA")


@pytest.fixture
def house(tmp_path: Path) -> SmtpHouse:
    return SmtpHouse(drafts=Drafts(tmp_path / "drafts"))


def drafts_of(house: SmtpHouse) -> list[Path]:
    return list(house.drafts.folder.iterdir())


class Says:
    """A stage with one verdict at one point."""

    name = "says"

    def __init__(self, point: Point, verdict: Any) -> None:
        self.point = point
        self.verdict = verdict

    async def judge(self, *about: Any) -> Any:
        if isinstance(self.verdict, Deferred):
            await self.verdict
            return None
        return self.verdict


def test_a_small_message_reaches_the_mailbox_without_touching_the_disk(house: SmtpHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.drafts, "open", lambda: pytest.fail("no draft is needed"))
    player = house.player()
    player.say(*BEGIN)
    assert player.say("Subject: x", "", "..dot", ".")[-1].startswith("250 2.0.0")
    (content,) = house.contents
    assert content.startswith(b"Received: from peer.example ([192.0.2.7])")
    assert b"with ESMTP" in content
    assert content.endswith(b"\r\nSubject: x\r\n\r\n.dot\r\n")


def test_a_big_message_goes_through_a_draft_that_does_not_stay(house: SmtpHouse) -> None:
    player = house.player()
    player.say(*BEGIN)
    message = b"A: b\r\n\r\n" + b"".join(b"%09d\r\n" % number for number in range(100_000))
    for at in range(0, len(message), 60_000):
        player.feed(message[at : at + 60_000])
    assert len(drafts_of(house)) == 1
    assert house.contents == []
    player.feed(b".\r\n")
    assert player.heard()[-1].startswith("250")
    assert house.contents[0].endswith(message)
    assert drafts_of(house) == []


def test_a_header_without_an_end_is_refused_and_leaves_nothing(house: SmtpHouse) -> None:
    player = house.player()
    player.say(*BEGIN)
    player.feed(b"X: y\r\n" * 100_000 + b".\r\n")
    assert player.heard()[-1].startswith("552 5.3.4")
    assert house.refused == [("content", 552)]
    assert drafts_of(house) == []


@pytest.mark.parametrize("size", [pytest.param(100, id="in-memory"), pytest.param(500_000, id="in-a-draft")])
def test_nothing_is_delivered_when_the_peer_vanishes_in_mid_content(house: SmtpHouse, size: int) -> None:
    player = house.player()
    player.say(*BEGIN)
    player.feed(b"A: b\r\n\r\n" + b"x" * size)
    player.leave()
    assert house.contents == []
    assert house.queued == []
    assert drafts_of(house) == []


def test_a_message_is_taken_over_though_the_peer_goes_before_it_hears_of_it(house: SmtpHouse) -> None:
    slow: Deferred[None] = Deferred()
    house.stages = (Says(Point.MESSAGE, slow),)
    player = house.player()
    player.say(*BEGIN, "A: b", "", "body", ".")
    player.leave()
    assert house.contents == []
    slow.callback(None)
    assert len(house.contents) == 1


def test_a_full_disk_is_weather(house: SmtpHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(house.drafts, "open", full)
    player = house.player()
    player.say(*BEGIN)
    player.feed(b"A: b\r\n\r\n" + b"x" * 600_000 + b"\r\n.\r\n")
    assert player.heard()[-1].startswith("452 4.3.1")
    assert player.say("NOOP") == ["250 2.0.0 Still here"]
    assert house.refused == [("disk", 452)]


def test_what_is_too_slow_is_ended(house: SmtpHouse) -> None:
    player = house.player(house.service(min_data_rate=500))
    player.say(*BEGIN)
    for _ in range(20):
        player.feed(b"x")
        player.advance(10)
    assert player.heard()[-1].startswith("421 4.4.2")
    assert player.transport.closed


def test_a_command_behind_STARTTLS_is_never_obeyed(house: SmtpHouse) -> None:
    player = house.player()
    player.say("EHLO peer.example")
    player.feed(b"STARTTLS\r\nMAIL FROM:<evil@away.example>\r\n")
    assert player.heard() == ["220 2.0.0 Go ahead with TLS"]
    assert player.transport.closed
    assert player.transport.contexts == []


def test_a_command_that_arrives_in_clear_during_the_handshake_is_forgotten(house: SmtpHouse) -> None:
    player = house.player()
    player.say("EHLO peer.example", "STARTTLS")
    player.feed(b"EHLO injected.example\r\n")
    player.finish_tls()
    assert player.heard() == []
    assert player.say("MAIL FROM:<a@away.example>")[-1].startswith("503")


def test_a_hundred_thousand_recipients_cost_a_connection_and_no_memory(house: SmtpHouse) -> None:
    player = house.player()
    player.say(*BEGIN[:2])
    tracemalloc.start()
    for _ in range(100):
        player.feed(b"RCPT TO:<fred@here.example>\r\n" * 1000)
        player.advance(5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    lines = player.heard()
    assert sum(line.startswith("250") for line in lines) == 200
    assert lines[-1].startswith("421 4.7.0")
    assert player.transport.closed
    assert peak < 4 * 1024 * 1024


def test_recipients_over_the_limit_do_not_cost_those_within_it(house: SmtpHouse) -> None:
    player = house.player(house.service(max_recipients=2))
    lines = player.say(*BEGIN[:2], *["RCPT TO:<fred@here.example>"] * 100, "DATA")
    assert lines[-1].startswith("354")
    assert sum(line.startswith("452 4.5.3") for line in lines) == 98


def test_a_peer_that_never_reads_is_not_listened_to_for_ever(house: SmtpHouse) -> None:
    player = house.player(house.service(max_junk_commands=10**9))
    player.pump.pauseProducing()  # the transport is full
    for _ in range(200):
        if player.transport.producerState == "paused" or player.transport.disconnecting:
            break
        player.feed(b"HELP\r\n" * 2000)
    assert player.transport.producerState == "paused"
    assert player.pump.wire.buffered < 400_000
    player.advance(301)
    assert player.transport.closed


def test_unavailable_tables_are_weather(house: SmtpHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(address: Any) -> Any:
        raise Unavailable("the table is away")

    monkeypatch.setattr(house.people, "find", silent)
    player = house.player(house.service(stages=()))
    assert player.say(*BEGIN[:3])[-1] == "451 4.3.0 An address table cannot be read at the moment, please try again later"
    player = house.player()
    assert player.say(*BEGIN[:3])[-1].startswith("451 4.3.0")


def test_passwords_that_cannot_be_checked_are_weather(house: SmtpHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(login: str, password: str, service: str = "") -> Any:
        raise Unavailable("the table is away")

    monkeypatch.setattr(house.people, "authenticate", silent)
    player = house.player(house.service(Role.SUBMISSION, plaintext=True))
    assert player.say("EHLO a", "AUTH PLAIN AGZyZWQAc2VzYW1l")[-1].startswith("454 4.7.0")


def test_nothing_of_the_clear_part_survives_STARTTLS_but_the_failures(house: SmtpHouse) -> None:
    player = house.player(house.service(Role.SUBMISSION, plaintext=True, tls="offered"))
    player.say("EHLO a")
    for delay in (2, 4):
        player.say("AUTH PLAIN AGZyZWQAbm8=")
        player.advance(delay)
    player.say("AUTH PLAIN AGZyZWQAc2VzYW1l", "STARTTLS")
    player.finish_tls()
    player.heard()
    assert player.say("EHLO a", "MAIL FROM:<fred@here.example>")[-1].startswith("530")
    player.say("AUTH PLAIN AGZyZWQAbm8=")
    player.advance(8)
    assert player.heard()[-1].startswith("421"), "the third failure, counted from the beginning"


@pytest.mark.parametrize(("point", "lines", "code"), [
    pytest.param(Point.CONNECT, (), 554, id="connect"),
    pytest.param(Point.HELLO, BEGIN[:1], 550, id="hello"),
    pytest.param(Point.SENDER, BEGIN[:2], 550, id="sender"),
    pytest.param(Point.RECIPIENT, BEGIN[:3], 550, id="recipient"),
    pytest.param(Point.MESSAGE, (*BEGIN, "A: b", "", "."), 550, id="message"),
])
def test_a_stage_refuses_at_its_point_and_the_refusal_is_told(house: SmtpHouse, point: Point, lines: tuple[str, ...], code: int) -> None:
    house.stages = (Says(point, Status(550, "5.7.1", "no")),)
    player = house.player()
    last = (player.heard() + player.say(*lines))[-1]
    assert last.startswith(f"{code} 5.7.1 no")
    assert ("says", 550) in house.refused
    assert player.transport.closed == (point is Point.CONNECT)


def test_a_temporary_refusal_at_the_door_is_a_421(house: SmtpHouse) -> None:
    house.stages = (Says(Point.CONNECT, Status(450, "4.7.0", "later")),)
    player = house.player()
    assert player.heard() == ["421 4.7.0 later"]
    assert player.transport.closed


def test_a_message_that_is_accepted_forgives_earlier_errors(house: SmtpHouse) -> None:
    player = house.player(house.service(soft_errors=100, hard_errors=3))
    for _ in range(5):
        player.say("NONSENSE", "NONSENSE", *BEGIN, "A: b", "", ".")
    assert not player.transport.closed
    assert len(house.contents) == 5


@pytest.mark.parametrize(("why", "code"), [("timed out", "421 4.4.2"), ("shutdown", "421 4.3.2"), ("bug", "421 4.3.0")])
def test_last_words(house: SmtpHouse, why: str, code: str) -> None:
    (status,) = house.player().pump.session.last_words(why)
    assert str(status).startswith(code)


def test_a_bug_of_ours_costs_the_connection_and_tells_nothing(house: SmtpHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    service = house.service()

    async def broken(transaction: Any) -> Any:
        raise ZeroDivisionError("the secret is 42")

    monkeypatch.setattr(service.reception, "accept", broken)
    player = house.player(service)
    lines = player.say(*BEGIN, "A: b", "", ".")
    assert lines[-1].startswith("421 4.3.0")
    assert "secret" not in "".join(lines)
    assert player.transport.closed
    assert drafts_of(house) == []


def test_the_wire_of_a_connection_has_the_limits_of_its_settings(house: SmtpHouse) -> None:
    player = house.player(house.service(max_message=100))
    assert isinstance(player.pump.wire, SmtpServerWire)
    assert "250-SIZE 100" in player.say("EHLO a")
    assert player.say(*BEGIN[1:], "x" * 200, ".")[-1].startswith("552 5.3.4")


def test_a_stranger_who_keeps_talking_is_sent_away_after_an_hour_and_a_user_is_not(house: SmtpHouse) -> None:
    stranger = SmtpSession(Peer("conn-1", "192.0.2.1", 1), house.service(), Limits())
    user = SmtpSession(Peer("conn-2", "192.0.2.1", 1, account=Account("ann@here.example")), house.service(), Limits())
    assert stranger.patience == user.patience == 300.0
    house.clock.advance(LONGEST_VISIT - 100)
    assert (stranger.patience, user.patience) == (100.0, 300.0)
    house.clock.advance(200)
    assert (stranger.patience, user.patience) == (0.0, 300.0)


def test_what_is_asked_of_the_delivery_goes_with_the_message(house: SmtpHouse) -> None:
    player = house.player()
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example> RET=HDRS ENVID=a+2Bb SMTPUTF8 AUTH=ann+40x",
               "RCPT TO:<team@here.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;team@x", "DATA", "Subject: x", "")  # fmt: skip
    assert player.say(".")[0].startswith("250 2.0.0")
    (item, _) = house.queued[0]
    assert item.wishes == Wishes(ret="HDRS", envid="a+2Bb", utf8=True), "a stranger's AUTH= means nothing"
    assert {(errand.target.original == errand.target.address, errand.notify, errand.orcpt) for errand in item.errands} == {
        (False, frozenset({Notify.FAILURE}), "rfc822;team@x"),
        (True, frozenset({Notify.SUCCESS, Notify.FAILURE}), "rfc822;team@x"),
    }, "a success is told of the name for several"
    assert b"with UTF8SMTP" in house.contents[0]


def test_what_is_to_be_held_is_queued_whole(house: SmtpHouse) -> None:
    player = house.player(house.service(Role.SUBMISSION, plaintext=True, tls="offered"))
    player.say("EHLO [192.0.2.7]", "AUTH PLAIN AGZyZWRAaGVyZS5leGFtcGxlAHNlc2FtZQ==")
    player.say("MAIL FROM:<fred@here.example> HOLDFOR=60 AUTH=<> MT-PRIORITY=3", "RCPT TO:<ann@here.example>", "DATA", "Subject: x", "")
    assert player.say(".")[0].startswith("250 2.0.0")
    assert house.contents == []
    (item, _) = house.queued[0]
    assert item.wishes == Wishes(hold_until=60.0, priority=3, auth="<>")
    assert len(item.pending) == 1


@pytest.mark.parametrize("size", [10, 400_000])
def test_binary_content_is_encoded_for_the_store(house: SmtpHouse, size: int) -> None:
    content = b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + b"\n\0" * size
    player = house.player()
    player.say("EHLO peer.example", "MAIL FROM:<eve@away.example> BODY=BINARYMIME", "RCPT TO:<fred@here.example>")
    player.feed(b"BDAT %d LAST\r\n" % len(content) + content)
    assert player.heard()[0].startswith("250 2.0.0")
    stored = message_from_bytes(house.contents[0])
    assert stored["Content-Transfer-Encoding"] == "base64"
    assert stored.get_payload(decode=True) == b"\n\0" * size
    assert list(house.drafts.folder.iterdir()) == []


def test_lmtp_answers_for_each_recipient_and_keeps_what_the_queue_can_take(house: SmtpHouse) -> None:
    house.boxes.answers[Address("ann", "here.example")] = OVER_QUOTA
    player = house.player(house.service(Role.LMTP), "unix")
    player.say("LHLO front.example", "MAIL FROM:<eve@away.example>")
    player.say("RCPT TO:<fred@here.example>", "RCPT TO:<ann@here.example>", "RCPT TO:<team@here.example>", "DATA", "Subject: x", "")
    assert [answer[:9] for answer in player.say(".")] == ["250 2.0.0", "452 4.2.2", "250 2.0.0"]
    (item, _) = house.queued[0]
    assert [str(errand.target.address) for errand in item.pending] == ["carl@away.example"]
