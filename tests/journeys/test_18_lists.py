"""Mailing lists from end to end: who may write, what the members get, and that they get it once."""

from __future__ import annotations

import errno
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.house import FAR, House, identifier
from tests.journeys.lists import LIST, MEMBERS, NEWS, POST, members, note, post, sent_to, write
from twistmail.dry_run import DryRun, read
from twistmail.facts import Removed
from twistmail.lists.book import Book
from twistmail.lists.notes import DAY, Note
from twistmail.mail.address import parse
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Peer, Target, Transaction, Wishes
from twistmail.mail.item import Errand, Item
from twistmail.mail.outcome import Result
from twistmail.policy.pipeline import Pipeline
from twistmail.receiving import trial

# ----- to the members


def test_each_member_gets_it_once_with_the_fields_of_the_list_and_a_sender_who_hears_of_failures(build: Any) -> None:
    house: House = build(f"{LIST}description = What is new\narchive = https://blue.test/news\n")
    peer = house.town("far.test", FAR)
    post(house)
    (mine,) = house.mail("ann")
    assert [len(house.mail("bob")), len(peer.contents), house.waiting] == [1, 1, []]
    fields = {name: mine[name] for name in mine.keys() if name.startswith("List-")}  # noqa: SIM118 - a Message is no dict
    assert fields == {
        "List-Id": '"What is new" <news.blue.test>',
        "List-Post": "<mailto:news@blue.test>",
        "List-Help": "<mailto:news-request@blue.test?subject=help>",
        "List-Unsubscribe": "<mailto:news-unsubscribe@blue.test>",
        "List-Owner": "<mailto:news-owner@blue.test>",
        "List-Archive": "<https://blue.test/news>",
    }
    assert (mine["From"], mine["To"], mine["Subject"], mine["Precedence"]) == ("Ann <ann@blue.test>", "news@blue.test", "hello", "list")
    assert mine["Return-Path"] == "<news-bounces@blue.test>"
    ((sender, recipient),) = sent_to(peer)
    assert recipient == "harry@far.test"
    assert re.fullmatch(r"news-bounces\+[a-z2-7]{16}@blue\.test", sender), "it tells of whom a report is"


def test_what_an_author_has_signed_is_not_changed(build: Any) -> None:
    """So DKIM stays good and DMARC content; a tag and Reply-To are the operator's choice."""
    house: House = build(LIST)
    peer = house.town("far.test", FAR)
    post(house)
    for line in POST.split(b"\r\n"):
        assert line in peer.contents[0].split(b"\r\n")
    assert peer.contents[0].endswith(b"\r\n\r\nhow are you\r\n")


@pytest.mark.parametrize(("settings", "subject", "reply_to"), [
    pytest.param("", "hello", None, id="as-it-came"),
    pytest.param("subject_tag = [News]\nreply_to = list\n", "[News] hello", "news@blue.test", id="a-tag-and-answers-to-the-list"),
    pytest.param("reply_to = desk@blue.test\n", "hello", "desk@blue.test", id="answers-to-somebody"),
])  # fmt: skip
def test_what_the_operator_may_change(build: Any, settings: str, subject: str, reply_to: str | None) -> None:
    house: House = build(LIST + settings)
    post(house)
    (mine,) = house.mail("bob")
    assert (mine["Subject"], mine["Reply-To"]) == (subject, reply_to)


def test_a_file_and_a_group_are_members_too_and_nobody_gets_two(build: Any, tmp_path: Path) -> None:
    (tmp_path / "people").write_text("# who\nBob <bob@blue.test>\nfred # at work\n\nnobody at all\n")
    house: House = build(f"[group:office]\nmembers = ann bob\n[list:news@blue.test]\nmembers = file:{tmp_path}/people group:office book\n")
    post(house)
    assert [len(house.mail(name)) for name in ("ann", "bob", "fred")] == [1, 1, 1]
    (tmp_path / "people").write_text("fred\n")
    assert members(house) == ["fred@blue.test", "ann@blue.test", "bob@blue.test"]


