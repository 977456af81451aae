from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.methods.ati import ati

PATCHES = [
    "basic",
    "from_file_81f",
    "input_mask_ignored",
    "out_of_frame",
    "overlap_topk2",
    "overlap_topk4_temp25",
    "portrait_topk1",
    "single_track",
    "tail_dropout",
    "visibility",
]


def published(condition, points, visible, temperature=220.0, top_k=2):
    """The formulas of the paper's program, cell by cell and track by track, for points in normalised units."""
    latent = condition[4:].double()
    _, frames, height, width = condition.shape
    short = min(height, width)
    half_x, half_y = width / short, height / short
    start = torch.stack([points[0, :, 0] / half_x, points[0, :, 1] / half_y], -1).clamp(-1, 1).double()
    feature = torch.nn.functional.grid_sample(latent[None, :, 0], start[None, None], align_corners=False)[0, :, 0]
    seen = visible.double().clamp(0, 1)
    out = condition.double().clone()
    out[:4, 0] = 1
    gx, gy = torch.linspace(-half_x, half_x, width).double(), torch.linspace(-half_y, half_y, height).double()
    for t in range(1, frames):
        chunk = slice(4 * t - 3, 4 * t + 1)
        count = seen[chunk].sum(0)
        place = (points[chunk].double() * seen[chunk, :, None]).sum(0) / (count + 1e-5)[:, None]
        squared = (place[:, 0, None, None] - gx[None, None]) ** 2 + (place[:, 1, None, None] - gy[None, :, None]) ** 2
        weight = count.clamp(0, 1)[:, None, None] * torch.exp(-temperature * squared)
        best, index = weight.topk(min(top_k, len(weight)), 0)
        total = best.sum(0)
        mixed = (feature[:, index] * best).sum(1)
        out[:4, t] = total
        out[4:, t] = mixed + latent[:, t] * (1 - total.clamp(0, 1))
    return out


@pytest.fixture
def sample():
    generator = torch.Generator().manual_seed(0)
    condition = torch.randn(3, 20, 4, 8, 12, generator=generator)
    points = torch.rand(3, 13, 6, 2, generator=generator) * torch.tensor([96.0, 64.0])
    visible = torch.rand(3, 13, 6, generator=generator) > 0.3
    return condition, points, visible, (64, 96)


@pytest.mark.parametrize("name", PATCHES)
def test_published_vectors(golden, name):
    tensors, params = golden(f"ati/patch_{name}")
    tracks = tensors["tracks"]
    visible = tracks[..., 3]
    if name == "tail_dropout":
        keep, cut = tensors["rand_keep"][:, 0, :, 0], tensors["rand_cut"][:, 0, :, 0]
        visible = ati.tail_dropout(visible, params["tail_dropout"], keep=keep, cut=cut)
    out = ati.patch(
        tensors["cond"][None], tracks[..., 1:3], visible, temperature=params["temperature"], top_k=params["topk"]
    )
    assert (out[0] - tensors["out"]).abs().max() < 1e-5


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tracks=st.integers(1, 12),
    grid=st.sampled_from([(3, 3), (6, 9), (9, 5), (1, 4), (12, 12)]),
    frames=st.integers(1, 3),
    temperature=st.sampled_from([1.0, 40.0, 220.0, 1000.0]),
    top_k=st.integers(1, 4),
)
def test_equals_the_formulas_written_out(seed, tracks, grid, frames, temperature, top_k):
    generator = torch.Generator().manual_seed(seed)
    condition = torch.randn(20, frames, *grid, generator=generator)
    points = torch.randn(4 * (frames - 1) + 1, tracks, 2, generator=generator)
    visible = torch.rand(4 * (frames - 1) + 1, tracks, generator=generator).round(decimals=1) * 3 - 1
    out = ati.patch(condition[None], points, visible, temperature=temperature, top_k=top_k)[0]
    assert (out - published(condition, points, visible, temperature, top_k)).abs().max() < 1e-5


def test_pixels_become_units_of_half_the_short_edge():
    points = torch.tensor([[0.0, 0.0], [416.0, 240.0], [832.0, 480.0], [416.0, 480.0]])
    expected = torch.tensor([[-832 / 480, -1.0], [0.0, 0.0], [832 / 480, 1.0], [0.0, 1.0]])
    torch.testing.assert_close(ati.normalise(points, (480, 832)), expected)


def test_batch_equals_one_by_one(sample):
    condition, points, visible, size = sample
    together = ati.guide(condition, points, visible, size)
    for index in range(3):
        alone = ati.guide(condition[index : index + 1], points[index], visible[index], size)
        assert torch.equal(together[index], alone[0])


def test_hidden_tracks_and_their_number_change_nothing(sample):
    condition, points, visible, size = sample
    more_points = torch.cat([points, torch.full((3, 13, 4, 2), 30.0)], 2)
    more_visible = torch.cat([visible, torch.zeros(3, 13, 4, dtype=torch.bool)], 2)
    assert torch.equal(
        ati.guide(condition, points, visible, size), ati.guide(condition, more_points, more_visible, size)
    )


