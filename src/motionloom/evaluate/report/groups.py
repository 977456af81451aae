"""What a report shows first: metrics in groups by what they ask, few of them at the top of each, their variants folded.

A metric at the top may have stand-ins: where it has no value in any run, the first of them that has one takes its
place, under its own name. Metrics that are not known here, such as one's own, come first in the last group.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Metrics that ask the same question.

    Attributes:
        main: what is shown at once, in this order; after a metric, separated by spaces, its stand-ins.
        begins: how names in the group begin, separated by spaces. The longest beginning of all groups decides.
    """

    title: str
    main: tuple[str, ...]
    begins: str


GROUPS = (
    Group(
        "Does it move as asked",
        ("epe", "epe_trackable", "pck_05", "objmc", "trajectory_error_mean_xy"),
        "epe pck_ objmc trajectory_error trackable_ final_error velocity_error displacement_ lost_fraction "
        "subject_lost_fraction camera_ me",
    ),
    Group(
        "Is it like the true video",
        ("psnr", "ssim", "lpips_alex lpips_vgg gms_dissim", "epe_flow epe_flow_dis", "clip_i"),
        "psnr ssim ms_ssim lpips gms_dissim epe_flow clip_i",
    ),
    Group(
        "Does it begin and end as given",
        ("endpoint_first_psnr", "endpoint_last_psnr"),
        "endpoint_ clip_domain",
    ),
    Group(
        "Is it steady, and does it move at all",
        (
            *("ic", "motion_smoothness motion_smoothness_flowinterp", "subject_consistency"),
            *("subject_drift subject_drift_detected subject_drift_tracked", "motion_magnitude"),
        ),
        "ic motion_ subject_ background_ global_flow temporal_ dynamic_ fastest_ first_last_ clip_i_temporal "
        "clip_smooth",
    ),
    Group(
        "Does it look good and fit the words",
        ("qs", "clipsim", "aesthetic"),
        "qs niqe clipsim clip_text aesthetic",
    ),
)

OTHERS = "Other metrics"
"""Title of the group of what is in none of them."""

TITLES = (*(group.title for group in GROUPS), OTHERS)


def group_of(name: str) -> int:
    """Number of the group of a metric, in `TITLES`."""
    fitting = [
        (len(begin), -number)
        for number, group in enumerate(GROUPS)
        for begin in group.begins.split()
        if name == begin or name.startswith(begin if begin.endswith("_") else f"{begin}_")
    ]
    return -max(fitting)[1] if fitting else len(GROUPS)


def main_metrics(with_values: Collection[str]) -> list[str]:
    """What is shown first of the metrics that have values, in order of importance."""
    chosen = [
        found[0]
        for group in GROUPS
        for choice in group.main
        if (found := [name for name in choice.split() if name in with_values])
    ]
    return chosen + [name for name in dict.fromkeys(with_values) if group_of(name) == len(GROUPS)]