def test_a_list_on_itself_and_lists_on_each_other_end(build: Any) -> None:
    house: House = build(
        "[list:news@blue.test]\nmembers = news@blue.test ann more@blue.test\nposters = more@blue.test\n"
        "[list:more@blue.test]\nmembers = bob news@blue.test\nposters = news@blue.test\n"
    )
    post(house)
    assert [len(house.mail("ann")), len(house.mail("bob")), house.waiting] == [1, 1, []]
    assert house.mail("bob")[0].get_all("X-Loop") == ["news@blue.test", "more@blue.test"]
    assert house.mail("bob")[0].get_all("List-Id") == ["<news.blue.test>"], "RFC 2919 §7: a list below another keeps its id"


def test_a_thousand_members_are_one_message_in_the_queue(build: Any, tmp_path: Path) -> None:
    (tmp_path / "people").write_text("".join(f"m{number}@far.test\n" for number in range(1000)))
    house: House = build(f"[list:news@blue.test]\nmembers = file:{tmp_path}/people\npost = anyone\n")
    post(house)  # nobody is there yet
    (item,) = house.waiting
    assert len(item.errands) == 1000
    assert len({errand.target.sender for errand in item.errands}) == 1000


# ----- who may write


@pytest.mark.parametrize(("settings", "author", "answer"), [
    pytest.param("", "harry@far.test", "250", id="a-member"),
    pytest.param("", "Harry@far.test", "250", id="a-member-who-writes-himself-with-a-capital"),
    pytest.param("", "eve@far.test", "550 5.7.2", id="a-stranger"),
    pytest.param("posters = eve@far.test\n", "eve@far.test", "250", id="one-who-may-besides"),
    pytest.param("posters = @far.test\n", "eve@far.test", "250", id="everybody-from-there"),
    pytest.param("", "ann@blue.test", "550 5.7.2", id="somebody-who-says-he-is-a-user-of-ours"),
    pytest.param("local_writers = header\n", "ann@blue.test", "250", id="and-is-believed"),
    pytest.param("post = anyone\n", "eve@far.test", "250", id="anyone"),
    pytest.param("post = owners\n", "harry@far.test", "550 5.7.2", id="a-member-where-only-owners-may"),
    pytest.param("post = owners\nowners = harry@far.test\n", "harry@far.test", "550 5.7.2", id="who-says-he-is-the-owner"),
    pytest.param("post = owners\nlocal_writers = header\n", "fred@blue.test", "250", id="and-is-believed-as-an-owner"),
    pytest.param("post = anyone\n", "ann@blue.test", "550 5.7.2", id="anyone-but-not-in-our-name"),
    pytest.param("max_size = 30\n", "harry@far.test", "552 5.3.4", id="too-much"),
])  # fmt: skip
def test_who_may_write_is_said_at_the_door(build: Any, settings: str, author: str, answer: str) -> None:
    text = f"[list:news@blue.test]\n{MEMBERS}" + ("" if "owners =" in settings else "owners = fred\n") + settings
    house: House = build(text)
    house.town("far.test", FAR)
    assert write(house, "news@blue.test", author).startswith(answer)
    assert len(house.mail("bob")) == (answer == "250")
    assert house.mail("fred") == house.waiting == [], "nobody is written to about it"


@pytest.mark.parametrize(("sender", "author"), [
    pytest.param("mallory@evil.test", b"harry@far.test", id="only-the-header-names-a-member"),
    pytest.param("harry@far.test", b"mallory@evil.test", id="only-the-envelope"),
    pytest.param("harry@far.test", b"harry@far.test, mallory@evil.test", id="one-of-two-authors"),
    pytest.param("mallory@evil.test", b"fred@blue.test, mallory@evil.test", id="one-of-two-is-the-owner"),
    pytest.param("fred@blue.test", b"mallory@evil.test", id="the-owner-is-only-in-the-envelope"),
])  # fmt: skip
@pytest.mark.parametrize("who", ["members", "owners"])
def test_a_stranger_is_nobody_whom_only_half_of_his_message_names(build: Any, who: str, sender: str, author: bytes) -> None:
    house: House = build(f"{LIST}post = {who}\n")
    assert house.send(b"From: %s\r\n\r\nx\r\n" % author, "news@blue.test", sender=sender).startswith("550 5.7.2")


