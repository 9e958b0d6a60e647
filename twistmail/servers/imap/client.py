"""What is known of one IMAP connection, and what the command families share: `Client`, `Refusal`, the capabilities.

State lives here and in the `View` of the selected mailbox; the families
(`entry`, `mailboxes`, `fetch`, ...) are functions that are given a Client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from twistmail.mail.account import Account
from twistmail.mail.envelope import TlsState
from twistmail.servers.conversation import Conversation
from twistmail.servers.imap.capabilities import AFTER_LOGIN, EVERYWHERE, SHARING, valued, words
from twistmail.servers.imap.hiding import hidden_from
from twistmail.servers.imap.pending import Pending
from twistmail.servers.imap.service import ImapService
from twistmail.servers.imap.view import View
from twistmail.servers.mechanisms import Caller
from twistmail.store_interfaces import IMailbox, IMailboxes
from twistmail.tasks import sleep
from twistmail.wire.imap.responses import NO, READ_UTF8, Response, mailbox, mailbox_in_utf8

Responses = AsyncIterator[Response]
#: A family's table: event class -> the function that answers it.
Answers = dict[type, Callable[[Any, Any], Responses]]

class Refusal(Exception):
    """A command is refused: *text* for the client, *code* a response code or empty. NO, or BAD where the client is wrong."""

    def __init__(self, text: str, code: str = "", condition: str = NO) -> None:
        super().__init__(text)
        self.code = code
        self.condition = condition


class Client:
    """One connection's state: who is logged in (`account`, `mailboxes`), what is selected (`view`), what is under way."""

    def __init__(self, service: ImapService, connection: str, address: str, via: str = "") -> None:
        self.service = service
        self.connection = connection
        self.address = address
        self.via = via  # the proxy that it came through
        self.tls: TlsState | None = None
        self.failures = 0
        self.agent = ""  # what ID says of the program: its name and version
        self.compressed = False
        self.pending = Pending(lambda: self.poke())
        self.counted: list[tuple[str, ...]] = []  # as what the census counts us
        self.poke: Callable[[], None] = lambda: None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Be a stranger: everything here is forgotten when somebody logs out of a connection that stays (RFC 8437 §4.1)."""
        self.began: float = self.service.clock.seconds()
        self.account: Account | None = None
        self.mailboxes: IMailboxes | None = None
        self.view: View | None = None
        self.conversation: Conversation | None = None
        self.enabled: set[str] = set()  # what ENABLE has turned on (RFC 5161); the view of the selected mailbox looks at the same set
        self.idling = False
        self.upload: Any = None  # append.Upload
        self.listening: Any = None  # notify.Listening, once there was a NOTIFY
        self.overhearing: Any = None  # overhearing.Overhearing, once there was an ENABLE METADATA
        self.doing: Any = None  # the command that is being answered

    async def capabilities(self) -> bytes:
        """What CAPABILITY tells now."""
        hidden = self.hidden
        told = [word for word in words(EVERYWHERE) if word not in hidden]
        if self.account is not None:
            told += [valued(word, self.service.settings) for word in words(AFTER_LOGIN) if word not in hidden]
            return " ".join(told).encode("ascii")
        if self.can_start_tls:
            told.append("STARTTLS")
        offered = await self.service.login.mechanisms(self.caller)
        told += [f"AUTH={name}" for name in offered]
        if not self.may_send_password:
            told.append("LOGINDISABLED")  # RFC 3501 §6.2.3
        return " ".join(told).encode("ascii")

    @property
    def spelled(self) -> Callable[[str], bytes]:
        """How this client is told the name of a mailbox: in modified UTF-7, or in UTF-8 once it can read that (RFC 6855 §3)."""
        return mailbox if self.enabled.isdisjoint(READ_UTF8) else mailbox_in_utf8

    @property
    def hidden(self) -> frozenset[str]:
        """The capabilities that this client is not told of."""
        hidden = hidden_from(self.service.settings, self.account.name if self.account else "", self.agent)
        return hidden if self.service.sharing else hidden | SHARING

    @property
    def can_start_tls(self) -> bool:
        return self.tls is None and self.service.tls_available and self.service.settings.tls != "off"

    @property
    def caller(self) -> Caller:
        return Caller(self.connection, self.address, self.tls, self.via)

    @property
    def may_send_password(self) -> bool:
        return self.service.login.may_send_password(self.caller)

    @property
    def folders(self) -> IMailboxes:
        """The mailboxes of who is logged in; the wire sees to it that somebody is."""
        assert self.mailboxes is not None
        return self.mailboxes

    @property
    def levels(self) -> tuple[str, str]:
        """Below which the mailboxes of other users, and shared ones, are (RFC 2342); empty: there are none."""
        sharing = self.service.sharing
        return sharing.levels if sharing else ("", "")

    def is_personal(self, name: str) -> bool:
        """Whether *name* is one of the user's own mailboxes'."""
        return name.partition("/")[0] not in self.levels

    @property
    def selected(self) -> View:
        """The view of the selected mailbox. Refusal where there is none any more (it was deleted by the client itself)."""
        if self.view is None:
            raise Refusal("No mailbox is selected", condition="BAD")
        return self.view

    @property
    def writable(self) -> View:
        """The same, where it may be changed."""
        view = self.selected
        if view.read_only:
            raise Refusal("The mailbox is open for reading only", "READ-ONLY")
        return view

    def select(self, mailbox: IMailbox, *, read_only: bool) -> View:
        self.leave_mailbox()
        self.view = View(mailbox, read_only=read_only, news=self.news, enabled=self.enabled)
        if self.listening is not None:
            self.view.wants = self.listening.wants
        return self.view

    def leave_mailbox(self) -> None:
        """Nothing is selected any more."""
        if self.view is not None:
            self.view.close()
            self.view = None

    def count_address(self) -> bool:
        """Count us among the strangers of our address, if we do not count yet; False where there are too many."""
        key = ("address", self.address)
        if not self.counted and self.service.census.enter((key, self.service.settings.max_connections_per_ip)):
            self.counted = [key]
        return bool(self.counted)

    def uncount(self) -> None:
        """The census counts us no longer."""
        self.service.census.leave(*self.counted)
        self.counted = []

    def news(self) -> None:
        """The selected mailbox has changed: a client that idles, or has said NOTIFY, shall hear of it now."""
        if self.idling or self.listening is not None:
            self.poke()

    def listen(self, listening: Any) -> None:
        """Hear of what *listening* (notify.Listening) says and of nothing else; None: of nothing, until a command is answered."""
        if self.listening is not None:
            self.listening.close()
        self.listening = listening
        if listening is not None:
            listening.begin()
            if self.view is not None:
                self.view.wants = listening.wants

    def overhear(self, overhearing: Any) -> None:
        """Hear of annotations through *overhearing* (overhearing.Overhearing); None: of none any more."""
        if self.overhearing is not None:
            self.overhearing.close()
        self.overhearing = overhearing

    async def turn(self) -> None:
        """Let the reactor have its turn in the midst of long work."""
        await sleep(self.service.clock, 0)
