"""Threading: the algorithms of RFC 5256, held against the RFC's own words as a slow program, and with what strangers may send."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.mail.mailbox import Threading
from twistmail.mail.threads import Threaded, threads


def threaded(*messages):
    """Messages (ids, subject, is reply, sent); what is missing is "", "", False and the place."""
    rows = [(*message, *("", "", False, float(place))[len(message) :]) for place, message in enumerate(messages)]
    ids, subjects, replies, sent = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Threaded(range(1, len(rows) + 1), sent, subjects, replies, ids)


def told(messages, how):
    return b"".join(threads(messages, how).rendered(lambda uids: uids)).decode()


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([("a",), ("b a",), ("c a b",)], "(1 2 3)", id="chain"),
        pytest.param([("a",), ("b a",), ("c a",), ("d a c",)], "(1 (2)(3 4))", id="fork"),
        pytest.param([("b a",), ("a",)], "(2 1)", id="the-answer-came-first"),
        pytest.param([("b x",), ("c x",)], "((1)(2))", id="siblings-of-one-that-is-not-there"),
        pytest.param([("b x",)], "(1)", id="one-answer-to-what-is-not-there"),
        pytest.param([("c a x y",), ("a",), ("d x",)], "(2 (1)(3))", id="missing-links-are-left-out"),
        pytest.param([("c x y",), ("d x z",)], "((1)(2))", id="dummies-under-a-dummy-are-left-out"),
        pytest.param([("a",), ("a",), ("b a",)], "(1 3)(2)", id="of-two-with-one-id-the-first-has-it"),
        pytest.param([("",), (" a",), ("a",)], "(1)(3 2)", id="no-id"),
        pytest.param([("a a",)], "(1)", id="answers-itself"),
        pytest.param([("a b",), ("b a",)], "(2 1)", id="a-circle-of-two"),
        pytest.param([("a",), ("b c a",), ("c b",)], "(3 1 2)", id="what-was-said-first-of-a-circle"),
        pytest.param([("b",), ("c",), ("a",), ("d a b c",)], "(3 1 2 4)", id="others-tell-whose-child-one-is"),
        pytest.param([("d a b c",), ("b",), ("c",), ("a",)], "(2)(3 1)(4)", id="who-answers-nothing-and-comes-later-is-nobodys-child"),
        pytest.param([("c b",), ("d a c",), ("b",), ("a",)], "(3 1 2)(4)", id="what-one-says-itself-counts-more"),
        pytest.param([("b a", "", False, 5.0), ("a", "", False, 9.0), ("c", "", False, 7.0)], "(3)(2 1)", id="by-the-date-of-the-root"),
        pytest.param([("b x", "", False, 5.0), ("c x", "", False, 1.0), ("d", "", False, 3.0)], "((2)(1))(3)", id="a-dummy-by-its-first"),
    ],
)
def test_references(messages, expected):
    assert told(threaded(*messages), Threading.REFERENCES) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([("a", "S"), ("b", "S", True)], "(1 2)", id="a-reply-goes-below"),
        pytest.param([("a", "S", True), ("b", "S")], "(2 1)", id="the-reply-came-first"),
        pytest.param([("a", "S"), ("b", "S")], "((1)(2))", id="two-that-are-no-replies"),
        pytest.param([("a", "S", True), ("b", "S", True)], "((1)(2))", id="two-replies"),
        pytest.param([("a", "S", True), ("b", "S", True), ("c", "S", True)], "((1)(2)(3))", id="three-replies"),
        pytest.param([("a", ""), ("b", "")], "(1)(2)", id="no-subject-is-no-bond"),
        pytest.param([("a x", "S"), ("b x", "T"), ("c", "S", True)], "((1)(2)(3))", id="below-a-dummy"),
        pytest.param([("a x", "S"), ("b x", "T"), ("c y", "S"), ("d y", "T")], "((1)(2)(3)(4))", id="two-dummies-become-one"),
        pytest.param([("c", "S"), ("a x", "S"), ("b x", "T")], "((1)(2)(3))", id="a-dummy-takes-the-place-of-a-message"),
        pytest.param([("a", "S"), ("b", "T", True), ("c", "T"), ("d b", "S", True)], "(1)(3 2 4)", id="only-roots-are-compared"),
        pytest.param([("a", "S", True, 2.0), ("b", "S", False, 9.0), ("c", "T", False, 5.0)], "(3)(2 1)", id="order-after-the-merge"),
    ],
)
def test_threads_with_one_subject_become_one(messages, expected):
    assert told(threaded(*messages), Threading.REFERENCES) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([("a", "S"), ("b", "T"), ("c", "S"), ("d", "S")], "(1 (3)(4))(2)", id="children-and-no-grandchildren"),
        pytest.param([("a", "S", False, 3.0), ("b", "T", False, 2.0), ("c", "S", False, 1.0)], "(3 1)(2)", id="by-date"),
        pytest.param([("a", ""), ("b", "")], "(1 2)", id="no-subject-is-one-too"),
    ],
)
def test_ordered_subject(messages, expected):
    assert told(threaded(*messages), Threading.ORDEREDSUBJECT) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([("a", "S"), ("b", "S", True)], "(1)(2)", id="subjects-do-not-count"),
        pytest.param([("a", "", False, 1.0), ("b", "", False, 2.0), ("c a", "", False, 3.0)], "(2)(1 3)", id="by-the-latest-message"),
        pytest.param([("a x", "", False, 4.0), ("b", "", False, 4.0), ("c x", "", False, 1.0)], "((3)(1))(2)", id="dummies-first"),
        pytest.param([("c b", "", False, 1.0), ("b a", "", False, 9.0), ("a", "", False, 3.0), ("d", "", False, 5.0)], "(4)(3 2 1)",
                     id="deep"),
    ],
)  # fmt: skip
def test_refs(messages, expected):
    assert told(threaded(*messages), Threading.REFS) == expected


# ----- RFC 5256 §3, word by word, on data that does not contradict itself


class Node:
    def __init__(self, place=None, sent=0.0):
        self.place, self.sent, self.parent, self.children = place, sent, None, []

    def put_below(self, parent):
        if self.parent:
            self.parent.children.remove(self)
        self.parent = parent
        if parent:
            parent.children.append(self)

    def has_above(self, other):
        node = self
        while node and node is not other:
            node = node.parent
        return node is other

    @property
    def key(self):
        return min(child.key for child in self.children) if self.place is None else (self.sent, self.place)


def steps_1_to_3(messages):
    nodes = {}
    mine = []
    for place, ids in enumerate(messages.ids):
        own = ids.split(" ")[0]
        mine.append(Node(place, messages.sent[place]))
        if own:
            nodes.setdefault(own, mine[-1])
    for node, ids in zip(mine, messages.ids, strict=True):
        chain = [nodes.setdefault(one, Node()) for one in ids.split(" ")[1:]]
        for above, below in pairwise(chain):
            if not below.parent and not above.has_above(below):
                below.put_below(above)
        node.put_below(None)
        if chain and not chain[-1].has_above(node):
            node.put_below(chain[-1])
    everybody = {id(node): node for node in [*nodes.values(), *mine]}.values()
    heads = [node for node in everybody if not node.parent]
    return [head for head in (pruned(head) for head in heads) if head]


def pruned(node):
    """Steps 3: *node* without dummies, itself a dummy only where it has several children."""
    kept = []
    for child in node.children:
        child = pruned(child)
        if child:
            kept += child.children if child.place is None else [child]
    node.children = kept
    if node.place is None and len(kept) < 2:
        return kept[0] if kept else None
    return node


def steps_4_to_6(messages, heads):
    heads.sort(key=lambda head: head.key)
    subject_of = {id(head): messages.subjects[min([head.key, *[c.key for c in head.children if head.place is None]])[1]] for head in heads}
    table = {}
    for head in heads:
        subject = subject_of[id(head)]
        known = table.get(subject)
        better = head.place is None or (known and is_reply(messages, known) and not is_reply(messages, head))
        if subject and (not known or (known.place is not None and better)):
            table[subject] = head
    stay = []
    for head in heads:
        known = table.get(subject_of[id(head)], head)
        if known is head:
            stay.append(head)
        elif head.place is None:
            known.children += head.children
        elif known.place is None or (is_reply(messages, head) and not is_reply(messages, known)):
            known.children.append(head)
        else:
            fresh = Node()
            fresh.children = [known, head]
            stay = [one for one in stay if one is not known] + [fresh]
            table[subject_of[id(head)]] = fresh
    below = {id(child) for head in table.values() for child in head.children}
    return [head for head in stay if id(head) not in below]


def is_reply(messages, node):
    return node.place is not None and messages.replies[node.place]


def spelled(messages, heads):
    return "".join("(" + one_thread(messages, head) + ")" for head in sorted(heads, key=lambda head: head.key))


def one_thread(messages, node):
    number = [] if node.place is None else [str(messages.uids[node.place])]
    if len(node.children) == 1:
        return " ".join([*number, one_thread(messages, node.children[0])])
    return " ".join([*number, *([spelled(messages, node.children)] if node.children else [])])


@st.composite
def consistent_mail(draw):
    """Messages whose references name ancestors of one forest, in order, some left out; some messages are not there."""
    count = draw(st.integers(1, 14))
    above = [draw(st.integers(-1, number - 1)) for number in range(count)]
    messages = []
    for number in draw(st.permutations(range(count))):
        if draw(st.integers(0, 3)) == 0:
            continue
        line, at = [], above[number]
        while at >= 0:
            line.insert(0, at)
            at = above[at]
        kept = line[draw(st.integers(0, len(line))) :] if draw(st.booleans()) else line
        ids = " ".join([f"m{number}", *[f"m{one}" for one in kept]])
        messages.append((ids, draw(st.sampled_from(["", "S", "T"])), draw(st.booleans()), float(draw(st.integers(0, 5)))))
    return threaded(*messages)


@settings(max_examples=200)
@given(consistent_mail())
def test_references_are_threaded_as_the_rfc_says_it_step_by_step(messages):
    assert told(messages, Threading.REFERENCES) == spelled(messages, steps_4_to_6(messages, steps_1_to_3(messages)))


# ----- what strangers send

IDS = st.lists(st.sampled_from(["", "a", "b", "c", "d", "e", "f"]), min_size=1, max_size=5).map(" ".join)
ANYTHING = st.lists(st.tuples(IDS, st.sampled_from(["", "S", "T"]), st.booleans(), st.floats(0, 3)), max_size=12)


@settings(max_examples=200)
@given(ANYTHING, st.sampled_from(list(Threading)))
def test_whatever_is_said_each_message_is_told_once(messages, how):
    text = told(threaded(*messages), how)
    assert sorted(map(int, re.findall(r"\d+", text))) == list(range(1, len(messages) + 1))
    assert not re.search(r"\(\)|\( |\) | \)", text)
    depth = 0
    for octet in text:
        depth += {"(": 1, ")": -1}.get(octet, 0)
        assert depth >= 0
    assert depth == 0


MANY = 30_000


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([f"{n} {n - 1}" for n in range(MANY)], id="one-chain"),
        pytest.param([f"{n} {n + 1}" for n in range(MANY)], id="one-chain-from-its-end"),
        pytest.param([f"{n} {(n + 1) % MANY}" for n in range(MANY)], id="one-circle"),
        pytest.param([f"{n} root" for n in range(MANY)], id="one-dummy"),
        pytest.param([f"{n} 0" for n in range(MANY)], id="one-message"),
        pytest.param([f"{n} x{n} x{n + 1}" for n in range(MANY)], id="a-chain-of-dummies"),
        pytest.param([f"{n // 2} {n - 2}" if n % 2 else f"y{n} {n + 2} {n - 1}" for n in range(MANY)], id="two-chains-that-cross"),
        pytest.param(["a b"] * MANY, id="one-id"),
        pytest.param([""] * MANY, id="no-ids"),
    ],
)
def test_no_shape_takes_long_or_deep(ids):
    messages = Threaded(range(1, MANY + 1), [0.0] * MANY, ["S"] * MANY, [True] * MANY, ids)
    for how in Threading:
        start = time.process_time()
        found = threads(messages, how)
        assert time.process_time() - start < 2
        assert sum(len(uids) for _, uids in found.blocks) == MANY


def test_long_threads_are_told_in_blocks():
    messages = threaded(*[(f"{n} {n - 1}",) for n in range(2500)])
    found = threads(messages, Threading.REFERENCES)
    assert [len(uids) for _, uids in found.blocks] == [1000, 1000, 500]
    assert b"".join(found.rendered(lambda uids: [uid * 2 for uid in uids])).startswith(b"(2 4 6 8 ")
