"""Why mail does not arrive: the causes, and what is said of each to the person who has sent it.

Words only, for people who run no mail server. Which cause is behind an answer is
found by `explanation`; whoever shows it (reports, the queue's lists, the command
line) takes both from there. `{who}` is the mail system that answered.
"""

from __future__ import annotations

from enum import Enum

from twistmail.mail.values import frozen

_ASK_RECIPIENT = "Please ask the recipient for the right address by other means."
_OR_ASK = "If it looks right, ask the recipient for the right one by other means."
_TELL_RECIPIENT = "Please tell the recipient by other means, and send the message again later."
_SHOW_US = "You can do nothing about it yourself. Please show this report to the administrators of your own mail system."
_SHOW_THEM = "Only the administrators of that mail system can change that. Please tell the recipient by other means, who can ask them."
_WAIT = "Please send the message again later. If it fails again, tell the recipient by other means."


@frozen
class About:
    """`happened`: one sentence, with `{who}`. `advice`: what the sender can do, once it has failed for good."""

    happened: str
    advice: str


class Cause(Enum):
    """One word for programs and filters each; the sentences are in ABOUT."""

    DONE = "done"
    NO_SUCH_USER = "no-such-user"
    NO_SUCH_DOMAIN = "no-such-domain"
    TAKES_NO_MAIL = "takes-no-mail"
    MOVED = "moved"
    BAD_ADDRESS = "bad-address"
    BAD_SENDER = "bad-sender"
    MAILBOX_FULL = "mailbox-full"
    MAILBOX_DISABLED = "mailbox-disabled"
    MAILBOX_BUSY = "mailbox-busy"
    TOO_BIG = "too-big"
    SYSTEM_FULL = "system-full"
    SYSTEM_TROUBLE = "system-trouble"
    HERE = "trouble-here"
    UNREACHABLE = "unreachable"
    DNS_SILENT = "dns-silent"
    LOOP = "loop"
    EXPIRED = "expired"
    DEADLINE = "deadline"
    KEPT = "kept"
    GIVEN_UP = "given-up"
    PROTOCOL = "protocol"
    TOO_MANY = "too-many-recipients"
    FORMAT = "format"
    INTERNATIONAL = "international"
    NOT_ENCRYPTED = "not-encrypted"
    GREYLISTED = "greylisted"
    TOO_FAST = "too-fast"
    SPAM = "spam"
    DANGEROUS = "dangerous"
    REPUTATION = "reputation"
    NOT_GENUINE = "not-genuine"
    MEMBERS_ONLY = "members-only"
    RELAYING = "relaying"
    LOGIN = "login"
    POLICY = "policy"
    REFUSED = "refused"
    LATER = "later"


