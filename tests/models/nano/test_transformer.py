"""nano's transformer: the stock one corrects a guess, with provenance relative inside and absolute outside."""

from __future__ import annotations

from pathlib import Path

import pytest
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
OWN = own_phases((ROWS, COLUMNS)).movedim(-1, 0)[:, None]


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


def stock_of(model: NanoTransformer) -> WanTransformer3DModel:
    stock = WanTransformer3DModel.from_config(model.config).eval()
    stock.load_state_dict(model.state_dict())
    return stock


def told(mask: float) -> torch.Tensor:
    condition = noise(2, 4 + CHANNELS, 3, ROWS, COLUMNS, seed=1)
    condition[:, :4] = mask
    return condition


def test_the_stock_network_corrects_the_guess_between_two_turns():
    model = network()
    stock = stock_of(model)
    noisy, condition, t = noise(2, CHANNELS, 3, ROWS, COLUMNS), told(1.0), torch.tensor([1.0, 0.3])
    guess = turn_phases(condition[:, 4:], OWN, back=True)
    with torch.no_grad():
        found = predict_clean(model, noisy, condition, t)
        relative = torch.cat([condition[:, :4], guess], dim=1)
        correction = predict_clean(stock, turn_phases(noisy, OWN, back=True), relative, t)
    torch.testing.assert_close(found, turn_phases(guess + correction, OWN), atol=1e-5, rtol=1e-5)


def test_where_several_tracks_wrote_the_guess_is_their_mean():
    model = network(())
    stock = stock_of(model)
    noisy, t = noise(2, CHANNELS, 3, ROWS, COLUMNS), torch.tensor([1.0, 0.3])
    for mask, guess in ((2.0, told(2.0)[:, 4:] / 2), (0.4, told(0.4)[:, 4:])):
        condition = told(mask)
        with torch.no_grad():
            found = predict_clean(model, noisy, condition, t)
            correction = predict_clean(stock, noisy, torch.cat([condition[:, :4], guess], dim=1), t)
        torch.testing.assert_close(found, guess + correction, atol=1e-5, rtol=1e-5)


def test_the_type_of_the_answer_is_that_of_the_stock_network():
    model = network()
    x, text = noise(1, 2 * CHANNELS + 4, 2, ROWS, COLUMNS), torch.zeros(1, 1, TEXT_DIM)
    with torch.no_grad():
        named, plain = (model(x, torch.tensor([500.0]), text, return_dict=how) for how in (True, False))
    assert torch.equal(named.sample, plain[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_keep_places_to_a_fraction_of_a_pixel(tmp_path: Path, dtype: torch.dtype):
    """What is copied passes through turns and sums: rounding must not move it."""
    model = network(seed=3)
    model.save_pretrained(tmp_path)
    short = NanoTransformer.from_pretrained(tmp_path, torch_dtype=dtype).eval()
    size = (4 * ROWS, 4 * COLUMNS)
    centres = cell_centres(ROWS, COLUMNS)
    wanted = centres + torch.tensor([1.3, -0.7])
    condition = told(1.0)
    condition[:, -CODES:] = phases(wanted, size).movedim(-1, 0)[None, :, None]
    noisy, text = noise(2, CHANNELS, 3, ROWS, COLUMNS), torch.zeros(1, 1, TEXT_DIM)
    x, t = torch.cat([noisy, condition], 1), torch.tensor([900.0, 300.0])
    with torch.no_grad():
        exact = model(x, t, text, return_dict=False)[0]
        found = short(x.to(dtype), t, text.to(dtype), return_dict=False)[0]
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(x, t, text, return_dict=False)[0].float()
    assert found.dtype == dtype
    assert places(exact[:, -CODES:].movedim(1, -1), centres, size)[0].sub(wanted).norm(dim=-1).median() < 1
    for other in (found.float(), mixed):
        moved, right = (places(each[:, -CODES:].movedim(1, -1), centres, size)[0] for each in (other, exact))
        assert (moved - right).norm(dim=-1).median() < 0.1
        assert (other - exact).square().mean() < 1e-3 * exact.square().mean()


def test_saved_and_loaded_as_a_part_of_a_folder(tmp_path: Path):
    model = network(seed=3)
    model.save_pretrained(tmp_path)
    again = NanoTransformer.from_pretrained(tmp_path).eval()
    assert tuple(again.config["wavelengths"]) == WAVELENGTHS
    x, text = noise(1, 2 * CHANNELS + 4, 2, ROWS, COLUMNS), torch.zeros(1, 1, TEXT_DIM)
    with torch.no_grad():
        found, wanted = (each(x, torch.tensor([500.0]), text, return_dict=False)[0] for each in (again, model))
    assert torch.equal(found, wanted)
