"""The classroom that browsers visit, and the browser: Debian's Chromium, driven by playwright."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
PATIENCE = 20.0
WIDTHS = {390: 844, 1280: 800}
#: What a browser says of a request that we have ended ourselves.
OUR_OWN_DOING = re.compile(r"ERR_ABORTED")


@dataclass
class Classroom:
    """`url` of its pages; `ports`: {"blue_mx": 1025 ...}; `about`: what `Town.lines` gives."""

    url: str
    ports: dict[str, int]
    about: dict[str, Any]

    def get(self, path: str) -> tuple[int, Message, str]:
        """Status, fields and body."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, problem.headers, problem.read().decode("utf-8", "replace")

    def read(self, path: str) -> str:
        return self.get(path)[2]

    def send(self, sender: str, recipient: str, subject: str = "Lunch?", text: str = "Soup.\n") -> None:
        """As *sender*'s mail program does: by submission to the own office."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, recipient, subject
        message.set_content(text)
        office = sender.partition("@")[2].partition(".")[0]
        with smtplib.SMTP("127.0.0.1", self.ports[f"{office}_submission"], timeout=PATIENCE) as client:
            client.login(sender, self.about["password"])
            client.send_message(message)


@contextmanager
def classroom() -> Iterator[Classroom]:
    """One that runs; it ends with us, whatever becomes of us, because its stdin does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.browser.serve"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        said = process.stdout.readline()
        assert said, "the classroom has not started"
        yield Classroom(**json.loads(said))
    finally:
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@dataclass
class Visit:
    """A page that a browser looks at; `trouble`: what it has complained of."""

    page: Any
    url: str
    trouble: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on(
            "console", lambda said: said.type in ("error", "warning") and self.trouble.append(f"{self.here}: {said.type}: {said.text}")
        )
        self.page.on("pageerror", lambda error: self.trouble.append(f"{self.here}: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda got: got.status >= 400 and self.trouble.append(f"{self.here}: {got.status} for {got.url}"))

    def _failed(self, request: Any) -> None:
        if not OUR_OWN_DOING.search(request.failure or ""):
            self.trouble.append(f"{self.here}: {request.url} failed: {request.failure}")

    @property
    def here(self) -> str:
        return self.page.url.removeprefix(self.url)

    def go(self, path: str) -> Any:
        """Open *path*; what is drawn later than the page comes is given a moment."""
        self.page.goto(self.url + path, wait_until="load")
        return self.page

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def keep(self, name: str) -> None:
        """A picture, to look at, under build/."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def until(true: Callable[[], Any], what: str) -> Any:
    """What *true* gives, as soon as that is something."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.05)
    return found


def name_of(path: str) -> str:
    """A file name for the picture of *path*."""
    return re.sub(r"\W+", "-", path).strip("-") or "map"
