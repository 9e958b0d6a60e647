"""What an answer means, for people: `explain` finds the cause behind a status and says it in plain words.

The enhanced codes (RFC 3463, RFC 7372, RFC 7505) tell most; where the big
providers use them in their own way, or have none, their wording tells. What a stranger
has said is only compared, never repeated: `explain` returns sentences of our own.

Pure, and linear in what was said, of which the first 1000 characters count.
"""

from __future__ import annotations

import re
from dataclasses import replace

from twistmail.mail.causes import ABOUT, Cause
from twistmail.mail.status import Status
from twistmail.mail.values import frozen

#: So much of an answer is looked at.
LONGEST = 1000
#: Whose servers these are, by the end of their names; and where their administrators explain what they refuse.
_PROVIDERS = (
    (("google.com", "googlemail.com"), "Gmail", "https://support.google.com/mail/answer/81126"),
    (("outlook.com", "hotmail.com", "outlook.de"), "Outlook (Microsoft)", "https://sender.office.com/"),
    (("yahoodns.net", "yahoo.com", "aol.com"), "Yahoo", "https://senders.yahooinc.com/"),
    (("icloud.com", "apple.com"), "iCloud (Apple)", "https://support.apple.com/102322"),
    (("gmx.net", "web.de"), "GMX / WEB.DE", "https://postmaster.gmx.net/"),
    (("t-online.de",), "T-Online", "https://postmaster.t-online.de/"),
)
OTHERS, OURSELVES = "the other mail system", "this mail system"
#: In a sentence of ours that tells of somebody else.
_ABOUT_OTHERS = ("other side", "smart host")

#: What providers say, in small letters. The first that is found counts, whatever the code: so the exact ones come first.
_WORDS: tuple[tuple[Cause, str], ...] = (
    (Cause.GREYLISTED, "greylist / graylist / grey list / gray list"),
    (
        Cause.MAILBOX_FULL,
        "over quota / overquota / over-quota / quota exceeded / quotaexceeded / exceeded storage / mailbox is full / mailbox full / "
        "mailboxfull / inbox is full / out of storage space / insufficient mailbox space",
    ),
    (Cause.MAILBOX_BUSY, "receiving mail too quickly / receiving mail at a rate / recipient is receiving too much"),
    (
        Cause.NO_SUCH_USER,
        "user unknown / unknown user / user not found / no such user / this user doesn't have a / no such mailbox / mailbox not found / "
        "no mailbox here / no mailbox by that name / not a valid mailbox / invalid mailbox / no such recipient / unknown recipient / "
        "recipient unknown / recipientnotfound / recipient not found / invalid recipient / recipient address rejected: access denied / "
        "does not exist / doesn't exist / unrouteable address / address unknown / not our customer / unknown local part",
    ),
    (
        Cause.MAILBOX_DISABLED,
        "account is disabled / account has been disabled / account suspended / account that you tried to reach is disabled / "
        "mailbox disabled / mailbox is disabled / mailbox is locked / user is suspended / is inactive",
    ),
    (
        Cause.NOT_GENUINE,
        "is unauthenticated / unauthenticated email / does not pass authentication / authentication checks / not authorized to send / "
        "spf check / spf validation / spf fail / failed spf / dkim / dmarc",
    ),
    (
        Cause.REPUTATION,
        "block list / blocklist / blacklist / black list / not in whitelist / spamhaus / spamcop / barracuda / sorbs / dnsbl / rbl / "
        "banned sending ip / ip is blocked / ip address has been blocked / unsolicited mail originating from your ip / "
        "low reputation / poor reputation / bad reputation / reputation of / user complaints / part of their network / "
        "ptr record / reverse dns / rdns / dynamic ip / dynamic range",
    ),
    (Cause.DANGEROUS, "virus / malware / phish / infected / potential security issue / attachment type / executable / dangerous content"),
    (
        Cause.TOO_FAST,
        "rate limit / exceeded the rate / unusual rate / throttl / sending limit / too many connections / too many messages / "
        "too much mail / temporarily deferred / temporarily rate limited / resources temporarily unavailable",
    ),
    (Cause.SPAM, "spam / unsolicited / junk mail / bulk mail / objectionable content / content rejected / message content"),
    (Cause.TOO_BIG, "message too large / message size / message is larger / too big / exceeds size / exceeds the maximum"),
    (
        Cause.RELAYING,
        "relay access denied / relaying denied / relaying not allowed / relay not permitted / not permitted to relay / unable to relay / "
        "we do not relay",
    ),
    (
        Cause.MEMBERS_ONLY,
        "not a member / members only / subscribers only / post to this list / permission to post / sendernotauthenticatedforgroup / "
        "resolver.rst.notauthorized",
    ),
    (Cause.NOT_ENCRYPTED, "tls required / must issue a starttls / encryption required"),
    (Cause.LOGIN, "authentication required / client was not authenticated / must authenticate"),
    (Cause.LOOP, "too many hops / hop count / mail loop / loops back / routing loop / mailforwarding loop"),
    (Cause.TOO_MANY, "too many recipients"),
    (Cause.POLICY, "for policy reasons / violates our policy / email policy"),
)
_PATTERNS = tuple((cause, re.compile(rf"\b(?:{'|'.join(map(re.escape, words.split(' / ')))})")) for cause, words in _WORDS)
#: What is said before there is a conversation names its speaker in its text: `mx.far.test [192.0.2.1]: Go away`.
_SPEAKER = re.compile(r"(\S{1,255} \[[0-9A-Fa-f.:]{2,45}\]): ")
#: How couriers write who has answered: the name or address of a server, and its address.
_SERVER = re.compile(r"(\[?[\w.:\-]{1,255}\]?) \[[0-9A-Fa-f.:]{2,45}\]|([\w\-]{1,63}\.[\w.\-]{1,190})")
#: Microsoft's codes for senders that it has banned.
_BANNED = re.compile(r"7\.(?:50[1-3]|51[12]|60[6-9]|6[1-4]\d)")

