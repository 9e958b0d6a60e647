"""Every format keeps messages, flags and dates; the libraries and programs of others read what we write, and we what they write."""

import mailbox
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.formats import known, mbox
from twistmail.formats.contract import Found, NotThisFormat, Skipped
from twistmail.formats.known import found_at, named
from twistmail.formats.locks import locked
from twistmail.formats.streamed import SMALL
from twistmail.mail import lines
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage

FOUR = ("mbox", "mmdf", "mh", "maildir")
AT = 1_700_000_000.0
MESSAGE = b"Return-Path: <anna@blue.example>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n"


def written(form, path, messages):
    with named(form).writing(path) as writer:
        for message in messages:
            writer.add(message)


def read(form, path, **how):
    """All that lies at *path*, content as octets; and what was skipped."""
    with named(form, **how).reading(path) as found:
        everything = [(one, b"".join(one.message.content.chunks()) if isinstance(one, Found) else b"") for one in found]
    return (
        [(octets, frozenset(one.message.flags), one.message.internaldate) for one, octets in everything if isinstance(one, Found)],
        [one for one, _ in everything if isinstance(one, Skipped)],
    )


def message(octets=MESSAGE, *flags, at=AT):
    return NewMessage(Memory(octets), flags, at)


# ----- what is written is read


