"""Numbers for generated clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motionloom.media import Clip
    from motionloom.tracks.motion import Motion
    from motionloom.tracks.tracks import Tracks


def evaluate(clip: Clip, motion: Motion | Tracks) -> dict[str, float | int | None]:
    """How well a clip moves as drawn: its points are tracked from the first frame and compared with the motion.

    Args:
        clip: generated or read.
        motion: what was asked for; fitted to the clip's size, frames and rate.

    Returns:
        Everything of `motionloom.evaluate.tracks.score`, in pixels of the clip. A number that cannot be computed, such
        as the error of a motion without a track, is None. The offline tracker has an error of its own, on textured
        clips about 0.1 pixel: smaller differences mean nothing.
    """
    import numpy as np

    from motionloom.evaluate.tracks import score
    from motionloom.jobs import compiled
    from motionloom.tracks.trackers import track

    wanted = compiled(motion, clip)
    wanted = wanted.select(wanted.visible[0] & wanted.inside()[0])
    start = wanted.points[0].astype(np.float64)
    queries = np.concatenate([np.zeros((len(start), 1)), start], axis=1)
    return score(track(clip, queries), wanted)
