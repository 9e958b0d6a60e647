"""The power fails under load: what was acknowledged is on the disk when it is mounted again, and nothing half is shown.

The store lies on an ext4 that the kernel does not write to unasked, and that
forgets at a stroke what no sync has brought there. Not even the order of writes
is promised by such a disk. That the rig would see a loss is shown by a server
that was told not to sync.
"""

from __future__ import annotations

import random
import subprocess
import time

import pytest

from tests.crash import witness
from tests.crash.disks import MIB, Disk, disk, house_on_a_disk
from tests.crash.ledger import Ledger
from tests.crash.load import Load
from tests.crash.rigs import chosen, fewer, quick_place
from tests.crash.stage import Stage
from tests.crash.test_points import judge
from tests.interop.house import NOBODY, House, folder

pytestmark = pytest.mark.client("mkfs.ext4", "mount", "umount")
ROUNDS, WHOLE = 10, 50
#: Deliveries of the scenario "crowd"; of each is heard three times.
MOMENTS = 4
#: There is a redo log only where there is much room.
SIZE = 400 * MIB


def test_a_power_loss_breaks_no_promise(record_property):
    ledger = Ledger(power_fails=True)
    in_doubt = 0
    with house_on_a_disk(SIZE) as (house, its_disk):
        for number, seed, where in chosen(ROUNDS, WHOLE):
            house.start()
            witness.agree(house, ledger)
            ledger.expect_nothing_said(where)
            work_until_the_power_fails(house, its_disk, ledger, seed, rests=number % 4 == 3)
            in_doubt += ledger.in_doubt
            ledger.expect_nothing_said(where)
        house.start()
        witness.agree(house, ledger)
        ledger.expect_nothing_said(where)
        house.twistmail("verify", "--deep")
    figures = f"{number + 1} power losses, {ledger.promises} promises kept, {in_doubt} in flight, {ledger.found} messages at the end"
    record_property("figures", figures)
    assert ledger.promises > 20 * (number + 1), "there was no load"


def test_a_power_loss_while_many_mailboxes_are_made_breaks_no_promise(record_property):
    """At the beginning, in the midst and just after each of the deliveries to people who never had a mailbox."""
    dice = random.Random("mailboxes")
    losses = 0
    with folder(where=quick_place()) as elsewhere, folder() as place, disk(elsewhere, place / "data", SIZE) as its_disk:
        (elsewhere / "stage").mkdir()
        stage = Stage(elsewhere / "stage")
        try:
            for event in range(1, fewer(3 * MOMENTS) + 1):
                ledger = Ledger(power_fails=True)
                with stage.house_at(place, ledger) as house:

                    def cut() -> None:
                        time.sleep(dice.choice((0, 0, 0.001, 0.003, 0.01)))
                        its_disk.cut_power()

                    losses += stage.play_until(house, ledger, "crowd", event, cut)
                    its_disk.unmount()
                    its_disk.mount()
                    stage.play_on(house, ledger, "again")
                    judge(stage, house, ledger)
                ledger.expect_nothing_said(f"after {event} events")
        finally:
            stage.close()
    record_property("figures", f"{losses} power losses while mailboxes were made")
    assert losses >= fewer(3 * MOMENTS) - 1


def test_whose_a_disk_is_survives_the_first_power_loss():
    """Else a server whose power fails before its first sync would not be able to start again."""
    with folder(where=quick_place()) as elsewhere, folder() as place, disk(elsewhere, place / "data", 8 * MIB) as its_disk:
        owner = its_disk.place.stat().st_uid
        its_disk.cut_power()
        its_disk.unmount()
        its_disk.mount()
        assert its_disk.place.stat().st_uid == owner == NOBODY


def test_after_a_power_loss_there_is_what_is_on_the_disk_whoever_has_it_mounted_too():
    others = ["unshare", "-m", "sh", "-c", "echo ready; read line"]
    with (
        folder(where=quick_place()) as elsewhere,
        folder() as place,
        disk(elsewhere, place / "data", 8 * MIB) as its_disk,
        subprocess.Popen(others, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        assert other.stdout.readline() == "ready\n"
        its_disk.cut_power()
        its_disk.unmount()
        its_disk.mount()
        (its_disk.place / "file").touch()  # of one that has been cut off: EIO
        other.stdin.close()


def test_without_syncs_the_rig_sees_losses(record_property):
    """The negative control: a rig that cannot see a loss proves nothing."""
    ledger = Ledger(power_fails=True)
    with house_on_a_disk(SIZE, more="[store]\nfsync = no\n") as (house, its_disk):
        house.start()
        work_until_the_power_fails(house, its_disk, ledger, "control", rests=True)
        house.start()
        witness.agree(house, ledger)
    lost = [said for said in ledger.complaints if said.startswith("lost:")]
    record_property("figures", f"1 power loss without syncs, {ledger.promises} promises, {len(lost)} of them broken")
    assert ledger.promises > 20
    assert lost


def work_until_the_power_fails(house: House, its_disk: Disk, ledger: Ledger, seed: str, *, rests: bool) -> None:
    load = Load.on(house, ledger, seed)
    load.work(random.Random(seed), rests=rests)
    its_disk.cut_power()
    load.go_on(0.02)  # whatever is said now is a lie or a refusal
    house.kill()
    load.end()
    its_disk.unmount()
    its_disk.mount()
