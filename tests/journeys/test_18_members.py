"""The members of mailing lists: how they come and go, by mail and by one click, and what becomes of those nobody reaches."""

from __future__ import annotations

import re
from email.message import Message
from typing import Any

import pytest

from tests.journeys.house import FAR, Client, House
from tests.journeys.lists import BROKEN, LIST, members, note, post, sent_to, write
from tests.relay.peers import Peer
from twistmail.lists.notes import DAY

# ----- coming and going by mail

TOKEN = re.compile(r"news-confirm\+[0-9a-f]+@blue\.test")


def confirm_address(letter: Message | bytes) -> str:
    text = letter.decode() if isinstance(letter, bytes) else letter.as_string()
    return TOKEN.findall(text)[0]


def test_whoever_wants_to_be_on_it_confirms_that_and_is_welcomed(build: Any) -> None:
    house: House = build(f"{LIST}subscribe = confirm\n")
    peer = house.town("far.test", FAR)
    write(house, "news-subscribe@blue.test")
    assert (sent_to(peer), "eve@far.test" in members(house)) == ([("", "eve@far.test")], False), "nobody answers the null sender"
    write(house, confirm_address(peer.contents[0]))
    assert "eve@far.test" in members(house)
    assert b"You are on the mailing list news@blue.test now, as eve@far.test." in peer.contents[1]
    assert all(b"Auto-Submitted: auto-generated" in content for content in peer.contents)
    post(house)
    assert sent_to(peer)[-1][1] == "eve@far.test"


def test_where_a_list_is_closed_there_is_nobody_to_subscribe_with(build: Any) -> None:
    house: House = build(LIST)
    assert house.smtp("MAIL FROM:<eve@far.test>", "RCPT TO:<news-subscribe@blue.test>")[-1].startswith("550 5.1.1")


def test_whoever_says_that_he_is_a_member_does_not_take_him_off(build: Any) -> None:
    house: House = build(LIST)
    peer = house.town("far.test", FAR)
    write(house, "news-unsubscribe@blue.test", "harry@far.test")
    assert "harry@far.test" in members(house)
    write(house, confirm_address(peer.contents[0]), "harry@far.test")
    assert "harry@far.test" not in members(house), "although the configuration names him"
    post(house)
    assert [recipient for _, recipient in sent_to(peer)] == ["harry@far.test", "harry@far.test"], "the question and the goodbye"


NOT_ANSWERED = {
    "a vacation": ("news-subscribe@blue.test", b"Auto-Submitted: auto-replied\r\n"),
    "bulk": ("news-subscribe@blue.test", b"Precedence: bulk\r\n"),
    "a list": ("news-subscribe@blue.test", b"List-Id: <x.far.test>\r\n"),
    "a program": ("news-request@blue.test", b"Auto-Submitted: auto-generated\r\n"),
    "one who is not on it": ("news-unsubscribe@blue.test", b""),
    "a guess": ("news-confirm+0123456789abcdef@blue.test", b""),
    "another guess": ("news-unsubscribe+aaaaaaaaaaaaaaaa@blue.test", b""),
    "to where reports go": ("news-bounces@blue.test", b""),
}


def test_who_is_not_answered(build: Any) -> None:
    house: House = build(f"{LIST}subscribe = confirm\n")
    peer = house.town("far.test", FAR)
    for name, (to, more) in NOT_ANSWERED.items():
        write(house, to, more=more)
        assert (peer.said, house.waiting) == ([], []), name


@pytest.mark.parametrize("role", ["subscribe", "request"])
def test_nobody_is_written_to_whom_only_the_header_names(build: Any, role: str) -> None:
    house: House = build(f"{LIST}subscribe = confirm\n")
    peer = house.town("far.test", FAR)
    assert house.send(b"From: victim@far.test\r\n\r\nx\r\n", f"news-{role}@blue.test", sender="eve@far.test").startswith("250")
    house.settle()
    assert (peer.said, house.waiting) == ([], [])


def test_a_vacation_confirms_nothing(build: Any) -> None:
    house: House = build(f"{LIST}subscribe = confirm\n")
    peer = house.town("far.test", FAR)
    write(house, "news-subscribe@blue.test")
    write(house, confirm_address(peer.contents[0]), more=b"Auto-Submitted: auto-replied\r\n")
    assert "eve@far.test" not in members(house)


def test_nobody_is_written_to_twice_a_day_however_often_somebody_borrows_his_name(build: Any) -> None:
    house: House = build(f"{LIST}subscribe = confirm\n")
    peer = house.town("far.test", FAR)
    for _ in range(5):
        write(house, "news-subscribe@blue.test")
    assert len(peer.contents) == 1
    house.pass_time(DAY + 60, step=3600)
    write(house, "news-subscribe@blue.test")
    assert len(peer.contents) == 2


