"""Users of this machine as accounts."""

from __future__ import annotations

import os
import pwd

from tests.helpers import result_of
from twistmail import tasks
from twistmail.accounts.local import LocalUsers
from twistmail.mail.account import Account
from twistmail.memory.people import MemoryPeople

ME = pwd.getpwuid(os.getuid()).pw_name


def recognized(people: MemoryPeople, user: int) -> Account | None:
    return result_of(LocalUsers(people, tasks.Inline(), "here.example").recognize(user))


def test_a_user_has_the_account_of_his_name() -> None:
    account = recognized(MemoryPeople({f"{ME}@here.example": "secret"}, "here.example"), os.getuid())
    assert account is not None
    assert account.name == f"{ME}@here.example"


def test_a_user_without_an_account_sends_as_his_address() -> None:
    assert recognized(MemoryPeople({}, "here.example"), os.getuid()) == Account(f"{ME}@here.example")


def test_a_number_without_a_name_is_told_by_its_number() -> None:
    assert recognized(MemoryPeople({}, "here.example"), 3_999_999_999) == Account("uid3999999999@here.example")


def test_who_may_not_log_in_may_not_send_either() -> None:
    class Closed:
        async def find(self, address: object) -> Account:
            return Account(str(address), enabled=False)

    assert result_of(LocalUsers(Closed(), tasks.Inline(), "here.example").recognize(os.getuid())) is None
