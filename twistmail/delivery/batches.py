"""How targets of one message travel that each are a place of their own: files, and programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twistmail.interfaces import Batch
from twistmail.mail.envelope import Target
from twistmail.mail.item import Item

#: Where a message goes to more files (or programs) than this, all of them are one place, which has few jobs at a time: else one
#: message with hundreds would take the turns of everybody's mail. A job for each they still are: one that is slow delays no other's end.
OWN_PLACES = 8


def batches(kind: str, item: Item, targets: Sequence[Target]) -> tuple[Batch, ...]:
    """*targets* by their way; *kind* ("file", "program") is what they are called."""
    groups = _by_way(targets)
    if len(_by_way(errand.target for errand in item.pending if errand.target.kind is targets[0].kind)) > OWN_PLACES:
        return tuple(Batch(f"{kind}s of {item.id}", tuple(group)) for group in groups.values())
    return tuple(Batch(f"{kind}:{way}" + (f" ({whose})" if whose else ""), tuple(group)) for (whose, way), group in groups.items())


def _by_way(targets: Iterable[Target]) -> dict[tuple[str, str], list[Target]]:
    groups: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        groups.setdefault((target.account, target.way), []).append(target)
    return groups
