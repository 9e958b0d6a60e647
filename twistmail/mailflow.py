"""The story of a message: Reception (before the 250), Dispatch (after it). Reads top to bottom.

Whatever happens is a fact, written down before the next step. Plain local
mailboxes are served before the 250, straight into the maildir; everything else
is durable in the queue by then. Which couriers, queue and filters there are is
the assembly's business; what an SMTP peer is told is decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from twistmail import tasks
from twistmail.disk import status_of
from twistmail.expansion import Expansion
from twistmail.facts import Accepted, Expanded, Fact, Facts, Fated, Refused, Renamed
from twistmail.interfaces import ICourier, IFilter, Keep, Unavailable
from twistmail.mail.address import Address
from twistmail.mail.content import Content
from twistmail.mail.edited import Edited
from twistmail.mail.envelope import Fate, Kind, Notify, Recipient, Target, Transaction, Wishes
from twistmail.mail.headers import first, longest, split, values
from twistmail.mail.item import Errand, Item, several, without_success
from twistmail.mail.outcome import Event, Outcome, Result
from twistmail.mail.readdressed import Shown
from twistmail.mail.status import UNAVAILABLE, Status
from twistmail.mail.trace import received
from twistmail.mail.values import changed, frozen
from twistmail.policy.copies import Copies
from twistmail.policy.pipeline import Pipeline
from twistmail.policy.sent import SentCopies

MOST_HEADER = 1024 * 1024  # octets of a header block that are looked at
LONGEST_FIELD = 64 * 1024  # octets of one field, folding included
TOO_LONG_A_HEADER = Status(552, "5.3.4", "The header of the message, or a field of it, is too long")
#: How long (seconds) a partly delivered message is remembered, so that a retry does not deliver it twice (spec D3).
REMEMBERED = 3600.0
MOST_REMEMBERED = 10_000
NEVER = float("-inf")
_NEEDS_NO_QUEUE = (Kind.MAILBOX, Kind.DISCARD)

Record = Callable[[Event], Coroutine[Any, Any, Item]]
Submit = Callable[[Item, Content], Awaitable[None]]


class Canonical(Protocol):
    """`canonical.rules.Canonical`."""

    async def sender(self, sender: Address) -> Shown: ...

    async def header(self, header: bytes, *, is_ours: bool) -> bytes: ...


class RoomFor(Protocol):
    """`IQueue.room_for`."""

    def __call__(self, size: int, *, report: bool = False) -> OSError | None: ...


# ----- after the 250 (and, for local mailboxes, just before it) --------------


@frozen
class Trip:
    """Targets of one item that travel together, and who carries them. `place`: the next hop; empty: it is here."""

    courier: ICourier
    place: str
    targets: tuple[Target, ...]


class Dispatch:
    """Says how targets travel, and carries them, once; each outcome is noted at once. When is the queue's business."""

    def __init__(self, couriers: Mapping[Kind, ICourier]) -> None:
        self._couriers = couriers
        self._at_once: Callable[[Target], bool] = getattr(couriers.get(Kind.MAILBOX), "at_once", lambda target: True)

    def recovered(self, items: Mapping[str, Item]) -> None:
        """An earlier process has left *items*, of which nothing is tried yet: told to couriers that have a `recovered` of their own."""
        for courier in self._couriers.values():
            if (hear := getattr(courier, "recovered", None)) is not None:
                hear(items)

    def courier(self, kind: Kind) -> ICourier | None:
        """Who carries targets of that *kind*."""
        return self._couriers.get(kind)

    def trips(self, item: Item, targets: Sequence[Target]) -> list[Trip]:
        """The trips that *targets* of *item* need. Nobody is asked."""
        kinds = {target.kind for target in targets}
        return [
            Trip(courier, batch.place, batch.targets)
            for kind, courier in self._couriers.items()
            if kind in kinds
            for batch in courier.batches(item, tuple(target for target in targets if target.kind is kind))
        ]

    async def carry(self, trip: Trip, item: Item, content: Content, record: Record) -> Sequence[Outcome]:
        """Make the trip; its outcomes, all of which have been recorded."""
        outcomes: Sequence[Outcome] = await trip.courier.carry(item, trip.targets, content)
        await tasks.gather(*(record(outcome) for outcome in outcomes))
        return outcomes

    async def attempt_mailboxes(self, item: Item, content: Content) -> Sequence[Outcome]:
        """One round for the local mailboxes only, those that others keep left out: the first attempt, made while the peer waits.

        What is thrown away needs no second one, and so no queue.
        """
        waiting = [errand.target for errand in item.pending if errand.target.kind in _NEEDS_NO_QUEUE]
        targets = tuple(target for target in waiting if target.kind is Kind.MAILBOX and self._at_once(target))
        outcomes = await self._couriers[Kind.MAILBOX].carry(item, targets, content) if targets else ()
        thrown = tuple(target for target in waiting if target.kind is Kind.DISCARD)
        return (*outcomes, *await self._couriers[Kind.DISCARD].carry(item, thrown, content)) if thrown else outcomes

    def places(self, item: Item) -> dict[Target, str]:
        """Where each target that still waits goes next (`Batch.place`; "": it is here)."""
        waiting = [errand.target for errand in item.pending]
        return {target: trip.place for trip in self.trips(item, waiting) for target in trip.targets}


