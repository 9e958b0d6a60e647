"""Odd ways to divide a message into parts (RFC 2046)."""

from __future__ import annotations

from tests.corpus.building import crlf, headed, multipart, nested

_TWO = "--b\nContent-Type: text/plain\n\none\n--b\nContent-Type: text/html\n\n<b>two</b>\n--b--\n"
_LETTER = "Subject: inner\nFrom: eve@red.test\n\ninside\n"

MAILS: dict[str, bytes] = {
    "plain": headed(""),
    "nothing-at-all": b"",
    "one-empty-line": b"\r\n",
    "two-empty-lines": b"\r\n\r\n",
    "body-only": b"\r\ntext without a header\r\n",
    "header-without-an-end": crlf("From: a@red.test\nSubject: no end"),
    "header-with-an-end-and-no-body": crlf("From: a@red.test\nSubject: no body\n\n"),
    "header-without-its-empty-line": crlf("From: a@red.test\nSubject: no empty line\n"),
    "no-line-end-at-the-end": headed("", "text"),
    "two-parts": multipart(_TWO),
    "preamble-and-epilogue": multipart(f"This is a preamble.\n\n{_TWO}\nThis is an epilogue.\n"),
    "never-closed": multipart("--b\n\none\n--b\n\ntwo\n"),
    "never-closed-nor-ended": multipart("--b\n\none\n--b\n\ntwo"),
    "never-opened": multipart("text where parts should be\n"),
    "closed-at-once": multipart("--b--\n"),
    "opened-and-closed": multipart("--b\n--b--\n"),
    "opened-closed-and-one-empty-line": multipart("--b\n\n--b--\n"),
    "empty-parts": multipart("--b\n\n--b\n\n--b\n\n\n--b--\n"),
    "part-of-headers-only": multipart("--b\nContent-Type: text/html\n--b\nSubject: x\n\n--b--\n"),
    "header-cut-by-a-delimiter": multipart("--b\nContent-Type: text/html;\n--b\n\nnext\n--b--\n"),
    "no-boundary": headed("Content-Type: multipart/mixed\n", "--b\n\none\n--b--\n"),
    "empty-boundary": headed('Content-Type: multipart/mixed; boundary=""\n', "--\n\none\n----\n"),
    "boundary-without-quotes": headed("Content-Type: multipart/mixed; boundary=b\n", _TWO),
    "boundary-with-blanks-at-its-end": headed('Content-Type: multipart/mixed; boundary="b  "\n', _TWO),
    "boundary-with-blanks-inside": headed('Content-Type: multipart/mixed; boundary="a b"\n', "--a b\n\none\n--a b--\n"),
    "boundary-of-special-characters": headed("Content-Type: multipart/mixed; boundary=\"'()+_,-./:=?\"\n",
                                             "--'()+_,-./:=?\n\none\n--'()+_,-./:=?--\n"),
    "boundary-with-a-backslash": headed('Content-Type: multipart/mixed; boundary="a\\"b\\\\c"\n', '--a"b\\c\n\none\n--a"b\\c--\n'),
    "boundary-of-100-characters": headed(f"Content-Type: multipart/mixed; boundary={'x' * 100}\n",
                                         f"--{'x' * 100}\n\none\n--{'x' * 100}--\n"),
    "boundary-of-300-characters": headed(f"Content-Type: multipart/mixed; boundary={'x' * 300}\n",
                                         f"--{'x' * 300}\n\none\n--{'x' * 300}--\n"),
    "boundary-above-127": headed('Content-Type: multipart/mixed; boundary="gr\xfc\xdf"\n', "--gr\xfc\xdf\n\none\n--gr\xfc\xdf--\n"),
    "two-boundaries": headed("Content-Type: multipart/mixed; boundary=a; boundary=b\n", "--a\n\nfirst\n--b\n\nsecond\n--b--\n--a--\n"),
    "boundary-in-pieces": headed("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n", "--ab\n\none\n--ab--\n"),
    "delimiters-with-blanks-behind": multipart("--b \t\n\none\n--b-- \t\n"),
    "delimiters-with-words-behind": multipart("--b and more\n\none\n--b-- and more\n"),
    "delimiter-that-goes-on": multipart("--b\n\none\n--bb\n\ntwo\n--b--\n"),
    "delimiters-behind-a-blank": multipart(" --b\n\none\n --b--\n"),
    "delimiter-within-a-line": multipart("--b\n\none --b\ntwo\n--b--\n"),
    "delimiters-with-a-dash-too-many": multipart("---b\n\none\n---b--\n"),
    "closed-twice": multipart("--b\n\none\n--b--\n--b\n\nafter\n--b--\n"),
    "last-delimiter-at-the-end": multipart("--b\n\none\n--b--"),
    "delimiter-cut-short": multipart("--b\n\none\n--b-"),
    "inner-boundary-begins-like-the-outer": multipart(
        "--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\none\n--bb\n\ntwo\n--bb--\n--b--\n"),
    "outer-boundary-begins-like-the-inner": multipart(
        "--bb\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n--bb--\n", boundary="bb"),
    "same-boundary-in-and-out": multipart(
        "--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n\n--b\n\ntwo\n--b--\n"),
    "inner-never-closed": multipart(
        "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c\n\ntwo\n--b\n\nthree\n--b--\n"),
    "inner-closed-by-the-outer-end": multipart("--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--b--\n"),
    "inner-without-parts": multipart("--b\nContent-Type: multipart/alternative; boundary=c\n\nnothing\n--b\n\ntwo\n--b--\n"),
    "inner-without-a-boundary": multipart("--b\nContent-Type: multipart/alternative\n\n--c\n\none\n--b\n\ntwo\n--b--\n"),
    "three-levels": multipart(
        "--b\nContent-Type: multipart/related; boundary=c\n\n--c\nContent-Type: multipart/alternative; boundary=d\n\n"
        "--d\n\none\n--d\nContent-Type: text/html\n\ntwo\n--d--\n--c\nContent-Type: image/png\nContent-ID: <i@x>\n\npng\n--c--\n"
        "--b\nContent-Type: application/pdf\n\npdf\n--b--\n"),
    "digest": multipart(f"--b\n\n{_LETTER}--b\n\n{_LETTER}--b--\n", kind="digest"),
    "digest-of-text": multipart(f"--b\nContent-Type: text/plain\n\none\n--b\n\n{_LETTER}--b--\n", kind="digest"),
    "digest-of-nothing": multipart("--b\n\n--b--\n", kind="digest"),
    "unknown-kind-of-multipart": multipart(_TWO, kind="x-strange"),
    "signed": multipart("--b\n\nsigned\n--b\nContent-Type: application/pgp-signature\n\nsignature\n--b--\n",
                        kind="signed", more="; micalg=pgp-sha256;\n protocol=\"application/pgp-signature\""),
    "report": multipart(
        "--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; red.test\n\nFinal-Recipient: rfc822; b@x\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{_LETTER}--b--\n", kind="report", more="; report-type=delivery-status"),
    "capitals": headed("CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=B\n", "--B\nCONTENT-TYPE: TEXT/PLAIN; CHARSET=UTF-8\n\none\n--B--\n"),
    "boundary-in-the-wrong-case": multipart("--B\n\none\n--B--\n"),
    "lone-carriage-returns": multipart("--b¬\n\none¬two\n--b¬\n\nthree\n--b--\n"),
    "only-delimiters": multipart("--b\n--b\n--b\n--b\n--b--\n"),
    "empty-line-before-the-first-delimiter": multipart(f"\n\n{_TWO}"),
    "header-with-a-blank-line": multipart("--b\nContent-Type: text/html\n \nX-More: 1\n\none\n--b--\n"),
    "multipart-encoded-in-base64": headed("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n", _TWO),
    "fifty-levels": nested(50),
    "ninety-levels": nested(90),
    "two-hundred-parts": multipart("".join(f"--b\n\n{number}\n" for number in range(200)) + "--b--\n"),
    # ----- messages inside
    "message-inside": headed("Content-Type: message/rfc822\n", _LETTER),
    "message-inside-a-multipart": multipart(f"--b\n\nsee below\n--b\nContent-Type: message/rfc822\n\n{_LETTER}\n--b--\n"),
    "message-inside-with-parts": multipart(
        "--b\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=c\n\n"
        f"{_TWO.replace('--b', '--c')}\n--b--\n"),
    "message-inside-a-message": headed("Content-Type: message/rfc822\n", f"Content-Type: message/rfc822\nSubject: middle\n\n{_LETTER}"),
    "message-inside-empty": headed("Content-Type: message/rfc822\n", ""),
    "message-inside-empty-part": multipart("--b\nContent-Type: message/rfc822\n\n--b--\n"),
    "message-inside-empty-part-and-line": multipart("--b\nContent-Type: message/rfc822\n\n\n--b--\n"),
    "message-inside-without-a-header": headed("Content-Type: message/rfc822\n", "\ntext\n"),
    "message-inside-header-only": multipart("--b\nContent-Type: message/rfc822\n\nSubject: no body\n--b--\n"),
    "message-inside-in-base64": headed("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n",
                                       "U3ViamVjdDogaW5uZXINCg0KdGV4dA==\n"),
    "message-inside-never-closed": multipart(
        "--b\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--\n"),
    "message-global": headed("Content-Type: message/global\n", "Subject: gr\xfc\xdfe\n\ninside\n"),
    "message-global-in-a-multipart": multipart("--b\nContent-Type: message/global\n\nSubject: 日本\nFrom: ü@blue.test\n\ninside\n--b--\n"),
    "message-partial": headed("Content-Type: message/partial; id=\"x@y\"; number=1; total=2\n", _LETTER),
    "message-external-body": headed("Content-Type: message/external-body; access-type=local-file; name=x\n", "Content-Type: image/gif\n\n"),
    "message-of-an-unknown-kind": headed("Content-Type: message/x-strange\n", _LETTER),
    "message-without-a-kind": headed("Content-Type: message\n", _LETTER),
    "twenty-messages-within-each-other": nested(20, "message"),
}  # fmt: skip
