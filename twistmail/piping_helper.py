"""The process that runs programs for mail, each as its own user and within narrow limits (spec/limits.md, section 4).

It is started by `piping` while the server may still be root, with a table of
programs that never changes: whoever takes the server over can run these and no
others. A row names one program, or a folder of which every program may be asked
for, or says that mail is put into files (which this process does itself, as the
user whose they are, by `formats.filing`). It names the user, too, or leaves him
to who asks, who then has to be an ordinary one. A run is asked for over a
socket, with the message and a place for the answer as descriptors; what fills
the command's gaps is checked here once more. No shell sees any of it. For each
run a process of its own watches over the program and ends it, with all that it
has started, when its time is over.

Linux only. Of twistmail it imports `formats.filing` at most, and it ends with the server.
"""

from __future__ import annotations

import array
import ctypes
import errno
import importlib
import json
import os
import pwd
import re
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

#: Octets of one request.
LONGEST_REQUEST = 32 * 1024
MOST_WORDS = 64
#: What may stand in a value; anything else has become an underscore before.
SAFE = re.compile(r"(?:[A-Za-z0-9.@_+=][A-Za-z0-9.@_+=-]*)?")
GAP = re.compile(r"\{([a-z_]+)\}")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "LANG": "C.UTF-8", "TZ": "UTC", "USER": "mail"}
#: What a program finds in its environment of the values that fill the gaps of commands.
TOLD = {
    "sender": "SENDER", "recipient": "RECIPIENT", "account": "ACCOUNT", "user": "LOCAL", "domain": "DOMAIN", "extension": "EXTENSION",
    "original": "ORIGINAL_RECIPIENT", "id": "MESSAGE_ID", "size": "SIZE",
}  # fmt: skip
#: Octets of memory, descriptors.
MEMORY, DESCRIPTORS = 512 * 1024 * 1024, 64
SMALLEST_FILE = 1024 * 1024
#: The program could not be begun at all, as shells say it; mail could not be put into a file (EX_TEMPFAIL).
NOT_BEGUN, NOT_FILED = 127, 75
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
        work = work_of(program, asked, content)
        told = run(program | user_of(program, asked), work, content, int(asked["size"]))
    except (ValueError, KeyError, TypeError, OSError) as error:
        told = {"status": NOT_BEGUN, "output": str(error), "late": False}
    os.write(answer, json.dumps(told).encode())
    os._exit(0)


