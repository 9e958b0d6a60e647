"""The inbox in a real browser: people write, read and answer; what strangers send does nothing and asks nobody for anything."""

from __future__ import annotations

import re

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
