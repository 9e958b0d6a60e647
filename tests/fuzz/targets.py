"""What strangers' octets reach, one function each: it must return, or raise what it says it raises, and nothing else.

`test_targets.py` feeds them a little in each test run; `python -m tests.fuzz` (`make fuzz`) feeds them for minutes, led by
the branches that are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from twistmail.accounts import passwords
from twistmail.aliases import members
from twistmail.aliases.index import Index
from twistmail.aliases.parse import parse as parse_aliases
from twistmail.aliases.regexp import Rules
from twistmail.aliases.virtual import POSTFIX, SENDMAIL, Table
from twistmail.canonical import table as canonical_table
from twistmail.canonical.rules import House
from twistmail.expansion import spellings
from twistmail.leaving import generic
from twistmail.leaving.senders import Names
from twistmail.mail import headers, imapurl
from twistmail.mail.address import Address
from twistmail.mail.addresses import addresses
from twistmail.mail.content import Memory
from twistmail.mail.evidence import ScramKeys
from twistmail.mail.mime import describe
from twistmail.mail.readdressed import by_field, readdressed
from twistmail.mail.replaced import Replaced
from twistmail.mail.srs import Srs
from twistmail.mail.status import Status
from twistmail.mail.surrogate import replacements, surrogate
from twistmail.mail.unbinary import unbinary
from twistmail.policy import access_file, checks_file, sender_map
from twistmail.relay import table as route_table
from twistmail.relay.route import Transport, parse_via
from twistmail.servers.smtp_options import SUBMISSION_EXTENSIONS
from twistmail.watched import Broken
from twistmail.wire.contract import NEED_DATA, Tell, Wants
from twistmail.wire.http import HttpServerWire, Page, Silence
from twistmail.wire.imap import commands as imap_commands
from twistmail.wire.imap import responses as imap_responses
from twistmail.wire.imap.framing import ImapLimits
from twistmail.wire.imap.rows import State
from twistmail.wire.imap.server import ImapWire
from twistmail.wire.imap.uploads import AppendBegin, AppendMore
from twistmail.wire.pop3 import commands as pop
from twistmail.wire.pop3.server import SENTENCES, PopServerWire
from twistmail.wire.pop3.top import Beginning
from twistmail.wire.proxy import BadHeader, HeaderReader
from twistmail.wire.sasl.bearer import OAuthBearer, XOAuth2
from twistmail.wire.sasl.clients import Unfit, begin
from twistmail.wire.sasl.cram import CramMd5
from twistmail.wire.sasl.exchange import Challenge, Exchange, NeedsEvidence
from twistmail.wire.sasl.external import External
from twistmail.wire.sasl.password import LoginExchange, Plain
from twistmail.wire.sasl.scram import Scram
from twistmail.wire.sasl.spelling import decode
from twistmail.wire.smtp import client, parameters
from twistmail.wire.smtp.commands import Auth, AuthResponse, ContentChunk, Data, StartTls, XClient
from twistmail.wire.smtp.content import BASIC, Limits
from twistmail.wire.smtp.grammar import BadSyntax, forward_path, reverse_path
from twistmail.wire.smtp.server import SmtpServerWire
from twistmail.wire.socks import Refusal, Socks

EXTENSIONS = BASIC | frozenset(f"{SUBMISSION_EXTENSIONS} ETRN XCLIENT".split())
LIMITS = Limits(extensions=EXTENSIONS, message=100_000)
TYPED = Limits(extensions=EXTENSIONS, message=100_000, lone_lf=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def http(data: bytes) -> None:
    """A request in pieces: one event at most, and an answer that ends the connection."""
    size = (data[0] if data else 0) + 1
    wire = HttpServerWire()
    wire.send(Silence())
    for at in range(1, len(data), size):
        wire.receive_bytes(data[at : at + size])
        if wire.next_event() is not NEED_DATA:
            wire.send(Page(404))
            assert wire.wants is Wants.CLOSE
            return


def smtp(data: bytes) -> None:
    """A whole connection: each command is answered well, in pieces whose size the first octet tells; its highest bit, whether LF
    alone may end lines."""
    size = (data[0] & 0x7F if data else 0) + 1
    wire = SmtpServerWire(TYPED if data[:1] >= b"\x80" else LIMITS)
    wire.send(Status(220, "", "hello"))
    for at in range(1, len(data), size):
        wire.receive_bytes(data[at : at + size])
        while (event := wire.next_event()) is not NEED_DATA:
            if type(event) is ContentChunk:
                continue
            wire.send(getattr(event, "status", None) or _answer(event))
            if wire.wants is Wants.START_TLS:
                wire.tls_started()


def _answer(event: object) -> Status:
    match event:
        case Data():
            return Status(354, "", "go")
        case Auth() | AuthResponse():
            return Status(334, "", "") if isinstance(event, Auth) and event.initial is None else Status(235, "2.7.0", "in")
        case StartTls() | XClient():
            return Status(220, "2.0.0", "go")
    return Status(250, "2.0.0", "ok")


def paths(data: bytes) -> None:
    for read in (forward_path, reverse_path):
        with suppress(BadSyntax):
            read(_text(data))


def mail_parameters(data: bytes) -> None:
    for table in (parameters.MAIL, parameters.RCPT):
        with suppress(BadSyntax):
            asked = parameters.read(" " + _text(data), table, EXTENSIONS)
            parameters.notify(asked)
            if table is parameters.MAIL:
                parameters.wishes(asked, 0.0)


def header(data: bytes) -> None:
    for field in headers.fields(data):
        addresses(field.value)
    headers.without(data, {b"bcc"})
    headers.add(data, [(b"Date", b"x")])


def message(data: bytes) -> None:
    describe(data)
    b"".join(unbinary(data))
    assert b"".join(surrogate(data)) == b"".join(Replaced(Memory(data), replacements(data)).chunks())


def proxy(data: bytes) -> None:
    reader = HeaderReader()
    with suppress(BadHeader):
        for at in range(0, len(data), 7):
            if reader.feed(data[at : at + 7]) is not None:
                return


def access(data: bytes) -> None:
    with suppress(ValueError):
        access_file.parse(_text(data))


def checks(data: bytes) -> None:
    with suppress(ValueError):
        checks_file.parse(_text(data))


def senders(data: bytes) -> None:
    with suppress(ValueError):
        sender_map.parse(_text(data))


def senders_shown(data: bytes) -> None:
    with suppress(ValueError):
        generic.parse(_text(data))


def canonical(data: bytes) -> None:
    """A canonical table, applied to whoever stands in it: what comes out is an address."""
    with suppress(ValueError):
        table = canonical_table.parse(_text(data))
        house = House(Names(frozenset(("b.test",)), frozenset(), partial(spellings, separators="+")), "b.test")
        for line in table.values():
            found = house.replaced(Address(line.who.local or "x", line.who.domain), [("table", table)]).address
            assert found.local
            assert found.domain


def routes(data: bytes) -> None:
    """A route table; what is read is written so that it is read again as the same."""
    with suppress(ValueError):
        for entry in route_table.parse(_text(data)).values():
            if entry.route.transport is not Transport.ERROR and entry.route.next_hop:
                assert parse_via(str(entry.route)).next_hop == entry.route.next_hop


def elsewhere(data: bytes) -> None:
    """What a SOCKS proxy says, and a server at which we log in."""
    with suppress(Refusal):
        Socks("192.0.2.1", 25, "ann", "secret").feed(data)
    for mechanism in ("SCRAM-SHA-256", "LOGIN"):
        login = begin((mechanism,), "ann", "secret", lambda: "nonce")
        assert login is not None
        with suppress(Unfit):
            for challenge in data.split(b"\n", 3):
                assert login.answer(challenge) is not None


def leaving(data: bytes) -> None:
    """A header whose addresses change when it leaves, and an address that somebody may have made up for the way back."""
    readdressed(data, by_field(lambda address: Address(address.local, "here.test"), lambda address: address))
    with suppress(ValueError):
        Srs((b"key",), "here.test").back(Address(_text(data), "here.test"), 0)


def aliases(data: bytes) -> None:
    """Also as a table and as a list in a file, which say that they are broken, and nothing else."""
    text = _text(data)
    parsed = parse_aliases(text)
    with suppress(Broken):
        assert [entry.address for entry in Index(text).entries()] == [entry.address for entry in parsed.entries]
    with suppress(Broken):
        members.parse(text)


def alias_tables(data: bytes) -> None:
    """A virtual table of each kind, and one of regular expressions; whoever they are asked for."""
    text, _, name = _text(data).rpartition("\n")
    for dialect in (POSTFIX, SENDMAIL):
        with suppress(Broken):
            table = Table(text, dialect)
            for one in table.listed("t"):
                line = table.find(one.name if "@" in one.name else f"{one.name}@")
                assert line is not None
                with suppress(ValueError):
                    line.goals(Address(name or "x", "x.test"), (name, name, name))
    with suppress(Broken):
        found = Rules(text).find(f"{name}@x.test")
        assert found is None or found[1]


def login(data: bytes) -> None:
    """Each mechanism: the octets as one response, and as two where they hold a line end."""
    decode(data)
    first, _, second = data.partition(b"\n")
    for exchange in (Plain(), LoginExchange(), External("ann"), CramMd5(b"<1@x>"), OAuthBearer(), XOAuth2(),
                     Scram("SCRAM-SHA-1", "ours", {}, binding_offered=False),
                     Scram("SCRAM-SHA-256-PLUS", "ours", {"tls-unique": b"x"}, binding_offered=True)):  # fmt: skip
        _converse(exchange, first, second)


def _converse(exchange: Exchange, *responses: bytes) -> None:
    if isinstance(exchange, CramMd5):
        exchange.step(None)
    for response in responses:
        answer = exchange.step(response)
        if isinstance(answer, NeedsEvidence):
            answer = exchange.given(ScramKeys("", b"salt", 1, b"k" * 32, b"k" * 32))
        if not isinstance(answer, Challenge):
            return


def kept(data: bytes) -> None:
    """What a file or a directory says of somebody's password; nothing is compared that would take long."""
    with suppress(passwords.UnknownScheme):
        stored = passwords.check(_text(data))
        passwords.keys(stored)
        passwords.plain(stored)
        passwords.needs_rehash(stored)
        if not passwords.is_slow(stored):
            passwords.verify(stored, "secret", "ann@here.example")


