"""A tiny SAM with random weights: what goes in and what comes out, not whether it sees anything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_networks import SIDE, write_segmenter
from torch.nn.functional import interpolate
from transformers import SamModel

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks.segmenter import Segmenter

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("sam")
    write_segmenter(place)
    return place


@pytest.mark.parametrize("size", [(48, 80), (96, 40), (64, 64)])
def test_frame_and_box_are_scaled_alike_and_the_mask_has_the_frame_s_size(folder, size):
    height, width = size
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    box = np.array([10.0, 5.0, 30.0, 41.0])
    mask = Segmenter(folder).outline(frame, box)
    assert mask.shape == size
    assert mask.dtype == bool

    # SAM: the longer side at the network's, normalised, zeros below and to the right.
    rows, columns = (int(side * SIDE / max(size) + 0.5) for side in size)
    small = np.asarray(Image.fromarray(frame).resize((columns, rows), Image.Resampling.BILINEAR), np.float32) / 255
    padded = np.zeros((SIDE, SIDE, 3), np.float32)
    padded[:rows, :columns] = (small - MEAN) / STD
    scaled = torch.tensor(box * np.array([columns / width, rows / height] * 2)).float()
    model = SamModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        out = model(
            pixel_values=torch.from_numpy(padded).permute(2, 0, 1)[None],
            input_boxes=scaled[None, None],
            multimask_output=True,
        )
    best = out.pred_masks[0, :, int(out.iou_scores[0, 0].argmax())][None]
    whole = interpolate(best, (SIDE, SIDE), mode="bilinear")[..., :rows, :columns]
    expected = interpolate(whole, size, mode="bilinear")[0, 0].numpy()
    clear = np.abs(expected) > 1e-3
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(mask[clear], (expected > 0)[clear])


@pytest.mark.parametrize("box", [(4, 4, 4, 8), (8, 8, 4, 4), (0, 0, 4), (0, 0, np.inf, 4)])
def test_boxes_without_area_are_refused(folder, box):
    with pytest.raises(InputError, match="box"):
        Segmenter(folder).outline(np.zeros((16, 16, 3), np.uint8), box)


def test_folders_that_hold_no_segmenter_are_refused(tmp_path, folder):
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        Segmenter(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        Segmenter(tmp_path)
