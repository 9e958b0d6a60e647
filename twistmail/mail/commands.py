"""What stands behind the bar of `|program words` (aliases(5)), taken apart without a shell.

No shell ever sees a command. What would mean something to one is refused, not
passed on as it is: whoever wrote it meant something else to happen.
"""

from __future__ import annotations

import re

LONGEST, MOST_WORDS = 2048, 64
#: What means something to a shell, outside quotes or inside double ones.
_MEANT = re.compile(r"[;&|<>`$()\\*?\[\]{}~!#\n\r]")
_WORD = re.compile(r"""[^\s"']+|"([^"]*)"|'([^']*)'""")


def words_of(command: str) -> tuple[str, ...]:
    """The program and its words: `vacation "two words" x` -> ("vacation", "two words", "x").

    The program is a name, or a path whose last name counts (as smrsh has it). ValueError, with a sentence, where it is none.
    """
    text = command.replace("\t", " ").strip(" ")
    if len(text) > LONGEST or not text.isprintable():
        raise ValueError("a command is one line of text that can be read, and not longer than 2048 characters")
    if found := _MEANT.search(text):
        raise ValueError(f"{found[0]} would mean something to a shell, and there is none; put it into a program of your own")
    words = tuple(_split(text))
    if not words or not program_of(words):
        raise ValueError("a command begins with the name of a program")
    if len(words) > MOST_WORDS:
        raise ValueError(f"a command has at most {MOST_WORDS} words")
    return words


def program_of(words: tuple[str, ...]) -> str:
    """The name of the program, whatever path stands before it; empty where there is none."""
    name = words[0].rpartition("/")[2]
    return "" if name in (".", "..") or name.startswith("-") else name


def _split(text: str) -> list[str]:
    words: list[str] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError("a quote in the command is not closed")
        words.append(next(part for part in (match[1], match[2], match[0]) if part is not None))
        at = match.end()
        if at < len(text) and text[at] != " ":
            raise ValueError("a quote in the command stands in the middle of a word")
        while at < len(text) and text[at] == " ":
            at += 1
    return words
