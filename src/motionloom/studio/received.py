"""What a model really receives of a motion: its tracks on the model's own size and frames, the cells of its latent
video that they are written into, and where they go beyond what it does well.

Everything comes from the functions that a run itself calls: the clip's shape, the tracks, and the method that writes
them into a condition. No weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError
from motionloom.studio.documents import parse_motion
from motionloom.studio.parts import Studio
from motionloom.studio.schemas import GenerationSettings, LatentGrid, Received, ReceivedRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motionloom.models.card import ModelCard
    from motionloom.models.clip_shape import ClipShape
    from motionloom.tracks.motion import Motion
    from motionloom.tracks.scene import Trace
    from motionloom.tracks.tracks import Tracks

COPYING = ("wan_move", "latent_trajectory")
"""Methods that copy one cell of the first frame's latent for each track."""
METHODS = ("warp", "ati", *COPYING, "tora", "time_to_move", "circle_rotate")
WRITTEN = 0.5
"""ATI writes with soft weights: cells count from where the track outweighs what was there."""
MAX_CELLS = 1_000_000
"""Cells of a latent video that are worked out and sent: 1080p at 81 frames has two thirds of them."""


@dataclass(frozen=True)
class Seen:
    """A motion as one model sees it.

    Args:
        motion: as drawn; traces: of its instructions at ``times`` [T], in frames of the motion.
        tracks: all of them on the clip's size and frames.
        method: how they guide; shape: of the clips, None for any size; dense: they are spread over the picture first.
    """

    motion: Motion
    traces: list[Trace]
    times: NDArray[np.float64]
    tracks: Tracks
    card: ModelCard
    method: str
    shape: ClipShape | None
    dense: bool
    fps_given: bool

    @property
    def num_told(self) -> int:
        """How many tracks tell the model something: all of them, of Tora those that move."""
        if self.method != "tora":
            return self.tracks.num_tracks
        from motionloom.studio.flow_cells import moving

        return int(moving(self.tracks).sum())


def received_of(studio: Studio, request: ReceivedRequest) -> Received:
    """The answer to ``POST /received``."""
    from motionloom.studio.models_facts import find

    model = find(studio.settings, request.settings.model)
    project = studio.projects.get(request.project)
    motion = parse_motion(request.motion, studio.settings.limits)
    return received(motion, (project.height, project.width), model.card, request.settings, name=model.name)


def received(
    motion: Motion,
    image_size: tuple[int, int],
    card: ModelCard,
    settings: GenerationSettings,
    *,
    name: str | None = None,
) -> Received:
    """What a model receives.

    Args:
        image_size: (height, width) of the photograph; card: of the model; settings: of the run.

    Raises:
        InputError: a size, a number of frames or a method the model does not have; an instruction that cannot be
            traced.
    """
    from motionloom.studio.flags import flags_of, speeds_of

    seen = _seen(motion, image_size, card, settings)
    notes: list[str] = []
    grid, count = None, seen.num_told
    if seen.method == "circle_rotate":
        count = 0
        notes.append(f"{card.title} takes no tracks: prompt, photographs and LoRAs say how the camera moves.")
    elif seen.method == "time_to_move":
        notes.append("Time-to-Move is shown the geometric preview itself, and where in it things move.")
    elif seen.method == "warp":
        notes.append("The geometric preview moves the picture itself; there is no latent video.")
    elif seen.shape is not None and _cells(seen.tracks, seen.shape) > MAX_CELLS:
        notes.append("The latent video is too large to be shown here; the flags are those of the whole motion.")
    elif seen.shape is not None:
        tracks = seen.tracks
        if seen.dense:
            from motionloom.tracks.dense import dense_tracks

            height, width = seen.tracks.size
            layers = motion.layers((height, width), tracks.num_frames, settings.fps)
            spacing, each = _spacing(seen.method, seen.shape)
            tracks = dense_tracks(layers, spacing)
            if tracks.num_tracks:
                notes.append(
                    f"The motion is spread over the picture first: {tracks.num_tracks} tracks, one for each {each}, "
                    "more in a zoom."
                )
        count = tracks.num_tracks if seen.dense else count
        grid = latent_grid(tracks, seen.method, seen.shape, settings.options, trained=card.guidance)
    if seen.method == "tora":
        notes.append(
            "Tora is shown where things move, which way, and how fast beside the fastest thing of the clip. What "
            "stands still looks to it as if nothing were drawn there."
        )
    if settings.strength == 0:
        notes.append("The strength is 0: the model moves as it likes.")
    if settings.method is not None and settings.method != card.methods[0]:
        notes.append(f"Guided by {settings.method}; the model was made for {card.methods[0]}.")
    return Received(
        model=name or card.name,
        method=seen.method,
        width=seen.tracks.width,
        height=seen.tracks.height,
        num_frames=seen.tracks.num_frames,
        fps=seen.tracks.fps,
        num_tracks=count,
        grid=grid,
        speeds=speeds_of(seen),
        flags=flags_of(seen),
        notes=notes,
    )


