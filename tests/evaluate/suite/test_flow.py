from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from slides import FPS, sliding
from tiny_networks import published_raft

from motionloom.evaluate import flow
from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.networks.raft import load_raft, raft_flow
from motionloom.evaluate.published_weights import WEIGHTS
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import flow as suite
from motionloom.evaluate.suite import measure
from motionloom.media import Clip
from motionloom.media.flow import optical_flow


def found(video: np.ndarray, true: np.ndarray, name: str, tools: Tools | None = None) -> dict[str, Measurement]:
    sample = Sample("a", Clip(video, FPS), reference=Clip(true, FPS))
    return {each.name: each for each in measure(sample, tools or Tools(), metrics=[name])}


def test_by_dis(picture):
    made, true = sliding(picture, 2, 6), sliding(picture, 4, 6)
    values = found(made, true, "epe_flow_dis")
    flows = [[optical_flow(a, b) for a, b in pairwise(video)] for video in (made, true)]
    each = values["epe_flow_dis"]
    assert each.value == pytest.approx(flow.epe_flow(*flows))
    assert 1 < each.value < 3  # 2 px, but for what comes in at the border
    assert (each.n, each.frames, each.resolution, each.fallback) == (5, 6, (64, 96), True)
    assert each.curve[0] is None
    assert np.mean(each.curve[1:]) == pytest.approx(each.value)
    assert values["epe_flow_dis_256"].value == pytest.approx(each.value * 256 / 96)
    assert found(true, true, "epe_flow_dis")["epe_flow_dis"].value == 0


def test_a_long_video_and_a_reference_of_another_size(picture):
    made, true = sliding(picture, 1, 40), sliding(picture, 1, 40)
    large = true.repeat(2, 1).repeat(2, 2)
    each = found(made, large, "epe_flow_dis")["epe_flow_dis"]
    assert each.n == 39
    assert each.value < 0.1


def test_what_cannot_be_compared_has_a_reason(picture):
    video = sliding(picture, 1, 5)
    assert "one frame" in found(video[:1], video[:1], "epe_flow_dis")["epe_flow_dis"].reason
    assert "found 4 frames, expected 5" in found(video, video[:4], "epe_flow_dis")["epe_flow_dis"].reason
    small = video[:, :8]
    assert "expected at least 16" in found(small, small, "epe_flow_dis")["epe_flow_dis"].reason
    assert "raft_large_C_T_SKHT_V2" in found(video, video, "epe_flow")["epe_flow"].reason
    assert measure(Sample("a", Clip(video, FPS)), Tools(), metrics=["epe_flow_dis"]) == ()


@pytest.mark.slow
def test_by_raft(picture, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(suite, "_TOGETHER", 2)
    monkeypatch.setattr(flow, "SIZE", (128, 144))  # 480x832 takes a minute here
    monkeypatch.setattr(flow, "UPDATES", 1)
    monkeypatch.setitem(WEIGHTS, "raft-large", replace(WEIGHTS["raft-large"], checksum=""))
    path = tmp_path / "raft.pth"
    torch.save(published_raft("torchvision"), path)
    made, true = sliding(picture, 2, 3), sliding(picture, 4, 3)  # more than one block
    each = found(made, true, "epe_flow", Tools(weights={"raft-large": path}))["epe_flow"]
    raft = load_raft(path)
    pairs = [flow.resized(video, (128, 144)) for video in (made, true)]
    flows = [raft_flow(raft, video[:-1], video[1:], updates=1) for video in pairs]
    assert each.value == pytest.approx(flow.epe_flow(*flows), rel=1e-3)
    assert (each.n, each.resolution, each.weights.name, each.fallback) == (2, (128, 144), "raft-large", False)
    np.testing.assert_allclose(each.curve[1:], flow.flow_errors(*flows), rtol=1e-3)
