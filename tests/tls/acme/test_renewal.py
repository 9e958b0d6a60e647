"""Whether it is time, one try at a time, and what is remembered of failures. The authority is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import result_of
from tests.tls.authority import NOW, Authority
from twistmail.tasks import Inline
from twistmail.tls.acme.due import DAY, HOUR
from twistmail.tls.acme.renewal import Renewal
from twistmail.tls.acme.settings import Failed, Wish

HOST = "mail.blue.example"
WISH = Wish((HOST,), "https://authority.example/directory")


class Played(Renewal):
    """`outcome`: what the next tries come to, an error or days that the certificate holds; `tries` counts them."""

    def __init__(self, folder: Path, wish: Wish | None = WISH) -> None:
        self.time = NOW
        super().__init__(folder / "acme", folder / "tls", Inline(), lambda: self.time)
        self.adopt(wish)
        self.outcome: str | float = 90.0
        self.suggested: float | None = None
        self.tries = 0

    def _issuing(self, wish: Wish) -> Any:
        return self

    def suggestion(self, certificate: Any) -> float | None:
        if self.suggested is not None and self.suggested < 0:
            raise Failed("away")
        return self.suggested

    def certificate(self, own: Path) -> Any:
        from twistmail.tls.bringing import bring, keep

        self.tries += 1
        if isinstance(self.outcome, str):
            raise Failed(self.outcome)
        chain, key = Authority(now=self.time).issue(*self.wish.names, days=self.outcome, begins=0)  # type: ignore[union-attr]
        (own.parent / "pair").write_bytes(key + chain)
        certificate = bring([own.parent / "pair"])
        keep(certificate, own)
        return certificate

    def looked(self) -> bool:
        return result_of(self.look())  # type: ignore[no-any-return]


def test_without_a_wish_nothing_is_done(tmp_path: Path) -> None:
    renewal = Played(tmp_path, None)
    assert (renewal.looked(), renewal.tries, renewal.path) == (False, 0, None)
    with pytest.raises(Failed, match="switched off"):
        result_of(renewal.renew(force=True))


def test_the_first_is_got_at_once_and_renewed_a_month_before_its_end(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    assert renewal.looked()
    assert renewal.path == tmp_path / "tls" / f"{HOST}.pem"
    tried = []
    for day in range(1, 91):
        renewal.time = NOW + day * DAY
        if renewal.looked():
            tried.append(day)
    assert tried == [60]


def test_the_authority_may_want_it_renewed_earlier_and_may_be_away(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    renewal.looked()
    renewal.suggested = -1
    renewal.time += 7 * HOUR
    assert not renewal.looked()
    renewal.suggested = NOW + DAY
    renewal.time = NOW + 2 * DAY
    assert renewal.looked()


def test_other_names_want_another_certificate(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    renewal.looked()
    renewal.adopt(Wish((HOST, "imap.blue.example"), WISH.directory))
    assert renewal.looked()
    assert not renewal.looked()


def test_after_a_failure_there_is_a_wait_that_a_restart_does_not_shorten(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    renewal.outcome = "the name does not lead here"
    for minutes in range(0, 240, 10):
        renewal.time = NOW + minutes * 60
        renewal.looked()
        if minutes == 30:
            earlier, renewal = renewal, Played(tmp_path)
            renewal.outcome, renewal.tries = earlier.outcome, earlier.tries
    assert renewal.tries == 3  # at once, after one hour, after two more
    assert renewal.past.trouble == "the name does not lead here"


def test_the_operator_need_not_wait_and_hears_why(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    renewal.outcome = "no"
    renewal.looked()
    with pytest.raises(Failed, match="no"):
        result_of(renewal.renew(force=False))
    renewal.outcome = 90.0
    assert result_of(renewal.renew(force=False))
    assert renewal.past.failures == 0
    assert not result_of(renewal.renew(force=False))
    assert result_of(renewal.renew(force=True))


def test_a_new_wish_ends_the_wait(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    renewal.outcome = "no"
    renewal.looked()
    renewal.adopt(Wish((HOST,), "https://another.example/directory"))
    renewal.outcome = 90.0
    assert renewal.looked()


def test_a_broken_file_is_no_certificate(tmp_path: Path) -> None:
    renewal = Played(tmp_path)
    renewal.looked()
    (tmp_path / "tls" / f"{HOST}.pem").write_bytes(b"-----BEGIN")
    (tmp_path / "acme").mkdir(exist_ok=True)
    (tmp_path / "acme" / "state.json").write_text('{"failures": "many"')
    again = Played(tmp_path)
    assert again.looked()
