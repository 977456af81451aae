"""What a natural clip is made of: a background, hills behind things, things, and grass or a fence in front."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.prepare.procedural.natural import outlines
from motionloom.prepare.procedural.natural.motion import Camera, curve, draw_camera, draw_way, rotation, swing
from motionloom.prepare.procedural.natural.outlines import LIMB, draw_outline
from motionloom.prepare.procedural.natural.scene import MAX_LAYERS
from motionloom.prepare.procedural.natural.textures import draw_texture
from motionloom.prepare.procedural.scene import WAVES

Layer = dict[str, Any]


def draw_clip(rng: np.random.Generator, frames: int, motion: float) -> dict[str, NDArray[Any]]:
    """The numbers of one clip: the fields of a `NaturalScene` but for the pictures, and for each layer the numbers of
    its texture ("texture_...") and outline."""
    still = rng.random() < 0.06
    return _Clip(rng, frames, 0.0 if still else motion).numbers()


class _Clip:
    """One clip in the making. Layers are listed back to front."""

    def __init__(self, rng: np.random.Generator, frames: int, motion: float) -> None:
        self.rng, self.frames, self.motion = rng, frames, motion
        self.camera: Camera = draw_camera(rng, frames, motion)
        light = np.array([*rng.normal(0, 0.5, 2), -1.0])
        light[1] = -abs(light[1])  # from above
        self.light = light / np.linalg.norm(light)
        self.sunny = rng.random() < 0.6
        self.layers: list[Layer] = []
        self._background()
        hills = int(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15]))
        # Some hills are in front of the first things, which then rise, set, or pass behind them.
        near = hills > 0 and rng.random() < 0.3
        for _ in range(hills - near):
            self._hills()
        kinds = (self._cutout, self._ball, self._figure, self._rod, self._card, self._tree)
        for number in range(int(rng.choice([0, 1, 2, 3, 4, 5], p=[0.05, 0.25, 0.3, 0.2, 0.12, 0.08]))):
            kinds[int(rng.choice(len(kinds), p=[0.38, 0.14, 0.15, 0.11, 0.12, 0.1]))]()
            if near and number == 0:
                self._hills()
        if rng.random() < 0.22:
            (self._grass, self._fence)[int(rng.integers(2))]()
        self.layers = self.layers[:MAX_LAYERS]

    def numbers(self) -> dict[str, NDArray[Any]]:
        blank = self._layer(0.0, 1.0, np.ones(self.frames), np.zeros(self.frames))
        rows = self.layers + [blank] * (MAX_LAYERS - len(self.layers))
        out = {
            name: np.stack([row[name] for row in rows]).astype(blank[name].dtype)
            for name in blank
            if name not in ("texture", "size")
        }
        out["size"] = np.array([row["size"] for row in rows], np.float32)
        for name in blank["texture"]:
            out[f"texture_{name}"] = np.stack([row["texture"][name] for row in rows])
        out["present"] = np.arange(MAX_LAYERS) < len(self.layers)
        out["light"] = self.light.astype(np.float32)
        return out

    def _layer(self, depth: float, size: float, scale: Any, place: Any, **more: Any) -> Layer:
        """A layer at a depth, of a size, by its similarity [T] as seen by a camera that stands still."""
        rng, frames = self.rng, self.frames
        zoom, pan = self.camera.on(depth)
        return {
            "scale": (zoom * scale).astype(np.complex64),
            "shift": (zoom * place + pan).astype(np.complex64),
            "bend_wave": np.zeros((WAVES, 2), np.float32),
            "bend_phase": np.zeros((WAVES, frames), np.float32),
            "bend_gain": np.zeros((WAVES, frames), np.complex64),
            "turn": np.broadcast_to(np.eye(3, dtype=np.float32)[..., None], (3, 3, frames)),
            "perspective": np.float32(0),
            "ball": np.bool_(False),
            "mirrored": np.zeros(2, np.bool_),
            "shade": np.array([rng.uniform(0.2, 0.8), rng.uniform(0, 0.3), 0], np.float32),
            "shadow": np.array([0.3, 0.1, 0], np.float32),
            "outline": np.zeros(1 + outlines.NUMBERS, np.float32),
            "size": size,
            "texture": None,
            **more,
        } | ({} if more.get("texture") else {"texture": draw_texture(rng)})

    def _bend(self, frequency: float = 2.5, size: float = 0.45) -> Layer:
        """A bending field whose slope stays below ``size``, so that it can be undone."""
        rng = self.rng
        wave = rng.normal(0, frequency, (WAVES, 2))
        gain = rng.uniform(0, size) * self.motion / WAVES / np.maximum(np.linalg.norm(wave, axis=-1), 1.5)
        turned = np.exp(2j * np.pi * rng.random(WAVES))
        drift = self.motion * rng.uniform(-3, 3, WAVES)[:, None] * np.linspace(0, 1, self.frames)
        return {
            "bend_wave": wave.astype(np.float32),
            "bend_phase": (rng.uniform(0, 2 * np.pi, WAVES)[:, None] + drift).astype(np.float32),
            "bend_gain": ((gain * turned)[:, None] * curve(rng, self.frames)).astype(np.complex64),
        }

    def _shadow(self, least: float = 0.05) -> NDArray[np.float32]:
        """Things near what lies behind them cast sharp, close shadows; without sun there are none."""
        rng, far = self.rng, self.rng.uniform(0.1, 0.7)
        dark = rng.uniform(0.2, 0.6) * self.sunny
        return np.array([far, least + 0.15 * far, dark], np.float32)

    def _depth(self) -> float:
        """Later layers are nearer."""
        return 0.15 * len(self.layers) + self.rng.uniform(0, 0.3)

    def _background(self) -> None:
        ones = np.ones(self.frames)
        more: Layer = self._bend(2.0, 0.3) if self.rng.random() < 0.12 else {}
        if self.rng.random() < 0.12:
            more |= self._turning(0.35, perspective=0.25)
        more["shade"] = np.zeros(3, np.float32)
        self.layers.append(self._layer(0.0, 2.0, ones, 0 * ones, **more))

    def _turning(self, most: float, perspective: float | None = None) -> Layer:
        """A turn in depth about an axis in the plane, at most ``most`` radians aslant."""
        rng = self.rng
        lean = rng.uniform(0, 2 * np.pi)
        begin = rng.uniform(-0.6, 0.6) * (rng.random() < 0.6)
        angle = begin + self.motion * rng.uniform(-2.5, 2.5) * curve(rng, self.frames)
        turn = rotation(np.array([np.cos(lean), np.sin(lean), 0.0]), most * np.sin(angle))
        strength = rng.uniform(0, 0.4) if perspective is None else perspective
        return {"turn": turn.astype(np.float32), "perspective": np.float32(strength)}

    def _hills(self) -> None:
        """Something that fills the lower part of the picture and goes on beyond it."""
        ones, size = np.ones(self.frames), self.rng.uniform(1.2, 2.0)
        outline = draw_outline(self.rng, outlines.RIDGE)
        place = 1j * self.rng.uniform(0.0, 0.7) + self.rng.uniform(-0.5, 0.5)
        more: Layer = {"mirrored": np.array([True, True]), "outline": outline}
        more["shadow"] = self._shadow() * np.array([0.3, 1, 1], np.float32)
        self.layers.append(self._layer(self._depth(), size, size * ones, place * ones, **more))

    def _moved(self, least: float, most: float, upright: bool = False) -> tuple[float, float, Any, Any]:
        """Depth, size, and the similarity of a thing."""
        size = float(np.exp(self.rng.uniform(np.log(least), np.log(most))))
        way = draw_way(self.rng, self.frames, self.motion)
        heading = way.heading
        if upright:
            heading = heading - heading[0] + self.rng.normal(0, 0.12)
        return self._depth(), size, size * np.exp(way.growth + 1j * heading), way.place

    def _cutout(self) -> None:
        """A flat thing of any shape, stiff or soft."""
        kinds = [outlines.BLOB, outlines.BOX, outlines.STAR, outlines.RING]
        kind = int(self.rng.choice(kinds, p=[0.45, 0.25, 0.2, 0.1]))
        more: Layer = {"outline": draw_outline(self.rng, kind), "shadow": self._shadow()}
        if self.rng.random() < 0.4:
            more |= self._bend()
        self.layers.append(self._layer(*self._moved(0.18, 0.8), **more))

    def _card(self) -> None:
        """A plate that turns in depth, as doors and signs do."""
        kind = int(self.rng.choice([outlines.BOX, outlines.BLOB, outlines.DISC]))
        more = {"outline": draw_outline(self.rng, kind), "shadow": self._shadow(), **self._turning(1.2)}
        self.layers.append(self._layer(*self._moved(0.3, 0.85), **more))

    def _ball(self) -> None:
        """A sphere that spins or rolls, so that its far side comes into view."""
        rng = self.rng
        depth, size, _, place = self._moved(0.16, 0.6)
        first = rotation(np.array([1.0, 0, 0]), np.array([rng.uniform(0, 6)]))
        second = rotation(np.array([0, 1.0, 0]), np.array([rng.uniform(0, 6)]))
        posed = np.einsum("ij,jk->ik", first[..., 0], second[..., 0])
        going = place - place[0]
        if rng.random() < 0.6 and np.abs(going).max() > 0.05:
            # Rolling: about the axis across its way, as far as it goes.
            along = going[np.abs(going).argmax()]
            along = along / abs(along)
            axis, angle = np.array([-along.imag, along.real, 0.0]), (going * along.conjugate()).real / size
        else:
            axis = rng.normal(0, 1, 3)
            axis, angle = axis / np.linalg.norm(axis), self.motion * rng.normal(0, 1.6) * curve(rng, self.frames)
        turn = np.einsum("ijt,jk->ikt", rotation(axis, angle), posed)
        more: Layer = {"ball": np.bool_(True), "turn": turn.astype(np.float32), "shadow": self._shadow()}
        more["shade"] = np.array([rng.uniform(0.3, 0.8), 0, rng.uniform(0, 0.7) * rng.integers(0, 2)], np.float32)
        self.layers.append(self._layer(depth, size, size * np.ones(self.frames), place, **more))

    def _tree(self) -> None:
        more: Layer = {"outline": draw_outline(self.rng, outlines.TREE), "shadow": self._shadow()}
        if self.rng.random() < 0.7:
            more |= self._bend(1.2, 0.35)
        self.layers.append(self._layer(*self._moved(0.3, 0.8, upright=True), **more))

    def _rod(self) -> None:
        """A thin thing: a stick, or a rope that waves."""
        outline = draw_outline(self.rng, outlines.LIMB_KIND)
        outline[1:3] *= self.rng.uniform(0.2, 0.45)
        more: Layer = {"outline": outline, "shadow": self._shadow()}
        if self.rng.random() < 0.5:
            more |= self._bend(3.0, 0.5)
        self.layers.append(self._layer(*self._moved(0.5, 1.2), **more))

    def _grass(self) -> None:
        ones, size = np.ones(self.frames), self.rng.uniform(0.4, 0.9)
        place = self.rng.uniform(-0.4, 0.4) + 1j * (1.05 - 0.6 * size)
        more: Layer = {"outline": draw_outline(self.rng, outlines.GRASS), "mirrored": np.array([True, False])}
        if self.rng.random() < 0.8:
            more |= self._bend(1.5, 0.5)
        self.layers.append(self._layer(self._depth() + 0.3, size, size * ones, place * ones, **more))

    def _fence(self) -> None:
        ones, size = np.ones(self.frames), self.rng.uniform(0.6, 1.4)
        place = self.rng.uniform(-0.4, 0.4) + 1j * self.rng.uniform(-0.2, 0.8)
        tilt = np.exp(1j * self.rng.normal(0, 0.1))
        more: Layer = {"outline": draw_outline(self.rng, outlines.BARS), "mirrored": np.array([True, False])}
        more["shadow"] = self._shadow(0.03)
        self.layers.append(self._layer(self._depth() + 0.3, size, size * tilt * ones, place * ones, **more))

    def _figure(self) -> None:
        """Limbs on joints: a chain, or a body with swinging limbs on both ends."""
        rng, room = self.rng, MAX_LAYERS - len(self.layers) - 2
        depth, size, scale, place = self._moved(0.16, 0.32, upright=True)
        texture, shadow = draw_texture(rng), self._shadow()
        parts: list[tuple[Any, Any]] = []
        if rng.random() < 0.5:
            scale, joint = scale * np.exp(2j * np.pi * rng.random()), place
            for _ in range(min(room, int(rng.integers(2, 5)))):
                parts.append((scale, joint + LIMB * scale))
                joint = joint + 2 * LIMB * scale
                bent = rng.normal(0, 0.5) + self.motion * swing(rng, self.frames, rng.uniform(0.1, 0.8))
                scale = scale * rng.uniform(0.75, 1.0) * np.exp(1j * bent)
        else:
            body = scale * 1j  # upright: its limb axis points down
            ends = [place - LIMB * body, place + LIMB * body]
            for end in (ends[1], ends[1], ends[0], ends[0])[: max(0, room - 1)]:
                bent = rng.normal(0, 0.6) + self.motion * swing(rng, self.frames, rng.uniform(0.2, 0.9))
                limb = body * rng.uniform(0.7, 0.95) * np.exp(1j * bent)
                parts.append((limb, end + LIMB * limb))
            parts.insert(int(rng.integers(0, len(parts) + 1)), (body * 1.0, place))
        for number, (part, middle) in enumerate(parts):
            outline = draw_outline(rng, outlines.LIMB_KIND)
            more: Layer = {"outline": outline, "shadow": shadow if number == 0 else shadow * 0.7}
            own = texture if rng.random() < 0.7 else draw_texture(rng)
            self.layers.append(self._layer(depth, size, part, middle, texture=own, **more))
