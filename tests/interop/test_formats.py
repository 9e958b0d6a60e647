"""nmh and mutt read the mailboxes that we write in their formats, flags included (R60, R61)."""

import pytest

from twistmail.formats.known import named
from twistmail.mail.content import Memory
from twistmail.mail.mailbox import NewMessage

FLAGS = [(), ("\\Seen", "$Forwarded"), ("\\Flagged",)]
NMH = "/usr/bin/mh/"


def written(form, path):
    with named(form).writing(path) as writer:
        for n, flags in enumerate(FLAGS):
            content = Memory(b"From: anna@blue.example\r\nSubject: Lunch %d\r\n\r\nFrom me\r\n" % n)
            writer.add(NewMessage(content, flags, 1_700_000_000.0 + n))


@pytest.mark.client(NMH + "scan")
def test_nmh_scans_our_mh_folders(client, place):
    written("mh", place / "Mail" / "inbox")
    (place / ".mh_profile").write_text(f"Path: {place}/Mail\n")
    subjects = {
        name: client(NMH + "scan", "+inbox", name, "-format", "%(msg) %{subject}").stdout.split("\n")[:-1]
        for name in ("all", "unseen", "flagged")
    }
    assert subjects == {"all": ["1 Lunch 0", "2 Lunch 1", "3 Lunch 2"], "unseen": ["1 Lunch 0", "3 Lunch 2"], "flagged": ["3 Lunch 2"]}


@pytest.mark.client("mutt")
@pytest.mark.parametrize("form", ["mbox", "mmdf", "mh", "maildir"])
def test_mutt_sees_our_messages_and_their_flags(client, place, form):
    written(form, place / "box")
    (place / "Mail").mkdir()  # else mutt asks whether to make it
    keys = f"<tag-pattern>~F<enter><tag-prefix><copy-message>{place}/flagged<enter><untag-pattern>.<enter>"
    keys += f"<tag-pattern>~R<enter><tag-prefix><copy-message>{place}/read<enter><exit>"
    options = [
        word
        for setting in ("quit=yes", "move=no", "confirmappend=no", "confirmcreate=no", "mh_purge=no")
        for word in ("-e", f"set {setting}")
    ]
    client("mutt", "-n", "-F", "/dev/null", "-f", place / "box", *options, "-e", f'push "{keys}"', terminal=True)
    for picked, subject in (("flagged", b"Lunch 2"), ("read", b"Lunch 1")):
        with named("mbox").reading(place / picked) as found:
            (only,) = [b"".join(one.message.content.chunks()) for one in found]
            assert b"Subject: %b\r\n" % subject in only
            assert b"From me\r\n" in only
