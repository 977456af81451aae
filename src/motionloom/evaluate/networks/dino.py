"""DINO ViT-B/16 from a local folder: the class token behind the last normalisation.

VBench looks at whole frames, wide ones as wide pictures; Circle-Rotate at their middle square.
"""

from __future__ import annotations

from pathlib import Path
from types import MethodType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from motionloom.evaluate.networks.local import load_folder
from motionloom.evaluate.networks.preprocess import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    batches,
    centre_crop,
    checked_frames,
    normalised,
    resize_pil,
    resize_without_blur,
)

Preparation = Literal["vbench", "crop"]

_SIDE, _BEFORE_CROP = 224, 256


class DinoEncoder:
    """Features of DINO, not normalised.

    Args:
        folder: of `facebook/dino-vitb16` or one like it.

    Raises:
        CheckpointError: the folder does not hold such a model.
    """

    def __init__(self, folder: str | Path, device: str = "cpu", batch: int = 16) -> None:
        from transformers import ViTModel

        self._device, self._batch = device, batch
        self._model = load_folder(ViTModel, folder, device=device, unused=("pooler.",), add_pooling_layer=False)
        embeddings = self._model.embeddings
        embeddings.interpolate_pos_encoding = MethodType(_interpolated_positions, embeddings)
        self.dimensions: int = self._model.config.hidden_size

    def images(self, frames: NDArray[np.uint8], preparation: Preparation = "vbench") -> NDArray[np.float32]:
        """[n, D] of frames uint8 [n, H, W, 3].

        Args:
            preparation: "vbench": shorter side to 224, bilinear without blur, no crop; "crop": shorter side to 256 with
                blur, middle square of 224.
        """
        found = [np.zeros((0, self.dimensions), np.float32)]
        for block in batches(checked_frames(frames), self._batch):
            if preparation == "vbench":
                sized = resize_without_blur(block, _SIDE, "bilinear")
            else:
                sized = centre_crop(resize_pil(block, _BEFORE_CROP, "bilinear"), _SIDE)
            pixels = normalised(sized, IMAGENET_MEAN, IMAGENET_STD).to(self._device)
            with torch.inference_mode():
                states = self._model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state
            found.append(states[:, 0].float().cpu().numpy())
        return np.concatenate(found)


def _interpolated_positions(self: Any, embeddings: Tensor, height: int, width: int) -> Tensor:
    """Positions for pictures that are not square, as DINO's own program has them and not as transformers.

    Its scale is (cells + 0.1) / cells of the square: what bicubic interpolation samples lies a little elsewhere.
    Source: `interpolate_pos_encoding` in facebookresearch/dino, vision_transformer.py.
    """
    table = self.position_embeddings
    side = round((table.shape[1] - 1) ** 0.5)
    rows, columns = height // self.patch_size, width // self.patch_size
    if rows * columns == side**2 and height == width:
        return table
    grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)
