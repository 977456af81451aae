"""I3D (inflated Inception-v1) on Kinetics-400, the network of FVD, in its two published files.

- StyleGAN-V's ``i3d_torchscript.pt``: a TorchScript program with its own preprocessing; features are its 400 outputs
  before the softmax.
- TATS' ``i3d_pretrained_400.pt``: tensors with the names of piergiaj/pytorch-i3d; the same 400 outputs by `I3D`.

Numbers by the two are close, not equal. Architecture: Carreira and Zisserman 2017, "Quo Vadis, Action Recognition?".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks.files import load_network
from motionloom.evaluate.networks.preprocess import batches, to_tensor

DIMENSIONS = 400
SHORTEST = 9
"""Frames below which the network has nothing left to pool over."""

_SIDE = 224
_RESIZED_PIXELS = 1 << 23

ClipNetwork = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From clips uint8 [B, T, H, W, 3] to features float32 [B, D]."""


def load_i3d(path: str | Path, device: str = "cpu", batch: int = 4) -> ClipNetwork:
    """TATS' I3D: frames bilinear to 224x224 without antialiasing, scaled to [-1, 1]; logits, mean over time.

    Raises:
        CheckpointError: see `files.load_network`.
    """
    network = load_network(I3D, path, device=device)

    def features(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = [np.zeros((0, DIMENSIONS), np.float32)]
        with torch.inference_mode():
            for block in batches(checked_clips(clips), batch):
                pixels = resized_clips(block, _SIDE).to(device)
                found.append(network(2 * pixels / 255 - 1).cpu().numpy())
        return np.concatenate(found)

    return features


def load_i3d_torchscript(path: str | Path, device: str = "cpu", batch: int = 4) -> ClipNetwork:
    """StyleGAN-V's I3D, which resizes to 224 and scales on its own.

    The file is a TorchScript archive: a program in torch's own restricted language, not Python.

    Raises:
        CheckpointError: not such an archive, or its program is another one.
    """
    try:
        with warnings.catch_warnings():
            # The published file is TorchScript and will stay so, whatever torch recommends for new ones.
            warnings.simplefilter("ignore", DeprecationWarning)
            network: Any = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{path}: is not a TorchScript archive ({' '.join(str(error).split())[:160]}); expected i3d_torchscript.pt "
            "as StyleGAN-V has it"
        ) from error

    def features(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = [np.zeros((0, DIMENSIONS), np.float32)]
        with torch.inference_mode():
            for block in batches(checked_clips(clips), batch):
                # Bytes, as StyleGAN-V hands them over (metric_utils.py); the program makes numbers of them itself.
                pixels = torch.from_numpy(np.ascontiguousarray(block)).permute(0, 4, 1, 2, 3).contiguous().to(device)
                try:
                    values = network(pixels, rescale=True, resize=True, return_features=True)
                except torch.OutOfMemoryError:
                    raise
                except (RuntimeError, TypeError) as error:
                    raise CheckpointError(
                        f"{path}: its program does not run as StyleGAN-V's does ({' '.join(str(error).split())[:160]})"
                    ) from error
                if values.ndim != 2 or values.shape != (len(block), DIMENSIONS):
                    raise CheckpointError(
                        f"{path}: found features {list(values.shape)}, expected [{len(block)}, {DIMENSIONS}]"
                    )
                found.append(values.float().cpu().numpy())
        return np.concatenate(found)

    return features


def checked_clips(clips: NDArray[np.uint8], shortest: int = SHORTEST) -> NDArray[np.uint8]:
    """uint8 [B, T, H, W, 3] of enough frames, or an InputError."""
    clips = np.asarray(clips)
    if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise InputError(f"clips: found {clips.dtype} {clips.shape}, expected uint8 [B, T, H, W, 3]")
    if clips.shape[1] < shortest:
        raise InputError(f"clips: found {clips.shape[1]} frames, expected at least {shortest}")
    return clips


def resized_clips(clips: NDArray[np.uint8], side: int) -> Tensor:
    """float32 [B, 3, T, side, side], 0 to 255: every frame bilinear to a square, whatever its shape was."""
    count, frames, height, width = clips.shape[:4]
    resized = torch.empty(count, 3, frames, side, side)
    at_once = max(1, _RESIZED_PIXELS // (height * width))  # large frames are never all there as floating numbers
    for clip, target in zip(clips, resized, strict=True):
        for start in range(0, frames, at_once):
            pixels = to_tensor(clip[start : start + at_once])
            pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False)
            target[:, start : start + at_once] = pixels.transpose(0, 1)
    return resized


class I3D(nn.Module):
    """From pixels [B, 3, T, 224, 224] in [-1, 1], T from 9 on, to logits [B, 400]. Named as in the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, stride=2)
        self.Conv3d_2b_1x1 = _Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3)
        self.Mixed_3b = _Mixed(192, 64, (96, 128), (16, 32), 32)
        self.Mixed_3c = _Mixed(256, 128, (128, 192), (32, 96), 64)
        self.Mixed_4b = _Mixed(480, 192, (96, 208), (16, 48), 64)
        self.Mixed_4c = _Mixed(512, 160, (112, 224), (24, 64), 64)
        self.Mixed_4d = _Mixed(512, 128, (128, 256), (24, 64), 64)
        self.Mixed_4e = _Mixed(512, 112, (144, 288), (32, 64), 64)
        self.Mixed_4f = _Mixed(528, 256, (160, 320), (32, 128), 128)
        self.Mixed_5b = _Mixed(832, 256, (160, 320), (32, 128), 128)
        self.Mixed_5c = _Mixed(832, 384, (192, 384), (48, 128), 128)
        self.logits = _Logits(1024, DIMENSIONS)

    def forward(self, x: Tensor) -> Tensor:
        x = _max_pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = _max_pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        x = _max_pool(self.Mixed_3c(self.Mixed_3b(x)), (3, 3, 3), (2, 2, 2))
        x = self.Mixed_4f(self.Mixed_4e(self.Mixed_4d(self.Mixed_4c(self.Mixed_4b(x)))))
        x = _max_pool(x, (2, 2, 2), (2, 2, 2))
        x = self.Mixed_5c(self.Mixed_5b(x))
        x = self.logits.conv3d(F.avg_pool3d(x, (2, 7, 7), stride=1))
        return x.squeeze(3).squeeze(3).mean(2)


class _Unit(nn.Module):
    """Convolution padded as TensorFlow's "same" does, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride=stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv3d.kernel_size, self.conv3d.stride
        return F.relu(self.bn(self.conv3d(_padded(x, kernel, stride))), inplace=True)


class _Logits(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, 1)


class _Mixed(nn.Module):
    """Four branches side by side: 1x1x1, two of 1x1x1 and 3x3x3, pooling and 1x1x1."""

    def __init__(self, inputs: int, b0: int, b1: tuple[int, int], b2: tuple[int, int], b3: int) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, b0, 1)
        self.b1a, self.b1b = _Unit(inputs, b1[0], 1), _Unit(b1[0], b1[1], 3)
        self.b2a, self.b2b = _Unit(inputs, b2[0], 1), _Unit(b2[0], b2[1], 3)
        self.b3b = _Unit(inputs, b3, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.b3b(_max_pool(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), pooled], 1)


def _padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around [B, C, T, H, W] so that every stride has an output; an odd one goes behind."""
    padding: list[int] = []
    for size, width, step in zip(x.shape[2:], kernel, stride, strict=True):
        total = max(width - (size % step or step), 0)
        padding = [total // 2, total - total // 2, *padding]  # F.pad begins with the last axis
    return F.pad(x, padding) if any(padding) else x


def _max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    # Padded with zeros, not with minus infinity: what is pooled has been through a ReLU.
    return F.max_pool3d(_padded(x, kernel, stride), kernel, stride)
