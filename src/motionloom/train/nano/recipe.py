"""What nano is trained on, for how long, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from motionloom.errors import InputError
from motionloom.models.nano.provenance import WAVELENGTHS
from motionloom.prepare.procedural import Style
from motionloom.train.conditions import ConditionMix

VALIDATION_SEED = 1_000_003
"""Training seeds are below this number, so validation clips are never trained on."""

Kind = Literal["flow", "few_steps"]
"""What a stage teaches; see `motionloom.train.nano.objectives`."""


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        side: of the square clips, in pixels.
        batch: clips per step, of each process.
        share: of the budget.
        least_time, most_time: times are drawn from here to there, within 0 and 1. Near 1 the network learns to make the
            clip in one step.
        view: part of a picture's short side that a clip shows. A clip of 64 pixels with view 0.5 is a piece of one of
            128, with its detail and its speeds, at a quarter of the cost.
        kind: what is taught: "flow", making clips in many steps, or "few_steps", making them in few.
    """

    side: int
    batch: int
    share: float
    least_time: float = 0.0
    most_time: float = 1.0
    view: float = 1.0
    kind: Kind = "flow"

    def __post_init__(self) -> None:
        if self.side % 8 or self.side < 16:
            raise InputError(f"side of a stage: found {self.side}, expected a multiple of 8 pixels, 16 or more")
        if self.batch < 1 or not self.share > 0:
            raise InputError(f"batch, share of a stage: found {self.batch}, {self.share}, expected more than nothing")
        if not 0 <= self.least_time < self.most_time <= 1:
            raise InputError(
                f"times of a stage: found {self.least_time} to {self.most_time}, expected 0 <= least < most <= 1"
            )
        if not 0 < self.view <= 1:
            raise InputError(f"view of a stage: found {self.view}, expected a share of the picture, above 0 to 1")


@dataclass(frozen=True)
class NanoRecipe:
    """What is trained and how. The learning rate follows the share of the budget that is spent.

    The codec is the closed-form one, fitted to ``codec_clips`` clips, or a small `AutoencoderKLWan` that is trained
    first, for ``vae_share`` of the budget on top of it: worth it on a GPU, too slow on a CPU.

    Uniform u become times t = s u / (1 + (s - 1) u) with s = ``time_shift``, as the sampler spaces its steps.

    Attributes:
        seed: of weights and clips, below `VALIDATION_SEED`.
        width, layers, expansion: of the transformer, see `motionloom.models.nano.build.build_transformer`.
        latent_channels: of the pictures.
        wavelengths: of the provenance, see `motionloom.models.nano.provenance`; none for a codec of pictures alone.
        style: of the clips, see `motionloom.prepare.procedural.sample_scene`.
        photographs: show those of `motionloom.prepare.photographs` on some layers, where scikit-image is installed.
        mix: how often each kind of condition is drawn.
        pool: clips held in memory; each serves several steps.
        batch_scale: clips per step and in the pool, times what the stages and ``pool`` say.
    """

    seed: int = 0
    width: int = 384
    layers: int = 4
    expansion: int = 2
    codec: Literal["blocks", "vae"] = "blocks"
    latent_channels: int = 40
    wavelengths: tuple[float, ...] = WAVELENGTHS
    codec_clips: int = 96
    vae_share: float = 0.3
    style: Style = "natural"
    photographs: bool = True
    mix: ConditionMix = ConditionMix()  # noqa: RUF009 - frozen
    pool: int = 512
    batch_scale: int = 1
    learning_rate: float = 8.0e-4
    final_rate: float = 3.0e-5
    warmup_steps: int = 100
    weight_decay: float = 0.01
    averaging: float = 0.998
    time_shift: float = 10.0
    stages: tuple[Stage, ...] = (
        Stage(64, 8, 0.5, view=0.5),
        Stage(128, 4, 0.3),
        Stage(128, 3, 0.2, kind="few_steps"),
    )

    def __post_init__(self) -> None:
        if not 0 <= self.seed < VALIDATION_SEED:
            raise InputError(f"seed: found {self.seed}, expected 0 to {VALIDATION_SEED - 1}")
        if self.batch_scale < 1:
            raise InputError(f"batch_scale: found {self.batch_scale}, expected 1 or more")
        if not self.stages:
            raise InputError("stages: found none, expected at least one")

    def stage(self, share: float) -> Stage:
        """The stage in which a share of the budget is spent."""
        return self.stages[self.stage_number(share)]

    def stage_number(self, share: float) -> int:
        """Which of the stages that is, from 0."""
        for number, end in enumerate(self._ends()):
            if share < end:
                return number
        return len(self.stages) - 1

    def is_distilled(self, share: float) -> bool:
        """The weights know what it is to make a clip in few steps: a quarter of the first such stage is behind them."""
        begin = 0.0
        for stage, end in zip(self.stages, self._ends(), strict=True):
            if stage.kind == "few_steps":
                return share >= begin + (end - begin) / 4
            begin = end
        return False

    def _ends(self) -> list[float]:
        """Where in the budget each stage ends, the last at 1."""
        total = sum(stage.share for stage in self.stages)
        return [end / total for end in accumulate(stage.share for stage in self.stages)]
