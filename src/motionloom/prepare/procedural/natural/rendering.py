"""Frames of natural scenes: only the pixels near a layer are looked at for it, all clips and frames together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from motionloom.prepare.procedural.natural.geometry import (
    bending,
    carry,
    folded,
    homographies,
    inverses,
    on_sprite,
    onto_ball,
    unrotated,
)
from motionloom.prepare.procedural.natural.outlines import FAR
from motionloom.prepare.procedural.natural.scene import NaturalScene
from motionloom.prepare.procedural.scene import BACKGROUND_REACH, WAVES, at_frames, pixel_centres

PIXELS = 1 << 21  # looked at together, which bounds the memory to some hundred megabytes


def render_natural(scene: NaturalScene, size: tuple[int, int]) -> torch.Tensor:
    """Frames float32 [B, T, 3, H, W] in [0, 1] of the scenes at (height, width), a bounded part at a time."""
    height, width = size
    out = torch.empty(scene.num_clips, scene.num_frames, 3, height, width, device=scene.device)
    frames = max(1, min(scene.num_frames, PIXELS // (height * width)))
    clips = max(1, PIXELS // (height * width * frames))
    for first in range(0, scene.num_clips, clips):
        some = scene.of_clips(slice(first, first + clips))
        for start in range(0, scene.num_frames, frames):
            times = range(start, min(start + frames, scene.num_frames))
            out[first : first + clips, start : start + frames] = _render(at_frames(some, times), size)
    return out


def _render(scene: NaturalScene, size: tuple[int, int]) -> torch.Tensor:
    there = homographies(scene)
    back = inverses(there).float()
    frame = _ground(scene, back, size).reshape(-1, 3)
    painter = _Painter(scene, size, there.float(), back)
    for layer in range(1, int(scene.present.sum(1).max())):
        if bool((scene.shadow[:, layer, 2] > 0).any()):
            painter.shade_behind(frame, layer)
        painter.paint(frame, layer)
    picture = frame.reshape(scene.num_clips, scene.num_frames, *size, 3)
    return picture.clamp_(0, 1).movedim(-1, 2).contiguous()


def _ground(scene: NaturalScene, back: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The background alone, [B, T, H, W, 3]."""
    height, width = size
    centres = pixel_centres(size, scene.device)
    entries = back[:, 0].flatten(1, 2)[..., None, None].unbind(1)  # [B, T, 1, 1]
    x, y = carry(entries, centres.real, centres.imag)
    if bool((scene.bend_gain[:, 0].abs() > 0).any()):
        wave = scene.bend_wave[:, 0].movedim(0, -1)[..., None, None, None]
        phase, gain = (v[:, 0].movedim(1, 0)[..., None, None] for v in (scene.bend_phase, scene.bend_gain))
        bent_x, bent_y = bending(x, y, wave, phase, gain)
        x, y = x + bent_x, y + bent_y
    grid = torch.stack([x, y], -1).reshape(scene.num_clips, -1, width, 2) / BACKGROUND_REACH
    picture = F.grid_sample(scene.background, grid, padding_mode="reflection", align_corners=False)
    return picture.reshape(scene.num_clips, 3, scene.num_frames, height, width).permute(0, 2, 3, 4, 1).contiguous()


@dataclass
class _Pixels:
    """A list of P pixels: which of the frames [B * T * H * W] each is, its clip, its clip and frame, and its place."""

    number: torch.Tensor
    clip: torch.Tensor
    slot: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor

    def __getitem__(self, chosen: torch.Tensor) -> _Pixels:
        return _Pixels(*(getattr(self, name).index_select(0, chosen) for name in self.__dataclass_fields__))


