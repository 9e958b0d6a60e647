"""The DNS: its records as tables to edit, what is wrong with names on purpose, and the questions that were asked last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twistmail.lab.fault_acts import tell_dns
from twistmail.lab.ring import Event
from twistmail.lab.secret import is_about
from twistmail.lab.zones import KINDS, TROUBLES
from twistmail.mail.values import frozen
from twistmail.web.page import Answer, Asked, Route, see_other, text
from twistmail.web.site import is_near
from twistmail.web.templates import Renderer

#: Questions that are shown.
MOST = 40
#: What stands in the form for a new record.
NOTHING = {"name": "", "kind": "", "values": ""}
#: How a trouble is called.
TROUBLE_WORDS = {"": "answers", "NXDOMAIN": "no such name", "SERVFAIL": "SERVFAIL", "silent": "no answer"}


@frozen
class Record:
    """What stands at `name` of `kind`; `problem`: what does not fit, in words."""

    name: str
    kind: str
    values: tuple[str, ...]
    problem: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.values)


def routes(town: Any, render: Renderer) -> tuple[Route, ...]:
    def whole(asked: Asked, problem: str = "", typed: Mapping[str, str] | None = None) -> Answer:
        code = 400 if problem else 200
        values = {"problem": problem, "typed": NOTHING | dict(typed or {}), "asked_last": asked_last(town), **shown(town)}
        return render.page(asked, "dns.html", title="DNS", code=code, near=is_near(asked.client), **values)

    def done(asked: Asked, problem: str) -> Answer:
        if not problem:
            return see_other("/dns")
        return text(problem + "\n", 400) if asked.by_script else whole(asked, problem, asked.form)

    async def page(asked: Asked) -> Answer:
        return whole(asked)

    async def zones(asked: Asked) -> Answer:
        return render.fragment(asked, "dns_zones.html", **shown(town))

    async def questions(asked: Asked) -> Answer:
        return render.fragment(asked, "dns_asked.html", asked_last=asked_last(town))

    async def change(asked: Asked) -> Answer:
        """`name`, `kind`, `values` (one a line); no values, or the button `remove`: nothing stands there any more."""
        name, kind = asked.form.get("name", ""), asked.form.get("kind", "")
        values = [] if "remove" in asked.form else [line for line in asked.form.get("values", "").split("\n") if line.strip()]
        return done(asked, changed(town, name, kind, values))

    async def trouble(asked: Asked) -> Answer:
        return done(asked, troubled(town, asked.form.get("name", ""), asked.form.get("trouble", "")))

    return (
        Route("GET", "/dns", page),
        Route("GET", "/dns/zones", zones),
        Route("GET", "/dns/asked", questions),
        Route("POST", "/dns/record", change),
        Route("POST", "/dns/trouble", trouble),
    )


def changed(town: Any, name: str, kind: str, values: list[str]) -> str:
    """Let *values* stand there. Why that cannot be, in words for people; empty: it is done."""
    try:
        town.zones.set(name, kind, values)
    except ValueError as problem:
        return str(problem)
    tell_dns(town, name, f"{kind} changed")
    return ""


def troubled(town: Any, name: str, trouble: str) -> str:
    try:
        town.zones.break_name(name, trouble)
    except ValueError as problem:
        return str(problem)
    tell_dns(town, name, trouble or "mended")
    return ""


def shown(town: Any) -> Mapping[str, Any]:
    """Records by their domain, with what does not fit; names with troubles; where to ask."""
    zones = [(office.domain, [record for record in records(town) if _below(record.name, office.domain)]) for office in town.offices]
    inside = {record for _, found in zones for record in found}
    rest = [record for record in records(town) if record not in inside]
    names = sorted({*town.zones.records, *town.zones.trouble, *(office.domain for office in town.offices)})
    return {
        "zones": [*zones, ("other names", rest)] if rest else zones,
        "troubles": [(name, "" if is_about(town, name) else town.zones.trouble.get(name, "")) for name in names],
        "trouble_words": {word: TROUBLE_WORDS[word] for word in ("", *TROUBLES)},
        "kinds": KINDS,
        "ports": [(office.name, town.ports[office.name, "dns"]) for office in town.offices],
        "example": town.offices[1 % len(town.offices)].domain,
    }


def records(town: Any) -> Iterator[Record]:
    for name, kinds in sorted(town.zones.records.items()):
        for kind in KINDS:
            if values := tuple(kinds.get(kind, ())):
                yield Record(name, kind, values, "" if is_about(town, name) else misfit(town.zones.records, kind, values))


def misfit(there: Mapping[str, Mapping[str, Any]], kind: str, values: tuple[str, ...]) -> str:
    """What is wrong with records that may stand, but lead nowhere; empty: nothing."""
    if kind == "MX":
        hosts = [value.split()[-1].rstrip(".").lower() for value in values]
        if "" in hosts:
            return "a null MX: the domain takes no mail" + ("; beside it no other MX may stand (RFC 7505 §3)" if len(hosts) > 1 else "")
        lost = [host for host in hosts if not there.get(host, {}).keys() & {"A", "AAAA", "CNAME"}]
        aliases = [host for host in hosts if "CNAME" in there.get(host, {})]
        if lost:
            return f"{', '.join(lost)} has no address"
        if aliases:
            return f"{', '.join(aliases)} is an alias, which an MX must not name (RFC 5321 §5.1)"
    if kind == "PTR":
        lost = [host for value in values if not there.get(host := value.rstrip(".").lower(), {}).keys() & {"A", "AAAA"}]
        return f"{', '.join(lost)} does not lead back" if lost else ""
    return ""


def _below(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)


def asked_last(town: Any) -> list[Event]:
    """The newest first."""
    found = [event for event in town.ring.since(0) if event.kind == "dns"]
    return found[: -MOST - 1 : -1]
