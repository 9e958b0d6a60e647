"""The MTA-STS policy that we publish for our own domains (RFC 8461 §3.2): its settings, its text, and the page that others fetch.

It is the same for all domains, because they have the same servers. Those who
send to us fetch it by HTTPS from `mta-sts.DOMAIN`, so [mta_sts] listen needs a
certificate for these names; the records that belong to it are printed by
`twistmail domain dns`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twistmail.config.settled import Config
from twistmail.endpoints import ENDPOINTS
from twistmail.options import COUNT, DURATION, WORDS, Option, Section, choice
from twistmail.relay.mtasts import LONGEST_AGE
from twistmail.servers.challenges import open_connection as open_challenges
from twistmail.servers.pages import Folders, Make
from twistmail.servers.pages import open_connection as open_pages

PATH = "/.well-known/mta-sts.txt"
OFF = "off"

OPTIONS = Section(
    "mta_sts",
    "What we publish for those who send to us: that our servers encrypt, and with which names. docs/outbound-tls.md",
    Option("mode", choice(OFF, "testing", "enforce", "none"), OFF, "testing: others tell us of trouble and send all the same. enforce: no "
           "mail without a certificate in order. none: for some weeks, before off, where it was enforce."),
    Option("mx", WORDS, "", "The names of our servers, *.blue.example for all below; without any, the hostname."),
    Option("max_age", DURATION, "7d", "For how long others may keep it. Weeks, once enforce has proved well."),
    Option("listen", ENDPOINTS, "off", "Where it is fetched. [acme] listen serves it too, so where that is tls:port=443 this stays off.",
           example="tls:port=443"),
    Option("max_connections", COUNT, "20", "Connections at a time; more are sent away."),
)  # fmt: skip


def text(config: Config) -> str:
    """The policy, as it is fetched; empty where we have none."""
    settings = config["mta_sts"]
    if settings.mode == OFF:
        return ""
    names = settings.mx or (config["server"].hostname,)
    servers = "".join(f"mx: {name.lower()}\r\n" for name in names)
    return f"version: STSv1\r\nmode: {settings.mode}\r\n{servers}max_age: {int(min(settings.max_age, LONGEST_AGE))}\r\n"


def record(config: Config) -> str:
    """The TXT record of `_mta-sts.DOMAIN`: its id is another whenever the policy is."""
    return f"v=STSv1; id={hashlib.sha256(text(config).encode()).hexdigest()[:20]};"


def pages(config: Config) -> dict[str, Make]:
    """What [mta_sts] listen, and [acme] listen beside its own, answer."""
    octets = text(config).encode("ascii")

    async def make() -> tuple[str, bytes]:
        return "text/plain", octets

    return {PATH: make} if octets else {}


def web_services(config: Config, tokens: Mapping[str, str], folders: Folders) -> dict[str, Callable[..., Any]]:
    """What makes connections to [acme], [mta_sts] and [lists] listen. *tokens*: what ACME authorities look for; *folders*: of lists."""
    ours = pages(config)
    return {
        "acme": partial(open_challenges, tokens, ours, folders=folders),
        "mta_sts": partial(open_pages, ours, folders=folders),
        "lists": partial(open_pages, {}, folders=folders),
    }
