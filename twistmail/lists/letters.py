"""What a list writes to people: lines of plain text. Pure; sending them is the business of `requests`.

All of it is sent with the null sender and marked as automatic (RFC 3834 §5), so nothing answers it; and as of the list
(RFC 2369 §3: answers to requests too).
"""

from __future__ import annotations

from collections.abc import Sequence

from twistmail.lists.book import SUBSCRIBE
from twistmail.lists.copies import fields
from twistmail.lists.mailing_list import MailingList
from twistmail.lists.names import Role
from twistmail.mail.address import Address
from twistmail.mail.deliverystatus import one_line
from twistmail.mail.trace import date
from twistmail.mail.values import frozen

_DAYS = 3


@frozen
class Letter:
    """To whom, about what; `lines` without line ends. Answers go to `reply_to`; None: to news-request@."""

    to: Address
    subject: str
    lines: Sequence[str]
    reply_to: Address | None = None


def confirm(one: MailingList, member: Address, action: str, token: str) -> Letter:
    """Ask *member* whether it was he who wanted to *action*."""
    what = "to subscribe this address to" if action == SUBSCRIBE else "to take this address off"
    return Letter(
        member, f"Please confirm: {action} {one.name}", [
            f"Somebody, hopefully you, has asked {what} the mailing list",
            f"{one.name}:", "", f"    {member}", "",
            "If that is what you want, answer this message; what you write does not matter.",
            f"If not, do nothing. The request is forgotten in {_DAYS} days.",
        ], one.address(Role.CONFIRM, token),
    )  # fmt: skip


def welcome(one: MailingList, member: Address) -> Letter:
    """He is on it now."""
    writes = {"owners": "Only its owners write to it.", "members": f"Write to all its members: {one.name}"}
    return Letter(member, f"You are on the list {one.name}", [
        f"You are on the mailing list {one.name} now, as {member}.",
        *([f"It is about: {one_line(one.settings.description)}"] if one.settings.description else []),
        "", writes.get(one.settings.post, f"Write to it: {one.name}"),
        f"Leave it at any time: {one.address(Role.UNSUBSCRIBE)}",
        f"Ask somebody: {one.address(Role.OWNER)}",
    ])  # fmt: skip


def goodbye(one: MailingList, member: Address) -> Letter:
    """He is off it now."""
    return Letter(member, f"You have left the list {one.name}", [
        f"{member} gets nothing more from the mailing list {one.name}.",
        f"If you did not want that, write to its owner: {one.address(Role.OWNER)}",
    ])  # fmt: skip


def usage(one: MailingList, member: Address) -> Letter:
    """What can be done by mail."""
    subscribing = [f"Subscribe: write to {one.address(Role.SUBSCRIBE)}"] if one.settings.subscribe != "closed" else [
        "New members are added by its owners."]  # fmt: skip
    return Letter(member, f"About the list {one.name}", [
        f"This is the mailing list {one.name}.",
        *([f"It is about: {one_line(one.settings.description)}"] if one.settings.description else []), "",
        *subscribing, f"Leave it: write to {one.address(Role.UNSUBSCRIBE)}",
        f"Ask somebody: write to {one.address(Role.OWNER)}",
    ])  # fmt: skip


def gone(one: MailingList, member: Address, why: str) -> Letter:
    """Tell an owner that *member* gets nothing more for now."""
    return Letter(one.address(Role.OWNER), f"{one.name}: {member} is suspended", [
        f"Mail of the list {one.name} for {member} came back on {one.settings.suspend_after} days.",
        f"The last time: {one_line(why)}", "",
        "He gets nothing more for now; after a while one message is tried.",
        f"At once: twistmail list resume {one.name} {member}",
        f"Never again: twistmail list remove {one.name} {member}",
    ])  # fmt: skip


def message(letter: Letter, one: MailingList, host: str, identifier: str, at: float) -> bytes:
    """*letter* as a whole message with CRLF line ends, from the list *one* on our *host*."""
    request = one.address(Role.REQUEST)
    header = [
        f"Date: {date(at)}",
        f"From: <{request}>",
        f"To: <{letter.to}>",
        f"Reply-To: <{letter.reply_to or request}>",
        f"Subject: {letter.subject}",
        f"Message-ID: <{identifier}@{host}>",
        "Auto-Submitted: auto-generated",
        *(f"{name.decode()}: {value.decode()}" for name, value in fields(one.name, one.settings)),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: " + ("7bit" if all(line.isascii() for line in letter.lines) else "8bit"),
    ]
    return "".join(f"{line}\r\n" for line in (*header, "", *letter.lines)).encode()
