"""What a metric is: a name, what it needs, and a function from what is known of a video to measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from motionloom.evaluate.measurement import Better, Measurement

if TYPE_CHECKING:
    from motionloom.evaluate.evidence import Evidence

Bundle = Literal["core", "features", "distribution"]
"""``core`` needs no network; ``features`` looks at each video with one; ``distribution`` compares sets of videos."""

Which = Literal["video", "reference"]
Need = Literal["motion", "reference", "first_image", "last_image", "prompt", "subject"]
"""What a sample has to bring along: an attribute of `Sample` that is not None (subject: masks, a box or a detector)."""


@dataclass(frozen=True)
class Metric:
    """A metric of single videos.

    Attributes:
        name: of its first measurement, and how it is chosen on the command line.
        title: one line for people.
        needs: what the sample has to bring along; without it the metric is not asked.
        weights: names of `motionloom.evaluate.published_weights.WEIGHTS` without which it has no value.
        compute: from evidence to one measurement or several. A reason for there being no number is a measurement too;
            what is raised as `MotionloomError` becomes one.
        pooled: measurements of which, over many videos, the mean over all values is of interest too, beside that over
            videos; and what it is called.
    """

    name: str
    title: str
    compute: Callable[[Evidence], Measurement | Iterable[Measurement]]
    bundle: Bundle = "core"
    needs: tuple[Need, ...] = ()
    weights: tuple[str, ...] = ()
    unit: str = ""
    better: Better | None = None
    pooled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DistributionMetric:
    """A metric of a set of videos against another set: features of each video, then a distance of the two sets.

    Attributes:
        features: of the generated video (``which="video"``) or the true one (``"reference"``), float32 [n, D]; n may
            be any number per video, also 0.
        compare: from true [N, D] and generated [M, D] features of all videos to measurements.
        Others as `Metric`.
    """

    name: str
    title: str
    features: Callable[[Evidence, Which], NDArray[Any]]
    compare: Callable[[NDArray[Any], NDArray[Any]], Measurement | Iterable[Measurement]]
    bundle: Bundle = "distribution"
    needs: tuple[Need, ...] = ("reference",)
    weights: tuple[str, ...] = ()
    unit: str = ""
    better: Better | None = "lower"
