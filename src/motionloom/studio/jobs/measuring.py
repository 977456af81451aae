"""How well a finished video moves as drawn: measured when it is there already, and told later."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass

from motionloom.errors import MotionloomError
from motionloom.media import read_provenance
from motionloom.studio.jobs.database import is_disk_full
from motionloom.studio.jobs.results import MOTION, VIDEO, ResultStore
from motionloom.studio.jobs.snapshots import read_motion

log = logging.getLogger("motionloom.studio")

KEPT = ("epe", "epe_trackable", "trackable_fraction")
"""Of all that is measured, what is shown."""


@dataclass(frozen=True)
class Measured:
    """Numbers by name, None with a reason in ``reasons``."""

    values: dict[str, float | None]
    reasons: dict[str, str]


def measure_result(results: ResultStore, result: str) -> Measured:
    """The end-point error of a result, and the same where the tracker works.

    What the tracker can find is judged by the warp clip of the same motion, which moves exactly as drawn: where it
    loses a point there, the picture has nothing to hold on to, and what it says about the video means nothing. A video
    that is not of the photograph (text to video) has only the first number.
    """
    from motionloom.evaluate.evidence import Tools
    from motionloom.evaluate.sample import Sample
    from motionloom.evaluate.suite import measure

    folder = results.folder(result)
    motion = read_motion(folder / MOTION)
    of_photograph = read_provenance(folder / VIDEO).get("image", {}) is not None
    reference = None
    if motion.instructions and of_photograph:
        try:
            reference = results.derived.path(result, "preview")
        except MotionloomError:
            log.warning("result %s has no warp clip to compare with", result, exc_info=True)
    sample = Sample(result, folder / VIDEO, motion, reference=reference)
    metrics = ("epe", "epe_trackable") if of_photograph else ("epe",)
    found = measure(sample, Tools(), metrics=metrics)
    kept = [each for each in found if each.name in KEPT]
    return Measured(
        {each.name: each.value for each in kept},
        {each.name: each.reason for each in kept if each.value is None and each.reason},
    )


def measure_and_keep(results: ResultStore, result: str) -> None:
    """Write the measures into a result's record; why there are none, where they cannot be had. Nothing where the result
    was deleted meanwhile.

    Raises:
        OSError: the disk is full; once there is room, it can be measured.
    """
    try:
        measured = measure_result(results, result)
    except MotionloomError as error:
        measured = _none(str(error))
    except Exception as error:
        if is_disk_full(error):
            raise
        log.exception("measuring result %s", result)
        measured = _none(f"measuring failed ({type(error).__name__}); see the worker's log")
    _keep(results, result, measured)


def give_up(results: ResultStore, result: str) -> None:
    """Write into a result's record that it cannot be measured, since who tried never came to an end."""
    _keep(results, result, _none("measuring was begun several times and never came to an end; see the worker's log"))


def _keep(results: ResultStore, result: str, measured: Measured) -> None:
    from motionloom.studio.problems import Refused

    update = {"measured": True, "measures": measured.values, "reasons": measured.reasons}
    with contextlib.suppress(Refused):
        results.rewrite(results.get(result).model_copy(update=update))


def _none(reason: str) -> Measured:
    return Measured(dict.fromkeys(KEPT), dict.fromkeys(KEPT, reason))
