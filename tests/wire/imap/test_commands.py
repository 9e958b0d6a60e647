"""Every command, well and badly spelled."""

from __future__ import annotations

from datetime import date

import pytest

from tests.wire.imap.playing import event_of
from twistmail.mail.acl import RightsChange
from twistmail.mail.mailbox import SortKey, Threading
from twistmail.wire.contract import Ask
from twistmail.wire.imap import access as a
from twistmail.wire.imap import commands as c
from twistmail.wire.imap import listing, metadata, quota
from twistmail.wire.imap import searchkeys as k
from twistmail.wire.imap import sorting as o
from twistmail.wire.imap.fetchitems import Binary, Item, Section, SectionText
from twistmail.wire.imap.grammar import COMMANDS
from twistmail.wire.imap.notify import Notify
from twistmail.wire.imap.returns import ALL, Partial, Returns
from twistmail.wire.imap.rows import State
from twistmail.wire.imap.searching import CancelUpdate, Esearch, Scope, Source, UidBatches
from twistmail.wire.imap.sequence import SAVED, STAR, SequenceSet
from twistmail.wire.imap.urlauth import GenUrlAuth, ResetKey, UrlFetch

T = b"A1"
ONE = SequenceSet(((1, 1),))
SAMPLES: list[tuple[bytes, c.Command]] = [
    (b"CAPABILITY", c.Capability(T)),
    (b"capability", c.Capability(T)),
    (b"NOOP", c.Noop(T)),
    (b"LOGOUT", c.Logout(T)),
    (b"ID NIL", c.Id(T, ())),
    (b"ID ()", c.Id(T, ())),
    (b'ID ("name" "mutt" "version" NIL)', c.Id(T, (("name", "mutt"), ("version", None)))),
    (b"STARTTLS", c.StartTls(T)),
    (b"LOGIN ann secret", c.Login(T, "ann", "secret")),
    (b'LOGIN "ann@here.example" "a \\"b\\" \\\\"', c.Login(T, "ann@here.example", 'a "b" \\')),
    (b"LOGIN {3}\r\nann {8+}\r\npass\r\nwd", c.Login(T, "ann", "pass\r\nwd")),
    (b'LOGIN ann "gr\xc3\xbc\xc3\x9fe"', c.Login(T, "ann", "gr\u00fc\u00dfe")),
    (b"LOGIN a]b pass]", c.Login(T, "a]b", "pass]")),
    (b"AUTHENTICATE plain AGFubgBzZWNyZXQ=", c.Authenticate(T, "PLAIN", b"\0ann\0secret")),
    (b"AUTHENTICATE EXTERNAL =", c.Authenticate(T, "EXTERNAL", b"")),
    (b"ENABLE condstore X-Y", c.Enable(T, ("CONDSTORE", "X-Y"))),
    (b"COMPRESS deflate", c.Compress(T)),
    (b"UNAUTHENTICATE", c.Unauthenticate(T)),
    (b"NOTIFY NONE", Notify(T)),
    (b"NAMESPACE", c.Namespace(T)),
    (b"SELECT inbox", c.Select(T, "INBOX", read_only=False)),
    (b'SELECT ""', c.Select(T, "", read_only=False)),
    (b"EXAMINE {5}\r\nInBoX", c.Select(T, "INBOX", read_only=True)),
    (b'SELECT "Entw&APw-rfe"', c.Select(T, "Entw\u00fcrfe", read_only=False)),
    (b'SELECT "Entw\xc3\xbcrfe"', c.Select(T, "Entw\u00fcrfe", read_only=False)),
    (b"SELECT inbox/sub", c.Select(T, "inbox/sub", read_only=False)),
    (b"CREATE Archive/2024/", c.Create(T, "Archive/2024")),
    (b"CREATE Sent (USE (\\sent \\Archive))", c.Create(T, "Sent", ("\\Sent", "\\Archive"))),
    (b"DELETE a&-b", c.Delete(T, "a&b")),
    (b"RENAME old new", c.Rename(T, "old", "new")),
    (b"SUBSCRIBE x", c.Subscribe(T, "x")),
    (b"UNSUBSCRIBE x", c.Unsubscribe(T, "x")),
    (b'LIST "" *', listing.List(T, "", ("*",))),
    (b'LIST "" ""', listing.List(T, "", ("",))),
    (b"LIST a/ %]x", listing.List(T, "a/", ("%]x",))),
    (b'LIST "" Inbox', listing.List(T, "", ("INBOX",))),
    (b'LIST (SUBSCRIBED special-use) "" ("a" b%) RETURN (CHILDREN)',
     listing.List(T, "", ("a", "b%"), frozenset({"SUBSCRIBED", "SPECIAL-USE"}), frozenset({"CHILDREN"}), is_extended=True)),
    (b'LIST () "" * RETURN ()', listing.List(T, "", ("*",), is_extended=True)),
    (b'LIST "" ("" a)', listing.List(T, "", ("", "a"), is_extended=True)),
    (b'LIST (remote subscribed recursivematch) "" *',
     listing.List(T, "", ("*",), frozenset({"REMOTE", "SUBSCRIBED", "RECURSIVEMATCH"}), is_extended=True)),
    (b'LIST "" % RETURN (children status (Messages unseen MESSAGES) children)',
     listing.List(T, "", ("%",), returned=frozenset({"CHILDREN"}), status=("MESSAGES", "UNSEEN"), is_extended=True)),
    (b'LIST "" % RETURN (METADATA ("/private/comment" /shared/Vendor/x/color /PRIVATE/comment))',
     listing.List(T, "", ("%",), metadata=("/private/comment", "/shared/Vendor/x/color"), is_extended=True)),
    (b'GETMETADATA "" /shared/comment', metadata.GetMetadata(T, "", ("/shared/comment",))),
    (b"GETMETADATA (MAXSIZE 1024 depth INFINITY) INBOX (/private/Comment /shared/comment /private/comment)",
     metadata.GetMetadata(T, "INBOX", ("/private/Comment", "/shared/comment"), metadata.ALL_BELOW, 1024)),
    (b'GETMETADATA inbox (Depth 1) "/private/vendor/x/y"', metadata.GetMetadata(T, "INBOX", ("/private/vendor/x/y",), 1)),
    (b'SETMETADATA x (/Private/comment "a" /shared/comment NIL /private/a/b {3+}\r\nnil)',
     metadata.SetMetadata(T, "x", {"/private/comment": b"a", "/shared/comment": None, "/private/a/b": b"nil"})),
    (b'SETMETADATA "" (/private/comment ~{3+}\r\n\0a\0)', metadata.SetMetadata(T, "", {"/private/comment": b"\0a\0"})),
    (b"GETQUOTA ann@here.example", quota.GetQuota(T, "ann@here.example")),
    (b'GETQUOTA ""', quota.GetQuota(T, "")),
    (b"GETQUOTAROOT inbox", quota.GetQuotaRoot(T, "INBOX")),
    (b'SETQUOTA "a b" (storage 9223372036854775807 Message 0)',
     quota.SetQuota(T, "a b", {"STORAGE": 9223372036854775807, "MESSAGE": 0})),
    (b'SETQUOTA "" ()', quota.SetQuota(T, "", {})),
    (b'LSUB "" *', listing.List(T, "", ("*",), subscribed_only=True)),
    (b"STATUS x (UNSEEN messages UNSEEN)", listing.Status(T, "x", ("UNSEEN", "MESSAGES"))),
    (b"STATUS x (mailboxid SIZE deleted deleted-storage highestmodseq appendlimit)",
     listing.Status(T, "x", ("MAILBOXID", "SIZE", "DELETED", "DELETED-STORAGE", "HIGHESTMODSEQ", "APPENDLIMIT"))),
    (b"IDLE", c.Idle(T)),
    (b"CHECK", c.Check(T)),
    (b"CLOSE", c.Close(T)),
    (b"UNSELECT", c.Unselect(T)),
    (b"EXPUNGE", c.Expunge(T)),
    (b"UID EXPUNGE 3:5", c.Expunge(T, SequenceSet(((3, 5),)))),
    (b"UID SEARCH uidafter 5", c.Search(T, k.Uid(SequenceSet(((6, 0xFFFFFFFF),))), "", uid=True)),
    (b"UID SEARCH UIDBEFORE 5", c.Search(T, k.Uid(SequenceSet(((1, 4),))), "", uid=True)),
    (b"UID SEARCH UIDBEFORE 1", c.Search(T, k.Not(k.All()), "", uid=True)),
    (b"uid search all", c.Search(T, k.All(), "", uid=True)),
    (b"SEARCH CHARSET utf-8 1", c.Search(T, k.Numbers(ONE), "UTF-8", uid=False)),
    (b"SEARCH RETURN (min Max) 1", c.Search(T, k.Numbers(ONE), "", False, Returns(frozenset({"MIN", "MAX"})))),
    (b"SEARCH RETURN () CHARSET US-ASCII 1", c.Search(T, k.Numbers(ONE), "US-ASCII", False, Returns(frozenset({"ALL"})))),
    (b"UID SEARCH RETURN (SAVE PARTIAL -1:-100) $",
     c.Search(T, k.Numbers(SAVED), "", True, Returns(frozenset({"SAVE"}), Partial(-1, -100)))),
    (b"SEARCH RETURN (SAVE) CHARSET X ALL", c.Unsearchable(T, b"BADCHARSET (US-ASCII UTF-8)", "We search in US-ASCII and UTF-8")),
    (b"SEARCH UID $", c.Search(T, k.Uid(SAVED), "", uid=False)),
    (b"SEARCH OLDER 5 YOUNGER 10", c.Search(T, k.And((k.Older(5), k.Younger(10))), "", uid=False)),
    (b"SEARCH SAVEDON 1-Feb-1994 SAVEDATESUPPORTED", c.Search(T, k.And((k.SavedOn(date(1994, 2, 1)), k.All())), "", uid=False)),
    (b"SEARCH EMAILID M1 THREADID T1", c.Search(T, k.And((k.EmailId("M1"), k.ThreadId("T1"))), "", uid=False)),
    (b"SEARCH FUZZY (FROM x NOT 1)",
     c.Search(T, k.Fuzzy(k.And((k.Header("from", "x"), k.Not(k.Numbers(ONE))))), "", uid=False)),
    (b"SEARCH RETURN (RELEVANCY ALL) NOT FUZZY TEXT x",
     c.Search(T, k.Not(k.Fuzzy(k.Text("x"))), "", False, Returns(frozenset({"RELEVANCY", "ALL"})))),
    (b"ESEARCH 1", Esearch(T, (Source(Scope.SELECTED),), k.Numbers(ONE), "", ALL)),
    (b'ESEARCH in (mailboxes "folder1" subtree-one (Inbox b) SELECTED) return (COUNT) charset utf-8 ALL',
     Esearch(T, (Source(Scope.MAILBOXES, ("folder1",)), Source(Scope.SUBTREE_ONE, ("INBOX", "b")), Source(Scope.SELECTED)),
             k.All(), "UTF-8", Returns(frozenset({"COUNT"})))),
    (b"ESEARCH RETURN (SAVE) CHARSET X ALL", c.Unsearchable(T, b"BADCHARSET (US-ASCII UTF-8)", "We search in US-ASCII and UTF-8")),
    (b"SEARCH RETURN (COUNT UPDATE (UID FLAGS)) 1",
     c.Search(T, k.Numbers(ONE), "", False, Returns(frozenset({"COUNT", "UPDATE"}), None, (Item.UID, Item.FLAGS)))),
    (b'CANCELUPDATE "B01" B02 "B01"', CancelUpdate(T, (b"B01", b"B02"))),
    (b"UIDBATCHES 2000", UidBatches(T, 2000)),
    (b"UIDBATCHES 2000 1:50", UidBatches(T, 2000, (1, 50))),
    (b"UID FETCH 1 FLAGS (PARTIAL -1:-3)", c.Fetch(T, ONE, (Item.FLAGS,), uid=True, partial=Partial(-1, -3))),
    (b"UID FETCH 1 (FLAGS) (changedsince 5 partial 3:1)",
     c.Fetch(T, ONE, (Item.FLAGS,), uid=True, changed_since=5, partial=Partial(3, 1))),
    (b"FETCH $ UID", c.Fetch(T, SAVED, (Item.UID,), uid=False)),
    (b"SORT (subject reverse date) utf-8 1",
     o.Sort(T, ((SortKey.SUBJECT, False), (SortKey.DATE, True)), k.Numbers(ONE), "UTF-8", uid=False)),
    (b'UID SORT (DISPLAYFROM) "US-ASCII" TEXT x', o.Sort(T, ((SortKey.DISPLAYFROM, False),), k.Text("x"), "US-ASCII", uid=True)),
    (b"THREAD references us-ascii all", o.Thread(T, Threading.REFERENCES, k.All(), "US-ASCII", uid=False)),
    (b"UID THREAD REFS UTF-8 1", o.Thread(T, Threading.REFS, k.Numbers(ONE), "UTF-8", uid=True)),
    (b"FETCH 1 FLAGS", c.Fetch(T, ONE, (Item.FLAGS,), uid=False)),
    (b"FETCH 1:* fast", c.Fetch(T, SequenceSet(((1, STAR),)), (Item.FLAGS, Item.INTERNALDATE, Item.SIZE), uid=False)),
    (b"FETCH 1 ALL", c.Fetch(T, ONE, (Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE), uid=False)),
    (b"FETCH 1 FULL", c.Fetch(T, ONE, (Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE, Item.BODY), uid=False)),
    (b"FETCH 1 (FLAGS UID flags)", c.Fetch(T, ONE, (Item.FLAGS, Item.UID), uid=False)),
    (b"FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE BODYSTRUCTURE)",
     c.Fetch(T, ONE, (Item.RFC822, Item.RFC822_HEADER, Item.RFC822_TEXT, Item.SIZE, Item.BODYSTRUCTURE), uid=False)),
    (b"FETCH 1 (SAVEDATE emailid THREADID PREVIEW)",
     c.Fetch(T, ONE, (Item.SAVEDATE, Item.EMAILID, Item.THREADID, Item.PREVIEW), uid=False)),
    (b"FETCH 1 preview (lazy)", c.Fetch(T, ONE, (Item.PREVIEW_LAZY,), uid=False)),
    (b"FETCH 1 (PREVIEW (LAZY) FLAGS)", c.Fetch(T, ONE, (Item.PREVIEW_LAZY, Item.FLAGS), uid=False)),
    (b"UID FETCH 1 FLAGS", c.Fetch(T, ONE, (Item.FLAGS,), uid=True)),
    (b"UID FETCH 1 (FLAGS UID)", c.Fetch(T, ONE, (Item.FLAGS, Item.UID), uid=True)),
    (b'GENURLAUTH "imap://a" internal b x-y', GenUrlAuth(T, (("imap://a", "INTERNAL"), ("b", "X-Y")))),
    (b"URLFETCH a {1}\r\nb", UrlFetch(T, ("a", "b"))),
    (b"RESETKEY", ResetKey(T, None)),
    (b"RESETKEY inbox", ResetKey(T, "INBOX")),
    (b"RESETKEY x internal other", ResetKey(T, "x", ("INTERNAL", "OTHER"))),
    (b"FETCH 1 (BINARY[1.2]<5.7> binary.peek[] BINARY.SIZE[3])", c.Fetch(T, ONE, (
        Binary((1, 2), False, 5, 7), Binary((), True), Binary((3,), size_only=True)), uid=False)),
    (b"FETCH 1 BODY[]", c.Fetch(T, ONE, (Section(),), uid=False)),
    (b"STORE 1 FLAGS ()", c.Store(T, ONE, c.StoreMode.SET, (), silent=False, uid=False)),
    (b"STORE 1 +flags.silent (\\SEEN Junk \\Seen)", c.Store(T, ONE, c.StoreMode.ADD, ("\\Seen", "Junk"), silent=True, uid=False)),
    (b"UID STORE 1 -FLAGS \\deleted $Label1", c.Store(T, ONE, c.StoreMode.REMOVE, ("\\Deleted", "$Label1"), silent=False, uid=True)),
    (b"COPY 1 Trash", c.Copy(T, ONE, "Trash", uid=False)),
    (b"UID COPY 1 Trash", c.Copy(T, ONE, "Trash", uid=True)),
    (b"MOVE 1 Trash", c.Move(T, ONE, "Trash", uid=False)),
    (b"UID MOVE 1 Trash", c.Move(T, ONE, "Trash", uid=True)),
    (b"SETACL inbox bob lrs", a.SetAcl(T, "INBOX", "bob", RightsChange.SET, frozenset("lrs"))),
    (b"SETACL x -anyone +cd", a.SetAcl(T, "x", "-anyone", RightsChange.ADD, frozenset("kxet"))),
    (b'SETACL x "group=an office" -w', a.SetAcl(T, "x", "group=an office", RightsChange.REMOVE, frozenset("w"))),
    (b'SETACL x {2}\r\n\xc3\xbc ""', a.SetAcl(T, "x", "\u00fc", RightsChange.SET, frozenset())),
    (b"SETACL x bob +", a.SetAcl(T, "x", "bob", RightsChange.ADD, frozenset())),
    (b"DELETEACL x -bob", a.DeleteAcl(T, "x", "-bob")),
    (b"GETACL x", a.GetAcl(T, "x")),
    (b"LISTRIGHTS x bob", a.ListRights(T, "x", "bob")),
    (b"MYRIGHTS inbox", a.MyRights(T, "INBOX")),
]  # fmt: skip


