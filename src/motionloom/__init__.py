"""motionloom: draw how things should move on a still image; get a video that moves that way.

The public names are imported when they are first used, so that ``import motionloom`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from motionloom.version import __version__

if TYPE_CHECKING:
    from motionloom.draw import contact_sheet, draw, draw_paths, side_by_side
    from motionloom.errors import (
        AmbiguousUnitsError,
        Cancelled,
        CheckpointError,
        FileFormatError,
        InputError,
        MissingDependencyError,
        MotionloomError,
    )
    from motionloom.evaluate import evaluate
    from motionloom.media import Clip, read_image
    from motionloom.models.catalog import list_models
    from motionloom.models.loading import load
    from motionloom.tracks.formats import read_motion, read_tracks, write_tracks
    from motionloom.tracks.motion import Motion
    from motionloom.tracks.trackers import track
    from motionloom.tracks.tracks import Tracks

_HOMES = {
    "motionloom.draw": ("contact_sheet", "draw", "draw_paths", "side_by_side"),
    "motionloom.errors": (
        "AmbiguousUnitsError",
        "Cancelled",
        "CheckpointError",
        "FileFormatError",
        "InputError",
        "MissingDependencyError",
        "MotionloomError",
    ),
    "motionloom.evaluate": ("evaluate",),
    "motionloom.media": ("Clip", "read_image"),
    "motionloom.models.catalog": ("list_models",),
    "motionloom.models.loading": ("load",),
    "motionloom.tracks.formats": ("read_motion", "read_tracks", "write_tracks"),
    "motionloom.tracks.motion": ("Motion",),
    "motionloom.tracks.trackers": ("track",),
    "motionloom.tracks.tracks": ("Tracks",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AmbiguousUnitsError",
    "Cancelled",
    "CheckpointError",
    "Clip",
    "FileFormatError",
    "InputError",
    "MissingDependencyError",
    "Motion",
    "MotionloomError",
    "Tracks",
    "__version__",
    "contact_sheet",
    "draw",
    "draw_paths",
    "evaluate",
    "list_models",
    "load",
    "read_image",
    "read_motion",
    "read_tracks",
    "side_by_side",
    "track",
    "write_tracks",
]


class _CallableModule(ModuleType):
    """A module that holds a public function of its own name: calling the module calls the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Package(ModuleType):
    """This package. Importing a submodule puts the module where the function of the same name is expected.

    ``motionloom.draw`` is both the function and the module it lives in; whichever way it was reached, both
    ``motionloom.draw(clip, motion)`` and ``motionloom.draw.side_by_side`` work.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOME_OF:
            value.__class__ = _CallableModule
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME_OF:
            raise AttributeError(f"module 'motionloom' has no attribute {name!r}")
        module = importlib.import_module(_HOME_OF[name])
        return self.__dict__[name] if name in self.__dict__ else getattr(module, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
