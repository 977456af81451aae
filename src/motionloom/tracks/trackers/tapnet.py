"""TAPIR, BootsTAPIR, TAPNext and TAPNext++ (google-deepmind/tapnet, Apache-2.0), from a clone and a local checkpoint.

Facts about their interfaces: `tapnet/torch/tapir_model.py`, `tapnet/tapnext/tapnext_torch.py`,
`tapnet/tapnextpp/votsp2026/{model,utils}.py`. Their raster has its origin at the corner of the first pixel, as ours
has, so positions are only scaled to the size the network sees. Queries are (t, y, x), frames channels last in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import CheckpointError, InputError
from motionloom.media.stream import Frames, windows
from motionloom.tracks.trackers.published import both_ways, fill, finished, import_published, read_weights, weights_file
from motionloom.tracks.trackers.tracker import Progress
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    import torch

    from motionloom.tracks.trackers.catalog import TrackerCard

RESOLUTION = 256
"""Side in pixels of the square the networks were trained on."""

_TAPIR_FEATURES = 4 + 128 + 256  # position, occlusion and distance; fine and coarse features
_TAPIR_PATCH = 49  # correlations of one level of the pyramid
_VISIBLE = 0.5


def load_tapir(card: TrackerCard, checkpoint: Path | None, code: Path | None, device: str, side: int) -> TapirTracker:
    """TAPIR; which of its variants is read off the checkpoint, the causal one by "causal" in its file's name.

    Raises:
        MissingDependencyError, CheckpointError.
    """
    if side % 8:
        raise InputError(f"resolution: found {side}, expected a multiple of 8")
    module = import_published(card, "tapnet.torch.tapir_model", code)
    path = weights_file(card, checkpoint)
    weights = read_weights(path)
    mixer = weights.get("torch_pips_mixer.linear.weight")
    if mixer is None or mixer.ndim != 2:
        raise CheckpointError(f"{path}: not a checkpoint of TAPIR (no torch_pips_mixer.linear.weight)")
    network = module.TAPIR(
        pyramid_level=max(0, (mixer.shape[1] - _TAPIR_FEATURES) // _TAPIR_PATCH - 2),
        extra_convs=any(name.startswith("extra_convs.") for name in weights),
        use_casual_conv="causal" in path.name,  # spelled so by its authors
        initial_resolution=(side, side),
    )
    fill(network, weights, path)
    return TapirTracker(network.to(device).eval(), device, side, card.licence)


@dataclass(frozen=True)
class TapirTracker:
    """Looks at the whole video at once: about 4 MB a frame at a resolution of 256."""

    network: torch.nn.Module = field(repr=False)
    device: str
    resolution: int
    licence: str
    name: str = "tapir"

    def track(self, frames: Frames, queries: NDArray[np.float64], *, on_progress: Progress | None = None) -> Tracks:
        """See `motionloom.tracks.trackers.Tracker`."""
        import torch

        side, (height, width) = self.resolution, frames.size
        scale = np.array([side / width, side / height])
        video = np.concatenate([_scaled(block, side) for _, block in windows(frames)])
        points = torch.from_numpy(_query(queries, scale))[None].to(self.device)
        with torch.inference_mode():
            found = self.network(_normalised(video, self.device), points)
            tracks = found["tracks"][0].transpose(0, 1).float().cpu().numpy()
            seen = torch.sigmoid(-found["occlusion"]) * torch.sigmoid(-found["expected_dist"]) > _VISIBLE
        if on_progress:
            on_progress(frames.num_frames, frames.num_frames)
        return finished(frames, queries, tracks / scale, seen[0].T.cpu().numpy())


def load_tapnext(
    card: TrackerCard, checkpoint: Path | None, code: Path | None, device: str, side: int
) -> TapnextTracker:
    """TAPNext from a torch file, or from the .npz of the original release.

    Raises:
        MissingDependencyError, CheckpointError.
    """
    if side % 8:
        raise InputError(f"resolution: found {side}, expected a multiple of 8")
    module = import_published(card, "tapnet.tapnext.tapnext_torch", code)
    path = weights_file(card, checkpoint)
    network = module.TAPNext(image_size=(RESOLUTION, RESOLUTION))
    if path.suffix == ".npz":
        convert = import_published(card, "tapnet.tapnext.tapnext_torch_utils", code)
        try:
            network = convert.restore_model_from_jax_checkpoint(network, str(path))
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            raise CheckpointError(f"{path}: not a checkpoint of TAPNext ({error})") from None
    else:
        fill(network, {name.removeprefix("tapnext."): value for name, value in read_weights(path).items()}, path)
    return TapnextTracker(network.to(device).eval(), device, side, card.licence)


@dataclass(frozen=True)
class TapnextTracker:
    """Looks at one frame after the other and keeps a state of fixed size."""

    network: torch.nn.Module = field(repr=False)
    device: str
    resolution: int
    licence: str
    name: str = "tapnext"

    def track(self, frames: Frames, queries: NDArray[np.float64], *, on_progress: Progress | None = None) -> Tracks:
        """See `motionloom.tracks.trackers.Tracker`."""
        import torch

        height, width = frames.size
        # Whatever the network sees, its positions are those of the square it was trained on.
        scale = np.array([RESOLUTION / width, RESOLUTION / height])
        done, total = 0, frames.num_frames * (2 if queries[:, 0].any() else 1)

        def one_way(pictures: Frames, query: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            nonlocal done
            points = np.zeros((pictures.num_frames, len(query), 2))
            visible = np.zeros(points.shape[:2], np.bool_)
            asked: Any = torch.from_numpy(_query(query, scale))[None].to(self.device)
            state: Any = None
            for start, block in windows(pictures):
                small = _scaled(block, self.resolution)
                for offset in range(len(small)):
                    picture = _normalised(small[offset : offset + 1], self.device)
                    with torch.inference_mode():
                        tracks, _, logits, state = self.network(video=picture, query_points=asked, state=state)
                    asked = None  # the state remembers
                    points[start + offset] = tracks[0, 0].flip(-1).float().cpu().numpy() / scale
                    visible[start + offset] = (logits[0, 0, :, 0] > 0).cpu().numpy()
                    done += 1
                    if on_progress:
                        on_progress(done, total)
            return points, visible

        return both_ways(frames, queries, one_way)


def _query(queries: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float32]:
    """(frame, x, y) in pixels of the video as (t, y, x) in pixels of the network."""
    at = queries[:, 1:] * scale
    return np.column_stack([queries[:, 0], at[:, 1], at[:, 0]]).astype(np.float32)


def _scaled(block: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Frames [n, H, W, 3] as squares; pixel corners stay on pixel corners."""
    if block.shape[1:3] == (side, side):
        return np.ascontiguousarray(block)
    how = cv2.INTER_AREA if min(block.shape[1:3]) > side else cv2.INTER_LINEAR
    return np.stack([np.asarray(cv2.resize(np.ascontiguousarray(frame), (side, side), interpolation=how), np.uint8)
                     for frame in block])  # fmt: skip


def _normalised(frames: NDArray[np.uint8], device: str) -> torch.Tensor:
    """uint8 [T, S, S, 3] as float32 [1, T, S, S, 3] in [-1, 1]."""
    import torch

    return torch.from_numpy(frames)[None].to(device).float() / 127.5 - 1.0
