"""The smallest useful plugin: an alias source, a policy stage and a source of accounts, each with a section of its own.

[aliases]                       [mx]
source = config staff           stages = limits unwelcome hello senders relaying recipients loops

[staff]                         [unwelcome]
members = anna bert             senders = spam@away.example

[users]                         [club]
source = sqlite club            members = gwen@club.example hugo@club.example
                                closed = no
"""

from twisted.plugin import IPlugin
from zope.interface import implementer

from twistmail.accounts.secrets import Entry
from twistmail.interfaces import IAccountSource, IAliasResolver, IPart, IPolicyStage, IPolicyStageFactory, Point, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.alias import Step
from twistmail.mail.status import Status
from twistmail.options import SWITCH, TEXT, WORDS, Option, Section


@implementer(IAliasResolver)
class WholeStaff:
    """One name, in every domain, that means all members."""

    def __init__(self, name, members):
        self.name = name
        self.members = members

    async def lookup(self, address):
        return Step(tuple(map(parse, self.members)), "[staff]") if address.local == self.name else None


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


@implementer(IAccountSource)
class Club:
    """Members have a mailbox, and a password that everybody can guess. Whoever asks a club that is closed is told to come later."""

    def __init__(self, members, closed):
        self.members = members
        self.closed = closed

    async def lookup(self, name):
        if self.closed:
            raise Unavailable("the club is closed")
        return Entry(Account(name)) if name in self.members else None

    async def namesakes(self, local):
        return tuple(Entry(Account(name)) for name in self.members if name.startswith(f"{local}@"))

    async def verify(self, entry, password):
        return password == f"{entry.account.local} likes the club"


@implementer(IPlugin, IPart)
class ClubSource:
    kind = "accounts"
    name = "club"
    options = Section(
        "club",
        "Members of the club.",
        Option("members", WORDS, "", "Their addresses.", example="gwen@club.example"),
        Option("closed", SWITCH, "no", "Whether nobody answers."),
    )

    def build(self, settings, house):
        return Club(settings.members, settings.closed)