def _seen(motion: Motion, image_size: tuple[int, int], card: ModelCard, settings: GenerationSettings) -> Seen:
    """The motion on the size and frames that `Model.run` would choose."""
    from motionloom.models.clip_shape import shape_of_card
    from motionloom.models.parameters import RESOLUTIONS
    from motionloom.tracks.compile import assemble, trace_motion
    from motionloom.tracks.tracks import timeline

    method = settings.method or card.methods[0]
    if method not in METHODS:
        raise InputError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
    shape = shape_of_card(card)
    choice: Any = shape
    if shape is None:
        from motionloom.models.warp import WarpModel

        choice = WarpModel(card)
    size = None if settings.size is None else (settings.size.height, settings.size.width)
    if size is None and settings.resolution is not None:
        size = choice.size_at(image_size, RESOLUTIONS[settings.resolution])
    size = choice.legal_size(size or choice.default_size(image_size))
    frames = choice.legal_frames(settings.num_frames or card.num_frames or motion.num_frames)
    times, rate = timeline(motion.num_frames, motion.fps, frames, settings.fps)
    traces = trace_motion(motion, times, occlusion=motion.occlusion)
    tracks = assemble(traces, len(times), motion.size, size, rate)
    spread = not card.reads_text and method != "tora" if settings.densify is None else settings.densify
    dense = spread and method in ("ati", "wan_move", "tora") and tracks.num_tracks > 0
    return Seen(motion, traces, times, tracks, card, method, shape, dense, settings.fps is not None)


def _spacing(method: str, shape: ClipShape) -> tuple[int, str]:
    """Pixels between the tracks of a motion that is spread over the picture, and what has one of them, in words."""
    if method != "tora":
        return shape.strides[1], "cell"
    from motionloom.methods.tora.flow import TRAINED_SPACING

    return TRAINED_SPACING, f"square of {TRAINED_SPACING} pixels"


def _cells(tracks: Tracks, shape: ClipShape) -> int:
    time, pixels = shape.strides
    return (shape.whole_latents(tracks.num_frames) // time + 1) * (tracks.height // pixels) * (tracks.width // pixels)


def latent_grid(
    tracks: Tracks,
    method: str,
    shape: ClipShape,
    options: Mapping[str, Any],
    *,
    trained: Mapping[str, Any] | None = None,
) -> LatentGrid:
    """The latent cells that a method writes tracks into, found out by letting it write into a blank condition; of
    Tora, those that show motion.

    Args:
        tracks: on the clip's size and frames; options: of the method.
    """
    import torch

    from motionloom.models.diffusers_model import held_tracks
    from motionloom.models.nano.guidance import guidance_options

    time, pixels = shape.strides
    height, width = tracks.size
    more = (shape.most_frames or shape.whole_latents(tracks.num_frames)) - tracks.num_frames
    tracks = held_tracks(tracks, more)
    frames, rows, columns = (tracks.num_frames - 1) // time + 1, height // pixels, width // pixels
    if method == "tora":
        from motionloom.studio.flow_cells import flow_cells

        cells, sources = flow_cells(tracks, shape, options)
        return _grid(shape, frames, rows, columns, cells, sources)
    points, visible = torch.from_numpy(tracks.points.copy()), torch.from_numpy(tracks.visible.copy())
    # Cells of the first frame carry their own number, all others -1: what is copied says where it comes from.
    condition = torch.full((1, time + 1, frames, rows, columns), -1.0)
    condition[:, :time] = 0.0
    condition[0, time, 0] = torch.arange(rows * columns, dtype=torch.float32).view(rows, columns)
    cells: list[list[int]] = [[] for _ in range(frames)]
    sources: list[int] = []
    told = guidance_options(method, min(rows, columns), trained or {})
    if tracks.num_tracks and method == "ati":
        from motionloom.methods.ati import ati
        from motionloom.methods.wan_move.wan_move import latent_cells

        told |= {name: options[name] for name in ("temperature", "top_k", "grid") if name in options}
        guided = ati.guide(condition, points, visible, (height, width), time_stride=time, **told)
        # The mask channels are the weights; their first latent frame is the photograph.
        written = guided[0, 0] >= WRITTEN
        for frame in range(1, frames):
            cells[frame] = written[frame].flatten().nonzero().flatten().tolist()
        used = visible[1:].any(0)
        inside = points[:1].clone()
        inside[..., 0].clamp_(0, width - 1e-3)
        inside[..., 1].clamp_(0, height - 1e-3)
        start, _ = latent_cells(inside, torch.ones_like(visible[:1]), (height, width), (time, pixels, pixels))
        flat = start[0, :, 0] * columns + start[0, :, 1]
        sources = sorted(set(flat[used & (flat >= 0)].tolist()))
    elif tracks.num_tracks and method in COPYING:
        from motionloom.methods.wan_move import wan_move

        names = "pooling", "collision", "legacy_hidden_source"
        told |= {name: options[name] for name in names if name in options}
        if "collision_seed" in options:
            told["seed"] = options["collision_seed"]
        strides = (time, pixels, pixels)
        guided = wan_move.guide(
            condition, points, visible, (height, width), strides=strides, mask_channels=time, **told
        )
        origin = guided[0, time].long()
        for frame in range(1, frames):
            cells[frame] = (origin[frame].flatten() >= 0).nonzero().flatten().tolist()
        sources = sorted(set(origin[1:][origin[1:] >= 0].tolist()))
    return _grid(shape, frames, rows, columns, cells, sources)


def _grid(
    shape: ClipShape, frames: int, rows: int, columns: int, cells: list[list[int]], sources: list[int]
) -> LatentGrid:
    time, pixels = shape.strides
    return LatentGrid(
        frames=frames,
        rows=rows,
        columns=columns,
        pixels_per_cell=pixels,
        frames_per_cell=time,
        cells=cells,
        sources=sources,
    )


def warm_up() -> None:
    """Loads what `received` needs; takes seconds, so it is done in a thread after the server has started."""
    from motionloom.methods.ati import ati  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from motionloom.methods.tora import flow  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from motionloom.methods.wan_move import wan_move  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from motionloom.tracks.motion import Motion  # noqa: F401  # pyright: ignore[reportUnusedImport]
