"""The process that gives files away: the only part of twistmail that keeps a right of root, and it can do nothing else.

A server that has given up root cannot make the mail of a user of this machine
belong to that user. `giving.Giver` starts this program while the server is still
root; afterwards it holds the capability to change owners and no other. It is
handed open descriptors over a socket, never names, and gives away only what
belongs to the server, lies under one name, and goes to an ordinary user.

A request is four octets (the numeric user) with one descriptor, the answer four
octets: 0, or the errno. It imports nothing of twistmail, and ends with the server.
"""

from __future__ import annotations

import array
import ctypes
import errno
import os
import resource
import socket
import stat
import struct
import sys

NUMBER = struct.Struct("=I")
_CAP_CHOWN = 1 << 0
_CAPABILITY_VERSION = 0x20080522
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


def objection(status: os.stat_result, owner: int, least: int, user: int) -> int:
    """0, or the errno of why what *status* tells of is not given to *user*: *owner* is the server, *least* the first ordinary user."""
    is_ours = status.st_uid == owner and owner != 0
    is_plain = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
    has_no_powers = not status.st_mode & stat.S_ISUID
    return 0 if is_ours and is_plain and has_no_powers and least <= user < 2**32 - 1 else errno.EPERM


def give(descriptor: int, owner: int, least: int, user: int) -> int:
    """Give *descriptor* away: 0, or an errno."""
    try:
        refused = objection(os.fstat(descriptor), owner, least, user)
        if not refused:
            os.fchown(descriptor, user, -1)
        return refused
    except OSError as error:
        return error.errno or errno.EIO


def keep_one_right() -> None:
    """Nothing but CHOWN, no core file, no more processes, and no way back."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_NOFILE, 16)):
        resource.setrlimit(limit, (most, most))
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    rights = struct.pack("=6I", _CAP_CHOWN, _CAP_CHOWN, 0, 0, 0, 0)  # effective, permitted, inheritable; low words, high words
    if libc.capset(header, rights) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def serve(connection: socket.socket, owner: int, least: int) -> None:
    """Answer until nobody is there to ask."""
    while True:
        message, ancillary, flags, _ = connection.recvmsg(NUMBER.size, socket.CMSG_SPACE(4 * array.array("i").itemsize))
        if not message:
            return
        descriptors = array.array("i")
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(octets[: len(octets) - len(octets) % descriptors.itemsize])
        try:
            is_right = len(message) == NUMBER.size and len(descriptors) == 1 and not flags & socket.MSG_CTRUNC
            answer = give(descriptors[0], owner, least, NUMBER.unpack(message)[0]) if is_right else errno.EINVAL
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        connection.sendall(NUMBER.pack(answer))


def main() -> None:
    """Arguments: the socket's descriptor, the server's user, the first ordinary user."""
    descriptor, owner, least = map(int, sys.argv[1:4])
    keep_one_right()
    serve(socket.socket(fileno=descriptor), owner, least)


if __name__ == "__main__":
    main()
