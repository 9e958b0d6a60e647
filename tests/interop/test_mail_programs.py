"""Programs that people read with, and libraries that programs are made of: each does over IMAP what it is used for."""

import asyncio
import json
import mailbox
import os
import smtplib
import ssl

import aioimaplib
import pytest

from tests.interop.house import ROOT, folder, give_away

MODULES = ROOT / "build" / "node" / "node_modules"


def send(house, person, *numbers):
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        for number in numbers:
            smtp.sendmail("eve@red.test", [person.address], f"From: eve@red.test\r\nSubject: letter {number}\r\n\r\ntext {number}\r\n")


@pytest.fixture
def letters(house, guest):
    """Somebody with three letters."""
    send(house, guest, 1, 2, 3)
    return guest


@pytest.fixture
def imaps(house):
    return house.port("imap", tls=True)


def subjects(house, person, folder="."):
    """Of the messages of a folder, sorted."""
    return sorted((b"\n" + message).partition(b"\nSubject: ")[2].partition(b"\n")[0].decode() for message in house.stored(person, folder))


# ----- programs with a screen


@pytest.fixture
def screen(client, place):
    """*screen*(command, (awaited, keys), ...): the program runs in a terminal; each *keys* are pressed when *awaited* (an expression
    of Tcl) has been shown. Then it may end.
    """

    def call(command, *steps, **environ):
        lines = ["set timeout 20", "set stty_init {rows 24 columns 100}", f"spawn -noecho {command}"]
        lines += [f"expect -brace {{ timeout {{exit 8}} eof {{exit 9}} -re {{{awaited}}} {{send -- {keys}}} }}" for awaited, keys in steps]
        lines += ["set timeout 3", "expect -brace { timeout {} eof {exit 0} }", "exec kill -KILL [exp_pid]"]
        script = place / "screen.exp"
        script.write_text("\n".join(lines) + "\n")
        return client("expect", "-f", script, timeout=60, **environ)

    return call


@pytest.mark.client("neomutt")
def test_neomutt_deletes_and_comes_back_to_what_it_has_kept(house, client, place, letters, imaps):
    rc = place / "neomuttrc"
    rc.write_text(
        f"set ssl_force_tls=yes\nset certificate_file={house.authority}\nset folder=imaps://{letters.url}@localhost:{imaps}/\n"
        f"set imap_pass={letters.password}\nset spoolfile=+INBOX\nset delete=yes\nset quit=yes\nset move=no\n"
        f"set imap_condstore=yes\nset imap_qresync=yes\n"
        f"set header_cache={place}/cache\n"
    )
    deleting = 'push "<delete-pattern>~s 2<enter><sync-mailbox><exit>"'
    client("neomutt", "-n", "-F", rc, "-e", deleting, terminal=True)
    assert subjects(house, letters) == ["letter 1", "letter 3"]
    send(house, letters, 4)
    client("neomutt", "-n", "-F", rc, "-e", deleting.replace("2", "1"), terminal=True)
    assert subjects(house, letters) == ["letter 3", "letter 4"]


@pytest.mark.client("alpine", "expect")
def test_alpine_deletes_and_expunges(house, screen, place, letters, imaps):
    rc = place / "pinerc"
    rc.write_text(f"user-domain=blue.test\nfeature-list=quit-without-confirm, expunge-without-confirm\nlast-version-used=99.99\n"
                  f"inbox-path={{localhost:{imaps}/ssl/user={letters.address}}}INBOX\n")  # fmt: skip
    screen(
        f"alpine -p {rc} -i",
        ("PASSWORD", f'"{letters.password}\\r"'),
        ("on DISK", '"n"'),
        ("Message 1 of 3.*(opened with|DONE)", '"d"'),  # the title stays; of two messages below, the second may hide the first
        ("Message 2 of 3.*letter 2", '"x"'),
        ("Message 1 of 2.*letter 3", '"q"'),
        SSL_CERT_FILE=str(house.authority),
    )
    assert subjects(house, letters) == ["letter 2", "letter 3"]


# ----- programs that fetch and sort


@pytest.mark.client("offlineimap")
def test_offlineimap_keeps_a_maildir_alike_both_ways(house, client, place, letters, imaps):
    rc = place / "offlineimaprc"
    rc.write_text(f"""\
[general]
accounts = all
metadata = {place}/state
[Account all]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {place}/near
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {imaps}
remoteuser = {letters.address}
remotepass = {letters.password}
ssl = yes
sslcacertfile = {house.authority}
""")
    client("offlineimap", "-c", rc, "-o", timeout=60)
    near = mailbox.Maildir(place / "near" / "INBOX", create=False)
    assert sorted(message["Subject"] for message in near) == ["letter 1", "letter 2", "letter 3"]
    assert {"Sent", "Trash"} <= {path.name for path in (place / "near").iterdir()}
    near.add("Subject: from here\n\nx\n")
    gone = next(key for key, message in near.items() if message["Subject"] == "letter 2")
    near.remove(gone)
    client("offlineimap", "-c", rc, "-o", timeout=60)
    assert subjects(house, letters) == ["from here", "letter 1", "letter 3"]


