"""On a tablet: fingers instead of a mouse."""

import pytest
from playwright.sync_api import expect
from studio_driver import until
from studio_page import points_of

pytestmark = pytest.mark.slow

TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


class Fingers:
    """Touches as a screen reports them."""

    def __init__(self, page):
        self._session = page.context.new_cdp_session(page)

    def send(self, kind, points):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(self, *ways, steps=10):
        """Each way is one finger: from, to."""
        self.send("touchStart", [start for start, _ in ways])
        for step in range(1, steps + 1):
            share = step / steps
            points = [(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])) for a, b in ways]
            self.send("touchMove", points)
        self.send("touchEnd", [])


def test_drawing_and_pinching(studio, open_page):
    editor = open_page(studio, **TABLET).open_new()
    fingers = Fingers(editor.page)
    editor.radio("Free path").tap()
    expect(editor.radio("Free path")).to_be_checked()
    fingers.drag((editor.at(120, 150), editor.at(260, 170)))
    expect(editor.points("Path 1").first).to_be_attached()
    (drawn,) = editor.wait_for_instructions(1)
    assert abs(points_of(drawn)[0][0] - 120) < 4
    assert abs(points_of(drawn)[-1][0] - 260) < 4
    # Two fingers zoom and never draw.
    before = editor.scale()
    x, y = editor.at(200, 150)
    fingers.drag(((x - 40, y), (x - 140, y)), ((x + 40, y), (x + 140, y)))
    until(lambda: editor.scale() > 1.5 * before, 5, "pinching did not zoom")
    assert len(editor.stored_instructions()) == 1
    editor.page.get_by_role("button", name="Undo").tap()
    editor.wait_for_instructions(0)


def test_everything_is_reached_on_a_tablet(studio, open_page):
    editor = open_page(studio, **TABLET).open_new()
    panel = editor.button("Panel")
    panel.tap()
    for name in ("Generate", "Results", "Motion"):
        editor.page.get_by_role("tab", name=name, exact=True).tap()
        expect(editor.page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
    wide = editor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"the page is {wide} px wider than the screen"
    small = editor.page.evaluate(
        """() => [...document.querySelectorAll("[role=toolbar] [role=radio]")].map((e) => e.getBoundingClientRect())
                  .filter((r) => r.width < 36 || r.height < 36).length"""
    )
    assert small == 0, "tools are too small for a finger"
