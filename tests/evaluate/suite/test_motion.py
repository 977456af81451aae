import numpy as np
import pytest
import torch
from slides import sliding
from tiny_networks import published_raft

from motionloom.evaluate import motion
from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.media import Clip

CORE = (
    "motion_magnitude",
    "dynamic_degree_cr",
    "temporal_flickering",
    "dynamic_degree_dis",
    "motion_smoothness_flowinterp",
)


def found(video: np.ndarray, fps: float = 8, metrics=CORE, tools: Tools | None = None) -> dict[str, Measurement]:
    made = measure(Sample("a", Clip(video, fps)), tools or Tools(), metrics=metrics)
    assert len({each.name for each in made}) == len(made)
    return {each.name: each for each in made}


def test_numbers_are_those_of_the_functions(picture):
    video = sliding(picture, 2, 7)
    values = found(video)
    assert values["motion_magnitude"].value == pytest.approx(motion.motion_magnitude(video))
    assert values["motion_magnitude_norm"].value == pytest.approx(4 * values["motion_magnitude"].value)
    assert values["dynamic_degree_cr"].value == pytest.approx(motion.changed_shares(video, 10).mean())
    assert values["dynamic_degree_cr_25"].value == pytest.approx(motion.changed_shares(video, 25).mean())
    flickering = values["temporal_flickering"]
    assert flickering.value == motion.temporal_flickering(motion.differences(video))
    assert (flickering.n, flickering.frames, flickering.resolution, flickering.better) == (6, 7, (64, 96), "higher")
    assert flickering.curve[0] is None
    assert np.mean(flickering.curve[1:]) == pytest.approx(flickering.value, abs=1e-6)
    smooth = values["motion_smoothness_flowinterp"]
    assert smooth.value == motion.motion_smoothness(video, motion.halfway).score
    assert (smooth.n, smooth.fallback) == (3, True)
    assert [value is None for value in smooth.curve] == [True, False] * 3 + [True]
    assert values["motion_smoothness_average"].value == motion.motion_smoothness(video, motion.average).score


@pytest.mark.slow
def test_long_videos_are_looked_at_block_by_block_with_the_same_result(picture):
    video = sliding(picture, 1, 71)
    values = found(video)
    assert values["motion_magnitude"].value == pytest.approx(motion.motion_magnitude(video))
    assert values["motion_magnitude"].n == 70
    smooth = motion.motion_smoothness(video, motion.halfway)
    assert values["motion_smoothness_flowinterp"].value == pytest.approx(smooth.score)
    assert values["motion_smoothness_flowinterp"].n == len(smooth.error) == 35
    assert values["dynamic_degree_dis"].frames == 71


@pytest.mark.parametrize(("speed", "moves"), [(0, 0), (1, 0), (3, 1)])
def test_whether_a_video_moves(picture, speed, moves):
    """The threshold at 64 px is 1.5 px between samples."""
    values = found(sliding(picture, speed, 9))
    assert values["dynamic_degree_dis"].value == moves
    assert values["dynamic_degree_dis"].fallback
    assert values["fastest_flow_dis"].value == pytest.approx(speed, abs=0.5 + speed)
    assert values["fastest_flow_dis"].n == 8


def test_samples_are_eight_a_second(picture):
    values = found(sliding(picture, 1, 65), fps=24)
    dynamic, speed = values["dynamic_degree_dis"], values["fastest_flow_dis"]
    assert (dynamic.value, dynamic.frames, dynamic.n) == (1, 22, 21)
    assert [index for index, value in enumerate(speed.curve) if value is not None] == list(range(3, 64, 3))
    assert speed.value > 1.5  # three pixels from sample to sample


def test_one_frame_has_reasons_and_no_numbers(picture):
    for each in found(picture[None]).values():
        assert each.value is None
        assert "frame" in each.reason


def test_two_frames_are_too_few_for_what_looks_at_three(picture):
    values = found(sliding(picture, 2, 2))
    assert values["motion_magnitude"].value > 0
    assert "takes 3" in values["dynamic_degree_dis"].reason
    assert values["fastest_flow_dis"].value > 0
    assert "takes 3" in values["motion_smoothness_flowinterp"].reason


def test_pictures_too_small_for_flow_have_a_reason():
    video = np.random.default_rng(0).integers(0, 256, (5, 12, 40, 3), dtype=np.uint8)
    values = found(video)
    for name in ("dynamic_degree_dis", "fastest_flow_dis", "motion_smoothness_flowinterp"):
        assert values[name].value is None
        assert "found 12x40 pixels, expected at least 16" in values[name].reason
    assert values["motion_smoothness_average"].value < 1
    assert values["motion_magnitude"].value is not None


@pytest.mark.slow
def test_by_raft(picture, tmp_path):
    torch.set_num_threads(1)
    video = sliding(picture, 2, 3)
    names = ("dynamic_degree",)
    missing = found(video, metrics=names)
    assert missing["dynamic_degree"].value is None
    assert "raft-things.pth" in missing["dynamic_degree"].reason
    path = tmp_path / "raft-things.pth"
    torch.save(published_raft("princeton"), path)
    values = found(video, metrics=names, tools=Tools(weights={"raft-things": path}))
    assert values["dynamic_degree"].value in (0, 1)
    assert values["dynamic_degree"].weights.name == "raft-things"
    assert len(values["dynamic_degree"].weights.sha256) == 64
    assert not values["dynamic_degree"].fallback
    assert values["fastest_flow"].n == 2


def test_what_the_published_smoothness_wants_is_said(picture):
    (each,) = found(sliding(picture, 2, 5), metrics=("motion_smoothness",)).values()
    assert each.value is None
    assert "AMT-S" in each.reason
