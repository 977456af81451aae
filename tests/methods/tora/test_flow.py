from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.methods.tora.flow import (
    Blob,
    blurred,
    dense_flow_video,
    displacements,
    flow_colours,
    flow_video,
)
from motionloom.tracks.formats import read_tracks

GOLDEN = Path(__file__).parents[2] / "golden" / "tora"
CASES = ["edge", "line2", "stationary", "subsample30", "tailloss14", "two_cross", "zigzag"]
# As far as the Gaussian reaches, with few enough pixels to write the definition out.
SMALL = Blob(2.0, 5)


def read(name):
    return dict(np.load(GOLDEN / f"{name}.npz"))


def given_tracks(case):
    points = case.get("points_px", case.get("tracks")).transpose(1, 0, 2)
    return points, np.ones(points.shape[:2], bool)


def moves_of(points, size, **more):
    points = np.asarray(points, float)
    return displacements(points, np.ones(points.shape[:2], bool), size, **more)


def assert_colours(found, expected):
    """At most one level apart; where the wheel does not close (exactly to the right), published noise decides."""
    apart = np.abs(found.numpy().astype(int) - expected)
    assert (apart <= 1).mean() >= 0.999
    assert apart[:, [0, 1]].max() <= 1
    assert apart.max() <= 43


def plain_blur(moves, blob, mirrored):
    """The definition, one source after the other: the frame continued beyond its border, and a Gaussian on it."""
    height, width = moves.size
    flow = np.zeros((moves.num_frames, height, width, 2))
    for t, row, column, value in zip(moves.frame, moves.row, moves.column, moves.value, strict=True):
        frame = np.zeros((height, width))
        frame[row, column] = 1.0
        around = np.pad(frame, blob.radius, mode="reflect" if mirrored else "constant")
        for down, across in np.argwhere(around):
            y, x = down - blob.radius, across - blob.radius
            rows, columns = np.arange(height)[:, None] - y, np.arange(width)[None] - x
            near = (np.abs(rows) <= blob.radius) & (np.abs(columns) <= blob.radius)
            weight = np.where(near, np.exp(-(rows**2 + columns**2) / (2 * blob.sigma**2)), 0.0)
            flow[t] += weight[..., None] * value
    return flow


# ------------------------------------------------------------------ the published program
@pytest.mark.parametrize("name", CASES)
def test_published_clips(name):
    case = read(f"traj_{name}")
    frames, height, width = case["canvas"].tolist()
    points, visible = given_tracks(case)
    moves = displacements(points, visible, (height, width))
    order = np.lexsort(case["raw_index"].T[::-1])
    assert np.array_equal(np.stack([moves.frame, moves.row, moves.column], 1), case["raw_index"][order])
    assert np.array_equal(moves.value, case["raw_value"][order])
    assert np.abs(blurred(moves).numpy() - case["flow_blur"]).max(initial=0) <= 2e-5
    video = flow_video(points, visible, (height, width))
    assert video.shape == (frames, 3, height, width)
    assert video.dtype == torch.uint8
    assert_colours(video, case["rgb"])
    # On the program's own flow there is no rounding to excuse.
    assert np.array_equal(flow_colours(case["flow_blur"].transpose(0, 3, 1, 2)).numpy(), case["rgb"])


@pytest.mark.parametrize("name", CASES)
def test_published_clips_from_their_files(name, tmp_path):
    """From what a user types to colours, with the published resampling and whole pixels."""
    case = read(f"traj_{name}")
    frames, height, width = case["canvas"].tolist()
    files = []
    while (key := f"points_in_{len(files)}") in case:
        files.append(tmp_path / f"{key}.txt")
        files[-1].write_text("\n".join(f"{x},{y}" for x, y in case[key].tolist()))
    tracks = read_tracks(files, num_frames=frames, size=(height, width), timing="program")
    assert np.array_equal(np.trunc(tracks.points), given_tracks(case)[0])
    assert_colours(flow_video(tracks.points, tracks.visible, tracks.size, whole_pixels=True), case["rgb"])


