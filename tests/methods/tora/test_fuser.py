from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from motionloom.errors import InputError
from motionloom.methods.tora.fuser import (
    AttentionFuser,
    ChannelFuser,
    Fuser,
    MotionFuser,
    make_fuser,
)

DESIGNS = ("adaptive_norm", "extra_channel", "cross_attention")


def weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[2:]: tensor for name, tensor in tensors.items() if name.startswith("w.")}


def as_tokens(images: Tensor, frames: int) -> Tensor:
    """[B T, C, y, x] to [B, T y x, C]."""
    return images.unflatten(0, (-1, frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)


def random(module: Any, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


@pytest.mark.parametrize("cache", ["features", "spatial", "modulation"])
@pytest.mark.parametrize("name", ["mgf_a", "mgf_b_T1"])
def test_published_fuser(golden, name: str, cache: Any):
    tensors, _ = golden(f"tora/{name}")
    frames = int(tensors["T"])
    fuser = MotionFuser(tensors["h"].shape[1], tensors["flow"].shape[1])
    fuser.load_state_dict(weights(tensors))
    with torch.no_grad():
        condition = fuser.prepare(tensors["flow"].unflatten(0, (-1, frames)), cache)
        found = fuser(as_tokens(tensors["h"], frames), condition)
    torch.testing.assert_close(found, as_tokens(tensors["out"], frames), atol=1e-5, rtol=0)


@given(
    st.integers(1, 2), st.integers(1, 2), st.integers(1, 10), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99)
)
@example(2, 2, 9, 2, 3, 0)
@settings(max_examples=25)
def test_adaptive_norm_is_its_formula(videos: int, branches: int, frames: int, rows: int, columns: int, seed: int):
    fuser: MotionFuser = random(MotionFuser(64, 4), seed)
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(branches * videos, frames * rows * columns, 64, generator=generator)
    features = torch.randn(videos, frames, 4, rows, columns, generator=generator)

    def modulation(spatial: Any, temporal: Any) -> Tensor:
        """As section 2.1 of the published module has it: all patches of the video in the batch of a convolution."""
        maps = spatial(features.flatten(0, 1)).unflatten(0, (videos, frames))
        series = functional.pad(maps.permute(0, 3, 4, 2, 1).flatten(0, 2), (1, 1), mode="replicate")
        values = functional.conv1d(series, temporal.weight, temporal.bias)
        return values.unflatten(0, (videos, rows, columns)).permute(0, 4, 3, 1, 2)  # [B, T, C, y, x]

    with torch.no_grad():
        gamma = modulation(fuser.flow_gamma_spatial, fuser.flow_gamma_temporal)
        beta = modulation(fuser.flow_beta_spatial, fuser.flow_beta_temporal)
        image = hidden.unflatten(0, (branches, videos)).unflatten(2, (frames, rows, columns)).movedim(-1, 3)
        norm = fuser.flow_cond_norm
        normed = functional.group_norm(image.flatten(0, 2), 32, norm.weight, norm.bias).unflatten(
            0, (branches, videos, frames)
        )
        expected = (image + normed * gamma + beta).movedim(3, -1).reshape(hidden.shape)
        found = fuser(hidden, features)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("design", DESIGNS)
def test_untrained_is_identity(design: Any):
    fuser = make_fuser(design, 64, 8, 2)
    hidden, features = torch.randn(4, 3 * 4 * 5, 64), 10 * torch.randn(2, 3, 8, 4, 5)
    assert torch.equal(fuser(hidden, features), hidden)


@pytest.mark.parametrize("design", DESIGNS)
def test_untrained_learns(design: Any):
    """Zero at the start, but not stuck there: what is zero gets a gradient."""
    fuser = make_fuser(design, 64, 8, 2)
    hidden, features = torch.randn(2, 3 * 4 * 5, 64), torch.randn(2, 3, 8, 4, 5)
    fuser(hidden, features).square().sum().backward()
    last = {
        "adaptive_norm": {"flow_gamma_temporal.weight", "flow_beta_temporal.weight"},
        "extra_channel": {"proj_out.weight"},
        "cross_attention": {"to_out.weight"},
    }[design]
    parameters = dict(fuser.named_parameters())
    assert {name for name, each in parameters.items() if name.endswith("weight") and not each.any()} == last
    assert all(parameters[name].grad.abs().max() > 0 for name in last)  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("design", DESIGNS)
def test_branches_get_the_same_motion(design: Any):
    fuser: Fuser = random(make_fuser(design, 64, 8, 2))
    hidden, features = torch.randn(6, 3 * 4 * 5, 64), torch.randn(2, 3, 8, 4, 5)
    with torch.no_grad():
        together = fuser(hidden, features)
        repeated = fuser(hidden, features.repeat(3, 1, 1, 1, 1))
    torch.testing.assert_close(together, repeated, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("design", "reach"), [("adaptive_norm", 1), ("extra_channel", 0), ("cross_attention", 0)])
def test_how_far_a_frame_reaches(design: Any, reach: int):
    fuser: Fuser = random(make_fuser(design, 64, 8, 2))
    hidden, features = torch.randn(1, 7 * 6, 64), torch.randn(1, 7, 8, 2, 3)
    changed = features.clone()
    changed[:, 3] = torch.randn(1, 8, 2, 3)
    with torch.no_grad():
        difference = (fuser(hidden, changed) - fuser(hidden, features)).abs().unflatten(1, (7, 6)).amax((0, 2, 3))
    assert [bool(value > 1e-6) for value in difference] == [abs(frame - 3) <= reach for frame in range(7)]


def test_attention_knows_where_features_are():
    """Without positions, attention would not notice that the features of a frame changed places."""
    fuser: AttentionFuser = random(AttentionFuser(64, 8, 2))
    hidden, features = torch.randn(1, 12, 64), torch.randn(1, 1, 8, 3, 4)
    with torch.no_grad():
        found, mirrored = (fuser(hidden, each) for each in (features, features.flip(-1)))
    assert (found - mirrored).abs().max() > 1e-3


@pytest.mark.parametrize("design", DESIGNS)
def test_adapter_of_a_higher_precision(design: Any):
    fuser: Fuser = random(make_fuser(design, 64, 8, 2))
    hidden, features = torch.randn(1, 6, 64), torch.randn(1, 1, 8, 2, 3)
    with torch.no_grad():
        exact = fuser(hidden.bfloat16().float(), features)
        mixed = fuser(hidden.bfloat16(), features)
        half = fuser.bfloat16()(hidden.bfloat16(), features.bfloat16())
    assert mixed.dtype == half.dtype == torch.bfloat16
    assert torch.equal(mixed, exact.bfloat16())
    torch.testing.assert_close(half.float(), exact, atol=0.2, rtol=0.05)


def test_what_cannot_be():
    with pytest.raises(InputError, match="found 48, expected a multiple of 32"):
        MotionFuser(48)
    with pytest.raises(InputError, match="3 heads do not divide a width of 64"):
        AttentionFuser(64, num_attention_heads=3)
    with pytest.raises(InputError, match="design: found 'gate'"):
        make_fuser("gate", 64, 8, 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="cache: found 'modulation', expected 'features'"):
        ChannelFuser(64, 8).prepare(torch.zeros(1, 1, 8, 2, 2), "modulation")
