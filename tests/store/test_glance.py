"""What is told of many mailboxes without opening them, and of which it is left to those who open them."""

from __future__ import annotations

import pytest

from tests.helpers import result_of
from twistmail import tasks
from twistmail.mail.mailbox import FlagChange
from twistmail.store import glance
from twistmail.store.mailstore import MailStore

ALICE = "alice@blue.test"
NAMES = ("INBOX", "Fresh", "Bare")


@pytest.fixture
def opened(house):
    """A function that gives the account's mailboxes in a fresh process, in the same boot of the machine unless told."""

    def begin(boot="this"):
        store = MailStore(house.root, None, house.committer, tasks.Inline(), hostname="mx.blue.test", now=house.now, boot=boot)
        house.stores.append(store)
        return result_of(store.mailboxes(ALICE))

    return begin


@pytest.fixture
def filled(house, opened):
    """INBOX with three messages, one of them deleted, known to the index; Fresh and Bare have never been opened."""
    mailboxes = opened()
    for name in NAMES[1:]:
        result_of(mailboxes.create(name))
    house.deliver(house.stores[-1], b"Subject: a\r\n\r\nx\r\n", b"Subject: b\r\n\r\nxx\r\n", b"Subject: c\r\n\r\nxxx\r\n")
    inbox = result_of(mailboxes.open("INBOX"))
    result_of(inbox.store([2], FlagChange.ADD, ["\\Deleted", "\\Seen"]))
    house.later()
    result_of(inbox.refresh())
    house.stores.pop().close()
    house.later()


def glanced(mailboxes, boot="this"):
    return glance.statuses(mailboxes.root, mailboxes.index, NAMES, (boot, 1.5e9), deleted=True)


@pytest.mark.usefixtures("filled")
def test_what_has_not_changed_is_told_without_opening_it(opened):
    mailboxes = opened()
    found = glanced(mailboxes)
    assert set(found) == set(NAMES)
    assert (found["INBOX"].messages, found["INBOX"].unseen, found["INBOX"].deleted, found["INBOX"].deleted_size) == (3, 2, 1, 18)
    assert found["Fresh"].messages == 0
    assert result_of(mailboxes.statuses(["INBOX"], deleted=True)) == {"INBOX": found["INBOX"]}
    assert mailboxes.in_memory == ()
    assert found["INBOX"] == result_of(mailboxes.status("INBOX", deleted=True))


def removed(house):
    next((house.maildir / "new").iterdir()).unlink()


def renumbered(house):
    path = house.maildir / "dovecot-uidlist"
    path.write_bytes(path.read_bytes().replace(b"3 V1", b"3 V2"))


def longer(house):
    with (house.maildir / "dovecot-uidlist").open("ab") as file:
        file.write(b"9 :somebody.else\n")


def nameless(house):
    path = house.maildir / "dovecot-uidlist"
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first.partition(b" G")[0] + b"\n" + rest)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda house: house.drop("1700000000.new.host"), id="a-new-file"),
        pytest.param(removed, id="a-file-less"),
        pytest.param(renumbered, id="another-uidvalidity"),
        pytest.param(longer, id="another-next-uid"),
        pytest.param(nameless, id="a-list-without-a-name"),
        pytest.param(lambda house: (house.maildir / "dovecot-uidlist").write_bytes(b"what\n"), id="a-list-that-is-none"),
        pytest.param(lambda house: (house.maildir / "dovecot-uidlist").unlink(), id="no-list"),
    ],
)
@pytest.mark.usefixtures("filled")
def test_what_may_have_changed_is_left_to_who_opens_it(house, opened, change):
    change(house)
    house.later()
    mailboxes = opened()
    assert set(glanced(mailboxes)) == {"Fresh", "Bare"}
    assert result_of(mailboxes.statuses(NAMES, deleted=True))["INBOX"] == result_of(mailboxes.status("INBOX", deleted=True))


@pytest.mark.usefixtures("filled")
def test_after_the_machine_has_started_again_numbers_are_no_longer_certain(opened):
    assert set(glanced(opened("next"), "next")) == {"Fresh", "Bare"}
    assert set(glanced(opened(""), "")) == {"Fresh", "Bare"}


@pytest.mark.usefixtures("filled")
def test_an_empty_mailbox_that_was_not_always_empty_is_opened(house, opened):
    for path in (house.maildir / ".Fresh/cur/1700000000.x.host:2,S", house.maildir / ".Bare/new/1700000000.x.host"):
        path.write_bytes(b"Subject: x\n\n")
    house.later()
    mailboxes = opened()
    assert set(glanced(mailboxes)) == {"INBOX"}
    assert {name: found.messages for name, found in result_of(mailboxes.statuses(NAMES)).items()} == {"INBOX": 3, "Fresh": 1, "Bare": 1}


@pytest.mark.usefixtures("filled")
def test_a_list_of_many_lines_is_looked_at_from_both_ends(house, opened):
    mailboxes = opened()
    inbox = result_of(mailboxes.open("INBOX"))
    for _ in range(6):
        result_of(inbox.copy(list(inbox.uids), "INBOX"))
    house.later()
    result_of(inbox.refresh())
    house.stores.pop().close()
    house.later()
    assert glanced(opened())["INBOX"].uidnext == 193


@pytest.mark.usefixtures("filled")
def test_folders_are_looked_at_again_when_something_has_changed(house, opened):
    mailboxes = opened()
    house.later()
    first = result_of(mailboxes.folders())
    assert result_of(mailboxes.folders()) is first
    result_of(mailboxes.subscribe("Trash", False))
    assert {folder.name for folder in result_of(mailboxes.folders()) if not folder.subscribed} == {"Trash", "Fresh", "Bare"}
    result_of(mailboxes.set_uses("Trash", ()))
    result_of(mailboxes.create("More"))
    (house.maildir / ".Junk").rename(house.maildir / ".Rubbish")
    names = {folder.name: folder.uses for folder in result_of(mailboxes.folders())}
    assert names.keys() & {"More", "Rubbish", "Junk"} == {"More", "Rubbish"}
    assert names["Trash"] == ()
