"""What happens is seen while it happens, and the page stays the reader's."""

from __future__ import annotations

import re

import pytest

from tests.browser.house import until

FRAGMENTS = """<!doctype html><html lang="en"><head><title>x</title><link rel="icon" href="data:,">
<script src="/assets/lab.js" defer></script></head><body data-last="0" data-now="0">
<div data-live="/test/part" data-on="mail">%s</div><p id="said" role="status"></p></body></html>"""


@pytest.fixture
def page_of(visit, classroom):
    """page_of(part, part ...) is a page with one live region; each look at it gives the next part, the last one for ever."""

    def made(*parts: str):
        window, left = visit(), list(parts)
        window.page.route("**/test/page", lambda route: route.fulfill(body=FRAGMENTS % left.pop(0), content_type="text/html"))
        window.page.route(
            "**/test/part", lambda route: route.fulfill(body=left.pop(0) if len(left) > 1 else left[0], content_type="text/html")
        )
        with window.page.expect_response("**/events*"):
            window.go("/test/page")
        return window.page

    return made


def look_again(classroom, page) -> None:
    """Something happens, and the region is fetched."""
    with page.expect_response("**/test/part"):
        classroom.send("bob@blue.test", "alice@blue.test")
    page.wait_for_timeout(50)


def test_a_letter_stands_on_the_map_as_soon_as_it_is_accepted(visit, classroom):
    window = visit()
    with window.page.expect_response("**/events*"):
        window.go("/")
    classroom.send("alice@blue.test", "dave@green.test", "Is this live?")
    window.page.get_by_role("row", name="Is this live?").first.wait_for()


def test_a_computer_that_was_away_goes_on_where_it_was_as_soon_as_it_is_in_the_network_again(visit, classroom):
    window = visit()
    window.page.route("**/events*", lambda route: route.abort("aborted"))
    window.go("/")
    window.page.locator("body.away").wait_for()
    window.page.unroute("**/events*")
    classroom.send("alice@blue.test", "dave@green.test", "While you slept")
    window.ask("() => { dispatchEvent(new Event('online')) }")
    window.page.get_by_role("row", name="While you slept").first.wait_for(timeout=5000)


def test_a_letter_that_goes_to_another_office_moves_along_its_line(visit, classroom):
    window = visit()
    with window.page.expect_response("**/events*"):
        window.go("/")
    classroom.send("alice@blue.test", "dave@green.test", "On its way")
    window.page.locator('[data-flow="blue>green"].moving').wait_for(state="attached")


def test_nothing_moves_for_whom_that_makes_ill(visit, classroom):
    window = visit(motion=False)
    with window.page.expect_response("**/events*"):
        window.go("/")
    classroom.send("alice@blue.test", "dave@green.test", "Quietly")
    dot = window.page.locator('[data-flow="blue>green"].moving .dot')
    dot.wait_for(state="attached")
    assert dot.evaluate("(e) => getComputedStyle(e).animationName") == "none"


def test_what_is_being_typed_stays_and_keeps_the_focus(page_of, classroom):
    page = page_of("<p>one</p><input id=a>", "<p>two</p><p>more</p><input id=a>")
    page.locator("#a").fill("half a word")
    look_again(classroom, page)
    page.get_by_text("more").wait_for()
    assert page.locator("#a").input_value() == "half a word"
    assert page.evaluate("document.activeElement.id") == "a"


def test_a_node_that_stays_is_the_same_node_whatever_space_is_around_it(page_of, classroom):
    page = page_of("\n<svg><g id=a /></svg>\n<p>one</p>", "<svg><g id=a class=x /></svg><p>two</p>")
    page.evaluate("document.getElementById('a').mine = true")
    look_again(classroom, page)
    page.get_by_text("two").wait_for()
    assert page.evaluate("document.getElementById('a').mine") is True
    assert page.locator("#a.x").count() == 1


def test_rows_keep_their_places_by_their_keys(page_of, classroom):
    page = page_of("<ul><li id=a>a</li><li id=b>b</li></ul>", "<ul><li id=c>c</li><li id=b>b</li><li id=a>a!</li></ul>")
    page.evaluate("document.getElementById('b').mine = true")
    look_again(classroom, page)
    page.get_by_text("a!").wait_for()
    assert page.locator("li").all_inner_texts() == ["c", "b", "a!"]
    assert page.evaluate("document.getElementById('b').mine") is True


