from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.evaluate import subject
from motionloom.evaluate import tracks as track_maths

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"


@pytest.fixture(scope="module")
def published():
    tensors = load_file(GOLDEN / "subject_drift.safetensors")
    return tensors, tensors["masks"].astype(bool) & tensors["detected"].astype(bool)[:, None, None]


def block(x: int, y: int, *, width: int = 6, height: int = 4, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def test_drift_and_flows_are_circle_rotates(published):
    tensors, masks = published
    found = subject.subject_drift(subject.centres_of(masks), masks.shape[1:])
    assert found.drift == pytest.approx(float(tensors["drift"][0]), abs=1e-9)
    assert found.detected_fraction == pytest.approx(5 / 6)
    inside, everywhere = subject.subject_flow(tensors["frames_rgb"], masks)
    assert inside == pytest.approx(float(tensors["subject_flow"][0]), rel=1e-3)
    assert everywhere == pytest.approx(float(tensors["global_flow"][0]), rel=1e-3)


@pytest.mark.parametrize("case", range(6))
def test_choice_among_detections_is_circle_rotates(case):
    tensors = load_file(GOLDEN / "subject_detection_choice.safetensors")
    boxes, classes, sure, expected = (tensors[f"c{case}.{name}"] for name in ("xyxy", "cls", "conf", "chosen"))
    chosen = subject.choose_detection(boxes, classes, sure)
    if (expected == -1).all():
        assert chosen is None
    else:
        np.testing.assert_array_equal(boxes[chosen], expected)


def test_centres_are_continuous_pixels():
    centre = subject.centres_of(np.stack([block(10, 4), np.zeros((32, 48), bool)]))
    assert centre[0].tolist() == [13.0, 6.0]
    assert np.isnan(centre[1]).all()


def test_drift_per_frame_counts_the_frames_in_between():
    centres = [(0.0, 0.0), (np.nan, np.nan), (8.0, 0.0), (8.0, 6.0)]
    found = subject.subject_drift(centres, (30, 40), [0, 2, 4, 7])
    assert found.drift_per_frame == pytest.approx((8 / 4 + 6 / 3) / 2)
    assert found.drift_norm == pytest.approx(found.drift / 50)
    assert found.detected_fraction == 0.75


def test_frames_that_a_short_video_repeats_are_no_steps():
    numbers = subject.sample_frames(3)
    assert numbers.tolist() == [0] * 8 + [1] * 7 + [2]
    centres = np.stack([numbers * 2.0, numbers * 0.0], axis=1)
    assert subject.subject_drift(centres, (30, 40), numbers).drift_per_frame == pytest.approx(2)
    still = subject.subject_drift(np.zeros((16, 2)), (30, 40), subject.sample_frames(1))
    assert still.drift_per_frame is None


def test_samples_are_those_of_circle_rotate():
    assert subject.sample_frames(81).tolist() == [int(n) for n in np.linspace(0, 80, 16)]
    with pytest.raises(InputError, match="num_frames"):
        subject.sample_frames(0)


def test_a_subject_that_is_found_once_has_no_drift():
    assert subject.subject_drift(np.full((4, 2), np.nan), (8, 8)) is None
    assert subject.subject_drift([(1.0, 2.0), (np.nan, np.nan)], (8, 8)) is None
    assert subject.subject_drift([(1.0, 2.0), (1.0, 2.0)], (8, 8)).drift == 0


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_drift_does_not_depend_on_where_the_subject_is(dx, dy):
    centres = np.array([(3.0, 4.0), (5.0, 1.0), (9.0, 2.0)])
    here, there = (subject.subject_drift(each, (64, 64)) for each in (centres, centres + np.array([dx, dy])))
    assert here.drift == pytest.approx(there.drift, abs=1e-9)


def test_flow_inside_is_that_of_the_subject():
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    frames = np.repeat(texture[None], 2, axis=0)
    mask = block(20, 20, width=50, height=40, size=(80, 96))
    frames[1, 20:60, 22:72] = frames[0, 20:60, 20:70]
    inside, everywhere = subject.subject_flow(frames, np.stack([mask, mask]))
    assert inside == pytest.approx(2, abs=0.4)
    assert everywhere < inside
    empty = np.zeros((2, 80, 96), bool)
    assert subject.subject_flow(frames, empty) == (None, everywhere)
    assert subject.subject_flow(frames[:1], empty[:1]) == (None, None)
    with pytest.raises(InputError, match=r"masks: found shape \(2, 40, 96\), expected \(2, 80, 96\)"):
        subject.subject_flow(frames, empty[:, :40])


def test_a_box_is_found_again_by_overlap_not_by_confidence():
    boxes = [(0, 0, 10, 10), (20, 20, 30, 30), (2, 0, 12, 10)]
    assert subject.choose_same(boxes, [2, 2, -1], [0.9, 0.99, 0.3], (1, 0, 11, 10)) == 0
    assert subject.choose_same(boxes, [2, 2, -1], [0.1, 0.99, 0.3], (1, 0, 11, 10)) == 2
    assert subject.choose_same(boxes, [2, 2, -1], [0.9, 0.99, 0.3], (8, 8, 14, 14)) is None
    assert subject.choose_same(np.zeros((0, 4)), [], [], (8, 8, 14, 14)) is None


def test_the_mask_s_centre_is_a_track_that_stays_where_it_was_lost():
    empty = np.zeros((32, 48), bool)
    masks = np.stack([empty, block(10, 4), block(14, 4), empty])
    points, visible = subject.centre_trajectory(masks)
    assert points[:, 0].tolist() == [[13, 6], [13, 6], [17, 6], [17, 6]]
    assert visible[:, 0].tolist() == [False, True, True, False]
    wanted = np.array([[[13, 6]], [[13, 6]], [[15, 7]], [[17, 7]]], np.float64)
    assert track_maths.trajectory_error(points, wanted, summed=True) == pytest.approx((0 + 0 + 3 + 1) / 4)
    with pytest.raises(InputError, match="in no frame"):
        subject.centre_trajectory(np.stack([empty, empty]))


def test_overlap_of_masks_and_boxes():
    a, b = block(0, 0, width=4, height=4), block(2, 0, width=4, height=4)
    empty = np.zeros_like(a)
    assert subject.mask_iou(np.stack([a, a, empty]), np.stack([b, a, empty])) == [pytest.approx(1 / 3), 1.0, None]
    assert subject.box_iou((0, 0, 4, 4), (2, 0, 6, 4)) == pytest.approx(1 / 3)
    assert subject.box_iou((0, 0, 4, 4), (5, 5, 6, 6)) == 0
    assert subject.box_iou((1, 1, 1, 1), (2, 2, 2, 2)) is None
    assert subject.box_of(a | b) == (0, 0, 6, 4)
    assert subject.box_of(empty) is None
    with pytest.raises(InputError, match="the same twice"):
        subject.mask_iou(a[None], np.stack([a, a]))


def test_the_subject_is_cut_out_of_its_box():
    rng = np.random.default_rng(0)
    frame = rng.integers(90, 130, (60, 80, 3), dtype=np.uint8)
    y, x = np.mgrid[:60, :80]
    disc = (x - 40) ** 2 + (y - 30) ** 2 < 144
    frame[disc] = (230, 40, 30)
    found = subject.cut_out(frame, (22, 12, 58, 48))
    assert subject.mask_iou(found[None], disc[None])[0] > 0.95
    np.testing.assert_array_equal(found, subject.cut_out(frame, (22, 12, 58, 48)))


def test_a_box_in_which_nothing_stands_out_is_taken_whole():
    frame = np.full((40, 40, 3), 127, np.uint8)
    assert subject.cut_out(frame, (0, 0, 40, 40)).all()
    assert subject.cut_out(frame, (10, 10, 20, 20)).sum() == 100


@pytest.mark.parametrize("box", [(50, 50, 60, 60), (10, 10, 10, 20), (20, 20, 10, 10), (0, 0, 1), (0, 0, np.nan, 4)])
def test_boxes_without_area_inside_are_refused(box):
    with pytest.raises(InputError, match="box"):
        subject.cut_out(np.zeros((40, 40, 3), np.uint8), box)


def test_points_are_inside_and_spread():
    mask = block(4, 4, width=30, height=20)
    points = subject.points_inside(mask, 25)
    assert 12 <= len(points) <= 40
    cells = np.floor(points).astype(int)
    assert mask[cells[:, 1], cells[:, 0]].all()
    assert np.ptp(points, axis=0).min() > 10
    assert subject.points_inside(block(7, 9, width=1, height=1)).tolist() == [[7.5, 9.5]]
    with pytest.raises(InputError, match="empty"):
        subject.points_inside(np.zeros((4, 4), bool))


def test_a_mask_is_carried_by_the_median_of_its_points():
    mask = block(10, 8)
    points = np.repeat(subject.points_inside(mask)[None], 3, axis=0)
    points[1] += (4, -2)
    points[1, 0] += (30, 0)  # one point that slipped
    visible = np.ones(points.shape[:2], bool)
    visible[2] = False
    centres = subject.carried_centres(mask, points, visible)
    assert centres[:2].tolist() == [[13, 10], [17, 8]]
    assert np.isnan(centres[2]).all()
    masks = subject.carried_masks(mask, centres)
    np.testing.assert_array_equal(masks[1], block(14, 6))
    assert not masks[2].any()
    assert subject.carried_masks(mask, [(1.0, 10.0)])[0].sum() == 4 * 4  # two of its six columns have left


@pytest.mark.parametrize("masks", [np.zeros((4, 4), bool), np.zeros((0, 4, 4), bool)])
def test_other_shapes_are_refused(masks):
    with pytest.raises(InputError, match=r"expected bool \[T, H, W\]"):
        subject.centres_of(masks)
    with pytest.raises(InputError, match="classes"):
        subject.choose_detection(np.zeros((2, 4)), [1], [0.5, 0.5])
    with pytest.raises(InputError, match="box: found"):
        subject.choose_same([[0, 0, 4, 4]], [2], [0.9], (0, 0, np.nan, 4))
