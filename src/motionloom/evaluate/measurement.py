"""A number about a video, with everything one must know before comparing it with another one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

from motionloom.errors import FileFormatError, MotionloomError

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class UsedWeights:
    """The network a number comes from. ``sha256`` is of its file, hex."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Measurement:
    """One number, or the reason why there is none.

    Attributes:
        name: of the metric. A fallback has a name of its own and never that of what it stands in for.
        value: None where it cannot be computed; never NaN, infinite, or a number that stands for "nothing".
        unit: "px", "dB", "px/frame", ...; empty for shares and scores.
        better: which direction is better; None where neither is.
        variant: what was chosen where the literature leaves it open, such as "biased covariance".
        n: how many values the number is a mean of.
        frames: how many frames were looked at; resolution: their (height, width).
        weights: the network it comes from; None where there is none.
        fallback: it stands in for a metric whose weights are not here, and is not comparable with published numbers.
        reason: why ``value`` is None.
        note: what a reader of the number has to know that does not decide what it may be compared with, such as that it
            is of few samples. ``variant`` is the same for all videos of a set; this need not be.
        curve: the number over time, one value per frame of the video, None where a frame has none.

    Raises:
        MotionloomError: neither a value nor a reason, or a value, also of the curve, that is not finite.
    """

    name: str
    value: float | None
    unit: str = ""
    better: Better | None = None
    variant: str = ""
    n: int | None = None
    frames: int | None = None
    resolution: tuple[int, int] | None = None
    weights: UsedWeights | None = None
    fallback: bool = False
    reason: str | None = None
    curve: tuple[float | None, ...] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.curve is not None:
            curve = tuple(None if each is None else float(each) for each in self.curve)
            if not all(each is None or math.isfinite(each) for each in curve):
                raise MotionloomError(f"{self.name}: its curve has a value that is not finite, expected None there")
            object.__setattr__(self, "curve", curve)
        if self.value is None:
            if not self.reason:
                raise MotionloomError(f"{self.name}: has neither a value nor a reason")
            return
        if not math.isfinite(self.value):
            raise MotionloomError(f"{self.name}: found {self.value}, expected a finite number or a reason")
        object.__setattr__(self, "value", float(self.value))

    def record(self) -> dict[str, Any]:
        """As JSON values; what is not set is left out, ``value`` is always there."""
        values = {name: value for name, value in self.__dict__.items() if name == "value" or value != _PLAIN.get(name)}
        return values | ({"weights": asdict(self.weights)} if self.weights else {})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Measurement:
        """The inverse of `record`.

        Raises:
            FileFormatError: the record is damaged.
        """
        values = dict(record)
        try:
            if values.get("weights"):
                values["weights"] = UsedWeights(**values["weights"])
            for name in ("resolution", "curve"):
                if values.get(name) is not None:
                    values[name] = tuple(values[name])
            return cls(**values)
        except (TypeError, ValueError, MotionloomError) as error:
            raise FileFormatError(f"measurement {record.get('name')!r}: damaged ({error})") from None


_PLAIN = {field.name: field.default for field in fields(Measurement) if field.default is not MISSING}
