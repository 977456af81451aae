from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.methods.adaptive import AdaptiveWeight
from motionloom.methods.wan_move import wan_move

REPLICATE = [
    "r0",
    "r1",
    "r2",
    "r3",
    "r4_legacy_hidden_source",
    "r5_all_hidden",
    "r6_grid",
    "r7_short_tracks",
    "r8_average",
]


def case(golden, file, name):
    tensors, params = golden(f"wan-move/{file}")
    prefix = name + "."
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}, json.loads(params[name])


def with_masks(latent):
    mask = torch.zeros_like(latent[:, :1]).repeat(1, 4, 1, 1, 1)
    mask[:, :, 0] = 1
    return torch.cat([mask, latent], 1)


@pytest.fixture
def sample():
    generator = torch.Generator().manual_seed(0)
    condition = with_masks(torch.randn(3, 16, 4, 8, 12, generator=generator))
    points = torch.rand(3, 13, 30, 2, generator=generator) * torch.tensor([96.0, 64.0])
    visible = torch.rand(3, 13, 30, generator=generator) > 0.3
    return condition, points, visible, (64, 96)


@pytest.mark.parametrize("name", [f"p{i}" for i in range(9)])
def test_published_cells(golden, name):
    tensors, params = case(golden, "track_pos", name)
    cells, _ = wan_move.latent_cells(
        tensors["tracks"],
        tensors["visibility"],
        (params["height"], params["width"]),
        tuple(params["stride"]),
        params["strategy"],
    )
    assert torch.equal(cells.transpose(0, 1), tensors["track_pos"])


@pytest.mark.parametrize("name", REPLICATE)
def test_published_replication(golden, name):
    tensors, params = case(golden, "replicate", name)
    size = (params["height"], params["width"])
    options = {"strides": tuple(params["stride"]), "pooling": params["strategy"], "order": tensors["order"]}
    arguments = (with_masks(tensors["latent"]), tensors["tracks"], tensors["visibility"], size)
    out = wan_move.guide(*arguments, **options, legacy_hidden_source="legacy" in name)
    assert torch.equal(out[:, 4:], tensors["out"])
    if "legacy" in name:
        assert not torch.equal(wan_move.guide(*arguments, **options)[:, 4:], tensors["out"])


@pytest.mark.parametrize("name", ["e0", "e1"])
def test_published_condition(golden, name):
    tensors, params = case(golden, "condition", name)
    size = (params["height"], params["width"])
    scale = torch.tensor([size[1] / params["image_width"], size[0] / params["image_height"]])
    out = wan_move.guide(
        with_masks(tensors["image_latent"][None]),
        tensors["tracks"] * scale,
        tensors["visibility"],
        size,
        order=tensors["order"],
    )
    assert torch.equal(out[0], tensors["condition"])