def test_who_has_logged_in_is_not_whom_his_envelope_names(build: Any) -> None:
    house: House = build(f"[submission]\nown_addresses_only = no\n{LIST}post = owners\n")
    answers = []
    for name in ("ann", "fred"):
        client = house.login("submission", name)
        for line in ("MAIL FROM:<fred@blue.test>", "RCPT TO:<news@blue.test>"):
            assert client.say(line)[-1].startswith("250")
        answers.append(client.content(b"From: fred@blue.test\r\n\r\nx\r\n")[:9])
    assert [answers[0], answers[1][:3]] == ["550 5.7.2", "250"]


def test_a_user_is_known_by_all_his_names_and_by_no_header(build: Any) -> None:
    house: House = build("[list:news@blue.test]\nmembers = bob\n[list:ours@blue.test]\nmembers = ann bob\n")
    forged = b"From: bob@blue.test\r\n\r\nx\r\n"
    client = house.login("submission")
    for to in ("MAIL FROM:<ann@blue.test>", "RCPT TO:<news@blue.test>"):
        assert client.say(to)[-1].startswith("250")
    assert client.content(forged).startswith("550 5.7.2")
    identifier(house.submit(forged, "ours@blue.test"))


NOT_PASSED_ON = {
    "the null sender": (b"", "", "550 5.7.2"),
    "a vacation": (b"Auto-Submitted: auto-replied (vacation)\r\n", "harry@far.test", "550 5.7.2"),
    "a report": (b"Content-Type: multipart/report; boundary=x\r\n", "harry@far.test", "550 5.7.2"),
    "its own id": (b'List-Id: "News" <NEWS.blue.test>\r\n', "harry@far.test", "554 5.4.6"),
    "its own mark": (b"X-Loop: other@x.test\r\nX-Loop: news@blue.test\r\n", "harry@far.test", "554 5.4.6"),
    "another list": (b"List-Id: <more.news.blue.test.far.test>\r\n", "harry@far.test", "250"),
    "a program that is a member": (b"Auto-Submitted: auto-generated\r\n", "harry@far.test", "250"),
}


def test_what_no_list_passes_on(build: Any) -> None:
    house: House = build(LIST)
    house.town("far.test", FAR)
    for name, (fields, sender, code) in NOT_PASSED_ON.items():
        answer = house.send(b"From: harry@far.test\r\n%s\r\nx\r\n" % fields, "news@blue.test", sender=sender)
        assert answer.startswith(code), name


def test_mail_that_came_past_the_door_is_dropped_without_a_word(build: Any) -> None:
    """An alias of the house, a stage that is not asked: the stranger whose name it bears may never have heard of it."""
    stages = "[mx]\nstages = limits hello senders relaying recipients loops\n"
    house: House = build(LIST + stages)
    peer = house.town("far.test", FAR)
    message = identifier(write(house, "news@blue.test"))
    house.pass_time(3600)
    (outcome,) = [what for what in house.told(about=message) if getattr(what, "result", None) is Result.FAILED]
    assert (outcome.target.kind, outcome.status.enhanced) == (Kind.LIST, "5.7.2")
    assert (house.waiting, peer.said, house.mail("bob")) == ([], [], [])


def test_what_was_let_in_at_the_door_is_sent_whatever_becomes_of_its_sender(build: Any, tmp_path: Path) -> None:
    """The door has seen another sender than the queue keeps, and a message without our Received field."""
    (tmp_path / "canonical").write_text("harry@far.test harald@far.test\n")
    message = b"From: harry@far.test\r\n\r\n" + b"x" * 100 + b"\r\n"
    house: House = build(f"[canonical]\ntable = {tmp_path}/canonical\n{LIST}max_size = {len(message)}\n")
    house.town("far.test", FAR)
    assert house.send(message, "news@blue.test", sender="harry@far.test").startswith("250")
    house.settle()
    assert len(house.mail("bob")) == 1


def test_another_address_of_a_user_is_a_member_as_he_himself_is(build: Any) -> None:
    user = "[user:wilma@blue.test]\npassword = sesame street\naddresses = w@blue.test\n"
    house: House = build(f"{user}[list:news@blue.test]\nmembers = w bob\n")
    client = house.login("submission", "wilma")
    for line in ("MAIL FROM:<wilma@blue.test>", "RCPT TO:<news@blue.test>"):
        assert client.say(line)[-1].startswith("250")
    assert client.content(POST).startswith("250")
    house.settle()
    assert len(house.mail("bob")) == 1


