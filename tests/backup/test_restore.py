"""Restoring: exactly as it was where there is nothing, and only what is missing where there is something."""

import shutil
import time

import pytest

from tests import walk
from tests.backup.conftest import ALICE, back_up, restore
from tests.helpers import result_of
from twistmail.anomalies import Severity
from twistmail.backup.manifest import MAIL, MANIFESTS, DamagedBackup
from twistmail.backup.restore import Wish
from twistmail.store.verify import verify_account


def sound(house):
    """No errors, no warnings."""
    found = verify_account(house.tree, ALICE, time.time(), deep=True).anomalies
    assert [anomaly for anomaly in found if anomaly.severity is not Severity.NOTE] == []
    return True


def test_an_empty_house_gets_it_back_as_it_was(house, elsewhere, shelf):
    outcome = restore(back_up(house, shelf), elsewhere)
    assert (outcome.restored, outcome.present, outcome.problems) == (4, 0, [])
    assert sorted(outcome.exact) == sorted(house.tree.names())
    for name in house.tree.names():
        assert elsewhere.seen(name) == house.seen(name)
    theirs, ours = (result_of(result_of(one.store.mailboxes(ALICE)).folders()) for one in (elsewhere, house))
    assert theirs == ours
    assert sound(elsewhere)
    assert not (elsewhere.maildir / "twistmail-restoring").exists()


def test_uids_go_on_where_they_were(house, elsewhere, shelf):
    restore(back_up(house, shelf), elsewhere)
    assert elsewhere.append("INBOX", b"Subject: next\r\n\r\n") == (5,)


def test_an_account_that_was_made_but_holds_nothing_gets_it_back_as_it_was(house, elsewhere, shelf):
    validity = elsewhere.open().uidvalidity
    restore(back_up(house, shelf), elsewhere)
    contents, after = elsewhere.seen()
    assert contents == house.seen()[0]
    assert after == house.seen()[1] != validity + 1


def test_what_is_there_already_is_not_doubled(house, shelf):
    backup = back_up(house, shelf)
    outcome = restore(backup, house)
    assert (outcome.restored, outcome.present) == (0, 4)
    assert sorted(house.seen()[0]) == [1, 3, 4]


def test_what_was_lost_comes_back_under_a_new_uid(house, shelf):
    backup = back_up(house, shelf)
    before = house.seen()[0]
    result_of(house.open().expunge([3]))
    house.append("INBOX", b"Subject: since\r\n\r\n")
    outcome = restore(backup, house)
    assert (outcome.restored, outcome.present, sorted(outcome.merged)[:1]) == (1, 3, ["INBOX"])
    after = house.seen()[0]
    assert sorted(after) == [1, 4, 5, 6]
    assert after[6] == before[3], "content, flags, keywords and date are as they were"
    assert restore(backup, house).restored == 0, "a second time it is there"
    assert sound(house)


def test_a_deleted_folder_comes_back_as_it_was(house, shelf):
    backup = back_up(house, shelf)
    before = house.seen("Work/Old")
    result_of(result_of(house.store.mailboxes(ALICE)).delete("Work/Old"))
    outcome = restore(backup, house, Wish(("Work/Old",)))
    assert (outcome.restored, outcome.exact) == (1, ["Work/Old"])
    assert house.seen("Work/Old") == before


def test_one_message_by_its_uid(house, shelf):
    backup = back_up(house, shelf)
    result_of(house.open().expunge([1, 3, 4]))
    outcome = restore(backup, house, Wish(("INBOX",), frozenset({3})))
    assert (outcome.restored, outcome.merged) == (1, ["INBOX"])
    ((content, flags, _),) = house.seen()[0].values()
    assert (content, flags) == (b"Subject: 3\r\n\r\nxxx\r\n", ["$Forwarded", "\\Flagged"])


def test_the_same_message_under_another_name_is_known_by_date_and_content(house, elsewhere, shelf):
    """Mail that another program has copied meanwhile has other names."""
    for place in ("new", "cur", "tmp"):
        (elsewhere.maildir / place).mkdir(parents=True)
    for number, path in enumerate(sorted([*(house.maildir / "cur").iterdir(), *(house.maildir / "new").iterdir()])):
        shutil.copy2(path, elsewhere.maildir / "cur" / f"{number}.other:2,")
    outcome = restore(back_up(house, shelf), elsewhere, Wish(("INBOX",)))
    assert (outcome.restored, outcome.present) == (0, 3)


def test_an_interrupted_restore_goes_on_and_ends_as_it_was(house, elsewhere, shelf):
    backup = back_up(house, shelf)
    seen = []

    def step(count, at):
        seen.append(at)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(backup, elsewhere, step=step)
    outcome = restore(backup, elsewhere)
    assert (outcome.restored, outcome.present) == (2, 2)
    for name in house.tree.names():
        assert elsewhere.seen(name) == house.seen(name)
    assert sound(elsewhere)


def test_a_dry_run_changes_nothing(house, elsewhere, shelf):
    backup = back_up(house, shelf)
    assert restore(backup, elsewhere, dry_run=True).restored == 4
    assert not elsewhere.maildir.exists()
    result_of(house.open().expunge([3]))
    before = walk.walk(house.maildir)
    assert restore(backup, house, dry_run=True).restored == 1
    assert walk.walk(house.maildir) == before


def test_what_is_damaged_is_left_out_and_told(house, elsewhere, shelf):
    backup = back_up(house, shelf)
    (bad,) = (backup / MAIL / ALICE / "new").iterdir()
    bad.unlink()
    bad.write_bytes(b"Subject: forged\n\nforged\n")
    outcome = restore(backup, elsewhere)
    assert outcome.restored == 3
    (problem,) = outcome.problems
    assert str(bad) in problem
    assert sorted(elsewhere.seen()[0]) == [1, 3]


def test_a_manifest_that_leads_elsewhere_is_not_followed(house, elsewhere, shelf):
    backup = back_up(house, shelf)
    manifest = backup / MANIFESTS / ALICE
    manifest.write_text(manifest.read_text().replace("cur/", "../cur/"))
    with pytest.raises(DamagedBackup):
        restore(backup, elsewhere)


def test_keywords_find_their_letters_in_a_mailbox_that_has_others(house, elsewhere, shelf):
    elsewhere.append("INBOX", b"Subject: first\r\n\r\n", flags=("Other", "$Forwarded"))
    restore(back_up(house, shelf), elsewhere)
    after = elsewhere.seen()[0]
    words = {content.split(b"\r\n")[0]: flags for content, flags, _ in after.values()}
    assert words == {
        b"Subject: first": ["$Forwarded", "Other"],
        b"Subject: 1": ["Work", "\\Seen"],
        b"Subject: 3": ["$Forwarded", "\\Flagged"],
        b"Subject: new": [],
    }