@pytest.mark.parametrize(("subject", "expected"), [
    pytest.param(b"Unsubscribe me please", b"Please confirm: unsubscribe", id="unsubscribe"),
    pytest.param(b"help", b"About the list", id="help"),
    pytest.param(b"what is this", b"About the list", id="anything"),
    pytest.param(b"subscribe", b"About the list", id="who-is-on-it-already"),
])  # fmt: skip
def test_what_can_be_asked_of_request(build: Any, subject: bytes, expected: bytes) -> None:
    house: House = build(LIST)
    peer = house.town("far.test", FAR)
    house.send(b"From: harry@far.test\r\nSubject: %s\r\n\r\nx\r\n" % subject, "news-request@blue.test", sender="harry@far.test")
    house.settle()
    assert expected in peer.contents[0]


def test_the_owner_has_an_address(build: Any) -> None:
    house: House = build(LIST)
    write(house, "news-owner@blue.test")
    assert len(house.mail("fred")) == 1


# ----- one click

CLICK = f"[lists]\nurl = https://lists.blue.test/u\nlisten = tcp:0:interface=127.0.0.1\n{LIST}"
ONE_CLICK = b"List-Unsubscribe=One-Click"


def http(house: House, method: str, path: str, body: bytes = b"", kind: str = "application/x-www-form-urlencoded") -> str:
    client: Client = house.client("lists")
    length = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if method == "POST" else ""
    client.feed(f"{method} {path} HTTP/1.1\r\nHost: lists.blue.test\r\n{length}\r\n".encode() + body)
    return client.transport.value().decode()


def links(content: bytes) -> tuple[str, str]:
    """The path of the page, and the address, by which a reader of *content* leaves."""
    found = re.search(rb"List-Unsubscribe: <https://lists\.blue\.test(/u/\S+)>,\r\n <mailto:(\S+)>\r\n", content)
    assert found, content
    return found[1].decode(), found[2].decode()


def test_one_click_takes_off_whom_it_was_made_for_and_a_look_nobody(build: Any) -> None:
    house: House = build(CLICK)
    peer = house.town("far.test", FAR)
    post(house)
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in peer.contents[0]
    path, _ = links(peer.contents[0])
    assert path != links(house.files("bob")[0].replace(b"\n", b"\r\n"))[0]
    page = http(house, "GET", path)
    assert page.startswith("HTTP/1.1 200")
    assert '<form method="post">' in page
    assert "harry@far.test" in members(house), "scanners look at every link"
    assert http(house, "POST", path, ONE_CLICK).startswith("HTTP/1.1 200")
    assert members(house) == ["ann@blue.test", "bob@blue.test"]
    assert http(house, "POST", path, ONE_CLICK).startswith("HTTP/1.1 200"), "again is the same"
    post(house)
    assert len(peer.contents) == 1


def test_multipart_is_understood_as_well(build: Any) -> None:
    """RFC 8058 §3.2."""
    house: House = build(CLICK)
    peer = house.town("far.test", FAR)
    post(house)
    body = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    assert http(house, "POST", links(peer.contents[0])[0], body, "multipart/form-data; boundary=x").startswith("HTTP/1.1 200")
    assert "harry@far.test" not in members(house)


def test_by_mail_the_token_is_enough(build: Any) -> None:
    house: House = build(CLICK)
    peer = house.town("far.test", FAR)
    post(house)
    write(house, links(peer.contents[0])[1], "somebody@else.test".replace("else", "far"))
    assert "harry@far.test" not in members(house)


NOT_TAKEN = {
    "a guess": ("POST", "/u/news@blue.test/aaaaaaaaaaaaaaaa", ONE_CLICK, 404),
    "a look at a guess": ("GET", "/u/news@blue.test/aaaaaaaaaaaaaaaa", b"", 404),
    "no token": ("POST", "/u/news@blue.test/", ONE_CLICK, 404),
    "no list": ("POST", "/u/nolist@blue.test/aaaaaaaaaaaaaaaa", ONE_CLICK, 404),
    "no address": ("POST", "/u/%00/%ff", ONE_CLICK, 404),
    "something else": ("POST", "/u/news@blue.test/aaaaaaaaaaaaaaaa", b"x=y", 400),
    "another page": ("POST", "/", ONE_CLICK, 405),
    "a long body": ("POST", "/u/news@blue.test/a", b"x" * 5000, 413),
    "another method": ("PUT", "/u/news@blue.test/a", b"", 405),
}


def test_what_the_pages_do_not_take(build: Any) -> None:
    house: House = build(CLICK)
    for name, (method, path, body, code) in NOT_TAKEN.items():
        assert http(house, method, path, body).startswith(f"HTTP/1.1 {code} "), name
    assert len(members(house)) == 3


