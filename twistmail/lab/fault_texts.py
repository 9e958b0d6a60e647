"""What faults are called and what is said of them, and what is written for those that are records or settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twistmail.lab.offices import Office

#: name: (title, what really happens, what students see, what it teaches)
WORDS: Mapping[str, tuple[str, str, str, str]] = {
    "office-off": (
        "Office off", "The server is stopped: nobody listens on its ports.",
        "Connection refused; the letter waits in the sender's queue, is tried again and arrives when the office is back.",
        "Mail is store and forward: a server that is down costs time, not letters (RFC 5321 §4.5.4)."),
    "crash": (
        "Crash now", "The server ends in the middle of whatever it does: nothing more is written, connections are reset. It starts "
        "again from its disk.",
        "Nothing that was answered with 250 is lost: it is in the mailbox or in the queue.",
        "What the 250 after the dot promises (RFC 5321 §6.1)."),
    "black-hole": (
        "Black hole", "Packets get no answer: a connection is neither made nor refused until the sender gives up after half a minute.",
        "The attempt hangs, then: took too long. The letter waits.",
        "Why time-outs are long, and why silence costs more than a refusal (RFC 5321 §4.5.3.2)."),
    "slow": (
        "Slow line", "1 kB a second, and two seconds on the way, in each direction.",
        "The dialogue drips in. Commands that go in one packet arrive together.",
        "A round trip costs more than octets: PIPELINING pays (RFC 2920)."),
    "cut-in-content": (
        "Cut in the content", "The connection breaks when half of the letter has gone.",
        "No answer, so no promise: the receiver throws the half away, the sender tries again.",
        "Before the dot the letter is the sender's duty."),
    "cut-after-the-dot": (
        "Cut after the dot", "The connection breaks when the receiver has the whole letter and its 250 is on the way.",
        "The letter is in the mailbox, and the sender, who cannot know, sends it again: it comes twice.",
        "Who is responsible when, and why mail comes twice rather than never (RFC 1047)."),
    "no-starttls": (
        "STARTTLS stripped", "Somebody on the line makes the offer of STARTTLS unreadable, as some firewalls do.",
        "No TLS is offered any more. Who knows better, or insists, does not send in clear; others do.",
        "Opportunistic encryption stops those who listen, not those who change what is said (RFC 7435)."),
    "wrong-certificate": (
        "Wrong certificate", "Somebody sits in the middle and speaks TLS with both sides, with a certificate for another name.",
        "An office that is content with any encryption sends, and is read along; one that insists on a checked certificate does not.",
        "Encryption without knowing with whom (RFC 7435 §1.1)."),
    "dns-nxdomain": (
        "DNS: no such name", "The name server says that the domain does not exist.",
        "The letter comes back at once: there is nothing to wait for.",
        "Permanent: what does not exist will not exist tomorrow (RFC 5321 §5.1)."),
    "dns-servfail": (
        "DNS: SERVFAIL", "The name server says that it has trouble.", "The letter waits and is tried again.",
        "Temporary: nobody has said that the domain does not exist."),
    "dns-silent": (
        "DNS: no answer", "The name server hears the question and says nothing.", "A pause at each attempt, then the letter waits.",
        "Silence is temporary too, and takes longer."),
    "mx-to-nowhere": (
        "MX to nowhere", "The MX record names a host that has no address.", "The letter cannot be brought: the MX leads nowhere.",
        "MX names a host, the host needs an address: two look-ups (RFC 5321 §5.1)."),
    "null-mx": (
        "Null MX", "The MX record is a single dot.", "The letter comes back at once: the domain takes no mail.",
        "How a domain says so (RFC 7505)."),
    "two-mx": (
        "Two MX, the first is down", "MX 10 leads to a host that nobody can reach, MX 20 to the office.",
        "The first does not answer, the second takes the letter.", "Preference: the lower number is tried first (RFC 5321 §5.1)."),
    "no-mx": (
        "No MX, only an address", "The domain has no MX record, but an address.", "The letter arrives all the same.",
        "The implicit MX (RFC 5321 §5.1)."),
    "greylist": (
        "Greylist", "The office sends the first letter of a stranger away for 20 seconds (the setting [mx] greylist).",
        "451 on the first try, 250 on a later one; the next letter of the same office is not late.",
        "Why the first mail of somebody is late, and why spammers hate it (RFC 6647)."),
    "too-big": (
        "Small letters only", "The office takes letters of 4 kB at most (the setting [mx] max_message).",
        "A longer letter is refused by its SIZE, before it is sent, and comes back.", "SIZE spares both sides the work (RFC 1870 §6)."),
    "relay-denied": (
        "Sends by way of a stranger", "The office sends all its mail to another office, and asks that one to pass it on (the setting "
        "[relay] smarthost).",
        "550 5.7.1: that one passes nothing on for strangers. The letter comes back.",
        "Open relays, and why there are none any more."),
    "no-tls": (
        "Offers no TLS", "The office has no STARTTLS on its MX port (the setting [mx] tls).",
        "Letters to it go in clear, or wait where the sender knows better.", "Who decides how a line is protected: both."),
    "insists-on-tls": (
        "Insists on checked TLS", "The office sends only where TLS is spoken with a certificate that is in order: for that server, and "
        "vouched for by the town's authority (the settings [relay] tls and tls_ca).",
        "On a whole line all is as before. With STARTTLS stripped, or a wrong certificate, the letter waits and then comes back.",
        "What required and verified mean (RFC 8314)."),
    "forgets-tls": (
        "Forgets who spoke TLS", "The office does not remember who has spoken TLS before (the setting [relay] tls_memory).",
        "With STARTTLS stripped it goes on in clear, as most mail servers do.", "Opportunistic: better than nothing, not more."),
    "forged-sender": (
        "Lets its users forge senders", "People of the office may send as anybody (the setting [submission] own_addresses_only).",
        "A letter from alice that alice has not written. The Received fields tell where it came from.",
        "MAIL FROM and From: are claims. What SPF, DKIM and DMARC add: a domain says who may make them."),
    "alias-loop": (
        "Alias loop", "At the office the alias ring leads to round, and round leads to ring.",
        "Refused while the sender waits: the alias runs in circles.", "Aliases are followed before a letter is taken."),
    "forward-loop": (
        "Forward loop", "pingpong at one office leads to pingpong at the other, and back.",
        "The letter goes to and fro, each time with more trace fields, until an office reads in them that it was there before.",
        "Nobody sees a circle through two houses but the letter itself: its Received and Delivered-To fields (RFC 5321 §6.3)."),
    "mailbox-full": (
        "Full mailbox", "The account may keep one octet (its quota).", "452 4.2.2: the letter waits; when there is room again it arrives.",
        "Temporary, because people clear up."),
    "unknown-user": (
        "Somebody has left", "The account is removed from the office.",
        "550 5.1.1 while the sender waits, and his server sends him a report with his letter.",
        "Who writes the bounce: the server that has the letter (RFC 3464)."),
}  # fmt: skip

Records = Mapping[str, Mapping[str, Sequence[str]]]


# ----- records of the DNS


def mx_to_nowhere(office: Office) -> Records:
    return {office.domain: {"MX": (f"10 gone.{office.domain}.",)}}


def null_mx(office: Office) -> Records:
    """RFC 7505 §3."""
    return {office.domain: {"MX": ("0 .",)}}


def two_mx(office: Office) -> Records:
    """The first is at an address where nobody is."""
    down = f"down.{office.domain}"
    return {office.domain: {"MX": (f"10 {down}.", f"20 {office.host}.")}, down: {"A": (f"192.0.2.{office.number * 10 + 9}",)}}


def no_mx(office: Office) -> Records:
    return {office.domain: {"MX": (), "A": (office.address,)}}


# ----- settings


def greylist(town: Any, name: str) -> str:
    return "[mx]\ngreylist = 20s\n"


def too_big(town: Any, name: str) -> str:
    return "[mx]\nmax_message = 4K\n"


def relay_denied(town: Any, name: str) -> str:
    """By way of the next office, which may not be the one that the letter is for."""
    offices = town.offices
    here = next(at for at, office in enumerate(offices) if office.name == name)
    return f"[relay]\nsmarthost = [{offices[(here + 2) % len(offices)].host}]:25\n"


def no_tls(town: Any, name: str) -> str:
    return "[mx]\ntls = off\n"


def insists_on_tls(town: Any, name: str) -> str:
    return "[relay]\ntls = verified\n"


def forgets_tls(town: Any, name: str) -> str:
    return "[relay]\ntls_memory = off\n"


def forged_sender(town: Any, name: str) -> str:
    return "[submission]\nown_addresses_only = no\nfrom_check = off\n"


def alias_loop(town: Any, name: str) -> str:
    """In a file of aliases: the server would not take two such sections, for it looks where those lead."""
    file = town.config_file(name).parent / "circle.aliases"
    file.write_text("ring: round\nround: ring\n")
    return f"[aliases]\nsource = config sqlite file:{file}\n"


def forward_loop(office: Office, other: Office) -> str:
    return f"[alias:pingpong@{office.domain}]\nto = pingpong@{other.domain}\n"
