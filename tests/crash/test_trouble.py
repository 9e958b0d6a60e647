"""Disks in trouble: full, failing, read-only. Who asks for something is told to come back later, what was promised stays, reading goes
on, and when the trouble is over everything works again, without a restart.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from tests.crash import witness
from tests.crash.disks import MIB, house_on_a_disk
from tests.crash.imap import Imap, append
from tests.crash.ledger import Ledger, Step, letter
from tests.crash.load import ALICE, HOUSEHOLD, Load
from tests.crash.rigs import failing, quick_place
from tests.interop.house import House, folder
from tests.interop.talk import Talk, send

SYNCS = "fsync,fdatasync,syncfs"
CHANGES = f"{SYNCS},renameat,renameat2,rename,linkat,link,unlinkat,unlink,mkdir,pwrite64,ftruncate"


@pytest.fixture
def house() -> Iterator[House]:
    with folder(where=quick_place()) as place:
        house = House(place, more=HOUSEHOLD)
        house.start()
        yield house
        if house.process and house.process.poll() is None:
            house.stop()
        assert "Traceback" not in house.log


def work(
    house: House, ledger: Ledger, name: str, seconds: float = 0.4, least: int = 1, refused: int = 0, press: Callable[[], None] | None = None
) -> None:
    """Load for so long, and until it has brought *least* promises and so many refusals: a minute is enough, however slow the machine is.

    *press* is called before each further moment that it takes.
    """
    wanted, unwanted = ledger.promises + least, ledger.refusals + refused
    load = Load.on(house, ledger, name)
    load.start()
    load.go_on(seconds)
    for _ in range(150):
        if ledger.promises >= wanted and ledger.refusals >= unwanted:
            break
        if press is not None:
            press()
        load.go_on(0.4)
    load.end()
    assert house.process.poll() is None, f"the server has ended with {house.process.poll()}:\n{house.news[-4000:]}"
    assert ledger.promises >= wanted


def after_a_kill(house: House, ledger: Ledger, name: str) -> None:
    """What is promised at the end is also there after a kill."""
    house.kill()
    house.start()
    witness.agree(house, ledger)
    ledger.expect_nothing_said(f"{name}, after a kill")


def refusal(house: House) -> str:
    """What a stranger is told who brings a letter: the first answer that is no yes."""
    with Talk(house.port("mx")) as talk:
        talk.reply()
        for line in ("EHLO lab.test", "MAIL FROM:<eve@red.test>", f"RCPT TO:<{ALICE.address}>"):
            if not (answer := talk.ask(line)).startswith("250"):
                return answer
        return send(talk, "Subject: big\n\n" + ("x" * 76 + "\n") * 40_000)


class Reader:
    """Somebody who keeps a mailbox open in which nothing happens, from before the trouble on."""

    def __init__(self, house: House, ledger: Ledger) -> None:
        self._imap = Imap(house.port("imap"), ALICE)
        self._ledger = ledger
        content = letter("kept", 3_000, random.Random(1))
        step = Step(ALICE.address, ledger.wrote(content), None, "Kept")
        ledger.begin(step)
        assert all(answer.ok for answer in self._imap.ask_all(["CREATE Kept", append("Kept", content)]))
        ledger.done(step)
        self._imap.select("Kept")

    def reads(self) -> None:
        """In the session as it is, and after opening the mailbox again."""
        for _ in range(2):
            (found,) = self._imap.fetch("1:*", "FLAGS BODY.PEEK[]")
            self._ledger.identify(found.body, "reader")
            self._imap.select("Kept", readonly=True)


@pytest.mark.client("mkfs.ext4", "mount", "umount")
@pytest.mark.parametrize("size", [pytest.param(24 * MIB, id="without-room-for-a-redo-log"), pytest.param(400 * MIB, id="with-a-redo-log")])
def test_a_full_disk(size, record_property):
    ledger = Ledger()
    with house_on_a_disk(size, more_mx="disk_reserve = 1K\n", more_queue="reserve = 1K\nmax_bytes = unlimited\n") as (house, its_disk):
        house.start()
        work(house, ledger, "before")
        reader = Reader(house, ledger)
        with its_disk.filled(left=MIB // 2) as fill:
            work(house, ledger, "full", 0.8, least=0, refused=1, press=fill)  # it gives back what it removes
            refused = ledger.refusals
            fill()
            assert refusal(house).startswith("452 4.3.1")
            reader.reads()
            ledger.expect_nothing_said("while the disk is full")
        work(house, ledger, "after", least=21)
        witness.agree(house, ledger)
        ledger.expect_nothing_said("when there was room again")
        after_a_kill(house, ledger, "room again")
        assert "Traceback" not in house.log
    record_property("figures", f"{ledger.promises} promises kept, {refused} refused for want of room")
    assert refused


@pytest.mark.client("strace")
@pytest.mark.parametrize(
    "when",
    [
        pytest.param("1+", id="every-sync"),
        pytest.param("3+3", id="every-third-sync"),
        pytest.param("2", id="one-sync-of-a-thread"),
    ],
)
def test_a_sync_that_fails(house, when, record_property):
    ledger = Ledger()
    work(house, ledger, "before")
    with failing(house.process, SYNCS, "EIO", when):
        work(house, ledger, "failing", 0.8, least=0, refused=int(when == "1+"))  # the others may be syncs that mail does not wait for
    refused = ledger.refusals
    house.twistmail("queue", "flush", expect=None)  # what could not be put into a mailbox twice waits five minutes
    witness.agree(house, ledger)
    ledger.expect_nothing_said("after syncs have failed")
    work(house, ledger, "after", least=21)
    witness.agree(house, ledger)
    ledger.expect_nothing_said("when syncs were right again")
    after_a_kill(house, ledger, "right again")
    record_property("figures", f"{ledger.promises} promises kept, {refused} refused because a sync failed")
    assert refused or when != "1+"


@pytest.mark.client("strace")
def test_a_disk_that_is_read_only_for_a_while(house, record_property):
    ledger = Ledger(power_fails=True)  # what was begun before may have to stay
    work(house, ledger, "before")
    reader = Reader(house, ledger)
    with failing(house.process, CHANGES, "EROFS"):
        work(house, ledger, "read-only", 0.8, least=0, refused=1)
        assert refusal(house).startswith("451 4.3.0")
        reader.reads()
    refused = ledger.refusals
    work(house, ledger, "after", least=21)
    witness.agree(house, ledger)
    ledger.expect_nothing_said("when it was writable again")
    after_a_kill(house, ledger, "writable again")
    record_property("figures", f"{ledger.promises} promises kept, {refused} refused while nothing could be written")
    assert refused


@pytest.mark.client("mkfs.ext4", "mount", "umount")
def test_a_file_system_that_has_met_an_error_and_become_read_only(record_property):
    """It cannot be mounted for writing again while files are open: this one ends with a check and a restart."""
    ledger = Ledger(power_fails=True)
    with house_on_a_disk(400 * MIB, "commit=300,errors=remount-ro") as (house, its_disk):
        house.start()
        work(house, ledger, "before")
        reader = Reader(house, ledger)
        load = Load.on(house, ledger, "error")
        load.work(random.Random(1), rests=False, least=0)
        its_disk.fail()
        load.go_on(0.3)
        load.end()
        refused = ledger.refusals
        assert refusal(house).startswith("451 4.3.0")
        reader.reads()
        ledger.expect_nothing_said("while it was read-only")
        assert "Traceback" not in house.log
        house.kill()
        its_disk.unmount()
        its_disk.check()
        its_disk.mount()
        house.start()
        witness.agree(house, ledger)
        ledger.expect_nothing_said("after the check")
        work(house, ledger, "after", least=21)
    record_property("figures", f"{ledger.promises} promises kept, {refused} refused while nothing could be written")
