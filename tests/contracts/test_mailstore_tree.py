"""What every IMailboxes promises: the folder tree, special uses, subscriptions, annotations."""

from __future__ import annotations

import re

import pytest

from tests.contracts.mailstores import ALICE, BOB, PLAIN, append, code_of, deliver, folders_of, heard_by
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Change, FlagChange, NewMessage, NoSuchMailbox


def test_a_new_account_has_its_standard_folders_subscribed_and_marked(mailboxes):
    folders = folders_of(mailboxes)
    assert list(folders) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    assert folders["Sent"].uses == ("\\Sent",)
    assert folders["INBOX"].uses == ()
    assert all(folder.subscribed and folder.selectable for folder in folders.values())


def test_create_makes_the_levels_above(mailboxes):
    result_of(mailboxes.create("One/Two/Three/"))
    assert {"One", "One/Two", "One/Two/Three"} <= folders_of(mailboxes).keys()
    folders = folders_of(mailboxes)
    assert folders["One"].has_children
    assert not folders["One/Two/Three"].has_children


def test_a_delivery_makes_no_level_above_a_mailbox_that_is_there(store, mailboxes):
    deliver(store, PLAIN, folder="Top/Middle/Below")
    result_of(mailboxes.delete("Top"))
    deliver(store, PLAIN, folder="Top/Middle/Below")
    assert not folders_of(mailboxes)["Top"].selectable
    assert result_of(mailboxes.status("Top/Middle/Below")).messages == 2


@pytest.mark.parametrize("name", ["Grüße", "a.b", "~home", "back\\slash", "x & y", "日本語/台北", "percent%n", "INBOX/Sub", 'quo"te', "*"])
def test_any_name_comes_back_as_it_was_written(mailboxes, name):
    result_of(mailboxes.create(name))
    assert name in folders_of(mailboxes)
    assert result_of(result_of(mailboxes.open(name)).append([NewMessage(Memory(PLAIN))])).target == (1,)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("a//b", id="empty-part"),
        pytest.param("/a", id="empty-first-part"),
        pytest.param("..", id="dots"),
        pytest.param("a/../b", id="dots-inside"),
        pytest.param("nul\0", id="nul"),
        pytest.param("line\nfeed", id="line-feed"),
        pytest.param("x" * 256, id="long-part"),
        pytest.param("/".join("x" * 17), id="many-levels"),
    ],
)
def test_a_bad_name_cannot_be_created(mailboxes, name):
    assert code_of(mailboxes.create(name)) == "CANNOT"


@pytest.mark.parametrize("name", ["Sent", "INBOX", "inbox"])
def test_what_exists_cannot_be_created(mailboxes, name):
    assert code_of(mailboxes.create(name)) == "ALREADYEXISTS"


def test_a_new_mailbox_of_an_old_name_has_a_larger_uidvalidity(mailboxes):
    result_of(mailboxes.create("Again"))
    before = result_of(mailboxes.status("Again")).uidvalidity
    result_of(mailboxes.delete("Again"))
    result_of(mailboxes.create("Again"))
    assert result_of(mailboxes.status("Again")).uidvalidity > before


def test_delete_takes_the_mail_and_leaves_the_children(store, mailboxes):
    result_of(mailboxes.create("Top/Below"))
    deliver(store, PLAIN, folder="Top")
    top = result_of(mailboxes.open("Top"))
    heard = heard_by(top)
    result_of(mailboxes.delete("Top"))
    assert heard == [Change(gone=True)]
    folders = folders_of(mailboxes)
    assert not folders["Top"].selectable
    assert folders["Top/Below"].selectable
    assert code_of(mailboxes.delete("Top")) == "HASCHILDREN"
    with pytest.raises(NoSuchMailbox):
        result_of(mailboxes.open("Top"))


def test_what_cannot_be_deleted(mailboxes):
    assert code_of(mailboxes.delete("INBOX")) == "CANNOT"
    assert code_of(mailboxes.delete("Nowhere")) == "NONEXISTENT"


def test_rename_takes_the_children_along_and_keeps_uids(store, mailboxes):
    result_of(mailboxes.create("Old/Child"))
    deliver(store, PLAIN, PLAIN, folder="Old/Child")
    before = result_of(mailboxes.status("Old/Child"))
    result_of(mailboxes.rename("Old", "New/Place"))
    assert {"New", "New/Place", "New/Place/Child"} <= folders_of(mailboxes).keys()
    assert "Old" not in folders_of(mailboxes)
    after = result_of(mailboxes.status("New/Place/Child"))
    assert (after.messages, after.uidnext, after.uidvalidity) == (2, 3, before.uidvalidity)
    assert len(result_of(result_of(mailboxes.open("New/Place/Child")).load([1, 2]))) == 2


