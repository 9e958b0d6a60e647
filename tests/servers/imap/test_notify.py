"""NOTIFY: who hears what, when, and that nobody hears too much (RFC 5465)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialogues.imap_house import ANN, THREE, Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Delivery, FlagChange
from twistmail.servers.imap import news, notify

MESSAGES = "(MessageNew MessageExpunge)"
CHANGES = "(MessageNew MessageExpunge FlagChange)"


@pytest.fixture
def house() -> ImapHouse:
    house = ImapHouse()
    house.put(*THREE)
    return house


def wanting(house: ImapHouse, wish: str, *, select: str = "") -> Guest:
    guest = Guest(house, select=select)
    assert guest.say(f"n NOTIFY {wish}")[-1] == "n OK Done"
    return guest


# ----- the selected mailbox


def test_what_happens_is_told_without_a_command(house: ImapHouse) -> None:
    guest = wanting(house, f"SET (SELECTED {CHANGES})", select="INBOX")
    other = Guest(house, select="INBOX")
    house.put(mail("four"))
    assert guest.heard() == ["* 4 EXISTS", "* 4 RECENT"]
    other.say("a STORE 1 +FLAGS (\\Deleted)")
    assert guest.heard() == ["* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"]
    other.say("b EXPUNGE")
    assert guest.heard() == ["* 1 EXPUNGE"]
    assert guest.say("c NOOP") == ["c OK Done"]


def test_a_delayed_expunge_waits_for_a_command_that_may_renumber(house: ImapHouse) -> None:
    guest = wanting(house, f"SET (SELECTED-DELAYED {MESSAGES})", select="INBOX")
    result_of(house.mailbox().expunge([2]))
    house.put(mail("four"))
    assert guest.heard() == ["* 4 EXISTS", "* 4 RECENT"]
    assert guest.say("a FETCH 1 UID") == ["* 1 FETCH (UID 1)", "a OK Done"]
    assert guest.say("b NOOP") == ["* 2 EXPUNGE", "b OK Done"]


@pytest.mark.parametrize("wish", ["NONE", "SET (SELECTED NONE)", f"SET (MAILBOXES INBOX {CHANGES})"])
def test_what_is_not_wanted_is_not_told_by_commands_either(house: ImapHouse, wish: str) -> None:
    guest = wanting(house, wish, select="INBOX")
    house.put(mail("four"))
    result_of(house.mailbox().expunge([2]))
    assert guest.say("a NOOP") == ["a OK Done"]
    assert guest.say("b IDLE") == ["+ idling"]
    house.put(mail("five"))
    assert guest.heard() == []
    assert guest.say("DONE") == ["b OK Done"]
    # and is told as soon as it is
    assert guest.say(f"c NOTIFY SET (SELECTED {MESSAGES})") == ["* 2 EXPUNGE", "* 4 EXISTS", "* 4 RECENT", "c OK Done"]


def test_new_messages_are_fetched_for_who_wants_that(house: ImapHouse) -> None:
    wish = "SET (SELECTED (MessageNew (FLAGS BODY[HEADER.FIELDS (SUBJECT)]) MessageExpunge))"
    guest = wanting(house, wish, select="INBOX")
    house.put(mail("four"), mail("five"))
    subject = "BODY[HEADER.FIELDS (SUBJECT)] "
    assert guest.heard() == [
        "* 5 EXISTS", "* 5 RECENT",
        f"* 4 FETCH (UID 4 FLAGS (\\Recent) {subject}{{17}}", "Subject: four", "", ")",
        f"* 5 FETCH (UID 5 FLAGS (\\Recent) {subject}{{17}}", "Subject: five", "", ")"]  # fmt: skip
    assert guest.say("a SELECT INBOX")[-1].startswith("a OK"), "it holds for whatever is selected"
    house.put(mail("six"))
    assert len(guest.heard()) == 6


def test_nobody_has_seen_what_was_only_told(house: ImapHouse) -> None:
    guest = wanting(house, "SET (SELECTED (MessageNew (BODY[TEXT]) MessageExpunge))", select="INBOX")
    house.put(mail("four"))
    assert guest.heard()[2:] == ["* 4 FETCH (UID 4 BODY[TEXT] {7}", "Hello", ")"]
    assert house.mailbox().bits[3] == 0


def test_many_new_messages_are_told_in_pieces(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "FETCHED_AT_ONCE", 2)
    guest = wanting(house, "SET (SELECTED (MessageNew (UID) MessageExpunge))", select="INBOX")
    house.put(*(mail(f"more {number}") for number in range(5)))
    assert guest.heard()[2:] == [f"* {number} FETCH (UID {number})" for number in range(4, 9)]


def test_a_disk_that_fails_is_no_end_of_the_connection(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*about: Any) -> Any:
        raise OSError(5, "Input/output error")

    guest = wanting(house, f"SET (SELECTED (MessageNew (ENVELOPE) MessageExpunge)) (PERSONAL {MESSAGES})", select="INBOX")
    monkeypatch.setattr(house.mailbox(), "rows", broken)
    monkeypatch.setattr(house.mailboxes(), "status", broken)
    house.put(mail("four"))
    house.put(mail("five"), name="Archive")
    assert guest.heard() == ["* 4 EXISTS", "* 4 RECENT"]
    assert guest.say("a NOOP") == ["a OK Done"]


# ----- searches that are followed


def test_new_messages_that_fit_are_fetched_before_the_result_changes(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    wish = "RETURN (COUNT UPDATE (BODY.PEEK[HEADER.FIELDS (SUBJECT)])) SUBJECT boss"
    assert guest.say(f"a UID SEARCH {wish}") == ['* ESEARCH (TAG "a") UID COUNT 0', "a OK Done"]
    house.put(mail("no"), mail("boss"))
    fetched = ["* 5 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)] {17}", "Subject: boss", "", ")"]
    assert guest.say("b NOOP") == ["* 5 EXISTS", "* 5 RECENT", *fetched, '* ESEARCH (TAG "a") UID ADDTO (0 5)', "b OK Done"]
    assert guest.say("c CANCELUPDATE \"a\"")[-1].startswith("c OK")
    house.put(mail("boss"))
    assert guest.say("d NOOP") == ["* 6 EXISTS", "* 6 RECENT", "d OK Done"]


def test_what_both_want_is_told_once(house: ImapHouse) -> None:
    guest = wanting(house, "SET (SELECTED (MessageNew (FLAGS) MessageExpunge))", select="INBOX")
    guest.say("a SEARCH RETURN (COUNT UPDATE (RFC822.SIZE FLAGS)) SUBJECT boss")
    house.put(mail("boss"), mail("no"))
    assert guest.heard()[2:] == [
        "* 4 FETCH (UID 4 FLAGS (\\Recent) RFC822.SIZE 152)", "* 5 FETCH (UID 5 FLAGS (\\Recent))",
        '* ESEARCH (TAG "a") ADDTO (0 4)']  # fmt: skip


# ----- other mailboxes


def test_other_mailboxes_are_told_of_by_their_status(house: ImapHouse) -> None:
    guest = wanting(house, f"SET (SELECTED {MESSAGES}) (PERSONAL {MESSAGES})", select="INBOX")
    result_of(house.store.deliver([Delivery(ANN, b"", Memory(mail("x")), "Archive")]))
    guest.settle()
    assert guest.heard() == ["* STATUS Archive (MESSAGES 1 UIDNEXT 2)"]
    result_of(house.mailbox("Archive").expunge([1]))
    assert guest.heard() == ["* STATUS Archive (MESSAGES 0 UIDNEXT 2)"]
    result_of(house.mailbox("Archive").store([1], FlagChange.ADD, ("\\Seen",)))
    assert guest.heard() == []


def test_flags_of_others_are_told_where_somebody_can_see_the_difference(house: ImapHouse) -> None:
    guest = wanting(house, f"SET (MAILBOXES INBOX {CHANGES})")
    validity = house.mailbox().uidvalidity
    result_of(house.mailbox().store([1], FlagChange.ADD, ("\\Seen",)))
    assert guest.heard() == [f"* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY {validity} UNSEEN 2)"]
    result_of(house.mailbox().store([1], FlagChange.ADD, ("\\Flagged",)))
    assert guest.heard() == []
    guest.pump.session.client.enabled.add("CONDSTORE")  # type: ignore[attr-defined]
    result_of(house.mailbox().store([1], FlagChange.REMOVE, ("\\Flagged",)))
    assert guest.heard() == [f"* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY {validity} UNSEEN 2 HIGHESTMODSEQ 5)"]


@pytest.mark.parametrize(("wish", "told"), [
    pytest.param("MAILBOXES (a/b Archive)", ["a/b", "Archive"], id="by-name"),
    pytest.param("MAILBOXES a", ["a"], id="no-children"),
    pytest.param('MAILBOXES "%"', [], id="no-wildcards"),
    pytest.param("SUBTREE a", ["a", "a/b"], id="with-all-below"),
    pytest.param("SUBSCRIBED", ["Archive"], id="subscribed"),
    pytest.param("INBOXES", ["a", "a/b", "Archive", "ab"], id="inboxes"),
])  # fmt: skip
def test_which_mailboxes_are_meant(house: ImapHouse, wish: str, told: list[str]) -> None:
    for name in ("a/b", "ab"):
        result_of(house.mailboxes().create(name))
    guest = wanting(house, f"SET ({wish} {MESSAGES})", select="INBOX")
    for name in ("a", "a/b", "Archive", "ab", "INBOX"):
        house.put(mail("x"), name=name)
    assert guest.heard() == [f"* STATUS {name} (MESSAGES 1 UIDNEXT 2)" for name in told]


def test_who_wants_subscribed_mailboxes_hears_of_those_that_he_subscribes_now(house: ImapHouse) -> None:
    result_of(house.mailboxes().create("new"))
    guest = wanting(house, f"SET (SUBSCRIBED {MESSAGES})")
    assert guest.say("a SUBSCRIBE new", "b UNSUBSCRIBE Archive") == ["a OK Subscribed", "b OK Unsubscribed"]
    house.put(mail("x"), name="new")
    house.put(mail("x"), name="Archive")
    assert guest.heard() == ["* STATUS new (MESSAGES 1 UIDNEXT 2)"]


def test_the_status_is_told_at_once_where_it_is_wanted(house: ImapHouse) -> None:
    guest = Guest(house, select="INBOX")
    archive, trash = house.mailbox("Archive"), house.mailbox("Trash")
    wish = f"(MAILBOXES (INBOX Archive nothing) {MESSAGES}) (MAILBOXES Trash {CHANGES}) (SUBTREE Sent NONE)"
    assert guest.say(f"a NOTIFY SET STATUS {wish}") == [
        f"* STATUS Archive (MESSAGES 0 UIDNEXT 1 UIDVALIDITY {archive.uidvalidity})",
        f"* STATUS Trash (MESSAGES 0 UIDNEXT 1 UIDVALIDITY {trash.uidvalidity} UNSEEN 0 HIGHESTMODSEQ 1)",
        "a OK Done"]  # fmt: skip


def test_the_status_of_too_many_is_refused_and_nothing_changes(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MOST_STATUSES", 3)
    guest = wanting(house, f"SET (MAILBOXES Archive {MESSAGES})")
    assert guest.say(f"a NOTIFY SET STATUS (PERSONAL {MESSAGES})")[0].startswith("a NO [NOTIFICATIONOVERFLOW]")
    house.put(mail("x"), name="Trash")
    house.put(mail("x"), name="Archive")
    assert guest.heard() == ["* STATUS Archive (MESSAGES 1 UIDNEXT 2)"]


def test_many_events_of_one_mailbox_are_one_answer_to_who_reads_slowly(house: ImapHouse) -> None:
    guest = wanting(house, f"SET (PERSONAL {MESSAGES})")
    guest.pump.pauseProducing()
    for number in range(50):
        house.put(mail(f"m{number}"), name="Archive")
    assert guest.heard() == []
    guest.pump.resumeProducing()
    assert guest.heard() == ["* STATUS Archive (MESSAGES 50 UIDNEXT 51)"]


def test_what_the_client_does_itself_it_is_not_told(house: ImapHouse) -> None:
    wish = f"SET (SELECTED {MESSAGES}) (PERSONAL (MessageNew MessageExpunge MailboxName SubscriptionChange))"
    guest = wanting(house, wish, select="INBOX")
    assert guest.say("a COPY 1 Archive", "b CREATE x/y", "c RENAME x z", "d SUBSCRIBE z", "e DELETE z/y")[-1] == "e OK Deleted"
    assert guest.heard() == []


# ----- names, subscriptions, annotations


@pytest.fixture
def tree(house: ImapHouse) -> tuple[Guest, Guest]:
    events = "MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange"
    return wanting(house, f"SET (PERSONAL ({events}))"), Guest(house)


def test_names_that_come_go_and_change_are_told(tree: tuple[Guest, Guest]) -> None:
    guest, other = tree
    other.say("a CREATE work/now")
    assert guest.heard() == ['* LIST (\\HasChildren) "/" work', '* LIST (\\HasNoChildren) "/" work/now']
    other.say("b RENAME work/now work/then")
    assert guest.heard() == ['* LIST (\\HasNoChildren) "/" work/then ("OLDNAME" (work/now))']
    other.say("c RENAME work play")
    assert guest.heard() == ['* LIST (\\HasChildren) "/" play ("OLDNAME" (work))']
    other.say("d DELETE play/then")
    assert guest.heard() == ['* LIST (\\HasNoChildren) "/" play', '* LIST (\\NonExistent \\HasNoChildren) "/" play/then']
    other.say("e SUBSCRIBE play")
    assert guest.heard() == ['* LIST (\\HasNoChildren \\Subscribed) "/" play']
    other.say("f UNSUBSCRIBE play")
    assert guest.heard() == ['* LIST (\\HasNoChildren) "/" play']


def test_annotations_are_told_by_their_names(house: ImapHouse, tree: tuple[Guest, Guest]) -> None:
    guest, _ = tree
    result_of(house.mailboxes().annotate("Archive", {"/private/comment": b"x", "/shared/a": None}))
    result_of(house.mailboxes().annotate("", {"/shared/admin": b"x"}))
    assert guest.heard() == ["* METADATA Archive /private/comment /shared/a", '* METADATA "" /shared/admin']


def test_only_the_kinds_that_are_wanted_are_told(house: ImapHouse) -> None:
    guest = wanting(house, "SET (SUBTREE a (MailboxName)) (MAILBOXES Archive (SubscriptionChange))")
    other = Guest(house)
    other.say("a CREATE a/b", "b CREATE c", "c SUBSCRIBE a/b", "d UNSUBSCRIBE Archive", "e RENAME c a/c")
    assert [line.split('"/" ')[1] for line in guest.heard()] == ["a", "a/b", "Archive", "a/c (\"OLDNAME\" (c))"]


def test_too_much_is_told_as_too_much(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MOST_WAITING", 5)
    guest = wanting(house, "SET (PERSONAL (MailboxName))")
    guest.pump.pauseProducing()
    other = Guest(house)
    other.say(*(f"a CREATE x{number}" for number in range(7)))
    guest.pump.resumeProducing()
    assert guest.heard() == ["* OK [NOTIFICATIONOVERFLOW] Too much has happened; please ask again"]
    other.say("b CREATE y")
    assert guest.heard() == []
    assert guest.say("c NOTIFY SET (PERSONAL (MailboxName))") == ["c OK Done"]
    other.say("d CREATE z")
    assert guest.heard() == ['* LIST (\\HasNoChildren) "/" z']


# ----- the end of it


@pytest.mark.parametrize("end", ["a LOGOUT", "a UNAUTHENTICATE", "a NOTIFY NONE", "a NOTIFY SET (SELECTED NONE)"])
def test_nobody_watches_for_who_does_not_listen_any_more(house: ImapHouse, end: str) -> None:
    guest = wanting(house, f"SET (PERSONAL {MESSAGES})")
    assert house.mailboxes().news
    guest.say(end)
    assert not house.mailboxes().news


def test_nobody_watches_for_who_is_gone(house: ImapHouse) -> None:
    guest = wanting(house, f"SET (PERSONAL {MESSAGES})")
    guest.leave()
    assert not house.mailboxes().news
