"""PAM as the judge of passwords: what holds for other services of the machine holds for mail.

[users]                       [pam]
source = pam                  service = twistmail
                              accounts = sqlite

/etc/pam.d/SERVICE says what is asked. A server that is not root cannot read
/etc/shadow, and pam_unix then lets it ask about its own user only: docs/accounts.md
says what to do. Blocking, in threads of its own: modules may wait before they
say no.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from twistmail.accounts.asking import Asking, Trouble, lacking
from twistmail.accounts.house import House
from twistmail.accounts.judged import ACCOUNTS, FULL_ADDRESS, JudgedSource
from twistmail.options import COUNT, DURATION, Kind, Option, Section, Settings

MODULE, EXTRA = "pam", "pam"
#: Answers that are about the one who asks (Linux-PAM's _pam_types.h): no such user, wrong password, not now, not here, expired ...
REFUSED = frozenset({6, 7, 8, 10, 11, 12, 13, 16, 17, 27})


def _read_service(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text):
        raise ValueError(f"{text} is not the name of a file in /etc/pam.d\nwrite twistmail")
    return text


OPTIONS = Section(
    "pam",
    "Passwords that PAM judges: [users] source = pam.",
    Option("service", Kind("the name of a PAM service", _read_service), "twistmail", "The file in /etc/pam.d."),
    ACCOUNTS,
    FULL_ADDRESS,
    Option("threads", COUNT, "4", "So many questions at a time."),
    Option("timeout", DURATION, "15s", "How long an answer may take; then it is a temporary failure."),
)


def check(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the settings as a whole (`interfaces.IPart`)."""
    if missing := lacking(MODULE, EXTRA):
        yield "service", *missing


def build(settings: Settings, house: House) -> PamSource:
    """The source of these settings. ImportError without the extra."""
    library = importlib.import_module(MODULE)
    asking = Asking(f"PAM ({settings.service})", house.reactor, house.lasting.threads("pam", settings.threads), settings.timeout)
    accounts = house.source(house.argument or settings.accounts)
    return PamSource(library.PamAuthenticator, settings.service, asking, accounts, settings.full_address)


class PamSource(JudgedSource):
    """The accounts of *accounts* (IAccountSource), whose passwords PAM's *service* judges; *authenticator*() makes one question."""

    def __init__(self, authenticator: Any, service: str, asking: Asking, accounts: Any, full_address: bool) -> None:
        super().__init__(accounts, self._ask, full_address=full_address)
        self._authenticator = authenticator
        self._service = service
        self._asking = asking

    async def _ask(self, name: str, password: str) -> bool:
        return await self._asking.ask(self._right, name, password)

    def _right(self, name: str, password: str) -> bool:
        """In a thread. Trouble where PAM itself fails."""
        question = self._authenticator()
        try:
            right = question.authenticate(name, password, service=self._service, resetcreds=False)
        except (OSError, ValueError) as error:
            raise Trouble(str(error)) from error
        if not right and question.code not in REFUSED:
            raise Trouble(f"{question.reason} ({question.code})")
        return bool(right)