def replies(data: bytes) -> None:
    """What a server says to our relay."""
    wire = client.SmtpClient()
    wire.receive_bytes(data)
    while (event := wire.next_event()) is not NEED_DATA:
        if isinstance(event, client.Reply):
            client.status_of(event)
        elif isinstance(event, client.Garbled):
            return


def imap(data: bytes) -> None:
    """A connection of somebody who has logged in: each command is answered well, in pieces whose size the first octet tells."""
    size = (data[0] if data else 0) + 1
    wire = ImapWire(ImapLimits(append=1000, line=2000), State.SELECTED)
    for at in range(1, len(data), size):
        wire.receive_bytes(data[at : at + size])
        while (event := wire.next_event()) is not NEED_DATA:
            for response in _imap_answer(event):
                wire.send(response)
            assert isinstance(wire.said(), bytes)


def _imap_answer(event: object) -> tuple[object, ...]:
    """What a session that likes everything answers."""
    match event:
        case Tell():
            return ()
        case imap_commands.Bad() | imap_commands.No():
            return (imap_responses.refusal(event),)
        case imap_commands.Continue() | AppendBegin() | AppendMore() | imap_commands.Idle():
            return (imap_responses.Continuation(),)
        case imap_commands.Logout(tag):
            return imap_responses.Bye("See you"), imap_responses.Tagged(tag, imap_responses.OK, "Done")
        case imap_commands.Enable(tag, names):
            return imap_responses.Enabled(names), imap_responses.Tagged(tag, imap_responses.OK, "Done")
    return (imap_responses.Tagged(event.tag, imap_responses.OK, "Done"),)  # type: ignore[attr-defined]


