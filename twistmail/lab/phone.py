"""A mail account for a telephone, as a QR code: the format in which Thunderbird hands accounts to Thunderbird for Android.

The format ("Export for Mobile", version 1) is JSON made of arrays. The password stays out of it: who has the telephone in his hand
types it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

#: Values of the format.
VERSION, IMAP, SMTP, TLS, PASSWORD = 1, 0, 0, 3, 1


def account_settings(account: str, host: str, ports: Mapping[str, int]) -> str:
    """What a telephone is told of *account*, whose office has its *ports* (by USUAL_PORTS words) at *host*."""
    incoming = [IMAP, host, ports["imaps"], TLS, PASSWORD, account]
    outgoing = [SMTP, host, ports["submissions"], TLS, PASSWORD, account]
    identity = [account, account.partition("@")[0]]
    return orjson.dumps([VERSION, [1, 1], incoming, [[outgoing, identity]]]).decode()


def drawn(words: str) -> str:
    """*words* as a QR code: SVG for a page, without styles. Four modules of white belong around it."""
    import segno  # only a class in a LAN is shown one

    code = segno.make(words, error="m", micro=False)
    size = code.symbol_size(border=4)[0]
    ground, dark = f"M0 0h{size}v{size}H0z", _squares(code.matrix)
    paths = f'<path class="light" d="{ground}"/><path class="dark" d="{dark}"/>'
    return f'<svg class="code" viewBox="0 0 {size} {size}" role="img" aria-label="QR code">{paths}</svg>'


def _squares(rows: tuple[bytearray, ...]) -> str:
    return "".join(f"M{x + 4} {y + 4}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