class _Painter:
    """Paints the layers of one scene onto frames [B * T * H * W, 3]."""

    def __init__(self, scene: NaturalScene, size: tuple[int, int], there: torch.Tensor, back: torch.Tensor) -> None:
        self.scene, self.size, self.there, self.back = scene, size, there, back
        self.half = min(size) / 2
        side = scene.sprites.shape[-1]
        self.colours = scene.sprites[:, :, :3].permute(0, 1, 3, 4, 2).reshape(-1, 3)
        self.outlines = scene.sprites[:, :, 3].reshape(-1)
        self.side = side
        self.strength = scene.scale.abs()  # [B, L, T], half short sides per material unit

    def shade_behind(self, frame: torch.Tensor, layer: int) -> None:
        """Darken what lies behind a layer, where its soft shadow falls."""
        far, softness, dark = self.scene.shadow[:, layer].unbind(1)
        away = -self.scene.light[:, :2] * far[:, None]
        offset = away[:, None] * self.strength[:, layer, :, None]  # [B, T, 2]
        pixels = self._near(layer, offset, dark > 0)
        if not len(pixels.number):
            return
        moved = offset.reshape(-1, 2).index_select(0, pixels.slot)
        u, v = self._flat(layer, pixels, pixels.x - moved[:, 0], pixels.y - moved[:, 1])
        inside = self._inside(layer, pixels, u, v)
        soft = softness.index_select(0, pixels.clip)
        shadow = ((inside + soft) / (2 * soft)).clamp(0, 1)
        shadow = shadow * shadow * (3 - 2 * shadow) * dark.index_select(0, pixels.clip)
        covered = torch.nonzero(shadow > 0)[:, 0]
        number = pixels.number.index_select(0, covered)
        darker = frame.index_select(0, number) * (1 - shadow.index_select(0, covered))[:, None]
        frame.index_copy_(0, number, darker)

    def paint(self, frame: torch.Tensor, layer: int) -> None:
        """Lay a layer over the frames."""
        pixels = self._near(layer, None, self.scene.present[:, layer])
        if not len(pixels.number):
            return
        u, v = self._flat(layer, pixels, pixels.x, pixels.y)
        inside = self._inside(layer, pixels, u, v)
        # Of a plane seen aslant, edges are as sharp as its area says.
        sharp = self.half * self.strength[:, layer] * self.scene.turn[:, layer, 2, 2].abs().clamp_min(0.05).sqrt()
        sharp = torch.where(self.scene.ball[:, layer, None], self.half * self.strength[:, layer], sharp)
        alpha = (inside * sharp.reshape(-1).index_select(0, pixels.slot) + 0.5).clamp(0, 1)
        covered = torch.nonzero(alpha > 0)[:, 0]
        pixels, u, v = pixels[covered], u.index_select(0, covered), v.index_select(0, covered)
        alpha = alpha.index_select(0, covered)[:, None]
        light, gloss = self._light(layer, pixels, u, v)
        colour = self._colour(layer, pixels, u, v) * light[:, None] + gloss[:, None]
        under = frame.index_select(0, pixels.number)
        frame.index_copy_(0, pixels.number, torch.lerp(under, colour.clamp(0, 1), alpha))

    def _near(self, layer: int, offset: torch.Tensor | None, wanted: torch.Tensor) -> _Pixels:
        """The pixels in the boxes around a layer [B, T], shifted by an offset [B, T, 2]."""
        height, width = self.size
        scene = self.scene
        reach = 1 + scene.bend_gain[:, layer].abs().sum(1)  # [B, T]
        corners = torch.tensor([[-1.0, -1, 1, 1], [-1, 1, -1, 1]], device=scene.device)
        spread = reach[..., None, None] * corners  # [B, T, 2, 4]
        entries = self.there[:, layer].flatten(1, 2)[..., None].unbind(1)
        x, y = carry(entries, spread[:, :, 0], spread[:, :, 1])
        place = torch.stack([x, y], 2) if offset is None else torch.stack([x, y], 2) + offset[..., None]
        extent = place.new_tensor([width, height])
        least = ((place.amin(-1) * self.half + extent / 2).floor() - 1).clamp_min(0)
        most = torch.minimum((place.amax(-1) * self.half + extent / 2).ceil() + 1, extent)
        endless = scene.mirrored[:, layer].any(-1)[:, None, None]
        least, most = torch.where(endless, 0, least), torch.where(endless, extent, most)
        spans = (most - least).clamp_min(0).long() * wanted[:, None, None]
        wide, areas = spans[..., 0].reshape(-1), spans.prod(-1).reshape(-1)
        slot = torch.repeat_interleave(torch.arange(len(areas), device=areas.device), areas)
        begin = areas.cumsum(0) - areas
        within = torch.arange(len(slot), device=areas.device) - begin.index_select(0, slot)
        wide = wide.index_select(0, slot)
        row = torch.div(within, wide, rounding_mode="floor")
        column = within - row * wide
        corner = least.long().reshape(-1, 2).index_select(0, slot)
        row, column = row + corner[:, 1], column + corner[:, 0]
        return _Pixels(
            number=(slot * height + row) * width + column,
            clip=torch.div(slot, scene.num_frames, rounding_mode="floor"),
            slot=slot,
            x=(column + 0.5 - width / 2) / self.half,
            y=(row + 0.5 - height / 2) / self.half,
        )

    def _flat(self, layer: int, pixels: _Pixels, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Places of the picture on the plane of a layer, bent as its material is; on the disc of a ball."""
        entries = self.back[:, layer].flatten(1, 2).movedim(1, -1).reshape(-1, 9)
        u, v = carry(entries.index_select(0, pixels.slot).unbind(1), x, y)
        bent = (self.scene.bend_gain[:, layer].abs() > 0).any(1).reshape(-1)
        if bool(bent.any()):
            some = torch.nonzero(bent.index_select(0, pixels.slot))[:, 0]
            slot, clip = pixels.slot.index_select(0, some), pixels.clip.index_select(0, some)
            wave = self.scene.bend_wave[:, layer].reshape(-1, WAVES * 2).index_select(0, clip)
            phase = self.scene.bend_phase[:, layer].movedim(1, -1).reshape(-1, WAVES).index_select(0, slot)
            gain = self.scene.bend_gain[:, layer].movedim(1, -1).reshape(-1, WAVES).index_select(0, slot)
            near_u, near_v = u.index_select(0, some), v.index_select(0, some)
            bent_u, bent_v = bending(near_u, near_v, wave.T.unflatten(0, (WAVES, 2)), phase.T, gain.T)
            u, v = u.index_copy(0, some, near_u + bent_u), v.index_copy(0, some, near_v + bent_v)
        return u, v

    def _inside(self, layer: int, pixels: _Pixels, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Signed distance to the outline, positive inside."""
        goes_on = self.scene.mirrored[:, layer].index_select(0, pixels.clip)
        within = ((u.abs() < 1) | goes_on[:, 0]) & ((v.abs() < 1) | goes_on[:, 1])
        x, y = (torch.where(goes_on[:, axis], folded(value), value) for axis, value in enumerate((u, v)))
        corners, across, down = self._texels(layer, pixels, x, y)
        a, b, c, d = (self.outlines.index_select(0, corner) for corner in corners)
        inside = torch.lerp(torch.lerp(a, b, across), torch.lerp(c, d, across), down)
        inside = torch.where(within, inside, -FAR)
        if bool(self.scene.ball[:, layer].any()):
            ball = self.scene.ball[:, layer].index_select(0, pixels.clip)
            inside = torch.where(ball, 1 - (u * u + v * v).sqrt(), inside)
        return inside

    def _colour(self, layer: int, pixels: _Pixels, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if bool(self.scene.ball[:, layer].any()):
            ball = self.scene.ball[:, layer].index_select(0, pixels.clip)
            turn = self.scene.turn[:, layer].flatten(1, 2).movedim(1, -1).reshape(-1, 9)
            entries = turn.index_select(0, pixels.slot).unbind(1)
            ball_u, ball_v = on_sprite(unrotated(entries, onto_ball(u, v)))
            u, v = torch.where(ball, ball_u, u), torch.where(ball, ball_v, v)
        detail = self.scene.detail[:, layer].index_select(0, pixels.clip)
        corners, across, down = self._texels(layer, pixels, folded(u * detail), folded(v * detail))
        a, b, c, d = (self.colours.index_select(0, corner) for corner in corners)
        across, down = across[:, None], down[:, None]
        return torch.lerp(torch.lerp(a, b, across), torch.lerp(c, d, across), down)

    def _texels(
        self, layer: int, pixels: _Pixels, u: torch.Tensor, v: torch.Tensor
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """The four texels around places of [-1, 1], and how far between them: as grid_sample with borders repeated."""
        side = self.side
        x = ((u + 1) * (side / 2) - 0.5).clamp(0, side - 1)
        y = ((v + 1) * (side / 2) - 0.5).clamp(0, side - 1)
        left, top = x.floor().clamp_max(side - 2), y.floor().clamp_max(side - 2)
        sprites = self.scene.sprites.shape[1]
        first = (pixels.clip * sprites + (layer - 1)) * (side * side) + top.long() * side + left.long()
        return [first, first + 1, first + side, first + side + 1], x - left, y - top

    def _light(
        self, layer: int, pixels: _Pixels, u: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The factor on the colours, and the gloss added to them."""
        scene = self.scene
        diffuse, ramp, gloss = scene.shade[:, layer].unbind(1)
        to_light = scene.light
        # Planes: as bright as they face the light, compared with facing the viewer, and a ramp across the picture.
        normal = scene.turn[:, layer, :, 2]  # [B, 3, T], away from the viewer while z is above zero
        facing = -(normal * to_light[..., None]).sum(1) + to_light[:, 2:]
        slope = ramp[:, None] / self.strength[:, layer]  # [B, T]
        along_x, along_y = slope * to_light[:, :1], slope * to_light[:, 1:2]
        shift = scene.shift[:, layer]
        middle = along_x * shift.real + along_y * shift.imag
        numbers = torch.stack([1 + diffuse[:, None] * facing, along_x, along_y, middle], -1).reshape(-1, 4)
        level, along_x, along_y, middle = numbers.index_select(0, pixels.slot).unbind(1)
        light = level + (along_x * pixels.x + along_y * pixels.y - middle).clamp(-0.45, 0.45)
        shine = torch.zeros_like(light)
        if bool(scene.ball[:, layer].any()):
            ball = scene.ball[:, layer].index_select(0, pixels.clip)
            surface = onto_ball(u, v)
            direction = to_light.index_select(0, pixels.clip).T
            lit = (surface * direction).sum(0)
            halfway = F.normalize(to_light + to_light.new_tensor([0.0, 0.0, -1.0]), dim=1)
            gleam = (surface * halfway.index_select(0, pixels.clip).T).sum(0).clamp_min(0) ** 24
            ambient = 1 - diffuse.index_select(0, pixels.clip)
            light = torch.where(ball, ambient + 1.25 * (1 - ambient) * lit.clamp_min(0), light)
            shine = torch.where(ball, gloss.index_select(0, pixels.clip) * gleam, shine)
        return light.clamp_min(0.05), shine