# ----- before the 250 --------------------------------------------------------


class Reception:
    """Takes a message over, or says why not. One per service; `submit` is the queue's door."""

    def __init__(
        self,
        hostname: str,
        policy: Pipeline,
        expansion: Expansion,
        dispatch: Dispatch,
        submit: Submit,
        epoch: Callable[[], float],
        facts: Facts,
        sieve: IFilter | None = None,
        sent: SentCopies | None = None,
        room_for: RoomFor = lambda size, *, report=False: None,
        canonical: Canonical | None = None,
        copies: Copies | None = None,
    ) -> None:
        self.hostname = hostname
        self.policy = policy
        self.expansion = expansion
        self.dispatch = dispatch
        self.submit = submit
        self.epoch = epoch
        self.facts = facts
        self.filter = sieve
        self.sent = sent
        self.room_for = room_for
        self.canonical = canonical
        self.copies = copies
        #: Size of the content -> (digest, account) -> when. By size first: a digest of 35 MB is a tenth of a second.
        self._delivered: dict[int, dict[tuple[bytes, str], float]] = {}

    def no_room(self, transaction: Transaction, targets: Sequence[Target]) -> Status | None:
        """What a new recipient of *transaction* hears whose mail would have to wait in a queue that is full; None where there is room.

        Asked before the content comes, with the size that was announced (RFC 1870), so that nothing is sent in vain.
        """
        if all(target.kind in _NEEDS_NO_QUEUE for target in targets):
            return None
        full = self.room_for(int(transaction.parameters.get("SIZE", 0)), report=transaction.sender is None)
        return None if full is None else status_of(full)

    async def accept(self, transaction: Transaction) -> Status:
        """The answer to the end of data. A positive one is a promise: the message is durable in mailboxes or queue."""
        ready = await self._prepare(transaction)
        if isinstance(ready, Status):
            return ready
        judged, item, content = ready
        if judged.fate is not Fate.USUAL:
            return await self._befall(judged, item, content)
        return await self._take_over(judged, item, content)

    async def accept_each(self, transaction: Transaction) -> tuple[Status, ...]:
        """As `accept`, with an answer for each recipient (RFC 2033 §4.2): whoever hears of a failure keeps the message for it."""
        ready = await self._prepare(transaction)
        if isinstance(ready, Status):
            return (ready,) * len(transaction.recipients)
        judged, item, content = ready
        if judged.fate is not Fate.USUAL:
            return (await self._befall(judged, item, content),) * len(transaction.recipients)
        item = await self._deliver_now(item, content)
        answers = [_answer_for(recipient, item) for recipient in judged.recipients]
        if not all(answer.is_positive for answer in answers):
            self._remember(item, content)  # it comes again, and who has it, as an archive, needs it once
        ours = {target.place for r, answer in zip(judged.recipients, answers, strict=True) if answer.is_positive for target in r.targets}
        taken = {recipient.address for recipient, answer in zip(judged.recipients, answers, strict=True) if answer.is_positive}
        copies = set(item.errands).difference(_written_to(judged, item).errands) if taken else set()
        item = replace(item, errands=tuple(
            e for e in item.errands
            if (e.target.address in taken if e.result is Result.EXPANDED else e.target.place in ours) or e in copies
        ))  # fmt: skip
        try:
            if not item.is_settled:
                await self.submit(item, content)
        except OSError as error:
            self._remember(item, content)
            waiting = {errand.target.place for errand in item.pending}
            trouble = status_of(error)
            return tuple(
                trouble if any(target.place in waiting for target in recipient.targets) else answer
                for recipient, answer in zip(judged.recipients, answers, strict=True)
            )
        return tuple(answers)

    async def _prepare(self, transaction: Transaction) -> Status | tuple[Transaction, Item, Content]:
        """A refusal, or all that is needed to take the message over."""
        assert transaction.content is not None, "a transaction without content is not accepted"
        header, _ = split(transaction.content.beginning(MOST_HEADER))
        if len(header) >= MOST_HEADER or (len(header) > LONGEST_FIELD and longest(header) > LONGEST_FIELD):
            return self._refuse(transaction, "size", TOO_LONG_A_HEADER)
        opinion, prepend, judged = await self.policy.examine(changed(transaction, header=header))
        if opinion is not None and opinion.status is not None and not opinion.status.is_positive:
            return self._refuse(transaction, opinion.stage, opinion.status, opinion.rule)
        try:
            if self.canonical is not None:
                judged = await self._renamed(self.canonical, judged)
            unedited = judged.header is header
            content = transaction.content if unedited else Edited(judged.header, transaction.content, len(header))
            item = await self._item(judged, content, prepend, header)
        except Unavailable:
            return self._refuse(transaction, "filter", UNAVAILABLE)
        if self.facts.listened:
            self._tell_accepted(judged, item)
        return judged, item, content

    async def _renamed(self, canonical: Canonical, transaction: Transaction) -> Transaction:
        """*transaction* with the addresses that take the place of its sender's and of those in its header. Raises Unavailable."""
        header = await canonical.header(transaction.header, is_ours=transaction.account is not None)
        if transaction.sender is None:
            return replace(transaction, header=header)
        shown = await canonical.sender(transaction.sender)
        if shown.rule:
            self._tell(transaction.id, Renamed(transaction.sender, shown.address, shown.rule))
        return replace(transaction, sender=shown.address, header=header)

    async def _befall(self, transaction: Transaction, item: Item, content: Content) -> Status:
        """A message that is held for an operator, or thrown away; the peer is not told which (DISCARD is meant so)."""
        self._tell(item.id, Fated(transaction.fate.name, transaction.fate_reason))
        if transaction.fate is Fate.HOLD:
            try:
                await self.submit(replace(item, held=True, held_for=transaction.fate_reason), content)
            except OSError as error:
                return status_of(error)
        return Status(250, "2.0.0", f"Accepted as {item.id}")

    async def _take_over(self, transaction: Transaction, item: Item, content: Content) -> Status:
        """Local mailboxes now; what is left into the queue; only then the answer."""
        came, item = item, await self._deliver_now(item, content)
        if item.is_settled:
            return Status(250, "2.0.0", f"Accepted as {item.id}")
        if item is not came and (refusal := _answer_instead(_written_to(transaction, item))):
            self._remember(item, content)  # there may be copies
            return refusal
        try:
            await self.submit(item, content)
        except OSError as error:
            self._remember(item, content)
            return status_of(error)
        return Status(250, "2.0.0", f"Accepted as {item.id}")

    async def _deliver_now(self, item: Item, content: Content) -> Item:
        """The first attempt at the mailboxes, unless the sender wants it later (RFC 4865 §3)."""
        if item.wishes.hold_until is not None and item.wishes.hold_until > self.epoch():
            return item
        item = self._without_repeats(item, content)
        for outcome in await self.dispatch.attempt_mailboxes(item, content):
            event = replace(outcome, tried=self.epoch())
            item = item.after(event)
            self._tell(item.id, event)
        return item

    async def _item(self, transaction: Transaction, content: Content, prepend: bytes, original: bytes) -> Item:
        targets = _without_duplicates(transaction.recipients)
        if self.filter is not None:
            targets = await self._sorted(self.filter, targets, transaction, content)
        only = transaction.recipients[0].address if len(transaction.recipients) == 1 else None
        prefix = received(transaction.peer, self.hostname, transaction.id, self.epoch(), only, transaction.wishes.utf8) + prepend
        return Item(
            id=transaction.id,
            sender=transaction.sender,
            errands=_errands(targets, transaction.recipients) + await self._copies(transaction, original, targets),
            arrived=self.epoch(),
            size=content.size + len(prefix),
            prefix=prefix,
            account=transaction.account.name if transaction.account else "",
            body=_body(transaction),
            wishes=_wishes(transaction.wishes, original),
        )

    async def _copies(self, transaction: Transaction, original: bytes, targets: Sequence[Target]) -> tuple[Errand, ...]:
        """For those who send as a role, and by rule. Nobody is told where one cannot be filed: the message itself has gone its way."""
        copies = await self.sent.targets(transaction, original) if self.sent is not None else ()
        if self.copies is not None:
            taken = {target.place for target in (*targets, *copies)}
            copies += tuple(target for target in await self.copies.targets(transaction) if target.place not in taken)
        return tuple(Errand(target, notify=frozenset({Notify.NEVER})) for target in copies)

    async def _sorted(self, sieve: IFilter, targets: tuple[Target, ...], transaction: Transaction, content: Content) -> tuple[Target, ...]:
        """What each account's filter makes of its target: folders, redirections, or nothing at all."""
        found: dict[tuple[Kind, str, str], Target] = {}
        for target in targets:
            if target.kind is not Kind.MAILBOX:
                found[*target.place, ""] = target
                continue
            for action in await sieve.sort(target.account, transaction, content):
                if isinstance(action, Keep):
                    found[target.kind, target.account, action.folder] = replace(target, folder=action.folder)
                else:
                    for onward in await self.expansion.follow(action.address):
                        found[*onward.place, ""] = replace(onward, original=target.original)
        return tuple(found.values())

    # ----- a message that came through only in part (spec D3)

    def _remember(self, item: Item, content: Content) -> None:
        """Some mailboxes have it and the queue would not take the rest: the peer will send it again."""
        digest, now = _digest(item, content), self.epoch()
        self._forget_before(now - REMEMBERED)
        same = self._delivered.setdefault(content.size, {})
        for errand in item.errands:
            if errand.result is Result.DELIVERED and errand.target.kind is Kind.MAILBOX:
                same[digest, errand.target.account] = now

    def _forget_before(self, oldest: float) -> None:
        recent = {size: {key: at for key, at in same.items() if at > oldest} for size, same in self._delivered.items()}
        self._delivered = {size: same for size, same in recent.items() if same}
        if sum(map(len, self._delivered.values())) >= MOST_REMEMBERED:
            self._delivered.clear()

    def _without_repeats(self, item: Item, content: Content) -> Item:
        same = self._delivered.get(content.size)
        if not same:
            return item
        oldest = self.epoch() - REMEMBERED
        if max(same.values()) <= oldest:
            del self._delivered[content.size]
            return item
        digest = _digest(item, content)
        return replace(
            item,
            errands=tuple(
                replace(e, result=Result.DELIVERED)
                if e.target.kind is Kind.MAILBOX and same.get((digest, e.target.account), NEVER) > oldest
                else e
                for e in item.errands
            ),
        )

    # ----- facts

    def _refuse(self, transaction: Transaction, stage: str, status: Status, rule: str = "") -> Status:
        self._tell(transaction.id, Refused(stage, status, transaction.peer.connection, transaction.sender, rule=rule))
        return status

    def _tell_accepted(self, transaction: Transaction, item: Item) -> None:
        addresses = tuple(recipient.address for recipient in transaction.recipients)
        self._tell(
            item.id,
            Accepted(
                connection=transaction.peer.connection,
                service=transaction.peer.role.value,
                sender=item.sender,
                recipients=addresses,
                size=item.size,
                account=item.account,
                message_id=(first(transaction.header, b"message-id") or b"").decode("ascii", "replace"),
                subject=(first(transaction.header, b"subject") or b"").decode("utf-8", "replace"),
            ),
        )
        for recipient in transaction.recipients:
            if any(target.address != recipient.address for target in recipient.targets):
                self._tell(item.id, Expanded(recipient.address, recipient.targets))

    def _tell(self, about: str, what: object) -> None:
        if self.facts.listened:
            self.facts.tell(Fact(self.epoch(), about, what))


