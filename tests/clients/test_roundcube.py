"""Roundcube, Debian's webmail, in Chromium: what its people click is what our server then holds.

Roundcube runs on PHP's own web server, with a configuration, a database and logs of its own; it speaks IMAP and submission over
TLS with a private twistmail and checks the certificate. Its transcript of IMAP must hold no refusal.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from urllib.parse import quote

import imapclient
import pytest
from imapclient import imap_utf7

from tests.clients.browser import ENTER, browsing, server
from tests.interop.house import PATIENCE, House, Person, eventually, folder, free_port, give_away, running

ROUNDCUBE = "/var/lib/roundcube/public_html"
pytestmark = pytest.mark.needs(
    {
        "php": "php-cli",
        ROUNDCUBE: "roundcube-core",
        "/usr/share/dbconfig-common/data/roundcube/install/sqlite3": "roundcube-sqlite3",
        "chromium": "chromium",
        "chromedriver": "chromium-driver",
    }
)
ALICE, BOB = Person("alice"), Person("bob")
CONFIG = """\
<?php
$config = [
    'db_dsnw' => 'sqlite:///{place}/roundcube.db?mode=0600',
    'imap_host' => 'ssl://localhost:{imap}',
    'smtp_host' => 'ssl://localhost:{submission}',
    'smtp_user' => '%u',
    'smtp_pass' => '%p',
    'imap_conn_options' => ['ssl' => ['verify_peer' => true, 'cafile' => '{authority}']],
    'smtp_conn_options' => ['ssl' => ['verify_peer' => true, 'cafile' => '{authority}']],
    'des_key' => 'twenty-four-bytes-of-key',
    'imap_debug' => true,
    'log_driver' => 'file',
    'log_dir' => '{place}/',
    'temp_dir' => '{place}/',
    'plugins' => [],
    'language' => 'en_US',
    'enable_spellcheck' => false,
];
"""
LETTER = "From: Eve <eve@red.test>\r\nTo: alice@blue.test\r\nSubject: {subject}\r\nMessage-ID: {id}\r\nDate: {date}\r\n{more}\r\n{text}\r\n"
LETTERS = [
    ("pear", "<1@red.test>", ""),
    ("apple", "<2@red.test>", ""),
    ("melon", "<3@red.test>", ""),
    ("Re: apple", "<4@red.test>", "In-Reply-To: <2@red.test>\r\nReferences: <2@red.test>\r\n"),
]
SUBJECTS = "#messagelist tbody tr.message td.subject span.subject"


@pytest.fixture(scope="module")
def place():
    with folder("twistmail-roundcube-") as path:
        yield path


@pytest.fixture(scope="module")
def house():
    with folder() as path, running(House(path)) as house:
        house.add(ALICE, BOB)
        yield house


@pytest.fixture(scope="module")
def imap(house):
    """Another client of alice's, which sees what the server holds."""
    trust = ssl.create_default_context(cafile=house.authority)
    with imapclient.IMAPClient("localhost", house.port("imap", tls=True), ssl_context=trust) as client:
        client.login(ALICE.address, ALICE.password)
        for number, (subject, identity, more) in enumerate(LETTERS, 1):
            date = f"{number} Jan 2024 10:00:00 +0000"
            text = LETTER.format(subject=subject, id=identity, date=date, more=more, text=f"the text of {subject}")
            client.append("INBOX", text.encode())
        yield client


@pytest.fixture(scope="module")
def webmail(house, imap, place):
    """The address of a Roundcube that is our server's guest."""
    settings, port, authority = place / "config", free_port(), place / "authority.pem"
    settings.mkdir()
    authority.write_bytes(house.authority.read_bytes())
    for name in ("defaults.inc.php", "mimetypes.php"):
        (settings / name).symlink_to(f"/etc/roundcube/{name}")
    ports = {"imap": house.port("imap", tls=True), "submission": house.port("submission", tls=True)}
    (settings / "config.inc.php").write_text(CONFIG.format(place=place, authority=authority, **ports))
    give_away(place)
    command = ("php", "-S", f"127.0.0.1:{port}", "-t", ROUNDCUBE)
    with server(*command, place=place, port=port, ROUNDCUBE_CONFIG_DIR=str(settings)):
        yield f"http://127.0.0.1:{port}/"
    assert re.findall(r"S: \S+ (?:NO|BAD) .*", transcript(place)) == []


def transcript(place):
    """What Roundcube and our server have said over IMAP."""
    return (place / "imap.log").read_text("utf-8", "replace")


