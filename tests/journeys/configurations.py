"""Configurations by chance: domains, people, aliases, doors, rules and routes, and a letter for each; the same for the same number."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PEOPLE = ("ann", "bob", "fred")
#: Other servers, and where they are.
TOWNS = {"far.test": "192.0.2.25", "green.test": "192.0.2.20", "old.test": "192.0.2.21"}
#: Servers that are only named by routes.
HUBS = ("192.0.2.30", "192.0.2.31")
CLIENTS = ("192.0.2.7", "198.51.100.9", "203.0.113.5", "127.0.0.1")
SENDERS = ("eve@far.test", "carl@green.test", "ann@blue.test", "", "spam@old.test")
RECIPIENTS = (
    "ann@blue.test", "Bob@blue.test", "fred+box@red.test", "nobody@blue.test", "team@blue.test", "loop@blue.test", "info@red.test",
    "away@blue.test", "all@blue.test", "postmaster@blue.test", "x@far.test", "y@green.test", "z@old.test", "ann@red.test", "w@hidden.test",
    "deep@blue.test", "old.ann@blue.test", "root@red.test", "gone@blue.test", "black@blue.test", "archive@blue.test", "ticket@blue.test",
    "later@blue.test", "maildir@blue.test", "outside@blue.test", "crooked@blue.test", "circle@blue.test", "included@blue.test",
    "lost@blue.test", "within@blue.test", "staff@blue.test", "null@blue.test", "fred+box@blue.test", "bob+box@blue.test",
    "ann-box@red.test", "fred@blue.test", "virtual@blue.test", "any123@blue.test", "other@red.test", "any7@red.test",
)  # fmt: skip
LOCAL = [recipient for recipient in RECIPIENTS if recipient.endswith(("@blue.test", "@red.test"))]
LETTERS = (
    b"From: eve@far.test\r\nSubject: hello\r\n\r\nhow are you?\r\n",
    b"From: eve@far.test\r\nSubject: worm alert\r\n\r\n.dots\r\n..and more\r\n",
    b"Subject: odd\r\nX-Secret: 7\r\n\r\ncheap pills\r\n",
    b"From: ann@blue.test\r\nSubject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 150,
    b"Received: from a by b\r\n" * 60 + b"Subject: round and round\r\n\r\nagain\r\n",
    b"Delivered-To: ann@blue.test\r\nDelivered-To: ann@blue.test\r\nSubject: again\r\n\r\nx\r\n",
    b"From: f\xc3\xa4r@far.test\r\nSubject: eight bits\r\n\r\n\xe4\xf6\xfc\r\n",
    b"a text without a header\r\n",
)
ACCESS = ("From:spam@ REJECT", "Connect:203.0.113 REJECT", "Connect:198.51.100 QUARANTINE:odd network", "To:bob@ ERROR:5.7.1:550 Closed",
          "To:w@hidden.test RELAY", "From:carl@ DISCARD", "Connect:192.0.2.7 OK", "To:team@ ERROR:4.7.0:450 Later")  # fmt: skip
CHECKS = (
    "header Subject /worm/i reject We take no worms", "header X-Secret remove", "body /cheap pills/ hold cheap things",
    "header Subject /big/ discard", "header Subject /hello/ add X-Greeting: yes", "header Subject reject 451 4.7.1 Later",
)  # fmt: skip
ROUTES = ("far.test smtp:[192.0.2.30]", "green.test error:5.1.6 moved away", "old.test local:bob", "old.test discard:",
          "hidden.test smtp:[192.0.2.31]", "hidden.test local:", "x@far.test error:4.3.0 not today", ".test smtp:[192.0.2.30]",
          "green.test hold:smtp:[192.0.2.31]")  # fmt: skip
GOALS = ("ann", "bob", "fred", "x@far.test", "y@green.test", "z@old.test", "team", "loop", "nobody", "w@hidden.test", "ann@red.test")
MX = ("max_message = 1000", "relay_networks = 198.51.100.0/24", "relay_domains = hidden.test", "max_hops = 5", "over_quota = never")
STAGES = ("stages = limits hello access relaying recipients quota loops checks", "stages = limits rates hello relaying recipients loops")
#: What people may write into a `forward` of their own; not all of it counts.
FORWARDS = ("\\{0}, x@far.test\n", "bob\n", "", "/etc/passwd\n", "|vacation\n", "{0}\n", "y@green.test, z@old.test\n")
#: Lines of tables of other kinds.
VIRTUAL = ("virtual@blue.test ann, x@far.test", "@red.test bob@blue.test", "other@red.test y@green.test", "fred@blue.test fred@blue.test")
REGEXP = ("/^any([0-9]+)@blue\\.test$/ ann+$1@blue.test", "/^any.*@red/ x@far.test", "if /@red/\n/^other@/ fred@blue.test\nendif",
          "!/@blue/ bob@blue.test")  # fmt: skip
#: What only a file of aliases can say.
ODD = {
    "gone": ":fail: moved to far.test", "black": ":blackhole:",
    "ticket": "|/usr/bin/ticket --new", "later": ":defer: not today",
    "archive": "{folder}/archive/box, ann", "maildir": "{folder}/archive/dir/", "outside": "/etc/passwd",
    "crooked": "{folder}/archive/link",
    "circle": "circle2, bob", "circle2": "circle, \\ann", "included": ":include:{folder}/list", "lost": ":include:{folder}/no-such-list",
    "within": ":include:{folder}/within", "staff": "ann, y@green.test", "owner-staff": "bob@blue.test", "null": "/dev/null",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A configuration (its text), and who would send what to whom, from where. `login`: who has logged in, or ""."""

    config: str
    sender: str
    recipient: str
    client: str
    login: str
    letter: bytes