def state_for(line: bytes) -> State:
    """A state in which the command of *line* is legal."""
    name = b" ".join(line.upper().split(b" ")[: 2 if line[:4].upper() == b"UID " else 1])
    states = COMMANDS[name].states
    return State.NOT_AUTHENTICATED if State.NOT_AUTHENTICATED in states else State.SELECTED


@pytest.mark.parametrize(("line", "event"), [pytest.param(*row, id=row[0].decode("latin-1")) for row in SAMPLES])
def test_a_command_becomes_its_value(line, event):
    assert event_of(T + b" " + line, state_for(line)) == event


def test_every_command_has_a_sample():
    seen = {name for name in COMMANDS for line, _ in SAMPLES if line.upper().startswith(name)}
    assert set(COMMANDS) - seen == {b"APPEND", b"REPLACE", b"UID REPLACE"}, "these are streamed: test_append.py"


BEFORE = State.NOT_AUTHENTICATED
BADLY_SPELLED = [
    pytest.param(b"A1 SEARCH UIDAFTER 0", "from 1 on", id="after-no-uid"),
    pytest.param(b"A1 SEARCH UIDBEFORE *", "a UID", id="before-the-last"),
    pytest.param(b"A1 GENURLAUTH a", "one space", id="url-without-a-mechanism"),
    pytest.param(b"A1 URLFETCH", "one space", id="fetch-of-no-url"),
    pytest.param(b"A1 URLFETCH" + b" a" * 101, "100 URLs", id="fetch-of-too-many-urls"),
    pytest.param(b"A1 RESETKEY x y ", "a mechanism", id="key-of-no-mechanism"),
    pytest.param(b"A1 FETCH 1 BINARY", "no such item", id="binary-of-nothing"),
    pytest.param(b"A1 FETCH 1 BINARY[1.MIME]", "number of a part", id="binary-of-a-header"),
    pytest.param(b"A1 FETCH 1 BINARY[1]<5>", "a range", id="binary-half-a-range"),
    pytest.param(b"A1 FETCH 1 BINARY.SIZE[1]<0.5>", "one space", id="binary-size-of-a-range"),
    pytest.param(b"", "a tag", id="empty-line"),
    pytest.param(b"* NOOP", "a tag", id="star-is-no-tag"),
    pytest.param(b"+ NOOP", "a tag", id="plus-is-no-tag"),
    pytest.param(b"A1", "one space", id="tag-only"),
    pytest.param(b"A1 ", "one space", id="tag-and-space"),
    pytest.param(b"A1  NOOP", "one space", id="two-spaces"),
    pytest.param(b"A1\tNOOP", "one space", id="tab-is-no-space"),
    pytest.param(b"A1 NO\0OP", "no such command", id="nul-in-the-name"),
    pytest.param(b"A1 XYZZY", "no such command", id="unknown"),
    pytest.param(b"A1 UID", "no such command", id="uid-alone"),
    pytest.param(b"A1 UID NOOP", "no such command", id="uid-with-something-else"),
    pytest.param(b"A1 NOOP ", "end of the line", id="trailing-space"),
    pytest.param(b"A1 NOOP x", "end of the line", id="argument-too-many"),
    pytest.param(b"A1 NOOP\n", "end of the line", id="bare-newline"),
    pytest.param(b"A1 SELECT", "one space", id="no-mailbox"),
    pytest.param(b"A1 SELECT ", "a mailbox name", id="empty-mailbox"),
    pytest.param(b'A1 SELECT "x', "a mailbox name", id="unclosed-quote"),
    pytest.param(b'A1 SELECT "a\rb"', "a mailbox name", id="bare-return-in-quotes"),
    pytest.param(b'A1 SELECT "a\\b"', "a mailbox name", id="escape-of-something-else"),
    pytest.param(b'A1 SELECT "a\0b"', "a mailbox name", id="nul-in-quotes"),
    pytest.param(b"A1 SELECT {3}x", "a mailbox name", id="mark-that-does-not-end-the-line"),
    pytest.param(b"A1 SELECT a&b", "UTF-7", id="not-modified-utf7"),
    pytest.param(b'A1 SELECT "\xfc"', "UTF-8", id="latin1-mailbox"),
    pytest.param(b'A1 SELECT "\xed\xa0\x80"', "UTF-8", id="half-a-surrogate-pair"),
    pytest.param(b"A1 SELECT {1}\r\n\xfc", "UTF-8", id="latin1-mailbox-as-a-literal"),
    pytest.param(b"A1 CREATE x (FOO (y))", "USE only", id="create-parameter-not-known"),
    pytest.param(b"A1 CREATE x (USE (Sent))", "special use", id="special-use-without-backslash"),
    pytest.param(b"A1 ENABLE", "one space", id="enable-nothing"),
    pytest.param(b'A1 LIST ""', "one space", id="list-without-pattern"),
    pytest.param(b'A1 LIST "" ()', "empty", id="list-with-no-pattern"),
    pytest.param(b'A1 LIST (FOO) "" *', "options", id="list-option-not-known"),
    pytest.param(b'A1 LIST (RECURSIVEMATCH) "" *', "SUBSCRIBED", id="recursivematch-alone"),
    pytest.param(b'A1 LIST (REMOTE RECURSIVEMATCH) "" *', "SUBSCRIBED", id="recursivematch-with-remote-only"),
    pytest.param(b'A1 LIST "" * RETURN (FOO)', "options", id="return-option-not-known"),
    pytest.param(b'A1 LIST "" * RETURN (STATUS)', "one space", id="status-without-items"),
    pytest.param(b'A1 LIST "" * RETURN (STATUS ())', "empty", id="status-without-any-item"),
    pytest.param(b'A1 LIST "" * RETURN (STATUS (FOO))', "STATUS knows", id="list-status-item-not-known"),
    pytest.param(b'A1 LIST "" * RETURN (METADATA ())', "empty", id="list-metadata-of-nothing"),
    pytest.param(b'A1 LIST "" * RETURN (METADATA (/comment))', "An entry is called", id="list-metadata-of-no-entry"),
    pytest.param(b'A1 LIST "" (' + b" ".join([b"a"] * 101) + b")", "100 patterns", id="too-many-patterns"),
    pytest.param(b'A1 LIST "" "' + b"*a" * 2049 + b'"', "4096 characters", id="too-long-patterns"),
    pytest.param(b"A1 GETMETADATA INBOX", "one space", id="metadata-of-no-entry"),
    pytest.param(b"A1 GETMETADATA INBOX ()", "empty", id="metadata-of-nothing"),
    pytest.param(b"A1 GETMETADATA INBOX (DEPTH 2) /private/comment", "DEPTH with 0, 1", id="depth-of-two"),
    pytest.param(b"A1 GETMETADATA (MAXSIZE x) INBOX /private/comment", "a number", id="maxsize-of-no-number"),
    pytest.param(b"A1 GETMETADATA (WIDTH 1) INBOX /private/comment", "MAXSIZE", id="metadata-option-not-known"),
    *(
        pytest.param(b"A1 GETMETADATA INBOX " + name, "An entry is called", id=f"entry-{name.decode('latin-1')[:40]!r}")
        for name in (
            b"comment", b"/comment", b"/private", b'"/private/"', b"/private/comment/", b"/private//comment", b'"/private/a*b"',
            b'"/private/a%b"', b'"/private/a b"', b'"/private/a\tb"', b'"/private/a\x7fb"', b'"/private/\xc3\xbc"',
            b"/shared/vendor", b"/shared/vendor/token", b"/private/vendor/token", b"/private/" + b"x" * 1100,
        )
    ),
    pytest.param(b"A1 SETMETADATA INBOX ()", "empty", id="setmetadata-of-nothing"),
    pytest.param(b"A1 SETMETADATA INBOX /private/comment x", "parentheses", id="setmetadata-without-parentheses"),
    pytest.param(b"A1 SETMETADATA INBOX (/private/comment)", "one space", id="setmetadata-without-a-value"),
    pytest.param(b"A1 SETMETADATA INBOX (/private/comment atom)", "NIL", id="setmetadata-of-an-atom"),
    pytest.param(b"A1 SETMETADATA INBOX (/private NIL)", "An entry is called", id="setmetadata-of-no-entry"),
    pytest.param(b"A1 GETQUOTA", "one space", id="quota-of-nothing"),
    pytest.param(b"A1 SETQUOTA x", "one space", id="setquota-without-limits"),
    pytest.param(b"A1 SETQUOTA x (STORAGE)", "one space", id="setquota-without-a-number"),
    pytest.param(b"A1 SETQUOTA x (STORAGE -1)", "a number", id="setquota-below-zero"),
    pytest.param(b"A1 SETQUOTA x (STORAGE 9223372036854775808)", "9223372036854775807", id="setquota-above-all"),
    pytest.param(b"A1 SETQUOTA x (STORAGE 1 storage 2)", "twice", id="setquota-twice"),
    pytest.param(b"A1 FETCH 1 PREVIEW (EAGER)", "CHANGEDSINCE", id="preview-modifier-not-known"),
    pytest.param(b"A1 FETCH 1 PREVIEW ()", "is empty", id="preview-without-a-modifier"),
    pytest.param(b'A1 LIST "" * FOO', "RETURN", id="list-with-something-behind"),
    pytest.param(b"A1 STATUS x ()", "empty", id="status-of-nothing"),
    pytest.param(b"A1 STATUS x (FOO)", "STATUS knows", id="status-item-not-known"),
    pytest.param(b"A1 STATUS x MESSAGES", "parentheses", id="status-without-parentheses"),
    pytest.param(b"A1 ID", "one space", id="id-without-arguments"),
    pytest.param(b"A1 ID x", "NIL", id="id-of-a-word"),
    pytest.param(b'A1 ID ("a")', "pairs", id="id-field-without-value"),
    pytest.param(b"A1 ID (" + b" ".join([b'"a" "b"'] * 31) + b")", "pairs", id="id-with-31-fields"),
    pytest.param(b'A1 ID ("' + b"x" * 31 + b'" "b")', "30 octets", id="id-field-too-long"),
    pytest.param(b'A1 ID (NIL "b")', "30 octets", id="id-field-nil"),
    pytest.param(b"A1 SORT DATE UTF-8 ALL", "parentheses", id="sort-without-parentheses"),
    pytest.param(b"A1 SORT () UTF-8 ALL", "empty", id="sort-by-nothing"),
    pytest.param(b"A1 SORT (COLOUR) UTF-8 ALL", "criteria ARRIVAL", id="sort-by-what-nobody-knows"),
    pytest.param(b"A1 SORT (REVERSE) UTF-8 ALL", "one space", id="sort-reverse-of-nothing"),
    pytest.param(b"A1 SORT (REVERSE REVERSE DATE) UTF-8 ALL", "criteria ARRIVAL", id="sort-reverse-twice"),
    pytest.param(b"A1 SORT (DATE) UTF-8", "one space", id="sort-without-keys"),
    pytest.param(b"A1 SORT (" + b"DATE " * 20 + b"DATE) UTF-8 ALL", "20 criteria", id="sort-by-too-much"),
    pytest.param(b"A1 THREAD JWZ UTF-8 ALL", "algorithms ORDEREDSUBJECT", id="threaded-as-nobody-knows"),
    pytest.param(b"A1 THREAD REFS UTF-8", "one space", id="thread-without-keys"),
    pytest.param(b"A1 SETACL x bob", "one space", id="setacl-without-rights"),
    pytest.param(b"A1 SETACL x bob LR", "lower case", id="rights-in-capitals"),
    pytest.param(b"A1 SETACL x bob lq", "no right", id="a-right-that-is-none"),
    pytest.param(b"A1 SETACL x bob l+r", "no right", id="a-plus-in-the-midst"),
    pytest.param(b'A1 SETACL x "\xff" l', "UTF-8", id="identifier-not-utf8"),
    pytest.param(b"A1 DELETEACL x", "one space", id="deleteacl-without-identifier"),
    pytest.param(b"A1 GETACL", "one space", id="getacl-without-mailbox"),
    pytest.param(b"A1 GETACL x y", "end of the line", id="getacl-with-something-behind"),
    pytest.param(b"A1 LISTRIGHTS x", "one space", id="listrights-without-identifier"),
    pytest.param(b"A1 FETCH 1", "one space", id="fetch-nothing"),
    pytest.param(b"A1 FETCH 0 FLAGS", "numbers from 1", id="number-zero"),
    pytest.param(b"A1 FETCH x FLAGS", "message numbers", id="set-of-letters"),
    pytest.param(b"A1 FETCH 1 ()", "empty", id="fetch-empty-list"),
    pytest.param(b"A1 FETCH 1 (FAST)", "no such item", id="macro-in-a-list"),
    pytest.param(b"A1 FETCH 1 FLAGS UID", "parameters in parentheses", id="items-without-parentheses"),
    pytest.param(b"A1 FETCH 1 BODY.PEEK", "no such item", id="peek-at-nothing"),
    pytest.param(b"A1 FETCH 1 BODY[", "]", id="unclosed-section"),
    pytest.param(b"A1 FETCH 1 BODY[MIME]", "part number", id="mime-of-the-message"),
    pytest.param(b"A1 FETCH 1 BODY[0]", "no such section", id="part-zero"),
    pytest.param(b"A1 FETCH 1 BODY[1.]", "no such section", id="dot-behind-a-part"),
    pytest.param(b"A1 FETCH 1 BODY[FOO]", "no such section", id="section-not-known"),
    pytest.param(b"A1 FETCH 1 BODY[HEADER.1]", "no such section", id="part-behind-text"),
    pytest.param(b"A1 FETCH 1 BODY[HEADER.FIELDS]", "one space", id="fields-not-named"),
    pytest.param(b"A1 FETCH 1 BODY[HEADER.FIELDS ()]", "empty", id="no-fields"),
    pytest.param(b'A1 FETCH 1 BODY[HEADER.FIELDS ("a:b")]', "colon", id="colon-in-a-field-name"),
    pytest.param(b"A1 FETCH 1 BODY[HEADER (FROM)]", "]", id="fields-of-header"),
    pytest.param(b"A1 FETCH 1 BODY[]<0>", "range", id="partial-without-count"),
    pytest.param(b"A1 FETCH 1 BODY[]<0.0>", "at least one octet", id="partial-of-nothing"),
    pytest.param(b"A1 FETCH 1 BODY[]<4294967296.1>", "4294967296", id="partial-too-far"),
    pytest.param(b"A1 FETCH 1 BODY[" + b"1." * 100 + b"1]", "nested deeper", id="part-too-deep"),
    pytest.param(b"A1 FETCH 1 (" + b" ".join([b"BODY[%d]" % n for n in range(1, 66)]) + b")", "64 items", id="too-many-items"),
    pytest.param(b"A1 STORE 1 FLAGS", "one space", id="store-nothing"),
    pytest.param(b"A1 STORE 1 FOO (x)", "STORE changes", id="store-of-something-else"),
    pytest.param(b"A1 STORE 1 FLAGS (\\Recent)", "backslash", id="store-recent"),
    pytest.param(b"A1 STORE 1 FLAGS (\\Foo)", "backslash", id="system-flag-not-known"),
    pytest.param(b"A1 STORE 1 FLAGS (a", "one space", id="unclosed-flag-list"),
    pytest.param(b"A1 STORE 1 FLAGS (a  b)", "a flag", id="two-spaces-in-a-list"),
    pytest.param(b"A1 COPY 1", "one space", id="copy-to-nowhere"),
    pytest.param(b"A1 UID EXPUNGE", "one space", id="uid-expunge-without-a-set"),
    pytest.param(b"A1 EXPUNGE 1", "end of the line", id="expunge-with-a-set"),
    pytest.param(b"A1 APPEND x", "literal", id="append-without-message"),
    pytest.param(b'A1 APPEND x "abc"', "date and time", id="append-of-a-quoted-string"),
]


