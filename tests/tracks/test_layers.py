import numpy as np
import pytest

from motionloom.tracks.motion import Motion

SQUARE = [[40, 40], [80, 40], [80, 80], [40, 80]]
MOVER = {"kind": "region", "name": "cup", "polygon": SQUARE, "spacing": 20, "path": {"points": [[0, 0], [100, 0]]}}
BOX = {"kind": "box", "source": {"x": 160, "y": 0, "width": 80, "height": 40}}


def layers(*instructions, size=None, **arguments):
    document = {"format": "motionloom.motion", "version": 1, "canvas": {"width": 320, "height": 160}}
    document |= {"num_frames": 11, "fps": 10.0, "instructions": list(instructions)}
    return Motion.parse(document).layers(size, **arguments)


def test_without_areas_everything_is_background():
    (background,) = layers(
        {"kind": "path", "points": [[1, 1], [9, 9]]},
        {"kind": "camera", "zoom": 2, "spacing": 80},
        {"kind": "circle", "center": [100, 100], "radius": 9, "radius_curve": 20, "count": 3},
        {"kind": "rotate", "center": [100, 100], "angle": 20, "points": [[1, 1]]},
    )
    assert (background.region, background.order, background.name) == (None, 0, "background")
    assert background.tracks.num_tracks == 1 + 8 + 3 + 1


def test_a_motion_without_instructions_has_a_background_without_tracks():
    (background,) = layers(num_frames=7, size=(80, 160))
    assert background.tracks.num_tracks == 0
    assert background.tracks.num_frames == 7
    assert background.tracks.size == (80, 160)


def test_areas_become_layers_in_list_order_at_the_wanted_size():
    turn = {"kind": "rotate", "center": [100, 100], "angle": 20, "region": {"polygon": SQUARE}, "spacing": 40}
    found = layers(BOX, {"kind": "static", "points": [[300, 150]]}, MOVER, turn, size=(320, 320), num_frames=3)
    assert [layer.name for layer in found] == ["background", "box-1", "cup", "rotate-1"]
    assert [layer.order for layer in found] == [0, 1, 2, 3]
    assert [layer.tracks.num_tracks for layer in found] == [1, 5, 4, 1]
    expected = np.zeros((320, 320), bool)
    expected[80:160, 40:80] = True
    np.testing.assert_array_equal(found[2].region, expected)
    assert all(layer.tracks.size == (320, 320) and layer.tracks.num_frames == 3 for layer in found)
    np.testing.assert_allclose(found[2].tracks.points[2, 0] - found[2].tracks.points[0, 0], [100, 0], atol=1e-4)


def test_layers_ignore_occlusion_between_them():
    pin = {"kind": "static", "points": [[125, 60]]}
    background, mover = layers(MOVER, pin)
    assert background.tracks.visible.all()
    assert mover.tracks.visible.all()


def test_rigid_layers_move_by_a_similarity():
    (_, layer) = layers({**MOVER, "rotation": 70, "scale": 1.7})
    assert layer.rigid
    first, last = layer.tracks.points[0], layer.tracks.points[-1]
    ratio = np.linalg.norm(last[1] - last[0]) / np.linalg.norm(first[1] - first[0])
    assert ratio == pytest.approx(1.7, abs=1e-4)
    assert np.linalg.norm(last[3] - last[0]) / np.linalg.norm(first[3] - first[0]) == pytest.approx(1.7, abs=1e-4)


def test_a_box_that_changes_its_form_is_not_rigid():
    target = {"x": 0, "y": 0, "width": 40, "height": 20}
    assert layers({**BOX, "target": target})[1].rigid
    assert not layers({**BOX, "target": {**target, "width": 60}})[1].rigid


def test_paths_that_begin_on_an_area_bend_the_foremost_one():
    inside = {"kind": "path", "points": [[60, 60], [200, 60]]}
    pins = {"kind": "static", "points": [[50, 50], [200, 100]]}
    over = {**MOVER, "name": "lid", "polygon": [[55, 55], [80, 55], [80, 80], [55, 80]]}
    background, cup, lid = layers(MOVER, over, inside, pins)
    assert [layer.tracks.num_tracks for layer in (background, cup, lid)] == [1, 5, 2]
    assert not cup.rigid
    assert not lid.rigid
    np.testing.assert_array_equal(background.tracks.points[0], [[200, 100]])
    np.testing.assert_allclose(lid.tracks.points[-1, -1], [200, 60], atol=1e-4)