def test_rename_of_a_special_folder_keeps_its_use(mailboxes):
    result_of(mailboxes.rename("Sent", "Outgoing"))
    assert folders_of(mailboxes)["Outgoing"].uses == ("\\Sent",)


def test_rename_of_the_inbox_moves_its_messages_and_leaves_it(store, mailboxes):
    deliver(store, PLAIN, PLAIN)
    result_of(mailboxes.rename("INBOX", "Saved"))
    assert result_of(mailboxes.status("INBOX")).messages == 0
    assert result_of(mailboxes.status("Saved")).messages == 2


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Nowhere", "There", "NONEXISTENT"),
        ("Sent", "Trash", "ALREADYEXISTS"),
        ("Sent", "INBOX", "ALREADYEXISTS"),
        ("Sent", "Sent/Below", "CANNOT"),
        ("Sent", "a//b", "CANNOT"),
        ("INBOX", "Sent", "ALREADYEXISTS"),
    ],
)
def test_renames_that_are_refused(mailboxes, old, new, code):
    assert code_of(mailboxes.rename(old, new)) == code
    assert {"Sent", "Trash"} <= folders_of(mailboxes).keys()


def test_subscriptions_need_no_mailbox(mailboxes):
    result_of(mailboxes.subscribe("Nöwhere/Yet", True))
    result_of(mailboxes.subscribe("Junk", False))
    assert result_of(mailboxes.subscriptions()) == ("Archive", "Drafts", "INBOX", "Nöwhere/Yet", "Sent", "Trash")


@pytest.mark.parametrize("name", ["Nowhere", "a//b", ""])
def test_a_mailbox_that_is_not_there(mailboxes, name):
    for coroutine in (mailboxes.open(name), mailboxes.status(name)):
        assert code_of(coroutine) == "NONEXISTENT"


def test_a_subscription_outlives_its_mailbox(mailboxes):
    """RFC 3501 §6.3.9: the server does not take names from the list by itself."""
    result_of(mailboxes.delete("Junk"))
    assert "Junk" in result_of(mailboxes.subscriptions())
    result_of(mailboxes.create("Junk"))
    assert folders_of(mailboxes)["Junk"].subscribed


# ----- special uses (RFC 6154)


def uses_of(mailboxes):
    return {folder.name: set(folder.uses) for folder in result_of(mailboxes.folders()) if folder.uses}


@pytest.mark.parametrize(
    ("asked", "uses"),
    [
        pytest.param(["\\All"], {"\\All"}, id="one"),
        pytest.param(["\\Flagged", "\\All"], {"\\All", "\\Flagged"}, id="two"),
        pytest.param(["\\ALL", "\\flagged"], {"\\All", "\\Flagged"}, id="any-case"),
        pytest.param(["\\Important"], {"\\Important"}, id="important"),
        pytest.param(["\\All", "\\all"], {"\\All"}, id="one-twice"),
    ],
)
def test_a_mailbox_is_created_with_its_uses(house, mailboxes, asked, uses):
    before = uses_of(mailboxes)
    result_of(mailboxes.create("Some/Place", asked))
    assert uses_of(mailboxes) == before | {"Some/Place": uses}
    assert all(folder.uses.count(use) == 1 for folder in result_of(mailboxes.folders()) for use in folder.uses)
    assert uses_of(result_of(house.restart().mailboxes(ALICE))) == before | {"Some/Place": uses}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(["\\Sent"], id="another-has-it"),
        pytest.param(["\\sent"], id="another-has-it-in-any-case"),
        pytest.param(["\\Nothing"], id="unknown"),
        pytest.param(["Sent"], id="no-use-at-all"),
        pytest.param(["\\All", "\\Trash"], id="one-of-two"),
        pytest.param([""], id="empty"),
    ],
)
def test_uses_that_cannot_be_had_create_nothing(mailboxes, asked):
    before = folders_of(mailboxes)
    assert code_of(mailboxes.create("Some/Place", asked)) == "USEATTR"
    assert folders_of(mailboxes) == before


