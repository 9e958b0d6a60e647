"""How one message goes over a session: MAIL, RCPT and the content (RFC 5321 §3.3), and what comes of it for each recipient.

`deliver` carries an item and tells an Outcome for each target. Whatever can go in one
packet does: the envelope with DATA where PIPELINING is offered (RFC 2920), the content
with its end, and behind that already the next message where the caller gives one
(`sent`). Where CHUNKING is offered the content is counted, not dotted (RFC 3030): no
octet of it can be taken for a command then, and nothing is sent that nobody takes.

What the server is told of the sender's wishes is the business of `parameters`, in which
form it gets the content that of `fitting`; who may use the session, that of `courier`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from twistmail.mail.content import Content, Memory
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item
from twistmail.mail.outcome import Outcome, outcome_of
from twistmail.mail.status import Status
from twistmail.relay.client import GONE, SILENT, Lost
from twistmail.relay.exchange import Session
from twistmail.relay.fitting import Fitted, fit, in_memory
from twistmail.relay.parameters import mail_parameters, needs_utf8, objection, rcpt_parameters, reports_itself
from twistmail.wire.smtp import client as say
from twistmail.wire.smtp.client import Chunk, ContentEnd, Octets, Reply, shown, status_of

#: No attempt costs more than this many transactions on account of a server that takes few recipients at a time and says so late.
MOST_ROUNDS = 20
ODD = Status(451, "4.5.0", "The other side gave an answer that makes no sense there")
#: After the content nobody knows any more whether the server has it. We wait for ten minutes (RFC 1047), and then it may come twice.
UNANSWERED = Status(451, "4.4.2", "The other side got all of the message and closed the connection without an answer")
UNANSWERED_IN_TIME = Status(451, "4.4.2", "The other side got all of the message and took too long to answer")


async def deliver(
    session: Session, item: Item, targets: Sequence[Target], content: Content, threads: Any, sent: Callable[[], None] | None = None
) -> tuple[Outcome, ...]:
    """One Outcome per target, in order; fewer where the session is spent before all were served, but at least one.

    *sent* is called at most once, when all has been said and only the last answer is missing: another `deliver` may begin on the
    session then (RFC 2920 §3.1).

    What the server does is an outcome, a lost connection too. Raises Lost only where a session that has carried other items
    is found gone before this one was begun: it had been kept too long, and a new one will do. OSError where the content
    cannot be read.
    """
    content = await in_memory(content, threads)
    session.connection.item = item.id
    outcomes: dict[Target, Outcome] = {}
    left = list(targets)
    rounds = 0
    while left and not (rounds and session.is_spent):
        now, left = left[: session.most_recipients], left[session.most_recipients :]
        transaction = _Transaction(session, item, tuple(now), outcomes)
        is_first, carried_others = not rounds, session.items > 0
        rounds += 1
        session.transactions += 1
        try:
            await transaction.run(content, threads, None if left else sent)
        except Lost as lost:
            if is_first and carried_others and not transaction.begun:
                raise
            transaction.settle_rest(lost.status)
        if rounds < MOST_ROUNDS:
            left = transaction.too_many() + left
    return tuple(outcomes[target] for target in targets if target in outcomes)


class _Transaction:
    """One MAIL ... DATA or BDAT. Fills `outcomes`."""

    def __init__(self, session: Session, item: Item, targets: tuple[Target, ...], outcomes: dict[Target, Outcome]) -> None:
        self.session, self.item, self.targets, self.outcomes = session, item, targets, outcomes
        self.connection, self.patience, self.offered = session.connection, session.patience, session.extensions
        wanted = set(targets)
        self.errands = {errand.target: errand for errand in item.errands if errand.target in wanted}
        self.is_pipelined = "PIPELINING" in self.offered
        self.begun = False  # the server has answered MAIL
        self.postponed: list[Target] = []  # the server takes so many at a time, and these were more

    async def run(self, content: Content, threads: Any, sent: Callable[[], None] | None) -> None:
        fitted = await self._fitted(content, threads)
        if isinstance(fitted, Status):
            self.session.items += 1
            return self.settle_rest(fitted)
        counted = fitted.size is not None and "CHUNKING" in self.offered
        self.connection.no_longer_than(self.patience.whole + self.item.size / self.patience.rate)
        try:
            if not await self._introduce(fitted, counted=counted):
                return None
            await self._say_content(fitted, threads, counted=counted)
        finally:
            self.session.items += 1
            self.connection.in_time()
        return await self._answers(sent, counted=counted)

    async def _fitted(self, content: Content, threads: Any) -> Fitted | Status:
        """The message as this server can take it, or why it must not get it."""
        item, offered = self.item, self.offered
        utf8 = needs_utf8(item, self.errands.values())
        return objection(item, offered, self._now()) or await fit(item, content, offered, threads, utf8_envelope=utf8)

    def _now(self) -> float:
        return self.connection.clock.seconds()  # type: ignore[no-any-return]

    # ----- the envelope

    async def _introduce(self, fitted: Fitted, *, counted: bool) -> bool:
        """MAIL and every RCPT, DATA too where the content is not *counted*; in one go where pipelined. Whether content is wanted."""
        mail, recipients = say.mail(self.item.sender, self._parameters(fitted)), self._recipients()
        reset = () if self.session.is_clean else (say.RSET,)
        self.session.is_clean = False
        if self.is_pipelined:
            self.connection.send(*reset, mail, *recipients, *(() if counted else (say.DATA,)))
        if reset:
            await self._reply_to(say.RSET, self.patience.mail)
        mail_reply = await self._reply_to(mail, self.patience.mail)
        if mail_reply.code == 421:  # RFC 5321 §3.8: it closes now; said also by servers that have waited too long for us
            raise Lost(status_of(mail_reply))
        self.begun = True
        if mail_reply.code >= 300 and not self.is_pipelined:
            self.settle_rest(_refusal(mail_reply))
            return False
        await self._take_recipients(recipients, mail_reply)
        return await self._may_go_on(counted=counted)

    def _parameters(self, fitted: Fitted) -> tuple[str, ...]:
        """The ESMTP parameters of MAIL."""
        session = self.session
        size = (f"SIZE={fitted.size}",) if "SIZE" in self.offered and fitted.size is not None else ()
        wishes = mail_parameters(
            self.item, self.offered, self._now(), encrypted=self.connection.tls, logged_in=session.has_logged_in)  # fmt: skip
        return (*size, *fitted.parameters, *wishes)

    def _recipients(self) -> list[say.Command]:
        return [say.rcpt(target.address, rcpt_parameters(self.errands[target], self.offered)) for target in self.targets]

    async def _reply_to(self, command: say.Command, patience: float) -> Reply:
        """The reply to *command*, which has been said already where commands go in one packet."""
        if not self.is_pipelined:
            self.connection.send(command)
        return await self.connection.reply(patience)

    async def _take_recipients(self, recipients: Sequence[say.Command], mail_reply: Reply) -> None:
        for target, command in zip(self.targets, recipients, strict=True):
            reply = await self._reply_to(command, self.patience.recipient)
            if mail_reply.code >= 300:
                self._settle(target, _refusal(mail_reply))  # what is said to RCPT now is only 503
            elif reply.code >= 300:
                self._refuse(target, reply)

    def _refuse(self, target: Target, reply: Reply) -> None:
        status = _about_recipient(reply)
        if status.code == 452 and status.enhanced in ("4.0.0", "4.5.3"):
            self.postponed.append(target)
        self._settle(target, status)

    async def _may_go_on(self, *, counted: bool) -> bool:
        """Whether the server waits for content now, which it may do where nobody was accepted (RFC 2920 §3.1)."""
        if counted:
            return bool(self._accepted())
        if not self._accepted() and not self.is_pipelined:
            return False
        reply = await self._reply_to(say.DATA, self.patience.data)
        if reply.code != 354:
            self.settle_rest(_refusal(reply))
        return reply.code == 354

    def _accepted(self) -> list[Target]:
        return [target for target in self.targets if target not in self.outcomes]

    # ----- the content

    async def _say_content(self, fitted: Fitted, threads: Any, *, counted: bool) -> None:
        """All of it, never faster than the transport takes it. Nothing at all where nobody was accepted: then its end is all."""
        accepted = len(self._accepted())
        replies = accepted if self.session.answers_each else 1
        if not accepted:
            return self.connection.send(ContentEnd(replies))
        piece: type[Chunk | Octets] = Octets if counted else Chunk
        first: list[Any] = [say.bdat(fitted.size or 0, replies)] if counted else []
        last: list[Any] = [] if counted else [ContentEnd(replies)]
        first.append(piece(self.item.prefix))
        if isinstance(fitted.content, Memory):
            return self.connection.send(*first, piece(fitted.content.data), *last)
        self.connection.send(*first)
        with self.connection.piecewise():
            said = await self._say_pieces(fitted.content, piece, threads)
        if counted and said < fitted.content.size:
            raise OSError(f"{fitted.content.size - said} octets of the content are missing")
        return self.connection.send(*last)

    async def _say_pieces(self, content: Content, piece: type[Chunk | Octets], threads: Any) -> int:
        """How many octets that were."""
        chunks, said = content.chunks(), 0
        while chunk := await threads.run(next, chunks, b""):
            await self.connection.room(self.patience.block)
            self.connection.send(piece(chunk))
            said += len(chunk)
        await self.connection.room(self.patience.block)
        return said

    async def _answers(self, sent: Callable[[], None] | None, *, counted: bool) -> None:
        """What the server says to the content. With that the transaction has ended in whatever way (RFC 5321 §4.1.1.4); only after
        a BDAT that failed the state is not certain (RFC 3030 §2)."""
        session, accepted = self.session, self._accepted()
        answered = [[one] for one in accepted] if session.answers_each else [accepted]
        waiting = [self.connection.expect(self.patience.end) for _ in answered]
        session.is_clean, number, since = not counted, session.transactions, self.connection.age
        if sent is not None and self.is_pipelined:
            sent()
        for targets, reply in zip(answered, [await _answer(one) for one in waiting], strict=True):
            status = reply if isinstance(reply, Status) else status_of(reply) if reply.code < 300 else _refusal(reply)
            for target in targets:
                self._settle(target, status)
            session.is_clean |= number == session.transactions and status.is_positive
        session.answered_in = self.connection.age - since

    # ----- what comes of it

    def too_many(self) -> list[Target]:
        """Those who may be tried again at once, as the server has taken others but does not take so many at a time."""
        taken = len(self.targets) - len(self.postponed)
        if not self.postponed or not taken or not any(self.outcomes[one].status.is_positive for one in self.targets):
            return []
        self.session.fewer = min(self.session.fewer, taken)
        for target in self.postponed:
            del self.outcomes[target]
        return self.postponed

    def settle_rest(self, status: Status) -> None:
        """Every recipient that has no answer of his own gets this one."""
        for target in self._accepted():
            self._settle(target, status)

    def _settle(self, target: Target, status: Status) -> None:
        passed_on = reports_itself(self.item, self.errands[target], self.offered)
        self.outcomes[target] = outcome_of(target, status, self.session.name, passed_on=passed_on, secured=self.session.secured)


async def _answer(waiting: Awaitable[Reply]) -> Reply | Status:
    """The last reply of a transaction, or why there is none."""
    try:
        return await waiting
    except Lost as lost:
        return {GONE: UNANSWERED, SILENT: UNANSWERED_IN_TIME}.get(lost.status, lost.status)


def _refusal(reply: Reply) -> Status:
    """A reply that is not the one we need, as a status that is not positive."""
    if reply.code >= 400:
        return status_of(reply)
    return replace(ODD, text=f"{ODD.text}: {reply.code} {shown(reply.lines[0])}".rstrip())


def _about_recipient(reply: Reply) -> Status:
    """RFC 5321 §4.5.3.1.10: 552 to RCPT means too many recipients for one transaction, which is temporary."""
    status = _refusal(reply)
    return replace(status, code=452, enhanced="4.5.3") if status.code == 552 and status.enhanced in ("5.0.0", "5.5.3") else status
