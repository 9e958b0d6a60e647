"""Small disks that tests may fill, break and pull out: ext4 in a file, mounted by a loop device. Needs root; cleans up behind itself.

`cut_power` is what a power loss is to the file system: from that moment on
nothing reaches the disk any more, not even the journal, and whatever was not
there yet is forgotten when the disk is mounted again. With commit=300 the kernel
brings nothing there unasked while a test runs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.load import HOUSEHOLD
from tests.crash.rigs import quick_place
from tests.interop.house import IS_ROOT, House, eventually, folder, give_away, run
from twistmail.syncfs import syncfs

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_NOLOGFLUSH = struct.pack("I", 2)
MIB = 1024 * 1024
#: Octets of a block, as on all but the smallest disks; with smaller ones SQLite dies where they are full (`checks.blocks_are_pages`).
BLOCK = 4096


class Disk:
    """An ext4 of *size* octets, mounted at *place*; everything else of it lies in *folder*. *options*: of mount."""

    def __init__(self, folder: Path, place: Path, size: int, options: str = "commit=300") -> None:
        self.place = place
        self._image = folder / "disk"
        self._options = f"loop,{options}"
        self._is_mounted = False
        with self._image.open("wb") as file:
            file.truncate(size)
        run("mkfs.ext4", "-q", "-F", "-b", BLOCK, "-m", 0, "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image)
        place.mkdir(exist_ok=True)
        self.mount()
        give_away(place)
        run("sync", "-f", place)  # or a power loss in the first moments would take it back

    def mount(self) -> None:
        """As it was left; the journal is replayed."""
        run("mount", "-o", self._options, self._image, self.place)
        self._is_mounted = True

    def unmount(self) -> None:
        """For everybody: as long as one has it mounted, mounting again would show what he sees, and not what is on the disk."""
        if self._is_mounted:
            eventually(lambda: run("umount", self.place, expect=None).returncode == 0, f"{self.place} is let go of")
            self._is_mounted = False
            eventually(self._is_let_go_of, f"nobody else has {self.place} mounted")

    def _is_let_go_of(self) -> bool:
        """Who got mounts of his own while ours was there (unshare -m, a test beside this one) has it too, and is made to unmount it."""
        if not run("losetup", "-j", self._image).stdout:
            return True
        for process in _in_other_namespaces():
            run("nsenter", "-t", process, "-m", "umount", self.place, expect=None)
        return False

    def cut_power(self) -> None:
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _NOLOGFLUSH)
        finally:
            os.close(descriptor)

    def fail(self) -> None:
        """Meet an error in its own records, upon which ext4 becomes read-only (mount it with errors=remount-ro)."""
        device = run("findmnt", "-no", "SOURCE", self.place).stdout.strip()
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1")

    def check(self) -> None:
        """fsck. Unmounted."""
        run("fsck.ext4", "-p", self._image, expect=None)

    @contextlib.contextmanager
    def filled(self, left: int = 0) -> Iterator[Callable[[], None]]:
        """While there is no room but *left* octets. What it gives takes the rest, and what was given back meanwhile."""
        filler = self.place / "filler"
        with filler.open("wb") as file:

            def fill(spare: int = 0) -> None:
                syncfs(file.fileno())  # else what was removed is room later only
                room = os.statvfs(self.place)
                size = room.f_bavail * room.f_frsize - spare
                while size > 0:  # the last blocks are needed to note where the others are
                    try:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                        break
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        size -= max(BLOCK, size // 16)

            fill(left)
            try:
                yield fill
            finally:
                filler.unlink()


def _in_other_namespaces() -> list[str]:
    """One process of each mount namespace that is not ours."""
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            found[os.stat(f"/proc/{process}/ns/mnt").st_ino] = process
    found.pop(os.stat("/proc/self/ns/mnt").st_ino, None)
    return list(found.values())


@contextlib.contextmanager
def disk(folder: Path, place: Path, size: int, options: str = "commit=300") -> Iterator[Disk]:
    """A Disk, gone afterwards; where it cannot be made the test is skipped."""
    if why := cannot_mount():
        pytest.skip(why)
    made = Disk(folder, place, size, options)
    try:
        yield made
    finally:
        made.unmount()


@contextlib.contextmanager
def house_on_a_disk(size: int, options: str = "commit=300", **configuration: str) -> Iterator[tuple[House, Disk]]:
    """A house for `load`, not yet started, all of whose data lie on a disk of their own. *configuration*: of House."""
    more = HOUSEHOLD + configuration.pop("more", "")
    with folder(where=quick_place()) as elsewhere, folder() as place, disk(elsewhere, place / "data", size, options) as its_disk:
        house = House(place, more=more, **configuration)
        try:
            yield house, its_disk
        finally:
            if house.process and house.process.poll() is None:
                house.stop()


def cannot_mount() -> str:
    """Why there can be no disks of ours here; empty where there can."""
    if not IS_ROOT:
        return "mounting disks needs root"
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        place = here / "place"
        try:
            Disk(here, place, 8 * MIB).unmount()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            return f"no disk of ours can be mounted here: {str(error).strip().splitlines()[-1]}"
    return ""
