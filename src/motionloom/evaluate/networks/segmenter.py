"""Outlines an object given its box: Segment Anything (arXiv 2304.02643) of transformers, from a local folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.evaluate.networks.local import load_folder, load_processor
from motionloom.evaluate.networks.preprocess import checked_frames


class Segmenter:
    """SAM of the first generation, such as `facebook/sam-vit-base`.

    Raises:
        CheckpointError: the folder does not hold such a model.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        from transformers import SamModel
        from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

        self._model = load_folder(SamModel, folder, device=device)
        self._processor = load_processor(SamImageProcessorPil, folder)
        self._device = device

    def outline(self, frame: NDArray[np.uint8], box: ArrayLike) -> NDArray[np.bool_]:
        """The object in a box (x0, y0, x1, y1), pixels, of a frame uint8 [H, W, 3]: bool [H, W].

        Of the three masks the network proposes (part, object, whole) it is the one it is surest of.

        Raises:
            InputError: not a frame, or not a box with area.
        """
        checked_frames(frame[None])
        edges = np.asarray(box, np.float64)
        if edges.shape != (4,) or not np.isfinite(edges).all() or not (edges[2:] > edges[:2]).all():
            raise InputError(f"box: found {box}, expected (x0, y0, x1, y1) in pixels, with area")
        inputs = self._processor(images=[frame], return_tensors="pt", input_data_format="channels_last")
        height, width = frame.shape[:2]
        rows, columns = (int(side) for side in inputs["reshaped_input_sizes"][0])
        scaled = edges * np.array([columns / width, rows / height, columns / width, rows / height])
        with torch.inference_mode():
            outputs = self._model(
                pixel_values=inputs["pixel_values"].to(self._device),
                input_boxes=torch.from_numpy(scaled).float().reshape(1, 1, 4).to(self._device),
                multimask_output=True,
            )
        masks = self._processor.post_process_masks(
            outputs.pred_masks.float().cpu(), inputs["original_sizes"], inputs["reshaped_input_sizes"]
        )
        best = int(outputs.iou_scores[0, 0].argmax())
        return masks[0][0, best].numpy().astype(np.bool_)
