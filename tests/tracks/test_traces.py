import numpy as np
import pytest
from PIL import Image

from motionloom.errors import InputError
from motionloom.tracks.motion import Motion

WIDTH, HEIGHT, FRAMES, FPS = 320, 160, 11, 10.0
SQUARE = [[40, 40], [80, 40], [80, 80], [40, 80]]


def motion(*instructions, folder=None, **fields):
    document = {"format": "motionloom.motion", "version": 1, "canvas": {"width": WIDTH, "height": HEIGHT}}
    document |= {"num_frames": FRAMES, "fps": FPS, "instructions": list(instructions), **fields}
    return Motion.parse(document, folder=folder)


def compiled(*instructions, **fields):
    return motion(*instructions, **fields).compile()


def path(points=((10, 20), (110, 20)), **fields):
    return {"kind": "path", "points": [list(point) for point in points], **fields}


# ------------------------------------------------------------------------------------------------ single instructions
def test_a_circle_grows_to_a_radius_or_by_keyframes():
    circle = {"kind": "circle", "center": [160, 80], "radius": 20, "count": 4}
    tracks = compiled({**circle, "radius_curve": 40})
    np.testing.assert_allclose(tracks.points[0], [[180, 80], [160, 100], [140, 80], [160, 60]], atol=1e-4)
    np.testing.assert_allclose(tracks.points[5, 0], [190, 80], atol=1e-4)
    np.testing.assert_allclose(tracks.points[10, 1], [160, 120], atol=1e-4)
    keyed = compiled({**circle, "radius_curve": [[0, 20], [4, 60], [10, 30]], "angles": [90]})
    assert keyed.num_tracks == 1
    np.testing.assert_allclose(keyed.points[[0, 2, 4, 7, 10], 0, 1], [100, 120, 140, 125, 110], atol=1e-4)


def test_keyframes_have_their_own_easing():
    curve = [{"frame": 0, "value": 20, "easing": "hold"}, [5, 30], {"frame": 10, "value": 40}]
    tracks = compiled({"kind": "circle", "center": [0, 0], "radius": 20, "radius_curve": curve, "count": 1})
    np.testing.assert_allclose(tracks.points[[0, 4, 5, 6, 10], 0, 0], [20, 20, 30, 32, 40], atol=1e-4)


def test_a_box_moves_straight_and_scales_each_side():
    box = {"kind": "box", "source": {"x": 20, "y": 30, "width": 40, "height": 20}}
    target = {"x": 100, "y": 80, "width": 80, "height": 60}
    tracks = compiled({**box, "target": target})
    np.testing.assert_allclose(tracks.points[0], [[20, 30], [60, 30], [60, 50], [20, 50], [40, 40]], atol=1e-4)
    np.testing.assert_allclose(tracks.points[10], [[100, 80], [180, 80], [180, 140], [100, 140], [140, 110]], atol=1e-4)
    np.testing.assert_allclose(tracks.points[5], (tracks.points[0] + tracks.points[10]) / 2, atol=1e-4)
    still = compiled(box)
    np.testing.assert_array_equal(still.points[10], still.points[0])


def test_a_box_on_a_path_follows_its_displacement():
    box = {"kind": "box", "source": {"x": 20, "y": 30, "width": 40, "height": 20}, "spacing": 10}
    route = {"points": [[0, 0], [50, 0], [50, 50]], "curve": "polyline"}
    tracks = compiled({**box, "path": route, "target": {"x": 0, "y": 0, "width": 80, "height": 40}})
    assert tracks.num_tracks == 5 + 8
    np.testing.assert_allclose(tracks.points[5, 4], [90, 40], atol=1e-4)
    np.testing.assert_allclose(tracks.points[10, 4], [90, 90], atol=1e-4)
    np.testing.assert_allclose(tracks.points[10, 0], [50, 70], atol=1e-4)