def case(number: int, folder: Path) -> Case:
    """The case of that *number*; the files that it names are written into *folder*, forwards into the house that is there."""
    chance = random.Random(number)
    login = chance.choice(("", "", *PEOPLE))
    mail = folder / "house-0" / "data" / "mail"
    shutil.rmtree(mail, ignore_errors=True)
    parts = (_house(chance), _people(chance, mail), *(part(chance, folder, number) for part in (_aliases, _doors, _ways)))
    return Case(
        "\n".join(line for part in parts for line in part) + "\n",
        chance.choice((*[f"{login}@blue.test", f"{login}@red.test"] * 4, *SENDERS) if login else SENDERS),
        chance.choice(RECIPIENTS if login or chance.random() < 0.2 else LOCAL),
        chance.choice(CLIENTS),
        login,
        chance.choice((*LETTERS, *LETTERS[:1] * 8)),
    )


def _house(chance: random.Random) -> Iterator[str]:
    yield "[server]\nhostname = mx.blue.test\ndata_dir = data"
    yield f"postmaster = {chance.choice(('ann@blue.test', 'postmaster@blue.test', 'gone@blue.test'))}"
    yield "[domains]\nlocal = blue.test red.test"
    if chance.random() < 0.5:
        yield "[domain:red.test]"
        yield chance.choice(
            ("same_as = blue.test", "catchall = bob@blue.test", "catchall = x@far.test", "other_server = [192.0.2.31]", "subaddress = -")
        )
    yield "[dsn]\ndouble_bounce = discard"  # what comes of reports is not asked here
    yield "[queue]\nallow = memory\nuse = memory\n[store]\nuse = memory\n[dns]\nuse = zone\n[auth]\ncleartext_from = 0.0.0.0/0 ::/0"


def _people(chance: random.Random, mail: Path) -> Iterator[str]:
    yield "[users]\nsource = config"
    for name in PEOPLE:
        domain = chance.choice(("blue.test", "blue.test", "red.test"))
        yield f"[user:{name}@{domain}]\npassword = sesame street"
        if chance.random() < 0.2:
            yield f"quota = {chance.choice((500, 2000))}"
        if chance.random() < 0.2:
            yield f"forward = {chance.choice(GOALS[:6])}\nkeep_copy = {chance.choice(('yes', 'no'))}"
        if chance.random() < 0.2:
            own = mail / domain / name / chance.choice(("forward", "forward", "forward+box"))
            own.parent.mkdir(parents=True)
            own.write_text(chance.choice(FORWARDS).format(name))