def test_order_of_tracks_does_not_matter(sample):
    condition, points, visible, size = sample
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    shuffled = ati.guide(condition, points[:, :, order], visible[:, :, order], size)
    assert (ati.guide(condition, points, visible, size) - shuffled).abs().max() < 1e-6


def test_chunks_do_not_matter(sample, monkeypatch):
    condition, points, visible, size = sample
    whole = ati.guide(condition, points, visible, size)
    monkeypatch.setattr(ati, "_CHUNK", 1)
    assert torch.equal(whole, ati.guide(condition, points, visible, size))


def test_memory_layout_of_the_condition_does_not_matter(sample):
    condition, points, visible, size = sample
    expected = ati.guide(condition, points, visible, size)
    other = condition.transpose(0, 4).contiguous().transpose(0, 4)
    assert torch.equal(ati.guide(other, points, visible, size), expected)
    last = condition.to(memory_format=torch.channels_last_3d)
    assert torch.equal(ati.guide(last, points, visible, size), expected)


def test_no_tracks_or_no_strength_leave_the_condition(sample):
    condition, points, visible, size = sample
    assert torch.equal(ati.guide(condition, points[:, :, :0], visible[:, :, :0], size), condition)
    assert torch.equal(ati.guide(condition, points, visible, size, strength=0), condition)


def test_input_is_not_changed(sample):
    condition, points, visible, size = sample
    copies = condition.clone(), points.clone(), visible.clone()
    ati.guide(condition, points, visible, size)
    assert torch.equal(condition, copies[0])
    assert torch.equal(points, copies[1])
    assert torch.equal(visible, copies[2])


def test_everything_hidden_keeps_latents_and_clears_masks(sample):
    condition, points, visible, size = sample
    out = ati.guide(condition, points, torch.zeros_like(visible), size)
    assert torch.equal(out[:, 4:], condition[:, 4:])
    assert (out[:, :4, 0] == 1).all()
    assert (out[:, :4, 1:] == 0).all()


def test_strength_is_a_factor_on_the_mask(sample):
    condition, points, visible, size = sample
    full, half = (ati.guide(condition, points, visible, size, strength=s) for s in (1.0, 0.5))
    torch.testing.assert_close(half[:, :4, 1:], full[:, :4, 1:] / 2)


def test_a_strength_for_each_track_and_latent_frame(sample):
    condition, points, visible, size = sample
    one = (condition, points[:, :, :1], visible[:, :, :1], size)
    plain = ati.guide(*one)
    strength = torch.tensor([7.0, 0.5, 0.0, 1.0])[:, None]  # the first latent frame's own is not used
    found = ati.guide(*one, strength=strength)
    torch.testing.assert_close(found[:, 3, 1:], plain[:, 3, 1:] * strength[1:, :, None])
    torch.testing.assert_close(found[:, 4:, 2], condition[:, 4:, 2])
    assert torch.equal(found[:, :, 0], plain[:, :, 0])
    full = torch.full((3, 4, 6), 0.7)
    torch.testing.assert_close(ati.guide(*sample, strength=full), ati.guide(*sample, strength=0.7))


def test_coincident_tracks_add_up_to_the_rank():
    condition = torch.randn(1, 20, 2, 9, 9)
    points = torch.full((5, 6, 2), 36.0)
    out = ati.guide(condition, points, torch.ones(5, 6), (72, 72), top_k=4)
    assert out[0, 0, 1, 4, 4].item() == pytest.approx(4.0, abs=1e-3)


@pytest.mark.parametrize("mask_mode", ["max", "keep"])
def test_a_given_last_frame_is_kept(sample, mask_mode):
    condition, points, visible, size = sample
    condition[:, :4] = 0
    condition[:, :4, 0] = 1
    ordinary = ati.guide(condition, points, visible, size, mask_mode=mask_mode)
    assert torch.equal(ordinary, ati.guide(condition, points, visible, size))
    condition[:, 3, -1] = 1
    out = ati.guide(condition, points, visible, size, mask_mode=mask_mode)
    assert torch.equal(out[:, 4:, -1], condition[:, 4:, -1])
    weights = ordinary[:, :4, -1]
    assert (weights > 0).any()
    kept = condition[:, :4, -1]
    assert torch.equal(out[:, :4, -1], kept if mask_mode == "keep" else torch.maximum(kept, weights))
    assert torch.equal(out[:, :, :-1], ordinary[:, :, :-1])


