"""Fetching a JSON object by HTTP, once: for keys and for questions about tokens. Blocking."""

from __future__ import annotations

import http.client
import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from twistmail.accounts.asking import Trouble
from twistmail.accounts.sqldrivers import is_here

LONGEST_ANSWER = 1024 * 1024
PIECE = 64 * 1024


class Fetcher:
    """*authorities*: a PEM file with those who sign certificates (empty: the system's). *timeout* in seconds, for a whole answer."""

    def __init__(self, authorities: str, timeout: float, now: Callable[[], float] = monotonic) -> None:
        self._tls = ssl.create_default_context(cafile=authorities or None)
        self._timeout = timeout
        self._now = now

    def get(self, url: str) -> dict[str, Any]:
        """The object at *url*. Trouble where there is none."""
        return self._fetched("GET", url, None, {})

    def post(self, url: str, form: Mapping[str, str], credentials: tuple[str, str]) -> dict[str, Any]:
        """The object with which *form* is answered, sent by *credentials*: name and secret (RFC 6749 §2.3.1). Trouble."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if credentials[0]:
            shown = ":".join(quote(word, safe="") for word in credentials)
            headers["Authorization"] = "Basic " + b64encode(shown.encode()).decode("ascii")
        return self._fetched("POST", url, urlencode(form).encode("ascii"), headers)

    def _fetched(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        deadline = self._now() + self._timeout
        connection = self._connect(url)
        parts = urlsplit(url)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, body, {"Accept": "application/json", "User-Agent": "twistmail"} | headers)
            response = connection.getresponse()
            octets = self._body(response, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Trouble(f"{parts.hostname}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        return _object(parts.hostname or "", response.status, octets)

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self._timeout, context=self._tls)
        if parts.scheme == "http" and parts.hostname and is_here(parts.hostname):
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout)
        raise Trouble(f"{parts.hostname}: only https:// is fetched from other machines")

    def _body(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        """All of it, however slowly it comes, until the *deadline*: a time-out of the socket counts for each piece anew."""
        body = bytearray()
        while piece := response.read1(PIECE):
            body += piece
            if len(body) > LONGEST_ANSWER:
                raise Trouble(f"its answer has more than {LONGEST_ANSWER} octets")
            if self._now() > deadline:
                raise Trouble("its answer takes too long")
        return bytes(body)


def _object(host: str, status: int, octets: bytes) -> dict[str, Any]:
    if status != http.client.OK:
        raise Trouble(f"{host} answers {status}")
    try:
        answer = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise Trouble(f"{host}: its answer is not JSON") from error
    if not isinstance(answer, dict):
        raise Trouble(f"{host}: its answer is not a JSON object")
    return answer