@pytest.mark.parametrize(("line", "text"), BADLY_SPELLED)
def test_a_badly_spelled_command_is_bad(line, text):
    event = event_of(line)
    assert isinstance(event, c.Bad)
    assert text in event.text
    assert event.tag == (b"A1" if line.startswith(b"A1") else b"*")
    assert not event.close


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param(b"A1 LOGIN ann", "one space", id="no-password"),
        pytest.param(b'A1 LOGIN ann "\xff"', "UTF-8", id="password-in-no-known-octets"),
        pytest.param(b"A1 AUTHENTICATE", "one space", id="no-mechanism"),
        pytest.param(b"A1 AUTHENTICATE PLAIN A", "base64", id="initial-response-not-base64"),
        pytest.param(b"A1 AUTHENTICATE PLAIN AAAA=", "base64", id="base64-with-something-behind"),
        pytest.param(b"A1 AUTHENTICATE PLAIN ", "initial response", id="empty-initial-response"),
    ],
)
def test_a_badly_spelled_login_is_bad_and_quotes_nothing(line, text):
    event = event_of(line, BEFORE)
    assert isinstance(event, c.Bad)
    assert text in event.text
    assert "ann" not in event.text


WRONG_STATES = [
    pytest.param(name, state, id=f"{name.decode()}-{state.value}")
    for name, row in COMMANDS.items()
    for state in State
    if state not in row.states
]


