"""One of many who use a mailbox at a time: it does at random what mail programs do, and believes what it is told."""

from __future__ import annotations

import re
from random import Random

from tests.consistency.belief import Belief, World, numbers
from tests.consistency.talk import Talk, Wrong

KINDS = ("plain", "condstore", "qresync", "uidonly", "rev2")
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$One", "$Two")
BOX = b"INBOX"
OTHER = b"Other"
#: Messages that there shall be at most; where there are more, more are removed.
MOST = 120


class Session:
    """*kind* is one of KINDS. `doomed`: UIDs that somebody may have removed, shared by all."""

    def __init__(self, name: str, kind: str, port: int, login: bytes, world: World, doomed: set[int], seed: str) -> None:
        self.name, self.kind, self.port, self.login = name, kind, port, login
        self.world, self.doomed = world, doomed
        self.random = Random(seed)
        self.belief = Belief(world)
        self.talk = Talk(self.belief.hear)
        self.done = 0
        self._made = 0

    # ----- coming and going

    async def arrive(self) -> None:
        """Log in, enable what the kind enables, open the mailbox."""
        await self._log_in()
        await self._open()

    async def _log_in(self) -> None:
        self.talk = Talk(lambda tokens, line: self.belief.hear(tokens, line))
        await self.talk.connect(self.port)
        await self._ok(b"LOGIN " + self.login)
        enabled = {"qresync": b"QRESYNC", "uidonly": b"UIDONLY QRESYNC", "rev2": b"IMAP4rev2", "condstore": b"CONDSTORE"}.get(self.kind)
        if enabled:
            await self._ok(b"ENABLE " + enabled)
        self.belief.vanishing = self.kind in ("qresync", "uidonly")
        self.belief.by_uid = self.kind == "uidonly"

    async def _open(self) -> None:
        self.belief.forget()
        await self._ok(b"SELECT " + BOX)
        await self.look_at_all()

    async def leave(self) -> None:
        await self.talk.close()

    async def return_with_memory(self) -> None:
        """Come back after a while away, and ask for what has changed only (RFC 7162 §3.2.5)."""
        belief = self.belief
        known = sorted(belief.flags)
        modseq, uidvalidity = max(1, belief.highest_modseq), belief.uidvalidity
        await self._log_in()
        # numbers are counted anew; what is known of UIDs stays
        belief.uids = []
        words = b"%d %d" % (uidvalidity, modseq)
        if known and self.random.random() < 0.5:
            words += b" %d:%d" % (known[0], known[-1])
        await self._ok(b"SELECT %b (QRESYNC (%b))" % (BOX, words))
        if belief.by_uid:
            await self._ok(b"UID FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE %d)" % modseq)
        else:
            await self._ok(b"FETCH 1:* (UID)" if belief.uids else b"NOOP")

    # ----- what it does

    async def act(self) -> None:
        """One thing at random."""
        acts = [self.look, self.look, self.read, self.mark, self.mark, self.search, self.noop, self.idle, self.copy, self.status]
        acts += [self.append, self.append] if len(self.belief.uids) < MOST else [self.delete, self.expunge]
        acts += [self.delete, self.expunge, self.move, self.sort, self.replace, self.reopen]
        if self.kind in ("condstore", "qresync"):
            acts += [self.changes, self.mark_unless_changed]
        await self.random.choice(acts)()
        self.done += 1

    async def noop(self) -> None:
        await self._ok(self.random.choice((b"NOOP", b"CHECK")))

    async def look(self) -> None:
        items = self.random.choice((b"FLAGS", b"(UID FLAGS)", b"(UID FLAGS INTERNALDATE ENVELOPE)", b"(UID BODYSTRUCTURE FLAGS)"))
        await self._about_some(b"FETCH", items)

    async def look_at_all(self) -> None:
        """So that every number has its UID."""
        if self.belief.uids:
            modseq = b" MODSEQ" if self.kind in ("condstore", "qresync") else b""
            await self._ok(b"UID FETCH 1:* (UID FLAGS%b)" % modseq)

    async def read(self) -> None:
        whole = self.random.random() < 0.3
        await self._about_some(b"FETCH", b"(UID BODY[])" if whole else b"(UID BODY.PEEK[HEADER.FIELDS (X-MARK)])")

    async def mark(self) -> None:
        flag = self.random.choice(FLAGS)
        await self._store(self.random.choice((b"+FLAGS", b"-FLAGS", b"FLAGS")), [flag], silent=self.random.random() < 0.3)

    async def delete(self) -> None:
        await self._store(b"+FLAGS", ["\\Deleted"], silent=False, few=True)

    async def expunge(self) -> None:
        if self.random.random() < 0.5:
            await self._ok(b"EXPUNGE")
            return
        if chosen := self._some_uids():
            await self._ok(b"UID EXPUNGE " + _set(chosen))

    async def changes(self) -> None:
        since = self.random.randint(0, self.belief.highest_modseq or 1)
        vanished = b" VANISHED" if self.kind == "qresync" else b""
        await self._ok(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d%b)" % (max(1, since), vanished))

    async def mark_unless_changed(self) -> None:
        """RFC 7162 §3.1.3: what has changed since is named and left alone."""
        chosen = [uid for uid in self._some_uids() if uid in self.belief.modseqs]
        if not chosen:
            return
        since = max(self.belief.modseqs[uid] for uid in chosen)
        condition, text = await self.talk.say(b"UID STORE %b (UNCHANGEDSINCE %d) +FLAGS ($Three)" % (_set(chosen), since))
        if condition not in ("OK", "NO") or (condition == "NO" and b"MODIFIED" not in text and b"EXPUNGEISSUED" not in text):
            raise Wrong(f"{condition} {text!r}")

    async def search(self) -> None:
        keys = self.random.choice((b"ALL", b"UNSEEN", b"KEYWORD $One", b"SUBJECT letter", b"TEXT words", b"LARGER 1", b"OR SEEN DRAFT"))
        uid = self.belief.by_uid or self.random.random() < 0.5
        self.belief.found, self.belief.esearch = [], []
        self.belief.numbers_in_use = not uid
        there = len(self.belief.uids)
        saved = self.random.random() < 0.3
        try:
            await self._ok((b"UID " if uid else b"") + b"SEARCH " + (b"RETURN (SAVE COUNT MIN MAX) " if saved else b"") + keys)
        finally:
            self.belief.numbers_in_use = False
        if not uid and any(not 1 <= number <= max(there, len(self.belief.uids)) for number in self.belief.found):
            raise Wrong(f"SEARCH finds {self.belief.found} of {there}")
        if saved and not self.belief.by_uid:
            await self._ok(b"UID FETCH $ (UID FLAGS)")

    async def sort(self) -> None:
        if self.belief.uids:
            word = self.random.choice((b"SORT (DATE)", b"SORT (REVERSE SUBJECT)", b"THREAD REFERENCES"))
            await self._ok(b"UID %b UTF-8 ALL" % word)

    async def copy(self) -> None:
        if chosen := self._some_uids():
            text = await self._ok(b"UID COPY %b %b" % (_set(chosen), self.random.choice((OTHER, BOX))))
            if (made := re.search(rb"COPYUID \d+ \S+ ([\d:,]+)\]", text)) and not self.doomed.isdisjoint(chosen):
                self.doomed.update(numbers(made[1].decode()))  # with the flags of what they are copies of

    async def move(self) -> None:
        if chosen := self._some_uids()[:3]:
            self.doomed.update(chosen)
            await self._ok(b"UID MOVE %b %b" % (_set(chosen), OTHER))

    async def append(self) -> None:
        letters = [self._letter() for _ in range(self.random.choice((1, 1, 1, 3)))]
        words: list[bytes] = [b"APPEND " + BOX]
        for letter in letters:
            words[-1] += b" (%b) {%d+}\r\n" % (self.random.choice(("", *FLAGS)).encode(), len(letter))
            words.append(letter)
        await self._ok(*words)

    async def replace(self) -> None:
        if chosen := self._some_uids():
            letter = self._letter()
            self.doomed.add(chosen[0])
            condition, text = await self.talk.say(b"UID REPLACE %d %b {%d+}\r\n" % (chosen[0], BOX, len(letter)), letter)
            if condition == "BAD":  # NO: it has gone
                raise Wrong(f"REPLACE: {text!r}")

    async def status(self) -> None:
        await self._ok(b"STATUS %b (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ SIZE)" % OTHER)

    async def idle(self) -> None:
        tag = await self.talk.begin(b"IDLE")
        await self.talk.until_plus()
        await self.talk.listen(self.random.random() * 0.2)
        await self.talk.line(b"DONE")
        condition, text = await self.talk.ended(tag)
        if condition != "OK":
            raise Wrong(f"IDLE ends with {condition} {text!r}")

    async def reopen(self) -> None:
        if self.random.random() < 0.5:
            await self._ok(b"UNSELECT")
        await self._open()

    # ----- common to several

    def _letter(self) -> bytes:
        self._made += 1
        mark = f"{self.name}-{self._made}".encode()
        words = b"words " * self.random.randint(1, 200)
        return b"X-Mark: %b\r\nSubject: letter %b\r\nFrom: eve@red.test\r\n\r\n%b\r\n" % (mark, mark, words)

    def _some_uids(self) -> list[int]:
        known = sorted(self.belief.flags)
        if not known:
            return []
        first = self.random.randrange(len(known))
        return known[first : first + self.random.randint(1, 12)]

    def _some_numbers(self) -> tuple[int, int]:
        first = self.random.randint(1, len(self.belief.uids))
        return first, self.random.randint(first, min(len(self.belief.uids), first + 15))

    async def _about_some(self, verb: bytes, what: bytes) -> None:
        """A command about a few messages, by number or by UID."""
        if not self.belief.uids:
            return
        if self.belief.by_uid or self.random.random() < 0.5:
            if chosen := self._some_uids():
                await self._ok(b"UID %b %b %b" % (verb, _set(chosen), what))
            return
        self.belief.numbers_in_use = True
        try:
            await self._ok(b"%b %d:%d %b" % (verb, *self._some_numbers(), what))
        finally:
            self.belief.numbers_in_use = False

    async def _store(self, mode: bytes, flags: list[str], *, silent: bool, few: bool = False) -> None:
        chosen = self._some_uids()[: 3 if few else None]
        if not chosen:
            return
        if "\\Deleted" in flags:
            self.doomed.update(chosen)
        if silent:
            self._believe(mode, chosen, frozenset(flags))
        await self._ok(b"UID STORE %b %b%b (%b)" % (_set(chosen), mode, b".SILENT" if silent else b"", " ".join(flags).encode()))

    def _believe(self, mode: bytes, chosen: list[int], flags: frozenset[str]) -> None:
        """Of a change that it makes silently it is not told: it happens from the moment on at which it is said."""
        for uid in chosen:
            had = self.belief.flags[uid]
            self.belief.flags[uid] = had | flags if mode == b"+FLAGS" else had - flags if mode == b"-FLAGS" else flags

    async def _ok(self, *pieces: bytes) -> bytes:
        condition, text = await self.talk.say(*pieces)
        if condition != "OK" and not (condition == "NO" and b"[EXPUNGEISSUED]" in text):
            raise Wrong(f"{pieces[0][:200]!r}: {condition} {text!r}")
        return text


def _set(uids: list[int]) -> bytes:
    return b",".join(b"%d" % uid for uid in uids)


