"""What the DNS must say of a domain whose mail is kept here, and whether it does.

Records: MX and SPF are needed; DMARC tells others what to think of forgeries;
SRV lets mail programs find us (RFC 6186, RFC 8314). Where we publish a policy
about encryption (`own_sts`), others look for it by a record (RFC 8461 §3.1) and
tell us of trouble (RFC 8460 §3); where the zone is signed, TLSA says which
certificate we show (RFC 7672), and CAA who may make one (RFC 8659). Keys for
signatures are told where they are made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from twistmail import own_sts
from twistmail.config.settled import Config
from twistmail.interfaces import DnsTrouble, NoSuchDomain
from twistmail.mail.values import frozen
from twistmail.relay.dane import key_of
from twistmail.relay.mtasts import identifier
from twistmail.tls.certificates import Certificates

DEFAULT_TTL = 3600
_LONGEST_STRING = 255
#: How ACME directories end, and how CAA records call those who run them (RFC 8659 §4.2).
AUTHORITIES = {".letsencrypt.org": "letsencrypt.org", ".buypass.com": "buypass.com", ".zerossl.com": "sectigo.com", ".pki.goog": "pki.goog"}
#: The name of a service in SRV records, ours, and whether TLS is there from the first byte.
_SRV = (("_imaps", "imap", True), ("_imap", "imap", False), ("_pop3s", "pop3", True), ("_pop3", "pop3", False),
        ("_submissions", "submission", True), ("_submission", "submission", False))  # fmt: skip


@frozen
class Record:
    """One record; `value` as people paste it into a form."""

    name: str
    type: str
    value: str

    @property
    def zone_value(self) -> str:
        """As it stands in a zone file: names end with a dot, texts have quotes."""
        if self.type in ("TLSA", "CAA"):
            return self.value
        if self.type == "TXT":
            pieces = [self.value[at : at + _LONGEST_STRING] for at in range(0, len(self.value), _LONGEST_STRING)]
            return " ".join(f'"{piece}"' for piece in pieces)
        return self.value + "."


@frozen
class Finding:
    """What was asked, whether it is as it must be, what was found, and what to do."""

    what: str
    is_right: bool
    found: str
    advice: str = ""


def records(domain: str, config: Config) -> tuple[Record, ...]:
    """The records that *domain* needs, in the order of their importance."""
    host, postmaster = config["server"].hostname, config["server"].postmaster
    reports = postmaster if "@" in postmaster else f"{postmaster}@{domain}"
    found = [
        Record(domain, "MX", f"10 {host}"),
        Record(domain, "TXT", "v=spf1 mx -all"),
        Record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=quarantine; rua=mailto:{reports}"),
    ]
    for word, service, implicit in _SRV:
        ports = [listen.port for listen in config[service].listen if listen.port and listen.implicit_tls == implicit]
        if ports and (implicit or config[service].tls != "off"):
            found.append(Record(f"{word}._tcp.{domain}", "SRV", f"0 1 {ports[0]} {host}"))
    if config["mta_sts"].mode != own_sts.OFF:
        found += [
            Record(f"_mta-sts.{domain}", "TXT", own_sts.record(config)),
            Record(f"mta-sts.{domain}", "CNAME", host),
            Record(f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:{reports}"),
        ]
    return tuple(found)


def host_records(config: Config, certificates: Certificates) -> tuple[Record, ...]:
    """The records that our host needs where its zone is signed: TLSA of the key of its certificate, CAA of who made it for us."""
    host = config["server"].hostname
    shown = certificates.find(host) or certificates.default
    found = [] if shown is None else [Record(f"_25._tcp.{host}", "TLSA", f"3 1 1 {sha256(key_of(shown.chain[0])).hexdigest()}")]
    place = urlsplit(config["acme"].directory).hostname or ""
    authority = next((name for ending, name in AUTHORITIES.items() if place.endswith(ending)), "")
    if config["acme"].enabled and authority:
        found.append(Record(host, "CAA", f'0 issue "{authority}"'))
    return tuple(found)


async def check_all(domains: Sequence[str], config: Config, lookup: Any) -> list[tuple[str, Finding]]:
    """What the DNS says of each of *domains*."""
    return [(domain, finding) for domain in domains for finding in await check(domain, config, lookup)]


async def check(domain: str, config: Config, lookup: Any) -> tuple[Finding, ...]:
    """What the DNS says of *domain*; *lookup* is an INameLookup. A server that does not answer is a finding, too."""
    host = config["server"].hostname
    sts = () if config["mta_sts"].mode == own_sts.OFF else (await _finding("MTA-STS", lambda: _sts(domain, config, lookup)),)
    return (
        await _finding("MX", lambda: _mail_goes_here(domain, host, lookup)),
        await _finding("address", lambda: _host_has_address(host, lookup)),
        await _finding("SPF", lambda: _spf(domain, lookup)),
        await _finding("DMARC", lambda: _dmarc(domain, lookup)),
        *sts,
    )


async def _finding(what: str, ask: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await ask()
    except NoSuchDomain:
        return Finding(what, False, "no such name", "register the name, or add the record: twistmail domain dns")
    except DnsTrouble as trouble:
        return Finding(what, False, str(trouble), "ask again later")


async def _mail_goes_here(domain: str, host: str, lookup: Any) -> Finding:
    found = sorted(await lookup.mx(domain))
    names = [name.lower().rstrip(".") for _, name in found]
    said = ", ".join(f"{preference} {name}" for preference, name in found) or "none"
    if host in names:
        return Finding("MX", True, said)
    if not names and host == domain:
        return Finding("MX", True, "none: the address of the domain itself counts")
    advice = f"add: MX 10 {host}" if not names else f"mail goes to {names[0]}; it should be: MX 10 {host}"
    return Finding("MX", False, said, advice)


async def _host_has_address(host: str, lookup: Any) -> Finding:
    found = await lookup.addresses(host)
    return Finding("address", bool(found), ", ".join(found) or f"none of {host}", "" if found else f"add an A or AAAA record of {host}")


async def _spf(domain: str, lookup: Any) -> Finding:
    texts = [text for text in await lookup.txt(domain) if text.lower().split(b" ")[0] == b"v=spf1"]
    if len(texts) > 1:
        return Finding("SPF", False, f"{len(texts)} records", "keep one of them: several mean none (RFC 7208 §4.5)")
    said = texts[0].decode("ascii", "replace") if texts else "none"
    return Finding("SPF", bool(texts), said, "" if texts else "add: TXT v=spf1 mx -all")


async def _sts(domain: str, config: Config, lookup: Any) -> Finding:
    """Whoever sends to us must find the policy that we have now (RFC 8461 §3.1)."""
    wanted = own_sts.record(config)
    found = identifier(await lookup.txt(f"_mta-sts.{domain}"))
    said = found or "none"
    if found != identifier((wanted.encode(),)):
        return Finding("MTA-STS", False, said, f"_mta-sts.{domain} should be: TXT {wanted}")
    try:
        web = await lookup.addresses(f"mta-sts.{domain}")
    except NoSuchDomain:
        web = ()
    return Finding("MTA-STS", bool(web), said, "" if web else f"add mta-sts.{domain}: the policy is fetched from there")


async def _dmarc(domain: str, lookup: Any) -> Finding:
    try:
        texts = [text for text in await lookup.txt(f"_dmarc.{domain}") if text.startswith(b"v=DMARC1")]
    except NoSuchDomain:
        texts = []
    said = texts[0].decode("ascii", "replace") if texts else "none"
    return Finding("DMARC", bool(texts), said, "" if texts else f"add _dmarc.{domain}: twistmail domain dns {domain}")
