"""Circle-Rotate on the stock Wan image-to-video pipeline with two experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from motionloom.errors import InputError
from motionloom.methods.circle_rotate.circle_rotate import BOUNDARY, DISTILLED, PROMPT, Schedule
from motionloom.methods.published import Preprocessing, PublishedInputsPipeline
from motionloom.methods.wan import published_scheduler


class CircleRotatePipeline(PublishedInputsPipeline):
    """`WanImageToVideoPipeline` with the defaults of Circle-Rotate; `from_pipe(pipe)` shares a pipeline's components.

    The LoRAs are attached to the transformers beforehand (`motionloom.models.lora.load_loras`).

    Attributes:
        set_strength: scales the orbit LoRAs; whoever attached them knows how.
    """

    set_strength: Callable[[float], Any] | None = None

    def __call__(
        self,
        image: Any,
        last_image: Any = None,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        *,
        height: int = 720,
        width: int = 1280,
        num_frames: int = 81,
        schedule: Schedule | None = DISTILLED,
        strength: float = 1.0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_scale_2: float | None = None,
        preprocessing: Preprocessing = "cover",
        **kwargs: Any,
    ) -> Any:
        """Generate an orbit from the first photograph, to the last one where there is one.

        Args:
            image, last_image: scaled to cover (height, width) and cut about the centre, as published.
            prompt: see `orbit_prompt`; by default the published one.
            negative_prompt: by default empty, as published.
            schedule: `DISTILLED` with a four-step LoRA attached, `PLAIN` without; None: the pipeline's own scheduler,
                for which steps and guidance have to be given.
            strength: of the orbit LoRAs; 0 is the model without them, exactly.
            num_inference_steps, guidance_scale, guidance_scale_2: in place of the schedule's.
            preprocessing: see `motionloom.methods.published`.
            **kwargs: further ones of `WanImageToVideoPipeline.__call__`.

        Raises:
            InputError: a pipeline without two experts.
        """
        check_two_experts(self)
        if prompt is None and kwargs.get("prompt_embeds") is None:
            prompt = PROMPT
        if negative_prompt is None and kwargs.get("negative_prompt_embeds") is None:
            negative_prompt = "" if not isinstance(prompt, list) else [""] * len(prompt)
        if strength != 1 and self.set_strength is None:
            raise InputError(f"strength: found {strength}, but no orbit LoRA is known to this pipeline")
        if self.set_strength is not None:
            self.set_strength(strength)
        settings = {
            "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale,
            # A scale of one's own is for both experts, as published.
            "guidance_scale_2": guidance_scale if guidance_scale_2 is None else guidance_scale_2,
        }
        before = self.scheduler
        if schedule is not None:
            own = {
                "num_inference_steps": schedule.steps,
                "guidance_scale": schedule.guidance_scale,
                "guidance_scale_2": schedule.guidance_scale_2,
            }
            settings = {name: own[name] if value is None else value for name, value in settings.items()}
            self.scheduler = published_scheduler(schedule.solver, schedule.shift)
        try:
            return super().__call__(
                image=image,
                last_image=last_image,
                prompt=prompt,
                negative_prompt=negative_prompt,
                height=height,
                width=width,
                num_frames=num_frames,
                preprocessing=preprocessing,
                **{name: value for name, value in settings.items() if value is not None},
                **kwargs,
            )
        finally:
            self.scheduler = before


def check_two_experts(pipeline: Any) -> None:
    """Refuse pipelines other than a Wan2.2 A14B with its boundary.

    Raises:
        InputError: one expert, or another boundary between the two.
    """
    if pipeline.transformer is None or pipeline.transformer_2 is None:
        raise InputError(
            "model: Circle-Rotate needs the two experts of Wan2.2-I2V-A14B (transformer and transformer_2), found one"
        )
    boundary = pipeline.config["boundary_ratio"]
    if boundary != BOUNDARY:
        raise InputError(
            f"model: found boundary_ratio={boundary}, expected {BOUNDARY}, where the LoRAs take over from each other; "
            "load the pipeline with that"
        )
