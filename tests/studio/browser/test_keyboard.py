"""Everything without a mouse: from an example to the finished video."""

import re

import pytest
from playwright.sync_api import expect
from studio_driver import until

pytestmark = pytest.mark.slow

FOCUSED = """() => {
  const e = document.activeElement;
  if (e === document.body) return { name: "", role: "body" };
  return { name: e.getAttribute("aria-label") || e.textContent.trim(), role: e.getAttribute("role") || e.tagName };
}"""


def tab_to(page, name, role=None, limit=120, backwards=False):
    """Tab until an element with that name has the focus."""
    for _ in range(limit):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        found = page.evaluate(FOCUSED)
        if re.search(name, found["name"]) and (role is None or found["role"].lower() == role):
            return found
    raise AssertionError(f"no element named {name} takes the focus")


def test_from_an_example_to_the_video_without_a_mouse(own_studio, open_page):
    server = own_studio()
    editor = open_page(server)
    page = editor.page
    expect(editor.button("New project")).to_be_visible()
    tab_to(page, "^Start from Cat")
    page.keyboard.press("Enter")
    editor.wait_until_ready()
    editor.project = re.search(r"[0-9a-f]{16}", editor.address())[0]
    count = editor.options.count()

    # A path of three points by the crosshair.
    editor.canvas.focus()
    page.keyboard.press("p")
    expect(editor.radio("Free path")).to_be_checked()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    for _ in range(3):
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(editor.options).to_have_count(count + 1)
    editor.wait_for_instructions(count + 1)
    page.keyboard.press("Control+z")
    editor.wait_for_instructions(count)
    page.keyboard.press("Control+Shift+z")
    editor.wait_for_instructions(count + 1)

    # The quickest model, then the video.
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+2")
    expect(editor.page.get_by_role("tab", name="Generate")).to_have_attribute("aria-selected", "true")
    tab_to(page, "^", "select")
    # One letter: on a busy machine the pauses between several would be taken for the end of a word.
    page.keyboard.press("g")
    until(lambda: editor.stored()["settings"]["model"] == "warp", 10, "the model was not chosen by typing")
    page.keyboard.press("Control+Enter")
    until(lambda: len(server.jobs()) == 1, 10, "Ctrl+Enter made no job")
    until(lambda: server.results(), 120, "no result")
    page.keyboard.press("Alt+3")
    expect(editor.results).to_have_count(1)
    tab_to(page, "^Play")
    page.keyboard.press("Enter")
    video = page.get_by_label("Result video").first
    expect(video).to_be_visible()
    until(lambda: video.evaluate("v => v.videoWidth > 0"), 20)


def test_tools_answer_to_their_letters_and_help_lists_them(editor):
    letters = {"p": "Free path", "c": "Circle zoom", "s": "Static point", "g": "Pin the rest", "l": "Lasso region"}
    letters |= {"r": "Rectangle region", "b": "Brush region", "x": "Box", "o": "Rotate", "m": "Camera", "h": "Hand"}
    editor.canvas.focus()
    for letter, name in letters.items():
        editor.page.keyboard.press(letter)
        expect(editor.radio(name)).to_be_checked()
    editor.page.keyboard.press("v")
    expect(editor.radio("Select")).to_be_checked()
    editor.page.keyboard.press("?")
    expect(editor.page.get_by_role("dialog")).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)
    # While typing, letters are letters.
    name = editor.page.get_by_label("Project name")
    name.fill("")
    name.type("brush")
    expect(editor.radio("Select")).to_be_checked()


def test_the_focus_is_always_visible(editor):
    page = editor.page
    editor.draw_path()
    editor.wait_for_instructions(1)
    hidden = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
              const e = document.activeElement;
              if (e === document.body) return null;
              const ringed = (e) => {
                return [null, "::before", "::after"].map((part) => getComputedStyle(e, part)).some(
                  (s) => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none");
              };
              const shapes = [e, ...e.querySelectorAll("*"), e.parentElement, e.nextElementSibling].filter(Boolean);
              const caret = e.matches("textarea, input:not([type=checkbox], [type=radio], [type=range])");
              const marked = caret || shapes.some(ringed) || e.ownerSVGElement || e.matches("svg *");
              return marked ? null : `${e.tagName} ${e.getAttribute("aria-label") ?? e.textContent.slice(0, 40)}`;
            }"""
        )
        if found:
            hidden.append(found)
    assert not hidden, f"no focus to be seen on {sorted(set(hidden))}"
