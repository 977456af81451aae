"""What a run is given, before any model sees it: what is missing, which motion a file holds, and its fit to a clip."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motionloom.errors import AmbiguousUnitsError, FileFormatError, InputError
from motionloom.media import video_size
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.layers import Layer
    from motionloom.tracks.motion import Motion


def check_inputs(name: str, *, has_image: bool, prompt: str | None, takes_image: bool, reads_text: bool) -> None:
    """Refuse a run that lacks what the model makes its picture from.

    Args:
        name: of the model; takes_image, reads_text: see `Model`.

    Raises:
        InputError: no photograph, or where none is needed no prompt.
    """
    if takes_image and not has_image:
        raise InputError(
            f"image: missing, {name} starts from a photograph; give one, or choose a text-to-video model (tora-t2v)"
        )
    if not takes_image and reads_text and prompt is None:
        raise InputError(
            f"prompt: missing, {name} makes its picture from it; say what is to be seen and how it moves "
            "(an empty one leaves it open)"
        )


def read_motion_for(path: str | os.PathLike[str], image_size: tuple[int, int] | None) -> Motion | Tracks:
    """The motion in a file of any supported format, for a photograph.

    Pixels of a file that names no canvas are the photograph's, and Tora's 256x256 canvas, which is stretched over
    whatever picture there is, becomes it; frames of a file that names no rate are taken to follow at 16 per second,
    which a clip that shows the whole motion does not depend on.

    Args:
        image_size: (height, width) of the photograph, or of the picture that is to be made; None: nobody knows, and
            files that name no canvas are refused.

    Raises:
        FileFormatError: no such file, or not a motion.
        AmbiguousUnitsError: the units stay unclear; the message says how to state them.
    """
    from motionloom.tracks.formats import detect, read_motion
    from motionloom.tracks.transfer import is_video, motion_from_video

    if not Path(path).is_file():
        raise FileFormatError(f"{path}: no such file, expected a motion or tracks")
    if is_video(Path(path)):
        return motion_from_video(Path(path), image_size or video_size(path))
    known: dict[str, Any] = {"size": image_size} if detect(path).format == "tora" else {}
    for name, value in (("size", image_size), ("fps", 16.0)):
        try:
            return read_motion(path, **known)
        except AmbiguousUnitsError:
            known[name] = value
    try:
        return read_motion(path, **known)
    except AmbiguousUnitsError as error:
        raise AmbiguousUnitsError(
            f"{error}; state it once with motionloom tracks convert {path} tracks.safetensors and generate from that"
        ) from None


def refuse_motion_as_image(image: Any) -> None:
    """Refuse a motion in the place of the photograph."""
    if image is None or isinstance(image, (str, os.PathLike, np.ndarray)):
        return
    from motionloom.tracks.motion import Motion

    if isinstance(image, (Motion, Tracks)):
        raise InputError(
            f"image: found {type(image).__name__}, expected a photograph: generate(image, motion), or for "
            "text-to-video models, which take none, generate(None, motion)"
        )


def fit_motion(
    motion: Motion | Tracks | None, size: tuple[int, int], num_frames: int, fps: float | None
) -> tuple[Tracks, list[Layer]]:
    """The motion on the clip's canvas and frames, whole and by layers."""
    from motionloom.tracks.layers import Layer

    if motion is None:
        return Tracks.empty(num_frames, size, fps or 16.0), []
    if isinstance(motion, Tracks):
        tracks = motion.resize(size).resample(num_frames, fps=fps)
        return tracks, [Layer(tracks, None, False, "background", 0)]
    return motion.compile(size, num_frames, fps), motion.layers(size, num_frames, fps)
