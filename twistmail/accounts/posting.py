"""Questions to an HTTP service, as POSTs of JSON objects, and their answers. For `http`, which imports this when it is used. Blocking."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from urllib.parse import SplitResult

from twistmail.accounts.asking import Trouble
from twistmail.options import Settings

PIECE = 64 * 1024


class Service:
    """Posts questions to the service of *settings*. Blocking; called in threads. Everything may raise Trouble."""

    def __init__(self, settings: Settings, authorities: str, now: Callable[[], float] = monotonic) -> None:
        self._url: SplitResult = settings.url
        self._timeout = settings.timeout
        self._now = now
        self._tls = ssl.create_default_context(cafile=authorities or None) if self._url.scheme == "https" else None
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "twistmail"}
        if settings.token:
            self._headers["Authorization"] = f"Bearer {settings.token}"

    def connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def close(self, connection: http.client.HTTPConnection) -> None:
        connection.close()

    def post(self, question: Mapping[str, Any], most: int, connection: http.client.HTTPConnection) -> tuple[int, str, bytes]:
        """(status, reason, body of at most *most* octets) of the answer to *question*."""
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        deadline = self._now() + self._timeout
        try:
            connection.request("POST", path, json.dumps(question).encode(), self._headers)
            response = connection.getresponse()
            return response.status, response.reason, self._body(response, most, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Trouble(f"{type(error).__name__}: {error}") from error

    def _body(self, response: http.client.HTTPResponse, most: int, deadline: float) -> bytes:
        """All of it, however slowly it comes, until the *deadline*: a time-out of the socket counts for each piece anew."""
        body = bytearray()
        while piece := response.read1(PIECE):
            body += piece
            if len(body) > most:
                raise Trouble(f"its answer has more than {most} octets")
            if self._now() > deadline:
                raise Trouble("its answer takes too long")
        response.close()  # the connection is free for the next question
        return bytes(body)

    @staticmethod
    def read(status: int, reason: str, octets: bytes) -> dict[str, Any]:
        """What it has answered. Trouble where that is no answer."""
        if status != http.client.OK:
            raise Trouble(f"it answers {status} {reason}")
        try:
            answer = json.loads(octets)
        except (ValueError, RecursionError) as error:
            raise Trouble("its answer is not JSON") from error
        if not isinstance(answer, dict):
            raise Trouble("its answer is not a JSON object")
        return answer
