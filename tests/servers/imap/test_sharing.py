"""Two users and what one lets the other do, over the wire: every command asks for its rights, and a right that goes is gone at once."""

from __future__ import annotations

import errno
import re

import pytest
from zope.interface.verify import verifyObject

from tests.dialogues.imap_house import THREE, Guest, ImapHouse, mail
from tests.helpers import result_of
from twistmail import disk
from twistmail.facts import Entered, Granted
from twistmail.mail.account import Account
from twistmail.mail.acl import LETTERS, read
from twistmail.mail.circles import Circles, Role
from twistmail.memory.store import MailStore as MemoryStore
from twistmail.store.mailstore import MailStore
from twistmail.store_interfaces import IMailbox, IMailboxes
from twistmail.tasks import Inline

BOB, CAROL = "bob two", "carol three"
INFO = "info@here.example"
THERE = '"Other users/ann@here.example/Work"'
PLACE = "Other users/ann@here.example/Work"
NOW = 1795231200.0


async def plenty(account):
    """What an account may hold: much, but there is a limit."""
    return 1 << 30, None


@pytest.fixture(params=["memory", "disk"])
def house(request, tmp_path):
    store = MemoryStore(lambda: NOW, quota_of=plenty)
    if request.param == "disk":
        store = MailStore(tmp_path, None, disk.InlineCommitter(), Inline(), now=lambda: NOW, quota_of=plenty)
    made = ImapHouse(store=store)
    for name, password in (("bob", "two"), ("carol", "three")):
        made.people.add(Account(f"{name}@here.example"), password)
    made.people.add(Account(INFO), "nobody knows")
    circles = Circles({"office": frozenset({"bob@here.example"})}, {INFO: Role(("group=office",), read("lrswipkxte"))})
    made.share(circles, admins=("carol@here.example",))
    result_of(made.mailboxes().create("Work"))
    made.put(*THREE, name="Work")
    yield made
    store.close()


def ann(house, *lines, select=""):
    guest = Guest(house, select=select)
    for line in lines:
        assert " OK" in guest.say(f"x {line}")[-1]
    return guest


def bob(house, rights, *, select=True):
    """Bob, who has got *rights* in Ann's mailbox Work."""
    ann(house, f"SETACL Work bob {rights}")
    return Guest(house, who=BOB, select=THERE if select else "")


def last(guest, command):
    return guest.say(f"a {command}")[-1]


# ----- names


def listed(guest, pattern="*"):
    return [line.rpartition(' "/" ')[2].strip('"') for line in guest.say(f'a LIST "" "{pattern}"')[:-1]]


def test_only_what_may_be_listed_is_listed(house):
    guest = Guest(house, who=BOB)
    assert not [name for name in listed(guest) if name.startswith("Other")]
    ann(house, "CREATE Work/Open", "CREATE Work/Closed", "SETACL Work/Open bob lr", "SETACL Work/Closed bob r")
    assert [name for name in listed(guest) if name.startswith("Other")] == [
        "Other users", "Other users/ann@here.example", PLACE, PLACE + "/Open"]  # fmt: skip
    lines = guest.say('a LIST "" "Other users/*"')
    assert f'* LIST (\\Noselect \\HasChildren) "/" "{PLACE}"' in lines
    assert f'* LIST (\\HasNoChildren) "/" "{PLACE}/Open"' in lines
    ann(house, "DELETEACL Work/Open bob")
    assert not [name for name in listed(guest) if name.startswith("Other")]


def test_list_tells_rights(house):
    """RFC 8440: behind each name that is a mailbox."""
    ann(house, "CREATE Work/Open", "SETACL Work/Open bob lrk", "SETACL INBOX bob lrsw")
    guest = Guest(house, who=BOB)
    assert guest.say('a LIST "" ("Sent" "Other users/*") RETURN (MYRIGHTS)') == [
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        "* MYRIGHTS Sent lrswipkxteacd",
        '* LIST (\\NonExistent \\HasChildren) "/" "Other users/ann@here.example"',
        '* LIST (\\HasNoChildren) "/" "Other users/ann@here.example/INBOX"',
        '* MYRIGHTS "Other users/ann@here.example/INBOX" lrsw',
        f'* LIST (\\NonExistent \\HasChildren) "/" "{PLACE}"',
        f'* LIST (\\HasNoChildren) "/" "{PLACE}/Open"',
        f'* MYRIGHTS "{PLACE}/Open" lrkc',
        "a OK Done",
    ]
    assert guest.say('a LIST (SUBSCRIBED RECURSIVEMATCH) "" "Other users/%" RETURN (MYRIGHTS)') == ["a OK Done"]


