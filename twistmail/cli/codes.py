"""twistmail explain CODE: what an SMTP answer means, which setting is behind it, and what whoever sent the mail should do."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

import click

from twistmail.cli.exits import Exit, Failure
from twistmail.cli.grammar import Verb
from twistmail.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Meaning:
    """One answer. `code` may be empty: an enhanced code (RFC 3463) means the same with each."""

    code: str
    enhanced: str
    means: str
    setting: str
    advice: str


MEANINGS = (
    Meaning("220", "", "The server is ready.", "[server] hostname", "Nothing to do."),
    Meaning("235", "2.7.0", "The login was right.", "", "Nothing to do."),
    Meaning("250", "2.0.0", "The message is on our disk; it is our duty now.", "", "Nothing to do."),
    Meaning("354", "", "Send the message, then a line with a dot.", "", "Nothing to do."),
    Meaning("421", "4.3.2", "Too many connections, or the server is stopping.", "max_connections, max_connections_per_ip",
            "Try again; mail servers do so by themselves."),
    Meaning("421", "4.4.2", "Nothing was heard for too long.", "timeout", "Connect again."),
    Meaning("450", "4.4.0", "The message is kept until the recipient's own server calls for it (ETRN).", "[route:...] hold",
            "Nothing to do; to send it now: twistmail queue flush DOMAIN"),
    Meaning("450", "4.7.1", "Come back in a few minutes (greylisting).", "[mx] greylist", "Wait; mail servers try again by themselves."),
    Meaning("451", "4.3.0", "Something is out of order here.", "", "Try again; our log says what."),
    Meaning("451", "4.4.3", "The DNS did not answer.", "[dns] servers, timeout", "Try again."),
    Meaning("452", "4.2.2", "The mailbox is full.", "quota of the user", "Its owner has to delete mail."),
    Meaning("452", "4.3.1", "The disk is full.", "[queue] max_messages, max_bytes", "Try again; the operator has to make room."),
    Meaning("452", "4.5.3", "Too many recipients in one message.", "max_recipients", "Send the rest in another message."),
    Meaning("454", "4.7.0", "The table of users cannot be read.", "[users] source", "Try again."),
    Meaning("458", "4.3.0", "No mail is kept for that domain (ETRN).", "[route:...] hold", "Check the name."),
    Meaning("459", "4.7.1", "Mail for that domain may not be called for from that address (ETRN).", "[route:...] etrn_from",
            "Ask the operator to let that address do so."),
    Meaning("500", "5.5.2", "The command is unknown or too long.", "", "The sender's program is at fault."),
    Meaning("501", "5.1.3", "The recipient's address is not written correctly.", "", "Correct the address."),
    Meaning("501", "5.1.7", "The sender's address is not written correctly.", "", "Correct the sender's address in the mail program."),
    Meaning("501", "5.5.4", "The command has arguments that nobody understands.", "", "The sender's program is at fault."),
    Meaning("503", "5.5.1", "The command does not belong here: something has to come first.", "", "The sender's program is at fault."),
    Meaning("530", "5.7.0", "STARTTLS or a login has to come first.", "tls", "Switch on TLS and the login in the mail program."),
    Meaning("535", "5.7.8", "The user name or the password is wrong, or the certificate opens no account.", "[auth], [tls] client_ca",
            "Check them; or: twistmail user password ADDRESS"),
    Meaning("538", "5.7.11", "A password may only travel over TLS.", "tls", "Switch on TLS in the mail program."),
    Meaning("550", "5.1.1", "There is no mailbox of that name.", "[domain:...] catchall, [alias:...]", "Check the address."),
    Meaning("550", "5.1.2", "The recipient's domain does not exist.", "", "Check the address."),
    Meaning("550", "5.1.8", "The sender's domain does not exist, so no answer could ever reach it.", "[mx] reject_unknown_sender_domain",
            "Correct the sender's address, or its DNS."),
    Meaning("550", "5.4.6", "The message, or an alias, goes in a circle.", "[aliases] depth_limit", "To find it: twistmail alias check"),
    Meaning("550", "5.7.1", "Not for us, and the sender has not logged in (relaying denied); or the sender may not use that address.",
            "[mx] stages, [submission] own_addresses_only", "Send through port 587 or 465 with a login."),
    Meaning("550", "5.7.26", "SPF, DKIM or DMARC say that the sender is forged.", "[mx] stages", "The sender's domain must mend its DNS."),
    Meaning("552", "5.3.4", "The message is larger than we take.", "max_message", "Send a link instead."),
    Meaning("552", "5.2.2", "The mailbox is full.", "quota of the user", "Its owner has to delete mail."),
    Meaning("553", "5.6.7", "The next server does not take addresses or headers that are not ASCII (SMTPUTF8).", "",
            "Write to an ASCII address, with a subject and names in ASCII."),
    Meaning("554", "5.4.7", "The message could not be delivered in the time that its sender has set (DELIVERBY).", "",
            "Send it again, with more time."),
    Meaning("554", "5.5.1", "There is no valid recipient.", "", "Look at the answers to the recipients."),
    Meaning("554", "5.6.3", "The next server takes seven bits only, and the message is signed or cannot be encoded.", "",
            "Send it as plain text, or without a signature."),
    Meaning("554", "5.7.10", "The message must travel encrypted (REQUIRETLS), and the next server has no valid encryption.", "",
            "Send it without that demand, or by other means."),
    Meaning("554", "5.7.30", "The message must travel encrypted (REQUIRETLS), and the next server does not promise to keep it so.", "",
            "Send it without that demand, or by other means."),
    Meaning("554", "5.7.1", "Refused by a rule of the house.", "[mx] stages", "twistmail trace find --refused says by which."),
    Meaning("556", "5.1.10", "The recipient's domain takes no mail (null MX).", "", "Check the address."),
)
#: The first digit of a code, and of an enhanced code (RFC 5321 §4.2.1, RFC 3463 §2).
CLASSES = {"2": "It was done.", "3": "More is needed.", "4": "Not now; try again later.", "5": "No, and trying again does not help."}
#: The second number of an enhanced code (RFC 3463 §3).
SUBJECTS = {"0": "nothing in particular", "1": "an address", "2": "a mailbox", "3": "the mail system", "4": "the network or the way",
            "5": "the protocol", "6": "the content", "7": "security or policy"}


def look_up(text: str) -> tuple[Meaning, ...]:
    """What the answer in *text* ("550 5.7.1", "5.7.1", "550", or a whole line) may mean, the best first; empty where it holds no code."""
    match = re.match(r"\s*(?:([2-5]\d\d)\b)?[ -]*(?:([245]\.\d{1,3}\.\d{1,3})\b)?", text)
    code, enhanced = (match[1] or "", match[2] or "") if match else ("", "")
    if not code and not enhanced:
        return ()
    exact = [m for m in MEANINGS if m.code == code and m.enhanced == enhanced]
    by_enhanced = [m for m in MEANINGS if enhanced and m.enhanced == enhanced]
    by_code = [m for m in MEANINGS if not enhanced and m.code == code]
    return tuple(exact or by_enhanced or by_code) or (_general(code, enhanced),)


def _general(code: str, enhanced: str) -> Meaning:
    subject = SUBJECTS.get(enhanced.split(".")[1]) if enhanced else None
    about = f" It is about {subject}." if subject else ""
    return Meaning(code, enhanced, CLASSES[(code or enhanced)[0]] + about, "", "The words behind the code say more.")


@click.command("explain", cls=Verb)
@click.argument("code", nargs=-1, required=True)
@click.pass_obj
def explain(terminal: Terminal, code: tuple[str, ...]) -> int:
    """Tell what an SMTP answer such as 550 5.7.1 means, and what to do."""
    found = look_up(" ".join(code))
    if not found:
        raise Failure(f"{' '.join(code)} is no answer of a mail server", Exit.USAGE, "write 550 5.7.1, 5.7.1 or 550")
    for meaning in found:
        if terminal.as_json:
            terminal.object(asdict(meaning))
            continue
        terminal.say(f"{meaning.code} {meaning.enhanced}".strip())
        terminal.say(f"  means    {meaning.means}")
        if meaning.setting:
            terminal.say(f"  setting  {meaning.setting}")
        terminal.say(f"  sender   {meaning.advice}")
    return Exit.OK