@pytest.mark.parametrize("has_let_in", [True, False])
def test_what_a_list_does_not_take_after_all_comes_back(build: Any, has_let_in: bool) -> None:
    """As by a rule of a user who sends mail on to it: nobody was asked at the door."""
    house: House = build(LIST)
    target = Target(Kind.LIST, NEWS, NEWS, way=str(NEWS))
    item = Item("i1-abc", parse("eve@far.test"), (Errand(target),), 0.0, 30)
    courier = house.parts.dispatch._couriers[Kind.LIST]
    if has_let_in:
        courier.lists.tools.book.let_in("i1-abc", NEWS, house.reactor.seconds())
    (outcome,) = house.run(courier.carry(item, [target], Memory(b"From: eve@far.test\r\n\r\n")))
    assert (outcome.result, outcome.passed_on) == (Result.DELIVERED if has_let_in else Result.FAILED, False)


@pytest.mark.parametrize(("account", "strict"), [
    pytest.param("ann@blue.test", True, id="who-has-logged-in"),
    pytest.param("", False, id="a-stranger"),
])  # fmt: skip
def test_only_who_has_logged_in_keeps_a_message_from_members_whose_servers_have_no_tls(build: Any, account: str, strict: bool) -> None:
    house: House = build("[list:news@blue.test]\nmembers = harry@far.test\npost = anyone\n")
    target = Target(Kind.LIST, NEWS, NEWS, way=str(NEWS))
    header = b"From: eve@far.test\r\n\r\n"
    item = Item("i1-abc", parse("eve@far.test"), (Errand(target),), 0.0, 30, account=account, wishes=Wishes(require_tls=True))
    courier, submitted = house.parts.dispatch._couriers[Kind.LIST], []

    async def submit(copy: Item, content: Any) -> None:
        submitted.append(copy)

    courier._office = replace(courier._office, submit=submit)
    house.run(courier.carry(item, [target], Memory(header)))
    assert [one.wishes.require_tls for one in submitted] == [strict]


# ----- exactly once


@pytest.mark.parametrize("step", ["begun", "queued"])
def test_a_crash_between_two_steps_sends_it_once(tmp_path: Path, monkeypatch: Any, step: str) -> None:
    """The queue keeps the message for the list until its copy for the members is certain."""
    house = House(tmp_path, monkeypatch, LIST)
    house.town("far.test", FAR)
    courier = house.parts.dispatch._couriers[Kind.LIST]

    async def dies(item: Any, content: Any) -> None:
        if step == "queued":
            await house.foundation.queue.add(item, content)
        raise OSError(5, "the machine dies here")

    courier._office = replace(courier._office, submit=dies)
    house.submit(POST, "news@blue.test")
    house.settle()
    assert len(courier.lists.tools.book.doubtful()) == 1
    house.kill()
    again = House(tmp_path, monkeypatch, LIST, world=house)  # a new process, in the same world
    again.pass_time(4 * 3600)
    assert [len(again.mail(name)) for name in ("ann", "bob")] == [1, 1]
    assert courier.lists.tools.book.doubtful() == again.waiting == []
    again.close()


def test_what_was_let_in_is_sent_after_a_restart_though_its_sender_might_write_no_more(tmp_path: Path, monkeypatch: Any) -> None:
    house = House(tmp_path, monkeypatch, LIST)
    house.town("far.test", FAR)
    courier = house.parts.dispatch._couriers[Kind.LIST]

    async def dies(item: Any, content: Any) -> None:
        raise OSError(5, "the machine dies here")

    courier._office = replace(courier._office, submit=dies)
    post(house)
    house.kill()
    again = House(tmp_path, monkeypatch, f"{LIST}post = owners\n", world=house)
    again.pass_time(4 * 3600)
    assert [len(again.mail(name)) for name in ("ann", "bob")] == [1, 1]
    assert again.submit(POST, "news@blue.test").startswith("550")
    again.close()


def test_the_same_copy_is_never_put_into_the_queue_twice(build: Any) -> None:
    house: House = build(LIST)
    courier = house.parts.dispatch._couriers[Kind.LIST]
    house.town("far.test", FAR)
    first = post(house)
    removed = [fact.about for fact in house.facts if isinstance(fact.what, Removed)]
    (copy,) = [about for about in removed if about != first]
    assert house.parts.people.lists.tools.book.begin(copy, 0.0).name == "DONE"
    assert courier.lists.tools.book.doubtful() == []


