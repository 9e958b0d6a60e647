"""The threading algorithms: ORDEREDSUBJECT and REFERENCES (RFC 5256 §3), and REFS as Dovecot does it. Pure, iterative, linear.

A message is known by its place, from 0. Numbers from the count of the messages on are dummies: messages that others refer to
and that are not there. A list `parent` tells for each what it answers; -1 is the root. Links are made in two goes: first each
message is put below the one that it says it answers, then what is still without a parent goes where others say that it
belongs. RFC 5256 makes both in one go and has to cut links again; the outcome is the same unless what messages say
contradicts itself in a circle. Then, here, what a message says of itself counts more than what is said of it, and whoever comes first.

No step keeps the interpreter for long, however many messages there are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from twistmail.mail.mailbox import Threading
from twistmail.mail.ordering import gathered, ordered
from twistmail.mail.values import frozen

#: Messages whose threads are rendered together.
BLOCK = 1000


class Threaded(NamedTuple):
    """What is known of the messages that are to be threaded, column by column, ascending by UID.

    `sent`: POSIX seconds; `subjects`: base subjects; `replies`: whether a subject is that of a reply or forward; `ids`: as
    Column.THREADING, its own id and what it refers to.
    """

    uids: Sequence[int]
    sent: Sequence[float]
    subjects: Sequence[str]
    replies: Sequence[bool]
    ids: Sequence[str]


@frozen
class Threads:
    """The threads of messages in order. `blocks`: what THREAD tells of some, with "%d" for each number, and their UIDs."""

    blocks: tuple[tuple[bytes, array[int]], ...] = ()

    def rendered(self, numbers: Callable[[Sequence[int]], Iterable[int]]) -> Iterator[bytes]:
        """`thread-list`s (RFC 5256 §5), block by block. *numbers*(UIDs) tells what stands for each."""
        for text, uids in self.blocks:
            yield text % tuple(numbers(uids))


def threads(messages: Threaded, how: Threading) -> Threads:
    """The threads of *messages*."""
    return Threads(tuple(_ALGORITHMS[how](messages)))


Blocks = Iterator[tuple[bytes, "array[int]"]]


def _by_ordered_subject(messages: Threaded) -> Blocks:
    order = ordered(len(messages.uids), [(messages.sent, False)])
    first: dict[str, int] = {}
    parent = array("i", [-1]) * len(order)
    for place in order:
        above = first.setdefault(messages.subjects[place], place)
        if above != place:
            parent[place] = above
    return _written(messages.uids, order, parent, _heads(order, parent))


def _by_references(messages: Threaded) -> Blocks:
    parent = _pruned(_linked(messages.ids), len(messages.uids))
    order = ordered(len(parent), [(messages.sent, False)])
    parent = _with_like_subjects(messages, order, parent)
    return _written(messages.uids, order, parent, _heads(order, parent))


def _by_refs(messages: Threaded) -> Blocks:
    """As REFERENCES, without a look at subjects; threads are in the order of their latest messages."""
    parent = _pruned(_linked(messages.ids), len(messages.uids))
    order = ordered(len(parent), [(messages.sent, False)])
    return _written(messages.uids, order, parent, _by_latest(messages.sent, parent))


_ALGORITHMS: dict[Threading, Callable[[Threaded], Blocks]] = {
    Threading.ORDEREDSUBJECT: _by_ordered_subject,
    Threading.REFERENCES: _by_references,
    Threading.REFS: _by_refs,
}


# ----- step 1: who answers whom


def _linked(ids: Sequence[str]) -> array[int]:
    """The parents of all messages and dummies."""
    number: dict[str, int] = {}
    for place, told in enumerate(ids):
        if own := told.partition(" ")[0]:
            number.setdefault(own, place)  # of several with one id, the first has it
    forest = _Forest(len(ids))
    for place, told in enumerate(ids):
        chain = [_number(number, reference, forest) for reference in told.split(" ")[1:]]
        for above, below in pairwise(chain):
            if not place < below < len(ids):  # a later message says itself what it answers, and be it nothing
                forest.link(above, below)
        if chain:
            forest.link(chain[-1], place)
    return forest.parent


def _number(numbers: dict[str, int], reference: str, forest: _Forest) -> int:
    found = numbers.get(reference, -1)
    if found < 0:
        found = numbers[reference] = forest.add()
    return found


class _Forest:
    """Trees that grow together. `_top` leads from each node to the top of its tree, by ever shorter ways."""

    def __init__(self, count: int) -> None:
        self.parent = array("i", [-1]) * count
        self._top = gathered("i", range(count))

    def add(self) -> int:
        """A new node; its number."""
        self.parent.append(-1)
        self._top.append(len(self._top))
        return len(self._top) - 1

    def link(self, above: int, below: int) -> None:
        """Put *below* under *above*, unless it has a parent, or the other lies below it."""
        if self.parent[below] < 0 and self._top_of(above) != below:
            self.parent[below] = self._top[below] = above

    def _top_of(self, node: int) -> int:
        top = self._top
        while (above := top[node]) != node:
            top[node] = node = top[above]
        return node


# ----- steps 2 and 3: what is not there goes


def _pruned(parent: Sequence[int], count: int) -> array[int]:
    """The parents of the *count* messages: messages, and dummies that have several children and no parent."""
    stands = array("i", [-1]) * (len(parent) - count)  # for a dummy: what its children are to be put under
    pruned = gathered("i", (_stand(above, parent, count, stands) if above >= count else above for above in parent[:count]))
    children = array("i", [0]) * len(stands)
    for above in pruned:
        if above >= count:
            children[above - count] += 1
    return gathered("i", (-1 if above >= count and children[above - count] == 1 else above for above in pruned))


def _stand(dummy: int, parent: Sequence[int], count: int, stands: array[int]) -> int:
    """The message nearest above *dummy*, or else the highest dummy."""
    way, at = [], dummy
    while at >= count and stands[at - count] < 0 and parent[at] >= 0:
        way.append(at)
        at = parent[at]
    found = stands[at - count] if at >= count and stands[at - count] >= 0 else at
    for passed in way:
        stands[passed - count] = found
    return found


# ----- steps 4 and 5: threads of the same subject


def _heads(order: Iterable[int], parent: Sequence[int]) -> array[int]:
    """What is under the root, in order; of a dummy, its first child counts. *order* is that of the messages."""
    return gathered("i", (head for head, _ in _heads_and_firsts(order, parent)))


def _heads_and_firsts(order: Iterable[int], parent: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(head, the message that stands for it)."""
    count, seen = len(parent), set()
    for place in order:
        above = parent[place]
        if above < 0:
            yield place, place
        elif above >= count and above not in seen:
            seen.add(above)
            yield above, place


