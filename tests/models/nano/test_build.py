from __future__ import annotations

import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.nano.build import NEIGHBOURS, TEXT_DIM, build_scheduler, build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.train.nano import predict_clean


def test_untrained_network_returns_the_condition():
    codec = BlockCodec(z_dim=12)
    model = build_transformer(codec, width=128, layers=2, seed=1).eval()
    generator = torch.Generator().manual_seed(0)
    condition = torch.randn(2, 16, 3, 8, 8, generator=generator)
    noisy = torch.randn(2, 12, 3, 8, 8, generator=generator)
    with torch.no_grad():
        clean = predict_clean(model, noisy, condition, torch.tensor([0.9, 0.3]))
    kept = torch.corrcoef(torch.stack([clean.flatten(), condition[:, 4:].flatten()]))[0, 1]
    assert kept > 0.9
    # Amplitudes survive the layer norms: a token twice as strong comes out twice as strong, about.
    with torch.no_grad():
        louder = predict_clean(model, noisy * 0, condition * 2, torch.tensor([0.9, 0.3]))
        plain = predict_clean(model, noisy * 0, condition, torch.tensor([0.9, 0.3]))
    assert 1.7 < louder.std() / plain.std() < 2.2


def test_narrow_networks_are_refused():
    with pytest.raises(InputError, match=r"found 64, expected a multiple of 64 .* 20 channels: 128 or more"):
        build_transformer(BlockCodec(z_dim=20), width=64)


def test_same_seed_same_weights_and_global_state_untouched():
    codec = BlockCodec(z_dim=8)
    state = torch.random.get_rng_state()
    first = build_transformer(codec, width=64, layers=1, seed=4)
    second = build_transformer(codec, width=64, layers=1, seed=4)
    assert torch.equal(state, torch.random.get_rng_state())
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert first.config.in_channels == 2 * 8 + 4
    assert first.config.text_dim == TEXT_DIM


def test_heads_start_at_neighbours():
    """Each head of the first block gives most of its weight to the token one step away, where there is one."""
    model = build_transformer(BlockCodec(z_dim=12), width=384, layers=1, seed=0).eval()
    seen = {}

    def look(attention, args, kwargs):
        hidden, rotary = args[0], args[3]
        query = attention.norm_q(attention.to_q(hidden)).unflatten(2, (6, -1))
        key = attention.norm_k(attention.to_k(hidden)).unflatten(2, (6, -1))

        def turned(x: torch.Tensor) -> torch.Tensor:
            even, odd = x[..., ::2], x[..., 1::2]
            cos, sin = rotary[0][..., ::2], rotary[1][..., 1::2]
            return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)

        scores = torch.einsum("bqhd,bkhd->bhqk", turned(query), turned(key)) / 8
        seen["weights"] = scores.softmax(-1).unflatten(-1, (4, 7, 9)).unflatten(2, (4, 7, 9))

    model.blocks[0].attn1.register_forward_pre_hook(look, with_kwargs=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        condition, noisy = (torch.randn(1, c, 4, 14, 18, generator=generator) for c in (16, 12))
        predict_clean(model, noisy, condition, torch.tensor([1.0]))
    for head, (time, row, column) in enumerate(NEIGHBOURS):
        weight = seen["weights"][0, head, 2, 3, 4, 2 + time, 3 + row, 4 + column]
        assert weight > 0.6, (head, weight)


def test_scheduler_samples_a_known_distribution():
    """With a network that always says the right clean latent, the sampler ends on it."""
    scheduler = build_scheduler()
    scheduler.set_timesteps(8)
    target = torch.linspace(-1, 1, 24).reshape(1, 24)
    x = torch.randn(1, 24, generator=torch.Generator().manual_seed(0))
    for t in scheduler.timesteps:
        x = scheduler.step(target, t, x, return_dict=False)[0]
    torch.testing.assert_close(x, target, atol=1e-4, rtol=0)