def test_published_clip_at_full_size():
    case = read("traj_full_infinity_49x480x720")
    points, visible = given_tracks(case)
    flow = blurred(displacements(points, visible, (480, 720))).numpy()
    assert np.abs(flow[case["frames"], ::8, ::8] - case["flow_blur_sub"]).max() <= 2e-5
    assert np.hypot(*flow.reshape(-1, 2).T).max() == pytest.approx(float(case["max_norm"][0]), abs=1e-5)
    assert_colours(flow_video(points, visible, (480, 720))[:, :, ::16, ::16], case["rgb_sub"])


def test_published_blob():
    kernel = read("gaussian_kernel")["kernel"]
    moves = moves_of([[[60.5, 70.5]], [[61.5, 70.5]]], (141, 121))
    assert np.abs(blurred(moves)[1, 21:120, 11:110, 0].numpy() - kernel).max() <= 1e-7
    away = np.arange(-49, 50)
    blob = Blob()
    assert np.abs(np.exp(-np.add.outer(away**2, away**2) / (2 * blob.sigma**2)) - kernel).max() <= 1e-12
    assert (blurred(moves)[1, :, 110:] == 0).all()
    assert (blurred(moves)[1, :21] == 0).all()


def test_published_training_clips():
    case = read("train_sparse_a")
    size = case["dense_flow"].shape[-2:]
    points, visible = given_tracks(case)
    sparse = blurred(displacements(points, visible, size), normalisation="training").numpy()
    assert np.abs(sparse - case["sparse_blur"]).max() <= 2e-5
    chunk = int(case["chunk"][0])
    video = flow_video(points, visible, size, normalisation="training", chunk=chunk)
    assert_colours(video, case["sparse_rgb_chunked"])
    assert np.array_equal(dense_flow_video(case["dense_flow"], chunk=chunk).numpy(), case["dense_rgb_chunked"])


def test_published_training_points():
    case = read("train_points_a")
    visible = (case["points"] != -9999).all(-1)
    moves = displacements(case["points"], visible, tuple(case["canvas"][1:]))
    assert np.abs(blurred(moves, normalisation="training").numpy() - case["flow"]).max() <= 2e-5


@pytest.mark.parametrize(
    ("flow", "colour"),
    [
        ((1, 0), (255, 0, 0)),
        ((0, 1), (255, 229, 0)),
        ((-1, 0), (0, 209, 255)),
        ((0, -1), (88, 0, 255)),
        ((1, 1), (255, 114, 0)),
        ((-1, 1), (32, 255, 0)),
        ((1, -1), (220, 0, 255)),
        ((-1, -1), (0, 52, 255)),
    ],
)
def test_the_colour_of_a_direction(flow, colour):
    # Rounding of a full length may cost one level.
    assert flow_colours(np.full((2, 1, 1), np.array(flow)[:, None, None]))[:, 0, 0].tolist() == pytest.approx(
        colour, abs=1
    )


# ------------------------------------------------------------------ displacements
def test_fractions_count_and_whole_pixels_are_an_option():
    points = [[[3.9, 2.2]], [[5.3, 2.9]], [[5.3, 2.9]]]
    moves = moves_of(points, (8, 8))
    assert (moves.frame.tolist(), moves.row.tolist(), moves.column.tolist()) == ([1], [2], [3])
    assert moves.value[0] == pytest.approx([1.4, 0.7], abs=1e-6)
    assert moves_of(points, (8, 8), whole_pixels=True).value.tolist() == [[2.0, 0.0]]
    # Cut towards zero, as the program does: what lies less than a pixel beyond the border is on it.
    beyond = [[[-0.9, 2.2]], [[-2.9, 2.9]]]
    assert not len(moves_of(beyond, (8, 8)).frame)
    assert moves_of(beyond, (8, 8), whole_pixels=True).value.tolist() == [[-2.0, 0.0]]


