from __future__ import annotations

import numpy as np
import pytest
import torch

from motionloom.methods.wan_move.pipeline import WanMoveImageToVideoPipeline
from motionloom.tracks.tracks import Tracks


def capture(pipe, arguments, **changes):
    """The condition a run works with, before and after the tracks."""
    seen = {}
    original = pipe.guide_condition

    def spy(condition, *rest, **options):
        seen["before"], seen["after"] = condition, original(condition, *rest, **options)
        return seen["after"]

    pipe.guide_condition = spy
    try:
        pipe(**arguments, **changes)
    finally:
        del pipe.guide_condition
    return seen["before"], seen["after"]


@pytest.fixture(scope="module")
def pipe(base):
    pipe = WanMoveImageToVideoPipeline.from_pipe(base)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_cells_are_copied_where_the_track_goes(pipe, inputs):
    # From latent cell (row 1, column 1) to (row 1, column 3) and (row 2, column 5), tracks given at half the size.
    x = np.array([10, 12, 14, 16, 26, 30, 34, 38, 42.0])
    y = np.array([10, 10, 10, 10, 10, 12, 14, 16, 18.0])
    tracks = Tracks(np.stack([x, y], -1)[:, None] / 2, np.ones((9, 1), np.bool_), (16, 24), 16.0)
    before, after = capture(pipe, inputs(num_inference_steps=1), tracks=tracks)
    source = before[0, 4:, 0, 1, 1]
    expected = before.clone()
    expected[0, 4:, 1, 1, 3] = source
    expected[0, 4:, 2, 2, 5] = source
    assert torch.equal(after, expected)


def test_options_reach_the_kernel(pipe, inputs):
    points = np.random.default_rng(0).uniform(8, 24, (9, 40, 2))
    visible = np.random.default_rng(1).random((9, 40)) > 0.5
    tracks = Tracks(points, visible, (32, 48), 16.0)
    results = [
        capture(pipe, inputs(num_inference_steps=1), tracks=tracks, **options)[1]
        for options in (
            {},
            {"collision_seed": 1},
            {"collision": "first"},
            {"collision": "last"},
            {"collision": "nearest"},
            {"pooling": "window"},
            {"pooling": "average"},
            {"legacy_hidden_source": True},
            {"strength": 0.5},
        )
    ]
    for index, one in enumerate(results):
        for other in results[:index]:
            assert not torch.equal(one, other)


def test_strides_follow_the_vae(inputs):
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel

    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=2,
        z_dim=16,
        dim_mult=[1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        scale_factor_spatial=4,
    )
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        out_channels=16,
        text_dim=8,
        freq_dim=16,
        ffn_dim=16,
        num_layers=1,
        rope_max_seq_len=32,
    )
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    pipe = WanMoveImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=vae, scheduler=scheduler, transformer=transformer
    )
    pipe.set_progress_bar_config(disable=True)
    points = np.array([10.0, 10, 10, 10, 10, 10, 10, 10, 30])[:, None, None] * np.array([1.0, 0.5])
    tracks = Tracks(points, np.ones((9, 1), np.bool_), (32, 48), 16.0)
    before, after = capture(pipe, inputs(num_inference_steps=1), tracks=tracks)
    assert before.shape == (1, 20, 3, 8, 12)
    assert torch.equal(after[0, 4:, 2, 3, 7], before[0, 4:, 0, 1, 2])