def _without_duplicates(recipients: Sequence[Recipient]) -> tuple[Target, ...]:
    """Each target once, in order: two names of one mailbox bring one copy (R25)."""
    if len(recipients) == 1:
        return recipients[0].targets
    found: dict[tuple[Kind, str], Target] = {}
    for recipient in recipients:
        for target in recipient.targets:
            found.setdefault(target.place, target)
    return tuple(found.values())


def _wishes(wishes: Wishes, header: bytes) -> Wishes:
    """With what stands in the header of the message: REQUIRETLS comes before TLS-Required, which stands once (RFC 8689 §3, §4.1)."""
    said = values(header, b"tls-required")
    optional = len(said) == 1 and said[0].strip(b" \t\r\n").lower() == b"no"
    return replace(wishes, tls_optional=True) if optional and not wishes.require_tls else wishes


def _errands(targets: Sequence[Target], recipients: Sequence[Recipient]) -> tuple[Errand, ...]:
    """What is to be done for *targets*, with what the sender asked for the recipient that led to each (RFC 3461 §5.2.7)."""
    asked = {recipient.address: recipient for recipient in recipients if recipient.notify or recipient.orcpt}
    if not asked:
        return tuple(Errand(target) for target in targets)
    behind = {recipient.address: without_success(recipient.notify) for recipient in asked.values() if _is_several(recipient)}
    errands = [
        Errand(target, notify=behind.get(by.address, by.notify), orcpt=by.orcpt)
        if target.sender is None and (by := asked.get(target.original)) else Errand(target)
        for target in targets
    ]  # fmt: skip
    return (*errands, *(several(asked[name]) for name in behind if Notify.SUCCESS in asked[name].notify))


