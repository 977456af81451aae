"""Clips side by side, and contact sheets: frames of a clip on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.draw.pen import OUTLINE
from motionloom.errors import InputError

if TYPE_CHECKING:
    from motionloom.media import Clip


def side_by_side(*clips: Clip, labels: Sequence[str] | None = None, height: int | None = None) -> Clip:
    """Clips next to each other, each below its label.

    They are brought to one height (that of the tallest, or ``height``) and to the first one's rate; a clip that ends
    early shows its last frame.

    Raises:
        InputError: no clip, or another number of labels than clips.
    """
    from motionloom.media import Clip

    if not clips:
        raise InputError("clips: found none, expected at least one")
    if labels is not None and len(labels) != len(clips):
        raise InputError(f"labels: found {len(labels)}, expected {len(clips)}, one for each clip")
    tall = height or max(clip.frames.shape[1] for clip in clips)
    fps = clips[0].fps
    count = max(max(1, round(len(clip.frames) * fps / clip.fps)) for clip in clips)
    gap = max(2, tall // 120)
    columns = []
    for place, clip in enumerate(clips):
        width = max(1, round(clip.frames.shape[2] * tall / clip.frames.shape[1]))
        index = np.minimum((np.arange(count) * clip.fps / fps + 1e-6).astype(int), len(clip.frames) - 1)
        column = np.stack([_resize(frame, (tall, width)) for frame in clip.frames])[index]
        if labels is not None:
            bar = _label_bar(labels[place], width, _bar_height(tall))
            column = np.concatenate([np.broadcast_to(bar, (count, *bar.shape)), column], axis=1)
        columns += [column, np.full((count, column.shape[1], gap, 3), OUTLINE, np.uint8)]
    return Clip(np.concatenate(columns[:-1], axis=2), fps)


def contact_sheet(
    clip: Clip, columns: int = 4, *, rows: int | None = None, width: int = 1600, labels: bool = True
) -> NDArray[np.uint8]:
    """Frames of a clip at even distances on one picture, first and last included: uint8 [H, W, 3].

    Args:
        columns: pictures in a row. rows: default as many as make about three rows, fewer for a short clip.
        width: pixels of the whole sheet, at most.
        labels: the time of each frame in its corner.

    Raises:
        InputError: columns or rows below one, or no room for a picture.
    """
    if columns < 1 or (rows is not None and rows < 1):
        raise InputError(f"columns, rows: found {columns}, {rows}, expected one or more")
    total = len(clip.frames)
    columns = min(columns, total)
    rows = min(rows or 3, -(-total // columns))
    gap = max(2, width // 300)
    cell = min((width - gap * (columns + 1)) // columns, 2 * clip.frames.shape[2])
    if cell < 8:
        raise InputError(f"width: found {width}, expected at least {columns * 10 + gap * (columns + 1)} pixels")
    size = (max(1, round(cell * clip.frames.shape[1] / clip.frames.shape[2])), cell)
    sheet = np.full((gap + rows * (size[0] + gap), gap + columns * (size[1] + gap), 3), OUTLINE, np.uint8)
    chosen = np.rint(np.linspace(0, total - 1, min(rows * columns, total))).astype(int)
    for place, frame in enumerate(chosen):
        picture = _resize(clip.frames[frame], size)
        if labels:
            _stamp(picture, f"{frame / clip.fps:.2f} s")
        top = gap + place // columns * (size[0] + gap)
        left = gap + place % columns * (size[1] + gap)
        sheet[top : top + size[0], left : left + size[1]] = picture
    return sheet


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[Any]:
    if image.shape[:2] == size:
        return image.copy()
    shrinks = size[0] < image.shape[0]
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _bar_height(height: int) -> int:
    return max(14, round(height * 0.075))


@lru_cache(maxsize=64)
def _text(words: str, height: int, width: int) -> NDArray[np.float32]:
    """[height, w] in [0, 1]: a line of text, made smaller until it fits into ``width``."""
    from PIL import Image, ImageDraw, ImageFont

    size = 0.6 * height
    font = ImageFont.load_default(size)
    while size > 6 and font.getlength(words) > width:
        size *= 0.9
        font = ImageFont.load_default(size)
    canvas = Image.new("L", (max(1, min(width, int(font.getlength(words)) + 2)), height))
    ImageDraw.Draw(canvas).text((0, height / 2), words, fill=255, font=font, anchor="lm")
    return np.asarray(canvas, np.float32) / 255.0


def _label_bar(words: str, width: int, height: int) -> NDArray[np.uint8]:
    bar = np.full((height, width, 3), OUTLINE, np.float32)
    margin = max(2, height // 3)
    text = _text(words, height, max(1, width - 2 * margin))
    here = bar[:, margin : margin + text.shape[1]]
    here += (np.array([238.0, 240, 245]) - here) * text[:, : here.shape[1], None]
    return np.rint(bar).astype(np.uint8)


def _stamp(picture: NDArray[np.uint8], words: str) -> None:
    """A small dark tag with text in the lower left corner, in place."""
    height = max(10, round(0.09 * picture.shape[0]))
    text = _text(words, height, max(1, picture.shape[1] - height))
    pad = height // 3
    tag = picture[-height:, : text.shape[1] + 2 * pad].astype(np.float32)
    tag += (np.array(OUTLINE) - tag) * 0.65
    inner = tag[:, pad : pad + text.shape[1]]
    text = text[-inner.shape[0] :]
    inner += (255.0 - inner) * text[..., None]
    picture[-height:, : text.shape[1] + 2 * pad] = np.rint(tag).astype(np.uint8)
