"""Motion documents off the wire, and as they are kept: with all they need inside, and no longer than a studio takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError
from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion


def parse_motion(document: dict[str, Any], limits: Limits | None = None) -> Motion:
    """A motion off the wire.

    Raises:
        FileFormatError: what is wrong, and where in the document.
        InputError, Refused: as `acceptable`.
    """
    from motionloom.tracks.motion import Motion

    return acceptable(Motion.parse(document, source="motion"), limits)


def acceptable(motion: Motion, limits: Limits | None = None) -> Motion:
    """The motion itself.

    Raises:
        InputError: as `self_contained`.
        Refused: ``too_large``: it has more frames than a studio takes.
    """
    most = (limits or Limits()).max_frames
    if motion.num_frames > most:
        raise Refused("too_large", f"motion: found {motion.num_frames} frames, expected at most {most}")
    return self_contained(motion)


def self_contained(motion: Motion) -> Motion:
    """The motion itself.

    Raises:
        InputError: it names a file outside of it; no folder of a server belongs to it.
    """
    from motionloom.tracks.motion import file_names

    outside = next((name for name in file_names(motion) if not name.startswith("data:")), None)
    if outside is not None:
        raise InputError(
            f"motion: names the file {outside[:80]!r}, expected masks and depth maps inside it as data URLs "
            "(motion.embedded() puts them there); import a motion together with its files"
        )
    return motion


def normalised(document: dict[str, Any], limits: Limits | None = None) -> dict[str, Any]:
    """A motion off the wire as it is kept; raises as `parse_motion`."""
    from motionloom.tracks.motion import Motion

    return document_of(Motion.parse(document, source="motion"), limits)


def document_of(motion: Motion, limits: Limits | None = None) -> dict[str, Any]:
    """A motion as it is kept.

    Raises:
        InputError, Refused: as `acceptable`.
    """
    data = acceptable(motion, limits).model_dump(mode="json", exclude_none=True)
    # What a person looks for in the file comes first.
    data["instructions"] = [{"id": each["id"], "kind": each["kind"], **each} for each in data["instructions"]]
    return data
