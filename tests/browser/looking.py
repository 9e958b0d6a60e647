"""What to ask a page about itself: the functions of looking.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("looking.js").read_text()
#: Each gives a list of what is wrong.
EVERYTHING = ("overflow", "contrast", "targets", "names", "headings")


def asked(page: Any, question: str) -> Any:
    """What *page* says to *question*, a function of looking.js."""
    return page.evaluate(f"{SOURCE.rstrip()}.{question}()")