@pytest.mark.parametrize(("name", "state"), WRONG_STATES)
def test_a_command_in_the_wrong_state_is_bad_whatever_its_arguments(name, state):
    event = event_of(b"A1 " + name + b" what (ever", state)
    late = "You have logged in already" if name in (b"LOGIN", b"AUTHENTICATE", b"STARTTLS") else "Please select a mailbox first"
    assert event == c.Bad(b"A1", "Please log in first" if state is BEFORE else late)


# ----- sections and search keys


@pytest.mark.parametrize(
    ("spelled", "section", "label"),
    [
        pytest.param(b"BODY[]", Section(), b"BODY[]", id="whole"),
        pytest.param(b"body.peek[text]", Section(text=SectionText.TEXT, peek=True), b"BODY[TEXT]", id="peek-is-not-echoed"),
        pytest.param(b"BODY[1.2.MIME]", Section((1, 2), SectionText.MIME), b"BODY[1.2.MIME]", id="mime-of-a-part"),
        pytest.param(b"BODY[3]", Section((3,)), b"BODY[3]", id="part"),
        pytest.param(b"BODY[2.header]", Section((2,), SectionText.HEADER), b"BODY[2.HEADER]", id="header-of-an-inner-message"),
        pytest.param(b"BODY[]<5.10>", Section(offset=5, count=10), b"BODY[]<5>", id="partial-echoes-the-offset-only"),
        pytest.param(
            b"BODY[HEADER.FIELDS (From {2}\r\nTo)]<0.9>",
            Section((), SectionText.HEADER_FIELDS, (b"From", b"To"), offset=0, count=9),
            b"BODY[HEADER.FIELDS (From To)]<0>",
            id="fields",
        ),
        pytest.param(
            b'BODY[1.HEADER.FIELDS.NOT ("X(")]',
            Section((1,), SectionText.HEADER_FIELDS_NOT, (b"X(",)),
            b'BODY[1.HEADER.FIELDS.NOT ("X(")]',
            id="field-name-in-quotes",
        ),
    ],
)
def test_a_section_is_understood_and_named_in_the_answer(spelled, section, label):
    event = event_of(b"A1 FETCH 1 (" + spelled + b")")
    assert event.items == (section,)
    assert section.label == label
    again = event_of(b"A1 FETCH 1 " + label.replace(b"<5>", b"<5.10>").replace(b"<0>", b"<0.9>")).items[0]
    assert again.label == label


