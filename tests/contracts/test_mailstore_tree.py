"""What every IMailboxes promises: the folder tree, special uses, subscriptions, annotations."""

from __future__ import annotations

import pytest

from tests.contracts.mailstores import PLAIN, code_of, deliver, folders_of, heard_by
from tests.helpers import result_of
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import Change, NewMessage, NoSuchMailbox


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
