"""A tiny RT-DETR with random weights: what goes in and what comes out, not whether it sees anything."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_networks import SIDE, write_detector
from transformers import RTDetrForObjectDetection

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks.detector import Detector


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("rt-detr")
    write_detector(place)
    return place


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 256, (3, 48, 80, 3), dtype=np.uint8)


@pytest.mark.slow
def test_pictures_are_prepared_as_published_and_boxes_are_pixels_of_the_frame(folder, frames):
    detector = Detector(folder, batch=2)
    found = detector.detect(frames, confidence=0.0)
    assert [each.boxes.shape for each in found] == [(10, 4)] * 3
    model = RTDetrForObjectDetection.from_pretrained(folder, local_files_only=True).eval()
    for frame, each in zip(frames, found, strict=True):
        # RT-DETR: stretched to a square, divided by 255, not normalised.
        square = np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
        with torch.no_grad():
            out = model(pixel_values=torch.from_numpy(square).permute(2, 0, 1)[None])
        scores, index = out.logits[0].sigmoid().flatten().sort(descending=True, stable=True)
        centre, extent = out.pred_boxes[0].split(2, dim=-1)
        boxes = torch.cat([centre - extent / 2, centre + extent / 2], dim=-1) * torch.tensor([80, 48, 80, 48])
        boxes = boxes.clamp(min=torch.zeros(4), max=torch.tensor([80.0, 48, 80, 48]))
        np.testing.assert_allclose(each.confidence, scores[:10], atol=1e-4)
        np.testing.assert_allclose(each.boxes[0], boxes[index[0] // 5], atol=0.05)
        coco = {"person": -1, "bicycle": -1, "car": 2, "bus": 5, "truck": 7}
        assert each.classes.tolist() == [coco[name] for name in each.names]
        assert each.names[0] == model.config.id2label[int(index[0] % 5)]


def test_what_is_not_believed_is_not_returned(folder, frames):
    (found,) = Detector(folder).detect(frames[:1], confidence=1.0)
    assert found.boxes.shape == (0, 4)
    assert found.classes.shape == found.confidence.shape == (0,)


@pytest.mark.slow
def test_no_frame_has_no_detections(folder, frames):
    assert Detector(folder).detect(frames[:0]) == []
    with pytest.raises(InputError, match="expected uint8"):
        Detector(folder).detect(frames[0])


def test_folders_that_hold_no_detector_are_refused(tmp_path, folder):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        Detector(tmp_path)


@pytest.mark.slow
def test_a_folder_without_picture_preparation_is_refused(tmp_path, folder):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        Detector(tmp_path)
    broken = json.loads((folder / "preprocessor_config.json").read_text())
    broken["image_processor_type"] = "NoSuchProcessor"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(broken))
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        Detector(tmp_path)
