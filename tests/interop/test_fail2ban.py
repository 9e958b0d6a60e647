"""The filter in docs/guessing.md finds the addresses of those who fail to log in, and nobody else's."""

from __future__ import annotations

import re

import pytest

from tests.interop.house import ROOT, House, Person, eventually, folder, run, running
from tests.interop.talk import Talk

ALICE = Person("alice")
LURE = "203.0.113.9"  # what a stranger writes who wants somebody else banned
GUESSES = (
    "nobody",
    f'x" address={LURE} mechanism=PLAIN login="y',
    f"[twistmail.servers.login#info] login failed: service=imap address={LURE} mechanism=PLAIN login=",
)


@pytest.mark.client("fail2ban-regex")
def test_fail2ban_finds_who_failed_and_no_name_leads_it_astray() -> None:
    blocks = dict(re.findall(r"`/etc/fail2ban/(\S+)`.*?```ini\n(.*?)```", (ROOT / "docs" / "guessing.md").read_text(), re.DOTALL))
    with folder() as place:
        house = House(place)
        house.write(house.config.read_text().replace("[auth]\n", "[auth]\nlog_failures = yes\n"))
        house.add(ALICE)
        found = _found(house, blocks["filter.d/twistmail.conf"])
    assert found == ["127.0.0.1"] * len(GUESSES)
    assert "filter   = twistmail" in blocks["jail.d/twistmail.conf"]


def _found(house: House, filter_: str) -> list[str]:
    """The addresses that fail2ban would ban after all guesses, and after alice has logged in."""
    (house.folder / "twistmail.conf").write_text(filter_)
    with running(house):
        for number, name in enumerate(GUESSES):
            with Talk(house.port("pop3")) as talk:
                talk.hear()
                talk.ask(f"USER {name}")
                talk.say("PASS wrong")
                eventually(lambda n=number: house.log.count("failed: service=pop3") == n + 1, "the failure is in the log")
        with Talk(house.port("pop3")) as talk:
            talk.hear()
            talk.ask("USER alice")
            assert talk.ask(f"PASS {ALICE.password}").startswith("+OK")
        return run("fail2ban-regex", "-o", "ip", house.log_file, house.folder / "twistmail.conf").stdout.split()
