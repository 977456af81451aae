"""Finds the objects in a picture: RT-DETR, or another detector of transformers trained on COCO, from a local folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.evaluate.networks.local import load_folder, load_processor
from motionloom.evaluate.networks.preprocess import batches, checked_frames

CONFIDENCE = 0.2
"""Below it a detection is not returned: no rule here believes one."""

_VEHICLES = {"car": 2, "bus": 5, "truck": 7}  # among COCO's 80; detectors count them differently, so names decide


@dataclass(frozen=True)
class Detections:
    """What was found in one frame, K objects.

    Attributes:
        boxes: (x0, y0, x1, y1) in pixels of the frame, float32 [K, 4].
        classes: int64 [K], car, bus and truck as 2, 5 and 7, everything else as -1.
        names: as the model calls them.
        confidence: float32 [K], 0 to 1.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    confidence: NDArray[np.float32]


class Detector:
    """A detector of transformers (RT-DETR, D-FINE, DETR and their like).

    Args:
        folder: with the model's configuration, weights and picture preparation.
        batch: frames that go through the network together.

    Raises:
        CheckpointError: the folder does not hold a detector.
    """

    def __init__(self, folder: str | Path, device: str = "cpu", batch: int = 4) -> None:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        # Published folders hold tensors of training (denoising, copies of shared heads) that inference has no use for.
        self._model = load_folder(AutoModelForObjectDetection, folder, device=device, unused=("",))
        self._processor = load_processor(AutoImageProcessor, folder, backend="pil")
        self._device, self._batch = device, batch
        self._names: dict[int, str] = dict(self._model.config.id2label)

    def detect(self, frames: NDArray[np.uint8], confidence: float = CONFIDENCE) -> list[Detections]:
        """Objects of every frame uint8 [T, H, W, 3], the surest first."""
        found = []
        for block in batches(checked_frames(frames), self._batch):
            inputs = self._processor(images=list(block), return_tensors="pt", input_data_format="channels_last")
            with torch.inference_mode():
                outputs = self._model(**{name: value.to(self._device) for name, value in inputs.items()})
            sizes = [frame.shape[:2] for frame in block]
            results = self._processor.post_process_object_detection(outputs, threshold=confidence, target_sizes=sizes)
            found += [self._named(result, frame.shape[:2]) for result, frame in zip(results, block, strict=True)]
        return found

    def _named(self, result: dict[str, Any], size: tuple[int, int]) -> Detections:
        sure = result["scores"].float().cpu().numpy()
        order = np.argsort(-sure, kind="stable")
        height, width = size
        boxes = np.clip(result["boxes"].float().cpu().numpy()[order], 0, [width, height, width, height])
        names = tuple(self._names[int(label)] for label in result["labels"].cpu().numpy()[order])
        classes = np.array([_VEHICLES.get(name, -1) for name in names], np.int64)
        return Detections(boxes.astype(np.float32).reshape(-1, 4), classes, names, sure[order])