def test_sources_off_the_canvas_are_left_out_and_ends_may_lie_there():
    size = (10, 20)
    for outside in ([-0.5, 5], [20.0, 5], [5, 10.0], [5, -3], [1e8, 5]):
        assert not len(moves_of([[outside], [[5, 5]]], size).frame), outside
        assert len(moves_of([[[5, 5]], [outside]], size).frame) == 1, outside
    corner = moves_of([[[19.99, 9.99]], [[0, 0]]], size)
    assert (corner.row.tolist(), corner.column.tolist()) == ([9], [19])


def test_a_step_counts_where_both_ends_are_visible():
    points = np.stack([np.arange(6.0) + 1, np.full(6, 2.0)], -1)[:, None]
    visible = np.array([1, 1, 0, 1, 1, 1], bool)[:, None]
    assert displacements(points, visible, (8, 8)).frame.tolist() == [1, 4, 5]


def test_the_later_of_two_trajectories_counts_even_where_it_stands_still():
    points = np.array([[[4, 4], [4.5, 4.2], [1, 1]], [[6, 4], [4, 7.2], [1, 2]]], float)
    moves = moves_of(points, (8, 8))
    assert moves.row.tolist() == [1, 4]
    assert moves.value[1] == pytest.approx([-0.5, 3.0])
    points[1, 1] = points[0, 1]
    assert moves_of(points, (8, 8)).row.tolist() == [1]


def test_nothing_moves():
    for points in (np.zeros((1, 3, 2)), np.zeros((5, 0, 2)), np.full((5, 2, 2), 3.5)):
        video = flow_video(points, np.ones(points.shape[:2], bool), (6, 9))
        assert video.shape == (len(points), 3, 6, 9)
        assert (video == 255).all()
    assert (flow_colours(np.zeros((3, 2, 4, 5))) == 255).all()


# ------------------------------------------------------------------ blur
@settings(max_examples=60)
@given(
    st.integers(1, 17),
    st.integers(1, 17),
    st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), min_size=1, max_size=6),
    st.booleans(),
)
def test_boxes_are_the_whole_frame_filtered(height, width, places, mirrored):
    start = np.array(places) * [width, height]
    points = np.stack([start, start + np.arange(1, len(start) + 1)[:, None] * [1.0, -0.5]])
    moves = moves_of(points, (height, width))
    expected = plain_blur(moves, SMALL, mirrored)
    found = blurred(moves, normalisation="inference" if mirrored else "training", blob=SMALL).numpy()
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("count", [1, 5, 12, 300])
def test_any_number_of_trajectories_gives_the_same_flow(count):
    """Few are drawn apart, many as one picture, some in boxes that overlap."""
    rng = np.random.default_rng(count)
    points = rng.random((1, count, 2)) * [120, 70] + np.cumsum(rng.normal(0, 3, (3, count, 2)), 0)
    moves = moves_of(points, (70, 120))
    expected = plain_blur(moves, SMALL, True)
    assert np.abs(blurred(moves, blob=SMALL).numpy() - expected).max() <= 2e-5 * np.abs(expected).max()
    video = flow_video(points, np.ones(points.shape[:2], bool), (70, 120), blob=SMALL)
    colours = flow_colours(expected.transpose(0, 3, 1, 2).astype(np.float32))
    assert ((video.int() - colours.int()).abs() <= 1).float().mean() > 0.999


def test_a_mirrored_motion_has_mirrored_flow():
    rng = np.random.default_rng(0)
    points = rng.uniform([0, 0], [60, 40], (6, 4, 2))
    flow = blurred(moves_of(points, (40, 60)))
    mirrored = blurred(moves_of(np.nextafter([60.0, 0], [0, 0]) - points * [1, -1], (40, 60)))
    assert (flow.flip(2) * torch.tensor([-1.0, 1.0]) - mirrored).abs().max() < 1e-4


