"""Procedural videos with exact tracks: textured layers that move, turn, scale, bend and hide each other.

Everything is a function of (seed, index): the same pair gives the same clip on one machine, whatever the batch.

Geometry. Lengths are in *half short sides*: the centre of the image is 0 and the nearer border is at 1. A point on a
layer has a material coordinate m (complex: x + iy). At time t the layer is bent, then moved by a similarity:

    u + bend(u, t) = m,        x = a(t) u + b(t)        (a, b complex; bend(., 0) = 0)

Frames look up m for every pixel; tracks solve the same equation for u, so they are exact up to rounding.

Shape letters: B clips, L layers, T frames, N points, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from motionloom.errors import InputError

MAX_LAYERS = 5
BACKGROUND_REACH = 2.0  # half short sides that the background texture covers before it is mirrored
WAVES = 3  # sines in the bending field of a layer


@dataclass(frozen=True)
class Scene:
    """A batch of clips before rendering. Layer 0 is the background; later layers are in front.

    Attributes:
        scale, shift: complex64 [B, L, T], the similarity x = scale * u + shift of every layer.
        bend_wave: float32 [B, L, WAVES, 2], spatial frequency of each sine, radians per half short side.
        bend_phase: float32 [B, L, WAVES, T], phase over time.
        bend_gain: complex64 [B, L, WAVES, T], direction and size of each sine over time; zero at the first frame.
        background: float32 [B, 3, h, w] in [0, 1], spans [-2, 2] squared and is mirrored beyond.
        sprites: float32 [B, L - 1, 4, s, s], RGB and alpha in [0, 1], each spans [-1, 1] squared.
        present: bool [B, L], False for layers a clip does not have.
    """

    scale: torch.Tensor
    shift: torch.Tensor
    bend_wave: torch.Tensor
    bend_phase: torch.Tensor
    bend_gain: torch.Tensor
    background: torch.Tensor
    sprites: torch.Tensor
    present: torch.Tensor

    @property
    def num_frames(self) -> int:
        return self.scale.shape[-1]

    def to(self, device: torch.device | str) -> Scene:
        return Scene(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def sample_scene(
    seed: int, indices: Sequence[int], *, num_frames: int = 17, resolution: int = 128, motion: float = 1.0
) -> Scene:
    """The scenes of some clips.

    Args:
        seed: names the data set.
        indices: which clips of it; clip i is the same in every batch.
        num_frames: T.
        resolution: short side in pixels the clips will be rendered at; it sets the detail of the textures.
        motion: factor on all amounts of movement; 0 gives still clips.
    """
    if num_frames < 1 or resolution < 8:
        raise InputError(
            f"num_frames, resolution: found {num_frames}, {resolution}; expected at least 1 frame and 8 pixels"
        )
    clips = [_sample_clip(np.random.default_rng([seed, index]), num_frames, resolution, motion) for index in indices]
    return Scene(**{f.name: torch.stack([clip[f.name] for clip in clips]) for f in fields(Scene)})


def render(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """Frames float32 [B, T, 3, H, W] in [0, 1] of the scenes at (height, width)."""
    batch, layers, frames = scene.scale.shape
    height, width = size
    x = _pixel_centres(size, scene.scale.device)
    frame = torch.zeros(batch, 3, frames * height, width, device=x.device)
    for layer in range(layers):
        if layer and not scene.present[:, layer].any():
            continue
        u = (x - scene.shift[:, layer, :, None, None]) / scene.scale[:, layer, :, None, None]
        material = (u + _bend(scene, layer, u)).reshape(batch, frames * height, width)
        if layer == 0:
            grid = torch.view_as_real(material / BACKGROUND_REACH)
            frame = F.grid_sample(scene.background, grid, padding_mode="reflection", align_corners=False)
            continue
        sprite = F.grid_sample(
            scene.sprites[:, layer - 1], torch.view_as_real(material), padding_mode="zeros", align_corners=False
        )
        alpha = sprite[:, 3:] * scene.present[:, layer, None, None, None]
        # grid_sample mixed the colours with zero outside the texture; dividing by coverage is not needed because
        # alpha is zero well before the border of every sprite.
        frame = frame * (1 - alpha) + sprite[:, :3] * alpha
    return frame.clamp(0, 1).reshape(batch, 3, frames, height, width).transpose(1, 2)


def trace(
    scene: Scene, points: torch.Tensor, size: tuple[int, int], frame: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Exact tracks of what is seen at some points of one frame, usually the first.

    Args:
        points: float32 [B, N, 2], (x, y) in pixels of ``size`` at ``frame`` (continuous, pixel centres at +0.5).

    Returns:
        (points float32 [B, T, N, 2] in pixels, visible bool [B, T, N]): a point is visible while it is inside the
        frame and no layer in front of its own covers it by more than half.
    """
    height, width = size
    half = min(size) / 2
    origin = torch.tensor([width / 2, height / 2], device=points.device)
    start = torch.view_as_complex(((points.float() - origin) / half).contiguous())
    layers = scene.scale.shape[1]

    owner = torch.zeros(start.shape, dtype=torch.long, device=points.device)
    for layer in range(1, layers):
        covered = _coverage(scene, layer, start[:, None], slice(frame, frame + 1))[:, 0] > 0.5
        owner[covered] = layer

    def of_owner(values: torch.Tensor) -> torch.Tensor:
        """[B, L, ...] -> [B, N, ...], each point's own layer."""
        index = owner.reshape(*owner.shape, *[1] * (values.ndim - 2)).expand(*owner.shape, *values.shape[2:])
        return torch.gather(values, 1, index)

    scale, shift = of_owner(scene.scale).transpose(1, 2), of_owner(scene.shift).transpose(1, 2)  # [B, T, N]
    wave, phase, gain = (of_owner(v) for v in (scene.bend_wave, scene.bend_phase, scene.bend_gain))
    phase, gain = phase.permute(0, 3, 1, 2), gain.permute(0, 3, 1, 2)  # [B, T, N, WAVES]

    def bend(u: torch.Tensor, frames: slice) -> torch.Tensor:
        angle = torch.einsum("btnd,bnwd->btnw", torch.view_as_real(u), wave) + phase[:, frames]
        return (gain[:, frames] * torch.sin(angle)).sum(-1)

    now = slice(frame, frame + 1)
    u = (start[:, None] - shift[:, now]) / scale[:, now]
    material = (u + bend(u, now)).expand_as(scale)
    u = material
    for _ in range(12):  # a contraction: the bend's slope is kept below one half
        u = material - bend(u, slice(None))
    x = scale * u + shift

    pixels = torch.view_as_real(x) * half + origin
    limit = torch.tensor([width, height], device=points.device)
    visible = ((pixels >= 0) & (pixels < limit)).all(-1)
    for layer in range(1, layers):
        hides = (_coverage(scene, layer, x, slice(None)) > 0.5) & (owner[:, None] < layer)
        visible &= ~hides
    return pixels, visible


