"""What an SMTP answer means, which setting is behind it, and what whoever sent the mail should do: `twistmail explain CODE`."""

from __future__ import annotations

import re
from dataclasses import asdict

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.meanings import MEANINGS, Meaning
from twistmail.cli.terminal import Terminal
from twistmail.mail.causes import Cause
from twistmail.mail.explanation import explain as explain_answer
from twistmail.mail.explanation import worded
from twistmail.mail.status import Status

#: Causes that say less than the class and the subject of a code; who has said it is not known here.
VAGUE, SOMEBODY = (Cause.DONE, Cause.REFUSED, Cause.LATER), "mx.example"

#: The first digit of a code, and of an enhanced code (RFC 5321 §4.2.1, RFC 3463 §2).
CLASSES = {"2": "It was done.", "3": "More is needed.", "4": "Not now; try again later.", "5": "No, and trying again does not help."}
#: The second number of an enhanced code (RFC 3463 §3).
SUBJECTS = {"0": "nothing in particular", "1": "an address", "2": "a mailbox", "3": "the mail system", "4": "the network or the way",
            "5": "the protocol", "6": "the content", "7": "security or policy"}


def look_up(text: str) -> tuple[Meaning, ...]:
    """What the answer in *text* ("550 5.7.1", "5.7.1", "550", or a whole line) may mean; empty where it holds no code.

    One that our own words tell from the others stands alone.
    """
    match = re.match(r"\s*(?:([2-5]\d\d)\b)?[ -]*(?:([245]\.\d{1,3}\.\d{1,3})\b)?", text)
    code, enhanced = (match[1] or "", match[2] or "") if match else ("", "")
    if not code and not enhanced:
        return ()
    exact = [m for m in MEANINGS if m.code == code and m.enhanced == enhanced]
    by_enhanced = [m for m in MEANINGS if enhanced and m.enhanced == enhanced]
    by_code = [m for m in MEANINGS if not enhanced and m.code == code]
    found = exact or by_enhanced or by_code
    told = [m for m in found if m.words and m.words.lower() in text.lower()]
    if match and text[match.end() :].strip() and not told:
        told = [m for m in found if not m.words]
        if not (exact and told) and worded(text) is not None:
            found, told = [], []  # we say no such thing; others do
    return tuple(told[:1] or found) or (_of_others(code, enhanced, text) or _general(code, enhanced),)


def _of_others(code: str, enhanced: str, text: str) -> Meaning | None:
    """What such an answer means where another mail system says it; None where it tells nothing in particular."""
    found = explain_answer(Status(int(code or f"{enhanced[0]}50"), enhanced, text), SOMEBODY)
    about = f"{found.advice} {found.where}".rstrip()
    return None if found.cause in VAGUE else Meaning(code, enhanced, found.happened, "", about)


def _general(code: str, enhanced: str) -> Meaning:
    subject = SUBJECTS.get(enhanced.split(".")[1]) if enhanced else None
    about = f" It is about {subject}." if subject else ""
    return Meaning(code, enhanced, CLASSES[(code or enhanced)[0]] + about, "", "The words behind the code say more.")


def tell(terminal: Terminal, text: str) -> int:
    """Say what the answer in *text* means."""
    found = look_up(text)
    if not found:
        raise Failure(f"{text} is no answer of a mail server", Exit.USAGE, "write 550 5.7.1, 5.7.1 or 550")
    for meaning in found:
        if terminal.as_json:
            terminal.object({key: value for key, value in asdict(meaning).items() if key != "words"})
            continue
        terminal.say(f"{meaning.code} {meaning.enhanced}".strip())
        terminal.say(f"  means    {meaning.means}")
        if meaning.setting:
            terminal.say(f"  setting  {meaning.setting}")
        terminal.say(f"  sender   {meaning.advice}")
    return Exit.OK
