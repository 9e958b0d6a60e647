"""The process that runs programs for mail, each as its own user and within narrow limits (spec/limits.md, section 4).

It is started by `piping` while the server may still be root, with a table of
programs that never changes: whoever takes the server over can run these and no
others. A run is asked for over a socket, with the message and a place for the
answer as descriptors; what fills the command's gaps is checked here once more.
No shell sees any of it. For each run a process of its own watches over the
program and ends it, with all that it has started, when its time is over.

Linux only. It imports nothing of twistmail, and ends with the server.
"""

from __future__ import annotations

import array
import ctypes
import errno
import json
import os
import re
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

#: Octets of one request.
LONGEST_REQUEST = 8192
#: What may stand in a value; anything else has become an underscore before.
SAFE = re.compile(r"(?:[A-Za-z0-9.@_+=][A-Za-z0-9.@_+=-]*)?")
GAP = re.compile(r"\{([a-z_]+)\}")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "LANG": "C.UTF-8", "TZ": "UTC", "USER": "mail"}
#: Seconds of processor time, octets of memory, descriptors.
CPU, MEMORY, DESCRIPTORS = 10, 512 * 1024 * 1024, 64
SMALLEST_FILE = 1024 * 1024
#: The program could not be begun at all; as shells say it.
NOT_BEGUN = 127
_CAP_KILL, _CAP_SETGID, _CAP_SETUID = 1 << 5, 1 << 6, 1 << 7
_CAPABILITY_VERSION = 0x20080522
_PR_SET_NO_NEW_PRIVS = 38


def filled(command: list[str], values: dict[str, str]) -> list[str]:
    """*command* with its gaps filled. ValueError where a value is none that may be there."""
    for name, value in values.items():
        if not SAFE.fullmatch(value) or value in (".", ".."):
            raise ValueError(f"the value of {name} may not be there")
    return [GAP.sub(lambda gap: values.get(gap[1], gap[0]), word) for word in command]


def serve(connection: socket.socket, table: dict[str, Any]) -> None:
    """Begin what is asked for, until nobody is there to ask."""
    while True:
        message, ancillary, flags, _ = connection.recvmsg(LONGEST_REQUEST, socket.CMSG_SPACE(2 * array.array("i").itemsize))
        if not message:
            return
        descriptors = array.array("i")
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(octets[: len(octets) - len(octets) % descriptors.itemsize])
        try:
            if len(descriptors) == 2 and not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                begin(message, table, descriptors[0], descriptors[1], connection.fileno())
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def begin(message: bytes, table: dict[str, Any], content: int, answer: int, ours: int) -> None:
    """Let a process of its own run what *message* asks for."""
    if os.fork() != 0:
        return
    os.close(ours)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told: dict[str, Any]
    try:
        asked = json.loads(message)
        program = table[asked["name"]]
        told = run(program, filled(program["command"], asked["values"]), content, int(asked["size"]))
    except (ValueError, KeyError, TypeError, OSError) as error:
        told = {"status": NOT_BEGUN, "output": str(error), "late": False}
    os.write(answer, json.dumps(told).encode())
    os._exit(0)


def run(program: dict[str, Any], words: list[str], content: int, size: int) -> dict[str, Any]:
    """Run *words* on *content*; its status as `waitpid` tells it, what it has said, and whether it took too long."""
    heard, says = os.pipe()
    child = os.fork()
    if child == 0:
        become(program, words, content, says, size)
    os.close(says)
    until = time.monotonic() + program["seconds"]
    output, late = watch(child, heard, until, program["output"])
    try:
        os.killpg(child, signal.SIGKILL)  # with all that it has left behind
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise
    _, status = os.waitpid(child, 0)
    return {"status": os.waitstatus_to_exitcode(status), "output": output.decode("utf-8", "replace"), "late": late}


def watch(child: int, heard: int, until: float, most: int) -> tuple[bytes, bool]:
    """What *child* says on *heard*, at most so many octets, until it has ended; and whether it had not by *until*."""
    ended = os.pidfd_open(child)
    output, open_ends = b"", [heard, ended]
    while True:
        ready, _, _ = select.select(open_ends, [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return output, True
        if heard in ready:
            piece = os.read(heard, 65536)
            output = (output + piece)[:most]
            if not piece:
                open_ends = [ended]
                continue
        elif ended in ready:
            return output, False


def become(program: dict[str, Any], words: list[str], content: int, says: int, size: int) -> NoReturn:
    """Turn this process into the program."""
    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o077)
        os.lseek(content, 0, os.SEEK_SET)
        for descriptor, place in ((content, 0), (says, 1), (says, 2)):
            os.dup2(descriptor, place)
        os.closerange(3, 1024)
        limit(program, size)
        if os.geteuid() == 0:
            os.setgroups(program["groups"])
            os.setresgid(program["group"], program["group"], program["group"])
            os.setresuid(program["user"], program["user"], program["user"])
        if os.geteuid() == 0 or os.getuid() != program["user"]:
            raise PermissionError("nothing is run as root, or as somebody else")
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for kind in (signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(kind, signal.SIG_DFL)
        os.execve(words[0], words, ENVIRONMENT)
    except BaseException as error:
        os.write(2, f"{words[0]}: {getattr(error, 'strerror', None) or error}".encode())
        os._exit(NOT_BEGUN)


def limit(program: dict[str, Any], size: int) -> None:
    """Little of everything. Processes are counted for the whole user, so one that is also the server's has no such limit."""
    limits = [
        (resource.RLIMIT_CPU, CPU), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, max(2 * size, SMALLEST_FILE)),
        (resource.RLIMIT_NOFILE, DESCRIPTORS), (resource.RLIMIT_CORE, 0),
    ]  # fmt: skip
    if program["alone"]:
        limits.append((resource.RLIMIT_NPROC, program["processes"]))
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))


def keep_few_rights() -> None:
    """Of root's rights, only those to become the programs' users and to end what these have begun."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    kept = _CAP_KILL | _CAP_SETGID | _CAP_SETUID
    if libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def main() -> None:
    """Argument: the socket's descriptor. The table comes over standard input, as JSON."""
    table = json.loads(sys.stdin.read())
    sys.stdin.close()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the server, with which we end
    if os.geteuid() == 0:
        keep_few_rights()
    serve(socket.socket(fileno=int(sys.argv[1])), table)


if __name__ == "__main__":
    main()