# ----- mail that comes back


def report(house: House, to: str, action: str = "failed", sender: str = "", status: str = "5.1.1") -> None:
    """What a server of the world sends to *to* about mail that it could not deliver."""
    text = (
        "From: MAILER-DAEMON@far.test\r\nSubject: Undeliverable\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nSorry.\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; far.test\r\n\r\n"
        "Final-Recipient: rfc822; harry@far.test\r\n"
        f"Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 No such user\r\n--x--\r\n"
    )
    house.send(text.encode(), to, sender=sender)
    house.settle()


def bounces(peer: Peer, to: str = "harry@far.test") -> str:
    """The sender of the last copy for *to*."""
    return next(sender for sender, recipient in reversed(sent_to(peer)) if recipient == to and sender)


def test_after_so_many_days_of_it_a_member_gets_nothing_more_and_the_owner_hears_that(build: Any) -> None:
    house: House = build(f"{LIST}suspend_after = 3\n")
    peer = house.town("far.test", FAR)
    for day in range(3):
        assert house.mail("fred") == []
        post(house)
        for _ in range(4):  # often on one day counts once
            report(house, bounces(peer))
        found = note(house, "harry@far.test")
        assert (found.bounces, bool(found.suspended)) == (day + 1, day == 2)
        house.pass_time(DAY + 60, step=3600)
    (letter,) = house.mail("fred")
    assert "550 No such user" in letter.as_string()
    before = len(peer.contents)
    post(house)
    assert len(peer.contents) == before
    assert len(house.mail("bob")) == 4, "the others are not concerned"


def test_a_refusal_at_once_counts_as_a_report_does(build: Any) -> None:
    """Our own queue writes the report then."""
    house: House = build(f"{LIST}suspend_after = 1\n")
    house.town("far.test", FAR, {b"RCPT": BROKEN})
    post(house)
    found = note(house, "harry@far.test")
    assert found.suspended
    assert "5.1.1" in found.why
    assert house.mail("ann")[0]["Subject"] == "hello", "who wrote to the list hears nothing of its members"
    assert len(house.mail("ann")) == 1


def test_a_message_that_nobody_takes_suspends_nobody(build: Any) -> None:
    """Else whoever may write to the list could have all members suspended."""
    house: House = build(f"{LIST}suspend_after = 1\n")
    house.town("far.test", FAR, {b"DATA": b"554 5.7.1 That is spam"})
    post(house)
    assert (note(house, "harry@far.test"), house.waiting) == (None, [])


def test_after_a_while_one_message_is_tried_and_decides(build: Any) -> None:
    house: House = build(f"{LIST}suspend_after = 1\nretry_after = 7d\n")
    peer = house.town("far.test", FAR)
    post(house)
    report(house, bounces(peer))
    house.pass_time(8 * DAY, step=6 * 3600)
    post(house)
    post(house)
    assert len(peer.contents) == 2, "one is tried"
    report(house, bounces(peer))
    house.pass_time(8 * DAY, step=6 * 3600)
    post(house)
    assert len(peer.contents) == 3, "it came back, and it begins anew"
    house.pass_time(6 * DAY, step=6 * 3600)
    post(house)
    post(house)
    assert len(peer.contents) == 5, "it did not come back"
    assert note(house, "harry@far.test").suspended == 0


@pytest.mark.parametrize(("action", "sender", "status", "counts"), [
    pytest.param("failed", "", "5.1.1", True, id="a-report"),
    pytest.param("delayed", "", "5.1.1", False, id="a-warning"),
    pytest.param("failed", "eve@far.test", "5.1.1", False, id="somebody-who-has-a-sender"),
    pytest.param("failed", "", "5.7.1", False, id="what-one-message-was-refused-for"),
])  # fmt: skip
def test_what_counts_as_mail_that_came_back(build: Any, action: str, sender: str, status: str, counts: bool) -> None:
    house: House = build(LIST)
    peer = house.town("far.test", FAR)
    post(house)
    report(house, bounces(peer), action, sender, status)
    assert (note(house, "harry@far.test") is not None) is counts


def test_nobody_suspends_a_member_whose_token_he_has_not(build: Any) -> None:
    house: House = build(LIST)
    for token in ("", "+", "+aaaaaaaaaaaaaaaa", "+harry=far.test"):
        report(house, f"news-bounces{token}@blue.test")
    assert note(house, "harry@far.test") is None
    assert house.waiting == []


def test_a_member_whom_nobody_here_knows_any_more_is_one_whose_mail_comes_back(build: Any) -> None:
    house: House = build("[list:news@blue.test]\nowners = fred\nmembers = ann gone@blue.test\n")
    post(house)
    assert note(house, "gone@blue.test").bounces == 1
    assert len(house.mail("ann")) == 1