def test_status_and_annotations_are_told_of_what_may_be_read(house):
    guest = bob(house, "lr", select=False)
    ann(house, "CREATE Work/Closed", "SETACL Work/Closed bob l", 'SETMETADATA Work (/shared/comment "for all" /private/comment "for me")')
    lines = guest.say('a LIST "" "Other users/*" RETURN (STATUS (MESSAGES))')
    assert [line for line in lines if "STATUS" in line] == [f'* STATUS "{PLACE}" (MESSAGES 3)']
    lines = guest.say('a LIST "" "Other users/*" RETURN (METADATA (/shared/comment /private/comment))')
    assert f'* METADATA "{PLACE}" (/shared/comment "for all" /private/comment NIL)' in lines
    assert guest.say(f"a GETMETADATA {THERE} (/private/comment)")[0] == f'* METADATA "{PLACE}" (/private/comment NIL)'
    assert last(guest, f'SETMETADATA {THERE} (/private/comment "mine")').startswith("a NO [METADATA NOPRIVATE]")
    assert last(guest, f'SETMETADATA {THERE} (/shared/comment "ours")').startswith("a OK")
    assert last(guest, f'GETMETADATA {THERE[:-1]}/Closed" (/shared/comment)').startswith("a NO [NOPERM]")
    assert last(ann(house), 'SETMETADATA Work (/server/acl "{}")').startswith("a BAD")


def test_the_quota_of_a_mailbox_is_that_of_its_owner(house):
    guest = bob(house, "lr", select=False)
    assert guest.say(f"a GETQUOTAROOT {THERE}")[0] == f'* QUOTAROOT "{PLACE}" ann@here.example'
    assert guest.say("a GETQUOTAROOT INBOX")[0] == "* QUOTAROOT INBOX bob@here.example"
    assert last(guest, 'GETQUOTAROOT "Other users/ann@here.example/INBOX"').startswith("a NO [NONEXISTENT]")


def test_a_search_in_several_mailboxes_leaves_out_what_may_not_be_read(house):
    ann(house, "CREATE Work/Closed", "SETACL Work/Closed bob lip")
    guest = bob(house, "lr", select=False)
    lines = guest.say(f"a ESEARCH IN (subtree {THERE}) RETURN (COUNT) ALL")
    assert [line for line in lines if "COUNT" in line] == [line for line in lines if PLACE + '"' in line]
    assert len(lines) == 2


def test_special_uses_of_others_are_not_told(house):
    ann(house, "SETACL Sent bob lr")
    lines = Guest(house, who=BOB).say('a LIST "" *')
    assert '* LIST (\\HasNoChildren) "/" "Other users/ann@here.example/Sent"' in lines
    assert '* LIST (\\HasNoChildren \\Sent) "/" Sent' in lines


def test_subscriptions_are_one_s_own(house):
    guest = bob(house, "lr", select=False)
    assert last(guest, f"SUBSCRIBE {THERE}").startswith("a OK")
    assert f'* LSUB () "/" "{PLACE}"' in guest.say('a LSUB "" *')
    assert not [line for line in ann(house).say('a LSUB "" *') if "Other" in line]
    ann(house, "DELETEACL Work bob")
    assert f'* LSUB (\\Noselect) "/" "{PLACE}"' in guest.say('a LSUB "" *')


def test_one_s_own_mailboxes_are_not_among_those_of_others(house):
    guest = ann(house)
    assert last(guest, f"SELECT {THERE}").startswith("a NO [NONEXISTENT]")


# ----- every command

COMMANDS = [
    pytest.param("SELECT {there}", "r", id="select"),
    pytest.param("EXAMINE {there}", "r", id="examine"),
    pytest.param("STATUS {there} (MESSAGES)", "r", id="status"),
    pytest.param("APPEND {there} {{5+}}\r\nhello", "i", id="append"),
    pytest.param("CREATE {below}", "k", id="create"),
    pytest.param("RENAME {there} {new}", "x", id="rename"),
    pytest.param("DELETE {there}", "x", id="delete"),
    pytest.param("GETACL {there}", "a", id="getacl"),
    pytest.param("SETACL {there} carol l", "a", id="setacl"),
    pytest.param("DELETEACL {there} carol", "a", id="deleteacl"),
    pytest.param("LISTRIGHTS {there} carol", "a", id="listrights"),
]