def resting_everywhere(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tracks at rest in the middle of all 4-pixel cells, and a condition whose first frame says where its cells are."""
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) * 4, (torch.arange(columns) + 0.5) * 4, indexing="ij")
    condition = torch.zeros(1, 4 + 2, 3, rows, columns)
    condition[0, 4:, 0] = torch.stack([x, y])
    return condition, torch.stack([x, y], -1).reshape(1, -1, 2).expand(9, -1, -1)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (6, 10), (12, 5)])
def test_cells_at_their_centres_keep_what_rests_in_its_place(rows, columns):
    condition, points = resting_everywhere(rows, columns)
    sharp = 220.0 * (min(rows, columns) / 8) ** 2  # a neighbouring cell gets next to nothing
    out = ati.guide(
        condition,
        points,
        torch.ones(9, rows * columns),
        (rows * 4, columns * 4),
        grid="centres",
        top_k=1,
        temperature=sharp,
    )
    torch.testing.assert_close(out[:, 4:, 1], condition[:, 4:, 0], atol=1e-3, rtol=0)
    torch.testing.assert_close(out[:, :4, 1], torch.ones(1, 4, rows, columns), atol=1e-3, rtol=0)


def test_the_published_grid_takes_half_a_cell_from_the_border():
    condition, points = resting_everywhere(8, 8)
    edge = torch.tensor([2.0, 18.0]).expand(9, 1, 2)  # the middle of the first cell of a row
    weights = [
        ati.guide(condition, edge, torch.ones(9, 1), (32, 32), grid=each)[0, 0, 1] for each in ("reference", "centres")
    ]
    assert [float(weight.max()) for weight in weights] == pytest.approx([0.06, 1.0], abs=0.05)
    centred = ati.guide(condition, points, torch.ones(9, 64), (32, 32), top_k=64, grid="centres", temperature=500)
    told = centred[0, 4:, 1] / centred[0, 0, 1]
    torch.testing.assert_close(told, condition[0, 4:, 0], atol=0.05, rtol=0)


def test_start_on_the_border_keeps_half_of_the_feature():
    latent = torch.ones(1, 1, 4, 6)
    start = torch.tensor([[[-1.5, 0.0], [-9.0, -9.0], [0.0, 0.0]]])
    torch.testing.assert_close(ati.start_features(latent, start), torch.tensor([[[0.5, 0.25, 1.0]]]))


def test_far_and_huge_positions_are_harmless():
    condition = torch.randn(1, 20, 2, 6, 9)
    points = torch.full((5, 2, 2), 3e38)
    out = ati.guide(condition, points, torch.ones(5, 2), (48, 72))
    assert torch.equal(out[:, 4:], condition[:, 4:])
    mixed = points * torch.tensor([1, 1, 1, -1, -1.0])[:, None, None]
    assert torch.isfinite(ati.guide(condition, mixed, torch.ones(5, 2), (48, 72))).all()


def test_half_precision_condition_keeps_its_type(sample):
    condition, points, visible, size = sample
    out = ati.guide(condition.bfloat16(), points, visible, size)
    assert out.dtype == torch.bfloat16
    assert (out.float() - ati.guide(condition, points, visible, size)).abs().max() < 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.floats(0, 1), st.integers(0, 1000))
def test_tail_dropout_only_cuts_tails(frames, probability, seed):
    generator = torch.Generator().manual_seed(seed)
    out = ati.tail_dropout(torch.ones(frames, 50), probability, generator=generator)
    assert ((out[1:] - out[:-1]) <= 0).all()
    assert set(out.unique().tolist()) <= {0.0, 1.0}


def test_tail_dropout_cuts_the_stated_share():
    out = ati.tail_dropout(torch.ones(17, 20_000), 0.2, generator=torch.Generator().manual_seed(0))
    assert (out[-1] == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0}, "temperature: found 0"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_k": 0}, "top_k: found 0"),
        ({"strength": -1}, "strength: found -1"),
        ({"strength": torch.ones(3, 6)}, r"strength: found shape \(3, 6\), expected \[4, 6\]"),
        ({"strength": torch.full((4, 6), -1.0)}, "strength: found a factor below zero"),
        ({"mask_mode": "min"}, "mask_mode: found 'min'"),
        ({"grid": "corners"}, "grid: found 'corners', expected 'reference' or 'centres'"),
        ({"points": torch.zeros(12, 6, 2), "visible": torch.ones(12, 6)}, "found 12 frames, expected 13"),
        ({"points": torch.full((13, 6, 2), math.nan)}, "not finite"),
        ({"points": torch.zeros(2, 13, 6, 2)}, r"expected \[F, N, 2\] or \[3, F, N, 2\]"),
        ({"visible": torch.ones(13, 5)}, "visible: found shape"),
        ({"condition": torch.zeros(20, 4, 8, 12)}, "condition: found shape"),
    ],
)
def test_refusals_say_what_was_found(sample, changes, message):
    condition, points, visible, size = sample
    arguments = {"condition": condition, "points": points, "visible": visible, "size": size, **changes}
    with pytest.raises(InputError, match=message):
        ati.guide(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature: found 0, expected a number above zero"),
        ({"temperature": "x"}, "temperature: found 'x'"),
        ({"temperature": None}, "temperature: found None"),
        ({"top_k": 0}, "top_k: found 0, expected a whole number"),
        ({"top_k": 2.5}, "top_k: found 2.5"),
    ],
)
def test_options_that_are_none_are_told(options, message):
    condition, points = torch.zeros(1, 20, 2, 4, 4), torch.zeros(5, 1, 2)
    with pytest.raises(InputError, match=message):
        ati.patch(condition, points, torch.ones(5, 1), **options)