def test_only_reading_texts_sets_seen():
    assert [item for item in Item if item.sets_seen] == [Item.RFC822, Item.RFC822_TEXT]
    assert Section().sets_seen
    assert not Section(peek=True).sets_seen


DAY = date(2024, 2, 29)
KEYS = [
    (b"ALL", k.All()),
    (b"ANSWERED", k.Has("\\Answered")),
    (b"UNANSWERED", k.Lacks("\\Answered")),
    (b"DELETED", k.Has("\\Deleted")),
    (b"UNDELETED", k.Lacks("\\Deleted")),
    (b"DRAFT", k.Has("\\Draft")),
    (b"UNDRAFT", k.Lacks("\\Draft")),
    (b"FLAGGED", k.Has("\\Flagged")),
    (b"UNFLAGGED", k.Lacks("\\Flagged")),
    (b"SEEN", k.Has("\\Seen")),
    (b"unseen", k.Lacks("\\Seen")),
    (b"RECENT", k.Recent()),
    (b"NEW", k.And((k.Recent(), k.Lacks("\\Seen")))),
    (b"OLD", k.Not(k.Recent())),
    (b"KEYWORD Junk", k.Has("Junk")),
    (b"UNKEYWORD $x", k.Lacks("$x")),
    (b"FROM ann", k.Header("from", "ann")),
    (b"TO ann", k.Header("to", "ann")),
    (b"CC ann", k.Header("cc", "ann")),
    (b"BCC ann", k.Header("bcc", "ann")),
    (b'SUBJECT ""', k.Header("subject", "")),
    (b'HEADER List-Id "x y"', k.Header("list-id", "x y")),
    (b"BODY {5}\r\na b\r\n", k.Body("a b\r\n")),
    (b"TEXT NIL", k.Text("NIL")),
    (b"BEFORE 29-Feb-2024", k.Before(DAY)),
    (b'ON "29-feb-2024"', k.On(DAY)),
    (b"SINCE 29-FEB-2024", k.Since(DAY)),
    (b"SENTBEFORE 29-Feb-2024", k.SentBefore(DAY)),
    (b"SENTON 29-Feb-2024", k.SentOn(DAY)),
    (b"SENTSINCE 1-Mar-2024", k.SentSince(date(2024, 3, 1))),
    (b"LARGER 0", k.Larger(0)),
    (b"SMALLER 4294967295", k.Smaller(4294967295)),
    (b"1,3:*", k.Numbers(SequenceSet(((1, 1), (3, STAR))))),
    (b"*:3", k.Numbers(SequenceSet(((3, STAR),)))),
    (b"UID 5", k.Uid(SequenceSet(((5, 5),)))),
    (b"NOT SEEN", k.Not(k.Has("\\Seen"))),
    (b"NOT NOT ALL", k.Not(k.Not(k.All()))),
    (b"OR SEEN OR FROM a TO b", k.Or(k.Or(k.Has("\\Seen"), k.Header("from", "a")), k.Header("to", "b"))),
    (b"OR OR 1 2 OR NOT OR 3 4 5",
     k.Or(k.Or(k.Numbers(ONE), k.Numbers(SequenceSet(((2, 2),)))),
          k.Or(k.Not(k.Or(k.Numbers(SequenceSet(((3, 3),))), k.Numbers(SequenceSet(((4, 4),))))), k.Numbers(SequenceSet(((5, 5),)))))),
    (b"(ALL)", k.All()),
    (b"NOT (SEEN 1)", k.Not(k.And((k.Has("\\Seen"), k.Numbers(ONE))))),
    (b"OR (1 ALL) (ALL 1)", k.Or(k.And((k.Numbers(ONE), k.All())), k.And((k.All(), k.Numbers(ONE))))),
    (b"ALL CC x", k.And((k.All(), k.Header("cc", "x")))),
    (b"CHARSET US-ASCII TEXT a", k.Text("a")),
    (b'CHARSET "utf-8" TEXT {2}\r\n\xc3\xa9', k.Text("\u00e9")),
    (b'TEXT "\xc3\xa9"', k.Text("\u00e9")),
]  # fmt: skip