def test_a_region_turns_and_scales_about_its_centroid_while_it_moves():
    region = {"kind": "region", "polygon": SQUARE, "spacing": 20, "rotation": 90, "scale": 2}
    tracks = compiled({**region, "path": {"points": [[0, 0], [100, 0]]}})
    np.testing.assert_allclose(tracks.points[0], [[50, 50], [70, 50], [50, 70], [70, 70]])
    # Clockwise on the screen: what was top left of the centre (60, 60) is now top right of (160, 60), twice as far.
    np.testing.assert_allclose(tracks.points[10], [[180, 40], [180, 80], [140, 40], [140, 80]], atol=1e-4)
    about = compiled({**region, "scale": 1.0, "pivot": [40, 40]})
    np.testing.assert_allclose(about.points[10, 0], [30, 50], atol=1e-4)


def test_a_region_from_a_mask_image(tmp_path):
    mask = np.zeros((16, 32), np.uint8)
    mask[4:8, 4:8] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    region = {"kind": "region", "mask": "mask.png", "spacing": 20, "path": {"points": [[0, 0], [100, 0]]}}
    tracks = motion(region, folder=tmp_path).compile()
    np.testing.assert_allclose(tracks.points[0], [[50, 50], [70, 50], [50, 70], [70, 70]])
    np.testing.assert_allclose(tracks.points[10, 0], [150, 50], atol=1e-4)
    with pytest.raises(InputError, match=r"instruction 'region-1': mask\.png: the motion was not read from a file"):
        motion(region).compile()


def test_rotating_points_and_areas():
    turn = {"kind": "rotate", "center": [100, 80], "angle": 90}
    tracks = compiled({**turn, "points": [[120, 80], [100, 60]]})
    np.testing.assert_allclose(tracks.points[10], [[100, 100], [120, 80]], atol=1e-4)
    np.testing.assert_allclose(
        tracks.points[5, 0], 80 * np.array([0, 1]) + [100, 0] + 20 * np.array([0.7071, 0.7071]), atol=1e-2
    )
    area = compiled({**turn, "region": {"polygon": SQUARE}, "spacing": 40})
    np.testing.assert_allclose(area.points[[0, 10], 0], [[60, 60], [120, 40]], atol=1e-4)


# ------------------------------------------------------------------------------------------------------------- anchors
def test_an_anchor_grid_keeps_clear_of_areas_and_of_where_paths_begin():
    tracks = compiled(
        {"kind": "region", "polygon": SQUARE, "spacing": 20},
        path([(204, 84), (300, 84)]),
        {"kind": "static", "points": [[1, 2]], "grid": {"spacing": 16}},
    )
    anchors = tracks.points[0, 5:]
    np.testing.assert_array_equal(anchors[0], [1, 2])
    grid = anchors[1:]
    assert np.array_equal(tracks.points[10, 5:], anchors)
    assert not (np.maximum(np.abs(grid - 60).max(axis=1) - 20, 0) < 7).any()
    assert np.linalg.norm(grid - [204, 84], axis=1).min() > 8
    assert len(grid) == 200 - 9 - 1


def test_an_anchor_grid_outside_chosen_areas_only():
    region = {"kind": "region", "id": "a", "polygon": SQUARE, "spacing": 40}
    box = {"kind": "box", "id": "b", "source": {"x": 160, "y": 0, "width": 160, "height": 160}}
    grid = {"spacing": 40, "margin": 0}
    count = lambda outside: compiled(region, box, {"kind": "static", "grid": {**grid, **outside}}).num_tracks - 6  # noqa: E731
    assert count({}) == 32 - 1 - 16
    assert count({"outside": ["a"]}) == 31
    assert count({"outside": []}) == 32
    assert count({"outside": ["b", {"polygon": [[0, 0], [80, 0], [80, 160], [0, 160]]}]}) == 32 - 16 - 8
    with pytest.raises(ValueError, match=r"grid.outside: no instruction has the id 'c'"):
        count({"outside": ["c"]})
    with pytest.raises(ValueError, match=r"'p' has no area"):
        compiled(path(id="p"), {"kind": "static", "grid": {"outside": ["p"]}})


