"""The inbox in a real browser: people write, read and answer; what strangers send does nothing and asks nobody for anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.house import until


def compose(window, subject: str, sample: str, to: str = "bob@blue.test"):
    page = window.go("/inbox/compose")
    page.select_option("select[name=as]", "alice@blue.test")
    page.fill("input[name=to]", to)
    page.fill("input[name=subject]", subject)
    page.fill("textarea[name=text]", "Words")
    page.select_option("select[name=sample]", sample)
    page.click("text=Send")
    page.wait_for_url(re.compile("/m/"))
    return page


def test_html_that_tries_to_harm_is_shown_and_does_nothing(visit, classroom):
    window = visit()
    asked = []
    window.page.on("request", lambda request: asked.append(request.url))
    page = compose(window, "Harm", "harm")
    until(lambda: "Harm" in classroom.read("/inbox/bob@blue.test"), "the letter is there")
    window.go("/inbox/bob@blue.test?q=subject:harm")
    page.click("ol.letters a")
    page.click("nav.tabs >> text=HTML")
    frame = page.frame_locator("iframe.letter")
    said = frame.locator("body").inner_text()
    assert "Your account ends today!" in said
    assert "has run" not in said
    leads = frame.locator("a").evaluate("link => link.title + getComputedStyle(link, '::after').content")
    assert "leads to http://192.0.2.30/login" in leads
    assert [url for url in asked if not url.startswith(classroom.url)] == []
    assert frame.locator("script, form, input, iframe, svg, img").count() == 0
    window.keep("inbox-harm")


def test_a_letter_is_answered_and_the_answer_comes_into_the_open_list_by_itself(visit, classroom):
    window = visit()
    page = compose(window, "Question", "file", "carol@green.test")
    until(lambda: "Question" in classroom.read("/inbox/carol@green.test"), "the question is there")
    alice = visit()
    alice.go("/inbox/alice@blue.test")
    window.go("/inbox/carol@green.test?q=subject:question")
    page.click("ol.letters a")
    assert page.locator("ul.files a").first.inner_text() == "notes.txt"
    page.click("text=Reply")
    assert page.input_value("input[name=subject]") == "Re: Question"
    assert page.input_value("select[name=as]") == "carol@green.test"
    page.click("text=Send")
    page.wait_for_url(re.compile("/m/"))
    alice.page.wait_for_selector("ol.letters >> text=Re: Question")


def test_without_javascript_mail_is_read_searched_and_deleted(visit, classroom):
    compose(visit(), "Plain", "")
    until(lambda: "Plain" in classroom.read("/inbox/bob@blue.test"), "the letter is there")
    window = visit(390, javascript=False)
    page = window.go("/inbox")
    page.fill("input[name=q]", "subject:plain in:bob")
    page.click("text=Search")
    page.click("ol.letters a")
    assert "Words" in page.inner_text("pre.words")
    page.click("main >> text=Delete >> nth=-1")
    assert "Nothing fits." in window.go("/inbox?q=subject:plain%20in:bob").inner_text("main")


@pytest.mark.parametrize("javascript", [True, False])
def test_files_go_with_a_letter_and_come_out_as_they_were(visit, classroom, javascript):
    window, subject = visit(javascript=javascript), f"Files {javascript}"
    page = window.go("/inbox/compose")
    octets = bytes(range(256)) * 4
    exercise = {"name": "Übung 1.pdf", "mimeType": "application/pdf", "buffer": octets}
    page.set_input_files("input[name=files]", [exercise, {"name": "b.txt", "mimeType": "text/plain", "buffer": b"b"}])
    page.fill("input[name=to]", "carol@green.test")
    page.fill("input[name=subject]", subject)
    page.click("text=Send")
    page.wait_for_url(re.compile("/m/"))
    until(lambda: subject in classroom.read("/inbox/carol@green.test"), "the letter is there")
    window.go(f"/inbox/carol@green.test?q=subject:{javascript}")
    page.click("ol.letters a")
    assert page.locator("ul.files a").all_inner_texts() == ["Übung 1.pdf", "b.txt"]
    with page.expect_download() as kept:
        page.locator("ul.files a").first.click()
    assert Path(kept.value.path()).read_bytes() == octets


def test_files_that_are_too_big_are_told_before_they_are_sent(visit):
    page = visit().go("/inbox/compose")
    page.set_input_files("input[name=files]", {"name": "big.bin", "mimeType": "application/octet-stream", "buffer": b"x" * 3_000_001})
    page.fill("input[name=to]", "carol@green.test")
    page.click("text=Send")
    assert "too big together: 3.0 MB" in page.locator("input[name=files]").evaluate("field => field.validationMessage")
    assert page.url.endswith("/inbox/compose")


@pytest.mark.parametrize(("octets", "says"), [(3_000_001, "3.0 MB are the most"), (6_000_000, "4 MB are the most")])
def test_without_javascript_the_answer_tells_that_files_are_too_big(visit, octets, says):
    window = visit(javascript=False)
    page = window.go("/inbox/compose")
    page.set_input_files("input[name=files]", {"name": "big.bin", "mimeType": "application/octet-stream", "buffer": b"x" * octets})
    page.fill("input[name=to]", "carol@green.test")
    page.click("text=Send")
    page.wait_for_url(re.compile("/inbox/send"))
    assert says in page.locator("body").inner_text()
    assert window.trouble
    window.trouble.clear()  # a browser complains of 413 and 422


def test_the_list_of_people_cuts_no_name_in_half(visit, classroom):
    """Everybody has something new, so that each name has a line of its own."""
    people = [person for office in classroom.about["offices"] for person in office["accounts"]]
    for person in people:
        classroom.send("alice@blue.test", person, "For all")
        until(lambda person=person: "For all" in classroom.read(f"/inbox/{person}"), "the letter is there")
    page = visit().go("/inbox")
    bottom = page.locator("nav.people").evaluate("list => list.getBoundingClientRect().bottom")
    edges = page.locator("nav.people > a").evaluate_all(
        "names => names.map(name => name.getBoundingClientRect()).map(box => [box.top, box.bottom])")
    assert len(edges) == len(people) + 1
    assert not [edge for edge in edges if edge[0] < bottom < edge[1]]