@pytest.fixture
def asked(place):
    """Has Roundcube given our server this command?"""

    def look(command):
        return re.search(rf"C: A\d+ {re.escape(command)}", transcript(place)) is not None

    return look


@pytest.fixture(scope="module")
def browser(place, webmail):
    """Logged in as alice."""
    with browsing(place) as browser:
        browser.open(webmail)
        browser.type("#rcmloginuser", ALICE.address)
        browser.type("#rcmloginpwd", ALICE.password)
        browser.click("#rcmloginsubmit")
        eventually(lambda: browser.texts("#mailboxlist li.inbox"), "the login is through", PATIENCE)
        yield browser


@pytest.fixture
def inbox(browser, webmail):
    """The list of messages of INBOX, in the order of arrival."""
    browser.open(webmail + "?_task=mail&_mbox=INBOX")
    order(browser, "", "ASC", threads=0)
    return browser


def order(browser, column, direction, *, threads):
    """Sort the list, or show threads, as its dialogue of options does."""
    eventually(lambda: browser.run("return !!(window.rcmail && rcmail.message_list && !rcmail.busy)"), "the list is there", PATIENCE)
    browser.run("rcmail.set_list_options([], arguments[0], arguments[1], arguments[2])", column, direction, threads)


def lists(browser, *subjects):
    """Wait until these are what is seen, in this order."""
    with contextlib.suppress(AssertionError):
        eventually(lambda: browser.texts(SUBJECTS) == list(subjects), "", 10)
    assert browser.texts(SUBJECTS) == list(subjects)


def on_the_selected(browser, subject, command, argument=""):
    """Select the message of *subject* and press the button of *command*."""
    rows = "return [...document.querySelectorAll('#messagelist tbody tr.message')]"
    uid = browser.run(rows + ".find(row => row.innerText.includes(arguments[0])).uid", subject)
    browser.run("rcmail.message_list.select(arguments[0])", uid)
    browser.run("rcmail.command(arguments[0], arguments[1])", command, argument)


def holds(imap, box, *criteria):
    """The subjects of the messages in *box* that match, as the server tells another client."""
    imap.select_folder(box, readonly=True)
    uids = imap.search(list(criteria) or "ALL")
    found = imap.fetch(uids, ["ENVELOPE"]) if uids else {}
    return [found[uid][b"ENVELOPE"].subject.decode() for uid in uids]


def test_the_folders_and_the_messages_are_listed(inbox):
    lists(inbox, "pear", "apple", "melon", "Re: apple")
    folders = [text.split("\n")[0] for text in inbox.texts("#mailboxlist li.mailbox > a")]
    assert {"Inbox", "Drafts", "Sent", "Junk", "Trash"} <= {re.sub(r"\s*\d*$", "", name) for name in folders}


def test_a_message_is_opened_and_seen_from_then_on(inbox, imap):
    lists(inbox, "pear", "apple", "melon", "Re: apple")
    assert holds(imap, "INBOX", "SEEN") == []
    inbox.open(inbox.run("return document.querySelector('#messagelist tbody tr.message td.subject a').href"))
    eventually(lambda: inbox.texts("#messagebody") == ["the text of pear"], "the text is seen", PATIENCE)
    assert holds(imap, "INBOX", "SEEN") == ["pear"]


def test_search_finds_what_matches(inbox, asked):
    lists(inbox, "pear", "apple", "melon", "Re: apple")
    inbox.type("#mailsearchform", "apple" + ENTER)
    lists(inbox, "apple", "Re: apple")
    assert asked("UID SEARCH RETURN (ALL) OR HEADER SUBJECT apple")


def test_the_list_is_sorted_by_subject(inbox, asked):
    order(inbox, "subject", "DESC", threads=0)
    lists(inbox, "pear", "melon", "Re: apple", "apple")
    order(inbox, "subject", "ASC", threads=0)
    lists(inbox, "apple", "Re: apple", "melon", "pear")
    assert asked("UID SORT (SUBJECT)")


def test_a_reply_stands_below_what_it_answers(inbox, asked):
    order(inbox, "", "ASC", threads=1)
    lists(inbox, "pear", "melon", "apple")  # THREAD=REFS: by the latest message of each
    inbox.run("rcmail.command('expand-all')")
    lists(inbox, "pear", "melon", "apple", "Re: apple")
    assert asked("UID THREAD REFS")