# -------------------------------------------------------------------------------------------------------------- camera
def test_a_zoom_moves_the_grid_from_the_middle_and_out_of_the_frame():
    tracks = compiled({"kind": "camera", "zoom": 2, "spacing": 40})
    assert tracks.num_tracks == 32
    middle = np.array([160, 80])
    np.testing.assert_allclose(tracks.points[10] - middle, 2 * (tracks.points[0] - middle), atol=1e-3)
    np.testing.assert_allclose(tracks.points[5] - middle, 1.5 * (tracks.points[0] - middle), atol=1e-3)
    np.testing.assert_array_equal(tracks.visible, tracks.inside())
    assert tracks.visible[10].sum() == 8


def test_the_camera_leaves_out_areas_and_may_take_objects_along():
    region = {"kind": "region", "polygon": SQUARE, "spacing": 40, "path": {"points": [[0, 0], [100, 0]]}}
    camera = {"kind": "camera", "zoom": 2, "spacing": 40}
    alone = compiled(region, camera)
    assert alone.num_tracks == 1 + 31
    np.testing.assert_allclose(alone.points[10, 0], [160, 60], atol=1e-4)
    along = compiled(region, {**camera, "include_objects": True})
    np.testing.assert_allclose(along.points[10, 0], [160, 40], atol=1e-3)
    np.testing.assert_allclose(along.points[0, 0], [60, 60], atol=1e-4)


def test_objects_keep_their_depth_in_a_depth_map(tmp_path):
    depth = np.full((160, 320), 4.0, np.float32)
    depth[30:100, 30:100] = 2.0
    np.save(tmp_path / "depth.npy", depth)
    camera = {"kind": "camera", "truck": 0.5, "spacing": 80, "focal": 100, "include_objects": True}
    camera["depth"] = {"file": "depth.npy", "encoding": "metric"}
    found = motion(path([(60, 60), (160, 60)]), path([(250, 100), (250, 100)]), camera, folder=tmp_path).compile()
    np.testing.assert_allclose(found.points[10, :2], [[160 - 25, 60], [250 - 12.5, 100]], atol=1e-3)
    # The grid, 80 px apart: one point on the near part, all others far.
    shift = found.points[0, 2:, 0] - found.points[10, 2:, 0]
    np.testing.assert_allclose(np.sort(shift), [12.5] * 7 + [25], atol=1e-3)


def test_depth_maps_hide_what_near_things_cover(tmp_path):
    depth = np.full((160, 320), 4.0, np.float32)
    depth[:, 140:180] = 1.0
    np.save(tmp_path / "depth.npy", depth)
    camera = {
        "kind": "camera",
        "truck": 0.5,
        "spacing": 8,
        "focal": 100,
        "depth": {"file": "depth.npy", "encoding": "metric"},
    }
    tracks = motion(camera, folder=tmp_path).compile()
    assert tracks.visible[0].all()
    first, last = tracks.points[0, :, 0], tracks.points[10, :, 0]
    wall = (first < 140) | (first > 180)
    behind = wall & (last > 90) & (last < 130)
    assert behind.sum() >= 20 * 4
    assert not tracks.visible[10, behind].any()
    clear = wall & ((last < 85) | (last > 135)) & (last > 0)
    assert tracks.visible[10, clear].all()


def test_camera_fields_of_view():
    wide = compiled({"kind": "camera", "pan": 5, "fov": 90, "spacing": 300}).points
    np.testing.assert_allclose(wide[10, 0] - wide[0, 0], [-160 * np.tan(np.radians(5)), 0], atol=1e-3)
    orbit = compiled({"kind": "camera", "orbit": 30, "orbit_depth": 1.0, "depth": 1.0, "spacing": 300}).points
    np.testing.assert_allclose(orbit[10, 0], [160, 80], atol=1e-3)
