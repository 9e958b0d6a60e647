"""The addresses of the lists as aliases (IAliasResolver): to the list itself, or to its owners."""

from __future__ import annotations

from zope.interface import implementer

from twistmail.interfaces import IAliasResolver
from twistmail.lists.mailing_list import Lists
from twistmail.lists.names import Call, Role, called
from twistmail.mail.address import Address
from twistmail.mail.alias import Step, ToList


@implementer(IAliasResolver)
class ListNames:
    """Those of *lists*. Nobody is asked anything: who is on a list is found out when a message for it is sent."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists

    async def lookup(self, address: Address) -> Step | None:
        call = called(address, self.lists)
        if call is None or not self._is_open(call):
            return None
        one = self.lists.get(call.name)
        assert one is not None, "it was called by its name"
        goals = one.owners if call.role is Role.OWNER else (ToList(str(address)),)
        return Step(goals, one.origin)

    def _is_open(self, call: Call) -> bool:
        """Where nobody may subscribe, nobody is there to be written to."""
        one = self.lists.get(call.name)
        return one is not None and (call.role is not Role.SUBSCRIBE or one.settings.subscribe != "closed")
