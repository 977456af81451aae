"""The one look at the page of the everyday loop."""

import numpy as np
from playwright.sync_api import expect
from studio_page import points_of


def test_draw_on_a_photograph_and_it_is_saved(editor):
    editor.draw_path([(150, 150), (220, 120), (300, 160)])
    expect(editor.options).to_have_count(1)
    (path,) = editor.wait_for_instructions(1)
    assert path["kind"] == "path"
    np.testing.assert_allclose(points_of(path)[0], (150, 150), atol=2)
    np.testing.assert_allclose(points_of(path)[-1], (300, 160), atol=2)
