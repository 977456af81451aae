from typing import Any

import numpy as np
import pytest
import torch
from slides import FPS
from tiny_networks import write_detector, write_segmenter

from motionloom.evaluate import subject
from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.measurement import Measurement, UsedWeights
from motionloom.evaluate.networks.detector import Detections
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.evaluate.suite import subject as suite
from motionloom.media import Clip
from motionloom.tracks.tracks import Tracks

ALL = ("subject_drift", "subject_drift_detected", "subject_drift_tracked", "trajectory_error_masks")
NUMBERS = ("drift", "drift_norm", "drift_per_frame", "detected_fraction", "flow")
SIZE = (64, 96)


def walking(picture: np.ndarray, frames: int = 9, step: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A red disc that walks over the picture from (24, 32), and its masks."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    masks = np.stack([(x - 24 - step * t) ** 2 + (y - 32) ** 2 < 144 for t in range(frames)])
    texture = np.random.default_rng(0).integers(0, 90, (24, 24), dtype=np.uint8)
    video = np.repeat(picture[None], frames, axis=0)
    for t in range(frames):
        patch = np.zeros(SIZE, np.uint8)
        patch[20:44, 12 + step * t : 36 + step * t] = texture
        video[t][masks[t]] = np.stack([160 + patch, patch // 2, patch], axis=-1)[masks[t]]
    return video, masks


def found(video: np.ndarray, metrics=ALL, tools: Tools | None = None, **known: Any) -> dict[str, Measurement]:
    made = measure(Sample("a", Clip(video, FPS), **known), tools or Tools(), metrics=metrics)
    assert len({each.name for each in made}) == len(made)
    return {each.name: each for each in made}


def test_from_given_masks(picture):
    video, masks = walking(picture, 31, 1)
    values = found(video, masks=masks)
    numbers = np.arange(0, 31, 2)
    expected = subject.subject_drift(subject.centres_of(masks[numbers]), SIZE, numbers)
    drift = values["subject_drift"]
    assert drift.value == pytest.approx(expected.drift) == pytest.approx(numbers.std(), abs=0.2)
    assert (drift.n, drift.frames, drift.unit, drift.fallback, drift.variant) == (16, 16, "px", False, "given masks")
    assert [index for index, value in enumerate(drift.curve) if value is not None] == numbers.tolist()
    assert drift.curve[30] == pytest.approx(15, abs=0.1)
    assert values["subject_drift_norm"].value == pytest.approx(expected.drift / np.hypot(*SIZE))
    assert values["subject_drift_per_frame"].value == pytest.approx(1, abs=0.02)
    assert values["subject_detected_fraction"].value == 1
    inside, everywhere = subject.subject_flow(video[numbers], masks[numbers])
    assert (values["subject_flow"].value, values["global_flow"].value) == (inside, everywhere)
    # Where masks are given, nothing else speaks of the subject.
    assert set(values) == {*(f"subject_{name}" for name in NUMBERS), "global_flow"}


def test_masks_of_another_size_are_fitted(picture):
    video, masks = walking(picture)
    large = masks.repeat(3, 1).repeat(3, 2)
    assert found(video, masks=large)["subject_drift"].value == pytest.approx(
        found(video, masks=masks)["subject_drift"].value
    )
    assert "expected [9, H, W]" in found(video, masks=masks[:5])["subject_drift"].reason


def test_a_subject_that_is_nowhere_has_no_drift(picture):
    video, masks = walking(picture)
    values = found(video, masks=np.zeros_like(masks))
    for name in ("drift", "drift_norm", "drift_per_frame", "flow"):
        assert values[f"subject_{name}"].value is None
        assert "found in 0 of 16" in values[f"subject_{name}"].reason
    assert values["subject_detected_fraction"].value == 0
    assert values["global_flow"].value > 0


def test_one_frame_has_no_drift(picture):
    video, masks = walking(picture, 1)
    values = found(video, masks=masks)
    assert "one frame" in values["subject_drift"].reason
    assert "one frame" in values["global_flow"].reason
    assert values["subject_detected_fraction"].value == 1


class Scripted(Tools):
    """Networks that see what is there."""

    def __init__(self, detections: dict[int, Detections], video: np.ndarray) -> None:
        super().__init__()
        self.detections, self.video, self.boxes = detections, video, []

    def network(self, name: str, build: Any) -> Any:
        return self

    def used(self, *names: str) -> UsedWeights:
        return UsedWeights("+".join(names), "0" * 64)

    def detect(self, frames: np.ndarray) -> list[Detections]:
        (number,) = [index for index, each in enumerate(self.video) if (each == frames[0]).all()]
        return [self.detections[number]]

    def outline(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        self.boxes.append(tuple(box.tolist()))
        mask = np.zeros(frame.shape[:2], bool)
        x0, y0, x1, y1 = np.round(box).astype(int)
        mask[y0:y1, x0:x1] = True
        return mask


def seen(*objects: tuple[tuple[float, float, float, float], int, float]) -> Detections:
    boxes, classes, sure = ([each[i] for each in objects] for i in range(3))
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64), ("",) * len(objects), np.array(sure)
    )


def test_by_networks(picture):
    video, _ = walking(picture)
    path = {t: (12.0 + 3 * t, 20.0, 36.0 + 3 * t, 44.0) for t in range(9)}
    other = (60.0, 0.0, 96.0, 60.0)
    script = {t: seen((other, -1, 0.99), (box, 2, 0.5)) for t, box in path.items()}
    script[4] = seen()
    tools = Scripted(script, video)
    values = found(video, metrics=("subject_drift_detected",), tools=tools)
    assert tools.boxes == [box for t, box in path.items() if t != 4]
    drift = values["subject_drift_detected"]
    numbers = subject.sample_frames(9)
    assert drift.value == pytest.approx(float(np.std(3.0 * numbers[numbers != 4])))
    assert (drift.weights.name, drift.fallback) == ("rt-detr+sam", False)
    assert values["subject_detected_fraction_detected"].value == pytest.approx(1 - (numbers == 4).mean())
    # With a box it is the object in the box that is followed, sure or not.
    tools = Scripted({t: seen((other, -1, 0.3), (box, 2, 0.9)) for t, box in path.items()}, video)
    still = found(video, metrics=("subject_drift_detected",), tools=tools, box=(62, 2, 96, 58))
    assert still["subject_drift_detected"].value == 0
    assert "in the given box" in still["subject_drift_detected"].variant


@pytest.mark.slow
def test_by_networks_from_folders(picture, tmp_path):
    torch.set_num_threads(1)
    video, _ = walking(picture, 2)
    assert "rtdetr_r50vd" in found(video, metrics=("subject_drift_detected",))["subject_drift_detected"].reason
    places = {"rt-detr": tmp_path / "detector", "sam": tmp_path / "segmenter"}
    write_detector(places["rt-detr"])
    write_segmenter(places["sam"])
    values = found(video, metrics=("subject_drift_detected",), tools=Tools(weights=places))
    each = values["subject_detected_fraction_detected"]
    assert each.value is not None
    assert [len(part) for part in each.weights.sha256.split("+")] == [64, 64]


def test_from_a_box_that_is_tracked(picture, monkeypatch):
    video, masks = walking(picture)
    asked = []

    def track(frames: Any, queries: np.ndarray, *, tracker: Any) -> Tracks:
        asked.append((queries, tracker))
        moved = queries[None, :, 1:] + np.arange(9)[:, None, None] * np.array([3.0, 0])
        visible = np.ones(moved.shape[:2], bool)
        visible[5] = False
        return Tracks(moved.astype(np.float32), visible, SIZE, FPS)

    monkeypatch.setattr(suite, "track", track)
    values = found(video, box=(11, 19, 37, 45))
    ((queries, tracker),) = asked
    assert tracker == "offline"
    cells = np.floor(queries[:, 1:]).astype(int)
    assert masks[0][cells[:, 1], cells[:, 0]].mean() > 0.9
    numbers = subject.sample_frames(9)
    drift = values["subject_drift_tracked"]
    assert drift.value == pytest.approx(float(np.std(3.0 * numbers[numbers != 5])))
    assert (drift.fallback, drift.weights) == (True, None)
    assert values["subject_drift_per_frame_tracked"].value == pytest.approx(3)
    assert values["subject_detected_fraction_tracked"].value == pytest.approx(1 - (numbers == 5).mean())
    assert values["subject_drift"].value is None
    assert "no masks" in values["subject_drift"].reason


def test_the_tracker_of_the_house_follows_it(picture):
    video, masks = walking(picture)
    drift = found(video, metrics=("subject_drift_tracked",), box=(11, 19, 37, 45))["subject_drift_tracked"]
    assert drift.value == pytest.approx(found(video, masks=masks)["subject_drift"].value, abs=0.3)


def test_what_a_variant_says_does_not_depend_on_the_subject(picture):
    """Numbers of one metric stand in one column, whatever the sizes of subjects and how many points fit into them."""
    video, _ = walking(picture)
    variants = {
        each.variant
        for box in ((11, 19, 37, 45), (20, 28, 26, 34))
        for each in found(video, metrics=("subject_drift_tracked",), box=box).values()
    }
    assert len(variants) == 1, variants


def test_trajectories_of_masks(picture):
    video, masks = walking(picture)
    masks[6] = False
    path = np.array([24, 32]) + np.arange(9)[:, None, None] * np.array([3.0, 1.0])
    motion = Tracks(path.astype(np.float32), np.ones((9, 1), bool), SIZE, FPS)
    values = found(video, metrics=("trajectory_error_masks",), masks=masks, motion=motion)
    off = np.arange(9.0)  # in y; and in x by one step where it was lost
    assert values["trajectory_error_masks_sum_xy"].value == pytest.approx((off.sum() + 3) / 9, abs=0.05)
    assert values["trajectory_error_masks_sum_xy_256"].value == pytest.approx(
        values["trajectory_error_masks_sum_xy"].value * 256 / max(SIZE)
    )
    assert values["trajectory_error_masks"].value == pytest.approx((off.sum() + 3) / 18, abs=0.05)
    assert values["objmc_masks"].value == pytest.approx((off.sum() - 6 + np.hypot(3, 6)) / 9, abs=0.05)
    assert values["subject_lost_fraction"].value == pytest.approx(1 / 9)
    two = Tracks(path.repeat(2, 1).astype(np.float32), np.ones((9, 2), bool), SIZE, FPS)
    (each,) = found(video, metrics=("trajectory_error_masks",), masks=masks, motion=two).values()
    assert "2 tracks" in each.reason
