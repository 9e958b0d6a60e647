"""A new file that a command writes for who has called it: never over one that is there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from twistmail.cli.exits import Exit, Failure


def write_new(path: Path, lines: Iterable[str], mode: int) -> None:
    """Put *lines*, with their line ends, into a file that is made. Failure where there is one, or it cannot be written."""
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode), "w", encoding="utf-8") as file:
            file.writelines(lines)
    except FileExistsError:
        raise Failure(f"{path} is there already", Exit.CANTCREAT, "name another file") from None
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}", Exit.CANTCREAT) from None
