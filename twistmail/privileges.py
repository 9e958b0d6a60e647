"""What the process may do once its ports are open: no more than its user may, for ever.

Started as root, twistd opens the ports and becomes the user of --uid; systemd
may have given a user the right to open low ports (an ambient capability). Both
are over when the service starts. It is not taken on trust: where root, a group
of root's or a capability is left, the server does not start (spec/limits.md
section 4).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: linux/prctl.h, linux/capability.h
SET_NO_NEW_PRIVILEGES, AMBIENT, CLEAR_AMBIENT = 38, 47, 4
CAPABILITY_VERSION = 0x20080522
STATUS = Path("/proc/self/status")
ROOT = 0


class StillPrivileged(Exception):
    """Something of root's is left."""


class _Head(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def give_up(*, began_as_root: bool) -> None:
    """Let go of every capability and of the way to new ones; StillPrivileged where root is not gone.

    *began_as_root*: the user that we are now was made by us, and has to have nothing of before.
    """
    if sys.platform == "linux":
        _give_up_capabilities()
    if trouble := left_over(_identities(), os.getgroups() if began_as_root else ()):
        raise StillPrivileged(trouble)
    if sys.platform == "linux" and (names := capabilities(STATUS.read_text("utf-8"))):
        raise StillPrivileged(f"capabilities are left ({' '.join(names)})")


def _identities() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(real, effective, saved) user ids and group ids, where the system tells the saved ones."""
    if hasattr(os, "getresuid"):
        return os.getresuid(), os.getresgid()
    return (os.getuid(), os.geteuid()), (os.getgid(), os.getegid())


def left_over(identities: tuple[tuple[int, ...], tuple[int, ...]], groups: Iterable[int]) -> str:
    """What of another user or of root's is left in *identities* and *groups*, in words; empty: nothing.

    A process that has no supplementary groups of before has those of its user at most, as /etc/group says.
    """
    users, owners = identities
    if ROOT in users:
        return "the real, effective or saved user is root"
    if len(set(users)) > 1 or len(set(owners)) > 1:
        return f"real, effective and saved ids differ: users {users}, groups {owners}"
    own = _groups_of(users[0], owners[0])
    if foreign := sorted(group for group in {*groups} if group == ROOT or group not in own):
        return f"groups are left that the user {users[0]} is not in: {' '.join(map(str, foreign))}"
    return ""


def _groups_of(user: int, group: int) -> set[int]:
    try:
        return set(os.getgrouplist(pwd.getpwuid(user).pw_name, group))
    except KeyError:  # a number without a name has its own group only
        return {group}


def capabilities(status: str) -> list[str]:
    """The sets of capabilities that are not empty, by *status* as in /proc/self/status: CapInh, CapPrm, CapEff, CapAmb."""
    found = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith("Cap"))
    return [name for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(found.get(name, "0"), 16)]


def _give_up_capabilities() -> None:
    """No system call fails here without being found out: the sets are looked at afterwards."""
    libc = ctypes.CDLL(None)
    libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if os.geteuid() == ROOT:
        return  # is refused anyhow
    libc.prctl(AMBIENT, CLEAR_AMBIENT, 0, 0, 0)
    with suppress(AttributeError):  # a C library without the call
        libc.capset(ctypes.byref(_Head(CAPABILITY_VERSION, 0)), ctypes.byref((_Sets * 2)()))
