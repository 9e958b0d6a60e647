"""What can be asked of a mail by FETCH, and how the answers of two servers are compared: by what they mean, not by their spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from twistmail.mail.parts import Part, scan

#: Parts of a mail that are asked for, and the deepest of them.
MOST_PARTS = 8

_TOKEN = re.compile(rb'\s+|([()])|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|(BODY\[[^\]]*\](?:<\d+>)?|[^\s()"{]+)', re.DOTALL | re.IGNORECASE)

STRUCTURES = ("ENVELOPE", "BODY", "BODYSTRUCTURE")


def sections(message: bytes) -> list[str]:
    """The BODY[...] items to be asked of *message*: the whole, its parts, and one that it does not have."""
    found = ["BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER.FIELDS (SUBJECT CONTENT-TYPE TO)]",
             "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT FROM)]", "BODY.PEEK[TEXT]<2.10>", "BODY.PEEK[]<100000000.5>"]  # fmt: skip
    paths = list(_paths(scan(message), ""))
    for path in [*paths[:MOST_PARTS], "1.7.1", "7000"]:
        found += [f"BODY.PEEK[{path}]", f"BODY.PEEK[{path}.MIME]", f"BODY.PEEK[{path}.HEADER]", f"BODY.PEEK[{path}.TEXT]",
                  f"BODY.PEEK[{path}.HEADER.FIELDS (SUBJECT)]", f"BODY.PEEK[{path}]<1.7>"]  # fmt: skip
    return list(dict.fromkeys(found))


def _paths(part: Part, path: str) -> Iterator[str]:
    """The part numbers of *part*, which is a whole message, and of all within (RFC 3501 §6.4.5)."""
    waiting = [(part, path)]
    while waiting:
        node, path = waiting.pop(0)
        if node.is_multipart:
            below = [(child, f"{path}.{number}".lstrip(".")) for number, child in enumerate(node.children, 1)]
        else:
            below = [(node, f"{path}.1".lstrip("."))] if not path or node is part else []
        for child, numbers in below:
            yield numbers
            if child.is_multipart and child is not node:
                waiting.append((child, numbers))
            elif child.is_message:
                waiting.append((child.children[0], numbers))


def read(response: bytes) -> dict[str, Any]:
    """The items of the FETCH response in *response*: lists, octets, None for NIL. Quoted strings and literals are the same."""
    start = response.index(b" FETCH ") + 7
    items = _value(response, start)
    return {items[at].decode("latin-1").upper(): items[at + 1] for at in range(0, len(items) - 1, 2)}


def _value(octets: bytes, at: int) -> Any:
    stack: list[list[Any]] = [[]]
    while match := _TOKEN.match(octets, at):
        bracket, quoted, size, atom = match.groups()
        at = match.end()
        if bracket == b"(":
            stack.append([])
        elif bracket == b")":
            done = stack.pop()
            stack[-1].append(done)
            if len(stack) == 1:
                return done
        elif size is not None:
            stack[-1].append(octets[at : at + int(size)])
            at += int(size)
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL))
        elif atom is not None:
            stack[-1].append(None if atom.upper() == b"NIL" else atom)
    raise AssertionError(f"no end: {octets[at : at + 200]!r}")