@pytest.fixture
def home():
    """A folder that the ordinary user may enter."""
    with folder() as place:
        yield place


@pytest.mark.client("getmail")
def test_getmail_fetches_into_a_maildir_and_deletes(house, client, home, letters, imaps):
    place = home
    rc, fetched = place / "getmailrc", mailbox.Maildir(place / "fetched")
    for made in place.rglob("*"):
        give_away(made)
    rc.write_text(f"""\
[retriever]
type = SimpleIMAPSSLRetriever
server = localhost
port = {imaps}
username = {letters.address}
password = {letters.password}
ca_certs = {house.authority}
[destination]
type = Maildir
path = {place}/fetched/
[options]
delete = true
""")
    command = ["getmail", "--getmaildir", place, "--rcfile", rc]
    if os.geteuid() == 0:  # it refuses to be root
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    client(*command)
    assert sorted(message["Subject"] for message in fetched) == ["letter 1", "letter 2", "letter 3"]
    assert house.stored(letters) == []


@pytest.mark.client("imapfilter")
def test_imapfilter_sorts_on_the_server(house, client, place, letters, imaps):
    rules = place / "rules.lua"
    rules.write_text(f"""\
options.timeout = 20
options.create = true
options.starttls = true
account = IMAP {{ server = "localhost", port = {imaps}, username = "{letters.address}", password = "{letters.password}", ssl = "auto" }}
account:create_mailbox("Lists")
found = account.INBOX:contain_subject("letter 2") + account.INBOX:contain_body("text 3")
found:mark_flagged()
found:copy_messages(account["Lists"])
account.INBOX:contain_subject("letter 1"):move_messages(account["Trash"])
""")
    client("imapfilter", "-t", house.authority, "-c", rules)
    assert subjects(house, letters, ".Lists") == ["letter 2", "letter 3"]
    assert subjects(house, letters, ".Trash") == ["letter 1"]
    assert subjects(house, letters) == ["letter 2", "letter 3"]
    assert len(list((house.maildir(letters) / ".Lists" / "cur").glob("*:2,*F*"))) == 2


@pytest.mark.client("fetchmail")
def test_fetchmail_hears_of_new_mail_in_idle(house, client, place, letters, imaps):
    rc = place / "fetchmailrc"
    rc.write_text(
        f'poll localhost service {imaps} protocol IMAP user "{letters.address}" password "{letters.password}" ssl sslcertck '
        f'sslcertfile {house.authority} keep idle mda "cat >> {place}/got; grep -q \'letter 9\' {place}/got && kill $PPID; true"\n'
    )
    rc.chmod(0o600)
    script = f"""\
fetchmail --nodetach --nosyslog -f {rc} --pidfile {place}/pid & fetching=$!
for i in $(seq 100); do grep -q 'letter 3' {place}/got 2>/dev/null && break; sleep 0.1; done
{letter_by_curl(house, letters)}
wait $fetching; true
"""
    client("sh", "-c", script)
    assert "text 9" in (place / "got").read_text()


def letter_by_curl(house, person):
    return (
        f"printf 'Subject: letter 9\\r\\n\\r\\ntext 9\\r\\n' | curl -sS --mail-from eve@red.test --mail-rcpt {person.address} "
        f"-T - smtp://127.0.0.1:{house.port('mx')}/red.test"
    )


# ----- libraries

PERL = """\
use strict;
use Mail::IMAPClient;
my ($port, $authority, $user, $password) = @ARGV;
my $imap = Mail::IMAPClient->new(Server => "localhost", Port => $port, Ssl => [SSL_ca_file => $authority], User => $user,
    Password => $password, Uid => 1) or die "no login: $@";
print "folders ", join(",", sort $imap->folders), "\\n";
$imap->select("INBOX") or die $imap->LastError;
print "messages ", $imap->message_count, "\\n";
my @found = $imap->search(SUBJECT => "letter 2") or die "search: ", $imap->LastError;
print "subject ", $imap->subject($found[0]), "\\n";
print "body ", $imap->body_string($found[0]);
my $headers = $imap->parse_headers($found[0], "From", "Subject") or die $imap->LastError;
print "from $headers->{From}[0]\\n";
my $structure = $imap->get_bodystructure($found[0]) or die $imap->LastError;
print "type ", $structure->bodytype, "/", $structure->bodysubtype, "\\n";
my $uid = $imap->append_string("Sent", "Subject: from perl\\r\\n\\r\\nx\\r\\n", "\\\\Seen") or die $imap->LastError;
print "appended $uid\\n";
$imap->move("Trash", $found[0]) or die $imap->LastError;
$imap->expunge or die $imap->LastError;
print "left ", $imap->message_count, "\\n";
my @threads = $imap->has_capability("THREAD=REFERENCES") ? @{$imap->thread("REFERENCES") || []} : (1, 2);
print "threads ", scalar @threads, "\\n";
$imap->logout;
"""


