"""HTML that strangers send is shown, and does nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import takes_linear_time
from twistmail.web.html_tokens import Close, Open, Raw, Text, tokens
from twistmail.web.safe_html import MOST_CHARACTERS, MOST_DEPTH, MOST_IMAGES, POLICY, clean, document, text_of, without_tricks

PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        pytest.param("<p>Hello <b>Bob</b></p>", "<p>Hello <b>Bob</b></p>", id="plain-markup-stays"),
        pytest.param("<P ALIGN=center>x", '<p align="center">x</p>', id="what-is-open-is-closed"),
        pytest.param("<b><i>x</b></i>", "<b><i>x</i></b>", id="wrong-nesting-is-mended"),
        pytest.param("1 < 2 & 3", "1 &lt; 2 &amp; 3", id="signs-are-no-tags"),
        pytest.param("&lt;script&gt;", "&lt;script&gt;", id="references-stay-text"),
        pytest.param("<script>alert(1)</script>x", "x", id="script"),
        pytest.param("<script>alert(1)", "", id="script-without-an-end"),
        pytest.param("<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)", id="script-in-a-script-tag"),
        pytest.param("<svg><g><script>x</script></g></svg>y", "y", id="drawings-go-whole"),
        pytest.param("<svg><svg></svg>a</svg>y", "y", id="drawings-in-drawings"),
        pytest.param("<math><style><img onerror=x></style></math>y", "y", id="formulas-go-whole"),
        pytest.param("<iframe src=//evil>a</iframe>x", "x", id="frame"),
        pytest.param("<noscript><img src=x></noscript>x", "x", id="noscript"),
        pytest.param("<!-- <b>a</b> -->x", "x", id="comment"),
        pytest.param("<!--> <b>a</b>", " <b>a</b>", id="comment-that-browsers-end-early"),
        pytest.param("<form action=/x><input name=a>ok</form>", "ok", id="forms-are-only-their-words"),
        pytest.param('<p onclick="x()" onfocus=y>z</p>', "<p>z</p>", id="handlers"),
        pytest.param(
            '<a href="https://a.test/?x=1&amp;y">z</a>', '<a class="goal" title="leads to https://a.test/?x=1&amp;y">z</a>', id="link"
        ),
        pytest.param('<a href="java\nscript:alert(1)">z</a>', "<a>z</a>", id="link-that-is-a-script"),
        pytest.param(f'<img src="{PIXEL}" alt=a>', f'<img src="{PIXEL}" alt="a">', id="image-in-the-text"),
        pytest.param('<img src="cid:one@x">', f'<img src="{PIXEL}">', id="image-that-came-with-it"),
        pytest.param(
            '<img src="data:image/svg+xml;base64,AAAA">',
            '<span class="gone">[image not loaded: data:image/svg+xml;base64,AAAA]</span>',
            id="image-that-is-a-document",
        ),
        pytest.param(
            "<img src=http://t.test/1.gif>", '<span class="gone">[image not loaded: http://t.test/1.gif]</span>', id="image-elsewhere"
        ),
        pytest.param(
            '<img src=x alt="&quot;&gt;&lt;script&gt;">',
            '<span class="gone">[image not loaded: &quot;&gt;&lt;script&gt;]</span>',
            id="image-that-breaks-out",
        ),
        pytest.param('<p style="color:red">x</p>', '<p style="color:red">x</p>', id="style"),
        pytest.param('<p style="background:url(//x)">x</p>', "<p>x</p>", id="style-that-asks"),
        pytest.param('<p style="background:u\\72l(//x)">x</p>', "<p>x</p>", id="style-that-asks-secretly"),
        pytest.param("<style>p{color:red}</style>x", "<style>p{color:red}</style>x", id="style-sheet"),
        pytest.param("<style>@import '//x';</style>x", "x", id="style-sheet-that-asks"),
        pytest.param("<style>p{}</styl<b>e></style>x", "x", id="style-sheet-with-markup"),
        pytest.param("<meta http-equiv=refresh content=0><base href=//x><link rel=stylesheet href=//x>x", "x", id="instructions"),
        pytest.param("in\u202evoice", "in[U+202E]voice", id="direction-is-named"),
        pytest.param("a\x00b\x1b", "a\ufffdb\ufffd", id="controls-are-named"),
        pytest.param("<unknown>x</unknown></p>", "x", id="unknown-elements-are-only-their-words"),
        pytest.param("<plaintext><b>x", "", id="plaintext"),
        pytest.param("<b a='>' b=\">\">x", "<b>x</b>", id="bigger-sign-in-a-value"),
        pytest.param('<b a="x', "<b></b>", id="value-without-an-end"),
    ],
)
def test_what_is_shown_of(html, shown):
    assert clean(html, {"one@x": PIXEL}).html == shown


def test_people_are_told_what_was_left_out():
    found = clean("<script>x</script><p onclick=x><img src=//a><form><input></form><iframe></iframe>")
    assert dict(found.left_out) == {"script": 2, "remote image": 1, "form": 1, "form field": 1, "frame": 1}


class _Reader(HTMLParser):
    """Another reader than ours, which sees whether anything is left."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [tag, *(name for name, _ in attrs), *(f"{name}={value}" for name, value in attrs if name in ("src", "href"))]


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "/",
        "=",
        '"',
        "'",
        " ",
        "\n",
        "<!--",
        "-->",
        "<script",
        "</script>",
        "<svg>",
        "</svg>",
        "<img src=x onerror=y",
        "<style>",
        "</style>",
        "<a href=javascript:x",
        "<p",
        "</p>",
        "onload=",
        "<iframe",
        "<math>",
        "<textarea>",
        "</textarea>",
        "<title>",
        "&lt;",
        "&#x3c;",
        "x",
        "<![CDATA[",
        "]]>",
        "<?",
        "<b ",
        "<template>",
        "style=",
        "url(//x)",
        "\\",
        "\0",
    ]
)


