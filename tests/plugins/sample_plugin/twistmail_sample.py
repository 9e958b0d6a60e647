"""The smallest useful plugin: an alias source and a policy stage, each with a section of its own.

[aliases]                       [mx]
source = config staff           stages = limits unwelcome hello senders relaying recipients loops

[staff]                         [unwelcome]
members = anna bert             senders = spam@away.example
"""

from twisted.plugin import IPlugin
from zope.interface import implementer

from twistmail.interfaces import IAliasResolver, IPart, IPolicyStage, IPolicyStageFactory, Point
from twistmail.mail.address import Address, parse
from twistmail.mail.status import Status
from twistmail.options import TEXT, WORDS, Option, Section


@implementer(IAliasResolver)
class WholeStaff:
    """One name, in every domain, that means all members."""

    def __init__(self, name, members):
        self.name = name
        self.members = members

    async def lookup(self, address):
        return tuple(map(parse, self.members)) if address.local == self.name else ()


@implementer(IPlugin, IPart)
class WholeStaffSource:
    kind = "alias source"
    name = "staff"
    options = Section(
        "staff",
        "One address for everybody.",
        Option("name", TEXT, "staff", "The name."),
        Option("members", WORDS, "", "Whom it means.", example="anna bert"),
    )

    def build(self, settings, house):
        return WholeStaff(settings.name, settings.members)


@implementer(IPolicyStage)
class Unwelcome:
    """Some senders are not welcome."""

    name = "unwelcome"
    point = Point.SENDER

    def __init__(self, senders):
        self.senders = senders

    async def judge(self, transaction):
        if isinstance(transaction.sender, Address) and str(transaction.sender.folded) in self.senders:
            return Status(550, "5.7.1", "You are not welcome here")
        return None


@implementer(IPlugin, IPolicyStageFactory)
class UnwelcomeFactory:
    name = "unwelcome"
    options = Section(
        "unwelcome", "Who may not write to us.", Option("senders", WORDS, "", "Addresses in lower case.", example="spam@away.example")
    )

    def build(self, settings, house):
        return Unwelcome(frozenset(settings.senders))