def test_a_flag_that_is_set_here_is_set_there(inbox, imap):
    lists(inbox, "pear", "apple", "melon", "Re: apple")
    on_the_selected(inbox, "melon", "mark", "flagged")
    eventually(lambda: holds(imap, "INBOX", "FLAGGED") == ["melon"], "the flag is on the server", PATIENCE)


def test_a_letter_goes_out_by_our_submission_and_a_copy_stays(browser, webmail, house, imap):
    browser.open(webmail + f"?_task=mail&_action=compose&_to={BOB.address}")
    browser.type("#compose-subject", "Grüße by web")
    browser.type("#composebody", "Hello Bob.\n.\nA dot stood alone.")
    browser.click("a.send, button.send")
    (letter,) = eventually(lambda: house.stored(BOB), "the letter is in bob's mailbox", PATIENCE)
    assert b"From: alice@blue.test" in letter
    assert re.search(rb"Hello Bob\.\r?\n\.\r?\nA dot stood alone\.", letter)
    eventually(lambda: len(holds(imap, "Sent")) == 1, "the copy is in Sent", PATIENCE)


def test_a_draft_with_a_foreign_subject_is_saved_and_found_by_it(browser, webmail, imap, asked):
    browser.open(webmail + "?_task=mail&_action=compose")
    browser.type("#compose-subject", "Żółć 名前")
    browser.type("#composebody", "not finished")
    browser.run("rcmail.command('savedraft')")
    eventually(lambda: len(holds(imap, "Drafts")) == 1, "the draft is on the server", PATIENCE)
    browser.run("rcmail.compose_skip_unsavedcheck = true")
    browser.open(webmail + "?_task=mail&_mbox=Drafts")
    lists(browser, "Żółć 名前")
    browser.type("#mailsearchform", "żÓŁć" + ENTER)
    eventually(lambda: asked("UID SEARCH RETURN (ALL) CHARSET UTF-8"), "it is asked for", PATIENCE)
    lists(browser, "Żółć 名前")


def test_a_folder_with_a_foreign_name_is_made_renamed_and_removed(browser, webmail, imap):
    name_folder(browser, webmail, "", "Übung & 名前")
    eventually(lambda: imap.folder_exists("Übung & 名前"), "the folder is on the server", PATIENCE)
    name_folder(browser, webmail, "Übung & 名前", "Żółć")
    eventually(lambda: imap.folder_exists("Żółć"), "the folder has its new name", PATIENCE)
    assert not imap.folder_exists("Übung & 名前")
    browser.open(webmail + "?_task=mail&_mbox=INBOX")
    assert "Żółć" in browser.texts("#mailboxlist li.mailbox > a")
    browser.open(webmail + "?_task=settings&_action=folders")
    browser.run("rcmail.delete_folder(arguments[0])", imap_utf7.encode("Żółć").decode())
    browser.click(".ui-dialog button.mainaction")
    eventually(lambda: not imap.folder_exists("Żółć"), "the folder is gone", PATIENCE)


def name_folder(browser, webmail, old, new):
    """Make or rename a folder as the page of settings does."""
    browser.open(webmail + "?_task=settings&_action=edit-folder&_mbox=" + quote(imap_utf7.encode(old)))
    browser.run("document.querySelector('input[name=_name]').value = arguments[0]", new)
    browser.run("rcmail.command('save')")


def test_a_letter_that_has_come_since_is_shown(inbox, house):
    lists(inbox, "pear", "apple", "melon", "Re: apple")
    with smtplib.SMTP("127.0.0.1", house.port("mx")) as smtp:
        smtp.sendmail("eve@red.test", [ALICE.address], "Subject: news\r\nFrom: eve@red.test\r\n\r\nThe news.\r\n")
    eventually(lambda: len(house.stored(ALICE)) == 5, "the letter is in the mailbox", PATIENCE)
    inbox.run("rcmail.command('checkmail')")
    lists(inbox, "pear", "apple", "melon", "Re: apple", "news")


def test_what_is_deleted_is_in_the_trash(inbox, imap, asked):
    lists(inbox, "pear", "apple", "melon", "Re: apple", "news")
    on_the_selected(inbox, "pear", "delete")
    lists(inbox, "apple", "melon", "Re: apple", "news")
    eventually(lambda: holds(imap, "Trash") == ["pear"], "it is in the server's Trash", PATIENCE)
    assert holds(imap, "INBOX") == ["apple", "melon", "Re: apple", "news"]
    assert asked("UID MOVE")