def _aliases(chance: random.Random, folder: Path, number: int) -> Iterator[str]:
    table = folder / f"aliases-{number}"
    lines = [f"{name}: {goal.format(folder=folder)}" for name, goal in ODD.items() if chance.random() < 0.8]
    lines += [f"deep{step}: deep{step + 1}" for step in range(chance.choice((3, 12)))] + ["deep: deep0, ann"]
    table.write_text("\n".join(lines) + "\n")
    yield f"[delivery]\nfile_dirs = {chance.choice((folder / 'archive', folder / 'elsewhere'))}"
    (folder / f"virtual-{number}").write_text("\n".join(chance.sample(VIRTUAL, chance.randint(0, 4))) + "\n")
    (folder / f"regexp-{number}").write_text("\n".join(chance.sample(REGEXP, chance.randint(0, 3))) + "\n")
    words = ["config", f"file:{table}", f"virtual:{folder}/virtual-{number}", f"regexp:{folder}/regexp-{number}"]
    yield f"[aliases]\nsource = {' '.join(chance.sample(words, chance.randint(2, 4)))}"
    yield f"files = {chance.choice(('no', 'yes', 'yes', 'yes', 'included'))}"
    yield f"programs = {chance.choice(('no', 'yes', 'yes'))}\nincludes = {chance.choice(('no', 'yes', 'yes', 'yes', 'yes'))}"
    yield f"subaddress = {chance.choice(('+', '+-'))}"
    yield f"depth_limit = {chance.choice((10, 3))}\nexpansion_limit = {chance.choice((1000, 4))}"
    for name in ("team", "loop", "info@red.test", "away", "all", "bob"):
        if chance.random() < 0.6:
            goals = [*(("loop",) if name == "loop" else ()), *chance.sample(GOALS, chance.randint(1, 4))]
            yield f"[alias:{name}]\nto = {' '.join(goals)}"


def prepare(folder: Path) -> None:
    """What the cases find in *folder*: lists, and places for files of aliases."""
    (folder / "archive").mkdir(mode=0o700)
    (folder / "archive" / "link").symlink_to(folder / "archive" / "box")
    (folder / "list").write_text(f"# a comment\nbob, x@far.test\n{folder}/archive/list\n")
    (folder / "within").write_text(f"ann\n:include:{folder}/within\n")


def _doors(chance: random.Random, folder: Path, number: int) -> Iterator[str]:
    yield "[mx]\nlisten = tcp:0:interface=127.0.0.1"
    yield from chance.sample(MX, chance.randint(0, 3))
    yield from chance.sample(STAGES, chance.randint(0, 1))
    yield "[submission]\nlisten = tcp:0:interface=127.0.0.1"
    yield from chance.sample(
        ("rate = 20/1h", "recipient_rate = 30/1h", "own_addresses_only = no", "from_check = reject"), chance.randint(0, 2)
    )
    for section, name, rules in (("access", "access", ACCESS), ("checks", "checks", CHECKS)):
        if chance.random() < 0.4:
            path = folder / f"{name}-{number}"
            path.write_text("\n".join(chance.sample(rules, chance.randint(1, 2))) + "\n")
            yield f"[{section}]\nfile = {path}"


def _ways(chance: random.Random, folder: Path, number: int) -> Iterator[str]:
    yield "[relay]"
    if chance.random() < 0.5:
        path = folder / f"routes-{number}"
        chosen = {line.split(" ")[0]: line for line in chance.sample(ROUTES, chance.randint(1, 4))}
        path.write_text("\n".join(chosen.values()) + "\n")
        yield f"route_table = {path}"
    if chance.random() < 0.3:
        yield f"smarthost = [{chance.choice(HUBS)}]"
    if chance.random() < 0.2:
        yield "verp = ann@blue.test"
    if chance.random() < 0.3:
        yield "[sender_route:ann@blue.test]\nvia = [192.0.2.31]"
    if chance.random() < 0.3:
        yield "[route:green.test]\nvia = [192.0.2.30]"
    if chance.random() < 0.3:
        yield f"[srs]\nenabled = yes\naccept = {chance.choice(('all', 'reports'))}"
    if chance.random() < 0.3:
        yield "[rewrite]\nmasquerade_as = blue.example"
    if chance.random() < 0.3:
        path = folder / f"canonical-{number}"
        path.write_text("old.ann@blue.test ann@blue.test\nbob@blue.test bobby@blue.test\neve@far.test eva@far.test\n")
        yield f"[canonical]\ntable = {path}"
    if chance.random() < 0.3:
        yield f"[copies]\nalways = {chance.choice(('fred@blue.test', 'x@far.test', 'archive@blue.test', 'nobody@blue.test'))}"