def filled(command):
    return command.format(there=THERE, below=THERE[:-1] + '/New"', new='"Other users/ann@here.example/New"')


@pytest.mark.parametrize(("command", "right"), COMMANDS)
def test_a_command_wants_its_right(house, command, right):
    others = "".join(letter for letter in LETTERS if letter != right)
    guest = bob(house, others, select=False)
    assert last(guest, filled(command)).startswith("a NO [NOPERM]")
    hidden = Guest(house, who=CAROL)
    answer = last(hidden, filled(command))
    assert answer.startswith(("a NO [NONEXISTENT]", "a NO [TRYCREATE]") if right != "k" else "a NO [NOPERM]")
    assert answer.replace("Work", "Nix") == last(hidden, filled(command).replace("Work", "Nix")), "no word tells that it is there"
    ann(house, f"SETACL Work bob l{right}", f"SETACL INBOX bob {right}")
    if "RENAME" not in command:
        assert last(guest, filled(command)).startswith("a OK")


def test_a_rename_wants_k_above_the_new_name(house):
    guest = bob(house, "lx", select=False)
    assert last(guest, f'RENAME {THERE} "Other users/ann@here.example/Work2"').startswith("a NO [NOPERM]")
    ann(house, "CREATE Place", "SETACL Place bob k")
    assert last(guest, f'RENAME {THERE} "Other users/ann@here.example/Place/Work"').startswith("a OK")
    assert ann(house).say("a GETACL Place/Work")[0] == "* ACL Place/Work ann@here.example lrswipkxteacd bob@here.example lxc"
    assert last(guest, 'RENAME "Other users/ann@here.example/Place/Work" Mine').startswith("a NO [CANNOT]")


@pytest.mark.parametrize(
    ("command", "rights"),
    [
        pytest.param("FETCH 1 FLAGS", "", id="fetch"),
        pytest.param("SEARCH ALL", "", id="search"),
        pytest.param("COPY 1 INBOX", "", id="copy-from-here"),
        pytest.param("STORE 1 +FLAGS (\\Seen)", "s", id="seen"),
        pytest.param("STORE 1 +FLAGS (\\Deleted)", "t", id="deleted"),
        pytest.param("STORE 1 +FLAGS (\\Flagged)", "w", id="flagged"),
        pytest.param("STORE 1 -FLAGS (Junk)", "w", id="keyword"),
        pytest.param("STORE 1 FLAGS (Junk)", "w", id="set"),
        pytest.param("EXPUNGE", "e", id="expunge"),
        pytest.param("UID EXPUNGE 1", "e", id="uid-expunge"),
        pytest.param("MOVE 1 INBOX", "te", id="move-from-here"),
        pytest.param("COPY 1 {there}", "i", id="copy-to-here"),
    ],
)
def test_what_can_be_done_to_a_selected_mailbox(house, command, rights):
    guest = bob(house, "lr" + rights)
    assert last(guest, filled(command)).startswith("a OK")
    for right in rights:
        lacking = "".join(letter for letter in LETTERS if letter != right)
        ann(house, f"SETACL Work bob {lacking}")
        assert last(guest, filled(command)).startswith("a NO [NOPERM]")


def flags_of(house, name="Work"):
    return [re.search(r"FLAGS \((.*?)\)", line)[1] for line in ann(house).say(f"a EXAMINE {name}\r\nb FETCH 1:* FLAGS") if "FETCH" in line]


@pytest.mark.parametrize(
    ("rights", "change", "after"),
    [
        pytest.param("s", "+FLAGS (\\Seen \\Deleted Junk)", "\\Answered \\Deleted \\Seen Old", id="what-may-be-set-is-set"),
        pytest.param("t", "-FLAGS (\\Seen \\Deleted Old)", "\\Answered Old", id="what-may-be-cleared-is-cleared"),
        pytest.param("s", "FLAGS (\\Seen)", "\\Answered \\Deleted \\Seen Old", id="set-leaves-the-others"),
        pytest.param("w", "FLAGS (\\Seen Junk)", "\\Deleted Junk", id="set-clears-what-may-be-cleared"),
        pytest.param("wt", "FLAGS ()", "", id="set-nothing"),
        pytest.param("stw", "FLAGS (\\Draft)", "\\Draft", id="all"),
    ],
)
def test_flags_change_as_far_as_they_may(house, rights, change, after):
    guest = bob(house, "lr" + rights)
    ann(house, "SELECT Work", "STORE 1 FLAGS (\\Answered \\Deleted Old)")
    assert last(guest, f"STORE 1 {change}").startswith("a OK")
    assert flags_of(house)[0] == after


