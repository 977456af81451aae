"""What a training sample is shown."""

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.tora.flow import Blob, dense_flow_video, flow_video
from motionloom.train.tora.conditions import MotionMix, draw_motion
from motionloom.train.tora.denoising import MovingClips

SIZE = (24, 32)


def clips(count=3, tracks=5):
    rng = np.random.default_rng(0)
    flow = torch.from_numpy(rng.normal(0, 2, (count, 4, 2, *SIZE)).astype(np.float32))
    points = torch.from_numpy(rng.uniform(4, 20, (count, 5, tracks, 2)).astype(np.float32))
    nothing = torch.zeros(count)
    return MovingClips(nothing, nothing, nothing, flow, points, torch.ones(points.shape[:3], dtype=torch.bool))


@pytest.mark.parametrize("normalisation", ["inference", "training"])
def test_dense_motion_is_the_flow_as_it_is(normalisation):
    given = clips()
    drawn = draw_motion(given, "dense", np.random.default_rng(0), MotionMix(normalisation=normalisation))
    assert drawn.shape == (3, 3, 5, *SIZE)
    for video, flow in zip(drawn, given.flow, strict=True):
        assert torch.equal(video.transpose(0, 1), dense_flow_video(flow, normalisation=normalisation))
        assert (video[:, 0] == 255).all()


def test_sparse_motion_shows_some_of_the_tracks():
    given = clips(count=1, tracks=1)
    mix = MotionMix(following="tracks", normalisation="inference")
    drawn = draw_motion(given, "sparse", np.random.default_rng(0), mix)[0]
    expected = flow_video(given.points[0], given.visible[0], SIZE)
    assert torch.equal(drawn.transpose(0, 1), expected)


def test_blobs_follow_size_and_jitter():
    given = clips(count=1, tracks=1)
    mix = MotionMix(following="tracks", scale_blob=True, normalisation="inference")
    scaled = draw_motion(given, "sparse", np.random.default_rng(0), mix)
    blob = Blob().scaled(32 / 720)
    assert torch.equal(scaled[0].transpose(0, 1), flow_video(given.points[0], given.visible[0], SIZE, blob=blob))
    mixes = [MotionMix(following="tracks", blob_jitter=ratio) for ratio in (1.0, 2.0)]
    plain, varied = (draw_motion(given, "sparse", np.random.default_rng(0), mix) for mix in mixes)
    assert not torch.equal(plain, varied)


@pytest.mark.parametrize("following", ["flow", "published"])
def test_without_tracks_motion_is_followed_through_the_flow(following):
    given = clips(tracks=0)
    a, b = (draw_motion(given, "sparse", np.random.default_rng(7), MotionMix(following=following)) for _ in range(2))
    assert torch.equal(a, b)
    assert (a != 255).any()


def test_dropped_motion_is_white():
    drawn = draw_motion(clips(), "dense", np.random.default_rng(0), MotionMix(motion_dropout=1.0))
    assert (drawn == 255).all()


def test_still_clips_are_white_and_nonsense_is_refused():
    still = clips()
    still.flow.zero_()
    for kind in ("dense", "sparse"):
        assert (draw_motion(still, kind, np.random.default_rng(0)) >= 254).all()
    with pytest.raises(InputError, match="kind"):
        draw_motion(still, "all", np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="following"):
        draw_motion(still, "sparse", np.random.default_rng(0), MotionMix(following="me"))  # type: ignore[arg-type]
