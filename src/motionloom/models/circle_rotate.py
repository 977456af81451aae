"""Circle-Rotate as a model: Wan2.2-I2V-A14B with a pair of orbit LoRAs, and the published program's interface to it."""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast
from weakref import proxy

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import CheckpointError, InputError
from motionloom.media import Clip
from motionloom.methods.circle_rotate.circle_rotate import PLAIN, PROMPT
from motionloom.methods.circle_rotate.pipeline import CircleRotatePipeline, check_two_experts
from motionloom.models.card import ModelCard, Part
from motionloom.models.catalog import find_model
from motionloom.models.lora.attach import load_loras, set_lora_strength
from motionloom.models.lora.spec import LoraSpec
from motionloom.models.model import ImageSource, Progress, Request
from motionloom.models.parameters import Settings
from motionloom.models.store import loras_of
from motionloom.models.wan import WanModel

_EXPERT_OF = {"lora": "high", "lora_2": "low", "lora_fast": "high", "lora_fast_2": "low"}


class CircleRotateModel(WanModel):
    """A Wan2.2 A14B pipeline with the orbit LoRAs attached, and the four-step LoRAs of the base where they are given.

    ``strength`` of `generate` is that of the orbit LoRAs (the authors recommend 0.8 to 1); 0 is the model without them.

    Args:
        pipeline: with two experts; the LoRAs stay attached to its transformers.
        loras: files by part: "lora" and "lora_2" are the orbit LoRAs for high and low noise, "lora_fast" and
            "lora_fast_2" the four-step LoRAs. Without the latter it runs as the base does: 40 steps, guidance 3.5.
        digest: of the base's weights; that of the model adds the LoRAs.
        distilled: the pipeline has other four-step LoRAs already.
        settings, loaded_with: see `WanModel`.

    Raises:
        InputError: a pipeline with one expert, or half a pair.
        CheckpointError: LoRAs that do not fit.
    """

    def __init__(
        self,
        pipeline: Any,
        card: ModelCard,
        *,
        name: str,
        digest: str,
        loras: Mapping[Part, Path],
        method: str = "circle_rotate",
        distilled: bool = False,
        settings: Settings = "published",
        loaded_with: Mapping[str, Any] | None = None,
    ) -> None:
        if method != "circle_rotate":
            raise InputError(f"method: {card.name} knows circle_rotate, found {method!r}")
        check_two_experts(pipeline)
        for pair in (("lora", "lora_2"), ("lora_fast", "lora_fast_2")):
            given = [part for part in pair if part in loras]
            if len(given) == 1 or (not given and pair[0] == "lora"):
                missing = ", ".join(part for part in pair if part not in given)
                raise InputError(f"loras: found no file for {missing}; every expert needs its own")
        self.card, self.name, self.method = card, name, method
        self.loaded_with = {"method": method, **(loaded_with or {})}
        order: tuple[Part, ...] = ("lora_fast", "lora_fast_2", "lora", "lora_2")
        specs = [LoraSpec(Path(loras[part]), 1.0, cast(Any, _EXPERT_OF[part])) for part in order if part in loras]
        self.adapters = load_loras(pipeline, specs)
        orbit = [facts["name"] for facts in self.adapters[-2:]]
        self.digest = hashlib.sha256(
            "".join([digest, *(facts["sha256"] for facts in self.adapters)]).encode()
        ).hexdigest()
        self.pipeline = CircleRotatePipeline.from_pipe(pipeline)
        self._own_scheduler = self.pipeline.scheduler
        # Of the pipeline that runs, since hooks that move its weights about would be put back on no other.
        self.pipeline.set_strength = partial(_set_strengths, proxy(self.pipeline), orbit)
        self.pipeline.set_progress_bar_config(disable=True)
        self.sampling = card.sampling if settings == "published" else None
        if self.sampling is not None and "lora_fast" not in loras and not distilled:
            self.sampling = replace(
                self.sampling,
                num_inference_steps=PLAIN.steps,
                shift=PLAIN.shift,
                known_shifts=tuple((area, PLAIN.shift) for area, _ in self.sampling.known_shifts),
                solver=PLAIN.solver,
                guidance_scale=PLAIN.guidance_scale,
                guidance_scale_2=PLAIN.guidance_scale_2,
                steps_are_fixed=False,
            )

    def refuse(self, request: Request) -> None:
        super().refuse(request)
        if request.tracks.num_tracks:
            warnings.warn(
                f"{self.name} takes no tracks: prompt, photographs and LoRAs say how the camera moves; the motion is "
                "ignored. To try both, load wan2.2-i2v-a14b with a method that takes tracks and these LoRAs",
                stacklevel=4,
            )
        if request.window != (0.0, 1.0):
            raise InputError(f"window: {self.name} has none, since its LoRAs are part of the weights; leave it out")

    def render_seeds(self, request: Request, seeds: Sequence[int]) -> list[NDArray[np.uint8]]:
        request.details["loras"] = [
            {key: facts[key] for key in ("file", "sha256", "rank", "modules", "experts", "strength")}
            | ({"strength": request.strength} if index >= len(self.adapters) - 2 else {})
            for index, facts in enumerate(self.adapters)
        ]
        return super().render_seeds(request, seeds)

    def _sampling(self, request: Request) -> dict[str, Any]:
        # A model distilled to a few steps knows exactly these noise levels; the shift does not follow the size.
        if self.sampling is not None and self.sampling.steps_are_fixed and request.shift is None:
            request = replace(request, shift=self.sampling.shift)
        return super()._sampling(request)

    def _pictures(self, request: Request) -> dict[str, Any]:
        return {"image": request.photograph, "last_image": request.last_image, "preprocessing": "cover"}

    def _motion(self, request: Request, drawn_frames: int) -> dict[str, Any]:
        return {"schedule": None}

    def _text(self, request: Request, negative_prompt: str, steps: int) -> dict[str, Any]:
        if self.reads_text and not request.prompt:
            request.details["prompt"] = PROMPT
            return super()._text(replace(request, prompt=PROMPT), negative_prompt, steps)
        return super()._text(request, negative_prompt, steps)

    def _known_options(self) -> Mapping[str, str]:
        return {}