@pytest.mark.parametrize("spelled", [
    pytest.param(b"OR UID 7 " * 200 + b"UID 9", id="each-the-last-of-the-one-before"),
    pytest.param(b"OR " * 200 + b"UID 7 " * 200 + b"UID 9", id="each-the-first-of-the-one-before"),
])  # fmt: skip
def test_long_chains_of_or_are_no_deep_nesting(spelled):
    key, depth = event_of(b"A1 SEARCH " + spelled).key, 0
    while isinstance(key, k.Or):
        key, depth = key.left, depth + 1
    assert depth == 8


@pytest.mark.parametrize(("spelled", "key"), [pytest.param(*row, id=row[0].decode("latin-1")) for row in KEYS])
def test_a_search_key_becomes_its_value(spelled, key):
    assert event_of(b"A1 SEARCH " + spelled).key == key


@pytest.mark.parametrize(
    ("spelled", "text"),
    [
        pytest.param(b"", "search key", id="nothing"),
        pytest.param(b"FOO", "one space", id="unknown-without-argument"),
        pytest.param(b"FOO x", "no such key", id="unknown-with-argument"),
        pytest.param(b"ALL ", "search key", id="trailing-space"),
        pytest.param(b"ALL  ALL", "search key", id="two-spaces"),
        pytest.param(b"()", "search key", id="empty-list"),
        pytest.param(b"(ALL", "one space", id="unclosed-list"),
        pytest.param(b"ALL)", "one space", id="closed-too-often"),
        pytest.param(b"NOT", "one space", id="not-nothing"),
        pytest.param(b"OR ALL", "one space", id="or-with-one-key"),
        pytest.param(b"(NOT) ALL", "one space", id="not-closed-early"),
        pytest.param(b"BEFORE 30-Feb-2024", "no such date", id="no-such-day"),
        pytest.param(b"BEFORE 1-Foo-2024", "no such date", id="no-such-month"),
        pytest.param(b"BEFORE 2024-01-01", "a date such as", id="iso-date"),
        pytest.param(b'BEFORE "1-Feb-2024', "a date such as", id="half-quoted-date"),
        pytest.param(b"LARGER -1", "a number", id="negative-size"),
        pytest.param(b"LARGER 4294967296", "4294967295", id="size-too-large"),
        pytest.param(b"KEYWORD \\Seen", "a keyword", id="system-flag-as-keyword"),
        pytest.param(b"UID x", "message numbers", id="uid-of-letters"),
        pytest.param(b'TEXT "\xff"', "UTF-8", id="not-utf8"),
        pytest.param(b'CHARSET US-ASCII TEXT "\xc3\xa9"', "ASCII", id="not-ascii"),
        pytest.param(b"CHARSET UTF-8", "one space", id="charset-and-nothing"),
        pytest.param(b"NOT " * 32 + b"ALL", "32", id="too-deep"),
        pytest.param(b"(" * 40 + b"ALL" + b")" * 40, "32", id="too-many-parentheses"),
        pytest.param(b" ".join([b"ALL"] * 501), "500", id="too-many-keys"),
    ],
)
def test_a_badly_spelled_search_is_bad(spelled, text):
    event = event_of(b"A1 SEARCH " + spelled)
    assert isinstance(event, c.Bad)
    assert text in event.text


