"""CLIP from a local folder: features of frames and of prompts, in the space the two share.

Published metrics prepare frames in two ways: with the model's own processor (Pillow's bicubic, blurred before it
shrinks), or as VBench does (bicubic without blur). Both crop the middle square of the shorter side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.evaluate.networks.local import load_folder, load_tokenizer
from motionloom.evaluate.networks.preprocess import (
    CLIP_MEAN,
    CLIP_STD,
    batches,
    centre_crop,
    checked_frames,
    normalised,
    resize_pil,
    resize_without_blur,
)

Preparation = Literal["processor", "vbench"]

LONGEST_PROMPT = 77
"""Tokens, the two at its ends included; what is behind is cut off."""


class ClipEncoder:
    """Features of CLIP, projected and not normalised.

    Args:
        folder: of `openai/clip-vit-base-patch32`, `openai/clip-vit-large-patch14` or one like them.

    Raises:
        CheckpointError: the folder does not hold such a model.
    """

    def __init__(self, folder: str | Path, device: str = "cpu", batch: int = 32) -> None:
        from transformers import CLIPModel

        self._folder, self._device, self._batch = folder, device, batch
        self._model = load_folder(CLIPModel, folder, device=device, unused=_INDICES)
        self._side: int = self._model.config.vision_config.image_size
        self._tokenizer: Any = None
        self.dimensions: int = self._model.config.projection_dim

    def images(self, frames: NDArray[np.uint8], preparation: Preparation = "processor") -> NDArray[np.float32]:
        """[n, D] of frames uint8 [n, H, W, 3]."""
        found = [np.zeros((0, self.dimensions), np.float32)]
        for block in batches(checked_frames(frames), self._batch):
            pixels = normalised(_square(block, self._side, preparation), CLIP_MEAN, CLIP_STD)
            with torch.inference_mode():
                values = self._model.get_image_features(pixel_values=pixels.to(self._device)).pooler_output
            found.append(values.float().cpu().numpy())
        return np.concatenate(found)

    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """[n, D] of prompts; of each the first 77 tokens count."""
        if self._tokenizer is None:
            from transformers import CLIPTokenizer

            self._tokenizer = load_tokenizer(
                CLIPTokenizer, self._folder, words=self._model.config.text_config.vocab_size
            )
        tokens = self._tokenizer(
            list(prompts), padding=True, truncation=True, max_length=LONGEST_PROMPT, return_tensors="pt"
        )
        with torch.inference_mode():
            values = self._model.get_text_features(
                input_ids=tokens["input_ids"].to(self._device),
                attention_mask=tokens["attention_mask"].to(self._device),
            ).pooler_output
        return values.float().cpu().numpy()


_INDICES = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")  # in older files


def _square(frames: NDArray[np.uint8], side: int, preparation: Preparation) -> NDArray[np.uint8]:
    if preparation == "vbench":
        return centre_crop(resize_without_blur(frames, side, "bicubic"), side)
    return centre_crop(resize_pil(frames, side, "bicubic"), side, floor=True)
