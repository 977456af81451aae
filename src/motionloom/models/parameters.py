"""What a run may be told, checked, and as part of a clip's provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from motionloom.errors import FileFormatError, InputError
from motionloom.models.card import Solver

RESOLUTIONS = {"480p": 480 * 832, "720p": 720 * 1280, "1080p": 1080 * 1920}
"""Pixels of a frame by their usual names; the shape is the photograph's."""

Settings = Literal["published", "diffusers"]
"""Whose size rule, picture preparation, noise levels and defaults a model follows."""

LOADING = (
    "method", "base", "transformer", "transformer_2", "loras", "few_step_loras", "memory", "fast", "settings",
)  # fmt: skip
"""The parameters that `motionloom.load` takes; the others are those of `Model.generate`."""

_POSITIVE = ("num_frames", "num_inference_steps", "fps", "shift")
_FINITE = ("guidance_scale", "guidance_scale_2")
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "solver": (None, "unipc", "dpm++", "euler"),
    "settings": ("published", "diffusers"),
    "resolution": (None, *RESOLUTIONS),
}


@dataclass(frozen=True)
class Parameters:
    """What a run may be told; None leaves the choice to the model. Names are those of `Model.generate` and
    `motionloom.load`, which say what each means.

    ``size`` is (height, width). ``method`` chooses how the tracks guide a model that knows several ways.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int = 0
    size: tuple[int, int] | None = None
    resolution: str | None = None
    num_frames: int | None = None
    fps: float | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    guidance_scale_2: float | None = None
    shift: float | None = None
    solver: Solver | None = None
    strength: float = 1.0
    window: tuple[float, float] = (0.0, 1.0)
    densify: bool | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    post: str | None = None
    method: str | None = None
    base: tuple[str, ...] = ()
    transformer: str | None = None
    transformer_2: str | None = None
    loras: tuple[str, ...] = ()
    few_step_loras: tuple[str, ...] = ()
    memory: str = "auto"
    fast: bool = False
    settings: Settings = "published"

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name}: found {value}, expected a number above zero")
        for name in _FINITE:
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{name}: found {value}, expected a finite number")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InputError(f"{name}: found {value!r}, expected one of {', '.join(filter(None, choices))}")
        if not self.seed < 2**63:
            raise InputError(f"seed: found {self.seed}, expected 0 to 2^63 - 1")
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength: found {self.strength}, expected zero or more")
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"size: found {self.size[1]}x{self.size[0]}, expected positive sides")
        if self.size is not None and self.resolution is not None:
            raise InputError(f"resolution: found {self.resolution!r} beside a size, expected one of the two")
        start, end = self.window
        if not 0.0 <= start <= end <= 1.0:
            raise InputError(f"window: found {start:g}:{end:g}, expected 0 <= start <= end <= 1")
        try:
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"options: expected names with plain values ({error})") from None

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Parameters:
        """Parameters from provenance; one that this version does not know is refused, since it would be ignored."""
        unknown = sorted(set(record) - set(cls.__dataclass_fields__))
        if unknown:
            raise FileFormatError(f"provenance: unknown parameter {unknown[0]!r}; update motionloom")
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items()}
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"provenance: the parameters are damaged ({error})") from error

    def for_loading(self) -> dict[str, Any]:
        """Keyword arguments of `motionloom.load`, where they are not its defaults."""
        plain = Parameters()
        return {name: getattr(self, name) for name in LOADING if getattr(self, name) != getattr(plain, name)}