@pytest.mark.parametrize("step", ["done", "keep"])
def test_a_book_that_fails_when_the_copy_is_in_the_queue_does_not_send_it_again(
    build: Any, monkeypatch: Any, logged: list[str], step: str
) -> None:
    house: House = build(LIST)
    peer = house.town("far.test", FAR)
    book = house.parts.people.lists.tools.book
    book.keep(NEWS, [("harry@far.test", Note(suspended=house.reactor.seconds() - 30 * DAY))])

    def fails(*arguments: Any) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Book, step, fails)
    message = post(house)
    house.pass_time(4 * 3600)
    assert [len(house.mail("ann")), len(house.mail("bob")), len(peer.contents), house.waiting] == [1, 1, 1, []]
    assert [line for line in logged if "database is locked" in line]
    assert message in {fact.about for fact in house.facts if isinstance(fact.what, Removed)}


def test_a_message_that_the_queue_could_not_take_is_still_the_trial_of_a_suspended_member(build: Any) -> None:
    house: House = build("[list:news@blue.test]\nmembers = ann bob\npost = anyone\n")
    courier = house.parts.dispatch._couriers[Kind.LIST]
    house.parts.people.lists.tools.book.keep(NEWS, [("bob@blue.test", Note(suspended=house.reactor.seconds() - 30 * DAY))])
    office = courier._office

    async def is_full(item: Any, content: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    courier._office = replace(office, submit=is_full)
    post(house)
    assert (len(house.waiting), note(house, "bob@blue.test").tried) == (1, 0.0)
    courier._office = office
    house.pass_time(4 * 3600)
    assert [len(house.mail("ann")), len(house.mail("bob")), house.waiting] == [1, 1, []]
    assert note(house, "bob@blue.test").tried


@pytest.mark.parametrize("others", ["", "ann"])
def test_a_suspended_member_whom_nobody_knows_any_more_has_had_his_trial(build: Any, others: str) -> None:
    house: House = build(f"[list:news@blue.test]\nmembers = ghost {others}\npost = anyone\n")
    now = house.reactor.seconds()
    house.parts.people.lists.tools.book.keep(NEWS, [("ghost@blue.test", Note(bounces=5, suspended=now - 30 * DAY))])
    post(house)
    found = note(house, "ghost@blue.test")
    assert (found.bounces, found.suspended >= now, found.tried) == (6, True, 0.0)
    assert len(house.mail("ann")) == len(others.split())


# ----- trouble


def test_while_the_book_cannot_be_read_nothing_is_refused_and_nothing_lost(build: Any) -> None:
    house: House = build(LIST)
    house.town("far.test", FAR)
    path = house.parts.people.lists.tools.book.path
    path.write_bytes(b"this is no database" * 100)
    client = house.login("submission")
    for line in ("MAIL FROM:<ann@blue.test>", "RCPT TO:<news@blue.test>"):
        assert client.say(line)[-1].startswith("250")
    assert client.content(POST).startswith("451")
    path.unlink()
    post(house)
    assert len(house.mail("bob")) == 1


def test_a_missing_file_of_members_is_a_reason_to_wait(build: Any, tmp_path: Path) -> None:
    house: House = build(f"[list:news@blue.test]\nmembers = file:{tmp_path}/people\npost = anyone\n")
    message = post(house)
    (item,) = house.waiting
    assert item.id == message
    (tmp_path / "people").write_text("bob\n")
    house.pass_time(3600)
    assert (len(house.mail("bob")), house.waiting) == (1, [])


def broken_forward(house: House, name: str) -> Path:
    """A file that means nothing which could be done, so mail for *name* has to wait."""
    path = house.config.data_dir / "mail" / "blue.test" / name / "forward"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("|/bin/true\n")
    path.chmod(0o600)
    return path  # type: ignore[no-any-return]


def test_a_member_whose_forward_is_broken_waits_alone_and_gets_it_once(build: Any) -> None:
    house: House = build(f"{LIST}[lists]\nurl = https://lists.blue.test/u\n")
    peer = house.town("far.test", FAR)
    forward = broken_forward(house, "bob")
    post(house)
    assert [len(house.mail("ann")), len(house.mail("bob")), len(peer.contents)] == [1, 0, 1]
    house.pass_time(3600)
    assert len(house.waiting) == 1
    forward.unlink()
    house.pass_time(4 * 3600)
    assert [len(house.mail("ann")), len(house.mail("bob")), len(peer.contents), house.waiting] == [1, 1, 1, []]
    (late,) = house.mail("bob")
    assert (late["List-Id"], late["Return-Path"][:14]) == ("<news.blue.test>", "<news-bounces+")
    assert late["List-Unsubscribe"] != house.mail("ann")[0]["List-Unsubscribe"]
    assert house.parts.people.lists.tools.book.doubtful() == []


def test_where_very_many_cannot_be_asked_about_all_wait(build: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("twistmail.lists.courier.MOST_LATE", 0)
    house: House = build(LIST)
    house.town("far.test", FAR)
    forward = broken_forward(house, "bob")
    message = post(house)
    assert ([one.id for one in house.waiting], house.mail("ann")) == ([message], [])
    forward.unlink()
    house.pass_time(4 * 3600)
    assert [len(house.mail("ann")), len(house.mail("bob"))] == [1, 1]


@pytest.mark.parametrize("is_new", [True, False])
def test_an_empty_file_of_members_swallows_nothing(build: Any, tmp_path: Path, is_new: bool) -> None:
    """It is half saved, or the disk was full: whoever was in it before is a member, and where nobody ever was the post waits."""
    people = tmp_path / "people"
    people.write_text("" if is_new else "bob\n")
    house: House = build(f"[list:news@blue.test]\nmembers = file:{people}\npost = anyone\n")
    assert members(house) == ([] if is_new else ["bob@blue.test"])
    people.write_text("")
    message = post(house)
    assert ([item.id for item in house.waiting], len(house.mail("bob"))) == (([message], 0) if is_new else ([], 1))
    people.write_text("bob\nfred\n")
    house.pass_time(3600)
    assert (len(house.mail("bob")), len(house.mail("fred")), house.waiting) == (1, is_new, [])


def test_on_a_list_without_anybody_a_message_waits_and_its_author_hears_of_it(build: Any, logged: list[str]) -> None:
    house: House = build("[list:news@blue.test]\npost = anyone\n")
    message = post(house)
    assert [item.id for item in house.waiting] == [message]
    assert f"list news@blue.test: {message}: nobody is on it" in logged
    house.pass_time(7 * DAY, step=6 * 3600)
    assert house.waiting == []
    assert house.mail("ann")[-1].get_content_type() == "multipart/report"


def test_where_all_members_are_suspended_nothing_is_sent(build: Any) -> None:
    house: House = build("[list:news@blue.test]\nmembers = bob\npost = anyone\n")
    book = house.parts.people.lists.tools.book
    book.keep(NEWS, [("bob@blue.test", Note(suspended=house.reactor.seconds()))])
    message = post(house)
    assert house.waiting == house.mail("bob") == []
    (outcome,) = [what for what in house.told(about=message) if getattr(what, "result", None) is Result.DELIVERED]
    assert outcome.status.text == "Nobody on the list gets anything at the moment"


def test_what_the_stages_would_say_tells_where_it_goes(build: Any) -> None:
    house: House = build(LIST)
    people = house.parts.people
    question = read({"service": "mx", "client": "192.0.2.7", "sender": "harry@far.test", "recipient": "news@blue.test"})
    policy = trial(Pipeline, question.role, house.config, house.foundation, people)
    answer = house.run(DryRun(policy, people.expansion, question, None).run())
    assert answer["targets"] == ["news@blue.test (list)"]


def test_who_asks_what_would_be_let_in_leaves_no_trace_in_the_book(build: Any) -> None:
    house: House = build(LIST)
    lists = house.parts.people.lists
    explained = house.run(lists.aside().objection(str(NEWS), _transaction("harry@far.test")))
    assert (explained, lists.tools.book.rows("SELECT * FROM let_in")) == (None, [])
    house.run(lists.objection(str(NEWS), _transaction("harry@far.test")))
    assert lists.tools.book.was_let_in("i1", NEWS)


def _transaction(author: str) -> Transaction:
    header = b"From: <%s>\r\n\r\n" % author.encode()
    return Transaction(Peer("c1", "192.0.2.7", 1), "i1", 0.0, parse(author), header=header, content=Memory(header))
