"""Small pages by HTTP: which of those who share a port answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.helpers import result_of
from twistmail.servers.challenges import ChallengeSession
from twistmail.servers.pages import PageSession
from twistmail.wire.http import Get, Page, Post

STS = "/.well-known/mta-sts.txt"
CHALLENGE = "/.well-known/acme-challenge/"


async def policy() -> tuple[str, bytes]:
    return "text/plain", b"policy"


async def below(path: str, body: bytes | None) -> tuple[int, bytes, str]:
    return 200, f"{path} {body!r}".encode(), "text/plain"


def answer(session: PageSession, event: Any) -> Page:
    async def ask() -> list[Page]:
        return [one async for one in session.answer(event)]

    (page,) = result_of(ask())
    return page  # type: ignore[no-any-return]


@pytest.mark.parametrize(("folders", "event", "code", "body"), [
    pytest.param({"/": below}, Get(CHALLENGE + "tok"), 200, b"tok.key", id="a-challenge-before-a-folder-that-is-everything"),
    pytest.param({"/": below}, Get(CHALLENGE + "no"), 404, None, id="a-challenge-that-is-none"),
    pytest.param({"/": below}, Get(STS), 200, b"policy", id="a-page-before-a-folder-that-is-everything"),
    pytest.param({"/": below}, Get("/news/x"), 200, b"/news/x None", id="everything-else"),
    pytest.param({"/": below}, Post("/news/x", b"y"), 200, b"/news/x b'y'", id="what-is-posted"),
    pytest.param({"/u/": below}, Get("/u/x"), 200, b"/u/x None", id="below-a-folder"),
    pytest.param({"/u/": below}, Get("/ux"), 404, None, id="beside-it"),
    pytest.param({"/u/": below}, Post(STS, b"y"), 405, None, id="nobody-posts-to-a-page"),
    pytest.param({}, Get("/"), 404, None, id="nothing"),
])  # fmt: skip
def test_who_answers(folders: Mapping[str, Any], event: Any, code: int, body: bytes | None) -> None:
    page = answer(ChallengeSession({"tok": "tok.key"}, {STS: policy}, folders), event)
    assert page.code == code
    assert body is None or page.body == body
