"""What the IMAP service can, as it tells its clients: one line for each group of capabilities, and what ENABLE knows.

A word stands here only when what it promises works. docs/conformance.md says which RFC each is of, and which test proves it.
Which words are kept from whom is in `hiding`.
"""

from __future__ import annotations

from twistmail.options import Settings

#: What holds in any state; RFC 3501 §7.2.1 wants IMAP4rev1 among it.
EVERYWHERE = (
    "IMAP4rev1 IMAP4rev2",
    "SASL-IR LITERAL+ LITERAL- ID ENABLE IDLE",
)

#: What is told after login only, beside that.
AFTER_LOGIN = (
    # the connection
    "COMPRESS=DEFLATE UNAUTHENTICATE NOTIFY",
    # names of mailboxes
    "NAMESPACE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS LIST-METADATA STATUS=SIZE METADATA OBJECTID",
    # how much there may be
    "QUOTA QUOTASET QUOTA=RES-STORAGE QUOTA=RES-MESSAGE",
    # what is told of messages
    "SAVEDATE PREVIEW BINARY",
    # who may use them
    "ACL RIGHTS=texk LIST-MYRIGHTS",
    # the selected mailbox
    "UNSELECT UIDPLUS MOVE",
    # searching
    "ESEARCH SEARCHRES WITHIN SEARCH=FUZZY CONTEXT=SEARCH MULTISEARCH PARTIAL INPROGRESS UIDBATCHES",
    # messages that clients bring
    "MULTIAPPEND CATENATE URL-PARTIAL REPLACE APPENDLIMIT UTF8=ACCEPT URLAUTH",
    # how many messages a command may be about
    "MESSAGELIMIT SAVELIMIT",
    # in order
    "SORT SORT=DISPLAY ESORT CONTEXT=SORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS I18NLEVEL=1",
    # what has changed since
    "CONDSTORE QRESYNC UIDONLY",
)

#: What is hidden where mailboxes are not shared ([sharing] enabled).
SHARING = frozenset({"ACL", "RIGHTS=texk", "LIST-MYRIGHTS"})

#: What ENABLE turns on (RFC 5161): name -> the names that it turns on, its own among them.
ENABLEABLE: dict[str, tuple[str, ...]] = {
    "CONDSTORE": ("CONDSTORE",),
    "QRESYNC": ("QRESYNC", "CONDSTORE"),  # RFC 7162 §3.2.3
    "UIDONLY": ("UIDONLY",),
    "UTF8=ACCEPT": ("UTF8=ACCEPT",),
    "IMAP4REV2": ("IMAP4REV2",),
    "METADATA": ("METADATA",),  # RFC 5464 §4.1
}

#: Words that tell a setting of [imap], if it sets a limit: word -> key.
VALUED = {"APPENDLIMIT": "max_message", "MESSAGELIMIT": "message_limit", "SAVELIMIT": "save_limit"}


def valued(word: str, settings: Settings) -> str:
    """*word* as it is told: with its value, where it has one (RFC 7889 §2)."""
    value = getattr(settings, VALUED[word]) if word in VALUED else None
    return word if value is None else f"{word}={value}"


def words(groups: tuple[str, ...]) -> list[str]:
    """The words of *groups*, in order."""
    return " ".join(groups).split()