ABOUT = {
    Cause.DONE: About("{who} has taken the message.", "Nothing is left to do."),
    Cause.NO_SUCH_USER: About("{who} has no mailbox of that name.", f"Please check the address for typing mistakes. {_OR_ASK}"),
    Cause.NO_SUCH_DOMAIN: About(
        "There is no mail domain of that name.", f"Please check the part of the address behind the @ for typing mistakes. {_OR_ASK}"
    ),
    Cause.TAKES_NO_MAIL: About("That domain says that it takes no mail at all.", _ASK_RECIPIENT),
    Cause.MOVED: About("The recipient is not there any more.", f"The answer below may tell the new address. {_ASK_RECIPIENT}"),
    Cause.BAD_ADDRESS: About(
        "{who} cannot make anything of that address.", "Please check the address for typing mistakes and unusual characters."
    ),
    Cause.BAD_SENDER: About(
        "{who} does not accept your own address as that of a sender.",
        "Please check in your mail program which address you send as. If it is right, show this report to your administrators.",
    ),
    Cause.MAILBOX_FULL: About("The mailbox of the recipient is full.", _TELL_RECIPIENT),
    Cause.MAILBOX_DISABLED: About(
        "The mailbox exists, but is switched off or not in use.", "Please tell the recipient by other means, or ask for another address."
    ),
    Cause.MAILBOX_BUSY: About("The mailbox gets more mail than {who} lets in at a time.", _WAIT),
    Cause.TOO_BIG: About(
        "The message is larger than {who} takes.",
        "Please send less at a time, or put large files where the recipient can fetch them and send the link.",
    ),
    Cause.SYSTEM_FULL: About("{who} has no room left.", _WAIT),
    Cause.SYSTEM_TROUBLE: About("{who} has trouble of its own.", _WAIT),
    Cause.HERE: About("This mail system had trouble of its own.", _SHOW_US),
    Cause.UNREACHABLE: About(
        "No mail server of that domain could be reached, or it broke off.",
        "Please check the part of the address behind the @. If it is right, send the message again later.",
    ),
    Cause.DNS_SILENT: About(
        "The mail servers of that domain could not be looked up.",
        "Please check the part of the address behind the @. If it is right, send the message again later.",
    ),
    Cause.LOOP: About(
        "The message went in circles between mail systems.",
        "A forwarding is wrong there or here. Please show this report to your administrators.",
    ),
    Cause.EXPIRED: About("It could not be delivered in the time that we keep trying.", _WAIT),
    Cause.DEADLINE: About(
        "It could not be delivered by the time that you have set.", "Please send it again with more time, or without a limit."
    ),
    Cause.KEPT: About("It is kept here until the server of that domain asks for it.", "Please tell the recipient by other means."),
    Cause.GIVEN_UP: About("An operator of this mail system has given up on it.", "The reason below is in the operator's words."),
    Cause.PROTOCOL: About("{who} and this one did not understand each other.", _SHOW_US),
    Cause.TOO_MANY: About(
        "{who} does not take a message for so many recipients at a time.", "Please send it to fewer recipients at a time."
    ),
    Cause.FORMAT: About("{who} does not take messages of this form.", "Please try again with plain text, and without unusual attachments."),
    Cause.INTERNATIONAL: About(
        "{who} does not know addresses and headers with letters beyond a to z.",
        "Please ask the recipient for an address in plain letters, and send from one.",
    ),
    Cause.NOT_ENCRYPTED: About(
        "The message may only travel encrypted, and that could not be had.",
        "If you have asked for encryption, you may send it again without. Otherwise show this report to your administrators.",
    ),
    Cause.GREYLISTED: About("{who} makes unknown senders wait for a while before it takes their mail.", _WAIT),
    Cause.TOO_FAST: About("{who} takes no more mail from us for a while, because it has got so much.", _WAIT),
    Cause.SPAM: About(
        "{who} takes the message for unwanted advertising.",
        "Please word it differently, with fewer links and pictures. If that does not help, tell the recipient by other means.",
    ),
    Cause.DANGEROUS: About(
        "{who} takes the message, or what is attached, for dangerous.",
        "Please check your files for viruses. Programs, scripts and some archives are refused by most: offer them as a link.",
    ),
    Cause.REPUTATION: About("{who} does not trust the computer that sends our mail, and has it on a list of those it refuses.", _SHOW_US),
    Cause.NOT_GENUINE: About(
        "{who} could not see that the message really comes from your domain (SPF, DKIM or DMARC).",
        "If you have sent it by another way than usual, use the mail server of your own domain. Otherwise show this report to your "
        "administrators.",
    ),
    Cause.MEMBERS_ONLY: About(
        "Not everybody may write to that address.", "Please ask those whose list or group it is to let you in, or write to one of them."
    ),
    Cause.RELAYING: About(
        "{who} says that it is not responsible for mail to that address.",
        "Please check the part of the address behind the @. If it is right, the domain is set up wrongly: tell the recipient.",
    ),
    Cause.LOGIN: About("{who} wants a login from us that it does not accept or that we do not have.", _SHOW_US),
    Cause.POLICY: About("{who} refuses the message by its own rules.", _SHOW_THEM),
    Cause.REFUSED: About("{who} refuses the message.", f"What it answered is all that we know. {_SHOW_THEM}"),
    Cause.LATER: About("{who} does not take the message at the moment.", _WAIT),
}