def test_a_use_goes_with_its_mailbox(mailboxes):
    result_of(mailboxes.delete("Sent"))
    result_of(mailboxes.create("Sent"))
    assert "Sent" not in uses_of(mailboxes)
    result_of(mailboxes.create("Gone out", ["\\Sent"]))
    assert uses_of(mailboxes)["Gone out"] == {"\\Sent"}


def test_the_uses_of_a_mailbox_can_be_changed(house, mailboxes):
    result_of(mailboxes.set_uses("Sent", ()))
    result_of(mailboxes.set_uses("Trash", ("\\SENT", "\\trash")))
    result_of(mailboxes.set_uses("Trash", ("\\trash", "\\Sent")))
    expected = {"Archive": {"\\Archive"}, "Drafts": {"\\Drafts"}, "Junk": {"\\Junk"}, "Trash": {"\\Trash", "\\Sent"}}
    assert uses_of(mailboxes) == expected
    assert uses_of(result_of(house.restart().mailboxes(ALICE))) == expected


@pytest.mark.parametrize(
    ("name", "uses", "code"),
    [
        pytest.param("Sent", ["\\Trash"], "USEATTR", id="another-has-it"),
        pytest.param("Sent", ["\\All", "\\What"], "USEATTR", id="unknown"),
        pytest.param("Nowhere", ["\\All"], "NONEXISTENT", id="no-mailbox"),
        pytest.param("a//b", ["\\All"], "NONEXISTENT", id="no-name"),
    ],
)
def test_uses_that_cannot_be_given(mailboxes, name, uses, code):
    before = uses_of(mailboxes)
    assert code_of(mailboxes.set_uses(name, uses)) == code
    assert uses_of(mailboxes) == before


# ----- many mailboxes at once


def test_statuses_are_those_of_each_mailbox(house, store, mailboxes):
    deliver(store, PLAIN, PLAIN)
    deliver(store, PLAIN, folder="Top/Below")
    inbox = result_of(mailboxes.open("INBOX"))
    result_of(inbox.store([2], FlagChange.ADD, ["\\Deleted", "\\Seen"]))
    names = ["INBOX", "Sent", "Top/Below", "Nowhere"]
    for _ in range(2):
        each = {name: result_of(mailboxes.status(name, deleted=True)) for name in names[:-1]}
        assert result_of(mailboxes.statuses(names, deleted=True)) == each
        inbox.close()
        mailboxes = result_of(house.restart().mailboxes(ALICE))
        inbox = result_of(mailboxes.open("Sent"))
    assert (each["INBOX"].deleted, each["INBOX"].deleted_size, each["INBOX"].unseen) == (1, len(PLAIN), 1)
    assert len({status.mailboxid for status in each.values()}) == 3


def test_annotations_of_many(mailboxes):
    annotate(mailboxes, {"/private/comment": b"x"})
    annotate(mailboxes, {"/shared/comment": b"y"}, "Sent")
    annotate(mailboxes, {"/private/comment": b"z"}, "")
    expected = {"INBOX": {"/private/comment": b"x"}, "Sent": {"/shared/comment": b"y"}}
    assert result_of(mailboxes.annotations_of(["INBOX", "Sent", "Trash", "Nowhere"])) == expected


@pytest.mark.parametrize("restarted", [False, True], ids=["at-once", "after-a-restart"])
def test_a_mailboxid_stays_with_its_mailbox_and_is_nobody_else_s(house, mailboxes, restarted):
    result_of(mailboxes.create("Old/Child"))
    before = {name: result_of(mailboxes.status(name)).mailboxid for name in folders_of(mailboxes)}
    assert len(set(before.values())) == len(before)
    result_of(mailboxes.rename("Old", "New"))
    result_of(mailboxes.delete("Sent"))
    result_of(mailboxes.create("Sent"))
    if restarted:
        mailboxes = result_of(house.restart().mailboxes(ALICE))
    after = {name: result_of(mailboxes.open(name)).mailboxid for name in folders_of(mailboxes)}
    assert (after["New"], after["New/Child"], after["INBOX"]) == (before["Old"], before["Old/Child"], before["INBOX"])
    assert after["Sent"] not in before.values()
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,255}", value) for value in after.values())


# ----- annotations (RFC 5464)


def annotations(mailboxes, name="INBOX"):
    return result_of(mailboxes.annotations(name))


def annotate(mailboxes, values, name="INBOX"):
    result_of(mailboxes.annotate(name, values))


