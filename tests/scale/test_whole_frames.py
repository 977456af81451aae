import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from motionloom.methods.tora.fuser import make_fuser
from motionloom.scale.joint import Parts
from motionloom.scale.whole_frames import WholeFrames, of_frames

FRAMES, ROWS, COLUMNS = 5, 2, 3


@pytest.mark.parametrize("frames", [range(5), range(1), range(2, 4), range(3, 5)])
@pytest.mark.parametrize(
    ("design", "cache"),
    [
        ("adaptive_norm", "features"),
        ("adaptive_norm", "spatial"),
        ("adaptive_norm", "modulation"),
        ("extra_channel", "features"),
        ("cross_attention", "features"),
    ],
)
def test_frames_alone_become_what_they_become_in_the_video(design, cache, frames):
    draw = torch.Generator().manual_seed(0)
    fuser = make_fuser(design, 32, 8, 2)
    for parameter in fuser.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.2
    hidden = torch.randn(4, FRAMES * ROWS * COLUMNS, 32, generator=draw)
    with torch.no_grad():
        condition = fuser.prepare(torch.randn(2, FRAMES, 8, ROWS, COLUMNS, generator=draw), cache)
        tokens = slice(frames.start * ROWS * COLUMNS, frames.stop * ROWS * COLUMNS)
        expected = fuser(hidden, condition)[:, tokens]
        found = fuser(hidden[:, tokens], of_frames(fuser, condition, frames))
    assert (expected - hidden[:, tokens]).std() > 0.1
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


@given(text=st.integers(0, 40), frames=st.integers(1, 13), per_frame=st.integers(1, 12), world=st.integers(1, 9))
def test_every_process_has_the_frames_of_its_tokens_and_at_least_one(text, frames, per_frame, world):
    for rank in range(world):
        whole = WholeFrames(None)
        whole.parts, whole.per_frame = Parts(text, frames * per_frame, world, rank), per_frame
        own, found = whole.parts.own_video, whole._tokens(rank)
        assert found.start % per_frame == found.stop % per_frame == 0
        assert 0 <= found.start < found.stop <= frames * per_frame
        if own.start < own.stop:
            assert found.start <= own.start < found.start + per_frame
            assert found.stop - per_frame < own.stop <= found.stop
        tokens = torch.arange(found.start, found.stop)[None, :, None]
        assert whole.scatter(tokens).flatten().tolist() == list(range(own.start, own.stop))
