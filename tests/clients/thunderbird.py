"""Thunderbird without a screen: a fresh profile, driven over its Marionette port by the functions of thunderbird.js."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients.marionette import Marionette
from tests.interop.house import as_ordinary_user, environment, eventually, folder, give_away

LIBRARY = Path(__file__).with_suffix(".js").read_text("utf-8")
STARTS = 45.0  # seconds that it may take until its window is there
ANSWERS = 15.0  # seconds that one call may take
WINDOW = "const main = Services.wm.getMostRecentWindow('mail:3pane'); return !!main && main.document.readyState == 'complete'"

#: Any free port; no talk with anybody but loopback; and no look for new mail at intervals, so that only IDLE tells.
PREFERENCES: dict[str, object] = {
    "marionette.port": 0,
    "network.dns.forceResolve": "127.0.0.1",
    "app.update.auto": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mailnews.start_page.enabled": False,
    "mail.server.default.check_new_mail": False,
}


class Thunderbird:
    """One that runs, driven by *marionette*; *talk* is what it says and hears over IMAP."""

    def __init__(self, marionette: Marionette, talk: Path) -> None:
        self._marionette = marionette
        self._talk = talk

    def is_idle(self, name: str) -> bool:
        """Is the last that it has said in the folder *name* IDLE?"""
        said = re.findall(rf":S-{name}:SendData: (.*)", self._talk.read_text("utf-8", "replace"))
        return bool(said) and said[-1].strip().endswith(" IDLE")

    def do(self, function: str, *arguments: object) -> Any:
        """What *function* of thunderbird.js answers. A question that Thunderbird asks its user fails the test."""
        return self._marionette.run(f"{LIBRARY}\nreturn {function}(...arguments);", *arguments)


@contextlib.contextmanager
def thunderbird() -> Iterator[Thunderbird]:
    """A Thunderbird with a fresh profile, its main window open; at the end nothing is left of it."""
    with folder("twistmail-thunderbird-") as home:
        profile = home / "profile"
        profile.mkdir()
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines))
        give_away(profile)
        with process(home, profile) as running:
            port = eventually(lambda: port_of(running, profile), "Thunderbird says its port", STARTS)
            with contextlib.closing(Marionette(port, ANSWERS)) as marionette:
                eventually(lambda: marionette.run(WINDOW), "Thunderbird's window is open", STARTS)
                yield Thunderbird(marionette, home / "imap.moz_log")


def port_of(running: subprocess.Popen[bytes], profile: Path) -> int:
    """The Marionette port; 0 while there is none."""
    assert running.poll() is None, f"Thunderbird has ended with {running.returncode}"
    said = profile / "MarionetteActivePort"
    return int(said.read_text() or 0) if said.exists() else 0


@contextlib.contextmanager
def process(home: Path, profile: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Thunderbird's processes, a group of their own."""
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(
            ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", profile],
            cwd=home,
            env=environment() | {"HOME": str(home), "MOZ_LOG": "IMAP:4,sync", "MOZ_LOG_FILE": str(home / "imap")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **as_ordinary_user(),
        )
    try:
        yield running
    finally:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(ANSWERS)
        with contextlib.suppress(ProcessLookupError):  # what has outlived the first of them
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
