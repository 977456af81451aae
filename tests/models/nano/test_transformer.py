"""nano's transformer: provenance is relative inside and absolute outside, everything else as in stock diffusers."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from motionloom.models.nano.build import TEXT_DIM, build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.provenance import WAVELENGTHS, cell_centres, own_phases, phases, places, turn_phases
from motionloom.models.nano.transformer import NanoTransformer
from motionloom.train.nano import predict_clean

ROWS, COLUMNS = 6, 8
CODES = 4 * len(WAVELENGTHS)
CHANNELS = 3 + CODES
OWN = own_phases(ROWS, COLUMNS).movedim(-1, 0)[:, None]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(wavelengths: tuple[float, ...] = WAVELENGTHS, seed: int = 0) -> NanoTransformer:
    codec = BlockCodec(z_dim=CHANNELS, wavelengths=wavelengths)
    return build_transformer(codec, width=128, layers=1, seed=seed).eval()


def test_turned_back_a_surface_that_moves_as_one_says_the_same_everywhere():
    step = torch.tensor([5.3, -2.6])
    moved = phases(cell_centres(ROWS, COLUMNS) + step, (4 * ROWS, 4 * COLUMNS)).movedim(-1, 0)[None, :, None]
    latents = torch.cat([torch.zeros(1, 3, 1, ROWS, COLUMNS), moved], dim=1)
    turned = turn_phases(latents, OWN, back=True)[:, 3:]
    torch.testing.assert_close(turned, turned[..., :1, :1].expand_as(turned), atol=1e-5, rtol=0)
    still = torch.zeros(ROWS, COLUMNS, 2) + torch.tensor([2.0 * COLUMNS, 2.0 * ROWS])
    found, length = places(turned[0, :, 0].movedim(0, -1), still, (4 * ROWS, 4 * COLUMNS))
    torch.testing.assert_close(found - still, step.expand_as(found), atol=1e-3, rtol=0)
    torch.testing.assert_close(length, torch.ones_like(length))


def test_turning_keeps_pictures_and_lengths_and_turns_back():
    latents = noise(2, CHANNELS, 3, ROWS, COLUMNS)
    turned = turn_phases(latents, OWN)
    assert torch.equal(turned[:, :3], latents[:, :3])
    assert not torch.allclose(turned[:, 3:], latents[:, 3:], atol=0.1)
    torch.testing.assert_close(turned.square().sum(1), latents.square().sum(1))
    torch.testing.assert_close(turn_phases(turned, OWN, back=True), latents, atol=1e-5, rtol=1e-5)


def test_it_is_the_stock_network_between_two_turns():
    model = network()
    stock = WanTransformer3DModel.from_config(model.config).eval()
    stock.load_state_dict(model.state_dict())
    noisy, condition = noise(2, CHANNELS, 3, ROWS, COLUMNS), noise(2, 4 + CHANNELS, 3, ROWS, COLUMNS, seed=1)
    t = torch.tensor([1.0, 0.3])
    with torch.no_grad():
        found = predict_clean(model, noisy, condition, t)
        relative = torch.cat([condition[:, :4], turn_phases(condition[:, 4:], OWN, back=True)], dim=1)
        wanted = turn_phases(predict_clean(stock, turn_phases(noisy, OWN, back=True), relative, t), OWN)
        assert not torch.allclose(found, predict_clean(stock, noisy, condition, t), atol=1e-2)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_without_wavelengths_it_is_the_stock_network():
    model = network(())
    stock = WanTransformer3DModel.from_config(model.config).eval()
    stock.load_state_dict(model.state_dict())
    x, text = noise(1, 2 * CHANNELS + 4, 2, ROWS, COLUMNS), torch.zeros(1, 1, TEXT_DIM)
    with torch.no_grad():
        found, wanted = (each(x, torch.tensor([500.0]), text).sample for each in (model, stock))
    assert torch.equal(found, wanted)


def test_saved_and_loaded_as_a_part_of_a_folder(tmp_path: Path):
    model = network(seed=3)
    model.save_pretrained(tmp_path)
    again = NanoTransformer.from_pretrained(tmp_path).eval()
    assert tuple(again.config["wavelengths"]) == WAVELENGTHS
    x, text = noise(1, 2 * CHANNELS + 4, 2, ROWS, COLUMNS), torch.zeros(1, 1, TEXT_DIM)
    with torch.no_grad():
        found, wanted = (each(x, torch.tensor([500.0]), text, return_dict=False)[0] for each in (again, model))
    assert torch.equal(found, wanted)
