"""What a message is when it leaves: its envelope's sender, once for each that it needs, and its header. One object for the whole house.

    sender   sender map, or masquerading  ->  VERP, where asked for  ->  SRS, where a stranger's message is forwarded
             (a target that has a sender of its own, as those of lists have: sender map, or masquerading)
    header   sender map, and masquerading, in messages of this house only

The item in the queue stays as it came, so reports of ours find whom they are
for. Asked by `relay.courier` just before a message is said to a server (and by
nobody who delivers here), by `queue.reports` for the address of a report, by the
expansion for the way back, and by the policy about senders whom no answer can reach.

Signing (DKIM) belongs behind `_header` and before the message is given to the
relay: what is signed must not be changed any more. For the same reason the
header of a stranger's message is left alone, even where it names us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from twistmail.leaving.forwarding import Forwarding
from twistmail.leaving.senders import Senders
from twistmail.mail import verp
from twistmail.mail.address import Address
from twistmail.mail.content import Content, Memory
from twistmail.mail.departure import Departure
from twistmail.mail.edited import Edited
from twistmail.mail.envelope import Target
from twistmail.mail.headers import MOST, first, split
from twistmail.mail.item import Errand, Item
from twistmail.mail.readdressed import Shown, by_field, list_readdressed, readdressed
from twistmail.mail.status import Status
from twistmail.mail.values import frozen

#: Items of which it is known which of their names stand for several.
MOST_REMEMBERED = 64
#: More octets than this are looked through in a thread.
_AT_ONCE = 64 * 1024


@frozen
class VerpRules:
    """Whose mail always leaves with VERP, and with which delimiters where nobody has said. See `options.SENDERS`."""

    senders: frozenset[Address] = frozenset()
    delimiters: str = verp.USUAL


class Leaving:
    """*forwarding* None: senders of forwarded messages stay. *threads* look through long headers (tasks.Threads).

    *strict*: users may not write to the world from senders whom no answer can reach (`policy.senders`).
    *came*(a sender) tells what becomes of one as his mail comes in (`canonical.rules`), for whoever asks before it has come.
    """

    def __init__(
        self,
        senders: Senders,
        forwarding: Forwarding | None,
        rules: VerpRules,
        threads: Any,
        *,
        strict: bool = True,
        came: Callable[[Address], Awaitable[Shown]] | None = None,
    ) -> None:
        self.senders = senders
        self.strict = strict
        self.forwarding = forwarding
        self._verp = rules
        self._threads = threads
        self._came = came
        self._several: dict[str, frozenset[Address]] = {}

    @property
    def leads_back(self) -> bool:
        """Whether any address that only the world knows leads here."""
        return self.forwarding is not None or self.senders.any

    # ----- out

    async def departures(self, item: Item, targets: Sequence[Target], content: Content) -> tuple[Departure, ...]:
        """*item* as it is said to a server for *targets*: one Departure for each sender that it needs, in order.

        Raises Unavailable where the sender map was never in order, OSError where the content cannot be read.
        """
        delimiters = self._delimiters(item)
        if not delimiters and not self.senders.any and self.forwarding is None:
            return apart(item, targets, content)
        await self.senders.freshen()
        names = self._names(item) if delimiters else frozenset()
        changed = await self._header(item, content)
        whole = item if changed is content else replace(item, size=item.size - content.size + changed.size)
        return _divided(whole, targets, changed, lambda target: self._sender(item, target, delimiters, _called(target, names)))

    def _sender(self, item: Item, target: Target, delimiters: str, called: Address) -> Address | None:
        if item.sender is None:
            return None
        if target.sender is not None:
            return self.senders.in_envelope(target.sender).address
        sender = self.senders.in_envelope(item.sender).address
        if delimiters:
            sender = verp.sender_for(sender, called, delimiters)
        if self.forwarding is not None and target.original != target.address and not self.senders.names.has(sender.domain):
            return self.forwarding.forward(sender) or sender
        return sender

    def _delimiters(self, item: Item) -> str:
        """How the recipient is put into the sender's address; "" where it is not."""
        if item.sender is None:
            return ""
        if item.wishes.verp:
            return self._verp.delimiters if item.wishes.verp == verp.AS_USUAL else item.wishes.verp
        if not item.account or not self._verp.senders:
            return ""
        folded = item.sender.folded
        known = self._verp.senders
        is_listed = folded in known or Address(folded.local) in known or Address("", folded.domain) in known
        return self._verp.delimiters if is_listed else ""

    def _names(self, item: Item) -> frozenset[Address]:
        """The names that the sender wrote, and that stand for several. Remembered: each place that *item* goes to asks for them."""
        if item.id not in self._several:
            if len(self._several) >= MOST_REMEMBERED:
                self._several.clear()
            counted = Counter(errand.target.original for errand in item.errands)
            self._several[item.id] = frozenset(name for name, number in counted.items() if number > 1)
        return self._several[item.id]

    async def _header(self, item: Item, content: Content) -> Content:
        """*content* with the addresses in its header as the world sees them; the same object where nothing changes."""
        if not self.senders.any:
            return content
        if isinstance(content, Memory) and content.size <= _AT_ONCE:
            return self._readdressed(item, content)
        changed: Content = await self._threads.run(self._readdressed, item, content)
        return changed

    def _readdressed(self, item: Item, content: Content) -> Content:
        header, _ = split(content.beginning(min(content.size, MOST)))
        if not self._is_ours(item, header):
            return content
        known: dict[tuple[bool, Address], Address] = {}

        def author(address: Address) -> Address:
            return known.get((True, address)) or known.setdefault((True, address), self.senders.in_header(address).address)

        def reader(address: Address) -> Address:
            return known.get((False, address)) or known.setdefault((False, address), self.senders.as_reader(address).address)

        changed = readdressed(header, by_field(author, reader))
        if changed is header:
            return content
        if isinstance(content, Memory):
            return Memory(changed + content.data[len(header) :])
        return Edited(changed, content, len(header))

    def _is_ours(self, item: Item, header: bytes) -> bool:
        """Whether the message was written here: its sender is one of ours, or one who logs in; or it is a report of ours."""
        if item.account:
            return True
        if item.sender is not None:
            return self.senders.is_ours(item.sender)
        author = first(header, b"from") or b""
        ours = list_readdressed(author, lambda address: self.senders.in_header(address).address)
        return ours is not author

    # ----- back

    async def home(self, address: Address) -> Address | Status | None:
        """Where *address*, one that only the world knows by that name, leads: to whom a report is sent on, or to somebody of this house.

        A Status where it was ours and leads nowhere (any more); None where it is nothing of the kind. Raises Unavailable.
        """
        found = self.forwarding.back(address) if self.forwarding is not None else None
        if found is not None:
            return found
        await self.senders.freshen()
        return self.senders.behind(address)

    def objection(self, sender: Address | None, recipient: Address) -> Status | None:
        """Why mail of *sender* may not use *recipient*, an address that leads somewhere; None where it may."""
        if self.forwarding is None or not isinstance(self.forwarding.back(recipient), Address):
            return None
        return self.forwarding.objection(sender, recipient)

    def report_addresses(self, item: Item, errands: Sequence[Errand]) -> tuple[Address, ...]:
        """To whom a report about each of *errands* goes, of an item with a sender: the target's own one; or the sender as he wrote, with
        the recipient in it where that is asked for (VERP)."""
        sender, delimiters = item.sender, self._delimiters(item)
        assert sender is not None, "the null sender is never changed"
        names = self._names(item) if delimiters else frozenset()

        def written(target: Target) -> Address:
            return verp.sender_for(sender, _called(target, names), delimiters) if delimiters else sender

        return tuple(errand.target.sender or written(errand.target) for errand in errands)

    # ----- what an operator sees

    async def shown(self, sender: Address) -> Shown:
        """The sender that the world sees of *sender*, as he writes himself, and by which rules. Raises Unavailable."""
        came = await self._arrived(sender)
        shown = self.senders.in_envelope(came.address)
        return Shown(shown.address, ", ".join(rule for rule in (came.rule, shown.rule) if rule))

    async def _arrived(self, sender: Address) -> Shown:
        await self.senders.freshen()
        return Shown(sender) if self._came is None else await self._came(sender)

    async def explain(self, sender: Address, target: Target) -> Shown:
        """What a server is told that mail of *sender*, a user where he is one of ours, to *target* comes from, and by which rules.

        Raises Unavailable.
        """
        shown, sender = await self.shown(sender), (await self._arrived(sender)).address
        item = Item("", sender, (Errand(target),), 0.0, 0, account=str(sender) if self.senders.is_ours(sender) else "")
        delimiters, rules = self._delimiters(item), [shown.rule] if shown.rule else []
        before = verp.sender_for(shown.address, target.original, delimiters) if delimiters else shown.address
        said = self._sender(item, target, delimiters, target.original)
        assert said is not None, "only the null sender stays null"
        if before != shown.address:
            rules.append("[relay] verp")
        if said != before:
            rules.append("[srs] enabled")
        return Shown(said, ", ".join(rules))