def user_of(program: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Who runs *program*, as its row says; where that leaves it open, as is *asked*: an ordinary user, with his own groups."""
    if program["user"] is not None:
        return {}
    number = int(asked["user"])
    if not program["least"] <= number < 2**32 - 1:
        raise ValueError(f"nothing is run as the user {number}")
    user = pwd.getpwuid(number)
    him = {"user": number, "group": user.pw_gid, "name": user.pw_name, "home": user.pw_dir}
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    if program["files"] is None and program["groups"]:
        # What he says may be run, as by a line of his ~/.procmailrc: the agent, which knows that, can give such a group up, and does.
        return him | {"groups": groups, "lent": program["groups"][0]}
    return him | {"groups": groups + program["groups"]}


def work_of(program: dict[str, Any], asked: dict[str, Any], content: int) -> Callable[[dict[str, Any]], NoReturn]:
    """What is done once the process is another user: a program takes its place, or the message is put into a file."""
    values = asked["values"]
    if program["files"] is not None:
        return lambda user: put_into_file(str(asked["path"]), program, user, content)
    words = filled(program["command"], values) if program["command"] else chosen(program["folder"], asked["words"])
    filled([], values)  # they go into the environment, too
    return lambda user: os.execve(words[0], words, environment(values, user))


def chosen(folder: str, words: Any) -> list[str]:
    """The program of *folder* that *words* name, and its words. ValueError where it lies nowhere but elsewhere."""
    if not isinstance(words, list) or not 0 < len(words) <= MOST_WORDS or not all(isinstance(word, str) for word in words):
        raise ValueError("these are no words of a command")
    if "/" in words[0] or words[0] in ("", ".", "..") or any("\0" in word for word in words):
        raise ValueError("that is no name of a program")
    return [f"{folder}/{words[0]}", *words[1:]]


def environment(values: dict[str, str], user: dict[str, Any]) -> dict[str, str]:
    """Little, and of what an address holds only what is *SAFE*."""
    own = {"USER": user["name"], "LOGNAME": user["name"], "HOME": user["home"]} if "name" in user else {}
    return ENVIRONMENT | {TOLD[name]: value for name, value in values.items() if name in TOLD} | own


def put_into_file(path: str, program: dict[str, Any], user: dict[str, Any], content: int) -> NoReturn:
    """Instead of a program: the message, standard input, is put into the mailbox at *path*. The answer: an errno and a sentence."""
    home = user.get("home", "")
    allowed = [folder for folder in (*program["files"], home) if folder not in ("", "/")]
    if home and path.startswith("~/"):
        path = home + path[1:]
    put = filing()
    try:
        put.deliver(put.way_to(path, allowed), put.Opened(0), timeout=program["seconds"] / 2)
    except OSError as error:
        os.write(1, f"{error.errno or 0} {error.strerror or error}".encode())
        os._exit(NOT_FILED)
    os._exit(0)


def run(program: dict[str, Any], work: Callable[[dict[str, Any]], NoReturn], content: int, size: int) -> dict[str, Any]:
    """Do *work* on *content* in a process of its own; its status as `waitpid` tells it, what it has said, and whether it took too long."""
    heard, says = os.pipe()
    child = os.fork()
    if child == 0:
        become(program, work, content, says, size)
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


def become(program: dict[str, Any], work: Callable[[dict[str, Any]], NoReturn], content: int, says: int, size: int) -> NoReturn:
    """Turn this process into the program, or into the user who does its *work*."""
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
            lent = program.get("lent", program["group"])
            os.setresgid(program["group"], lent, lent)
            os.setresuid(program["user"], program["user"], program["user"])
        if os.geteuid() == 0 or os.getuid() != program["user"]:
            raise PermissionError("nothing is run as root, or as somebody else")
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for kind in (signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(kind, signal.SIG_DFL)
        work(program)
    except BaseException as error:
        os.write(2, str(error).encode("utf-8", "replace"))
        os._exit(NOT_BEGUN)


def limit(program: dict[str, Any], size: int) -> None:
    """Little of everything.

    Processes are counted for the whole user: where that is also the server's, or somebody's who works at this machine, there is
    no such limit. Whoever keeps mailboxes writes to files that are larger than the message.
    """
    limits = [
        (resource.RLIMIT_CPU, program["cpu"]), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_NOFILE, DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ]  # fmt: skip
    if program["processes"]:
        limits.append((resource.RLIMIT_NPROC, program["processes"]))
    if not program["keeps_mail"]:
        limits.append((resource.RLIMIT_FSIZE, max(2 * size, SMALLEST_FILE)))
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))


def keep_few_rights() -> None:
    """Of root's rights, only those to become the programs' users and to end what these have begun."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    kept = _CAP_KILL | _CAP_SETGID | _CAP_SETUID
    if libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def filing() -> Any:
    """The module that puts mail into files. Asked for once before any run: the user who does it perhaps cannot read it."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("twistmail.formats.filing")


def main() -> None:
    """Argument: the socket's descriptor. The table comes over standard input, as JSON."""
    table = json.loads(sys.stdin.read())
    sys.stdin.close()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the server, with which we end
    if any(row["files"] is not None for row in table.values()):
        filing()
    if os.geteuid() == 0:
        keep_few_rights()
    serve(socket.socket(fileno=int(sys.argv[1])), table)


if __name__ == "__main__":
    main()
