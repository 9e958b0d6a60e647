"""What aliases may lead to besides addresses: files, programs and lists in files, each by an operator's word of its own.

An item that is not allowed is neither followed nor passed over: mail for that
alias waits, and the operator is told its file and line (spec/limits.md, section 4).
"""

from __future__ import annotations

from twistmail.aliases.items import Include, Item
from twistmail.mail.alias import ToFile, ToProgram
from twistmail.mail.values import frozen
from twistmail.options import Settings

NO, YES, INCLUDED = "no", "yes", "included"


@frozen
class Permits:
    """`files` and `programs`: NO, YES (where an alias itself names one) or INCLUDED (also where a list that it includes does)."""

    files: str = NO
    programs: str = NO
    includes: bool = True

    def refusal(self, item: Item, *, included: bool = False) -> str:
        """Why *item* may not be followed; empty where it may. *included*: it stands in a file that an alias includes."""
        match item:
            case ToFile():
                return self._refusal("files", self.files, "a file", included)
            case ToProgram():
                return self._refusal("programs", self.programs, "a program", included)
            case Include() if not self.includes:
                return "leads to a list in a file, which is not allowed ([aliases] includes = yes)"
        return ""

    @staticmethod
    def _refusal(key: str, allowed: str, what: str, included: bool) -> str:
        if allowed == INCLUDED or (allowed == YES and not included):
            return ""
        return f"leads to {what}, which is not allowed ([aliases] {key} = {INCLUDED if included else YES})"


ADDRESSES_ONLY = Permits(includes=False)


def permits_of(settings: Settings) -> Permits:
    """Those of the section [aliases]."""
    return Permits(settings.files, settings.programs, settings.includes)