def test_reading_marks_nothing_as_seen_without_s(house):
    guest = bob(house, "lrw")
    assert not [line for line in guest.say("a FETCH 1 BODY[]") if "Seen" in line]
    assert flags_of(house)[0] == ""
    guest = bob(house, "lrs")
    assert [line for line in guest.say("a FETCH 1 BODY[]") if "Seen" in line]
    assert flags_of(house)[0] == "\\Seen"


def test_close_expunges_nothing_without_e(house):
    guest = bob(house, "lrt")
    assert last(guest, "STORE 1 +FLAGS.SILENT (\\Deleted)").startswith("a OK")
    assert last(guest, "CLOSE").startswith("a OK")
    assert len(flags_of(house)) == 3
    guest = bob(house, "lre")
    assert last(guest, "CLOSE").startswith("a OK")
    assert len(flags_of(house)) == 2


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        pytest.param("", "() READ-ONLY", id="nothing"),
        pytest.param("lpkxa", "() READ-ONLY", id="nothing-that-changes-messages"),
        pytest.param("i", "() READ-WRITE", id="insert"),
        pytest.param("e", "() READ-WRITE", id="expunge"),
        pytest.param("s", "(\\Seen) READ-WRITE", id="seen"),
        pytest.param("t", "(\\Deleted) READ-WRITE", id="deleted"),
        pytest.param("w", "(\\Answered \\Flagged \\Draft \\*) READ-WRITE", id="write"),
        pytest.param("stw", "(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*) READ-WRITE", id="all-flags"),
    ],
)
def test_select_tells_what_can_be_changed(house, rights, told):
    """RFC 4314 §5.1.1, §5.2."""
    guest = bob(house, "lr" + rights, select=False)
    lines = guest.say(f"a SELECT {THERE}")
    flags, code = told.rsplit(" ", 1)
    assert [line for line in lines if "PERMANENTFLAGS" in line] == [f"* OK [PERMANENTFLAGS {flags}] These can be changed"]
    assert lines[-1].startswith(f"a OK [{code}]")
    if code == "READ-ONLY":
        assert last(guest, "STORE 1 +FLAGS (x)").startswith("a NO [READ-ONLY]")
    assert guest.say(f"a EXAMINE {THERE}")[-1].startswith("a OK [READ-ONLY]")


def test_appended_flags_are_left_out_where_they_may_not_be_set(house):
    guest = bob(house, "lris", select=False)
    assert last(guest, f"APPEND {THERE} (\\Seen \\Deleted Junk) {{5+}}\r\nhello").startswith("a OK")
    assert flags_of(house)[-1] == "\\Seen"


# ----- COPY and MOVE between accounts


def test_messages_go_from_one_account_to_another_with_flags_and_dates(house):
    ann(house, "SELECT Work", "STORE 2 FLAGS (\\Flagged Junk)")
    guest = bob(house, "lrte")
    before = guest.say("a UID FETCH 2:3 (UID INTERNALDATE RFC822.SIZE)")
    answer = last(guest, "COPY 2:3 INBOX")
    assert re.match(r"a OK \[COPYUID \d+ 2:3 1:2\]", answer)
    guest.say("s SELECT INBOX")
    assert guest.say("a FETCH 1 FLAGS")[0] == "* 1 FETCH (FLAGS (\\Flagged \\Recent Junk))"
    after = guest.say("a UID FETCH 1:2 (UID INTERNALDATE RFC822.SIZE)")
    assert [re.search("INTERNALDATE.*", line)[0] for line in after[:-1]] == [re.search("INTERNALDATE.*", line)[0] for line in before[:-1]]