def apart(item: Item, targets: Sequence[Target], content: Content) -> tuple[Departure, ...]:
    """*item* once for each sender, and each front, that *targets* have of their own. Nothing else changes."""
    return _divided(item, targets, content, item.sender_for)


def _divided(
    item: Item, targets: Sequence[Target], content: Content, sender_of: Callable[[Target], Address | None]
) -> tuple[Departure, ...]:
    wanted = [(sender_of(target), target.front) for target in targets]
    if wanted.count((item.sender, b"")) == len(targets) > 0:
        return (Departure(item, tuple(targets), content),)
    groups: dict[tuple[Address | None, bytes], list[Target]] = {}
    for target, way in zip(targets, wanted, strict=True):
        groups.setdefault(way, []).append(target)
    leaving = frozenset(targets)
    errands = {errand.target: errand for errand in item.errands if errand.target in leaving}
    return tuple(
        Departure(
            replace(item, sender=sender, prefix=item.prefix + front, size=item.size + len(front),
                    errands=tuple(errands[target] for target in group)), tuple(group), content)
        for (sender, front), group in groups.items()
    )  # fmt: skip


def _called(target: Target, names: frozenset[Address]) -> Address:
    """What the sender calls *target*: as he wrote it; where that name stands for several (*names*), the one of them that it is."""
    return target.address if target.original in names else target.original
