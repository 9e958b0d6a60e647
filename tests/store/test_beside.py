"""What one session asks of a mailbox while another one is not ready yet."""

from __future__ import annotations

from tests.helpers import result_of
from twistmail.mail.mailbox import FlagChange


def test_a_copy_has_all_messages_though_their_flags_change_meanwhile(house):
    store = house.store()
    house.deliver(store, *[b"a: b\r\n\r\n"] * 3)
    inbox = house.open(store)
    target = house.open(store, "Sent")
    learn = target.learn

    async def slowly(flags):
        await inbox.store([2], FlagChange.ADD, ["work"])
        await learn(flags)

    target.learn = slowly
    copied = result_of(inbox.copy([1, 2, 3], "Sent"))
    assert copied.source == (1, 2, 3)


def test_messages_that_go_while_others_are_described_leave_none_out(house):
    store = house.store()
    house.deliver(store, *[b"Subject: letter\r\n\r\n"] * 4)
    inbox = house.open(store)
    kept = inbox._kept

    async def slowly(uids):
        described = await kept(uids)
        await inbox.expunge([3, 4])
        return described

    inbox._kept = slowly
    assert result_of(inbox.header_search([3, 4], "subject", "letter")) == {3, 4}
    inbox._kept = kept
    assert result_of(inbox.header_search([1, 2], "subject", "letter")) == {1, 2}
