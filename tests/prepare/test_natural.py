from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.prepare.procedural import (
    WAVES,
    NaturalScene,
    cropped,
    dense_flow,
    layer_at,
    render,
    sample_scene,
    trace,
    visible_before,
    with_photographs,
)
from motionloom.prepare.procedural.natural.clip import draw_clip
from motionloom.prepare.procedural.natural.geometry import folded, on_sprite, onto_ball
from motionloom.prepare.procedural.natural.noise import natural_noise, white_noise
from motionloom.prepare.procedural.natural.outlines import FAR, LIMB, LIMB_KIND, RIDGE, draw_outline, make_outlines

SIZE = (48, 64)
PIXELS = SIZE[0] * SIZE[1]


def natural(seed: int, clips: range | list[int], frames: int = 5, **how) -> NaturalScene:
    return sample_scene(seed, clips, num_frames=frames, resolution=48, style="natural", **how)


def centres(clips: int) -> torch.Tensor:
    y, x = (torch.arange(extent) + 0.5 for extent in SIZE)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2).expand(clips, -1, -1)


def some_points(clips: int, count: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(clips, count, 2, generator=generator) * torch.tensor([SIZE[1], SIZE[0]])


def colours(video: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """[B, T, N, 3] of video [B, T, 3, H, W] at points [B, T, N, 2]."""
    grid = (points / torch.tensor([video.shape[-1], video.shape[-2]]) * 2 - 1).flatten(0, 1)[:, None]
    return F.grid_sample(video.flatten(0, 1), grid, align_corners=False)[:, :, 0].unflatten(0, video.shape[:2]).mT


def unlit(scene: NaturalScene) -> NaturalScene:
    """Without light and shadow, what is seen of one place is of the same colour in all frames."""
    return replace(scene, shade=torch.zeros_like(scene.shade), shadow=scene.shadow * torch.tensor([1.0, 1.0, 0.0]))


class Brute:
    """The same geometry, written the long way in double precision, one clip, frame and layer at a time."""

    def __init__(self, scene: NaturalScene, clip: int) -> None:
        self.v = {f.name: getattr(scene, f.name)[clip].numpy() for f in fields(scene)}
        self.layers = int(self.v["present"].sum())

    def material(self, layer: int, t: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(signed distance, material coordinates [..., 3]) of places of the picture."""
        v = self.v
        w = (x + 1j * y - np.complex128(v["shift"][layer, t])) / np.complex128(v["scale"][layer, t])
        turn = v["turn"][layer, :, :, t].astype(float)
        if v["ball"][layer]:
            depth = -np.sqrt(np.clip(1 - np.abs(w) ** 2, 0, None))
            return 1 - np.abs(w), np.stack([w.real, w.imag, depth], -1) @ turn
        k = float(v["perspective"][layer])
        u = np.empty((*w.shape, 2))
        for place in np.ndindex(w.shape):
            a, b = w[place].real, w[place].imag
            rows = [
                [turn[0, 0] - a * k * turn[2, 0], turn[0, 1] - a * k * turn[2, 1]],
                [turn[1, 0] - b * k * turn[2, 0], turn[1, 1] - b * k * turn[2, 1]],
            ]
            u[place] = np.linalg.solve(np.array(rows), np.array([a, b]))
        m = u[..., 0] + 1j * u[..., 1]
        bent = m.copy()
        for wave in range(WAVES):
            angle = u @ v["bend_wave"][layer, wave].astype(float) + v["bend_phase"][layer, wave, t]
            bent += v["bend_gain"][layer, wave, t] * np.sin(angle)
        place = np.stack([bent.real, bent.imag, np.zeros(w.shape)], -1)
        if layer == 0:
            return np.ones(w.shape), place
        goes_on = v["mirrored"][layer]
        at, inside = place[..., :2].copy(), np.ones(w.shape, bool)
        for axis in range(2):
            inside &= (np.abs(at[..., axis]) < 1) | goes_on[axis]
            if goes_on[axis]:
                at[..., axis] = np.arcsin(np.sin(at[..., axis] * np.pi / 2)) * 2 / np.pi
        sprite = torch.from_numpy(v["sprites"][layer - 1, 3]).double()[None, None]
        grid = torch.from_numpy(at).reshape(1, 1, -1, 2)
        taken = F.grid_sample(sprite, grid, padding_mode="border", align_corners=False).reshape(w.shape).numpy()
        return np.where(inside, taken, -1.0), place

    def seen(self, t: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(layer, material coordinates, how clear the case is: the least distance to any outline)."""
        owner, place = np.zeros(x.shape, int), self.material(0, t, x, y)[1]
        clear = np.full(x.shape, np.inf)
        for layer in range(1, self.layers):
            inside, material = self.material(layer, t, x, y)
            owner[inside > 0] = layer
            place[inside > 0] = material[inside > 0]
            clear = np.minimum(clear, np.abs(inside))
        return owner, place, clear


def test_clip_depends_on_seed_and_index_alone():
    photographs = [np.random.default_rng(n).integers(0, 256, (40, 50, 3), dtype=np.uint8) for n in range(3)]
    together = natural(5, [3, 8, 11, 4], photographs=photographs)
    alone = natural(5, [8], photographs=photographs)
    for field in fields(together):
        assert torch.equal(getattr(together, field.name)[1:2], getattr(alone, field.name)), field.name
    assert torch.equal(render(together, SIZE)[1:2], render(alone, SIZE))
    points = some_points(4)
    for both, one in zip(trace(together, points, SIZE), trace(alone, points[1:2], SIZE), strict=True):
        assert torch.equal(both[1:2], one)
    assert not torch.equal(render(alone, SIZE), render(natural(6, [8], photographs=photographs), SIZE))


def test_memory_bounds_do_not_show(monkeypatch):
    scene = natural(5, range(3))
    whole, tracks = render(scene, SIZE), trace(scene, some_points(3), SIZE)
    for module in ("rendering.PIXELS", "tracing.POINTS"):
        monkeypatch.setattr(f"motionloom.prepare.procedural.natural.{module}", 2 * PIXELS)
    assert torch.equal(render(scene, SIZE), whole)
    for again, before in zip(trace(scene, some_points(3), SIZE), tracks, strict=True):
        assert torch.equal(again, before)


def test_tracks_start_where_asked_and_keep_their_colour():
    scene = unlit(natural(1, range(16), 9))
    video = render(scene, SIZE)
    start = some_points(16)
    points, visible = trace(scene, start, SIZE)
    torch.testing.assert_close(points[:, 0], start, atol=5e-4, rtol=0)
    assert visible[:, 0].all()
    taken = colours(video, points)
    difference = (taken - taken[:, :1]).abs().mean(-1)
    moving = (points - points[:, :1]).norm(dim=-1) > 0.05
    assert (moving & visible).float().mean() > 0.1
    # Beside edges, and where textures are fine, a place between pixels is a mixture.
    assert difference[moving & visible].median() < 0.005
    assert difference[moving & visible].quantile(0.9) < 0.1
    assert difference[moving & ~visible].median() > 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_tracks_and_visibility_equal_brute_force(seed: int):
    clips, frames = 6, 3
    scene = natural(seed, range(10 * seed, 10 * seed + clips), frames)
    starts = some_points(clips, 60)
    points, visible = trace(scene, starts, SIZE)
    layers = layer_at(scene, starts, SIZE)
    half = min(SIZE) / 2
    checked = 0
    for clip in range(clips):
        brute = Brute(scene, clip)
        places = (points[clip].double().numpy() - np.array([SIZE[1], SIZE[0]]) / 2) / half
        owner, material, clear = brute.seen(0, places[0, :, 0], places[0, :, 1])
        np.testing.assert_array_equal(layers[clip].numpy()[clear > 2e-3], owner[clear > 2e-3])
        for t in range(1, frames):
            now, there, clear_now = brute.seen(t, places[t, :, 0], places[t, :, 1])
            inside = ((points[clip, t] >= 0) & (points[clip, t] < torch.tensor([SIZE[1], SIZE[0]]))).all(-1).numpy()
            # Seen: what the picture shows where the track is, is the same place of the same layer.
            same = (now == owner) & (np.linalg.norm(there - material, axis=-1) < 1e-3)
            sure = (clear > 2e-3) & (clear_now > 2e-3)
            np.testing.assert_array_equal(visible[clip, t].numpy()[sure], (same & inside)[sure])
            checked += int(sure.sum())
    assert checked > 0.8 * clips * (frames - 1) * 60


def test_frames_show_what_is_in_front():
    """Every layer in one colour of its own: pixels away from edges have exactly that of the nearest one."""
    scene = unlit(natural(3, range(6), 2))
    sprites, layers = scene.sprites.clone(), scene.sprites.shape[1]
    sprites[:, :, :3] = (torch.arange(1, layers + 1) / (layers + 1)).reshape(1, -1, 1, 1, 1)
    flat = replace(scene, sprites=sprites, background=torch.zeros_like(scene.background))
    shown = render(flat, SIZE)[:, 1, 0] * (layers + 1)
    y, x = ((np.arange(extent) + 0.5 - extent / 2) / (min(SIZE) / 2) for extent in SIZE)
    x, y = np.meshgrid(x, y)
    checked = 0
    for clip in range(6):
        owner, _, clear = Brute(scene, clip).seen(1, x[::3, ::3], y[::3, ::3])
        # Limbs are the smallest things: half a pixel is 0.14 of their units, and their joints are always near.
        sharp = clear > 0.14
        checked += int(sharp.sum())
        np.testing.assert_allclose(shown[clip, ::3, ::3].numpy()[sharp], owner[sharp], atol=1e-4)
    assert checked > 0.3 * 6 * owner.size


def test_trace_there_and_back():
    scene = natural(2, range(8), 7)
    there, seen = trace(scene, some_points(8), SIZE, frame=4)
    back, _ = trace(scene, there[:, 0].contiguous(), SIZE)
    both = seen[:, 0] & seen[:, 4]
    assert both.float().mean() > 0.5
    # All but those that lie on an outline.
    assert (back[:, 4] - there[:, 4]).norm(dim=-1)[both].quantile(0.98) < 1e-2


def test_flow_is_the_step_of_the_tracks_and_new_pixels_were_not_visible():
    scene = natural(1, range(4), 3)
    flow, seen = dense_flow(scene, SIZE), visible_before(scene, SIZE)
    points, _ = trace(scene, centres(4), SIZE)
    steps = (points[:, 1] - points[:, 0]).mT.unflatten(2, SIZE)
    torch.testing.assert_close(flow[:, 0], steps, atol=2e-3, rtol=1e-4)
    assert flow.shape == (4, 2, 2, *SIZE)
    assert seen[:, 0].all()
    assert seen.shape == (4, 3, *SIZE)
    assert 0.5 < seen[:, -1].float().mean() < 0.9999


def test_balls_show_and_hide_their_sides():
    """A lone ball that makes half a turn about the upright axis: what was at the left rim comes to the right one."""
    scene = natural(0, [0], 5)
    angle = torch.linspace(0, torch.pi, 5)
    zero, one = torch.zeros(5), torch.ones(5)
    turn = torch.stack([angle.cos(), zero, angle.sin(), zero, one, zero, -angle.sin(), zero, angle.cos()])
    kept = {name: getattr(scene, name).clone() for name in ("turn", "scale", "shift", "ball", "present", "bend_gain")}
    kept["turn"][0, 1] = turn.reshape(3, 3, 5)
    kept["scale"][0, 1], kept["shift"][0, 1], kept["bend_gain"][0, 1] = 0.8, 0.0, 0
    kept["ball"][0, 1] = True
    kept["present"][0] = torch.arange(kept["present"].shape[1]) < 2
    # On the unit ball at x = -0.6, z = -0.8.
    start = torch.tensor([[[32 - 0.6 * 0.8 * 24, 24.0]]])
    points, visible = trace(replace(scene, **kept), start, SIZE)
    x = (points[0, :, 0, 0] - 32) / (0.8 * 24)
    expected = -0.6 * angle.cos() - 0.8 * angle.sin()
    torch.testing.assert_close(x, expected, atol=1e-4, rtol=0)
    depth = 0.6 * angle.sin() - 0.8 * angle.cos()
    assert visible[0, :, 0].tolist() == (depth < 0).tolist()


def test_limbs_hold_together():
    """The end of a limb of a chain is the beginning of the next one, in every frame."""
    joints = 0
    for index in range(40):
        clip = draw_clip(np.random.default_rng(index), 9, 1.0)
        limbs = np.flatnonzero((clip["outline"][:, 0] == LIMB_KIND) & clip["present"] & (clip["size"] < 0.33))
        for one, two in pairwise(limbs):
            end = clip["shift"][one] + LIMB * clip["scale"][one]
            begin = clip["shift"][two] - LIMB * clip["scale"][two]
            if abs(end[0] - begin[0]) < 1e-5:
                np.testing.assert_allclose(end, begin, atol=2e-6)
                joints += 1
    assert joints > 5


def test_many_clips_hold_still():
    scene = natural(4, range(100, 164), 5)
    last, first = (torch.stack([scene.scale[..., t], scene.shift[..., t]]) for t in (-1, 0))
    still = ((last - first).abs().amax(0) < 1e-6) & (scene.bend_gain.abs().amax((2, 3)) == 0)
    still &= (scene.turn[..., -1] - scene.turn[..., 0]).abs().amax((2, 3)) < 1e-6
    assert 0.4 < still[:, 0].float().mean() < 0.75, "backgrounds"
    things = scene.present[:, 1:]
    assert 0.2 < still[:, 1:][things].float().mean() < 0.7, "things"


def test_no_motion_gives_a_still_clip():
    scene = natural(1, range(8), motion=0.0)
    video = render(scene, SIZE)
    assert torch.equal(video[:, :1].expand_as(video), video)
    points, visible = trace(scene, some_points(8), SIZE)
    assert (points - points[:, :1]).abs().max() < 1e-3
    assert visible.all()


def test_light_changes_brightness_and_shadows_darken():
    scene = natural(7, range(8), 1)
    dark = scene.shadow.clone()
    dark[..., 2] = 0
    open_air, shaded = render(replace(scene, shadow=dark), SIZE), render(scene, SIZE)
    assert (shaded <= open_air + 1e-5).all()
    assert (open_air - shaded).max() > 0.05
    assert (render(unlit(scene), SIZE) - open_air).abs().max() > 0.05


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_a_crop_is_a_part_of_the_picture(share: float):
    scene = natural(9, range(4), 3)
    part = cropped(scene, (0.25, -0.125), share)
    size = (int(SIZE[0] * share), int(SIZE[1] * share))
    left = round((SIZE[1] - size[1]) / 2 + 0.25 * 24)
    top = round((SIZE[0] - size[0]) / 2 - 0.125 * 24)
    whole = render(scene, SIZE)[..., top : top + size[0], left : left + size[1]]
    torch.testing.assert_close(render(part, size), whole, atol=2e-3, rtol=0)
    corner = torch.tensor([left, top])
    points = some_points(4) * share
    big, _ = trace(scene, points + corner, SIZE)
    small, _ = trace(part, points, size)
    torch.testing.assert_close(small, big - corner, atol=2e-3, rtol=1e-5)


def test_photographs_keep_the_motion():
    red = np.zeros((50, 60, 3), np.uint8)
    red[..., 0] = 200
    plain, photographed = natural(1, range(12)), natural(1, range(12), photographs=[red])
    for name in ("scale", "shift", "turn", "bend_gain", "present"):
        assert torch.equal(getattr(plain, name), getattr(photographed, name))
    shown = (photographed.background[:, 1:].amax((1, 2, 3)) < 0.2) & (photographed.background[:, 0].amin((1, 2)) > 0.3)
    assert 0.2 < shown.float().mean() < 0.95
    torch.testing.assert_close(photographed.sprites[:, :, 3], plain.sprites[:, :, 3])
    dressed = with_photographs(plain, [red], seed=0)
    assert torch.equal(dressed.shift, plain.shift)
    assert torch.equal(dressed.sprites[:, :, 3], plain.sprites[:, :, 3])
    torch.testing.assert_close(dressed.background[:, 0], torch.full_like(plain.background[:, 0], 200 / 255))


def test_noise_has_the_spectrum_asked_for():
    slopes = torch.tensor([[1.0, 1.5], [2.0, 1.2]])
    noise = natural_noise(white_noise(torch.tensor([1, 2], dtype=torch.int32), (2, 128, 128)), slopes)
    assert (noise.mean((2, 3)).abs() < 1e-4).all()
    assert ((noise.std((2, 3)) > 0.6) & (noise.std((2, 3)) < 1.4)).all()
    power = torch.fft.fft2(noise).abs().square()
    frequency = torch.hypot(torch.fft.fftfreq(128)[:, None], torch.fft.fftfreq(128)[None])
    low, high = ((frequency > f / 1.3) & (frequency < f * 1.3) for f in (0.05, 0.2))
    measured = torch.log(power[..., low].mean(-1) / power[..., high].mean(-1)) / torch.log(torch.tensor(4.0)) / 2
    torch.testing.assert_close(measured, slopes, atol=0.12, rtol=0)


def test_white_noise_is_white_and_pinned():
    noise = white_noise(torch.tensor([7, -3], dtype=torch.int32), (100, 100))
    assert noise.min() >= -1
    assert noise.max() < 1
    torch.testing.assert_close(noise.var((1, 2)), torch.full((2,), 1 / 3), atol=0.01, rtol=0)
    for shifted in (noise.roll(1, 1), noise.roll(1, 2), noise.flip(0)):
        assert ((noise * shifted).mean((1, 2)) * 3).abs().max() < 0.03


@given(kind=st.integers(0, 9), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_outlines_are_distances(kind: int, seed: int):
    outline = torch.from_numpy(draw_outline(np.random.default_rng(seed), kind))[None]
    distances = make_outlines(outline, 64)[0]
    assert distances.abs().max() <= FAR
    border = torch.cat([distances[0], distances[-1], distances[:, 0], distances[:, -1]])
    if kind != RIDGE:
        assert 0.002 < (distances > 0).float().mean() < 0.95
    if kind not in (RIDGE, 6, 7):
        assert border.max() < 0, "within the sprite"
    # Beside an edge, distances rise by one texel per texel, but for thin things and corners.
    down, across = distances.diff(dim=0)[:, :-1], distances.diff(dim=1)[:-1]
    slope = torch.hypot(down, across)[distances[:-1, :-1].abs() < 1 / 64] / (2 / 64)
    if len(slope) > 20 and kind not in (6, 7):
        assert 0.6 < slope.median() < 1.4


@given(st.floats(-20, 20))
def test_folding(value: float):
    expected = np.arcsin(np.sin(value * np.pi / 2)) * 2 / np.pi
    assert float(folded(torch.tensor(value, dtype=torch.float64))) == pytest.approx(expected, abs=1e-6)


@given(st.floats(0, 6.28), st.floats(-1, 1))
def test_ball_is_laid_out_without_a_seam(angle: float, z: float):
    radius = (1 - z * z) ** 0.5
    point = torch.tensor([np.cos(angle) * radius, np.sin(angle) * radius, z])
    u, v = on_sprite(point)
    assert max(abs(float(u)), abs(float(v))) <= 1
    rim = torch.tensor([np.cos(angle), np.sin(angle), 0.0])
    before, after = (torch.stack(on_sprite(rim + torch.tensor([0, 0, side]))) for side in (-1e-4, 1e-4))
    assert (before - after).abs().max() < 1e-3
    torch.testing.assert_close(onto_ball(rim[0] * 2, rim[1] * 2), rim, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"indices": []}, "indices: found none"),
        ({"style": "cubist"}, "style: found 'cubist', expected one of simple, natural"),
        ({"photographs": [np.zeros((9, 9, 3), np.uint8)]}, "use with_photographs"),
        ({"style": "natural", "photographs": [np.zeros((9, 9), np.uint8)]}, r"photographs\[0\]: found uint8 \(9, 9\)"),
    ],
)
def test_refuses_nonsense(how: dict, words: str):
    with pytest.raises(InputError, match=words):
        sample_scene(0, **({"indices": [0]} | how))


@pytest.mark.parametrize(("frames", "resolution"), [(1, 8), (2, 33)])
def test_odd_sizes(frames: int, resolution: int):
    scene = sample_scene(0, range(6), num_frames=frames, resolution=resolution, style="natural")
    assert render(scene, (9, 31)).shape == (6, frames, 3, 9, 31)
    assert render(scene, (9, 31)).isfinite().all()
    assert trace(scene, torch.zeros(6, 0, 2), (9, 31))[0].shape == (6, frames, 0, 2)
    assert dense_flow(scene, (9, 31)).shape == (6, frames - 1, 2, 9, 31)
