"""The one look at the page of the everyday loop."""

from playwright.sync_api import expect


def test_draw_on_a_photograph_and_it_is_saved(editor):
    editor.draw_path([(150, 150), (220, 120), (300, 160)])
    expect(editor.options).to_have_count(1)
    (path,) = editor.wait_for_instructions(1)
    assert path["kind"] == "path"
    first, last = path["points"][0], path["points"][-1]
    assert abs(first["x"] - 150) < 2
    assert abs(first["y"] - 150) < 2
    assert abs(last["x"] - 300) < 2
    assert abs(last["y"] - 160) < 2