def dense_flow(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """float32 [B, T - 1, 2, H, W]: how far (x, y), in pixels, what each pixel shows moves until the next frame."""
    height, width = size
    row, column = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    centres = torch.stack([column, row], dim=-1).reshape(1, -1, 2).expand(scene.scale.shape[0], -1, -1)
    steps = [trace(_at_frames(scene, [frame, frame + 1]), centres, size)[0] for frame in range(scene.num_frames - 1)]
    moved = torch.stack([points[:, 1] - points[:, 0] for points in steps], dim=1)
    return moved.transpose(2, 3).reshape(scene.scale.shape[0], scene.num_frames - 1, 2, height, width)


def visible_before(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """bool [B, T, H, W]: what a pixel shows could be seen in the first frame, i.e. is neither uncovered nor new."""
    batch, frames = scene.scale.shape[0], scene.num_frames
    centres = torch.stack(torch.meshgrid(torch.arange(size[1]) + 0.5, torch.arange(size[0]) + 0.5, indexing="xy"), -1)
    centres = centres.reshape(1, -1, 2).expand(batch, -1, -1)
    masks = [trace(_at_frames(scene, [frame, 0]), centres, size)[1][:, 1] for frame in range(frames)]
    return torch.stack(masks, 1).reshape(batch, frames, *size)


def _at_frames(scene: Scene, frames: list[int]) -> Scene:
    """The scene at some of its frames, in that order."""
    timed = ("scale", "shift", "bend_phase", "bend_gain")
    return replace(scene, **{name: getattr(scene, name)[..., frames] for name in timed})


def with_photographs(scene: Scene, photographs: Sequence[NDArray[np.uint8]], seed: int) -> Scene:
    """The same motion with photographs for textures: one behind, patches of the others on the things in front.

    Args:
        photographs: uint8 [H, W, 3], at least one; clip i shows number i modulo their count in the background.
        seed: of the patches' places.
    """
    background, sprites = [], scene.sprites.clone()
    for clip in range(scene.scale.shape[0]):
        rng = np.random.default_rng([seed, clip])
        side = scene.background.shape[-1]
        background.append(_square(photographs[clip % len(photographs)], side, rng, least=1.0))
        for layer in range(sprites.shape[1]):
            other = photographs[(clip + layer + 1) % len(photographs)]
            sprites[clip, layer, :3] = _square(other, sprites.shape[-1], rng, least=0.3)
    return replace(scene, background=torch.stack(background), sprites=sprites)


def _square(image: NDArray[np.uint8], side: int, rng: np.random.Generator, least: float) -> torch.Tensor:
    """A random square of a photograph, at least ``least`` of its short side, as float32 [3, side, side]."""
    short = min(image.shape[:2])
    crop = max(8, int(short * rng.uniform(least, 1.0)))
    top, left = (int(rng.integers(0, extent - crop + 1)) for extent in image.shape[:2])
    part = torch.from_numpy(image[top : top + crop, left : left + crop].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0]


def _coverage(scene: Scene, layer: int, x: torch.Tensor, frames: slice) -> torch.Tensor:
    """Alpha [B, T', N] of one layer at positions x (complex [B, T', N]) during the T' chosen frames."""
    u = (x - scene.shift[:, layer, frames, None]) / scene.scale[:, layer, frames, None]
    material = u + _bend(scene, layer, u, frames)
    alpha = F.grid_sample(
        scene.sprites[:, layer - 1, 3:], torch.view_as_real(material), padding_mode="zeros", align_corners=False
    )
    return alpha[:, 0] * scene.present[:, layer, None, None]


def _bend(scene: Scene, layer: int, u: torch.Tensor, frames: slice = slice(None)) -> torch.Tensor:
    """The bending field at u (complex [B, T', ...]) during the T' chosen frames."""
    out = torch.zeros_like(u)
    extra = [1] * (u.ndim - 2)
    real = torch.view_as_real(u)
    for wave in range(WAVES):
        frequency = scene.bend_wave[:, layer, wave].reshape(-1, 1, *extra, 2)
        phase = scene.bend_phase[:, layer, wave, frames].reshape(*u.shape[:2], *extra)
        gain = scene.bend_gain[:, layer, wave, frames].reshape(*u.shape[:2], *extra)
        if not gain.abs().max() > 0:
            continue
        out = out + gain * torch.sin((real * frequency).sum(-1) + phase)
    return out


def _pixel_centres(size: tuple[int, int], device: torch.device) -> torch.Tensor:
    height, width = size
    half = min(size) / 2
    y = (torch.arange(height, device=device) + 0.5 - height / 2) / half
    x = (torch.arange(width, device=device) + 0.5 - width / 2) / half
    return torch.complex(x.expand(height, width), y[:, None].expand(height, width))


# ------------------------------------------------------------------------------------------ what a clip is made of
def _sample_clip(rng: np.random.Generator, frames: int, resolution: int, motion: float) -> dict[str, torch.Tensor]:
    count = 1 + int(rng.choice(MAX_LAYERS, p=[0.1, 0.3, 0.3, 0.2, 0.1]))
    camera_scale, camera_shift = _camera(rng, frames, motion)
    values: dict[str, Any] = {
        "scale": np.ones((MAX_LAYERS, frames), np.complex64),
        "shift": np.zeros((MAX_LAYERS, frames), np.complex64),
        "bend_wave": np.zeros((MAX_LAYERS, WAVES, 2), np.float32),
        "bend_phase": np.zeros((MAX_LAYERS, WAVES, frames), np.float32),
        "bend_gain": np.zeros((MAX_LAYERS, WAVES, frames), np.complex64),
        "present": np.arange(MAX_LAYERS) < count,
    }
    sprite_side = max(32, resolution * 3 // 4)
    sprites = np.zeros((MAX_LAYERS - 1, 4, sprite_side, sprite_side), np.float32)
    for layer in range(count):
        scale, shift = np.ones(frames, complex), np.zeros(frames, complex)
        if layer:
            scale, shift = _object_motion(rng, frames, motion)
            sprites[layer - 1, :3] = texture(rng, sprite_side)
            shade = np.linspace(rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.3), sprite_side, dtype=np.float32)
            sprites[layer - 1, :3] = np.clip(sprites[layer - 1, :3] * shade[:, None], 0, 1)
            sprites[layer - 1, 3] = outline(rng, sprite_side, softness=1.5 / sprite_side)
        # Layers in front answer a camera pan a little more, as near things do.
        parallax = 1.0 + 0.15 * layer * rng.uniform(0, 1)
        values["scale"][layer] = camera_scale * scale
        values["shift"][layer] = camera_scale * shift + camera_shift * parallax
        if rng.random() < (0.5 if layer else 0.3) and motion:
            values["bend_wave"][layer] = rng.normal(0, 2.5, (WAVES, 2))
            norm = np.linalg.norm(values["bend_wave"][layer], axis=-1)
            gain = rng.uniform(0, 0.45) * motion / WAVES / np.maximum(norm, 1.5)
            turn = np.exp(2j * np.pi * rng.random(WAVES))
            values["bend_gain"][layer] = (gain * turn)[:, None] * _timing(rng, frames)
            drift = rng.uniform(-2, 2, WAVES)[:, None] * np.linspace(0, 1, frames)
            values["bend_phase"][layer] = rng.uniform(0, 2 * np.pi, WAVES)[:, None] + drift
    values["sprites"] = sprites
    values["background"] = texture(rng, 2 * resolution)
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values.items()}


def _timing(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """A curve [T] from 0, of size about one: steady, eased, speeding up, slowing down, or there and back."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)
    kind = rng.choice(5, p=[0.4, 0.2, 0.1, 0.1, 0.2])
    if kind == 4:
        return np.sin(np.pi * t * rng.uniform(1.0, 2.5))
    return [t, t * t * (3 - 2 * t), t * t, 1 - (1 - t) ** 2][kind]


def _camera(rng: np.random.Generator, frames: int, motion: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Zoom and roll (complex scale [T]) and pan (complex shift [T]), each present in about half of the clips."""
    log_zoom = motion * (rng.random() < 0.4) * rng.uniform(-0.4, 0.5) * _timing(rng, frames)
    roll = motion * (rng.random() < 0.3) * rng.normal(0, 0.25) * _timing(rng, frames)
    pan = motion * (rng.random() < 0.5) * rng.uniform(0, 0.6) * np.exp(2j * np.pi * rng.random())
    return np.exp(log_zoom + 1j * roll), pan * _timing(rng, frames)


def _object_motion(rng: np.random.Generator, frames: int, motion: float) -> tuple[NDArray[Any], NDArray[Any]]:
    size = np.exp(rng.uniform(np.log(0.18), np.log(0.75)))
    moving = motion * (rng.random() < 0.85)
    travel = moving * rng.uniform(0.05, 1.1) * np.exp(2j * np.pi * rng.random())
    sway = moving * (rng.random() < 0.4) * rng.uniform(-0.35, 0.35) * 1j * travel
    turn = moving * (rng.random() < 0.5) * rng.normal(0, 0.7)
    grow = moving * (rng.random() < 0.4) * rng.uniform(-0.45, 0.45)
    start = rng.uniform(-0.8, 0.8) + 1j * rng.uniform(-0.8, 0.8)
    heading = np.exp(2j * np.pi * rng.random())
    path = start - travel / 2 * rng.uniform(0, 1) + travel * _timing(rng, frames)
    path = path + sway * np.sin(np.pi * np.linspace(0, 1, frames))
    scale = size * heading * np.exp(grow * _timing(rng, frames) + 1j * turn * _timing(rng, frames))
    return scale, path


def texture(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A random texture float32 [3, side, side] in [0, 1]: 1/f noise, patches with hard edges, stripes, ramps."""
    slope = rng.uniform(1.0, 2.0)
    noise = _spectral_noise(rng, side, channels=4, slope=slope)
    # Natural colour: brightness varies most, hue less; and fine grain (a flat spectrum) is faint.
    mixing = rng.normal(0, 0.2, (3, 3)) + np.array([1.0, 0.0, 0.0])
    colour = np.einsum("ij,jhw->ihw", mixing, noise[:3]) * rng.uniform(0.04, 0.2) * min(1.0, slope - 0.6)
    image = (rng.uniform(0.15, 0.85) + rng.normal(0, 0.13, 3))[:, None, None] + colour
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    if rng.random() < 0.6:  # patches: level sets of smooth noise take flat colours
        smooth = _spectral_noise(rng, side, channels=1, slope=rng.uniform(1.7, 2.6))[0]
        levels = np.digitize(smooth, np.sort(rng.normal(0, 0.9, rng.integers(1, 6))))
        palette = rng.uniform(0, 1, (7, 1)) + rng.normal(0, 0.2, (7, 3))
        share = rng.uniform(0.3, 0.95)
        image = image * (1 - share) + (palette[levels].transpose(2, 0, 1) + 0.6 * colour) * share
    if rng.random() < 0.3:  # stripes, straight or wavy, soft or hard
        angle, cycles = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(2), np.log(side / 12)))
        wave = np.sin(np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 2) * noise[3])
        wave = np.tanh(wave * rng.choice([1.0, 4.0]))
        image = image + wave * rng.normal(0, 0.15, 3)[:, None, None]
    if rng.random() < 0.4:  # a ramp of light
        angle = rng.uniform(0, 2 * np.pi)
        image = image + (x * np.cos(angle) + y * np.sin(angle)) * rng.normal(0, 0.18, 3)[:, None, None]
    for _ in range(rng.integers(0, 9)):  # small marks with edges
        cx, cy, r = rng.uniform(-1, 1), rng.uniform(-1, 1), np.exp(rng.uniform(np.log(0.03), np.log(0.25)))
        ax, power = np.exp(rng.normal(0, 0.5)), rng.choice([2, 8])
        inside = (np.abs((x - cx) * ax) ** power + np.abs((y - cy) / ax) ** power) < r**power
        image = np.where(inside, rng.uniform(0, 1, 3)[:, None, None] + colour * 0.5, image)
    return np.clip(image, 0, 1).astype(np.float32)


def _spectral_noise(rng: np.random.Generator, side: int, channels: int, slope: float) -> NDArray[np.float32]:
    """Unit-variance noise [channels, side, side] whose amplitude falls as 1 / frequency^slope."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1.0
    amplitude = (frequency**-slope).astype(np.float32)
    amplitude[0, 0] = 0.0
    white = rng.standard_normal((channels, side, side), dtype=np.float32)
    field = torch.fft.irfft2(torch.fft.rfft2(torch.from_numpy(white)) * torch.from_numpy(amplitude), s=(side, side))
    return (field / field.std(dim=(1, 2), keepdim=True).clamp_min(1e-6)).numpy()


def outline(rng: np.random.Generator, side: int, softness: float) -> NDArray[np.float32]:
    """A random silhouette: alpha float32 [side, side], inside the circle of radius 0.95; blobs, boxes, bars, stars."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    aspect = np.exp(rng.uniform(0, 1.3) * rng.choice([0, 1]))
    y = y * aspect
    angle = np.arctan2(y, x)
    if rng.random() < 0.35:
        power = rng.choice([2.0, 4.0, 12.0])
        distance = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)
        radius: Any = 0.66
    else:
        distance = np.hypot(x, y)
        radius = 0.62 + sum(
            rng.normal(0, 0.16 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi)) for wave in range(2, 7)
        )
        radius = np.minimum(radius, 0.93)
    return (1 / (1 + np.exp(np.clip((distance - radius) / softness, -40, 40)))).astype(np.float32)
