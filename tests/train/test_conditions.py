from __future__ import annotations

import numpy as np
import torch

from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move
from motionloom.models.nano.guidance import ati_temperature
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


def test_dense_ati_is_the_published_kernel():
    plain, points, visible = sample()
    mix = ConditionMix(unguided=0, ati=1.0, dense=1.0, densified=0)
    drawn = draw_condition(plain, points, visible, np.random.default_rng(0), mix)
    base = plain_condition(plain)
    assert torch.equal(drawn, ati.guide(base, points, visible, SIZE, temperature=ati_temperature(8)))


def test_dense_wan_move_copies_first_frame_codes():
    plain, points, visible = sample(1)
    mix = ConditionMix(unguided=0, ati=0.0, dense=1.0, densified=0)
    drawn = draw_condition(plain, points, visible, np.random.default_rng(0), mix)
    cells, _ = wan_move.latent_cells(points, visible, SIZE, (4, 4, 4))
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
    assert ati_temperature(32) == ati.TEMPERATURE
    for cells in (16, 32, 64):
        step = 2 / (cells - 1)
        assert np.isclose(ati_temperature(cells) * step**2, ati.TEMPERATURE * (2 / 31) ** 2)