def test_the_deepest_and_the_longest_search_are_understood():
    key = event_of(b"A1 SEARCH " + b"NOT " * 31 + b"ALL").key
    for _ in range(31):
        key = key.key
    assert key == k.All()
    assert len(event_of(b"A1 SEARCH " + b" ".join([b"ALL"] * 500)).key.keys) == 500


@pytest.mark.parametrize("charset", [b"KOI8-R", b'""', b"utf-7"])
def test_an_unknown_charset_is_refused_with_those_we_know(charset):
    event = event_of(b"A1 SEARCH CHARSET " + charset + b" ALL")
    assert event == c.No(b"A1", b"BADCHARSET (US-ASCII UTF-8)", "We search in US-ASCII and UTF-8")


@pytest.mark.parametrize("command", [b"SORT (DATE) KOI8-R ALL", b"THREAD REFS KOI8-R ALL"])
def test_where_a_charset_must_be_said_an_unknown_one_is_refused_too(command):
    assert event_of(b"A1 " + command) == c.No(b"A1", b"BADCHARSET (US-ASCII UTF-8)", "We search in US-ASCII and UTF-8")


def test_numbers_stay_while_a_command_without_uid_is_answered():
    for line, keeps in [
        (b"FETCH 1 FLAGS", True),
        (b"STORE 1 FLAGS ()", True),
        (b"SEARCH ALL", True),
        (b"SORT (DATE) UTF-8 ALL", True),
        (b"THREAD REFS UTF-8 ALL", True),
        (b"NOOP", False),
        (b"COPY 1 x", False),
    ]:
        assert event_of(b"A1 " + line).keeps_numbers is keeps
    for line in (b"UID FETCH 1 FLAGS", b"UID STORE 1 FLAGS ()", b"UID SEARCH ALL", b"UID SORT (DATE) UTF-8 ALL"):
        assert event_of(b"A1 " + line).keeps_numbers is False


def test_secrets_are_not_in_the_representation_of_values():
    for event in (c.Login(T, "ann", "s3cret"), c.Authenticate(T, "PLAIN", b"s3cret"), c.AuthResponse(T, b"s3cret")):
        assert isinstance(event, Ask)
        assert "s3cret" not in repr(event)