def test_blobs_scale_with_the_picture_if_asked():
    points = [[[60.5, 60.5]], [[62.5, 60.5]]]
    half = blurred(moves_of(points, (240, 360)), scale_blob=True)[1, 60, :, 0]
    assert half[60] == 2
    assert half[65] == pytest.approx(2 * np.exp(-0.5), rel=1e-5)
    assert half[84] > 0
    assert half[85] == 0
    as_published = blurred(moves_of(points, (240, 360)))[1, 60, :, 0]
    assert as_published[70] == pytest.approx(2 * np.exp(-0.5), rel=1e-5)
    wide = blurred(moves_of(points, (480, 2000)), scale_blob=True)
    assert torch.equal(wide, blurred(moves_of(points, (480, 2000))))


# ------------------------------------------------------------------ colours
def test_full_colour_is_the_fastest_of_the_clip_or_of_the_chunk():
    points = np.array([[[5.0, 5]], [[6, 5]], [[8, 5]], [[16, 5]], [[5, 5]]])
    visible = np.array([1, 1, 1, 1, 0], bool)[:, None]
    clip = flow_video(points, visible, (12, 20), blob=SMALL)
    # Steps of 1, 2, 8 to the right: red stays, and the faster the less of the others.
    assert clip[1:4, 1, 5, [5, 6, 8]].diagonal().tolist() == [223, 191, 0]
    chunks = flow_video(points, visible, (12, 20), blob=SMALL, normalisation="training")
    assert chunks[1:4, 1, 5, [5, 6, 8]].diagonal().tolist() == [0, 191, 0]


@given(st.floats(1e-2, 1e3))
def test_speed_is_relative(factor):
    flow = np.random.default_rng(0).normal(size=(2, 2, 8, 8)).astype(np.float32)
    apart = flow_colours(flow).int() - flow_colours(flow * np.float32(factor)).int()
    assert apart.abs().max() <= 1


def test_rightward_motion_is_red_without_a_seam():
    points = np.stack([np.linspace(5, 300, 20), np.full(20, 30.25)], -1)[:, None]
    video = flow_video(points, np.ones((20, 1), bool), (60, 320))
    assert (video[:, 0] == 255).all()
    assert torch.equal(video[:, 1], video[:, 2])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"points": np.full((2, 1, 2), np.nan)}, "points: found .*nan.* at frame 0, track 0"),
        ({"points": np.full((2, 1, 2), 1e10)}, "mark points you do not know as not visible"),
        ({"points": np.zeros((2, 2))}, r"points: found shape \(2, 2\)"),
        ({"points": np.zeros((0, 1, 2)), "visible": np.ones((0, 1), bool)}, "at least one frame"),
        ({"visible": np.ones((3, 1), bool)}, r"visible: found shape \(3, 1\), expected \(2, 1\)"),
        ({"size": (0, 5)}, "size: found"),
        ({"normalisation": "clip"}, "normalisation: found 'clip'"),
        ({"chunk": 0}, "chunk: found 0"),
    ],
)
def test_bad_input(arguments, match):
    good = {"points": np.zeros((2, 1, 2)), "visible": np.ones((2, 1), bool), "size": (4, 4)}
    with pytest.raises(InputError, match=match):
        flow_video(**{**good, **arguments})


def test_flow_of_any_type():
    flow = torch.tensor([[[3.0, -1]], [[0.5, 2]]])
    for other in (flow.bfloat16(), flow.double(), flow.numpy().astype(np.float16), flow.tolist()):
        assert torch.equal(flow_colours(other), flow_colours(flow))


def test_bad_flow():
    with pytest.raises(InputError, match=r"flow: found shape \(3, 4, 5, 2\), expected \[T, 2, H, W\]"):
        flow_colours(np.zeros((3, 4, 5, 2)))
    with pytest.raises(InputError, match="not finite"):
        flow_colours(np.full((2, 4, 5), np.inf))
    with pytest.raises(InputError, match=r"expected \[T - 1, 2, H, W\]"):
        dense_flow_video(np.zeros((2, 4, 5)))
