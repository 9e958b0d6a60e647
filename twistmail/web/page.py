"""What a request asks for and what an answer is: values between `web.site` (which speaks HTTP) and whoever makes pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any

import orjson

from twistmail.mail.values import frozen


@frozen
class Upload:
    """A file that somebody has chosen in a form. `name` and `kind` (a media type) are what his browser says."""

    name: str
    kind: str
    octets: bytes


@frozen
class Asked:
    """A request. `path` is decoded and begins with a slash; of `query` and `form` the last of several values counts.

    `names`: what stood in the places of a pattern ("/m/{id}"); `client`: the address it came from; `body`: of a POST that is
    no form, as octets; `files`: of a form, by field, what somebody has chosen. `by_script`: the page's own script asks,
    so that an answer may be a fragment. `cookies`: by name.
    `leaving`: what a handler that waits puts here is called when whoever asked has gone without an answer.
    """

    method: str
    path: str
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[Upload, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    cookies: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    body: bytes = b""
    by_script: bool = False
    leaving: list[Callable[[], Any]] = field(default_factory=list, compare=False)


@frozen
class Answer:
    """`kind` is the Content-Type; `headers`: further fields, which may replace those that every answer has (CSP ...)."""

    body: bytes
    kind: str = "text/html; charset=utf-8"
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@frozen
class Live:
    """An answer that goes on: server-sent events. *source*.since(n) and .listen(callback) as `lab.ring.Ring` has them.

    `render`(event) gives (event name, data) or None for what this stream does not show; `after`: where the browser was
    (Last-Event-ID), None for what comes from now on.
    """

    source: Any
    render: Callable[[Any], tuple[str, str] | None]
    after: int | None = None


Handler = Callable[[Asked], Awaitable["Answer | Live"]]


@frozen
class Route:
    """`pattern`: "/queue", "/m/{id}", "/lessons/{number}/{step}"; a name stands for one part, `{rest*}` for all that is left."""

    method: str
    pattern: str
    handler: Handler


def text(words: str, code: int = 200) -> Answer:
    return Answer(words.encode(), "text/plain; charset=utf-8", code)


def json(value: Any, code: int = 200) -> Answer:
    return Answer(orjson.dumps(value), "application/json", code)


def see_other(path: str) -> Answer:
    """After a POST: look at *path* now."""
    return Answer(b"", "text/plain; charset=utf-8", 303, {"Location": path})
