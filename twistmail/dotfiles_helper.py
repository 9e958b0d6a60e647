"""The process that reads ~/.forward of the users of this machine, each as that user, and can do nothing else.

A server that has given up root may not look into people's homes. `dotfiles`
starts this program while the server is still root; afterwards it holds the
capabilities to become somebody else and no other. It is told the number of a
user and an extension, never a path: it looks up his home itself, becomes him,
and reads `.forward+EXTENSION` or `.forward` there if that is safe.

Safe is what nobody but he (or root) can have written: a plain file of his own
with one name, that no group and nobody else may write to, in a folder, and
below folders, of which the same holds.

A request is four octets (the numeric user) and the extension, with the
descriptor of a socket for the answer, one line of JSON. Several processes take
requests, so that the home of one, which does not answer, delays no other. It
imports nothing of twistmail, and ends with the server.
"""

from __future__ import annotations

import array
import ctypes
import errno
import json
import os
import pwd
import re
import resource
import socket
import stat
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

NUMBER = struct.Struct("=I")
NAME = ".forward"
#: What may stand behind a name and its separator to be part of a file's name; it comes from outside.
EXTENSION = re.compile(r"[a-z0-9_=-][a-z0-9_=.+-]{0,63}")
#: Octets of a file.
MOST = 64 * 1024
PROCESSES = 4
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CAP_SETGID, _CAP_SETUID = 1 << 6, 1 << 7
_CAPABILITY_VERSION = 0x20080522
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


@dataclass
class Found:
    """What a look for somebody's forward has brought: the `text` of the file `place`, or None where there is none that counts.

    `unsafe`: what was passed over, and why. `trouble`: why it cannot be told now. Text that is no UTF-8 has surrogates in it.
    """

    place: str = ""
    text: str | None = None
    unsafe: list[str] = field(default_factory=list)
    trouble: str = ""


def names(name: str, extension: str) -> tuple[str, ...]:
    """The files that may hold the forward; the first that there is counts."""
    return (f"{name}+{extension}", name) if extension and EXTENSION.fullmatch(extension) else (name,)


def look(folder: str, extension: str, owners: Sequence[int], *, name: str = NAME, above: bool = True) -> Found:
    """The forward in *folder*, which only *owners* (numeric users) may have written; *above*: nor may others move the folder."""
    found = Found()
    try:
        place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        _note(found, folder, error)
        return found
    try:
        for one in names(name, extension):
            if _read(found, place, one, folder, owners, above) or found.trouble:
                break
    finally:
        os.close(place)
    return found


def _read(found: Found, folder: int, name: str, where: str, owners: Sequence[int], above: bool) -> bool:
    """Whether the file *name* in the open *folder* (its name: *where*) counts; then it is in *found*."""
    path = os.path.join(where, name)
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        _note(found, path, error)
        return False
    try:
        why = objection(os.fstat(descriptor), owners) or objection_to_folders(where, owners, above)
        if not why:
            found.place, found.text = path, os.read(descriptor, MOST + 1).decode("utf-8", "surrogateescape")
            return True
        found.unsafe.append(f"{path}: {why}")
    except OSError as error:
        _note(found, path, error)
    finally:
        os.close(descriptor)
    return False


def _note(found: Found, path: str, error: OSError) -> None:
    """What kept us from reading: a thing of the file's own, or the weather."""
    if error.errno == errno.ELOOP:
        found.unsafe.append(f"{path}: it is a symbolic link")
    elif error.errno in (errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENAMETOOLONG):
        found.unsafe.append(f"{path}: {error.strerror}")
    else:
        found.trouble = f"{path}: {error.strerror}"


def objection(status: os.stat_result, owners: Sequence[int]) -> str:
    """Why a file with that *status* does not count; empty: it does."""
    if not stat.S_ISREG(status.st_mode):
        return "it is no plain file"
    if status.st_uid not in owners:
        return f"it belongs to user {status.st_uid}"
    if status.st_mode & _OTHERS_WRITE:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):o}); chmod go-w"
    if status.st_nlink != 1:
        return "it has a second name (a hard link)"
    return f"it is larger than {MOST} octets" if status.st_size > MOST else ""


def objection_to_folders(folder: str, owners: Sequence[int], above: bool) -> str:
    """Why what lies in *folder* may be anybody's; empty: it may not. Above it, folders like /tmp are good enough."""
    whole = os.path.realpath(folder)
    place = whole
    while True:
        status = os.stat(place)
        is_sticky = place != whole and status.st_mode & stat.S_ISVTX
        if status.st_uid not in owners and status.st_uid != 0:
            return f"the folder {place} belongs to user {status.st_uid}"
        if status.st_mode & _OTHERS_WRITE and not is_sticky:
            return f"others may write to the folder {place} (mode {stat.S_IMODE(status.st_mode):o})"
        if place == "/" or not above:
            return ""
        place = os.path.dirname(place)


def look_at_home(user: pwd.struct_passwd, extension: str) -> Found:
    """The forward of *user*, looked for as whoever we are."""
    return look(user.pw_dir, extension, (user.pw_uid, 0)) if user.pw_dir.startswith("/") else Found()


# ----- the process


def answer(message: bytes, least: int) -> Found:
    """What *message* asks for. No user below *least* is anybody here."""
    if len(message) < NUMBER.size:
        return Found(trouble="the request cannot be read")
    number, extension = NUMBER.unpack(message[: NUMBER.size])[0], message[NUMBER.size :].decode("ascii", "replace")
    try:
        user = pwd.getpwuid(number)
    except KeyError:
        return Found()
    if not 0 < least <= user.pw_uid:
        return Found()
    return as_somebody(user, extension)


def as_somebody(user: pwd.struct_passwd, extension: str) -> Found:
    """`look_at_home`, as *user*."""
    if os.geteuid() != 0:
        return look_at_home(user, extension)
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        return look_at_home(user, extension)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])


def serve(connection: socket.socket, least: int) -> None:
    """Answer until nobody is there to ask."""
    while True:
        message, ancillary, flags, _ = connection.recvmsg(256, socket.CMSG_SPACE(4 * array.array("i").itemsize))
        if not message:
            return
        descriptors = array.array("i")
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(octets[: len(octets) - len(octets) % descriptors.itemsize])
        try:
            if len(descriptors) == 1 and not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                _say(descriptors[0], answer(message, least))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _say(descriptor: int, found: Found) -> None:
    octets = json.dumps(asdict(found)).encode()
    with suppress(OSError):  # whoever has asked did not wait
        while octets:
            octets = octets[os.write(descriptor, octets) :]


def keep_few_rights() -> None:
    """Of root's rights, only those to become somebody else; no core file, no file to write."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 32)):
        resource.setrlimit(limit, (most, most))
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    kept = _CAP_SETGID | _CAP_SETUID
    if libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def main() -> None:
    """Arguments: the socket's descriptor, the first ordinary user."""
    descriptor, least = map(int, sys.argv[1:3])
    keep_few_rights()
    for _ in range(PROCESSES - 1):
        if os.fork() == 0:
            break
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    serve(socket.socket(fileno=descriptor), least)


if __name__ == "__main__":
    main()
