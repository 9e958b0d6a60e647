"""Who may ask for what: the page's own browser windows, and programs; never another site's page behind a browser's back.

Three things are looked at. The Host has to be an address or one of ours (a name of a stranger's that was made to point
here is refused). A browser that says another site is asking (Sec-Fetch-Site, Origin) may follow a link here and nothing
else. A form needs the token which only our pages hold, bound to the cookie of the browser that asked for the page.
What a browser cannot send across sites without asking first (a JSON body, PUT, DELETE) needs no token, so that
programs can use an API. Pure; `web.site` asks before any handler.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from ipaddress import ip_address
from string import ascii_letters, digits

from twistmail.web.page import Asked
from twistmail.web.reading import media

#: The cookie that tells browsers apart; it says nothing about who sits there.
BROWSER = "browser"
#: Octets of randomness in it.
BROWSER_OCTETS = 16
SAFE = frozenset({"GET", "HEAD"})
#: What a form of any site can send without asking first (the "simple" types of the Fetch standard); "" is no type at all.
FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
LETTERS = frozenset(ascii_letters + digits + "-_")


class Guard:
    """*secret*: octets that nobody knows and that live as long as the pages do. *names*: further hosts that we are called."""

    def __init__(self, secret: bytes, names: Collection[str] = ()) -> None:
        self._secret = secret
        self._names = frozenset(name.lower() for name in names)

    def token(self, asked: Asked) -> str:
        """What a form of this browser's has to carry."""
        return hmac.new(self._secret, asked.cookies.get(BROWSER, "").encode(), hashlib.sha256).hexdigest()[:32]

    def objection(self, asked: Asked) -> str | None:
        """Why *asked* is refused (403), in words; None: it is not."""
        host = asked.headers.get("host", "")
        if not self._is_ours(host):
            return "This server is not called that. Use its address, or localhost."
        if _asks_for_another_site(asked, host):
            return "Another site asks this in your name: refused."
        if asked.method not in SAFE and not self._holds_token(asked):
            return "The form is not from this page, or the page is from before a restart. Load the page again and try once more."
        return None

    def _is_ours(self, host: str) -> bool:
        name = hostname(host)
        return name == "localhost" or name.endswith(".localhost") or name in self._names or _is_address(name)

    def _holds_token(self, asked: Asked) -> bool:
        if asked.method != "POST" or media(asked.headers.get("content-type", "")) not in FORM_TYPES:
            return True
        return hmac.compare_digest(asked.form.get("token", "").encode(), self.token(asked).encode())


def hostname(host: str) -> str:
    """The name or address of a Host field, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_browser(value: str) -> bool:
    """Could this be a value of the cookie BROWSER?"""
    return len(value) == 22 and LETTERS.issuperset(value)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _asks_for_another_site(asked: Asked, host: str) -> bool:
    site = asked.headers.get("sec-fetch-site", "none")
    follows_link = (
        asked.method in SAFE and asked.headers.get("sec-fetch-mode") == "navigate" and asked.headers.get("sec-fetch-dest") == "document"
    )
    if site not in ("none", "same-origin") and not follows_link:
        return True
    origin = asked.headers.get("origin")
    return origin is not None and not follows_link and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower())