#: RFC 3463 §3 and its registry, without the first digit.
_DETAILS = {
    Cause.NO_SUCH_USER: "1.1", Cause.NO_SUCH_DOMAIN: "1.2", Cause.BAD_ADDRESS: "1.3 1.4", Cause.MOVED: "1.6",
    Cause.BAD_SENDER: "1.7 1.8 7.27", Cause.TAKES_NO_MAIL: "1.10",
    Cause.MAILBOX_DISABLED: "2.1 7.13", Cause.MAILBOX_FULL: "2.2", Cause.TOO_BIG: "2.3 3.4", Cause.SYSTEM_FULL: "3.1",
    Cause.MEMBERS_ONLY: "2.4 7.2 7.124 7.133",
    Cause.UNREACHABLE: "4.1 4.2", Cause.DNS_SILENT: "4.3", Cause.TOO_FAST: "4.5 7.28", Cause.LOOP: "4.6", Cause.EXPIRED: "4.7",
    Cause.TOO_MANY: "5.3", Cause.INTERNATIONAL: "6.7 6.8 6.9",
    Cause.NOT_ENCRYPTED: "7.4 7.5 7.6 7.10 7.11 7.30", Cause.LOGIN: "7.8 7.9 7.57",
    Cause.NOT_GENUINE: "7.20 7.21 7.22 7.23 7.24 7.26 7.29 7.509 7.515", Cause.REPUTATION: "7.25 7.708",
}  # fmt: skip
_CODES = {detail: cause for cause, details in _DETAILS.items() for detail in details.split()}
#: By the subject alone; the second where the answer is that of a moment (4xx).
_SUBJECTS = {
    "1": (Cause.NO_SUCH_USER, Cause.LATER), "2": (Cause.REFUSED, Cause.LATER), "3": (Cause.SYSTEM_TROUBLE, Cause.SYSTEM_TROUBLE),
    "4": (Cause.UNREACHABLE, Cause.UNREACHABLE), "5": (Cause.PROTOCOL, Cause.PROTOCOL), "6": (Cause.FORMAT, Cause.FORMAT),
    "7": (Cause.POLICY, Cause.LATER),
}  # fmt: skip
#: RFC 5321 §4.2.3, where nothing else was said.
_BASIC = {551: Cause.MOVED, 552: Cause.TOO_BIG, 553: Cause.BAD_ADDRESS, 556: Cause.TAKES_NO_MAIL, 452: Cause.SYSTEM_FULL,
          530: Cause.LOGIN, 535: Cause.LOGIN, 421: Cause.SYSTEM_TROUBLE}  # fmt: skip