LINE = st.sampled_from(
    [
        b"From anna@blue.example Mon Nov 24 18:22:48 1986",
        b">From x",
        b">>>From ",
        b"From ",
        b"From here on",
        b"",
        b" folded",
        b"\t",
        b"\x01\x01\x01\x01",
        b">\x01\x01\x01\x01",
        b"\x01",
        b"Subject: x",
        b"X-Other: y",
        b"gr\xfc\xdfe \xff\x80",
        b".",
        b"a lone \r in it",
        b"text",
    ]
)
OCTETS = st.builds(lambda found, end: b"\r\n".join(found) + end, st.lists(LINE, min_size=1, max_size=12), st.sampled_from([b"", b"\r\n"]))
FLAGS = st.sets(st.sampled_from(["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "Junk"]), max_size=4)
MESSAGES = st.lists(
    st.builds(lambda octets, flags, at: message(octets, *sorted(flags), at=float(at)), OCTETS.filter(bool), FLAGS, st.integers(0, 2**32)),
    max_size=5,
)


@given(st.sampled_from(FOUR), MESSAGES)
@settings(max_examples=200, deadline=None)
def test_octets_flags_and_dates_come_back(form, messages):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "box"
        written(form, path, messages)
        found, skipped = read(form, path)
    ended = form in ("mbox", "mmdf")
    expected = [
        (one.content.data + (b"\r\n" if ended and not one.content.data.endswith(b"\n") else b""), frozenset(one.flags), one.internaldate)
        for one in messages
    ]
    assert found == expected
    assert skipped == []


def test_through_all_four_and_back_nothing_is_lost(tmp_path):
    chance = random.Random(4)
    first = [
        message(
            b"Subject: %d\r\n\r\nFrom me\r\n>From you\r\n%b\r\n" % (n, chance.randbytes(40).hex().encode()),
            *chance.sample(sorted(["\\Seen", "\\Flagged", "\\Answered", "Work"]), 2),
            at=AT + n,
        )
        for n in range(40)
    ]
    written("maildir", tmp_path / "0", first)
    for step, (source, target) in enumerate([("maildir", "mh"), ("mh", "mmdf"), ("mmdf", "mbox"), ("mbox", "maildir")]):
        with named(source).reading(tmp_path / str(step)) as found, named(target).writing(tmp_path / str(step + 1)) as writer:
            for one in found:
                writer.add(one.message)
    assert read("maildir", tmp_path / "4") == read("maildir", tmp_path / "0")
    assert len(read("mbox", tmp_path / "3")[0]) == 40


@pytest.mark.parametrize("form", FOUR)
def test_more_may_be_added_later(tmp_path, form):
    for n in range(3):
        written(form, tmp_path / "box", [message(b"Subject: %d\r\n\r\n" % n, "\\Seen" if n else "\\Flagged", at=AT + n)])
    assert [(found[0], found[1]) for found in read(form, tmp_path / "box")[0]] == [
        (b"Subject: 0\r\n\r\n", {"\\Flagged"}),
        (b"Subject: 1\r\n\r\n", {"\\Seen"}),
        (b"Subject: 2\r\n\r\n", {"\\Seen"}),
    ]


@pytest.mark.parametrize("form", FOUR)
def test_what_lies_there_is_found_out(tmp_path, form):
    written(form, named(form).path_of(tmp_path, "INBOX"), [message()])
    written(form, named(form).path_of(tmp_path, "Work/2024/Größe.x"), [message()])
    format = found_at(tmp_path)
    assert format.name == form
    names = sorted(name for name, _ in format.folders(tmp_path))
    assert names == (["Work/2024_/Größe.x", "inbox"] if form == "mh" else ["INBOX", "Work/2024/Größe.x"])


@pytest.mark.parametrize("form", ["mbox", "mmdf"])
def test_a_file_is_found_out_too(tmp_path, form):
    written(form, tmp_path / "box", [message()])
    assert found_at(tmp_path / "box").name == form
    (tmp_path / "other").write_bytes(b"Subject: no mailbox\n\n")
    with pytest.raises(NotThisFormat, match="neither Maildir nor MH"):
        found_at(tmp_path / "other")


# ----- mbox as others write it


def mbox_of(tmp_path, octets):
    (tmp_path / "box").write_bytes(octets)
    return tmp_path / "box"


FIRST = b"From a@b Mon Nov 24 18:22:48 1986\n"


@pytest.mark.parametrize(
    ("octets", "contents"),
    [
        pytest.param(FIRST + b"S: 1\n\nx\n\n" + FIRST + b"S: 2\n\ny\n", [b"S: 1\r\n\r\nx\r\n", b"S: 2\r\n\r\ny\r\n"], id="plain"),
        pytest.param(FIRST + b"S: 1\n\nx\n" + FIRST + b"S: 2\n\ny", [b"S: 1\r\n\r\nx\r\n", b"S: 2\r\n\r\ny"], id="no-empty-line-no-end"),
        pytest.param(FIRST + b"S: 1\n\nFrom me to you\n\n", [b"S: 1\r\n\r\nFrom me to you\r\n"], id="unquoted-prose"),
        pytest.param(FIRST + b"S: 1\n\nx\n\nFrom hell\n\n", [b"S: 1\r\n\r\nx\r\n\r\nFrom hell\r\n"], id="unquoted-prose-after-empty-line"),
        pytest.param(FIRST.replace(b"\n", b"\r\n") + b"S: 1\r\n\r\nx\r\n\r\n", [b"S: 1\r\n\r\nx\r\n"], id="crlf"),
        pytest.param(b"\n\n" + FIRST + b"S: 1\n\nx\n\n\n", [b"S: 1\r\n\r\nx\r\n\r\n"], id="empty-lines-around"),
        pytest.param(
            FIRST + b"Status: RO\nS: 1\nX-UID: 5\nX-Keywords:\n x\n\nStatus: RO\n", [b"S: 1\r\n\r\nStatus: RO\r\n"], id="fields-taken-off"
        ),
        pytest.param(FIRST + b"Status: NEW BUG\nS: 1\n\n\n", [b"Status: NEW BUG\r\nS: 1\r\n\r\n"], id="another-kind-of-status"),
        pytest.param(
            FIRST + b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n\n" + FIRST + b"S: 1\n\n\n",
            [b"S: 1\r\n\r\n"],
            id="bookkeeping",
        ),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_an_mbox_of_others_is_read(tmp_path, octets, contents):
    found, skipped = read("mbox", mbox_of(tmp_path, octets))
    assert [content for content, _, _ in found] == contents
    assert skipped == []


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        pytest.param(b"Status: RO\n", {"\\Seen"}, id="read"),
        pytest.param(b"Status: O\nX-Status: AF\n", {"\\Answered", "\\Flagged"}, id="old"),
        pytest.param(b"X-Status: DT\n", {"\\Deleted", "\\Draft"}, id="deleted-draft"),
        pytest.param(b"status: ro\n", {"\\Seen"}, id="any-case"),
        pytest.param(b"X-Keywords: $Junk  Work               \n", {"$Junk", "Work"}, id="padded-as-dovecot-does"),
        pytest.param(b"X-Keywords: a(b \\Seen %% ok\n", {"ok"}, id="only-what-can-be-one"),
        pytest.param(b"", set(), id="none"),
    ],
)
def test_flags_stand_in_the_header(tmp_path, fields, flags):
    assert read("mbox", mbox_of(tmp_path, FIRST + b"S: 1\n" + fields + b"\nx\n"))[0][0][:2] == (b"S: 1\r\n\r\nx\r\n", flags)


@pytest.mark.parametrize(
    ("postmark", "fields", "at"),
    [
        pytest.param(
            b"From a@b Mon Nov 24 18:22:48 1986\n", b"Received: from x; Mon, 1 Jan 2001 00:00:00 +0000\n", 533240568.0, id="from-line"
        ),
        pytest.param(
            b"From a@b 86-13-90 18:22 1986\n",
            b"Received: from x;\n Mon, 1 Jan 2001 00:00:00 +0100\nDate: Tue, 2 Jan 2001 00:00:00 +0000\n",
            978303600.0,
            id="received",
        ),
        pytest.param(b"From a@b 86-13-90 18:22 1986\n", b"Date: Tue, 2 Jan 2001 00:00:00 +0000\n", 978393600.0, id="date"),
        pytest.param(b"From a@b 86-13-90 18:22 1986\n", b"Date: yesterday\n", None, id="none"),
    ],
)
def test_when_it_arrived_is_told_by_the_from_line_else_by_the_header(tmp_path, postmark, fields, at):
    assert read("mbox", mbox_of(tmp_path, postmark + fields + b"\nx\n"))[0][0][2] == at


def test_what_is_no_message_is_told_by_its_line(tmp_path):
    path = mbox_of(tmp_path, b"junk\n" + FIRST + b"S: 1\n\n\n" + FIRST + b"\n" + FIRST + b"S: 2\n\n\n")
    found, skipped = read("mbox", path)
    assert len(found) == 2
    assert skipped == [Skipped(f"{path}:1", "text before the first message"), Skipped(f"{path}:6", "empty")]


def test_what_is_no_mbox_is_told(tmp_path):
    with pytest.raises(NotThisFormat, match="does not begin as mbox files do"):
        read("mbox", mbox_of(tmp_path, b"%PDF-1.4\n" * 1000))


def test_the_sender_of_the_from_line_is_the_return_path(tmp_path):
    written("mbox", tmp_path / "box", [message(MESSAGE, "\\Seen", "Work"), message(b"S: 1\r\n\r\n")])
    assert (tmp_path / "box").read_bytes() == (
        b"From anna@blue.example Tue Nov 14 22:13:20 2023\nX-Keywords: Work\nStatus: RO\n" + lines.to_lf(MESSAGE) + b"\n"
        b"From MAILER-DAEMON Tue Nov 14 22:13:20 2023\nS: 1\n\n\n"
    )


def test_a_message_that_cannot_be_written_whole_leaves_nothing(tmp_path):
    class Torn(Memory):
        def chunks(self):
            yield b"Subject: half\r\n"
            raise OSError(5, "Input/output error")

    written("mbox", tmp_path / "box", [message()])
    before = (tmp_path / "box").read_bytes()
    with pytest.raises(OSError, match="Input/output"):
        written("mbox", tmp_path / "box", [NewMessage(Torn(b""), (), AT)])
    assert (tmp_path / "box").read_bytes() == before
    with pytest.raises(OSError, match="Input/output"):
        written("maildir", tmp_path / "dir", [NewMessage(Torn(b""), (), AT)])
    assert [name for _, _, names in os.walk(tmp_path / "dir") for name in names] == []


@given(
    st.lists(
        st.sampled_from(
            [
                FIRST,
                b"From ",
                b"\n",
                b"\r\n",
                b"\n\n",
                b"From a@b 10:00 1999\n",
                b"S: x\n",
                b"\x01\x01\x01\x01\n",
                b"\0",
                b">",
                b"Status: RO\n",
            ]
        )
        | st.binary(max_size=9)
    )
)
@settings(max_examples=150, deadline=None)
def test_garbage_is_read_in_order_and_never_raises_but_the_one_thing(parts):
    octets = b"".join(parts)
    with tempfile.TemporaryDirectory() as place:
        path = mbox_of(Path(place), octets)
        for form in ("mbox", "mboxo", "mmdf"):
            try:
                found, _ = read(form, path)
            except NotThisFormat:
                continue
            assert sum(len(lines.to_lf(content)) for content, _, _ in found) <= len(octets)


def test_what_spans_blocks_is_found(tmp_path, monkeypatch):
    messages = [message(b"S: %d\r\n\r\n%b\r\nFrom x\r\n" % (n, b"y" * n), at=AT + n) for n in range(120)]
    for form in ("mbox", "mmdf"):
        written(form, tmp_path / form, messages)
        whole = read(form, tmp_path / form)
        for block in (64, 97, 1000):
            monkeypatch.setattr("twistmail.formats.scanning.BLOCK", block)
            assert read(form, tmp_path / form) == whole
        monkeypatch.undo()
        assert [content for content, _, _ in whole[0]] == [one.content.data for one in messages]


@pytest.mark.parametrize("form", FOUR)
def test_a_big_message_is_kept_to_the_octet(tmp_path, form):
    octets = b"Subject: big\r\nX-Status: of the union\r\n\r\n" + b"From x\r\n>From y\r\n" + b"z" * 70 + b"\r\n"
    octets += (b"0123456789\r\n" * 7 + b"From z\r\n") * 30_000
    assert len(octets) > 2 * SMALL
    written(form, tmp_path / "box", [message(octets, "\\Flagged"), message()])
    with named(form).reading(tmp_path / "box") as found:
        big = next(found).message
        assert big.flags == ("\\Flagged",)
        assert big.content.size == len(octets)
        assert max(map(len, big.content.chunks())) <= SMALL
        assert b"".join(big.content.chunks()) == octets
        assert big.content.beginning(100) == octets[:100]
        assert isinstance(next(found), Found)


def test_a_huge_mbox_needs_little_memory(tmp_path):
    """Half of it one message, the rest one line; the process may use 64 MiB, of which Python alone takes half."""
    with (tmp_path / "box").open("wb") as file:
        file.write(FIRST + b"Subject: huge\n\n")
        for _ in range(1000):
            file.write(b"some text of no interest at all...\n" * 3000)
        file.write(b"\n" + FIRST + b"Subject: one line\n\n" + b"x" * 50_000_000)
    program = (
        "import re, sys; from pathlib import Path; from twistmail.formats.known import named\n"
        "with named('mbox').reading(Path(sys.argv[1])) as found: sizes = [sum(map(len, one.message.content.chunks())) for one in found]\n"
        "print(*sizes, int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    said = subprocess.run([sys.executable, "-c", program, tmp_path / "box"], capture_output=True, text=True, check=True, timeout=60)
    first, second, mebibytes = map(int, said.stdout.split())
    assert (first, second) == (17 + 3_000_000 * 36, 21 + 50_000_000)
    assert mebibytes < 64


# ----- many at once


def deliver_some(path, who, count):
    for n in range(count):
        with mbox.writing(mbox.MBOX, Path(path), timeout=60) as writer:
            writer.add(message(b"Subject: %d\r\n\r\nFrom %d\r\n%b\r\n" % (n, who, b"x" * 500 * who)))


def test_ten_who_deliver_at_once_leave_whole_messages(tmp_path):
    root = Path(__file__).parents[2]
    program = "import sys; from tests.formats.test_formats import deliver_some; deliver_some(sys.argv[1], int(sys.argv[2]), 5)"
    running = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path / "box", str(who)], cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
        for who in range(10)
    ]
    assert [process.wait(100) for process in running] == [0] * 10
    found, skipped = read("mbox", tmp_path / "box")
    assert skipped == []
    expected = Counter(b"Subject: %d\r\n\r\nFrom %d\r\n%b\r\n" % (n, who, b"x" * 500 * who) for n in range(5) for who in range(10))
    assert Counter(content for content, _, _ in found) == expected


def test_an_mbox_that_is_read_is_locked(tmp_path):
    written("mbox", tmp_path / "box", [message()])
    with named("mbox").reading(tmp_path / "box"), pytest.raises(TimeoutError), locked(tmp_path / "box", timeout=0):
        pass


# ----- Python's own library


@pytest.mark.parametrize(
    ("form", "library"),
    [("mbox", mailbox.mbox), ("mmdf", mailbox.MMDF), ("mh", mailbox.MH), ("maildir", mailbox.Maildir)],
)
def test_python_reads_what_we_write(tmp_path, form, library):
    octets = [b"Subject: %d\r\n\r\nText\r\n>ok\r\n\r\n\x80\xff %d\r\n" % (n, n) for n in range(5)]
    flags = [(), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Flagged",), ("\\Seen", "\\Flagged", "\\Answered")]
    written(form, tmp_path / "box", [message(one, *some, at=AT + n) for n, (one, some) in enumerate(zip(octets, flags, strict=True))])
    theirs = library(tmp_path / "box", create=False)
    found = sorted((theirs.get_bytes(key), theirs[key]) for key in theirs.keys())  # noqa: SIM118
    plain = [b"".join(line for line in one.splitlines(True) if not line.startswith((b"Status", b"X-Status"))) for one, _ in found]
    assert sorted(plain) == sorted(map(lines.to_lf, octets))
    for one in theirs:
        number = int(one["Subject"])
        as_mbox = mailbox.mboxMessage(one)
        told = {name for letter, name in (("R", "\\Seen"), ("A", "\\Answered"), ("F", "\\Flagged")) if letter in as_mbox.get_flags()}
        assert told == set(flags[number])
    if form in ("mbox", "mmdf"):
        assert {one.get_from() for one in theirs} == {f"MAILER-DAEMON Tue Nov 14 22:13:2{n} 2023" for n in range(5)}
    if form == "maildir":
        assert sorted(one.get_date() for one in theirs) == [AT + n for n in range(5)]


@pytest.mark.parametrize(
    ("form", "library", "as_theirs"),
    [
        ("mboxo", mailbox.mbox, mailbox.mboxMessage),
        ("mmdf", mailbox.MMDF, mailbox.MMDFMessage),
        ("mh", mailbox.MH, mailbox.MHMessage),
        ("maildir", mailbox.Maildir, mailbox.MaildirMessage),
    ],
)
def test_we_read_what_python_writes(tmp_path, form, library, as_theirs):
    theirs = library(tmp_path / "box")
    octets = [b"Subject: %d\n\nText\nfrom here\n" % n for n in range(4)]
    for n, one in enumerate(octets):
        mine = mailbox.mboxMessage(one)
        mine.set_flags(["", "RO", "ROA", "F"][n])
        mine.set_from("anna@blue.example", True)
        theirs.add(as_theirs(mine))
    theirs.close()
    found, skipped = read(form, tmp_path / "box")
    assert sorted(lines.to_lf(content) for content, _, _ in found) == octets
    flags = {content[:10]: told for content, told, _ in found}
    assert [flags[b"Subject: %d" % n] for n in range(4)] == [set(), {"\\Seen"}, {"\\Seen", "\\Answered"}, {"\\Flagged"}]
    assert skipped == []


# ----- MH and Maildir as they lie


def test_mh_sequences_are_read_as_they_are_written_by_others(tmp_path):
    for number in (1, 2, 3, 7, 12):
        (tmp_path / str(number)).write_bytes(b"Subject: %d\n\n" % number)
    (tmp_path / ",5").write_bytes(b"deleted")
    (tmp_path / "9").mkdir()
    (tmp_path / ".mh_sequences").write_text("cur: 3\nunseen: 2-3 12\n 99\nflagged: 1 3-2000000000\nreplied: x 7\nwork: 7\nno line\n")
    assert [(content[9:-4], set(flags)) for content, flags, _ in read("mh", tmp_path)[0]] == [
        (b"1", {"\\Seen", "\\Flagged"}),
        (b"2", set()),
        (b"3", {"\\Flagged"}),
        (b"7", {"\\Seen", "\\Flagged", "\\Answered", "work"}),
        (b"12", {"\\Flagged"}),
    ]


@pytest.mark.parametrize("form", ["mh", "maildir"])
def test_what_is_no_plain_file_is_not_followed(tmp_path, form):
    written(form, tmp_path / "box", [message()])
    folder = tmp_path / "box" / ("cur" if form == "maildir" else "")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "77").symlink_to(tmp_path / "secret")
    (folder / "78").write_bytes(b"")
    os.mkfifo(folder / "79")
    found, skipped = read(form, tmp_path / "box")
    assert [content for content, _, _ in found] == [MESSAGE]
    assert {Path(one.place).name: one.reason for one in skipped} == {
        "77": "Too many levels of symbolic links",
        "78": "empty",
        "79": "empty",
    }


def test_maildir_keywords_have_letters(tmp_path):
    written("maildir", tmp_path, [message(MESSAGE, "\\Seen", "$Work", "other"), message(MESSAGE, "Third", "$work")])
    assert (tmp_path / "dovecot-keywords").read_text() == "0 $Work\n1 other\n2 Third\n"
    assert sorted(name.rpartition(",")[2] for name in os.listdir(tmp_path / "cur")) == ["Sab", "ac"]
    assert {flags for _, flags, _ in read("maildir", tmp_path)[0]} == {
        frozenset({"\\Seen", "$Work", "other"}),
        frozenset({"Third", "$Work"}),
    }


def test_a_maildir_tells_sizes_in_its_names(tmp_path):
    written("maildir", tmp_path, [message()])
    assert f",S={len(lines.to_lf(MESSAGE))},W={len(MESSAGE)}:2," in os.listdir(tmp_path / "cur")[0]


def test_maildirs_below_each_other_are_folders(tmp_path):
    for below in ("", ".A.B", ".K&APY-ln", ".dots\\2ein", "plain/deep", ".&bad"):
        (tmp_path / below / "cur").mkdir(parents=True)
    assert sorted(name for name, _ in known.named("maildir").folders(tmp_path)) == ["&bad", "A/B", "INBOX", "Köln", "dots.in", "plain/deep"]


def test_thunderbird_s_folders_are_found(tmp_path):
    (tmp_path / "Work.sbd").mkdir()
    for name in ("Inbox", "Work", "Work.sbd/2024", ".hidden"):
        (tmp_path / name).write_bytes(FIRST + b"S: 1\n\n\n")
    (tmp_path / "Inbox.msf").write_bytes(b"// <!-- <mdb:mork")
    assert [name for name, _ in known.named("mbox").folders(tmp_path)] == ["Inbox", "Work", "Work/2024"]