def test_what_is_moved_to_another_account_is_gone_here(house):
    guest = bob(house, "lrte")
    answers = guest.say("a MOVE 1:2 INBOX")
    assert re.match(r"\* OK \[COPYUID \d+ 1:2 1:2\]", answers[0])
    assert answers[1:-1] == ["* 2 EXPUNGE", "* 1 EXPUNGE"]
    assert guest.say("a STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 2)"
    assert len(flags_of(house)) == 1


def test_a_copy_into_another_account_leaves_out_the_flags_that_may_not_be_set(house):
    """RFC 4314 §4, the example."""
    guest = bob(house, "rwis", select=False)
    result_of(result_of(house.store.mailboxes("bob@here.example")).create("Mine"))
    for flags in ("\\Draft \\Deleted", "\\Answered", "$Forwarded \\Seen"):
        guest.say(f"a APPEND Mine ({flags}) {{5+}}\r\nhello")
    guest.say("a SELECT Mine")
    assert last(guest, f"COPY 1:3 {THERE}").startswith("a OK")
    assert flags_of(house)[3:] == ["\\Draft", "\\Answered", "\\Seen $Forwarded"]
    ann(house, "SETACL Work bob rsti")
    assert last(guest, f"COPY 1:3 {THERE}").startswith("a OK")
    assert flags_of(house)[6:] == ["\\Deleted", "", "\\Seen"]


def test_a_copy_inside_another_account_is_left_out_the_same_flags(house):
    ann(house, "SELECT Work", "STORE 1 FLAGS (\\Answered \\Seen)", "SETACL INBOX bob lis")
    guest = bob(house, "lr")
    assert last(guest, 'COPY 1 "Other users/ann@here.example/INBOX"').startswith("a OK")
    assert flags_of(house, "INBOX") == ["\\Seen"]


def test_nothing_is_copied_where_there_is_no_room(house, monkeypatch):
    guest = bob(house, "lrte")
    monkeypatch.setattr(type(house.mailbox()), "append", _full)
    assert last(guest, "MOVE 1:3 INBOX").startswith("a NO [OVERQUOTA]")
    assert len(flags_of(house)) == 3
    assert guest.say("a STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 0)"


async def _full(self, messages, freed=()):
    raise OSError(errno.EDQUOT, "the mailbox is full")


# ----- a right that goes


def test_who_may_not_read_any_more_is_thrown_out_in_the_midst_of_idle(house):
    guest = bob(house, "lr")
    guest.say("i IDLE")
    owner = ann(house, "SETACL Work bob -r")
    guest.settle()
    assert [line[:6] for line in guest.heard()] == ["* BYE "]
    assert last(owner, "NOOP").startswith("a OK")
    again = Guest(house, who=BOB)
    assert last(again, f"SELECT {THERE}").startswith("a NO [NOPERM]")


@pytest.mark.parametrize("command", ["FETCH 1 BODY[]", "NOOP", "SEARCH TEXT hello", "COPY 1 INBOX"])
def test_who_may_not_read_any_more_gets_nothing_more(house, command):
    guest = bob(house, "lrs")
    ann(house, "DELETEACL Work bob")
    assert [line[:6] for line in guest.say(f"a {command}")] == ["* BYE "]


def test_idle_tells_that_a_mailbox_has_become_read_only_and_back(house):
    guest = bob(house, "lrsw")
    guest.say("i IDLE")
    owner = ann(house, "SETACL Work bob lr")
    guest.settle()
    assert guest.heard()[-2:] == ["* OK [PERMANENTFLAGS ()] These can be changed", "* OK [READ-ONLY] Your rights have changed"]
    assert guest.say("DONE")[-1].startswith("i OK")
    assert last(guest, "STORE 1 +FLAGS (\\Seen)").startswith("a NO [READ-ONLY]")
    assert last(owner, "SETACL Work bob +t").startswith("a OK")
    assert guest.say("a NOOP")[:-1] == [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        "* OK [PERMANENTFLAGS (\\Deleted)] These can be changed",
        "* OK [READ-WRITE] Your rights have changed",
    ]
    assert guest.say("a NOOP") == ["a OK Done"]


def test_what_is_granted_to_all_is_taken_from_one(house):
    ann(house, "SETACL Work anyone lrs")
    guest = Guest(house, who=BOB, select=THERE)
    other = Guest(house, who=CAROL, select=THERE)
    ann(house, "SETACL Work -bob r")
    assert [line[:6] for line in guest.say("a NOOP")] == ["* BYE "]
    assert last(other, "NOOP").startswith("a OK")


def test_who_leaves_a_group_loses_what_it_had(house):
    ann(house, "SETACL Work group=office lr")
    guest = Guest(house, who=BOB, select=THERE)
    house.share(Circles())
    assert [line[:6] for line in guest.say("a NOOP")] == ["* BYE "]


def test_a_mailbox_that_goes_takes_its_list_along(house):
    guest = bob(house, "lr", select=False)
    ann(house, "DELETE Work", "CREATE Work")
    assert last(guest, f"SELECT {THERE}").startswith("a NO [NONEXISTENT]")


def test_notify_tells_of_the_mailboxes_of_others_as_far_as_they_may_be_read(house):
    """RFC 5465 §3: r for what happens to messages; whatever is personal is one's own."""
    ann(house, "CREATE Work/Closed", "SETACL Work/Closed bob l")
    guest = bob(house, "lr", select=False)
    assert last(guest, f"NOTIFY SET (subtree {THERE} (MessageNew MessageExpunge))").startswith("a OK")
    owner = ann(house, "APPEND Work {5+}\r\nhello", "APPEND Work/Closed {5+}\r\nhello")
    guest.settle()
    assert [line.split(" (")[0] for line in guest.heard()] == [f'* STATUS "{PLACE}"']
    assert last(guest, "NOTIFY SET (personal (MessageNew MessageExpunge))").startswith("a OK")
    assert last(owner, "APPEND Work {5+}\r\nhello").startswith("a OK")
    guest.settle()
    assert guest.heard() == []
    assert last(guest, f"NOTIFY SET (mailboxes {THERE} (MessageNew MessageExpunge))").startswith("a OK")
    assert last(owner, "SETACL Work bob l").startswith("a OK")
    assert last(owner, "APPEND Work {5+}\r\nhello").startswith("a OK")
    guest.settle()
    assert guest.heard() == []


def test_notify_tells_what_is_shared_from_now_on_and_what_no_longer(house):
    """RFC 5465 §5.9. Nobody had shared anything with bob before."""
    guest = Guest(house, who=BOB)
    assert last(guest, "NOTIFY SET (subtree \"Other users\" (MailboxName MessageNew MessageExpunge))").startswith("a OK")
    owner = ann(house, "SETACL Work bob lr")
    guest.settle()
    assert guest.heard() == [f'* LIST (\\HasNoChildren) "/" "{PLACE}"', f'* STATUS "{PLACE}" (MESSAGES 3 UIDNEXT 4)']
    assert last(owner, "APPEND Work {5+}\r\nhello").startswith("a OK")
    guest.settle()
    assert guest.heard() == [f'* STATUS "{PLACE}" (MESSAGES 4 UIDNEXT 5)']
    assert last(owner, "CREATE Work/More").startswith("a OK")
    guest.settle()
    assert [line for line in guest.heard() if "/More" in line and "LIST" in line] == [f'* LIST (\\HasNoChildren) "/" "{PLACE}/More"']
    assert last(owner, "SETACL Work carol lr").startswith("a OK")
    guest.settle()
    assert guest.heard() == [], "that is nothing to him"
    assert last(owner, "DELETEACL Work bob").startswith("a OK")
    guest.settle()
    assert guest.heard() == [f'* LIST (\\NoAccess \\NonExistent \\HasChildren) "/" "{PLACE}"']
    assert last(owner, "APPEND Work {5+}\r\nhello").startswith("a OK")
    guest.settle()
    assert guest.heard() == []
    assert last(guest, "NOTIFY NONE").startswith("a OK")
    assert last(owner, "SETACL Work bob lr").startswith("a OK")
    guest.settle()
    assert guest.heard() == []


def test_notify_tells_a_new_member_of_a_group_what_is_his(house):
    ann(house, "SETACL Work group=office lr")
    guest = Guest(house, who=CAROL)
    assert last(guest, "NOTIFY SET (mailboxes " + THERE + " (MessageNew MessageExpunge))").startswith("a OK")
    house.share(Circles({"office": frozenset({"bob@here.example", "carol@here.example"})}))
    guest.settle()
    assert guest.heard() == [f'* LIST (\\HasNoChildren) "/" "{PLACE}"', f'* STATUS "{PLACE}" (MESSAGES 3 UIDNEXT 4)']


def test_what_is_private_to_an_owner_is_not_even_told_to_have_changed(house):
    guest = bob(house, "lr", select=False)
    assert last(guest, "ENABLE METADATA").startswith("a OK")
    ann(house, 'SETMETADATA Work (/private/comment "mine")', "SETACL Work carol l", 'SETMETADATA INBOX (/shared/comment "x")')
    assert guest.say("a NOOP") == ["a OK Done"]
    ann(house, 'SETMETADATA Work (/shared/comment "ours" /private/comment NIL)')
    assert guest.say("a NOOP")[0] == f'* METADATA "{PLACE}" /shared/comment'


def test_a_search_of_what_is_personal_is_one_of_one_s_own_mailboxes(house):
    guest = bob(house, "lr", select=False)
    assert guest.say("a APPEND INBOX {5+}\r\nhello")[-1].startswith("a OK")
    lines = guest.say("a ESEARCH IN (personal) RETURN (COUNT) ALL")
    assert [PLACE in line for line in lines if "COUNT" in line] == [False]


def test_accounts_are_found_by_who_stands_in_their_lists(house):
    lists = house.sharing.lists
    bob(house, "lr", select=False)
    assert (lists.sharers("bob@here.example"), lists.sharers("carol@here.example")) == ({"ann@here.example"}, set())
    ann(house, "SETACL Work group=office lr", "DELETEACL Work bob")
    assert lists.sharers("bob@here.example") == {"ann@here.example"}
    ann(house, "SETACL Work anyone l")
    assert lists.sharers("carol@here.example") == {"ann@here.example"}
    ann(house, "DELETE Work")
    assert (lists.sharers("bob@here.example"), lists._granting) == (set(), {})


def test_who_is_no_user_any_more_shares_nothing_and_gets_no_mailbox_by_that(house):
    guest = bob(house, "lrk", select=False)
    result_of(house.store.remove_account("ann@here.example"))
    del house.people.accounts["ann@here.example"]
    assert not [name for name in listed(guest) if name.startswith("Other")]
    for command in (f"SELECT {THERE}", f"STATUS {THERE} (MESSAGES)", f"APPEND {THERE} {{5+}}\r\nhello"):
        assert last(guest, command).startswith(("a NO [NONEXISTENT]", "a NO [TRYCREATE]"))
    assert last(guest, f'CREATE {THERE[:-1]}/New"').startswith("a NO")
    assert not hasattr(house.store, "_root") or not (house.store._root / "mail" / "here.example" / "ann").exists()


def test_nothing_is_watched_that_nobody_has_open(house):
    guest = bob(house, "lr")
    assert house.sharing.lists._watchers
    guest.say("a UNSELECT")
    assert not house.sharing.lists._watchers


# ----- the house and its roles


def test_members_of_a_role_find_its_mailboxes_among_the_shared_ones(house):
    guest = Guest(house, who=BOB)
    assert [name for name in listed(guest) if name.startswith("Shared")] == [
        "Shared", "Shared/info@here.example", *(f"Shared/info@here.example/{name}" for name in
                                                ("Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"))]  # fmt: skip
    assert guest.say("a MYRIGHTS Shared/info@here.example/INBOX")[0] == "* MYRIGHTS Shared/info@here.example/INBOX lrswipkxtecd"
    assert last(guest, "CREATE Shared/info@here.example/Orders").startswith("a OK")
    assert last(guest, "SELECT Shared/info@here.example/Orders").startswith("a OK [READ-WRITE]")
    assert last(guest, "SETACL Shared/info@here.example/Orders carol lr").startswith("a NO [NOPERM]")
    assert not [name for name in listed(ann(house)) if name.startswith("Shared")]
    assert last(ann(house), "SELECT Shared/info@here.example/INBOX").startswith("a NO [NONEXISTENT]")


def test_the_mailboxes_of_the_house_are_made_by_its_admins(house):
    admin, guest = Guest(house, who=CAROL), Guest(house, who=BOB)
    assert last(guest, "CREATE Shared/News").startswith("a NO [NOPERM]")
    assert last(admin, "CREATE Shared/News").startswith("a OK")
    assert last(admin, "SETACL Shared/News anyone lrsip").startswith("a OK")
    assert last(admin, "SETACL Shared/News owner l").startswith("a OK")
    assert listed(guest, "Shared/%") == ["Shared/News", "Shared/info@here.example"]
    assert last(guest, "APPEND Shared/News {5+}\r\nhello").startswith("a OK")
    assert admin.say("a STATUS Shared/News (MESSAGES)")[0] == "* STATUS Shared/News (MESSAGES 1)"
    assert last(admin, "LISTRIGHTS Shared/News carol").startswith("a OK")
    assert admin.say("a LISTRIGHTS Shared/News carol")[0].startswith("* LISTRIGHTS Shared/News carol la ")


def test_it_is_told_who_has_entered_and_what_was_granted(house):
    told = []
    house.facts.listen(lambda fact: told.append(fact.what))
    bob(house, "lrs")
    assert Granted("ann@here.example", "ann@here.example", "Work", "bob@here.example", "lrs") in told
    assert Entered("bob@here.example", "ann@here.example", "Work", writes=True) in told
    ann(house, select="Work")
    assert [what for what in told if isinstance(what, Entered)] == [Entered("bob@here.example", "ann@here.example", "Work", writes=True)]


# ----- what the command families are given


def test_a_tree_and_its_mailboxes_are_what_stores_have(house):
    """Whatever the interfaces get, these must get too: else the rights would not be asked for."""
    tree = house.sharing.tree("bob@here.example", result_of(house.store.mailboxes("bob@here.example")), "c1")
    verifyObject(IMailboxes, tree)
    ann(house, "SETACL Work bob lr")
    opened = result_of(tree.open(PLACE))
    verifyObject(IMailbox, opened)
    known = {name for name in dir(opened) if not name.startswith("_")}
    assert known - set(IMailbox.names()) == {"account", "inner", "look", "need"}
    opened.close()


# ----- without


def test_without_sharing_nothing_is_told_of_it():
    house = ImapHouse()
    house.put(mail("x"))
    guest = Guest(house)
    assert guest.say("a NAMESPACE")[0] == '* NAMESPACE (("" "/")) NIL NIL'
    assert " ACL" not in guest.say("a CAPABILITY")[0]
    assert last(guest, "GETACL INBOX").startswith("a BAD")
    house.share()
    assert " ACL RIGHTS=texk" in Guest(house).say("a CAPABILITY")[0]


def test_own_mailboxes_that_are_called_like_a_namespace_are_shown_by_another_name(house):
    """They were there before anything was shared. Whoever shares nothing has nothing to do with it."""
    own = house.mailboxes()
    for name in ("Shared/2019", "Shared (mine)", "Other users"):
        result_of(own.create(name))
    house.put(*THREE, name="Shared/2019")
    guest = Guest(house)
    said = [line for line in guest.say('a LIST "" *') if "mine" in line]
    assert said == ['* LIST (\\HasNoChildren) "/" "Other users (mine)"', '* LIST (\\HasChildren) "/" "Shared (mine)"',
                    '* LIST (\\HasNoChildren) "/" "Shared (mine) (mine)"', '* LIST (\\HasNoChildren) "/" "Shared (mine)/2019"']  # fmt: skip
    assert guest.say('b STATUS "Shared (mine)/2019" (MESSAGES)')[0] == '* STATUS "Shared (mine)/2019" (MESSAGES 3)'
    assert "* 3 EXISTS" in guest.say('c SELECT "Shared (mine)/2019"')
    assert last(guest, 'COPY 1 "Shared (mine) (mine)"').startswith("a OK [COPYUID")
    assert last(guest, 'NOTIFY SET (mailboxes "Other users (mine)" (MessageNew MessageExpunge))').startswith("a OK")
    house.put(*THREE, name="Other users")
    guest.settle()
    assert guest.heard() == ['* STATUS "Other users (mine)" (MESSAGES 3 UIDNEXT 4)']
    assert last(guest, 'SUBSCRIBE "Shared (mine)/2019"').startswith("a OK")
    assert guest.say('d LIST (SUBSCRIBED) "" "Shared*"')[0] == '* LIST (\\HasNoChildren \\Subscribed) "/" "Shared (mine)/2019"'
    guest.say("e UNSELECT")
    assert last(guest, 'RENAME "Shared (mine)/2019" Years').startswith("a OK")
    assert last(guest, "SELECT Years").startswith("a OK")
    assert sorted(folder.name for folder in result_of(own.folders()) if "Sha" in folder.name) == ["Shared", "Shared (mine)"]
    assert last(guest, "CREATE Shared/2020").startswith("a NO")
