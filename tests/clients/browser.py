"""Chromium without a screen, driven over WebDriver (www.w3.org/TR/webdriver2) through Debian's chromedriver."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.interop.house import PATIENCE, as_ordinary_user, eventually, free_port, listens

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver spells a reference to an element
LIFE = 150.0  # seconds after which a browser does nothing any more, so that whatever hangs ends within three minutes
ENTER = "\ue007"
#: Without the sandbox, which wants privileges that a container may lack: it opens pages of ours only.
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000", "--no-first-run"]


class Browser:
    """One window. Elements are named by CSS selectors."""

    def __init__(self, port: int, profile: Path) -> None:
        self._port = port
        self._end = time.monotonic() + LIFE
        options = {"args": [*OPTIONS, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session = ""
        self._session = "/session/" + self._ask("POST", "/session", wanted)["sessionId"]

    def _ask(self, method: str, path: str, body: dict | None = None):
        assert method == "DELETE" or time.monotonic() < self._end, f"the browser has been busy for more than {LIFE:.0f} seconds"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2 * PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, self._session + path, None if body is None else json.dumps(body))
            answer = json.loads(connection.getresponse().read())["value"]
        assert not (isinstance(answer, dict) and "error" in answer), f"{method} {path}: {answer.get('message')}"
        return answer

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments):
        """What *script*, the body of a JavaScript function, returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def _element(self, selector: str) -> str:
        seen = "return [...document.querySelectorAll(arguments[0])].find(one => one.getClientRects().length) || null"
        return eventually(lambda: self.run(seen, selector), f"{selector} is seen", PATIENCE)[ELEMENT]

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self._element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        self._ask("POST", f"/element/{self._element(selector)}/value", {"text": text})

    def texts(self, selector: str) -> list[str]:
        """The text of each element that is seen."""
        seen = "return [...document.querySelectorAll(arguments[0])].filter(one => one.getClientRects().length)"
        return self.run(seen + ".map(one => one.innerText.trim())", selector)

    def close(self) -> None:
        self._ask("DELETE", "")


@contextlib.contextmanager
def server(*command: object, place: Path, port: int, **environ: str) -> Iterator[None]:
    """*command*, which listens on *port*, as the ordinary user; it and all of its process group are gone afterwards."""
    with (place / "servers.log").open("ab") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=place,
            env=os.environ | {"HOME": str(place), "TMPDIR": str(place), "LC_ALL": "C.UTF-8"} | environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **as_ordinary_user(),
        )
    try:
        eventually(lambda: listens(port) or process.poll() is not None, f"{command[0]} listens", PATIENCE)
        assert process.poll() is None, (place / "servers.log").read_text("utf-8", "replace")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def browsing(place: Path) -> Iterator[Browser]:
    """A fresh browser whose profile lies in *place*."""
    port = free_port()
    try:
        with server("chromedriver", f"--port={port}", place=place, port=port):
            browser = Browser(port, place / "chromium")
            try:
                yield browser
            finally:
                browser.close()
    finally:
        eventually(lambda: not end_those_of(place), "every process of the browser has ended")


def end_those_of(place: Path) -> list[int]:
    """Chromium's helpers leave its process group: end whoever has a file of *place*, which is ours alone, on its command line."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"{place}/chromium".encode() in line.read_bytes():
                found.append(int(line.parent.name))
                os.kill(found[-1], signal.SIGKILL)
    return found
