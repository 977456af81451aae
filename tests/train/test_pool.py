from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.nano.codec import BlockCodec
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.train.latents import to_latents, to_video
from motionloom.train.pool import SCATTERED, Batch, ClipPool, RenewedPool, encode_clips


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


def test_clips_made_ahead_are_the_same(codec: BlockCodec):
    plain, ahead = (ClipPool(codec, (32, 32), 5, 2, capacity=12, group=4, renew_every=1, ahead=n) for n in (0, 2))
    for step in range(5):
        a, b = plain.batch(step, 3), ahead.batch(step, 3)
        assert torch.equal(a.latents, b.latents)
        assert torch.equal(a.points, b.points)
    assert {6, 7} <= set(ahead._coming)
    assert min({*ahead._coming, *ahead._held}) >= 3
    ahead.close()
    assert not ahead._coming


def test_clips_made_ahead_on_a_gpu_have_a_stream_of_their_own(monkeypatch):
    """With a stand-in for CUDA: made on the side stream, finished there, and then recorded on the training's."""
    told = []

    class Stream:
        device = torch.device("cuda", 0)

        def synchronize(self) -> None:
            told.append("finished")

    class Numbers(torch.Tensor):
        def record_stream(self, s: object) -> None:
            told.append(f"recorded on {s}")

    @contextmanager
    def entered(stream: object):
        assert isinstance(stream, Stream)
        told.append("begun")
        yield

    def make(indices: range) -> Batch:
        told.append("made")
        return Batch(*(torch.zeros(4, 1).as_subclass(Numbers) for _ in range(6)))

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "stream", entered)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the training's")
    pool: RenewedPool[Batch] = RenewedPool(make, 0, group=4, renew_every=1, ahead=1, device=Stream.device)
    pool.batch(0, 64)
    pool.close()
    assert told == ["made", "made", "begun", "made", "finished"]
    pool._coming[2] = Future()
    pool._coming[2].set_result(make(range(8, 12)))
    pool._clip(8)
    assert told[6:] == ["recorded on the training's"] * 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_clips_made_ahead_are_the_same_on_a_gpu(codec: BlockCodec):
    there = deepcopy(codec).cuda()
    plain, ahead = (
        ClipPool(there, (32, 32), 5, 2, style="natural", capacity=12, group=4, renew_every=1, ahead=n) for n in (0, 2)
    )
    for step in range(5):
        a, b = plain.batch(step, 3), ahead.batch(step, 3)
        assert a.latents.is_cuda
        assert torch.equal(a.latents, b.latents)
        assert torch.equal(a.points, b.points)
    ahead.close()


def test_what_goes_wrong_while_making_ahead_is_told():
    def make(indices: range) -> Batch:
        if indices.start >= 8:
            raise InputError("no such clip")
        return Batch(*(torch.zeros(4, 1) for _ in range(6)))

    pool: RenewedPool[Batch] = RenewedPool(make, 0, group=4, renew_every=1, ahead=1)
    pool.batch(0, 1)
    with pytest.raises(InputError, match="no such clip"):
        pool.batch(1, 32)
    pool.close()


def test_processes_have_clips_of_their_own(codec: BlockCodec):
    alone = encode_clips(codec, 2, range(8), (32, 32), 5)
    for rank in (0, 1):
        pool = ClipPool(codec, (32, 32), 5, 2, group=4, rank=rank, processes=2)
        pool.batch(0, 1)
        for number, held in pool._held.items():
            if number == 0:
                assert torch.equal(held.points, alone.points[rank::2])
                assert torch.equal(held.latents, alone.latents[rank::2])


def test_a_view_is_a_part_of_the_large_clip_as_it_is(codec: BlockCodec):
    """A half view at 32 pixels moves as many pixels as the clip at 64 does, and shows its pixels."""
    scene = sample_scene(5, range(3), num_frames=5, resolution=64)
    part = encode_clips(codec, 5, range(3), (32, 32), 5, view=0.5)
    shown = to_video(codec, part.latents.float())
    whole = to_video(codec, to_latents(codec, render(scene, (64, 64)).transpose(1, 2) * 2 - 1))
    for clip in range(3):
        middle = np.random.default_rng([5, clip, 5]).uniform(-0.5, 0.5, 2)
        corner = torch.tensor((middle + 0.5) * 32, dtype=torch.float32)
        start = part.points[clip, 0] + corner
        inside = part.visible[clip, 0]
        big, _ = trace(scene, start[None].repeat(3, 1, 1), (64, 64))
        torch.testing.assert_close(part.points[clip][:, inside] + corner, big[clip][:, inside], atol=2e-3, rtol=0)
        x, y = corner.round().int().tolist()
        there = whole[clip, :, :, y : y + 32, x : x + 32]
        assert (shown[clip] - there).abs().mean() < 0.12


def test_a_view_is_no_more_than_the_picture(codec: BlockCodec):
    for view in (0.0, 1.5):
        with pytest.raises(InputError, match=f"view: found {view}"):
            encode_clips(codec, 5, [0], (32, 32), 5, view=view)


def test_the_ending_knows_the_last_frame_alone(codec: BlockCodec):
    batch = encode_clips(codec, 9, range(2), (32, 32), 5)
    video = render(sample_scene(9, range(2), num_frames=5, resolution=32), (32, 32)).transpose(1, 2) * 2 - 1
    video[:, :, 1:-1] = 0
    torch.testing.assert_close(batch.ending, to_latents(codec, video)[:, :, -1].half())


@pytest.mark.slow
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