@pytest.mark.client("perl")
def test_perl_s_imapclient_reads_every_answer(house, client, place, letters, imaps):
    if client("perl", "-MMail::IMAPClient", "-e", "1", expect=None).returncode:
        assert os.environ.get("REQUIRE_CLIENTS") != "1", "Mail::IMAPClient is not installed"
        pytest.skip("Mail::IMAPClient: not installed")
    script = place / "client.pl"
    script.write_text(PERL)
    said = client("perl", script, imaps, house.authority, letters.address, letters.password).stdout
    lines = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    assert {"INBOX", "Sent", "Trash"} <= set(lines["folders"].split(","))
    assert (lines["messages"], lines["subject"], lines["body"], lines["from"]) == ("3", "letter 2", "text 2", "eve@red.test")
    assert (lines["type"], lines["appended"], lines["left"], lines["threads"]) == ("TEXT/PLAIN", "1", "2", "2")
    assert subjects(house, letters, ".Sent") == ["from perl"]


def test_aioimaplib_hears_in_idle_of_what_comes(house, letters, imaps):
    trust = ssl.create_default_context(cafile=house.authority)

    async def talk():
        imap = aioimaplib.IMAP4_SSL("localhost", imaps, timeout=20, ssl_context=trust)
        await imap.wait_hello_from_server()
        assert (await imap.login(letters.address, letters.password)).result == "OK"
        assert (await imap.select("INBOX")).result == "OK"
        idling = await imap.idle_start(timeout=20)
        await asyncio.get_running_loop().run_in_executor(None, send, house, letters, 4)
        pushed = await imap.wait_server_push()
        imap.idle_done()
        await asyncio.wait_for(idling, 20)
        found = await imap.uid_search("SUBJECT", '"letter 4"')
        fetched = await imap.uid("fetch", "4", "(FLAGS BODY.PEEK[TEXT])")
        await imap.logout()
        return pushed, found.lines[0], b"".join(bytes(line) for line in fetched.lines)

    pushed, found, fetched = asyncio.run(talk())
    assert b"4 EXISTS" in pushed
    assert found.split() == [b"4"]
    assert b"text 4" in fetched


IMAPFLOW = """\
const { ImapFlow } = require("imapflow");
const fs = require("fs");
const [port, authority, user, pass] = process.argv.slice(2);
(async () => {
  const client = new ImapFlow({ host: "localhost", port: Number(port), secure: true, tls: { ca: fs.readFileSync(authority) },
    auth: { user, pass }, logger: false, qresync: true });
  const seen = { vanished: [], exists: [] };
  client.on("expunge", event => seen.vanished.push(event.uid || event.seq));
  client.on("exists", event => seen.exists.push(event.count));
  await client.connect();
  seen.enabled = [...client.enabled];
  seen.folders = (await client.list()).map(folder => [folder.path, folder.specialUse || ""]);
  seen.status = await client.status("INBOX", { messages: true, uidNext: true, highestModseq: true, unseen: true });
  const lock = await client.getMailboxLock("INBOX");
  try {
    seen.subjects = [];
    const wanted = { envelope: true, uid: true, flags: true, bodyStructure: true, size: true, modseq: true };
    for await (const message of client.fetch("1:*", wanted))
      seen.subjects.push([message.uid, message.envelope.subject, message.bodyStructure.type, String(typeof message.modseq)]);
    seen.search = await client.search({ subject: "letter 2" }, { uid: true });
    await client.messageFlagsAdd("1", ["\\\\Flagged"]);
    seen.moved = (await client.messageMove("2", "Trash", { uid: true })).destination;
    seen.appended = (await client.append("Sent", "Subject: from node\\r\\n\\r\\nx\\r\\n", ["\\\\Seen"])).uid;
    const { content } = await client.download("3", "1", { uid: true });
    seen.text = ""; for await (const chunk of content) seen.text += chunk;
  } finally { lock.release(); }
  await client.logout();
  console.log(JSON.stringify(seen, (key, value) => typeof value === "bigint" ? Number(value) : value));
})().catch(error => { console.log(error.stack, error.response || ""); process.exit(1); });
"""


def test_imapflow_uses_what_is_modern(house, client, place, letters, imaps):
    if not (MODULES / "imapflow").is_dir():
        assert os.environ.get("REQUIRE_CLIENTS") != "1", "imapflow is not installed in build/node"
        pytest.skip("imapflow: not installed in build/node")
    script = place / "client.js"
    script.write_text(IMAPFLOW)
    said = client("node", script, imaps, house.authority, letters.address, letters.password, NODE_PATH=str(MODULES)).stdout
    seen = json.loads(said)
    assert ["Sent", "\\Sent"] in seen["folders"]
    assert (seen["status"]["messages"], seen["status"]["uidNext"], seen["status"]["unseen"]) == (3, 4, 3)
    assert [subject for _, subject, _, _ in seen["subjects"]] == ["letter 1", "letter 2", "letter 3"]
    assert {kind for _, _, kind, _ in seen["subjects"]} == {"text/plain"}
    assert (seen["search"], seen["moved"], seen["appended"]) == ([2], "Trash", 1)
    assert seen["text"] == "text 3\r\n"
    assert subjects(house, letters, ".Trash") == ["letter 2"]