def test_what_the_reader_has_opened_stays_open(page_of, classroom):
    page = page_of("<details><summary>s</summary>one</details>", "<details><summary>s</summary>two</details>")
    page.locator("summary").click()
    look_again(classroom, page)
    page.get_by_text("two").wait_for()
    assert page.locator("details[open]").count() == 1


def test_a_log_stays_at_its_end_if_it_was_there_and_where_it_was_if_not(page_of, classroom):
    def log(lines: int) -> str:
        return "".join(f"<div role=log id={name} tabindex=0>{'<p>line</p>' * lines}</div>" for name in ("end", "top"))

    page = page_of(log(40), log(60))
    page.add_style_tag(content="[role=log] { height: 100px; overflow: auto }")
    page.evaluate("document.getElementById('end').scrollTop = 1e6")
    look_again(classroom, page)
    until(lambda: page.locator("#end p").count() == 60, "the log has grown")
    at_end = "(e) => e.scrollTop + e.clientHeight > e.scrollHeight - 8"
    assert page.locator("#end").evaluate(at_end)
    assert page.locator("#top").evaluate("(e) => e.scrollTop") == 0


def test_a_change_is_said_to_who_cannot_see_it(page_of, classroom):
    page = page_of('<p data-say="waiting">w</p>', '<p data-say="message 1 deferred, retry in 42 seconds">d</p>')
    look_again(classroom, page)
    until(lambda: page.locator("#said").inner_text() == "message 1 deferred, retry in 42 seconds", "it is said")


def test_many_events_are_few_looks(page_of, classroom):
    page = page_of("one", "two")
    looks = []
    page.on("request", lambda request: request.url.endswith("/test/part") and looks.append(request.url))
    for number in range(8):
        classroom.send("bob@blue.test", "alice@blue.test", f"number {number}")
    until(lambda: page.wait_for_timeout(500) or looks, "the first look")
    page.wait_for_timeout(1000)
    assert len(looks) <= 8, "each letter is half a dozen events"


def test_a_hidden_page_gives_its_stream_back_and_goes_on_where_it_was(page_of, classroom):
    page = page_of("one", "two", "three")
    page.evaluate("""Object.defineProperty(document, 'hidden', {configurable: true, get: () => true}); dispatchEvent(new Event('x'));""")
    with page.expect_event("requestfailed", lambda request: "/events" in request.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    classroom.send("bob@blue.test", "alice@blue.test", "missed")
    with page.expect_request("**/events*") as resumed:
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    assert "after=" in resumed.value.url
    page.get_by_text("two").or_(page.get_by_text("three")).wait_for()


def test_a_line_is_copied(visit, chromium):
    window = visit()
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.go("/about")
    page.locator("#line-mx ~ button").click()
    until(lambda: page.locator("#said").inner_text() == "Copied", "it is copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("dig @127.0.0.1")


def test_a_question_is_asked_before_all_mail_is_thrown_away(visit, classroom):
    page = visit().go("/about")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Reset everything").click()
    assert asked == ["Throw away all mail of all offices?"]
    assert "Nothing has been sent yet" not in classroom.read("/")


def test_who_types_on_at_the_console_while_an_answer_is_late_keeps_what_he_types(visit):
    page = visit().go("/console?office=green&service=pop3")
    page.click("main button.main")
    page.wait_for_url(re.compile("/console/"))
    for line in ("USER carol@green.test", "PASS wrong"):  # to which the answer is late on purpose
        page.fill("#line", line)
        with page.expect_response(re.compile("/say$")) as answer:
            page.press("#line", "Enter")
            if line == "PASS wrong":
                page.wait_for_function("document.querySelector('#line').value === ''")
                page.fill("#line", "NOOP")
        assert answer.value.ok
    page.wait_for_selector("ol.dialogue >> text=-ERR [AUTH]")
    assert page.input_value("#line") == "NOOP"


def test_a_form_that_is_refused_keeps_what_was_typed(visit):
    window = visit()
    page = window.go("/dns")
    page.fill("form.record input[name=name]", "www.green.test")
    page.select_option("form.record select", "AAAA")
    page.fill("form.record textarea", "no address")
    with page.expect_response(re.compile("/dns/record$")) as answer:
        page.click("form.record button")
    assert answer.value.status == 400
    page.wait_for_selector("form.record:not([aria-busy])")
    typed = [page.input_value(f"form.record {field}") for field in ("input[name=name]", "select", "textarea")]
    assert typed == ["www.green.test", "AAAA", "no address"]
    window.trouble.clear()  # a browser complains of 400
