"""A motion or track file that comes with a new project's photograph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motionloom.studio.projects.pictures import read_picture
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion


def read_upload(name: str, content: bytes, image: bytes, limits: Limits) -> Motion:
    """The motion in an uploaded file of any format, on the canvas of the picture.

    Raises:
        Refused: ``ambiguous`` when the file does not say enough: start the project without it, then import it.
        MotionloomError: it holds no motion, or the picture is none.
    """
    from motionloom.studio.imports import Upload, Wanted, import_files
    from motionloom.tracks.motion import Motion

    picture = read_picture(image, limits)
    found = import_files(
        [Upload(name, content)], Wanted(size=(picture.height, picture.width), num_frames=None, fps=None), limits
    )
    return Motion.parse(found.motion)
