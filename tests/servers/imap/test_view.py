"""A client that believes what it is told always knows the mailbox: a random story with three sessions and a delivery agent."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialogues.imap_house import Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail.mail.mailbox import FIRST_KEYWORD_BIT, Flag

SYSTEM = {"\\Seen": Flag.SEEN, "\\Flagged": Flag.FLAGGED, "\\Deleted": Flag.DELETED}


class Believer(Guest):
    """Keeps UIDs and flags as the responses tell them, by RFC 3501 §7.3 and §7.4, and nothing else."""

    def __init__(self, house: ImapHouse) -> None:
        self.uids: list[int | None] = []
        self.flags: dict[int, set[str]] = {}
        super().__init__(house)
        self.command("SELECT INBOX")

    def command(self, text: str) -> None:
        if ".SILENT" in text:
            self.flags.clear()  # what they are now it would have to work out
        may_renumber = not re.match("(FETCH|STORE|SEARCH)", text)
        for line in self.say("x " + text):
            if match := re.fullmatch(r"\* (\d+) EXPUNGE", line):
                assert may_renumber, text
                del self.uids[int(match[1]) - 1]
            elif match := re.fullmatch(r"\* (\d+) EXISTS", line):
                assert int(match[1]) >= len(self.uids), "EXISTS never takes away"
                self.uids += [None] * (int(match[1]) - len(self.uids))
            elif match := re.match(r"\* (\d+) FETCH \((?:UID (\d+) )?FLAGS \(([^)]*)\)", line):
                self.learn(int(match[1]), match[2], match[3])
            else:
                assert re.match(r"\* (FLAGS|OK|\d+ RECENT|SEARCH)|x (OK|NO \[EXPUNGEISSUED)", line), line

    def learn(self, number: int, uid: str | None, flags: str) -> None:
        if uid is not None:
            known = self.uids[number - 1]
            assert known in (None, int(uid)), "a number means another message than before"
            self.uids[number - 1] = int(uid)
        if (known := self.uids[number - 1]) is not None:
            self.flags[known] = set(flags.split()) - {"\\Recent"}


STEPS = st.one_of(
    st.tuples(st.integers(0, 2), st.sampled_from(["NOOP", "EXPUNGE", "UID FETCH 1:* (FLAGS)", "FETCH 1:* (UID FLAGS)", "SEARCH ALL"])),
    st.tuples(st.integers(0, 2), st.builds("{} {} {}FLAGS{} ({})".format, st.sampled_from(["STORE", "UID STORE"]),
                                           st.sampled_from(["1", "1:2", "2:*", "*"]), st.sampled_from(["", "+", "-"]),
                                           st.sampled_from(["", ".SILENT"]), st.sampled_from([*SYSTEM, "kw"]))),
    st.tuples(st.just(-1), st.sampled_from(["deliver", "expunge first", "expunge last"])),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_what_clients_believe_is_true(steps: list[tuple[int, str]]) -> None:
    house = ImapHouse()
    house.put(*(mail(f"number {number}") for number in range(4)))
    mailbox = house.mailbox()
    guests = [Believer(house) for _ in range(3)]
    for who, what in steps:
        if who >= 0:
            if guests[who].uids or not re.match("STORE|FETCH", what):
                numbers = [int(number) for number in re.findall(r"(?<=[ :])\d", what)]
                if what.startswith("UID") or max(numbers, default=0) <= len(guests[who].uids):
                    guests[who].command(what)
        elif what == "deliver":
            house.put(mail("new"))
        elif mailbox.uids:
            result_of(mailbox.expunge([mailbox.uids[0 if "first" in what else -1]]))
    for guest in guests:
        guest.command("NOOP")
        truth = {
            uid: {flag for flag, bit in SYSTEM.items() if bits & bit} | ({"kw"} if bits >> FIRST_KEYWORD_BIT else set())
            for uid, bits in zip(mailbox.uids, mailbox.bits, strict=True)
        }
        for uid in guest.flags.keys() & truth.keys():
            assert guest.flags[uid] == truth[uid], "a change has not been told"
        guest.command("UID FETCH 1:* (FLAGS)")
        assert guest.uids == list(mailbox.uids)
        assert {uid: guest.flags[uid] for uid in truth} == truth
