"""Networks as their published files have them, with weights that see nothing: for what goes in and what comes out."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig, SamConfig, SamModel
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from motionloom.evaluate.networks.raft import our_key

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics" / "networks"
SIDE = 64  # px that pictures are brought to


def write_detector(folder: Path) -> None:
    torch.manual_seed(0)
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[8, 16, 16],
        encoder_hidden_dim=16,
        d_model=16,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        decoder_in_channels=[16, 16, 16],
        num_queries=10,
        decoder_layers=1,
        encoder_layers=1,
        decoder_attention_heads=2,
        encoder_attention_heads=2,
        num_denoising=0,
        decoder_n_points=2,
        id2label={0: "person", 1: "bicycle", 2: "car", 3: "bus", 4: "truck"},
    )
    RTDetrForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def write_segmenter(folder: Path) -> None:
    torch.manual_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 8,
            "output_channels": 16,
            "num_pos_feats": 8,
            "mlp_dim": 32,
            "window_size": 2,
            "global_attn_indexes": [0],
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": SIDE, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "mlp_dim": 16,
            "iou_head_hidden_dim": 16,
        },
    )
    model = SamModel(config)
    for parameter in model.parameters():  # as it begins, its masks are zero everywhere
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def published_raft(layout: str) -> dict[str, torch.Tensor]:
    shapes = json.loads((GOLDEN / "raft_keys.json").read_text())[layout]
    # What is there twice has the values of its other name.
    return {key: _made(our_key(key) or our_key(key.replace("norm3", "downsample.1")), shapes[key]) for key in shapes}


def _made(name: str | None, shape: list[int]) -> torch.Tensor:
    """A tensor that is a function of its name and shape; `RandomState` gives the same numbers for ever."""
    assert name is not None
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1)
    if name.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif len(shape) == 1:
        scale = "norm" in name or "downsample.1" in name
        values = rng.standard_normal(shape) * 0.1 + (scale and name.endswith(".weight"))
    else:
        gain = 0.2 if "flow_head.conv2" in name else 1.0
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])) * gain
    return torch.from_numpy(np.asarray(values, np.float32))
