from __future__ import annotations

import pytest
import torch

from motionloom.models.nano.codec import BlockCodec
from motionloom.prepare.procedural import render, sample_scene
from motionloom.train.latents import to_latents, to_video
from motionloom.train.pool import SCATTERED, ClipPool, encode_clips


@pytest.fixture(scope="module")
def codec() -> BlockCodec:
    videos = render(sample_scene(0, range(4), num_frames=5, resolution=32), (32, 32)).transpose(1, 2) * 2 - 1
    return BlockCodec.fit([videos], 12)


def test_batch_depends_on_the_step_alone(codec: BlockCodec):
    def pool() -> ClipPool:
        return ClipPool(codec, (32, 32), 5, seed=2, capacity=12, group=4, renew_every=2)

    went_on, resumed = pool(), pool()
    for step in range(6):
        went_on.batch(step, 3)
    a, b = went_on.batch(6, 3), resumed.batch(6, 3)
    assert torch.equal(a.latents, b.latents)
    assert torch.equal(a.points, b.points)
    assert torch.equal(a.visible, b.visible)
    assert a.latents.shape == (3, 12, 2, 8, 8)
    assert a.points.shape == (3, 5, 64 + SCATTERED, 2)


def test_pool_is_renewed_and_bounded(codec: BlockCodec):
    pool = ClipPool(codec, (32, 32), 5, seed=2, capacity=8, group=4, renew_every=1)
    for step in range(12):
        pool.batch(step, 8)
        assert len(pool._held) <= 2
    assert min(pool._held) >= 10


def test_encoded_clips_decode_to_the_video(codec: BlockCodec):
    batch = encode_clips(codec, 9, range(2), (32, 32), 5)
    video = render(sample_scene(9, range(2), num_frames=5, resolution=32), (32, 32)).transpose(1, 2) * 2 - 1
    torch.testing.assert_close(
        to_video(codec, batch.latents.float()), codec.pictures(codec.codes(video)), atol=0.02, rtol=0
    )


def test_plain_latents_know_the_first_frame_only(codec: BlockCodec):
    batch = encode_clips(codec, 9, range(2), (32, 32), 5)
    assert torch.equal(batch.plain[:, :, 0], batch.latents[:, :, 0])
    grey = to_latents(codec, torch.zeros(1, 3, 5, 32, 32)).half()
    torch.testing.assert_close(batch.plain[:, :, 1], grey[:, :, 1].expand(2, -1, -1, -1))
