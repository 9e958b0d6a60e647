"""What our answers mean: for each that this server says, the sense, the setting behind it, and what its reader should do.

One code stands for several things; `words` are those of our sentence that tell them apart. `tests/cli/test_codes.py` holds
the table against every answer in the source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """One answer. `code` may be empty: an enhanced code (RFC 3463) means the same with each."""

    code: str
    enhanced: str
    means: str
    setting: str
    advice: str
    words: str = ""


NOTHING = "Nothing to do."
AGAIN = "Try again; mail servers do so by themselves."
PROGRAM = "The sender's program is at fault."

MEANINGS = (
    Meaning("220", "", "The server is ready.", "[server] hostname, [mx] banner", NOTHING),
    Meaning("235", "2.7.0", "The login was right.", "", NOTHING),
    Meaning("250", "2.0.0", "The message is on our disk; it is our duty now.", "", NOTHING),
    Meaning("251", "2.0.0", "No messages wait for that domain.", "[route:DOMAIN] hold", NOTHING),
    Meaning("252", "2.1.5", "We do not say whether there is such a user.", "vrfy", "Send the message, and see."),
    Meaning("354", "", "Send the message, then a line with a dot.", "", NOTHING),
    # ----- not now
    Meaning("421", "4.3.0", "Something is out of order here.", "", "Try again; our log says what."),
    Meaning("421", "4.3.2", "Too many connections, or the server is stopping.", "max_connections", AGAIN),
    Meaning("421", "4.4.2", "Nothing was heard for too long.", "timeout", "Connect again."),
    Meaning("421", "4.7.0", "Too many wrong passwords on one connection.", "[auth] max_failures",
            "Check the password in the mail program.", "wrong passwords"),
    Meaning("421", "4.7.0", "Too many of the commands were refused.", "soft_errors, hard_errors", PROGRAM, "Too many errors"),
    Meaning("421", "4.7.0", "Many commands, but no message.", "max_junk_commands", PROGRAM, "no mail"),
    Meaning("421", "4.7.0", "So many messages on one connection are enough.", "max_transactions",
            "Connect again; mail servers do so by themselves.", "one connection"),
    Meaning("421", "4.7.0", "Too many connections from that address or network at a time.", "max_connections_per_ip", AGAIN,
            "Too many connections"),
    Meaning("421", "4.7.0", "That address connects too often.", "max_rate_per_ip", AGAIN, "too often"),
    Meaning("421", "4.7.0", "Too many recipients that do not exist: somebody guesses names.", "[mx] stages (tarpit)",
            "Take addresses out of the list that do not exist.", "refused recipients"),
    Meaning("421", "4.7.0", "A browser, or something that is no mail program, has called.", "", PROGRAM, "SMTP and nothing else"),
    Meaning("421", "4.7.0", "A command that does not end.", "", PROGRAM, "does not end"),
    Meaning("450", "4.4.0", "The message is kept until the recipient's own server calls for it (ETRN).", "[route:DOMAIN] hold",
            "Nothing to do; to send it now: twistmail queue flush DOMAIN"),
    Meaning("450", "4.7.1", "Come back in a few minutes (greylisting).", "", "Wait; mail servers try again by themselves."),
    Meaning("450", "4.7.25", "The name of the sending machine cannot be looked up in the DNS now.", "[mx] reverse_dns", AGAIN),
    Meaning("451", "4.3.0", "A rule took too long to decide.", "[mx] stages, [submission] stages", AGAIN, "A check took too long"),
    Meaning("451", "4.3.0", "The rules about content took too long.", "[checks] file", AGAIN, "could not be looked through"),
    Meaning("451", "4.3.0", "The disk with the mail cannot be written.", "[store] path", "Try again; the operator has to look at the disk.",
            "cannot be written"),
    Meaning("451", "4.3.0", "Users or aliases cannot be read.", "[users] source, [aliases] source", AGAIN, "address table"),
    Meaning("451", "4.3.0", "Something is out of order here.", "", "Try again; our log says what.", "Something went wrong"),
    Meaning("451", "4.4.3", "The DNS did not answer.", "[dns] servers, timeout", AGAIN),
    Meaning("451", "4.7.1", "Too much mail from one address or network in a minute.", "[mx] stages (rates)", AGAIN,
            "mail from your address"),
    Meaning("451", "4.7.1", "Too many recipients that do not exist, from one address.", "[mx] stages (rates)",
            "Take addresses out of the list that do not exist.", "unknown recipients"),
    Meaning("451", "4.7.1", "The user has sent as much as he may for now.", "[submission] rate, recipient_rate",
            "Wait until the time that the answer names."),
    Meaning("452", "4.2.2", "The mailbox is full.", "[store] quota, quota_messages", "Its owner has to delete mail."),
    Meaning("452", "4.3.1", "The disk is full, or the queue.", "disk_reserve, [queue] max_messages",
            "Try again; the operator has to make room."),
    Meaning("452", "4.5.3", "Too many recipients in one message.", "max_recipients", "Send the rest in another message."),
    Meaning("454", "4.7.0", "There is no certificate, so there is no TLS.", "[tls] directory, self_signed",
            "Try again later; the operator has to look.", "TLS is not available"),
    Meaning("454", "4.7.0", "The table of users cannot be read.", "[users] source", "Try again.", "Passwords cannot be checked"),
    Meaning("458", "4.3.0", "Nothing is kept back for that domain.", "[route:DOMAIN] hold", NOTHING),
    Meaning("459", "4.7.1", "Only certain machines may call mail for that domain off.", "[route:DOMAIN] etrn_from",
            "Ask the operator to enter your address."),
    # ----- no: the protocol
    Meaning("500", "5.5.1", "Nobody knows that command.", "", PROGRAM),
    Meaning("500", "5.5.2", "The command is too long, or has characters that do not belong there.", "", PROGRAM),
    Meaning("501", "5.1.3", "The recipient's address is not written correctly.", "", "Correct the address."),
    Meaning("501", "5.1.7", "The sender's address is not written correctly.", "", "Correct the sender's address in the mail program."),
    Meaning("501", "5.5.2", "A part of the login, or a parameter, is not written as it should be.", "", PROGRAM),
    Meaning("501", "5.5.4", "A message may be held for later, but not for so long.", "[submission] hold_longest",
            "Choose an earlier time.", "held for so long"),
    Meaning("501", "5.5.4", "What the machine calls itself is no name of a host.", "[mx] stages (hello)",
            "Give the sending machine a proper name.", "name of a host"),
    Meaning("501", "5.5.4", "The command has arguments that nobody understands.", "", PROGRAM),
    Meaning("501", "5.7.0", "The mail program has given up the login.", "", NOTHING),
    Meaning("502", "5.5.1", "Lists are not shown to everybody.", "expn", NOTHING, "Lists are not shown"),
    Meaning("502", "5.5.1", "There is no login on this port.", "[submission] listen",
            "Send through port 587 or 465.", "AUTH is not offered"),
    Meaning("502", "5.5.1", "That command is known, but not offered here.", "extensions", PROGRAM),
    Meaning("503", "5.5.0", "The program talks without waiting for answers where it has to.", "[mx] early_talker",
            "The sender's program is at fault; spam is often sent so."),
    Meaning("503", "5.5.1", "The command does not belong here: something has to come first.", "", PROGRAM),
    Meaning("504", "5.5.4", "That kind of login, or help about that, is not offered.", "[auth] mechanisms",
            "Choose another kind of login in the mail program."),
    Meaning("530", "5.7.0", "STARTTLS has to come first.", "tls", "Switch on TLS in the mail program.", "STARTTLS first"),
    Meaning("530", "5.7.0", "A login has to come first.", "[submission]", "Switch on the login in the mail program.", "Log in first"),
    Meaning("535", "5.7.8", "The certificate opens no account, or not the one asked for.", "[tls] client_ca",
            "Choose another certificate, or a password.", "Your certificate"),
    Meaning("535", "5.7.8", "The user name or the password is wrong.", "[users], [auth]",
            "Check them; or: twistmail user password ADDRESS"),
    Meaning("538", "5.7.11", "A password may only travel over TLS.", "tls", "Switch on TLS in the mail program."),
    # ----- no: addresses
    Meaning("550", "5.1.1", "There is no mailbox of that name.", "[domain:...] catchall, [alias:...], [mx] relay_recipients",
            "Check the address."),
    Meaning("550", "5.1.2", "The recipient's domain does not exist.", "", "Check the address."),
    Meaning("550", "5.1.3", "That is a person's address, no list.", "", NOTHING),
    Meaning("553", "5.1.8", "The sender's domain does not exist, so no answer could ever reach it.", "[mx] reject_unknown_sender_domain",
            "Correct the sender's address, or its DNS."),
    Meaning("553", "5.6.7", "The next server does not take addresses or headers that are not ASCII (SMTPUTF8).", "",
            "Write to an ASCII address, with a subject and names in ASCII.", "other side"),
    Meaning("553", "5.6.7", "The address has letters beyond ASCII, and the sending program does not say so (SMTPUTF8).", "extensions",
            "Use another address, or a newer program."),
    Meaning("550", "5.4.6", "An alias goes in a circle, or too far.", "[aliases] depth_limit, expansion_limit",
            "To find it: twistmail alias check"),
    # ----- no: the rules of the house
    Meaning("550", "5.7.1", "Not for us, and the sender has not logged in (relaying denied).", "[mx] relay_networks, relay_domains",
            "Send through port 587 or 465 with a login.", "Not a local recipient"),
    Meaning("550", "5.7.1", "The address says by way of whom the mail should go; nobody does that any more.", "",
            "Write the plain address.", "by way of this system"),
    Meaning("550", "5.7.1", "The user may not send as that address.", "[submission] own_addresses_only, sender_map",
            "Send as oneself, or ask the operator.", "yours to send from"),
    Meaning("550", "5.7.1", "The author in the header is somebody else.", "[submission] from_check",
            "Correct the sender's address in the mail program.", "is not yours"),
    Meaning("550", "5.7.1", "The sending machine or the domain stands on a blocklist.", "[mx] dnsbl, rhsbl",
            "The list's page says how to get off it.", "is listed by"),
    Meaning("550", "5.7.1", "A rule of the access list.", "[access] file", "twistmail policy check IP SENDER RCPT says which.",
            "Access denied"),
    Meaning("550", "5.7.1", "A rule about content.", "[checks] file", "twistmail trace find --refused says which.",
            "content of the message"),
    Meaning("550", "5.7.1", "The sending machine calls itself by our name, or by one that nobody else has.", "[mx] hello",
            "Give the sending machine a proper name.", "our name"),
    Meaning("550", "5.7.1", "The sending machine calls itself by a name for itself only.", "[mx] hello",
            "Give the sending machine a proper name.", "to yourself"),
    Meaning("550", "5.7.1", "The sending machine calls itself by a name without a domain.", "[mx] hello",
            "Give the sending machine a proper name.", "whole name"),
    Meaning("550", "5.7.1", "The sending machine calls itself by a name that the DNS does not know.", "[mx] hello",
            "Give the sending machine a proper name.", "no host of that name"),
    Meaning("550", "5.7.1", "The message calls itself an advertisement of a kind that is not wanted.", "[mx] no_soliciting", NOTHING,
            "soliciting mail"),
    Meaning("550", "5.7.25", "The sending machine has no name in the DNS that leads back to it.", "[mx] reverse_dns",
            "Its provider has to set a PTR record."),
    Meaning("550", "5.7.26", "SPF, DKIM or DMARC say that the sender is forged.", "[mx] stages", "The sender's domain must mend its DNS."),
    Meaning("550", "5.7.27", "The sender's domain takes no mail (null MX), so no answer could reach it.",
            "[mx] reject_unknown_sender_domain", "Correct the sender's address."),
    # ----- no: the message
    Meaning("550", "5.6.0", "The header has more than one From.", "", PROGRAM),
    Meaning("550", "5.6.11", "A CR or an LF stands alone in the message; it could mean two things to two servers.", "bare_newline",
            "The sender's program is at fault; an old one may be let through with bare_newline = normalize."),
    Meaning("552", "5.3.4", "The header, or one field of it, is too long.", "", PROGRAM, "header"),
    Meaning("552", "5.3.4", "The message is larger than we take.", "max_message", "Send a link instead."),
    Meaning("552", "5.2.2", "The mailbox is full.", "[store] quota", "Its owner has to delete mail."),
    Meaning("554", "5.4.6", "The message goes in a circle.", "max_hops", "Look at the Received fields: where does it come by twice?"),
    Meaning("554", "5.4.7", "The message could not be delivered in the time that its sender has set (DELIVERBY).", "",
            "Send it again, with more time."),
    Meaning("554", "5.5.1", "The program talked before it was greeted.", "[mx] early_talker, greeting_delay",
            "The sender's program is at fault; spam is often sent so.", "before you were greeted"),
    Meaning("554", "5.5.1", "There is no valid recipient.", "", "Look at the answers to the recipients."),
    Meaning("554", "5.6.0", "The header has names without a domain that nobody here has.", "[submission] stages (submission)",
            "Write the whole address."),
    Meaning("554", "5.6.3", "The next server takes seven bits only, and the message is signed or cannot be encoded.", "",
            "Send it as plain text, or without a signature."),
    Meaning("554", "5.7.10", "The message must travel encrypted (REQUIRETLS), and the next server has no valid encryption.", "",
            "Send it without that demand, or by other means."),
    Meaning("554", "5.7.30", "The message must travel encrypted (REQUIRETLS), and the next server does not promise to keep it so.", "",
            "Send it without that demand, or by other means."),
    Meaning("554", "5.7.1", "Refused by a rule of the house.", "[mx] stages", "twistmail trace find --refused says by which."),
    Meaning("555", "5.5.4", "MAIL or RCPT has a parameter that is not offered here.", "extensions", PROGRAM),
    Meaning("556", "5.1.10", "The recipient's domain takes no mail (null MX).", "", "Check the address."),
)
