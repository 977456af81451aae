"""Code and weights that the authors of a tracker published: where they are on this disk, and reading them."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import CheckpointError, MissingDependencyError
from motionloom.media.stream import BackwardFrames, Frames
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from motionloom.tracks.trackers.catalog import TrackerCard

    Pass = Callable[[Frames, NDArray[np.float64]], tuple[NDArray[Any], NDArray[np.bool_]]]


def import_published(card: TrackerCard, module: str, folder: Path | None) -> ModuleType:
    """A module of a tracker's package, from a clone of its repository or as installed.

    Raises:
        MissingDependencyError: it is not here, or lacks a package itself.
    """
    where = (
        f"clone {card.repository} ({card.licence}) and name its folder with code= or MOTIONLOOM_TRACKER_CODE, "
        f"or install it with pip from the clone"
    )
    if folder is not None:
        root = folder.parent if folder.name == card.package and (folder / "__init__.py").is_file() else folder
        if not (root / card.package).is_dir():
            raise MissingDependencyError(
                f"{folder}: holds no folder {card.package!r}, expected a clone of {card.repository}; {where}"
            )
        loaded = sys.modules.get(card.package)
        origin = [Path(path).resolve() for path in getattr(loaded, "__path__", ())]
        if origin and (root / card.package).resolve() not in origin:
            raise MissingDependencyError(
                f"{folder}: the package {card.package!r} is in use from {origin[0]} already; start a new process"
            )
        if str(root) not in sys.path:
            # Behind everything else, so that nothing of ours is shadowed; it stays, for what is imported later on.
            sys.path.append(str(root))
            importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == card.package:
            raise MissingDependencyError(f"{card.name}: the package {card.package!r} is not here; {where}") from None
        raise MissingDependencyError(
            f"{card.name}: its code needs the package {error.name!r}; install it (see {card.repository})"
        ) from None


def weights_file(card: TrackerCard, path: Path | None) -> Path:
    """The checkpoint's file.

    Raises:
        CheckpointError: none was named, or it is not there.
    """
    wanted = (
        f"expected {' or '.join(card.files)} from {card.source} ({card.licence}); "
        "name the file with checkpoint= or MOTIONLOOM_TRACKER_CHECKPOINT"
    )
    if path is None:
        raise CheckpointError(f"{card.name}: no checkpoint was named, {wanted}")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, {wanted}")
    return path


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Name to tensor of a torch file, unwrapped from what trainers put around it; nothing is unpickled but tensors.

    Raises:
        CheckpointError: not a file of weights.
    """
    import torch

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a file of torch weights ({reason})") from None
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointError(f"{path}: holds no weights, expected names and tensors")
    return found


def fill(network: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Put weights into a network.

    Raises:
        CheckpointError: missing, unexpected or misshapen ones.
    """
    expected = network.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    surplus = sorted(weights.keys() - expected.keys())
    misfit = sorted(name for name in expected.keys() & weights.keys() if expected[name].shape != weights[name].shape)
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", surplus), ("of another shape", misfit))
        if names
    ]
    if problems:
        raise CheckpointError(f"{path}: does not fit {type(network).__name__}: {'; '.join(problems)}")
    network.load_state_dict(weights)


def both_ways(frames: Frames, queries: NDArray[np.float64], one_way: Pass) -> Tracks:
    """Run a tracker that only looks ahead forwards, and backwards for points given on later frames.

    Args:
        one_way: from frames and queries [M, 3] to (points [T, M, 2], visible [T, M]), all in pixels of the video.
    """
    start = queries[:, 0].astype(np.int64)
    points, visible = one_way(frames, queries)
    points, visible = np.array(points, np.float64), np.array(visible, np.bool_)
    late = np.flatnonzero(start > 0)
    if len(late):
        mirrored = queries[late].copy()
        mirrored[:, 0] = frames.num_frames - 1 - mirrored[:, 0]
        before, seen = (np.asarray(found)[::-1] for found in one_way(BackwardFrames(frames), mirrored))
        earlier = np.arange(frames.num_frames)[:, None] < start[late][None]
        points[:, late] = np.where(earlier[:, :, None], before, points[:, late])
        visible[:, late] = np.where(earlier, seen, visible[:, late])
    return finished(frames, queries, points, visible)


def finished(frames: Frames, queries: NDArray[np.float64], points: NDArray[Any], visible: NDArray[np.bool_]) -> Tracks:
    """Tracks that go through their queries exactly; what is outside or unknown is not visible."""
    points, visible = np.array(points, np.float64), np.array(visible, np.bool_)
    known = np.asarray(np.isfinite(points).all(-1))
    start, number = queries[:, 0].astype(np.int64), np.arange(len(queries))
    height, width = frames.size
    inside = ((points >= 0) & (points < [width, height])).all(-1)
    points = np.where(known[..., None], points, queries[None, :, 1:])
    visible &= known & inside
    points[start, number], visible[start, number] = queries[:, 1:], True
    return Tracks(points.astype(np.float32), visible, frames.size, frames.fps)