def pop3(data: bytes) -> None:
    """A whole connection that is let in by whatever it says, in pieces whose size the first octet tells."""
    size = (data[0] if data else 0) + 1
    wire = PopServerWire(apop=True)
    wire.send(pop.Good("hello"))
    for at in range(1, len(data), size):
        wire.receive_bytes(data[at : at + size])
        while wire.wants is not Wants.CLOSE and (event := wire.next_event()) is not NEED_DATA:
            assert isinstance(wire.said(), bytes)
            for response in _pop3_answer(event, wire.state):
                wire.send(response)
            if wire.wants is Wants.START_TLS:
                wire.tls_started()


def _pop3_answer(event: object, state: pop.State) -> tuple[object, ...]:
    """What a session that likes everything answers."""
    match event:
        case pop.Quit():
            return (pop.Farewell("See you"),)
        case pop.Bad(text, fatal):
            assert text in SENTENCES
            return (pop.Farewell(text, good=False) if fatal else pop.Err(text),)
        case pop.Pass() | pop.Apop() | pop.Response():
            return (pop.Welcome("{} messages", (1,)),)
        case pop.Auth():
            return (pop.Challenge(b"go on"),)
        case pop.Stls():
            return (pop.GoAhead("go"),)
        case pop.Retr() | pop.Top():
            return pop.MessageBegins("x"), pop.Chunk(b".\r\n"), pop.MessageEnds()
    return (pop.Good("done"),)


