"""Which sizes and lengths a model makes, known before its weights are loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError
from motionloom.methods.sizes import size_for_area

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard


@dataclass(frozen=True)
class ClipShape:
    """Sizes and lengths of a model's clips, and the latent video behind them.

    Attributes:
        name: the model's, for messages.
        strides: pixels per latent step in time and space.
        step: pixels that height and width must be a multiple of.
        native_size: (height, width) it was trained at; None: that of the photograph.
        floors: sizes for an area are those of the published Wan programs, which round the latent's sides down.
        positions: places in time and along each side that the transformer tells apart, in tokens of ``patch`` latent
            steps (time, space); None: no such limit.
        largest: (height, width) it can make at most; one_size: it makes no other than ``native_size``; keeps_size: it
            can make others, but was trained on that one alone, whatever the photograph's shape.
        most_frames: it can make at most.
    """

    name: str
    strides: tuple[int, int]
    step: int
    native_size: tuple[int, int] | None
    floors: bool = False
    positions: int | None = None
    patch: tuple[int, int] = (1, 2)
    largest: tuple[int, int] | None = None
    one_size: bool = False
    keeps_size: bool = False
    most_frames: int | None = None

    def default_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the clip for a photograph of (height, width)."""
        height, width = self.native_size or image_size
        fixed = self.one_size or self.keeps_size
        return (height, width) if fixed else self.size_at(image_size, height * width)

    def size_at(self, image_size: tuple[int, int], area: int) -> tuple[int, int]:
        """(height, width) of about ``area`` pixels in the shape of a photograph of (height, width)."""
        if self.floors:
            return size_for_area(image_size, area, self.step)
        # Extreme shapes would leave one side below a token; they are cut off at 4:1.
        aspect = min(max(math.sqrt(image_size[0] / image_size[1]), 0.5), 2.0)
        return self.nearest(math.sqrt(area) * aspect), self.nearest(math.sqrt(area) / aspect)

    def nearest(self, side: float) -> int:
        """The multiple of ``step`` next to a side."""
        return max(1, round(side / self.step)) * self.step

    def legal_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself, or `InputError` if the model cannot make it."""
        height, width = size
        if self.one_size and size != self.native_size and self.native_size is not None:
            raise InputError(
                f"size: found {width}x{height}, expected {self.native_size[1]}x{self.native_size[0]}: {self.name} was "
                "made for this one size; leave it out (the photograph is stretched to it, and the motion with it)"
            )
        if height % self.step or width % self.step:
            raise InputError(
                f"size: found {width}x{height}, expected multiples of {self.step}; "
                f"the nearest is {self.nearest(width)}x{self.nearest(height)}"
            )
        if self.largest is not None and (height > self.largest[0] or width > self.largest[1]):
            raise InputError(
                f"size: found {width}x{height}, expected at most {self.largest[1]}x{self.largest[0]} for {self.name}"
            )
        most = None if self.positions is None else self.positions * self.strides[1] * self.patch[1]
        if most is not None and max(size) > most:
            raise InputError(
                f"size: found {width}x{height}, expected sides up to {most}: {self.name} has {self.positions} places "
                "along each; a smaller --size or --resolution makes the clip, other programs enlarge it"
            )
        return height, width

    def legal_frames(self, num_frames: int) -> int:
        """The number itself, or `InputError` if the model cannot make it."""
        if self.most_frames is not None and num_frames > self.most_frames:
            raise InputError(f"num_frames: found {num_frames}, expected at most {self.most_frames} for {self.name}")
        most = None if self.positions is None else (self.positions * self.patch[0] - 1) * self.strides[0] + 1
        if most is not None and num_frames > most:
            raise InputError(
                f"num_frames: found {num_frames}, expected up to {most}: {self.name} has {self.positions} places in "
                "time; make the clip in parts, each from the last frame of the one before"
            )
        return num_frames

    def whole_latents(self, num_frames: int) -> int:
        """The next number of frames that the VAE's latent frames hold exactly."""
        return math.ceil((num_frames - 1) / self.strides[0]) * self.strides[0] + 1


def wan_shape(
    name: str,
    card: ModelCard,
    *,
    strides: tuple[int, int],
    patch: tuple[int, int, int],
    positions: int | None,
    published: bool,
) -> ClipShape:
    """The shape of a Wan pipeline; ``published``: sizes are chosen as by the published programs."""
    return ClipShape(
        name=name,
        strides=strides,
        # The stock pipeline insists on 16.
        step=math.lcm(strides[1] * patch[1], 16),
        native_size=card.native_size,
        floors=published,
        positions=positions or 1024,
        patch=(patch[0], patch[1]),
    )


def shape_of_card(card: ModelCard, name: str | None = None) -> ClipShape | None:
    """The shape of a model's clips as its pipeline will have it when it is loaded; None: any size and length.

    Read from the configurations of its architecture in the package, or of its own folder.

    Raises:
        InputError: nothing says what the model is made of.
    """
    if card.methods == ("warp",):
        return None
    parts = _configurations(card)
    transformer, vae = parts.get("transformer"), parts.get("vae")
    if not transformer or not vae:
        raise InputError(f"model: {card.name} does not say what it is made of; load it to know the sizes it makes")
    if transformer["_class_name"] in ("CogVideoXTransformer3DModel", "ToraTransformer3DModel"):
        strides = (int(transformer.get("temporal_compression_ratio") or 4), 8)
        return cogvideox_shape(name or card.name, card, transformer, strides=strides)
    strides = (int(vae.get("scale_factor_temporal") or 4), int(vae.get("scale_factor_spatial") or 8))
    return wan_shape(
        name or card.name,
        card,
        strides=strides,
        patch=tuple(transformer["patch_size"]),
        positions=transformer.get("rope_max_seq_len"),
        published=card.sampling is not None,
    )


def cogvideox_shape(name: str, card: ModelCard, config: Mapping[str, Any], *, strides: tuple[int, int]) -> ClipShape:
    """The shape of a CogVideoX pipeline.

    1.0 text-to-video makes any size and length, though it was trained on one. 1.0 image-to-video learnt a position for
    every token of that size and length and can make no other; with Tora longer clips too, in windows. 1.5 makes any
    size up to the one its configuration names.

    Args:
        config: of the transformer.
    """
    rows, columns = config["sample_height"], config["sample_width"]
    sample = (rows * strides[1], columns * strides[1])
    learned = bool(config.get("use_learned_positional_embeddings"))
    newer = config.get("patch_size_t") is not None
    return ClipShape(
        name=name,
        strides=strides,
        step=strides[1] * config["patch_size"],
        native_size=(card.native_size or _COGVIDEOX_1_5) if newer else sample,
        largest=sample if newer or learned else None,
        one_size=learned,
        keeps_size=not newer,
        most_frames=config["sample_frames"] if learned and "tora" not in card.methods else None,
    )


_COGVIDEOX_1_5 = (768, 1360)
"""Its configuration names only the largest sides it can tell apart."""


def _configurations(card: ModelCard) -> dict[str, dict[str, Any]]:
    from motionloom.models.checkpoints.configs import published_config

    folder: Path | None = card.folder
    if folder is not None and (folder / "transformer" / "config.json").is_file():
        from motionloom.models.checkpoints.folders import read_json

        return {
            part: read_json(folder / part / "config.json")
            for part in ("transformer", "vae")
            if (folder / part / "config.json").is_file()
        }
    if card.architecture is None:
        return {}
    return {part: published_config(card.architecture, part) for part in ("transformer", "vae")}