@settings(max_examples=200)
@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join))
def test_whatever_comes_nothing_that_acts_is_left(html):
    reader = _Reader()
    reader.feed(document(clean(html)).decode())
    words = [word.lower() for word in reader.found]
    assert not {"script", "iframe", "svg", "math", "form", "input", "object", "embed", "base", "link", "template", "textarea"} & set(words)
    assert not [word for word in words if word.startswith(("on", "src=", "href=")) and not word.startswith("src=data:image/")]


@given(st.text(max_size=200))
def test_plain_text_comes_through_whole(text):
    plain = text.replace("<", "").replace("&", "")
    shown = "".join(token.text for token in tokens(clean(plain).html) if isinstance(token, Text))
    assert shown == without_tricks(plain)


def test_tokens_are_what_browsers_cut():
    assert list(tokens("a<B c=d e='f' c=g>h</B ><Style>x<y</style >")) == [
        Text("a"),
        Open("b", {"c": "d", "e": "f"}),
        Text("h"),
        Close("b"),
        Raw("style", "x<y"),
    ]


@pytest.mark.parametrize(
    "piece", ["<a ", "<", '<a b="', "<!--", "<script>", "</", "<b>", "<b></b>", "<a b='c' ", "&lt;", "<style></sty", "<svg>", "</p>"]
)
def test_reading_takes_linear_time(piece):
    def seconds(size):
        begun = process_time()
        clean(piece * size)
        return process_time() - begun

    assert takes_linear_time(seconds, 2000)


def test_what_is_too_much_is_cut_and_said():
    assert clean("x" * (MOST_CHARACTERS + 1)).is_cut
    deep = clean("<div>" * 1000 + "x")
    assert deep.html.count("<div>") == deep.html.count("</div>") == MOST_DEPTH


def test_an_image_that_is_shown_a_thousand_times_is_written_only_so_often():
    """What comes once with a letter costs whoever looks at it once for each use."""
    url = "data:image/png;base64," + "A" * 300_000
    cleaned = clean('<img src="cid:a">' * 1000, {"a": url})
    assert cleaned.html.count(url) == MOST_IMAGES // len(url)
    assert len(cleaned.html) < MOST_IMAGES + 100_000
    assert cleaned.left_out == (("image beyond what is shown", 1000 - MOST_IMAGES // len(url)),)


def test_the_policy_lets_a_browser_do_nothing_but_show_it():
    assert POLICY.split("; ")[:2] == ["sandbox", "default-src 'none'"]
    assert "allow" not in POLICY
    assert re.search(r"<body><p>x</p></body>", document(clean("<p>x")).decode())


def test_plain_words_of_html():
    assert text_of("<h1>Hi</h1><p>a  b<br>c</p><style>x</style><script>y</script><ul><li>d<li>e</ul>") == "Hi\n\na b\nc\n\nd\ne"
