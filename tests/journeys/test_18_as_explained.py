"""What `twistmail explain` tells is what then happens: the same answers, the same mailboxes, the same servers (F088)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.journeys.configurations import HUBS, PEOPLE, TOWNS, Case, case, prepare
from tests.journeys.house import House, identifier
from tests.relay.peers import Peer
from twistmail import assembly, explaining, notice_letter, route_views
from twistmail.control import Refusal
from twistmail.mail.outcome import Outcome, Result

#: So many configurations in all, and so many in one house: to lay a foundation takes longer than to build upon it.
CONFIGURATIONS, IN_ONE_HOUSE = 500, 25
NOTICE = f"\r\nSubject: {notice_letter.SUBJECT}\r\n".encode()


@pytest.mark.parametrize("first", range(0, CONFIGURATIONS, IN_ONE_HOUSE))
def test_what_is_explained_is_what_happens(build: Any, tmp_path: Any, monkeypatch: Any, first: int) -> None:
    monkeypatch.setattr("OpenSSL.SSL.Context.set_default_verify_paths", lambda self: None)  # 9 ms, for servers that have no certificates
    house = build("[queue]\nallow = memory\nuse = memory\n[store]\nuse = memory\n")
    prepare(tmp_path)
    ends: Counter[str] = Counter()
    for number in range(first, first + IN_ONE_HOUSE):
        one = case(number, tmp_path)
        _become(house, one.config)
        told = explained(house, one)
        before, already = seen(house, one, tmp_path), len(house.facts)
        replies = converse(house, one)
        assert [_plain(line["reply"]) for line in told["conversation"]] == list(map(_plain, replies)), f"{number}: {one}"
        assert expected(told, one) == seen(house, one, tmp_path) - before, f"{number}: {one}"
        assert troubles(told) == _told_troubles(house, already, replies[-1]), f"{number}: {one}"
        ends[told["reply"][:9]] += 1
    assert len(ends) >= 4, "chance makes too little of what can happen"
    assert ends["250 2.0.0"] >= 2, "chance lets too little pass"


def _become(house: House, text: str) -> None:
    """*house* is configured anew, as by a reload; the other servers are new too, and nothing waits."""
    house.file.write_text(text)
    loaded = house.load()
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    for item in house.waiting:
        assert house.run(house.foundation.runner.delete(item.id))
    house.config = loaded.config
    house.parts = assembly.build(house.config, house.foundation)
    house.parts.hand_over()
    for service, listener in house.listeners.items():
        if house.config[service].listen:
            listener.adopt(house.parts.born(service, house.config[service].listen[0]))
    for domain, address in TOWNS.items():
        house.town(domain, address)
    for address in HUBS:
        house.net.peers[address] = Peer()


def explained(house: House, one: Case) -> dict[str, Any]:
    parts = house.parts
    routes = route_views.Desk(parts.people.expansion, parts.relay.routes, parts.relay.policies, parts.people.leaving)
    desk = explaining.House(house.config, house.foundation, parts.people, routes)
    question = {"sender": one.sender, "recipient": one.recipient, "client": one.client, "login": one.login}
    question["hello"] = "ann.home.test" if one.login else "peer.far.test"
    told: dict[str, Any] = house.run(explaining.explained(desk, question, one.letter))
    return told


def _plain(reply: str) -> str:
    """Without what differs each time: ids."""
    return re.sub(r"(Accepted as|twistmail) \S+$", r"\1 ID", reply)


def converse(house: House, one: Case) -> list[str]:
    """What we really answer, line by line."""
    if one.login:
        client = house.login("submission", one.login)
        replies = ["220 mx.blue.test ESMTP twistmail ID", "250 mx.blue.test"]
    else:
        client = house.client("mx", one.client)
        replies = [client.transport.value().decode().split("\r\n")[0]]
        if not replies[0].startswith("220"):
            return replies
        client.say("EHLO peer.far.test")
        client.start_tls()
        client.say("EHLO peer.far.test")
        replies.append(client.said[0].replace("250-", "250 "))
    size = f" SIZE={len(one.letter)}" + ("" if one.letter.isascii() else " BODY=8BITMIME")
    for line in (f"MAIL FROM:<{one.sender}>{size}", f"RCPT TO:<{one.recipient}>", "DATA"):
        if not replies[-1].startswith("2"):
            return replies
        replies.append(client.say(line)[-1])
    if replies[-1].startswith("354"):
        replies.append(client.feed(re.sub(rb"(?m)^\.", b"..", one.letter) + b".\r\n")[-1])
    house.settle()
    return replies


# ----- places


def expected(told: dict[str, Any], one: Case) -> Counter[tuple[str, ...]]:
    """Where mail lies, or has come to, when what was *told* has happened."""
    places: Counter[tuple[str, ...]] = Counter()
    if told["result"] == "held":
        return Counter({("held",): 1})
    for delivery in told["deliveries"]:
        if delivery["kind"] == "mailbox" and delivery["at_once"]:
            places["mailbox", delivery["account"], delivery["folder"], delivery.get("sender", one.sender)] += 1
        elif delivery["kind"] == "file" and not delivery["status"] and delivery["to"] != "/dev/null":
            places["file", delivery["to"]] += 1
        elif delivery["kind"] == "remote" and not delivery["way"]["status"]:
            way = delivery["way"]
            if way["hosts"] and not way["held"]:
                places["server", way["hosts"][0]["address"], delivery.get("sender", one.sender), delivery["address"]] += 1
    return places


def seen(house: House, one: Case, folder: Path) -> Counter[tuple[str, ...]]:
    """Where mail lies, or has come to, but for reports about it, and for letters to the postmaster about what is set up wrong."""
    places: Counter[tuple[str, ...]] = Counter()
    places["held",] = sum(item.held for item in house.waiting)
    for name in ("box", "list"):
        path = folder / "archive" / name
        places["file", str(path)] = len(re.findall(rb"(?m)^From ", path.read_bytes())) if path.exists() else 0
    maildir = folder / "archive" / "dir"
    places["file", f"{maildir}/"] = len(list(maildir.glob("new/*")))
    for name in (*PEOPLE, "postmaster"):
        for account in (f"{name}@blue.test", f"{name}@red.test"):
            for letter in house.run(_letters(house, account)):
                sender = letter.partition(b">")[0].partition(b"Return-Path: <")[2].decode()
                if (sender or not one.sender) and NOTICE not in letter:
                    places["mailbox", account, "INBOX", sender] += 1
    for address, peer in house.net.peers.items():
        sender = ""
        for line in peer.said:
            word, _, rest = line.decode().partition(":<")
            if word == "MAIL FROM":
                sender = rest.partition(">")[0]
            elif word == "RCPT TO" and (sender or not one.sender):
                places["server", address, sender, rest.partition(">")[0]] += 1
    return places


async def _letters(house: House, account: str) -> list[bytes]:
    inbox = await (await house.foundation.store.mailboxes(account)).open("INBOX")
    found = [content for _, content in await inbox.load(list(inbox.uids))]
    inbox.close()
    return found


def troubles(told: dict[str, Any]) -> set[tuple[str, str]]:
    """("back" or "waits", address) of what was *told* not to arrive at once."""
    if told["result"] != "accepted":
        return set()
    found = set()
    for one in told["deliveries"]:
        way = one.get("way", one)
        if way["status"] or way.get("held"):
            found.add(("back" if way["status"].startswith("5") else "waits", one["address"]))
    return found


def _told_troubles(house: House, already: int, reply: str) -> set[tuple[str, str]]:
    """The same, of what has happened to the message that was answered with *reply*."""
    if not reply.startswith("250"):
        return set()
    words = {Result.FAILED: "back", Result.DEFERRED: "waits"}
    about = [fact.what for fact in house.facts[already:] if fact.about == identifier(reply) and isinstance(fact.what, Outcome)]
    return {(words[outcome.result], str(outcome.target.address)) for outcome in about if outcome.result in words}


# ----- what it does beside answering: nothing


LETTER = b"From: ann@blue.test\r\nSubject: x\r\n\r\nhello\r\n"


def desk_of(house: House) -> explaining.ExplainDesk:
    return explaining.ExplainDesk(SimpleNamespace(config=house.config, foundation=house.foundation, parts=house.parts))


def ask(house: House, verb: str, desk: explaining.ExplainDesk | None = None, **arguments: Any) -> Any:
    return house.run((desk or desk_of(house)).verbs()[verb](arguments))


def files_of(house: House) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in house.folder.rglob("*") if path.is_file() or path.is_dir()}


def test_nothing_is_made_written_told_or_sent(build: Any) -> None:
    house = build("[user:zoe@blue.test]\npassword = sesame street\nquota = 1M\n")
    town = house.town("far.test", "192.0.2.25")
    before, told = files_of(house), len(house.facts)
    for letter in (LETTER, LETTER + b"x" * 600_000 + b"\r\n"):
        desk = desk_of(house)
        ask(house, "explain.letter", desk, letter="a", data=b64encode(letter).decode())
        answer = ask(house, "explain.show", desk, sender="eve@far.test", recipient="zoe", letter="a")
        assert answer["result"] == "accepted"
        assert answer["deliveries"][0]["at_once"]
    ask(house, "explain.show", sender="ann@blue.test", recipient="authors", login="ann")
    house.pass_time(600)
    assert (files_of(house), len(house.facts)) == (before, told)
    assert (house.waiting, town.said) == ([], [])


def test_what_is_only_asked_uses_up_nobodys_allowance(build: Any) -> None:
    house = build("[submission]\nrate = 2/1h\n[mx]\nmax_mails_per_ip = 1\nmax_connections_per_ip = 1\n")
    for _ in range(5):
        desk = desk_of(house)
        ask(house, "explain.letter", desk, letter="a", data=b64encode(LETTER).decode())
        assert ask(house, "explain.show", desk, sender="ann", recipient="bob", login="ann", letter="a")["result"] == "accepted"
        assert ask(house, "explain.show", sender="eve@far.test", recipient="bob")["result"] == "accepted"
    for _ in range(2):
        assert house.submit(LETTER, "bob@blue.test").startswith("250")
    answer = ask(house, "explain.show", sender="ann", recipient="bob", login="ann")
    assert (answer["result"], answer["stage"], answer["rule"]) == ("refused", "allowance", "2 messages in 1h")


def test_how_full_mailbox_and_queue_are_is_told(build: Any) -> None:
    house = build("[user:zoe@blue.test]\npassword = sesame street\nquota = 1500\n[queue]\nmax_messages = 1\n[route:far.test]\nhold = yes\n")
    assert house.send(LETTER, "zoe@blue.test").startswith("250")
    answer = ask(house, "explain.show", sender="eve@far.test", recipient="zoe")
    (limit,) = [one for one in answer["limits"] if one["what"] == "mailbox zoe@blue.test"]
    assert (0 < limit["used"] < limit["most"], limit["most"]) == (True, 1500)
    desk = desk_of(house)
    ask(house, "explain.letter", desk, letter="a", data=b64encode(LETTER + b"x" * 1200 + b"\r\n").decode())
    assert ask(house, "explain.show", desk, sender="eve@far.test", recipient="zoe", letter="a")["reply"].startswith("452 4.2.2")
    assert house.submit(LETTER, "x@far.test").startswith("250")
    refused = ask(house, "explain.show", sender="ann", recipient="y@far.test", login="ann")
    assert (refused["result"], refused["stage"]) == ("refused", "queue")


def test_what_a_role_sends_is_filed(build: Any) -> None:
    house = build("[role:desk@blue.test]\nmembers = ann\nfile_sent = yes\n")
    desk = desk_of(house)
    letter = LETTER.replace(b"ann@", b"desk@")
    ask(house, "explain.letter", desk, letter="a", data=b64encode(letter).decode())
    answer = ask(house, "explain.show", desk, sender="desk@blue.test", recipient="bob", login="ann", letter="a")
    assert [(one["account"], one["folder"]) for one in answer["deliveries"]] == [("bob@blue.test", "INBOX"), ("desk@blue.test", "Sent")]


def test_a_list_tells_how_many_it_goes_to_and_who_may_not_write(build: Any, tmp_path: Path) -> None:
    (tmp_path / "birds").write_text("ann@blue.test\nbob@blue.test\nx@far.test\n")
    house = build(f"[list:birds@blue.test]\nmembers = file:{tmp_path}/birds\n")
    for sender, login, result in (("ann@blue.test", "ann", "accepted"), ("eve@far.test", "", "refused")):
        desk = desk_of(house)
        ask(house, "explain.letter", desk, letter="a", data=b64encode(LETTER.replace(b"ann@blue.test", sender.encode())).decode())
        answer = ask(house, "explain.show", desk, sender=sender, recipient="birds", login=login, letter="a")
        assert answer["result"] == result
        if result == "accepted":
            assert [one["where"] for one in answer["deliveries"]] == ["the 3 members of the list birds@blue.test"]


def test_what_is_kept_while_the_line_is_down_is_told_so(house: House) -> None:
    house.foundation.uplink.go(offline=True, now=house.reactor.seconds())
    answer = ask(house, "explain.show", sender="ann", recipient="authors", login="ann")
    assert [one["way"]["offline"] for one in answer["deliveries"] if "way" in one] == [True]


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        pytest.param("explain.letter", {"letter": "a", "data": "%%"}, "the piece cannot be read", id="no-base64"),
        pytest.param("explain.letter", {"data": ""}, "which letter?", id="no-name"),
        pytest.param("explain.letter", {"letter": ["a"], "data": ""}, "which letter?", id="a-strange-name"),
        pytest.param("explain.show", {"sender": "", "recipient": "ann", "letter": "b"}, "not here any more", id="no-letter"),
        pytest.param("explain.show", {"sender": "a@b@c", "recipient": "ann"}, "the sender: ", id="no-address"),
        pytest.param("explain.show", {"sender": "", "recipient": "ann", "login": "zoe"}, "there is no account zoe", id="nobody"),
        pytest.param("explain.show", {"sender": "", "recipient": "ann", "service": "imap"}, "imap has no policy", id="no-service"),
    ],
)
def test_what_cannot_be_asked(house: House, verb: str, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(Refusal, match=re.escape(told)):
        ask(house, verb, **arguments)


def test_letters_that_nobody_asks_about_are_forgotten(house: House, monkeypatch: Any) -> None:
    desk, piece = desk_of(house), b64encode(b"x" * 10).decode()
    for name in "abcde":
        ask(house, "explain.letter", desk, letter=name, data=piece)
    with pytest.raises(Refusal, match="not here any more"):
        ask(house, "explain.show", desk, sender="", recipient="ann", letter="a")
    monkeypatch.setattr(explaining, "MOST_OCTETS", 45)
    with pytest.raises(Refusal, match="too long"):
        ask(house, "explain.letter", desk, letter="e", data=piece)
