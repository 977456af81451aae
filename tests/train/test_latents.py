from __future__ import annotations

import torch

from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.provenance import WAVELENGTHS, cell_centres, places
from motionloom.train.latents import COVERED_WEIGHT, SHORTEST_WEIGHT, latent_weights, picture_channels, with_provenance

SIZE = (16, 24)


def codec(*wavelengths: float) -> BlockCodec:
    return BlockCodec(z_dim=6 + 4 * len(wavelengths), wavelengths=wavelengths)


def test_latents_tell_of_what_is_seen_and_of_nothing_else():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 18, 3, 4, 6, generator=generator)
    true = torch.rand(2, 2, 4, 6, 2, generator=generator) * torch.tensor([24.0, 16.0])
    seen = torch.rand(2, 2, 4, 6, generator=generator) > 0.4
    told = with_provenance(codec(*WAVELENGTHS), latents, true, seen)
    assert torch.equal(told[:, :6], latents[:, :6])
    assert torch.equal(told[:, :, 0], latents[:, :, 0])
    found, length = places(told[:, 6:, 1:].permute(0, 2, 3, 4, 1), cell_centres(4, 6), SIZE)
    torch.testing.assert_close(found[seen], true[seen], atol=1e-3, rtol=0)
    torch.testing.assert_close(length, seen.float())
    assert torch.equal(with_provenance(codec(), latents[:, :6], true, seen), latents[:, :6])


def test_pictures_count_less_where_they_follow():
    uncovered = torch.zeros(1, 1, 3, 4, 6, dtype=torch.bool)
    uncovered[0, 0, 2, 1, 3] = True
    weights = latent_weights(codec(*WAVELENGTHS), uncovered)
    assert weights is not None
    assert weights.shape == (1, 18, 3, 4, 6)
    assert (weights[:, 6:-4] == 1).all()
    assert (weights[:, -4:] == SHORTEST_WEIGHT).all()
    assert (weights[0, :6, 2, 1, 3] == 1).all()
    torch.testing.assert_close(weights[:, :6].sum(), torch.tensor(6 * (71 * COVERED_WEIGHT + 1)))
    assert latent_weights(codec(), uncovered) is None
    assert picture_channels(codec(32.0)) == 6