#: What we mean by answers that others mean otherwise, or do not give.
_OURS = {"450 4.4.0": Cause.KEPT, "554 5.4.7": Cause.DEADLINE, "554 5.0.0": Cause.GIVEN_UP, "451 4.3.0": Cause.HERE,
         "451 4.3.5": Cause.HERE, "454 4.7.0": Cause.LOGIN}  # fmt: skip


@frozen
class Explanation:
    """`happened`: what has happened; `advice`: what the sender can do once it has failed for good. Whole sentences of our own.

    `where`: a page of the provider's, for administrators, where the cause is what they think of us.
    """

    cause: Cause
    happened: str
    advice: str
    where: str = ""


def explain(status: Status, host: str = "") -> Explanation:
    """What *status* means. *host* is who said it, as `Outcome.host` has it ("mx.far.test [192.0.2.1]"); empty: we ourselves."""
    host, status = speaker(status, host)
    cause = cause_of(status, ours=not _is_other(host))
    who, page = _who(host, status)
    about = ABOUT[cause]
    where = page if cause in (Cause.REPUTATION, Cause.NOT_GENUINE, Cause.TOO_FAST, Cause.SPAM) else ""
    happened = about.happened.format(who=who)
    if happened.startswith((OTHERS, OURSELVES)):
        happened = happened[0].upper() + happened[1:]
    return Explanation(cause, happened, about.advice, where)


def speaker(status: Status, host: str) -> tuple[str, Status]:
    """Who said *status*, and what exactly: *host* as `Outcome.host` has it, or the server that its text begins with."""
    match = _SPEAKER.match(status.text[:LONGEST]) if not host else None
    return (match[1], replace(status, text=status.text[match.end() :])) if match else (host, status)


def cause_of(status: Status, *, ours: bool = False) -> Cause:
    """The one cause that is likeliest; *ours*: it was found here, so our own codes mean what we mean by them."""
    if status.is_positive:
        return Cause.DONE
    _, _, detail = (status.enhanced or "").partition(".")
    if ours:
        return _found_here(status, detail)
    if (cause := worded(status.text)) is not None:
        return cause
    if detail in _CODES:
        return _CODES[detail]
    if _BANNED.fullmatch(detail):
        return Cause.REPUTATION
    subject = detail.partition(".")[0]
    if subject in _SUBJECTS:
        return _SUBJECTS[subject][status.is_temporary]
    return _BASIC.get(status.code, Cause.LATER if status.is_temporary else Cause.REFUSED)


def worded(text: str) -> Cause | None:
    """The cause that the words of an answer tell; None where they are none that we know."""
    said = _without_names(text[:LONGEST])
    return next((cause for cause, pattern in _PATTERNS if pattern.search(said)), None)


def _found_here(status: Status, detail: str) -> Cause:
    if own := _OURS.get(f"{status.code} {status.enhanced}"):
        return own
    subject = detail.partition(".")[0]
    return _CODES.get(detail) or _SUBJECTS.get(subject, (Cause.REFUSED, Cause.LATER))[status.is_temporary]


def _without_names(text: str) -> str:
    """*text* in small letters, without addresses and links: these may hold any word."""
    return " ".join(word for word in text.lower().split() if "@" not in word and "://" not in word)


def server_in(host: str) -> str:
    """The name of the mail server that *host* (`Outcome.host`) tells of; empty where it is none, but a mailbox, a program or nobody."""
    match = _SERVER.fullmatch(host)
    return (match[1] or match[2]) if match else ""


def _is_other(host: str) -> bool:
    """Whether *host* is somebody else's: a mail server, or a web application."""
    return bool(server_in(host)) or "://" in host


def _who(host: str, status: Status) -> tuple[str, str]:
    """The name of the mail system that *status* is about: mostly that of *host*, who has said it; and its page."""
    if not _is_other(host):
        return (OTHERS if any(words in status.text[:80] for words in _ABOUT_OTHERS) else OURSELVES), ""
    name = server_in(host).lower().rstrip(".")
    for ends, provider, page in _PROVIDERS:
        if any(name == end or name.endswith("." + end) for end in ends):
            return provider, page
    return OTHERS, ""