def _is_several(recipient: Recipient) -> bool:
    """Whether what goes on from here is no longer his own mail: to many, or in the name of a list's owner."""
    return len(recipient.targets) > 1 or any(target.sender is not None for target in recipient.targets)


def _body(transaction: Transaction) -> str:
    """What the content is now: binary parts have been encoded."""
    body = transaction.parameters.get("BODY", "")
    return "8BITMIME" if body == "BINARYMIME" else body


def _answer_for(recipient: Recipient, item: Item) -> Status:
    """What LMTP's client hears for *recipient* after the first attempt: what failed at once is his, the rest is ours."""
    places = {target.place for target in recipient.targets}
    answer = _answer_instead(replace(item, errands=tuple(errand for errand in item.errands if errand.target.place in places)))
    return answer or Status(250, "2.0.0", f"Accepted as {item.id}")


def _answer_instead(item: Item) -> Status | None:
    """Where nothing was delivered and nothing is left for the queue but what the peer can hear now: that status.

    A full disk, a full mailbox: better said to the peer than kept in a queue on the same disk, or bounced.
    """
    errands = [errand for errand in item.errands if errand.result is not Result.EXPANDED]
    statuses = [errand.status for errand in errands if errand.status is not None]
    if not statuses or len(statuses) < len(errands) or any(status.is_positive for status in statuses):
        return None
    temporary = [status for status in statuses if status.is_temporary]
    return temporary[0] if temporary else statuses[0]


def _written_to(transaction: Transaction, item: Item) -> Item:
    """*item* without copies by rule: only what those get to whom it was written."""
    asked = {recipient.address for recipient in transaction.recipients}
    if all(errand.target.original in asked for errand in item.errands):
        return item
    return replace(item, errands=tuple(errand for errand in item.errands if errand.target.original in asked))


def _digest(item: Item, content: Content) -> bytes:
    digest = hashlib.sha256(repr(item.sender).encode())
    for chunk in content.chunks():
        digest.update(chunk)
    return digest.digest()
