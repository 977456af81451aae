"""What is known about a model before it is loaded: where its files are, what one may do with it, how it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Part = Literal[
    "transformer",
    "transformer_2",
    "vae",
    "scheduler",
    "text_encoder",
    "tokenizer",
    "image_encoder",
    "image_processor",
    "lora",
    "lora_2",
    "lora_fast",
    "lora_fast_2",
    "fuser",
    "traj_extractor",
    "pipeline",
]
"""A component of a diffusers pipeline; a LoRA for its first (``lora``) or second expert (``lora_2``), and the few-step
LoRAs beside them; the two halves of Tora's add-on; or what describes the whole of a diffusers folder (``pipeline``)."""

Solver = Literal["unipc", "dpm++", "euler", "own"]


@dataclass(frozen=True)
class HubFile:
    """A file of a hub repository.

    Attributes:
        repo: "owner/name"; path: the file's path inside it. One with a ``*`` stands for all files that match: the
            shards of a checkpoint whose number is not established; ``**/`` in front: in whatever folder it lies.
        part: what it is for.
        size: bytes, of all files that match; 0 where not known.
        sha256: hex, where published; the hub's own checksum is compared in any case.
        about: ``size`` is computed from the architecture or rounded, not read from the repository.
    """

    repo: str
    path: str
    part: Part
    size: int = 0
    sha256: str | None = None
    about: bool = False

    @property
    def is_pattern(self) -> bool:
        """Whether ``path`` stands for all files that match it."""
        return "*" in self.path


@dataclass(frozen=True)
class Sampling:
    """How the published program runs the model.

    Attributes:
        num_inference_steps, guidance_scale: as in diffusers; ``guidance_scale_2`` for the second expert.
        solver: "unipc" and "dpm++" on the published programs' grid of noise levels, "euler", or "own": the scheduler of
            the model's own folder, which shift does not touch.
        shift: of the noise levels at ``area`` pixels; `shift_at` adapts it.
        known_shifts: (pixels, shift) of sizes the authors name themselves.
        negative_prompt: the published one.
        steps_are_fixed: a distilled model, made for exactly these steps.
    """

    num_inference_steps: int = 40
    guidance_scale: float = 5.0
    guidance_scale_2: float | None = None
    solver: Solver = "unipc"
    shift: float = 5.0
    area: int = 480 * 832
    known_shifts: tuple[tuple[int, float], ...] = ()
    negative_prompt: str = ""
    steps_are_fixed: bool = False

    def shift_at(self, size: tuple[int, int]) -> float:
        """The shift for a clip of (height, width): the authors' own within 15 % of a size they name, elsewhere growing
        with the square root of the number of pixels (Esser et al., "Scaling Rectified Flow Transformers", sec. 5.3.2).
        """
        pixels = size[0] * size[1]
        known = ((self.area, self.shift), *self.known_shifts)
        area, shift = min(known, key=lambda entry: abs(math.log(pixels / entry[0])))
        return shift if abs(math.log(pixels / area)) <= math.log(1.15) else shift * math.sqrt(pixels / area)


@dataclass(frozen=True)
class MotionLimits:
    """Where motion goes beyond what a model does well. They warn; nothing is refused because of them.

    Attributes:
        max_step: the farthest a point may go in one frame of the clip, as a share of the picture's width.
        max_tracks, min_tracks: how many tracks it follows well.
        source: who says so.
    """

    max_step: float | None = None
    max_tracks: int | None = None
    min_tracks: int | None = None
    source: str = ""


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model before it is loaded.

    Attributes:
        name: what `motionloom.load` and ``-m`` take; aliases: other names that are taken.
        methods: how tracks guide it; the first is used unless another is asked for.
        native_size: (height, width) it was trained at; only the area matters, the shape follows the photograph. None:
            any size.
        sizes: further areas it is known to work at, as (height, width).
        num_frames, fps: of its clips; None: those of the motion.
        default_steps: of the denoising; None: no denoising.
        distilled_steps: the few step counts nano's weights are told of; see `motionloom.models.nano.few_steps`.
        guidance: by method, what it is told for nano in place of the published numbers; see
            `motionloom.models.nano.guidance`.
        sampling: of the published program; None: the model has none.
        architecture: names the configurations in ``models/configs``.
        reads_text: whether a prompt means anything to it.
        takes_image: its clips start from a photograph; False: text to video.
        takes_last_image: trained with, or known to work with, a last frame.
        files: on the hub, all that is needed to run it.
        size_on_disk, memory: bytes; memory is the peak of a run at the native size, about.
        float8: the transformer is stored in float8, and stays so in memory except for the fastest preset.
        memory_by_preset: peak bytes of GPU memory at the native size, by the presets of `models.memory`, about.
        folder: where the files are, for a model that ships with the package or was given as a folder.
        installed: whether all of ``files`` are on this disk; see `models.store.state` for those that are in part.
        limits: the motion it does well, as far as its authors or users say.
        notes: what a user should know beside the numbers; what is not established says so here.
        homepage: of the method, without the scheme.
    """

    name: str
    title: str
    description: str
    licence: str
    commercial_use: bool | None
    methods: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    native_size: tuple[int, int] | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    num_frames: int | None = None
    fps: float | None = None
    default_steps: int | None = None
    distilled_steps: tuple[int, ...] = ()
    guidance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sampling: Sampling | None = None
    architecture: str | None = None
    reads_text: bool = False
    takes_image: bool = True
    takes_last_image: bool = False
    files: tuple[HubFile, ...] = ()
    size_on_disk: int = 0
    memory: int | None = None
    float8: bool = False
    memory_by_preset: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None
    installed: bool = True
    limits: MotionLimits = MotionLimits()
    notes: tuple[str, ...] = ()
    homepage: str | None = None

    @property
    def solvers(self) -> tuple[Solver, ...]:
        """Those one may choose from; none where nothing is solved, or by the model's own alone."""
        if self.default_steps is None or (self.sampling is not None and self.sampling.solver == "own"):
            return ()
        # nano predicts clean frames, which an Euler step of the flow has no use for.
        return ("unipc", "dpm++") if self.name == "nano" else ("unipc", "dpm++", "euler")
