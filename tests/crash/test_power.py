"""The power fails under load: what was acknowledged is on the disk when it is mounted again, and nothing half is shown.

The store lies on an ext4 that the kernel does not write to unasked, and that
forgets at a stroke what no sync has brought there. Not even the order of writes
is promised by such a disk. That the rig would see a loss is shown by a server
that was told not to sync.
"""

from __future__ import annotations

import random

import pytest

from tests.crash import witness
from tests.crash.disks import MIB, Disk, house_on_a_disk
from tests.crash.ledger import Ledger
from tests.crash.load import Load
from tests.crash.rigs import chosen
from tests.interop.house import House

pytestmark = pytest.mark.client("mkfs.ext4", "mount", "umount")
ROUNDS, WHOLE = 10, 50
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
