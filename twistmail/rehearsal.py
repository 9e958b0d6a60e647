"""A message that nobody sends, taken over by everything that would take it over: nothing is written, counted or sent.

The real wire, session, stages and Reception hold the conversation; what they
are given in the end are `understudies`, which keep nothing. So what is told here
is what a peer would hear, and where his message would go. Stages that count
(connections, rates, refused recipients) begin at nothing; what users have sent is known.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from twistmail import tasks
from twistmail.config.settled import Config
from twistmail.delivering import delivered
from twistmail.dry_run import Question
from twistmail.facts import Fact, Facts, Fated, Refused
from twistmail.foundation import Foundation, Standing
from twistmail.interfaces import ICourier, Point
from twistmail.mail.account import Account
from twistmail.mail.content import Memory
from twistmail.mail.envelope import Kind, Peer, Recipient, Target, TlsState, Transaction
from twistmail.mail.ids import identifiers
from twistmail.mail.item import Item
from twistmail.mail.lines import to_crlf
from twistmail.mail.outcome import Foreseen
from twistmail.mail.status import Status
from twistmail.mail.values import frozen
from twistmail.policy.pipeline import Pipeline
from twistmail.policy.witness import Said, Witness
from twistmail.receiving import reception_of, trial
from twistmail.routing import programs_of
from twistmail.servers.smtp.offers import wire_limits
from twistmail.servers.smtp.service import SmtpService
from twistmail.servers.smtp.session import SmtpSession, open_connection
from twistmail.understudies import Copy, Drafts, NotingDispatch, Queue, Relay, Store, Understudies
from twistmail.wire.contract import NEED_DATA, Wants
from twistmail.wire.dotted import Stuffer
from twistmail.wire.smtp.server import SmtpServerWire

#: As servers and mail programs of today come.
ENCRYPTED = TlsState("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
#: Octets of a message that are said at a time; then the reactor gets its turn.
PIECE = 256 * 1024


@frozen
class Line:
    """What is said in words ("RCPT TO:<ann@blue.example>"), and the answer."""

    said: str
    answer: Status


@dataclass(slots=True)
class Rehearsed:
    """What came of it. `stage` and `rule` are those that have refused it, or given it the fate of `item`.

    `said`: what the stages had to say; `unasked`: those that nobody came to. `item`: what would be on its way, None where
    nothing would be; its mailboxes have been served, as `copies` tell, where there was a message.
    """

    lines: list[Line] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    unasked: tuple[tuple[Point, str], ...] = ()
    item: Item | None = None
    copies: list[Copy] = field(default_factory=list)
    stage: str = ""
    rule: str = ""
    thrown_away: bool = False

    @property
    def refusal(self) -> Status | None:
        """The answer that has ended it."""
        last = self.lines[-1].answer
        return last if last.code >= 400 else None


class Rehearsal:
    """*people*: `assembly.People`. *foundation* is a Foundation, or a Standing where no server runs. *lists*: the courier for lists."""

    def __init__(self, config: Config, foundation: Standing, people: Any, question: Question, account: Account | None,
                 lists: ICourier | None = None) -> None:
        self._config = config
        self._question = question
        self._account = account
        self._people = people
        self._facts: list[Fact] = []
        ground = foundation.ground
        facts = Facts()
        facts.listen(self._facts.append)
        self._ground = replace(ground, facts=facts, identifiers=identifiers(ground.epoch, 0))
        self._store = Store(foundation.store if isinstance(foundation, Foundation) else None, ground.terms)
        self._queue = Queue(foundation.queue if isinstance(foundation, Foundation) else None)
        house = Understudies(self._ground, self._store, self._queue)
        couriers = delivered(config, house, people, Relay(), programs_of(config, ground))
        self._dispatch = NotingDispatch(couriers if lists is None else {**couriers, Kind.LIST: lists})
        self._policy = trial(Witness, question.role, config, foundation, people)
        self._service = self._made(config, house)
        self._result = Rehearsed()

    def _made(self, config: Config, house: Understudies) -> SmtpService:
        ground, role = self._ground, self._question.role
        return SmtpService(
            hostname=config["server"].hostname,
            role=role,
            settings=config[role.value],
            policy=self._policy,
            expansion=self._people.expansion,
            reception=reception_of(role, config, house, self._people, self._dispatch, self._policy),
            login=None,
            facts=ground.facts,
            threads=ground.threads,
            drafts=Drafts(),  # type: ignore[arg-type]
            clock=ground.reactor,
            epoch=ground.epoch,
            identifiers=ground.identifiers,
            tls_available=True,
        )

    async def play(self, message: bytes | None) -> Rehearsed:
        """All of it, with *message* (any line ends), or up to the moment in which a message would come. Raises Unavailable."""
        question, result = self._question, self._result
        talk = _Talk(self._service, question.client, self._account, result.lines)
        try:
            if await self._envelope(talk, message) and message is not None:
                await talk.content(to_crlf(message))
        finally:
            talk.end()
        if result.refusal is None:
            result.item = await self._with_envelope_only() if message is None else self._on_its_way()
        self._conclude(message is not None)
        return result

    async def foresee(self, item: Item, target: Target) -> Foreseen | None:
        """What the courier for *target* knows before anything is brought; None: nothing. Raises Unavailable."""
        return await self._dispatch.foresee(item, target)

    async def _envelope(self, talk: _Talk, message: bytes | None) -> bool:
        """Whether everything up to the message was accepted."""
        question = self._question
        sender = bytes(question.sender) if question.sender is not None else b""
        recipient = bytes(question.recipient)
        parameters = self._parameters(sender + recipient, message)
        commands = [b"EHLO %b" % question.hello.encode(), b"MAIL FROM:<%b>%b" % (sender, parameters), b"RCPT TO:<%b>" % recipient]
        if not await talk.begin():
            return False
        for command in commands:
            if (await talk.say(command)).code >= 400:
                return False
        return message is None or (await talk.say(b"DATA")).code == 354

    def _parameters(self, addresses: bytes, message: bytes | None) -> bytes:
        """What mail programs put behind MAIL where it is offered."""
        offered, words = wire_limits(self._service, self._question.client).extensions, []
        if message is not None and "SIZE" in offered:
            words.append(b" SIZE=%d" % len(to_crlf(message)))
        if message is not None and "8BITMIME" in offered and not message.isascii():
            words.append(b" BODY=8BITMIME")
        if not addresses.isascii():
            words.append(b" SMTPUTF8")
        return b"".join(words)

    async def _with_envelope_only(self) -> Item | None:
        """The item of a message of which nothing is known but its envelope: nobody judges it."""
        question, expansion = self._question, self._people.expansion
        address = expansion.complete(question.recipient)
        recipient = Recipient(address, (await expansion.explain(address)).targets)
        peer = Peer("rehearsal", question.client, 0, question.role, question.hello, account=self._account)
        nothing = Memory(b"\r\n")
        transaction = Transaction(peer, "", self._ground.epoch(), question.sender, recipients=(recipient,), content=nothing)
        house = Understudies(self._ground, self._store, self._queue)
        unjudged = Pipeline((), self._ground.reactor)
        await reception_of(question.role, self._config, house, self._people, self._dispatch, unjudged).accept(transaction)
        self._store.copies.clear()
        return self._on_its_way()

    def _on_its_way(self) -> Item | None:
        """What waits in the queue, or what was served at once."""
        return self._queue.items[-1] if self._queue.items else self._dispatch.item

    def _conclude(self, has_message: bool) -> None:
        result = self._result
        result.said, result.copies = self._policy.said, self._store.copies
        asked = {one.point for one in result.said}
        at_message = len([one for one in result.said if one.point is Point.MESSAGE])
        result.unasked = tuple(
            (point, name) for point in Point if point not in asked or point is Point.MESSAGE
            for name in self._policy.names(point)[at_message if point is Point.MESSAGE else 0 :]
        )
        for fact in self._facts:
            match fact.what:
                case Refused(stage=stage, rule=rule):
                    result.stage, result.rule = stage, rule
                case Fated(fate=fate, reason=reason):
                    result.stage, _, result.rule = reason.partition(": ")
                    result.thrown_away = fate == "DISCARD"


class _Talk:
    """One conversation, as the pump would hold it. What is said is noted in *lines*."""

    def __init__(self, service: SmtpService, client: str, account: Account | None, lines: list[Line]) -> None:
        self._wire: SmtpServerWire
        self._session: SmtpSession
        self._wire, self._session = open_connection(service, "rehearsal", client, 0)
        self._session.tls_started(ENCRYPTED)
        self._account = account
        self._clock = service.clock
        self._lines = lines

    async def begin(self) -> bool:
        """Hear the greeting, and log in where somebody is to be; whether we may go on."""
        answer = Status(421, "4.3.0", "")
        async with aclosing(self._session.greet()) as said:  # type: ignore[type-var]
            async for answer in said:
                self._wire.send(answer)
        self._lines.append(Line("(connects)", answer))
        self._session.peer = replace(self._session.peer, account=self._account)
        return answer.code < 400

    async def say(self, line: bytes) -> Status:
        """The answer to one command."""
        return await self._heard(line.decode("utf-8", "replace"), line + b"\r\n")

    async def content(self, message: bytes) -> Status:
        """The answer to the end of *message* (CRLF line ends)."""
        stuffer = Stuffer()
        for start in range(0, len(message), PIECE):
            await self._answers(stuffer.feed(message[start : start + PIECE]))
            await tasks.sleep(self._clock, 0)
        return await self._heard("(the message)", stuffer.finish())

    def end(self) -> None:
        self._session.closed("quit")
        self._session.departed()

    async def _heard(self, words: str, octets: bytes) -> Status:
        answer = await self._answers(octets)
        assert answer is not None, f"{words} has no answer"
        self._lines.append(Line(words, answer))
        return answer

    async def _answers(self, octets: bytes) -> Status | None:
        """Say *octets*; the last answer, if there is any."""
        last: Any = None
        self._wire.receive_bytes(octets)
        while self._wire.wants is not Wants.CLOSE and (event := self._wire.next_event()) is not NEED_DATA:
            if (response := await self._session.answer(event)) is not None:
                self._wire.send(response)
                last = response
        return last if last is None or isinstance(last, Status) else last.status
