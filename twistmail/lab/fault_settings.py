"""Faults that are settings: what an office's administrator could have written, in a file of its own beside the configuration.

The file is the truth: a fault is set when its block stands there. The server reads it again at once, so what is refused
from then on is refused by the real rules. `running` includes the file; `reset` takes it away with everything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "faults.ini"
HEAD = "# What is broken at this office on purpose. The switch board of the classroom writes this file.\n"
_BLOCK = re.compile(r"^# fault: ([a-z0-9-]+)\n", re.MULTILINE)


class NotNow(Exception):
    """That cannot be done now; in words for people."""


def read(folder: Path) -> dict[str, str]:
    """What stands in the file: {name of the fault: its sections}."""
    try:
        parts = _BLOCK.split((folder / FILE).read_text())
    except OSError:
        return {}
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def write(folder: Path, blocks: Mapping[str, str]) -> None:
    """OSError."""
    text = HEAD + "".join(f"# fault: {name}\n{sections.rstrip()}\n" for name, sections in blocks.items())
    (folder / FILE).write_text(text)


def change(town: Any, office: str, name: str, sections: str) -> None:
    """From now on office *office* has these *sections* of the fault *name*; empty: no longer. NotNow where its server cannot take that."""
    folder: Path = town.config_file(office).parent
    before = read(folder)
    after = {other: text for other, text in before.items() if other != name} | ({name: sections} if sections else {})
    write(folder, after)
    service = town.service(office)
    if service is None:
        return  # it reads the file when it starts
    config = service.config
    problems = service.reload()
    if service.config is config:
        write(folder, before)
        raise NotNow(f"the server of {office} does not take that: {'; '.join(map(str, problems))}")


def is_set(town: Any, office: str, name: str) -> bool:
    return name in read(town.config_file(office).parent)
