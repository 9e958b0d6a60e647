"""What the policy would say to a client, a sender and a recipient, without any of them: `twistmail policy check`.

The real stages are asked, all of them, also those that nobody would ask any
more after a refusal; so an operator sees every objection at once. Stages that
want the message itself are only named. What the session decides by itself
before a stage is asked (that a user must log in) is told like a stage's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twistmail.expansion import Expansion
from twistmail.interfaces import Point, Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import Address, parse
from twistmail.mail.envelope import Fate, Kind, Peer, Role, Target, Transaction
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.values import frozen
from twistmail.networks import address_of
from twistmail.policy.pipeline import Opinion, Pipeline
from twistmail.servers.smtp.service import LOGIN_FIRST

#: The services that have a policy.
SERVICES = {"mx": Role.MX, "submission": Role.SUBMISSION}
NO_OPINION = "-"
NEEDS_MESSAGE = "needs the message"


@frozen
class Question:
    """Who would send what to whom. `sender` None: nobody. `login`: the name of the account that has logged in, or ""."""

    role: Role
    client: str
    sender: Address | None
    recipient: Address
    hello: str = "client.example"
    login: str = ""


def read(arguments: Mapping[str, Any]) -> Question:
    """The question in *arguments* (texts). ValueError, with a sentence, where it is none."""
    texts = {key: str(arguments.get(key) or "") for key in ("service", "client", "sender", "recipient", "hello", "login")}
    role = SERVICES.get(texts["service"] or "mx")
    if role is None:
        raise ValueError(f"{texts['service']} has no policy; there are mx and submission")
    address = address_of(texts["client"])
    if address is None:
        raise ValueError(f"{texts['client']!r} is no IP address")
    sender = None if texts["sender"] in ("", "<>") else _address(texts["sender"])
    return Question(role, str(address), sender, _address(texts["recipient"]), texts["hello"] or "client.example", texts["login"])


def _address(text: str) -> Address:
    return parse(text.removeprefix("<").removesuffix(">"))


class DryRun:
    """Asks *policy*, and then where the address leads, what a session would ask. `rows` is who said what."""

    def __init__(self, policy: Pipeline, expansion: Expansion, question: Question, account: Account | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._policy = policy
        self._expansion = expansion
        self._question = question
        self._account = account
        self._refusal: Opinion | None = None
        self._fate = Opinion("")

    async def run(self) -> dict[str, Any]:
        """The whole answer, as JSON: the rows, and what would be said in the end."""
        question = self._question
        peer = Peer("dry-run", question.client, 0, question.role)
        await self._consult(Point.CONNECT, peer)
        peer = replace(peer, hello=question.hello, extended=True)
        await self._consult(Point.HELLO, peer)
        if question.role is Role.SUBMISSION and self._account is None:
            self._hear("session", "login", Opinion("login", LOGIN_FIRST))
        transaction = Transaction(replace(peer, account=self._account), "dry-run", 0.0, question.sender)
        await self._consult(Point.SENDER, transaction)
        await self._consult(Point.RECIPIENT, transaction, question.recipient)
        targets = await self._leads()
        self._policy.left(peer)
        for name in self._policy.names(Point.MESSAGE):
            self._row(Point.MESSAGE.value, name, NEEDS_MESSAGE)
        return self._answer(targets)

    async def _consult(self, point: Point, *about: Any) -> None:
        said, decided = await self._policy.consult(point, *about)
        for name, opinion in said:
            self._hear(point.value, name, opinion, decides=opinion is not None and opinion is decided)

    async def _leads(self) -> list[str]:
        """Where the recipient leads, as the session asks after the stages."""
        try:
            followed = await self._expansion.explain(self._question.recipient)
        except Unavailable:
            self._hear("recipient", "aliases", Opinion("aliases", UNAVAILABLE))
            return []
        if followed.fault is not None and self._refusal is None:
            self._hear("recipient", "aliases", Opinion("aliases", followed.fault))
        return [_in_words(target) for target in followed.targets]

    def _hear(self, point: str, stage: str, opinion: Opinion | None, *, decides: bool = True) -> None:
        if opinion is None:
            self._row(point, stage, NO_OPINION)
            return
        status = opinion.status
        decides = decides and self._refusal is None and status is not None and not status.is_positive
        if decides and status is not None:
            self._refusal = opinion if point != Point.CONNECT.value else replace(opinion, status=_greeting(status))
        if opinion.fate.value > self._fate.fate.value:
            self._fate = opinion
        self._row(point, stage, str(status) if status else _fate(opinion.fate) or NO_OPINION, opinion.rule, decides=decides)

    def _row(self, point: str, stage: str, verdict: str, rule: str = "", *, decides: bool = False) -> None:
        self.rows.append({"point": point, "stage": stage, "verdict": verdict, "rule": rule, "decides": decides})

    def _answer(self, targets: list[str]) -> dict[str, Any]:
        end = self._refusal or self._fate
        fate = "refused" if self._refusal else _fate(self._fate.fate) or "accepted"
        return {
            "rows": self.rows,
            "result": fate,
            "stage": end.stage,
            "rule": end.rule,
            "reply": str(end.status) if self._refusal and end.status else "",
            "targets": [] if self._refusal else targets,
        }


def _greeting(status: Status) -> Status:
    """What is said instead of the greeting (RFC 5321 §3.1)."""
    return replace(status, code=421 if status.is_temporary else 554)


def _fate(fate: Fate) -> str:
    return {Fate.USUAL: "", Fate.HOLD: "held", Fate.DISCARD: "thrown away"}[fate]


def _in_words(target: Target) -> str:
    if target.kind is Kind.MAILBOX:
        return target.account
    return f"{target.address} (elsewhere)" if target.kind is Kind.REMOTE else f"{target.way or target.address} ({target.kind.value})"
