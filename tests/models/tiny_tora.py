"""A tiny Tora model, saved in every layout its weights are published in."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

tiny = runpy.run_path(str(Path(__file__).parents[1] / "methods" / "tora" / "tiny.py"))

SAT_PREFIX = "model.diffusion_model."
_OUTER = {
    "patch_embed.proj": "mixins.patch_embed.proj",
    "patch_embed.text_proj": "mixins.patch_embed.text_proj",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "norm_final": "transformer.final_layernorm",
    "norm_out.norm": "mixins.final_layer.norm_final",
    "norm_out.linear": "mixins.final_layer.adaLN_modulation.1",
    "proj_out": "mixins.final_layer.linear",
}
_BLOCK = {
    "norm1.norm": "input_layernorm",
    "norm2.norm": "post_attention_layernorm",
    "attn1.to_out.0": "attention.dense",
    "ff.net.0.proj": "mlp.dense_h_to_4h",
    "ff.net.2": "mlp.dense_4h_to_h",
}


def pipeline(kind: str) -> Any:
    """A stock pipeline, "t2v" or "learned" (image to video, with a table of positions as the published one)."""
    pipe = tiny["t2v" if kind == "t2v" else "i2v"](kind)
    if kind == "learned":
        table = pipe.transformer.patch_embed.pos_embedding
        table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(9)) * 0.1)
    return pipe


def adapter(pipe: Any, **changes: Any) -> Any:
    made = tiny["adapter"](pipe.transformer, **changes)
    for name, buffer in made.named_buffers():
        if buffer.is_floating_point():  # the statistics, as training leaves them
            buffer.copy_(torch.rand(buffer.shape, generator=torch.Generator().manual_seed(len(name))) + 0.5)
    return made


def sat_state(transformer: Any, adapter: Any, prefix: str = SAT_PREFIX) -> dict[str, Tensor]:
    """The published program's names, with the tables it stores beside the weights."""
    state = transformer.state_dict()
    found: dict[str, Tensor] = {
        "mixins.pos_embed.freqs_sin": torch.zeros(12, 16),
        "mixins.pos_embed.freqs_cos": torch.ones(12, 16),
        "transformer.position_embeddings.weight": torch.zeros(4, 32),
    }
    if "patch_embed.pos_embedding" in state:
        found["mixins.pos_embed.pos_embedding"] = state["patch_embed.pos_embedding"]
    for leaf in ("weight", "bias"):
        found |= {f"{old}.{leaf}": state[f"{new}.{leaf}"] for new, old in _OUTER.items()}
        for index in range(transformer.config.num_layers):
            block, layer, mixin = f"transformer_blocks.{index}", f"transformer.layers.{index}", "mixins.adaln_layer"
            found |= {f"{layer}.{old}.{leaf}": state[f"{block}.{new}.{leaf}"] for new, old in _BLOCK.items()}
            rows = [state[f"{block}.attn1.to_{name}.{leaf}"] for name in "qkv"]
            found[f"{layer}.attention.query_key_value.{leaf}"] = torch.cat(rows)
            for name in ("query", "key"):
                found[f"{mixin}.{name}_layernorm_list.{index}.{leaf}"] = state[f"{block}.attn1.norm_{name[0]}.{leaf}"]
            one = state[f"{block}.norm1.linear.{leaf}"].chunk(6)
            two = state[f"{block}.norm2.linear.{leaf}"].chunk(6)
            twelve = [*one[:3], *two[:3], *one[3:], *two[3:]]
            found[f"{mixin}.adaLN_modulations.{index}.1.{leaf}"] = torch.cat(twelve)
    for name, tensor in adapter.state_dict().items():
        found[re.sub(r"^fuser\.", "mixins.adaln_layer.fuser_list.", name)] = tensor
    return {prefix + key: tensor.clone() for key, tensor in found.items()}


def save_sat(folder: Path, pipe: Any, adapter: Any, **beside: Tensor) -> Path:
    """``folder/1/mp_rank_00_model_states.pt`` with an entry "module", as DeepSpeed writes it."""
    path = folder / "1" / "mp_rank_00_model_states.pt"
    path.parent.mkdir(parents=True)
    torch.save({"module": {**sat_state(pipe.transformer, adapter), **beside}, "dp_world_size": 4}, path)
    (folder / "latest").write_text("1")
    return folder


def save_diffusers(folder: Path, pipe: Any, adapter: Any) -> Path:
    """As the authors' diffusers repository: the adapter inside the transformer, which names a class of their own."""
    pipe.save_pretrained(folder)
    inside = folder / "transformer"
    save_file(
        {key: tensor.contiguous() for key, tensor in (pipe.transformer.state_dict() | adapter.state_dict()).items()},
        inside / "diffusion_pytorch_model.safetensors",
        metadata={"format": "pt"},
    )
    edit(inside / "config.json", _class_name="ToraTransformer3DModel")
    edit(
        folder / "model_index.json",
        _class_name="ToraPipeline",
        transformer=["tora.transformer_3d", "ToraTransformer3DModel"],
    )
    return folder


def save_addon(folder: Path, adapter: Any, tag: str = "", counters: bool = True) -> Path:
    """The community's two files; re-saved ones lack BatchNorm's ``counters``."""
    folder.mkdir(parents=True, exist_ok=True)
    state = adapter.state_dict()
    for half in ("fuser", "traj_extractor"):
        prefix = f"{half}."
        kept = {
            key.removeprefix(prefix): tensor.contiguous()
            for key, tensor in state.items()
            if key.startswith(prefix) and (counters or not key.endswith("num_batches_tracked"))
        }
        save_file(kept, folder / f"{half}{tag}.safetensors")
    return folder


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
