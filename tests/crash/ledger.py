"""What the server was asked and what it has answered, kept where it cannot reach: the judge of every crash test.

The ledger lives in the memory of the test, so whatever happens to the server or
to its disk, the ledger does not lie. Before a session asks for something it says
`begin`; with a positive answer `done`, with a negative one `refused`; without an
answer the matter stays in doubt. So for every message and every folder two
numbers are known: how many copies there must be at `least`, and at `most`.

Each message carries a mark that nobody else has, and the ledger has its digest:
what is found is one of ours and whole, or it is a complaint. `complaints` is the
verdict; an empty list is the only good one.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

MARK = re.compile(rb"^X-Mark: (\S+)\r?$", re.MULTILINE)
#: What a server may put above a message: fields of its trace, whole lines.
TRACE = re.compile(rb"(?:(?:Return-Path|Received|Delivered-To)[^\n]*\n(?:[ \t][^\n]*\n)*)*")


@dataclass(frozen=True)
class Step:
    """What is to become of a message: it arrives (no source), goes (no target), or moves. A copy arrives."""

    account: str
    mark: str
    source: str | None = None
    target: str | None = None


@dataclass(frozen=True)
class Look:
    """What somebody sees of a mailbox. `messages`: {UID: (mark, flags)}."""

    uidvalidity: int
    uidnext: int
    messages: Mapping[int, tuple[str, frozenset[str]]]


View = Mapping[tuple[str, str], Look]  # by (account, folder)


def letter(mark: str, size: int, dice: random.Random) -> bytes:
    """A message of about *size* octets with CRLF line ends that begins and ends with its mark; no line begins with a dot."""
    lines = [f"X-Mark: {mark}", "From: load@lab.test", f"Subject: load {mark}", ""]
    lines += [f"{mark} {dice.getrandbits(200):x}"] * (size // (len(mark) + 53))
    return "".join(line + "\r\n" for line in [*lines, f"END {mark}"]).encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


class Ledger:
    """See the module note. *power_fails*: expunged mail may return (D6), and what is refused while the disk goes may have reached it."""

    def __init__(self, *, power_fails: bool = False) -> None:
        self.complaints: list[str] = []
        self.promises = self.refusals = 0
        self.in_doubt = 0
        self.found = 0
        self._power_fails = power_fails
        self._guard = threading.Lock()
        self._under_way: Counter[Step] = Counter()
        self._is_uncertain = False
        self._uncertain: Counter[Step] = Counter()  # of these a promise is none
        self._unpromised: set[tuple[str, str | None, str]] = set()  # (account, folder, mark) of what such a promise was given for
        self._digests: dict[str, str] = {}
        self._least: Counter[tuple[str, ...]] = Counter()  # by (account, folder, mark), and by (account, mark)
        self._most: Counter[tuple[str, ...]] = Counter()
        self._shown: dict[tuple[str, str, int], dict[int, str]] = {}  # by (account, folder, UIDVALIDITY): marks by UID
        self._uidvalidities: dict[tuple[str, str], int] = {}
        self._flags: dict[tuple[str, str, int], set[frozenset[str]]] = {}
        self._renamed: dict[tuple[str, str], tuple[str, bool]] = {}  # by (account, old name): new name, and whether that is done

    # ----- what sessions tell

    def wrote(self, content: bytes) -> str:
        """A message that exists from now on; its mark."""
        found = MARK.search(content)
        assert found
        mark = found[1].decode()
        with self._guard:
            assert mark not in self._digests, f"{mark} comes twice"
            self._digests[mark] = digest(content)
        return mark

    def begin(self, *steps: Step) -> None:
        """These are asked for."""
        with self._guard:
            self.in_doubt += len(steps)
            self._under_way.update(steps)
            self._count(steps, 1)

    def refused(self, *steps: Step) -> None:
        """The server has said that it has not done them."""
        self.refusals += len(steps)
        with self._guard:
            self._under_way.subtract(steps)
            if self._power_fails:
                return
            self.in_doubt -= len(steps)
            self._count(steps, -1)

    def _count(self, steps: Iterable[Step], number: int) -> None:
        for step in steps:
            if step.target:
                self._most[step.account, step.target, step.mark] += number
                self._most[step.account, step.mark] += number
            if step.source:
                self._least[step.account, step.source, step.mark] -= number
            if step.source and not step.target:
                self._least[step.account, step.mark] -= number

    def done(self, *steps: Step) -> None:
        """The server has said that they are done, for good."""
        with self._guard:
            steps = tuple([step for step in steps if self._ends(step)])
            self.in_doubt -= len(steps)
            self.promises += len(steps)
            for step in steps:
                if step.target:
                    self._least[step.account, step.target, step.mark] += 1
                if step.target and not step.source:
                    self._least[step.account, step.mark] += 1
                if step.source and not self._power_fails:
                    self._most[step.account, step.source, step.mark] -= 1
                    self._most[step.account, step.mark] -= 1

    def _ends(self, step: Step) -> bool:
        """*step* is not under way any more; whether the promise counts."""
        self._under_way[step] -= 1
        arrival = step.account, step.target, step.mark
        if not (self._is_uncertain or self._uncertain[step] > 0):
            self._unpromised.discard(arrival)
            return True
        self._uncertain[step] -= 1
        self._unpromised.add(arrival)
        return False

    @contextmanager
    def uncertain(self) -> Iterator[None]:
        """What is under way now, or begins meanwhile, stays in doubt, whatever the server says: the system lies to it, too."""
        self._is_uncertain = True
        try:
            yield
        finally:
            with self._guard:
                self._uncertain, self._is_uncertain = Counter(self._under_way), False

    def saw(self, account: str, folder: str, uidvalidity: int, marks: Mapping[int, str]) -> None:
        """A client was shown these UIDs: they must never mean anything else."""
        with self._guard:
            before = self._uidvalidities.setdefault((account, folder), uidvalidity)
            if before != uidvalidity:
                self._complain(f"{account} {folder}: UIDVALIDITY was {before} and is {uidvalidity}")
            shown = self._shown.setdefault((account, folder, uidvalidity), {})
            for uid, mark in marks.items():
                if shown.setdefault(uid, mark) != mark:
                    self._complain(f"{account} {folder}: UID {uid} was {shown[uid]} and is {mark}")

    def flagging(self, account: str, folder: str, uids: Iterable[int], flags: frozenset[str]) -> None:
        """These are to have exactly *flags*; what they had is possible until the server answers."""
        with self._guard:
            for uid in uids:
                if possible := self._flags.get((account, folder, uid)):
                    possible.add(flags)

    def flagged(self, account: str, folder: str, uids: Iterable[int], flags: frozenset[str]) -> None:
        """The server has said that these have exactly *flags*."""
        with self._guard:
            for uid in uids:
                self._flags[account, folder, uid] = {flags}

    def flags_unknown(self, account: str, folder: str, uids: Iterable[int]) -> None:
        """Nothing is said about the flags of these any more."""
        with self._guard:
            for uid in uids:
                self._flags.pop((account, folder, uid), None)

    def renaming(self, account: str, old: str, new: str) -> None:
        """A folder and all below it are to be renamed; here they go on being called as before."""
        self._renamed[account, old] = new, False

    def renamed(self, account: str, old: str, new: str) -> None:
        self._renamed[account, old] = new, True

    # ----- what there is

    def identify(self, content: bytes, where: str) -> str:
        """The mark of a message as it was found; a complaint where it is not one of ours, whole."""
        mark = MARK.search(content)
        name = mark[1].decode() if mark else ""
        with self._guard:
            if mark is None or name not in self._digests:
                self._complain(f"{where}: nobody wrote {content[:200]!r} ({len(content)} octets)")
            elif digest(content[mark.start() :]) != self._digests[name]:
                self._complain(f"{where}: {name} is not whole: {len(content)} octets, the end is {content[-60:]!r}")
            elif not TRACE.fullmatch(content[: mark.start()]):
                self._complain(f"{where}: {name} has something strange above it: {content[: mark.start()]!r}")
        return name

    def judge(self, view: View) -> None:
        """Complain about everything in *view* (of all mailboxes) that was not promised so; then take it for the truth."""
        view = self._as_they_were_called(view)
        found = Counter((account, folder, mark) for (account, folder), look in view.items() for mark, _ in look.messages.values())
        for (account, folder), look in view.items():
            self._forget_unpromised(account, folder, look)
            self.saw(account, folder, look.uidvalidity, {uid: mark for uid, (mark, _) in look.messages.items()})
        with self._guard:
            everywhere: Counter[tuple[str, ...]] = Counter()
            for (account, _, mark), count in found.items():
                everywhere[account, mark] += count
            self._compare({**found, **everywhere})
            self._compare_uids(view)
            self._compare_flags(view)
            self._settle({**found, **everywhere})

    def _forget_unpromised(self, account: str, folder: str, look: Look) -> None:
        """The UIDs of what is not there, and need not be, may mean something else."""
        shown = self._shown.get((account, folder, look.uidvalidity), {})
        there = {uid: mark for uid, (mark, _) in look.messages.items()}
        for uid in [uid for uid, mark in shown.items() if (account, folder, mark) in self._unpromised and there.get(uid) != mark]:
            del shown[uid]

    def _as_they_were_called(self, view: View) -> View:
        """*view* with renamed folders under their old names; a complaint where one is there twice, or not renamed after all."""
        before: dict[tuple[str, str], Look] = {}
        for (account, folder), look in view.items():
            name = folder
            for (owner, old), (new, is_done) in self._renamed.items():
                if owner == account and (folder + "/").startswith(new + "/"):
                    name = old + folder[len(new) :]
                elif owner == account and is_done and (folder + "/").startswith(old + "/"):
                    self.complain(f"{account} {folder}: was renamed, and is there")
            if (account, name) in before:
                self.complain(f"{account} {folder}: is there under both names")
            before[account, name] = look
        return before

    def missing(self, view: View) -> bool:
        """Is there less in *view* than there must be?"""
        found = Counter((account, folder, mark) for (account, folder), look in view.items() for mark, _ in look.messages.values())
        with self._guard:
            return any(found[key] < least for key, least in self._least.items() if len(key) == 3)

    def _compare(self, found: Mapping[tuple[str, ...], int]) -> None:
        for key in {*found, *self._least, *self._most}:
            count, least, most = found.get(key, 0), self._least[key], self._most[key]
            if count < least:
                self._complain(f"lost: {' '.join(key)}: {count} of {least}")
            if count > most:
                self._complain(f"too many: {' '.join(key)}: {count}, and at most {most} were asked for")

    def _compare_uids(self, view: View) -> None:
        for (account, folder), look in view.items():
            shown = self._shown.get((account, folder, look.uidvalidity), {})
            if look.uidnext <= max(shown, default=0):
                self._complain(f"{account} {folder}: UIDNEXT is {look.uidnext}, UID {max(shown)} was shown")

    def _compare_flags(self, view: View) -> None:
        if self._power_fails:  # nobody waits for flags to be on the disk (D6)
            self._flags.clear()
        for (account, folder, uid), possible in self._flags.items():
            look = view.get((account, folder))
            if look and uid in look.messages and look.messages[uid][1] - {"\\Recent"} not in possible:
                self._complain(f"{account} {folder}: UID {uid} has {sorted(look.messages[uid][1])}, not one of {possible}")

    def _settle(self, found: Mapping[tuple[str, ...], int]) -> None:
        """Nothing is in doubt any more: what is there has survived, and stays."""
        self.found = sum(found[key] for key in found if len(key) == 3)
        self.in_doubt = 0
        self._least, self._most = Counter(found), Counter(found)

    def complain(self, what: str) -> None:
        with self._guard:
            self._complain(what)

    def _complain(self, what: str) -> None:
        self.complaints.append(what)

    def expect_nothing_said(self, where: str) -> None:
        """AssertionError with the complaints; *where* says how to come here again (seed, round)."""
        assert not self.complaints, f"{where}: {len(self.complaints)} complaints:\n" + "\n".join(self.complaints[:40])
