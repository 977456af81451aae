"""Frames as networks want them: float32 [n, 3, h, w], resized and cropped as each published program does it.

The programs differ in the filter, in whether shrinking blurs ("antialias") and in whether the resized picture is
rounded to 8 bits, and features differ with them in the third digit: that is why there are several functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from motionloom.errors import InputError

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_PIL = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
Filter = Literal["bicubic", "bilinear"]


def checked_frames(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [n, H, W, 3], or an InputError."""
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or min(frames.shape[1:3]) < 1:
        raise InputError(f"frames: found {frames.dtype} {frames.shape}, expected uint8 [n, H, W, 3]")
    return frames


def batches(frames: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    """Frames, or clips, in blocks of up to ``size``."""
    for start in range(0, len(frames), size):
        yield frames[start : start + size]


def shorter_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(height, width) with the shorter side at ``side`` and the longer one cut to a whole number, as torchvision."""
    height, width = size
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def resize_pil(frames: NDArray[np.uint8], side: int, filter: Filter) -> NDArray[np.uint8]:
    """Shorter side to ``side`` by Pillow, blurred before it shrinks: transformers, and torchvision on pictures."""
    height, width = shorter_side(frames.shape[1:3], side)
    if frames.shape[1:3] == (height, width):
        return frames
    resized = [np.asarray(Image.fromarray(frame).resize((width, height), _PIL[filter])) for frame in frames]
    return np.stack(resized) if resized else np.zeros((0, height, width, 3), np.uint8)


def resize_without_blur(frames: NDArray[np.uint8], side: int, filter: Filter) -> NDArray[np.uint8]:
    """Shorter side to ``side`` with ``antialias`` off, rounded to 8 bits: VBench, torchvision on uint8 tensors."""
    size = shorter_side(frames.shape[1:3], side)
    if frames.shape[1:3] == size:
        return frames
    resized = interpolate(to_tensor(frames), size=size, mode=filter, align_corners=False)
    return resized.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def centre_crop(frames: NDArray[np.uint8], side: int, *, floor: bool = False) -> NDArray[np.uint8]:
    """The square in the middle. Half a pixel is rounded to even as torchvision does, or down as transformers does."""
    height, width = frames.shape[1:3]
    top, left = ((rest // 2 if floor else round(rest / 2)) for rest in (height - side, width - side))
    return frames[:, top : top + side, left : left + side]


def normalised(frames: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(frames / 255 - mean) / std as float32 [n, 3, h, w]."""
    pixels = to_tensor(frames) / 255
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def to_tensor(frames: NDArray[np.uint8]) -> Tensor:
    """float32 [n, 3, H, W], 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float().contiguous()