def _with_like_subjects(messages: Threaded, order: Sequence[int], parent: array[int]) -> array[int]:
    """Step 5: threads whose base subjects are equal become one."""
    count, subjects, replies = len(parent), messages.subjects, messages.replies
    heads, firsts = array("i"), array("i")
    for head, first in _heads_and_firsts(order, parent):
        if subjects[first]:
            heads.append(head)
            firsts.append(first)
    table: dict[str, int] = {}
    for head, subject in zip(heads, map(subjects.__getitem__, firsts), strict=True):
        known = table.setdefault(subject, head)
        if known < count and (head >= count or (replies[known] and not replies[head])):
            table[subject] = head
    merged: dict[int, int] = {}
    fresh = max(count, 1 + max(parent, default=0))  # the number of the next dummy
    for head, subject in zip(heads, map(subjects.__getitem__, firsts), strict=True):
        known = table[subject]
        if head == known:
            continue
        if head >= count:
            merged[head] = known
        elif known >= count or (replies[head] and not replies[known]):
            parent[head] = known
        else:
            parent[head] = parent[known] = table[subject] = fresh
            fresh += 1
    return gathered("i", (merged.get(above, above) for above in parent)) if merged else parent


def _by_latest(sent: Sequence[float], parent: Sequence[int]) -> list[int]:
    """The heads in the order of the latest messages of their threads; what is equal by UID, dummies first."""
    latest: dict[int, float] = {}
    for head, when in zip(_tops(parent), sent, strict=True):
        if when >= latest.get(head, when):
            latest[head] = when
    dummies = [head for head in latest if head >= len(parent)]
    heads = dummies + [place for place, above in enumerate(parent) if above < 0]
    return [heads[number] for number in ordered(len(heads), [([latest[head] for head in heads], False)])]


def _tops(parent: Sequence[int]) -> array[int]:
    """The head of the thread of each message."""
    count = len(parent)
    tops = array("i", [-1]) * count
    for place in range(count):
        way, at = [place], place
        while at < count and tops[at] < 0 and parent[at] >= 0:
            way.append(at)
            at = parent[at]
        top = tops[at] if at < count and tops[at] >= 0 else at
        for passed in way:
            if passed < count:
                tops[passed] = top
    return tops


# ----- step 6: in order, and written down


def _written(uids: Sequence[int], order: Sequence[int], parent: Sequence[int], heads: Iterable[int]) -> Blocks:
    """What is told of the threads. Children are in the order in which they stand in *order*."""
    first, following = _children(order, parent)
    text: list[bytes] = []
    told: list[int] = []
    for head in heads:
        for octets, place in _thread(head, first, following):
            text.append(octets)
            if place >= 0:
                told.append(uids[place])
                if len(told) == BLOCK:
                    yield b"".join(text), array("I", told)
                    text, told = [], []
    if text:
        yield b"".join(text), array("I", told)


def _children(order: Sequence[int], parent: Sequence[int]) -> tuple[dict[int, int], array[int]]:
    """The first child of each that has some, and what follows a message under its parent (-1: nothing)."""
    first: dict[int, int] = {}
    following = array("i", [-1]) * len(parent)
    for place in reversed(order):
        above = parent[place]
        if above >= 0:
            following[place] = first.get(above, -1)
            first[above] = place
    return first, following


_END = -1


def _thread(head: int, first: dict[int, int], following: Sequence[int]) -> Iterator[tuple[bytes, int]]:
    """One thread in pieces (text, place of the message that it names or -1): a message, its only child, that one's only child; several
    children as a thread each. A dummy has several.
    """
    count, waiting = len(following), [head]
    while waiting:
        at = waiting.pop()
        if at == _END:
            yield b")", -1
            continue
        yield (b"(%d", at) if at < count else (b"(", -1)
        while (child := first.get(at, -1)) >= 0 and following[child] < 0:
            yield b" %d", child
            at = child
        if child < 0:
            yield b")", -1
            continue
        if at < count:
            yield b" ", -1
        waiting.append(_END)
        waiting += reversed(_siblings(child, following))


def _siblings(child: int, following: Sequence[int]) -> list[int]:
    found = []
    while child >= 0:
        found.append(child)
        child = following[child]
    return found
