"""Writing nano as a diffusers folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin

from motionloom.media.files import replacing_folder
from motionloom.models.nano.build import FPS, NATIVE_SIZE, NUM_FRAMES, Transformer, build_scheduler, like
from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.transformer import NanoTransformer

MODEL_INDEX = {
    "_class_name": "WanImageToVideoPipeline",
    "transformer": [NanoTransformer.__module__, NanoTransformer.__name__],
    "vae": None,
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": [None, None],
    "tokenizer": [None, None],
    "image_encoder": [None, None],
    "image_processor": [None, None],
    "transformer_2": [None, None],
    "boundary_ratio": None,
    "expand_timesteps": False,
}


def save_nano(
    folder: str | Path,
    transformer: Transformer,
    codec: ModelMixin,
    *,
    facts: dict[str, Any],
    dtype: torch.dtype = torch.float16,
) -> Path:
    """Write transformer, codec and scheduler as a diffusers folder; replaces ``folder`` in one step when complete.

    Args:
        folder: target; an earlier model there is kept until the new one is complete.
        facts: what the model card should know about the training (device, steps, seed, numbers); saved as
            ``training.json``.
        dtype: of the stored weights.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as draft:
        stored = like(transformer)
        stored.load_state_dict(transformer.state_dict())
        stored.to(dtype).save_pretrained(draft / "transformer")
        codec.save_pretrained(draft / "vae")
        settings = json.loads((draft / "vae" / "config.json").read_text(encoding="utf-8"))
        settings.pop("_name_or_path", None)  # where the codec lay while training is nobody's business
        _write_json(draft / "vae" / "config.json", settings)
        build_scheduler().save_pretrained(draft / "scheduler")
        library = BlockCodec.__module__ if isinstance(codec, BlockCodec) else "diffusers"
        _write_json(draft / "model_index.json", {**MODEL_INDEX, "vae": [library, type(codec).__name__]})
        defaults = {"size": list(NATIVE_SIZE), "num_frames": NUM_FRAMES, "fps": FPS}
        _write_json(draft / "training.json", {"native": defaults, **facts})
    return folder


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