@pytest.mark.parametrize("name", ["", "INBOX", "Sent"])
def test_annotations_are_set_changed_and_removed(mailboxes, name):
    assert annotations(mailboxes, name) == {}
    annotate(mailboxes, {"/private/comment": b"mine", "/shared/comment": b""}, name)
    assert annotations(mailboxes, name) == {"/private/comment": b"mine", "/shared/comment": b""}
    annotate(mailboxes, {"/private/comment": bytes(range(256)), "/shared/comment": None, "/shared/never": None}, name)
    assert annotations(mailboxes, name) == {"/private/comment": bytes(range(256))}
    assert [other for other in ("", "INBOX", "Sent", "Trash") if annotations(mailboxes, other)] == [name]


def test_names_of_entries_are_the_same_in_any_case(mailboxes):
    annotate(mailboxes, {"/Private/Comment": b"one"})
    annotate(mailboxes, {"/private/COMMENT": b"two"})
    assert annotations(mailboxes, "inbox") == {"/private/comment": b"two"}
    annotate(mailboxes, {"/PRIVATE/comment": None}, "Inbox")
    assert annotations(mailboxes) == {}


@pytest.mark.parametrize("entry", ["/shared/vendor/our.host/color", "/private/filters/values/x", "/shared/" + "x" * 900, "/private/a+b!"])
def test_what_may_be_an_entry(mailboxes, entry):
    annotate(mailboxes, {entry: b"x"})
    assert annotations(mailboxes) == {entry: b"x"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("", id="empty"),
        pytest.param("comment", id="no-slash"),
        pytest.param("/comment", id="neither-private-nor-shared"),
        pytest.param("/private", id="no-component"),
        pytest.param("/private/", id="empty-component"),
        pytest.param("/private/comment/", id="slash-at-the-end"),
        pytest.param("/private//comment", id="two-slashes"),
        pytest.param("/private/com*ment", id="star"),
        pytest.param("/private/com%ment", id="percent"),
        pytest.param("/private/com ment", id="blank"),
        pytest.param("/private/comment\n", id="line-feed"),
        pytest.param("/private/com\0ment", id="nul"),
        pytest.param("/private/größe", id="not-ascii"),
        pytest.param("/private/\u017f", id="not-ascii-in-capitals"),
        pytest.param("/privateer/comment", id="longer-word"),
        pytest.param("/private/" + "x" * 5000, id="long"),
    ],
)
def test_what_cannot_be_an_entry(mailboxes, entry):
    annotate(mailboxes, {"/private/old": b"old"})
    for values in ({entry: b"x"}, {"/private/new": b"new", "/private/old": None, entry: b"x"}, {entry: None}):
        assert code_of(mailboxes.annotate("INBOX", values)) == "CANNOT"
    assert annotations(mailboxes) == {"/private/old": b"old"}


def test_the_limits_of_annotations(mailboxes):
    hundred = {f"/private/{number}": b"x" for number in range(100)}
    annotate(mailboxes, hundred)
    assert code_of(mailboxes.annotate("INBOX", {"/private/more": b"x"})) == "METADATA TOOMANY"
    assert annotations(mailboxes) == hundred
    annotate(mailboxes, {"/private/0": None, "/private/more": b"x" * 65_536})
    assert code_of(mailboxes.annotate("INBOX", {"/private/1": None, "/private/more": b"x" * 65_537})) == "METADATA MAXSIZE 65536"
    assert len(annotations(mailboxes)["/private/more"]) == 65_536
    assert annotations(mailboxes)["/private/1"] == b"x"
    annotate(mailboxes, {f"/private/{number}": b"x" for number in range(100)}, "Sent")


def test_annotations_of_all_mailboxes_together_have_a_limit(mailboxes):
    full = {f"/private/{number}": b"x" * 65_000 for number in range(32)}
    annotate(mailboxes, full)
    annotate(mailboxes, full, "Sent")
    assert code_of(mailboxes.annotate("Trash", {"/private/more": b"x" * 65_000})) == "METADATA TOOMANY"
    assert code_of(mailboxes.annotate("", {"/private/more": b"x" * 65_000})) == "METADATA TOOMANY"
    annotate(mailboxes, {"/private/1": None, "/private/2": b"y"})
    annotate(mailboxes, {"/private/more": b"x" * 65_000}, "Trash")


