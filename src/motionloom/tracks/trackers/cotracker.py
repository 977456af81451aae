"""CoTracker3, offline and online (facebookresearch/co-tracker; code and weights CC-BY-NC 4.0), from a clone.

Facts about its interface: `cotracker/predictor.py` and `hubconf.py`. Positions have integer pixel centres, half a pixel
off ours; frames are float [0, 255], channels first, queries (t, x, y). The predictors resize to 384x512 with aligned
corners and force queries to be exact and visible.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionloom.media.stream import Frames, windows
from motionloom.tracks.trackers.published import both_ways, fill, finished, import_published, read_weights, weights_file
from motionloom.tracks.trackers.tracker import Progress
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    import torch

    from motionloom.tracks.trackers.catalog import TrackerCard

_WINDOW = {"offline": 60, "online": 16}  # frames, of the published checkpoints (hubconf.py)


def load_cotracker3(card: TrackerCard, checkpoint: Path | None, code: Path | None, device: str) -> CoTracker3:
    """CoTracker3; the online one where the checkpoint's file name says "online".

    Raises:
        MissingDependencyError, CheckpointError.
    """
    module = import_published(card, "cotracker.predictor", code)
    path = weights_file(card, checkpoint)
    online = "online" in path.name
    if online:
        predictor = module.CoTrackerOnlinePredictor(checkpoint=None, offline=False, window_len=_WINDOW["online"])
    else:
        predictor = module.CoTrackerPredictor(checkpoint=None, offline=True, window_len=_WINDOW["offline"])
    fill(predictor.model, read_weights(path), path)
    return CoTracker3(predictor.to(device).eval(), device, online, card.licence)


@dataclass(frozen=True)
class CoTracker3:
    """Offline it holds all frames at 384x512, about 2.4 MB each, beside its features; online a window of 16."""

    predictor: torch.nn.Module = field(repr=False)
    device: str
    online: bool
    licence: str
    name: str = "cotracker3"

    def track(self, frames: Frames, queries: NDArray[np.float64], *, on_progress: Progress | None = None) -> Tracks:
        """See `motionloom.tracks.trackers.Tracker`."""
        if self.online:
            return self._stream(frames, queries, on_progress)
        import torch

        video = torch.cat([self._seen(block) for _, block in windows(frames)], 1)
        with torch.inference_mode():
            tracks, visible = self.predictor(video, queries=self._query(frames, queries), backward_tracking=True)
        if on_progress:
            on_progress(frames.num_frames, frames.num_frames)
        return finished(frames, queries, self._positions(frames, tracks), visible[0].cpu().numpy())

    def _stream(self, frames: Frames, queries: NDArray[np.float64], on_progress: Progress | None) -> Tracks:
        import torch

        predictor: Any = self.predictor
        step = int(predictor.step)
        done, total = 0, frames.num_frames * (2 if queries[:, 0].any() else 1)

        def one_way(pictures: Frames, query: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            nonlocal done
            points = np.repeat(query[None, :, 1:], pictures.num_frames, 0)
            visible = np.zeros(points.shape[:2], np.bool_)
            asked = self._query(frames, query)
            for start, block in windows(pictures, 2 * step, step):
                chunk = self._seen(block)
                with torch.inference_mode():
                    if start == 0:
                        predictor(video_chunk=chunk, is_first_step=True, queries=asked, add_support_grid=True)
                    # All frames so far; those of the last window have been improved.
                    tracks, seen = predictor(video_chunk=chunk, add_support_grid=True)
                stop = min(start + len(block), tracks.shape[1])
                tracks, seen = tracks[:, start:stop, : len(query)], seen[0, start:stop, : len(query)]
                points[start:stop], visible[start:stop] = self._positions(frames, tracks), seen.cpu().numpy()
                done += len(block) if start == 0 else len(block) - step
                if on_progress:
                    on_progress(done, total)
            return points, visible

        return both_ways(frames, queries, one_way)

    @property
    def _size(self) -> tuple[int, int]:
        predictor: Any = self.predictor
        height, width = (int(side) for side in predictor.interp_shape)
        return height, width

    def _scale(self, frames: Frames) -> NDArray[np.float64]:
        """From integer pixel centres of the video to those of what the predictor sees, aligned corners."""
        (height, width), (high, wide) = frames.size, self._size
        return np.array([(wide - 1) / max(width - 1, 1), (high - 1) / max(height - 1, 1)])

    def _query(self, frames: Frames, queries: NDArray[np.float64]) -> torch.Tensor:
        import torch

        at = (queries[:, 1:] - 0.5) * self._scale(frames)
        return torch.from_numpy(np.column_stack([queries[:, 0], at]).astype(np.float32))[None].to(self.device)

    def _positions(self, frames: Frames, tracks: torch.Tensor) -> NDArray[np.float64]:
        return tracks[0].float().cpu().numpy().astype(np.float64) / self._scale(frames) + 0.5

    def _seen(self, block: NDArray[np.uint8]) -> torch.Tensor:
        """Frames uint8 [n, H, W, 3] as float32 [1, n, 3, 384, 512], resized as the predictor would."""
        import torch
        from torch.nn import functional

        frames = torch.from_numpy(np.ascontiguousarray(block)).to(self.device).permute(0, 3, 1, 2).float()
        return functional.interpolate(frames, self._size, mode="bilinear", align_corners=True)[None]
