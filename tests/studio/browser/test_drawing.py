"""Every tool draws its kind, and what is drawn can be changed, taken back and brought again."""

import pytest
from playwright.sync_api import expect
from studio_driver import until
from studio_page import circle, points_of

pytestmark = pytest.mark.slow


def near(found, expected, within=2.5):
    return abs(found[0] - expected[0]) < within and abs(found[1] - expected[1]) < within


def free(editor):
    editor.drag([(120, 200), (200, 150), (280, 200)])


def by_clicks(editor):
    editor.click_path([(120, 200), (200, 150), (280, 200)])


def area(editor):
    editor.drag([(150, 100), (280, 210)])


def around(editor):
    editor.drag(circle((200, 160), 60), steps=2)


def check_path(found):
    places = points_of(found)
    assert near(places[0], (120, 200))
    assert near(places[-1], (280, 200))


def check_circle(found):
    assert near(found["center"], (200, 160))
    assert found["radius"] == pytest.approx(50, abs=2)


def check_static(found):
    assert near(points_of(found)[0], (200, 160))


def check_area(found):
    xs, ys = zip(*found["polygon"], strict=True)
    assert near((min(xs), min(ys)), (150, 100))
    assert near((max(xs), max(ys)), (280, 210))


def check_lasso(found):
    xs, ys = zip(*found["polygon"], strict=True)
    assert near((min(xs), min(ys)), (140, 100), 4)
    assert near((max(xs), max(ys)), (260, 220), 4)


def check_brush(found):
    if "polygon" in found:
        xs, _ = zip(*found["polygon"], strict=True)
        assert min(xs) < 135
        assert max(xs) > 265
    else:
        assert found["mask"].startswith("data:image/png;base64,")


def check_box(found):
    source = found["source"]
    assert near((source["x"], source["y"]), (150, 100))
    assert near((source["width"], source["height"]), (130, 110))


def check_rotate(found):
    assert near(found["center"], (200, 160), 4)


def check_camera(found):
    assert found["kind"] == "camera"


TOOLS = {
    "Free path": ("Free path", free, "path", check_path),
    "Free path by clicks": ("Free path", by_clicks, "path", check_path),
    "Circle zoom": ("Circle zoom", lambda e: e.drag([(200, 160), (250, 160)]), "circle", check_circle),
    "Static point": ("Static point", lambda e: e.click(200, 160), "static", check_static),
    "Lasso region": ("Lasso region", around, "region", check_lasso),
    "Rectangle region": ("Rectangle region", area, "region", check_area),
    "Brush region": ("Brush region", lambda e: e.drag([(140, 160), (260, 160)]), "region", check_brush),
    "Box": ("Box", area, "box", check_box),
    "Rotate": ("Rotate", lambda e: e.drag([(200, 160), (260, 160)]), "rotate", check_rotate),
}


@pytest.mark.parametrize("case", TOOLS)
def test_a_tool_draws_its_kind_which_undo_takes_back(editor, case):
    tool, gesture, kind, check = TOOLS[case]
    editor.tool(tool)
    gesture(editor)
    expect(editor.options).to_have_count(1)
    (drawn,) = editor.wait_for_instructions(1)
    assert drawn["kind"] == kind
    check(drawn)
    editor.page.keyboard.press("Escape")
    while editor.options.count():
        editor.page.keyboard.press("Control+z")
    editor.wait_for_instructions(0)
    editor.button("Redo").click()
    expect(editor.options).to_have_count(1)
    assert editor.wait_for_instructions(1)[0]["kind"] == kind


def test_camera_moves_by_its_handles(editor):
    editor.tool("Camera")
    editor.click(200, 160)
    until(lambda: editor.options.count() == 1 or editor.drag([(200, 160), (230, 160)]), 5)
    assert editor.wait_for_instructions(1)[0]["kind"] == "camera"


def test_pin_the_rest_keeps_clear_of_regions(editor):
    editor.tool("Rectangle region")
    area(editor)
    expect(editor.options).to_have_count(1)
    editor.tool("Pin the rest")
    editor.click(30, 30)
    pinned = editor.wait_for_instructions(2)
    assert sorted(each["kind"] for each in pinned) == ["region", "static"]
    (static,) = (each for each in pinned if each["kind"] == "static")
    assert static["grid"]["spacing"] > 0


def test_points_are_moved_inserted_and_removed(editor, tmp_path):
    by_clicks(editor)
    editor.wait_for_instructions(1)
    editor.tool("Select")
    points = editor.points("Path 1")
    expect(points).to_have_count(3)
    editor.drag([(200, 150), (210, 90)])
    until(lambda: near(points_of(editor.stored_instructions()[0])[1], (210, 90)), what="the point was not moved")
    points.nth(1).focus()
    editor.page.keyboard.press("ArrowRight")
    editor.page.keyboard.press("Shift+ArrowDown")
    until(lambda: near(points_of(editor.stored_instructions()[0])[1], (211, 100), 2), what="it was not nudged")
    editor.page.mouse.dblclick(*editor.at(*editor.compiled(tmp_path).points[40, 0]))
    expect(points).to_have_count(4)
    points.nth(1).focus()
    editor.page.keyboard.press("Delete")
    expect(points).to_have_count(3)
    assert len(until(lambda: points_of(editor.stored_instructions()[0]))) >= 3


def test_several_are_selected_moved_duplicated_hidden_and_deleted(editor):
    editor.draw_path([(60, 60), (120, 60)])
    editor.draw_path([(60, 120), (120, 120)])
    editor.wait_for_instructions(2)
    editor.tool("Select")
    editor.drag([(20, 20), (200, 200)])
    expect(editor.list.get_by_role("option", selected=True)).to_have_count(2)
    editor.canvas.focus()
    editor.page.keyboard.press("Shift+ArrowRight")
    until(
        lambda: [round(points_of(each)[0][0]) for each in editor.stored_instructions()] == [70, 70],
        what="both were not moved",
    )
    editor.page.keyboard.press("Control+d")
    editor.wait_for_instructions(4)
    editor.page.keyboard.press("Delete")
    editor.wait_for_instructions(2)
    editor.button("Hide Path 1").click()
    until(lambda: any(each.get("hidden") for each in editor.stored_instructions()), what="it was not hidden")


def test_a_path_can_be_renamed_and_reordered(editor):
    editor.draw_path([(60, 60), (120, 60)])
    editor.draw_path([(60, 120), (120, 120)])
    editor.wait_for_instructions(2)
    editor.options.first.click()
    editor.page.keyboard.press("F2")
    editor.page.keyboard.type("Left ear")
    editor.page.keyboard.press("Enter")
    expect(editor.list.get_by_role("option", name="Left ear")).to_have_count(1)
    until(lambda: any(each.get("name") == "Left ear" for each in editor.stored_instructions()))


def test_zoomed_in_a_point_lands_where_the_pointer_is(editor):
    fitted = editor.scale()
    x, y = editor.at(200, 160)
    editor.page.mouse.move(x, y)
    editor.page.keyboard.down("Control")
    for _ in range(4):
        editor.page.mouse.wheel(0, -120)
    editor.page.keyboard.up("Control")
    until(lambda: abs(editor.at(200, 160)[0] - x) < 4 and editor.scale() > 1.5 * fitted, 5, "the canvas did not zoom")
    editor.tool("Static point")
    editor.click(210, 150)
    (found,) = editor.wait_for_instructions(1)
    assert near(points_of(found)[0], (210, 150), 1)
    editor.button("Fit").click()
    until(lambda: abs(editor.scale() - fitted) < 0.01, 5)
