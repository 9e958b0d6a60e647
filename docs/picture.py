"""Makes docs/journey.png, the picture with which README opens: `python docs/picture.py`, where Chromium and playwright are.

A classroom is started, alice writes to carol in the next office, whose mailbox is full, and the page of that journey is photographed
while the letter waits for its next try.
"""

from __future__ import annotations

import re
import shutil
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402

from tests.browser.house import Classroom, classroom, until  # noqa: E402

PICTURE = ROOT / "docs" / "journey.png"
SIZE = {"width": 1280, "height": 1130}
#: How often it is tried before the picture is taken.
TRIES = 2


def journey(running: Classroom) -> str:
    """The path of a journey that waits: carol's mailbox is full, and the next try is some seconds away."""
    full = urllib.request.Request(f"{running.url}/api/v1/faults/mailbox-full/carol@green.test", method="PUT")
    urllib.request.urlopen(full).close()
    running.send("alice@blue.test", "carol@green.test", "Lunch?", "Soup at noon?\n")
    path = str(until(lambda: re.search(r'href="(/m/[^"?]+)"', running.read("/map/latest")), "the letter is known")[1])
    until(lambda: f"{TRIES} tries failed" in running.read(path), "it is tried again")
    return path


def main() -> None:
    with classroom() as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{running.url}{journey(running)}?d={TRIES}")
        page.locator("ol.dialogue").evaluate("said => said.scrollTo(0, said.scrollHeight)")
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size} octets")  # noqa: T201


if __name__ == "__main__":
    main()