def beginnings(data: bytes) -> None:
    """TOP in pieces is TOP of the whole."""
    lines, size = (data[0], data[1] + 1) if len(data) > 1 else (0, 1)
    pieces, whole = Beginning(lines), Beginning(lines)
    cut = b"".join(pieces.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert cut == whole.feed(data)


def urls(data: bytes) -> None:
    """URLs of messages, and what they give leave for."""
    with suppress(imapurl.BadUrl):
        url = imapurl.parse(_text(data), "INBOX")
        assert url.uid
        if url.grant is not None:
            assert not imapurl.is_proven(url.grant, b"key")


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        smtp, paths, mail_parameters, header, message, proxy, access, checks, senders, senders_shown, leaving,
        aliases, alias_tables, canonical, login, replies, imap, pop3,
        beginnings, urls, http, kept, routes, elsewhere,
    )
}
#: Where to begin: something of what is meant to be read.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "http": (b"\x08GET /.well-known/acme-challenge/abc?x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n",),
    "imap": (
        b'\x20a APPEND x (\\Seen) "17-Jul-1996 02:44:25 -0700" {3+}\r\nabc ~{2}\r\nab'
        b' CATENATE (URL /;UID=1 TEXT {1}\r\na URL {1}\r\nb)\r\nb NOOP\r\n',
        b"\x03a UID REPLACE 7 {1+}\r\nx UTF8 (~{2}\r\nab)\r\nb ENABLE UTF8=ACCEPT\r\nc SELECT \"\xc3\xbc&\"\r\nd LOGOUT\r\n",
        b'\x50a FETCH 1:* (BINARY.PEEK[1.2]<0.9> BODY[HEADER.FIELDS (A)])\r\nb SEARCH UIDAFTER 7 OR SEEN (NOT TEXT {1}\r\nx)\r\n',
        b'\x01a GENURLAUTH "imap://a@b/x/;UID=1;URLAUTH=anonymous" INTERNAL\r\nb URLFETCH a b\r\nc RESETKEY x INTERNAL\r\n',
    ),
    "pop3": (
        b"\x20CAPA\r\nUTF8\r\nSTLS\r\nLANG de-at\r\nUSER a\r\nPASS b c\r\nLIST\r\n"
        b"UIDL 1\r\nTOP 1 0\r\nRETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n",
        b"\x02AUTH PLAIN =\r\nAGEAYg==\r\nSTAT\r\nNOOP\r\n",
        b"\x07APOP a b c4c9334bac560ecc979e58001b3e22fb\r\nLIST 1\r\n",
    ),
    "beginnings": (b"\x01\x03A: b\r\n\r\none\r\ntwo\r\n",),
    "urls": (
        b"imap://a%40b;AUTH=*@c:143/d%2Fe;UIDVALIDITY=1/;UID=2/;SECTION=1.MIME/;PARTIAL=3.4;EXPIRE=2026-11-21T03:20:00Z"
        b";URLAUTH=user+f:INTERNAL:01234567890123456789012345678901",
        b"/x;UID=1;section=HEADER.FIELDS%20(A)",
    ),
    "kept": (
        b"{SCRAM-SHA-256}4096,Ik2MqQZo63gpfPAdC3x1Nw==,Us7cVUbp8PfRlkWNtfe6aHN/EmS7xgZjLj98O5rd5f8=,"
        b"VnWVb8IrPMhzuqGuc05C90tj6LOHaB0lWzu0wysFTh0=",
        b"{SHA256.HEX}2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        b"$6$rounds=1500$RPIo1W/jwoV4fQLn$k8egFF0/2Vb1xWtto3H.hisxqewqGpuwmI6EnIAoooQopFK2lQwmPr4K1g5FIqgcNCgJixm9bAZv3Dc8TDYVl1",
        b"scrypt$1024$seasalt$8$5$hty8/qdpE0S0rb6Cgt8MGv+Cj4QOGMti8NJuPpxQsDc2yGdcBSJyXb0aH/Ehf2kZ39lZnSalEi1jyocn0nIWvQ==",
        b"{OTP}sha1 9 760a2830d7eda013 2078824cfe618f16",
    ),
    "smtp": (
        b"\x20EHLO a\r\nMAIL FROM:<a@b> SIZE=1 BODY=BINARYMIME SMTPUTF8\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\nQUIT\r\n",
        b"\x05LHLO a\r\nAUTH PLAIN AGEAYg==\r\nSTARTTLS\r\nDATA\r\n.\r\nETRN x\r\nXCLIENT ADDR=1.2.3.4\r\n",
    ),
    "paths": (b'<@a,@b:"c\\"d"@[IPv6:::1]>', "<ü@bücher.example>".encode(), b"<a%b@c> X=1"),
    "mail_parameters": (
        b"SIZE=1 BODY=8BITMIME RET=HDRS ENVID=a+2Bb BY=120;RT HOLDUNTIL=2026-11-21T08:00:00Z",
        b"NOTIFY=SUCCESS ORCPT=utf-8;\\x{FC}",
    ),
    "header": (b"From: a <b@c>, g: d@e;\r\n\t(x)\r\nBcc: x\r\n\r\n",),
    "message": (b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Transfer-Encoding: binary\r\n\r\n\n\0\r\n--x--\r\n',),
    "proxy": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)),
    "access": (b"Connect:192.0.2 REJECT\nFrom:a@b.test ERROR:5.7.1:550 no\nTo:c DISCARD # x\n",),
    "checks": (b"header Subject /worm/i reject no\nbody /x+y/ hold\n",),
    "senders": (b"a@b.test alice bob\n@c.test dave\n",),
    "senders_shown": (b"root me@isp.test\n@lan @blue.test # why\nann@pc7.lan ann@blue.test\n",),
    "canonical": (b"ann Ann.Smith\n@old.b.test @b.test\n  # x\nc@d\n  e@f.test # y\n", b"a b\nb a+x\n@b.test c@b.test\n"),
    "leaving": (b"From: \"A\" <a@b.lan>\r\nTo: g: c@d.lan, <@e.lan:f@g.lan>;\r\n\r\n", b"SRS1=aaaaaa=far.test==bbbbbb=cc=x.test=ann"),
    "routes": (b"far.test smtp:[10.0.0.2]:2525\n.part.test lmtp:unix:/x\na@b.test local:c\n* error:5.1.6 moved\n hold:\n",),
    "elsewhere": (b"\x05\x02\x01\x00\x05\x00\x00\x01\x7f\0\0\x01\x04\x38", b"r=nonceserver,s=c2FsdA==,i=4096\nv=x"),
    "alias_tables": (b"if /^a/\n/^(.*)@(b+)$/i $1@$2.x, c\nendif\na@b.test c, d@e\nold+*@f.test n+%2@g.test\n@h.test @i.test\nold+x",),
    "aliases": (b'a: b, "|c d", :include:/x\n # x\n  e@f\n',),
    "login": (b"\0user\0password", b"user"),
    "replies": (b"250-a\r\n250 2.0.0 b\r\n", b"421 x\r\n"),
}
