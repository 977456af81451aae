from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move
from motionloom.models.nano.guidance import GUIDANCE, UNSAID, guidance_options
from motionloom.train.conditions import ConditionMix, draw_condition, plain_condition

SIZE = (32, 32)


GREY = torch.arange(6.0)


def sample(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    plain = GREY.view(1, 6, 1, 1, 1).repeat(batch, 1, 3, 8, 8)
    plain[:, :, 0] = torch.randn(batch, 6, 8, 8, generator=generator)
    points = torch.rand(batch, 9, 64, 2, generator=generator) * 32
    visible = torch.rand(batch, 9, 64, generator=generator) > 0.3
    visible[:, 0] = True
    return plain, points, visible


def test_plain_condition_is_image_to_video():
    plain, _, _ = sample()
    condition = plain_condition(plain)
    assert condition.shape == (3, 10, 3, 8, 8)
    assert torch.equal(condition[:, 4:], plain)
    assert (condition[:, :4, 0] == 1).all()
    assert (condition[:, :4, 1:] == 0).all()


def test_unguided_mix_leaves_the_plain_condition():
    plain, points, visible = sample()
    mix = ConditionMix(unguided=1.0)
    drawn = draw_condition(plain, points, visible, np.random.default_rng(0), mix)
    assert torch.equal(drawn, plain_condition(plain))


def test_dense_ati_is_what_the_pipeline_does():
    plain, points, visible = sample()
    mix = ConditionMix(unguided=0, ati=1.0, dense=1.0, densified=0, boxes=0)
    drawn = draw_condition(plain, points, visible, np.random.default_rng(0), mix)
    base = plain_condition(plain)
    assert torch.equal(drawn, ati.guide(base, points, visible, SIZE, **guidance_options("ati", 8)))


def test_dense_wan_move_copies_first_frame_codes():
    plain, points, visible = sample(1)
    mix = ConditionMix(unguided=0, ati=0.0, dense=1.0, densified=0, boxes=0)
    drawn = draw_condition(plain, points, visible, np.random.default_rng(0), mix)
    cells, _ = wan_move.latent_cells(points, visible, SIZE, (4, 4, 4), pooling="window")
    reached = torch.zeros(3, 8, 8, dtype=torch.bool)
    for latent_frame in (1, 2):
        for row, column in cells[0, latent_frame].tolist():
            if row >= 0:
                reached[latent_frame, row, column] = True
    codes = plain[0, :, 0].reshape(6, -1).T
    for place in reached.nonzero().tolist():
        value = drawn[0, 4:, *place]
        assert (codes - value).abs().sum(1).min() == 0
    assert torch.equal(drawn[0, 4:, 1:][:, ~reached[1:]], GREY[:, None].expand(-1, int((~reached[1:]).sum())))


def test_same_draw_same_condition_and_inputs_unchanged():
    plain, points, visible = sample(8)
    before = plain.clone()
    first = draw_condition(plain, points, visible, np.random.default_rng(3))
    second = draw_condition(plain, points, visible, np.random.default_rng(3))
    assert torch.equal(first, second)
    assert torch.equal(before, plain)
    assert not torch.equal(first, draw_condition(plain, points, visible, np.random.default_rng(4)))


def test_temperature_keeps_width_in_cells():
    assert guidance_options("ati", 32) == GUIDANCE["ati"]
    assert guidance_options("ati", 32, UNSAID) == {"temperature": ati.TEMPERATURE}
    for trained in (GUIDANCE, UNSAID):
        # A track in the middle of a cell: what the cell beside it gets of its weight.
        beside = []
        for cells in (17, 33, 65):
            options = guidance_options("ati", cells, trained)
            plain = torch.zeros(1, 5, 2, cells, cells)
            plain[:, 4, 0] = 1
            middle = torch.full((5, 1, 2), 4 * cells / 2)
            out = ati.guide(plain, middle, torch.ones(5, 1), (4 * cells, 4 * cells), **options)
            beside.append(float(out[0, 0, 1, cells // 2, cells // 2 + 1]))
        assert 0.05 < beside[0] < 0.5
        assert np.allclose(beside, beside[0], atol=0.002)
    assert guidance_options("wan_move", 32, UNSAID) == {}


def test_last_frame_is_known_as_the_stock_pipeline_builds_it():
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

    from motionloom.models.nano.build import build_scheduler, build_transformer
    from motionloom.models.nano.codec import BlockCodec
    from motionloom.train.latents import to_latents

    codec = BlockCodec(z_dim=6, latents_mean=[0.1] * 6, latents_std=[0.7] * 6)
    pipeline = WanImageToVideoPipeline(
        tokenizer=None,  # type: ignore[arg-type]
        text_encoder=None,  # type: ignore[arg-type]
        vae=codec,  # type: ignore[arg-type]
        scheduler=build_scheduler(),
        transformer=build_transformer(codec, width=64, layers=1),
    )
    first, last = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    _, stock = pipeline.prepare_latents(
        first, 1, 6, 16, 16, 9, torch.float32, torch.device("cpu"), torch.Generator(), last_image=last
    )
    video = torch.zeros(1, 3, 9, 16, 16)
    video[:, :, 0] = first
    plain = to_latents(codec, video)
    video[:, :, -1] = last
    ours = plain_condition(plain, to_latents(codec, video)[:, :, -1])
    torch.testing.assert_close(ours, stock, atol=1e-6, rtol=0)


def test_a_known_last_frame_survives_both_methods():
    plain, points, visible = sample(6)
    ending = torch.full((6, 6, 8, 8), 5.0)
    for through_ati in (1.0, 0.0):
        mix = ConditionMix(unguided=0, ati=through_ati, dense=1, densified=0, boxes=0, last_frame=1)
        drawn = draw_condition(plain, points, visible, np.random.default_rng(0), mix, ending=ending)
        assert (drawn[:, 4:, -1] == 5).all()
        assert (drawn[:, 3, -1] >= 1).all()
        open_end = replace(mix, last_frame=0.0)
        free = draw_condition(plain, points, visible, np.random.default_rng(0), open_end, ending=ending)
        assert torch.equal(drawn[:, :, :-1], free[:, :, :-1])


def test_shares_of_the_mix_are_kept():
    plain, points, visible = sample(400)
    ending = torch.full((400, 6, 8, 8), 5.0)
    mix = ConditionMix(unguided=0.25, dense=0, densified=0, boxes=0, last_frame=0.5, tail_dropout=0)
    drawn = draw_condition(plain, points, visible, np.random.default_rng(1), mix, ending=ending)
    ends = (drawn[:, 4:, -1] == 5).flatten(1).all(1)
    assert (drawn[ends][:, 3, -1] >= 1).all()
    assert 0.4 < float(ends.float().mean()) < 0.6
    untouched = (drawn[:, 4:, 1] == plain[:, :, 1]).flatten(1).all(1)
    assert 0.2 < float(untouched.float().mean()) < 0.45  # unguided ones, and a few whose tracks are hidden at once
    assert torch.equal(drawn[~ends][:, :4, 0], torch.ones(int((~ends).sum()), 4, 8, 8))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"ati": 1.5}, "ati: found 1.5, expected a share"),
        ({"tail_dropout": -0.1}, "tail_dropout: found -0.1"),
        ({"most_tracks": 0}, "most_tracks: found 0, expected at least one track"),
        ({"dense": 0.6, "boxes": 0.5}, "found 1.3 in all"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(how: dict, words: str):
    with pytest.raises(InputError, match=words):
        ConditionMix(**how)


def test_boxes_reach_the_condition():
    """One thing moves by a cell a latent frame: in its box the codes of the first frame go along."""
    frames = ((torch.arange(9) + 3) // 4 * 4).view(9, 1, 1) * torch.tensor([1.0, 0.0])
    y, x = torch.meshgrid(torch.arange(8) * 4 + 2.0, torch.arange(8) * 4 + 2.0, indexing="ij")
    start = torch.stack([x, y], -1).reshape(1, 64, 2)
    moves = (start[0] - 12).abs().amax(1) < 7
    points = (start + frames * moves.view(1, 64, 1))[None].repeat(40, 1, 1, 1)
    plain = GREY.view(1, 6, 1, 1, 1).repeat(40, 1, 3, 8, 8)
    plain[:, :, 0] = torch.arange(64.0).view(1, 1, 8, 8)
    mix = ConditionMix(unguided=0, ati=0, dense=0, densified=0, boxes=1, beyond_boxes=0, last_frame=0)
    drawn = draw_condition(plain, points, torch.ones(40, 9, 64, dtype=torch.bool), np.random.default_rng(0), mix)
    codes = plain[0, 0, 0]
    moved = [(drawn[i, 4, 1, 2, 3] == codes[2, 2]) and (drawn[i, 4, 2, 2, 4] == codes[2, 2]) for i in range(40)]
    assert sum(map(bool, moved)) >= 12
