"""One expansion under way: where it still has to go, and what it has found. The values of `expansion`, which has the rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from twistmail.mail.address import Address
from twistmail.mail.alias import Final, Goal, Step
from twistmail.mail.envelope import Kind, Target
from twistmail.mail.status import Status
from twistmail.mail.trail import Move
from twistmail.mail.values import frozen

UNKNOWN = Status(550, "5.1.1", "There is no mailbox of that name here")
LOOP = Status(550, "5.4.6", "The aliases of that name lead in a circle")
TOO_MANY = Status(550, "5.4.6", "The aliases of that name lead too far")
#: Their list has outgrown what the house allows: the operator's business, and so not for good.
TOO_LONG = Status(451, "4.3.5", "That name stands for too many addresses here")

NAMED_BEFORE = "named before"


@frozen
class Branch:
    """A goal that is still to be followed.

    `path` is what led to it: aliases (Address) and accounts whose mail goes on (their name); `called` the last of them.
    `sender` gets the reports, `account` is whose forward it is, as in Target.
    """

    goal: Goal
    path: tuple[Address | str, ...]
    called: Address
    sender: Address | None = None
    account: str = ""

    @property
    def name(self) -> Address:
        """What the goal is called."""
        return self.goal if isinstance(self.goal, Address) else self.called

    def onward(self, here: Address, step: Step, passed: Address | str, account: str = "") -> list[Branch]:
        """What *step* of *here* leads to. Names without a domain are in its domain. *passed* is not passed again."""
        sender, path = step.owner or self.sender, (*self.path, passed)
        return [Branch(_in_domain(goal, here.domain), path, here, sender, account) for goal in step.goals]

    def to(self, there: Address, here: Address) -> list[Branch]:
        """From *here* to *there*, by a rule of the house."""
        return [Branch(there, (*self.path, here), here, self.sender)]


@dataclass(slots=True)
class Walk:
    """One expansion under way."""

    original: Address
    targets: dict[tuple[Kind, str], Target] = field(default_factory=dict)
    seen: set[tuple[Address, tuple[Address | str, ...]]] = field(default_factory=set)
    trail: list[Move] = field(default_factory=list)
    steps: int = 0
    fault: Status | None = None  # what was said of a name on the way that leads nowhere
    whole: Status | None = None  # what stands against all of it

    def lead(self, branch: Branch, address: Address, what: str, step: Step) -> None:
        """*address* leads on."""
        self.trail.append(Move(address, len(branch.path), what, step.origin, step.goals))

    def knows(self, branch: Branch, address: Address, names: Iterable[Address]) -> bool:
        """Whether *address*, which may have these *names*, was followed before and would lead to the same now."""
        path = branch.path
        key = address, tuple(name for name in names if name in path or str(name) in path) if path else ()
        if key in self.seen:
            self.trail.append(Move(address, len(path), NAMED_BEFORE))
            return True
        self.seen.add(key)
        return False

    def arrive(self, branch: Branch, target: Target, what: str, goal: Goal | None = None, *, below: bool = False) -> None:
        """The branch ends at *target*. *below*: at what was looked at last, further."""
        if branch.sender is not None:
            target = replace(target, sender=branch.sender)
        known = self.targets.setdefault(target.place, target)
        if known is not target:
            what = f"{what}, {NAMED_BEFORE}"
        self.trail.append(Move(target.address, len(branch.path) + below, what, goal=goal, target=target))

    def end(self, branch: Branch, address: Address, what: str, status: Status, *, goal: Goal | None = None, whole: bool = False) -> None:
        """The branch leads nowhere. *whole*: so nothing else counts either. What is said first is the answer."""
        self.trail.append(Move(address, len(branch.path), what, goal=goal, status=status))
        if whole or status.is_temporary:
            self.whole = self.whole or status
        elif self.fault is None or _weight(status) > _weight(self.fault):
            self.fault = status


def _weight(status: Status) -> int:
    """What somebody has said of a name counts for more than a circle, and that for more than that nobody has it."""
    return 0 if status is UNKNOWN else 1 if status is LOOP else 2


def _in_domain(goal: Goal, domain: str) -> Goal:
    if isinstance(goal, Address):
        return goal if goal.domain else Address(goal.local, domain)
    if isinstance(goal, Final) and not goal.address.domain:
        return Final(Address(goal.address.local, domain))
    return goal