@pytest.mark.parametrize("name", ["s0", "s1", "s2", "s3"])
def test_stated_strength(golden, name):
    tensors, params = case(golden, "strength", name)
    out = wan_move.guide(
        with_masks(tensors["latent"]),
        tensors["tracks"],
        tensors["visibility"],
        (params["height"], params["width"]),
        order=tensors["order"],
        strength=params["strength"],
    )
    assert (out[:, 4:] - tensors["out"]).abs().max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tracks=st.integers(0, 20),
    frames=st.integers(1, 4),
    collision=st.sampled_from(["last", "first", "random"]),
)
def test_equals_writing_track_after_track(seed, tracks, frames, collision):
    generator = torch.Generator().manual_seed(seed)
    condition = with_masks(torch.randn(1, 16, frames, 3, 4, generator=generator))
    count = 4 * (frames - 1) + 1
    points = torch.rand(count, tracks, 2, generator=generator) * torch.tensor([40.0, 30.0]) - 4
    visible = torch.rand(count, tracks, generator=generator) > 0.2
    expected = condition.clone()
    order = {"last": range(tracks), "first": range(tracks)[::-1]}.get(
        collision, wan_move._turn(tracks, "random", seed, torch.device("cpu")).argsort().tolist()
    )
    for n in order:
        source = None
        for k in range(frames):
            x, y = points[4 * k, n].tolist()
            if not (visible[4 * k, n] and 0 <= x < 32 and 0 <= y < 24):
                continue
            if k == 0:
                source = condition[0, 4:, 0, int(y // 8), int(x // 8)]
            elif source is not None:
                expected[0, 4:, k, int(y // 8), int(x // 8)] = source
    out = wan_move.guide(condition, points, visible, (24, 32), collision=collision, seed=seed)
    assert torch.equal(out, expected)


def test_nearest_to_the_centre_of_the_cell_wins():
    condition = with_masks(torch.arange(2 * 4 * 4.0).view(1, 1, 2, 4, 4))
    start = torch.tensor([[1.0, 1.0], [9.0, 1.0], [17.0, 1.0]])
    later = torch.tensor([[8.5, 8.5], [11.0, 12.5], [15.5, 15.5]])
    points = torch.stack([start, start, start, start, later])
    out = wan_move.guide(condition, points, torch.ones(5, 3), (32, 32), collision="nearest")
    assert out[0, 4, 1, 1, 1] == condition[0, 4, 0, 0, 1]


def test_batch_equals_one_by_one_and_hidden_tracks_change_nothing(sample):
    condition, points, visible, size = sample
    more_points = torch.cat([points, torch.zeros(3, 13, 9, 2)], 2)
    more_visible = torch.cat([visible, torch.zeros(3, 13, 9, dtype=torch.bool)], 2)
    together = wan_move.guide(condition, more_points, more_visible, size, seed=5)
    for index in range(3):
        alone = wan_move.guide(condition[index : index + 1], points[index], visible[index], size, seed=5)
        assert torch.equal(together[index], alone[0])


def test_random_order_follows_the_seed_alone(sample):
    condition, points, visible, size = sample
    first = wan_move.guide(condition, points, visible, size, seed=3)
    torch.manual_seed(99)
    assert torch.equal(first, wan_move.guide(condition, points, visible, size, seed=3))
    assert not torch.equal(first, wan_move.guide(condition, points, visible, size, seed=4))


def test_memory_layout_of_the_condition_does_not_matter(sample):
    condition, points, visible, size = sample
    expected = wan_move.guide(condition, points, visible, size)
    other = condition.transpose(0, 4).contiguous().transpose(0, 4)
    assert torch.equal(wan_move.guide(other, points, visible, size), expected)
    last = condition.to(memory_format=torch.channels_last_3d)
    assert torch.equal(wan_move.guide(last, points, visible, size), expected)


def test_no_tracks_or_no_strength_leave_the_condition(sample):
    condition, points, visible, size = sample
    copy = condition.clone()
    assert torch.equal(wan_move.guide(condition, points[:, :, :0], visible[:, :, :0], size), condition)
    assert torch.equal(wan_move.guide(condition, points, visible, size, strength=0), condition)
    wan_move.guide(condition, points, visible, size)
    assert torch.equal(condition, copy)


def test_points_that_are_not_finite_are_hidden(sample):
    condition, points, visible, size = sample
    hidden = visible.clone()
    hidden[:, 4:9] = False
    broken = points.clone()
    broken[:, 4:9, :, 0] = math.nan
    broken[:, 4:9, ::2, 1] = math.inf
    assert torch.equal(
        wan_move.guide(condition, broken, visible, size), wan_move.guide(condition, points, hidden, size)
    )


def test_a_given_last_frame_is_kept(sample):
    condition, points, visible, size = sample
    plain = wan_move.guide(condition, points, visible, size)
    condition[:, 3, -1] = 1
    out = wan_move.guide(condition, points, visible, size)
    assert torch.equal(out[:, 4:, -1], condition[:, 4:, -1])
    assert torch.equal(out[:, 4:, :-1], plain[:, 4:, :-1])


def test_window_pools_the_frames_of_a_causal_latent_frame():
    points = torch.tensor([0.0, 10, 20, 30, 40, 50, 60, 70, 79])[:, None, None].expand(-1, 1, 2)
    visible = torch.tensor([1, 1, 0, 1, 0, 0, 0, 0, 0], dtype=torch.bool)[:, None]
    cells, _ = wan_move.latent_cells(points, visible, (80, 80), pooling="window")
    assert cells[:, 0].tolist() == [[0, 0], [2, 2], [-1, -1]]
    cells, _ = wan_move.latent_cells(points, visible.new_ones(9, 1), (80, 80), pooling="window")
    assert cells[:, 0].tolist() == [[0, 0], [3, 3], [8, 8]]


def test_other_strides_than_the_published_ones():
    condition = with_masks(torch.arange(2 * 8 * 8.0).view(1, 1, 2, 8, 8))
    points = torch.tensor([[[5.0, 2.0]], [[5.0, 2.0]], [[5.0, 2.0]], [[5.0, 2.0]], [[31.9, 28.0]]])
    out = wan_move.guide(condition, points, torch.ones(5, 1), (32, 32), strides=(4, 4, 4))
    assert out[0, 4, 1, 7, 7] == condition[0, 4, 0, 0, 1]
    assert (out != condition).sum() == 1


def test_a_strength_for_each_track_and_latent_frame():
    points = torch.tensor([0.0, 0, 0, 0, 0, 0, 0, 0, 8])[:, None, None] * torch.tensor([1.0, 0.0])
    strength = AdaptiveWeight()(points, torch.ones(9, 1), (4, 8, 8))
    condition = with_masks(torch.randn(1, 2, 3, 2, 2))
    out = wan_move.guide(condition, points, torch.ones(9, 1), (16, 16), strength=strength)
    before, copied = condition[0, 4:, 2, 0, 1], condition[0, 4:, 0, 0, 0]
    weight = 0.5 + 0.3 * (1 - math.exp(-1))
    torch.testing.assert_close(out[0, 4:, 2, 0, 1], before + weight * (copied - before))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (64, 64)}, r"size: found \(64, 64\), expected \(64, 96\)"),
        ({"pooling": "max"}, "pooling: found 'max'"),
        ({"collision": "depth"}, "collision: found 'depth'"),
        ({"seed": -1}, "seed of collisions: found -1"),
        ({"seed": "x"}, "seed of collisions: found 'x'"),
        ({"order": torch.zeros(30, dtype=torch.int64)}, "order: expected a permutation"),
        ({"points": torch.zeros(17, 30, 2), "visible": torch.ones(17, 30)}, "found 17 frames, expected at most 13"),
        ({"visible": torch.ones(13, 5)}, "visible: found shape"),
        ({"points": torch.zeros(13, 30, 3)}, "points: found shape"),
        ({"condition": torch.zeros(20, 4, 8, 12)}, "condition: found shape"),
    ],
)
def test_refusals_say_what_was_found(sample, changes, message):
    condition, points, visible, size = sample
    arguments = {"condition": condition, "points": points, "visible": visible, "size": size, **changes}
    with pytest.raises(InputError, match=message):
        wan_move.guide(**arguments)
