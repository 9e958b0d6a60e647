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