def _set_strengths(pipeline: Any, names: Sequence[str], strength: float) -> None:
    for name in names:
        set_lora_strength(pipeline, name, strength)


class CircleRotateInference:
    """The published program's interface: a base model, the LoRA of each expert, then first and last frame to a clip.

        orbit = CircleRotateInference(base_model="wan2.2-i2v-a14b", lora_high="h.safetensors", lora_low="l.safetensors")
        orbit.generate("first.png", "last.png").save("orbit.mp4")

    Args:
        base_model: a name of the catalogue, a folder, or the hub id of a Wan2.2-I2V-A14B; or a loaded pipeline.
        lora_high, lora_low: the orbit LoRAs; those of the catalogue's "circle-rotate" on this disk when not given.
        device: see `motionloom.load`.
        lora_fast_high, lora_fast_low: the four-step LoRAs of the base, without which ``steps`` should be 40 and ``cfg``
            3.5; those of the catalogue where the orbit LoRAs are. The published program always used a pair.
        **loading: further arguments of `motionloom.load`.

    Raises:
        CheckpointError: files that are missing or do not fit.
        InputError: half a pair.
    """

    def __init__(
        self,
        base_model: Any = "wan2.2-i2v-a14b",
        lora_high: str | Path | None = None,
        lora_low: str | Path | None = None,
        device: str | None = None,
        *,
        lora_fast_high: str | Path | None = None,
        lora_fast_low: str | Path | None = None,
        **loading: Any,
    ) -> None:
        if (lora_high is None) != (lora_low is None):
            raise InputError("lora_high, lora_low: found one of the two, expected both, or none for the catalogue's")
        if lora_high is None and lora_fast_high is None and lora_fast_low is None:
            loras: dict[Part, Path] = loras_of(find_model("circle-rotate"))
        else:
            given: dict[Part, str | Path | None] = {
                "lora": lora_high,
                "lora_2": lora_low,
                "lora_fast": lora_fast_high,
                "lora_fast_2": lora_fast_low,
            }
            loras = {part: Path(path) for part, path in given.items() if path is not None}
            if lora_high is None:
                loras = {**loras_of(find_model("circle-rotate")), **loras}
        name, digest, pipeline, base = "circle-rotate", "", base_model, None
        fast = bool(loading.pop("fast", False))
        if isinstance(base_model, (str, Path)):
            from motionloom.models.loading import load

            base = load(base_model, device=device, **loading)
            if not isinstance(base, WanModel):
                raise CheckpointError(f"base_model: {base_model} is a {base.name}, expected a Wan2.2-I2V-A14B")
            digest, pipeline = base.digest, base.pipeline
        self.model = CircleRotateModel(pipeline, find_model("circle-rotate"), name=name, digest=digest, loras=loras)
        self.distilled = "lora_fast" in loras
        if base is not None:
            self.model.plan, self.model.notes = base.plan, base.notes
            self.model.adapters = [*base.adapters, *self.model.adapters]
        if fast:  # compiled blocks would not know of LoRAs that came later
            from motionloom.models.speed import FastOptions, apply_fast

            made = apply_fast(self.model.pipeline, FastOptions(few_steps=self.distilled))
            self.model.notes = (*self.model.notes, *made)

    def generate(
        self,
        first_frame: ImageSource,
        last_frame: ImageSource | None = None,
        prompt: str = PROMPT,
        negative_prompt: str = "",
        width: int = 1280,
        height: int = 720,
        num_frames: int = 81,
        steps: int | None = None,
        cfg: float | None = None,
        seed: int | None = None,
        lora_strength: float = 1.0,
        on_progress: Progress | None = None,
    ) -> Clip:
        """An orbit from the first to the last frame.

        Args:
            first_frame, last_frame: scaled to cover width x height and cut about the centre.
            steps, cfg: 4 and 1.6 with a four-step LoRA, as published; 40 and 3.5 without.
            seed: drawn when not given; it is in the clip's provenance.
            lora_strength: of the orbit LoRAs; the authors recommend 0.8 to 1.

        Raises:
            InputError: a size that is no multiple of 16, or another argument the model cannot work with.
        """
        return self.model.generate(
            first_frame,
            None,
            last_image=last_frame,
            prompt=prompt,
            negative_prompt=negative_prompt,
            size=(height, width),
            num_frames=num_frames,
            num_inference_steps=steps,
            guidance_scale=cfg,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            strength=lora_strength,
            on_progress=on_progress,
        )
