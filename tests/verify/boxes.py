"""A maildir made by hand, for the tests of verify and repair."""

from __future__ import annotations

import secrets
import time

from twistmail.store.folders import FolderTree, Surroundings
from twistmail.store.names import UniqueNames

ACCOUNT = "alice@blue.test"
REPAIR = "twistmail mailbox repair alice@blue.test"
LATER = time.time() + 37 * 3600
MAIL = b"Subject: one\n\nOne.\n"
HEADER = b"3 V1700000000 N4 G0123456789abcdef0123456789abcdef\n"
LINES = b"1 :1.a,S=19,W=22\n2 :2.b,S=19,W=22\n3 :3.c,S=19,W=22\n"


def tree_at(root):
    return FolderTree(root, (), Surroundings(time.time, secrets.token_bytes, UniqueNames("here", 1, time.time, secrets.token_bytes).fresh))


def drop(box, name, data=MAIL):
    (box / name).write_bytes(data)
    (box / name).chmod(0o600)