@pytest.mark.parametrize("name", ["Nowhere", "a//b", "Top"])
def test_only_what_is_a_mailbox_has_annotations(mailboxes, name):
    result_of(mailboxes.create("Top/Below"))
    result_of(mailboxes.delete("Top"))
    for coroutine in (mailboxes.annotations(name), mailboxes.annotate(name, {"/private/comment": b"x"})):
        with pytest.raises(NoSuchMailbox):
            result_of(coroutine)


@pytest.mark.parametrize("restarted", [False, True], ids=["at-once", "after-a-restart"])
def test_annotations_follow_a_rename_and_go_with_the_mailbox(house, mailboxes, restarted):
    result_of(mailboxes.create("Old/Child"))
    for name in ("Old", "Old/Child", "Sent", ""):
        annotate(mailboxes, {"/private/comment": name.encode()}, name)
    result_of(mailboxes.rename("Old", "New/Place"))
    result_of(mailboxes.delete("Sent"))
    result_of(mailboxes.create("Sent"))
    result_of(mailboxes.create("Old/Child"))
    if restarted:
        mailboxes = result_of(house.restart().mailboxes(ALICE))
    kept = {name: found for name in ("", *folders_of(mailboxes)) if (found := annotations(mailboxes, name))}
    assert kept == {
        "": {"/private/comment": b""},
        "New/Place": {"/private/comment": b"Old"},
        "New/Place/Child": {"/private/comment": b"Old/Child"},
    }


def test_a_rename_of_the_inbox_leaves_its_annotations(mailboxes):
    annotate(mailboxes, {"/private/comment": b"x"})
    result_of(mailboxes.rename("INBOX", "Saved"))
    assert (annotations(mailboxes), annotations(mailboxes, "Saved")) == ({"/private/comment": b"x"}, {})


def test_what_was_told_cannot_be_changed_by_who_was_told(mailboxes):
    annotate(mailboxes, {"/private/comment": b"x"})
    annotations(mailboxes).clear()
    assert annotations(mailboxes) == {"/private/comment": b"x"}


def test_removing_an_account_removes_what_it_had_set(store, mailboxes):
    annotate(mailboxes, {"/private/comment": b"x"}, "")
    result_of(mailboxes.create("All", ["\\All"]))
    append(result_of(mailboxes.open("All")), PLAIN)
    result_of(store.remove_account(ALICE))
    again = result_of(store.mailboxes(ALICE))
    assert annotations(again, "") == {}
    assert list(folders_of(again)) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]


# ----- what the server itself keeps with a mailbox


def test_an_entry_is_found_in_all_mailboxes_of_all_accounts(bare, house, store, mailboxes):
    others = result_of(store.mailboxes(BOB))
    for where, name in ((mailboxes, "INBOX"), (mailboxes, "Sent"), (others, "Trash")):
        annotate(where, {"/server/acl": name.encode()}, name)
    annotate(mailboxes, {"/shared/comment": b"x"}, "Drafts")
    annotate(mailboxes, {"/server/acl": b"account"}, "")
    expected = {ALICE: {"INBOX": b"INBOX", "Sent": b"Sent"}, BOB: {"Trash": b"Trash"}}
    asked = [ALICE, "ghost@blue.test", "../../etc@blue.test", "", BOB]
    assert result_of(store.annotated(asked, "/server/acl")) == expected
    assert result_of(store.annotated([BOB], "/server/acl")) == {BOB: expected[BOB]}
    assert result_of(store.annotated(asked, "/server/other")) == {}
    result_of(mailboxes.rename("Sent", "Gone out"))
    result_of(mailboxes.delete("Gone out"))
    assert result_of(house.restart().annotated(asked, "/server/acl")) == expected | {ALICE: {"INBOX": b"INBOX"}}


def test_looking_for_an_entry_makes_no_account(bare, house, store, mailboxes):
    annotate(mailboxes, {"/server/acl": b"x"})
    assert result_of(store.annotated(["carol@blue.test"], "/server/acl")) == {}
    assert not hasattr(house, "root") or not [path for path in house.root.rglob("*") if "carol" in path.name]


def test_what_the_server_keeps_does_not_count(bare, mailboxes):
    annotate(mailboxes, {f"/private/{number}": b"x" for number in range(100)})
    annotate(mailboxes, {"/server/acl": b"x"})
    assert code_of(mailboxes.annotate("INBOX", {"/private/more": b"x"})) == "METADATA TOOMANY"


def test_a_store_limits_nobody_s_rights(mailboxes):
    assert result_of(mailboxes.open("INBOX")).rights == frozenset("lrswipkxtea")
