"""What the ring tells of a letter from alice at blue.test to info@green.test, as data: the table that tests of journeys start from.

(office, kind, about, connection, what), each office's in the order in which it has told them.
"""

from __future__ import annotations

from twistmail.lab.ring import Event

A, G, OUT = "6k3fa2-0001", "6k3fa3-0002", "blue>green:54321"


def line(side, text):
    return {"side": side, "text": text, "proto": "smtp"}


def accepted(service, sender, recipients, message_id="<1@laptop>", account="", size=412):
    return {"state": "accepted", "service": service, "sender": sender, "recipients": recipients, "size": size, "message_id": message_id,
            "subject": "Lunch?", "account": account}


def outcome(state, status, kind="remote", recipient="info@green.test", host="mx.green.test [192.0.2.20]"):
    return {"state": state, "recipient": recipient, "original": recipient, "kind": kind, "status": status, "code": int(status[:3]),
            "host": host}


SUBMITTED = [
    ("blue", "connection", "c1", "c1", {"state": "opened", "service": "submission", "peer": "127.0.0.1:4001", "port": 4001}),
    ("blue", "line", "c1", "c1", line("S", "220 mx.blue.test ESMTP")),
    ("blue", "line", "c1", "c1", line("C", "EHLO laptop")),
    ("blue", "tls", "c1", "c1", {"version": "TLSv1.3", "cipher": "X"}),
    ("blue", "auth", "c1", "c1", {"mechanism": "PLAIN", "result": "ok", "login": "alice@blue.test", "service": "submission"}),
    ("blue", "mail", A, "c1", accepted("submission", "alice@blue.test", ["info@green.test"], account="alice@blue.test")),
    ("blue", "queue", A, "", {"state": "queued", "pending": 1}),
    ("blue", "line", "c1", "c1", line("S", f"250 2.0.0 Accepted as {A}")),
    ("blue", "connection", "c1", "c1", {"state": "closed", "service": "submission", "why": "quit", "received": 1, "sent": 1}),
]
LATER = [
    ("blue", "dns", "", "", {"question": "green.test", "type": "MX", "answer": ["MX 10 mx.green.test."], "result": "found", "ms": 1.0}),
    ("blue", "dns", "", "", {"question": "other.test", "type": "MX", "answer": [], "result": "NXDOMAIN", "ms": 1.0}),
    ("blue", "queue", A, "",
     {"state": "servers", "next_hop": "green.test", "servers": ["mx.green.test [192.0.2.20]"], "ms": 2.0, "status": ""}),
    ("blue", "net", A, "", {"from": "blue", "to": "green", "what": "refused"}),
    ("blue", "mail", A, "", outcome("deferred", "451 4.4.1 No connection")),
    ("blue", "queue", A, "", {"state": "waiting", "attempt": 1, "next": 1005.0}),
]
SENT = [
    ("blue", "net", A, OUT, {"from": "blue", "to": "green", "what": "connected", "port": 54321}),
    ("blue", "line", A, OUT, line("S", "220 mx.green.test ESMTP")),
    ("blue", "line", A, OUT, line("C", "EHLO mx.blue.test")),
    ("blue", "line", A, OUT, line("C", "MAIL FROM:<alice@blue.test>")),
    ("blue", "line", A, OUT, line("C", ".")),
    ("blue", "line", A, OUT, line("S", f"250 2.0.0 Accepted as {G}")),
    ("blue", "mail", A, "", outcome("relayed", f"250 2.0.0 Accepted as {G}")),
    ("blue", "mail", A, "", {"state": "removed", "why": "done"}),
]
TAKEN = [
    ("green", "connection", "c2", "c2",
     {"state": "opened", "service": "mx", "peer": "192.0.2.10:54321", "port": 54321, "from": "blue"}),
    ("green", "line", "c2", "c2", line("S", "220 mx.green.test ESMTP")),
    ("green", "line", "c2", "c2", line("C", "EHLO mx.blue.test")),
    ("green", "dns", "", "",
     {"question": "10.2.0.192.in-addr.arpa", "type": "PTR", "answer": ["PTR mx.blue.test."], "result": "found", "ms": 1.0}),
    ("green", "line", "c2", "c2", line("C", "MAIL FROM:<alice@blue.test>")),
    ("green", "mail", G, "c2", accepted("mx", "alice@blue.test", ["info@green.test"], size=600)),
    ("green", "alias", G, "", {"from": "info@green.test", "to": ["carol@green.test", "dave@green.test"], "origin": ""}),
    ("green", "store", G, "", {"account": "carol@green.test", "mailbox": "INBOX", "uid": 7, "file": "new/1"}),
    ("green", "mail", G, "", outcome("delivered", "250 2.0.0 Delivered", "mailbox", "carol@green.test", "mailbox carol@green.test")),
    ("green", "store", G, "", {"account": "dave@green.test", "mailbox": "INBOX", "uid": 3, "file": "new/2"}),
    ("green", "mail", G, "", outcome("delivered", "250 2.0.0 Delivered", "mailbox", "dave@green.test", "mailbox dave@green.test")),
    ("green", "line", "c2", "c2", line("S", f"250 2.0.0 Accepted as {G}")),
]
READ = [
    ("green", "connection", "c3", "c3", {"state": "opened", "service": "imap", "peer": "127.0.0.1:4002", "port": 4002}),
    ("green", "auth", "c3", "c3", {"mechanism": "PLAIN", "result": "ok", "login": "carol@green.test", "service": "imap"}),
    ("green", "line", "c3", "c3", {"side": "C", "text": "a1 FETCH 1:* RFC822", "proto": "imap"}),
    ("green", "read", "c3", "c3", {"service": "imap", "account": "carol@green.test", "mailbox": "INBOX", "uids": "1:3,7"}),
    ("green", "read", "c3", "c3", {"service": "imap", "account": "carol@green.test", "mailbox": "Sent", "uids": "7"}),
]
WHOLE = SUBMITTED + LATER + SENT + TAKEN + READ


def events(told, first=1):
    """*told* as events: number after number, a second for each line of the table."""
    times = {id(one): 1000.0 + place for place, one in enumerate(WHOLE)}
    return [Event(first + place, times.get(id(one), 2000.0 + place), one[0], one[1], one[2], one[4], one[3])
            for place, one in enumerate(told)]
