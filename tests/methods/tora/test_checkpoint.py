"""The published key lists, and SAT's network written out by hand, against the names we give their weights."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from motionloom.methods.tora.checkpoint import (
    SAT_PREFIX,
    SAT_UNUSED,
    adapter_config,
    is_adapter_name,
    kind_of,
    published_names,
    select_network,
    transformer_config,
)

MANIFESTS = Path(__file__).parents[2] / "golden" / "manifests"
DIFFUSERS = {"t2v": "tora-t2v.transformer.diffusers", "i2v": "tora-i2v.transformer.diffusers"}
STOCK = {"t2v": "cogvideox-5b.transformer.diffusers", "i2v": "cogvideox-5b-i2v.transformer.diffusers"}


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    entries = json.loads(gzip.decompress((MANIFESTS / f"{name}.json.gz").read_bytes()))
    return {key: tuple(shape) for key, (shape, _) in entries.items()}


def renamed(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    made: dict[str, tuple[int, ...]] = {}
    for name, tensor in published_names((key, torch.empty(shapes[key], device="meta")) for key in shapes):
        assert name not in made
        made[name] = tuple(tensor.shape)
    return made


@pytest.mark.parametrize("task", ["t2v", "i2v"])
def test_every_key_of_the_sat_checkpoint_is_the_diffusers_models(task):
    target = manifest(DIFFUSERS[task])
    assert renamed(manifest(f"tora-{task}.sat")) == target
    assert renamed(target) == target


@pytest.mark.parametrize("task", ["t2v", "i2v"])
@pytest.mark.slow
def test_what_is_not_the_adapters_is_the_stock_transformers(task):
    published = manifest(DIFFUSERS[task])
    assert {name: shape for name, shape in published.items() if not is_adapter_name(name)} == manifest(STOCK[task])


def test_the_add_ons_are_the_adapter():
    adapter = {name: shape for name, shape in manifest(DIFFUSERS["t2v"]).items() if is_adapter_name(name)}
    halves = manifest("tora.addon-fuser") | manifest("tora.addon-traj_extractor")
    assert renamed(halves) == adapter
    # Saved with the prefixes of the whole model, or those of the published program.
    for fusers, extractor in (("fuser.", "traj_extractor."), ("model.fuser_list.", "model.traj_extractor.")):
        prefixed = {fusers + key: shape for key, shape in manifest("tora.addon-fuser").items()}
        prefixed |= {extractor + key: shape for key, shape in manifest("tora.addon-traj_extractor").items()}
        assert renamed(prefixed) == adapter


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tora-t2v.transformer.diffusers", "tora"),
        ("tora-i2v.sat", "tora"),
        ("tora.addon-fuser", "fuser"),
        ("tora.addon-traj_extractor", "traj_extractor"),
        ("cogvideox-5b.transformer.diffusers", None),
        ("cogvideox-5b.vae.diffusers", None),
        ("wan21-i2v-14b.dit.original", None),
        ("wan21.vae.diffusers", None),
    ],
)
def test_kinds(name, kind):
    assert kind_of(manifest(name)) == kind


def test_an_adapter_in_one_file():
    assert kind_of([*manifest("tora.addon-fuser"), *manifest("tora.addon-traj_extractor")]) == "adapter"


@pytest.mark.parametrize("task", ["t2v", "i2v"])
def test_configurations_are_read_from_the_shapes(task):
    shapes = manifest(DIFFUSERS[task])
    assert adapter_config(shapes) == {
        "hidden_size": 3072,
        "num_layers": 42,
        "condition_channels": 128,
        "latent_channels": 16,
        "patch_size": 2,
        "blocks_per_layer": 2,
        "design": "adaptive_norm",
    }
    found = transformer_config(shapes)
    assert (found["num_attention_heads"], found["attention_head_dim"], found["num_layers"]) == (48, 64, 42)
    assert (found["in_channels"], found["out_channels"]) == (16 if task == "t2v" else 32, 16)
    assert (found["time_embed_dim"], found["text_embed_dim"]) == (512, 4096)
    assert found["use_learned_positional_embeddings"] is (task == "i2v")


def test_other_networks_of_a_whole_checkpoint_are_left_out():
    beside = ["conditioner.embedders.0.transformer.shared.weight", "first_stage_model.encoder.conv_in.weight"]
    inside = [f"{SAT_PREFIX}traj_extractor.conv_in.weight", f"{SAT_PREFIX}time_embed.0.bias"]
    assert select_network([*beside, *inside]) == inside
    assert select_network(["time_embed.0.bias"]) == ["time_embed.0.bias"]


def test_a_key_that_nothing_is_known_of_stays_to_be_reported():
    names = dict(published_names([("mixins.lora.0.weight", torch.zeros(1)), (SAT_UNUSED[0], torch.zeros(1))]))
    assert list(names) == ["mixins.lora.0.weight"]


HEADS, HEAD, LAYERS, TEXT, TIME = 2, 16, 2, 5, 12
WIDTH = HEADS * HEAD


def sat_weights(channels: int) -> dict[str, Tensor]:
    """A tiny random network under SAT's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "mixins.patch_embed.proj.weight": (WIDTH, channels, 2, 2),
        "mixins.patch_embed.proj.bias": (WIDTH,),
        "mixins.patch_embed.text_proj.weight": (WIDTH, 6),
        "mixins.patch_embed.text_proj.bias": (WIDTH,),
        "time_embed.0.weight": (TIME, WIDTH),
        "time_embed.0.bias": (TIME,),
        "time_embed.2.weight": (TIME, TIME),
        "time_embed.2.bias": (TIME,),
        "mixins.final_layer.adaLN_modulation.1.weight": (2 * WIDTH, TIME),
        "mixins.final_layer.adaLN_modulation.1.bias": (2 * WIDTH,),
        "mixins.final_layer.linear.weight": (4 * channels, WIDTH),
        "mixins.final_layer.linear.bias": (4 * channels,),
    }
    norms = ["transformer.final_layernorm", "mixins.final_layer.norm_final"]
    for index in range(LAYERS):
        layer, mixin = f"transformer.layers.{index}", "mixins.adaln_layer"
        norms += [f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm"]
        for name, rows, columns in (
            (f"{layer}.attention.query_key_value", 3 * WIDTH, WIDTH),
            (f"{layer}.attention.dense", WIDTH, WIDTH),
            (f"{layer}.mlp.dense_h_to_4h", 4 * WIDTH, WIDTH),
            (f"{layer}.mlp.dense_4h_to_h", WIDTH, 4 * WIDTH),
            (f"{mixin}.adaLN_modulations.{index}.1", 12 * WIDTH, TIME),
        ):
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        for name in ("query", "key"):
            shapes |= dict.fromkeys((f"{mixin}.{name}_layernorm_list.{index}.{leaf}" for leaf in LEAVES), (HEAD,))
    shapes |= {f"{norm}.{leaf}": (WIDTH,) for norm in norms for leaf in LEAVES}
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(shape, generator=generator) * 0.3 for key, shape in shapes.items()}


LEAVES = ("weight", "bias")


def sat_forward(w: dict[str, Tensor], video: Tensor, text: Tensor, time: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The published network on [B, T, C, H, W], as `sat/dit_video_concat.py` orders its steps; norms have eps 1e-6."""

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return x * (1 + scale[:, None]) + shift[:, None]

    def turned(x: Tensor) -> Tensor:
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        return x * cos + torch.stack((-second, first), -1).flatten(-2) * sin

    batch, frames, channels, height, width = video.shape
    half = torch.exp(-math.log(10000) * torch.arange(WIDTH // 2) / (WIDTH // 2))
    waves = time[:, None].float() * half
    moment = F.silu(linear("time_embed.0", torch.cat([waves.cos(), waves.sin()], -1)))
    moment = linear("time_embed.2", moment)
    patches = F.conv2d(
        video.flatten(0, 1), w["mixins.patch_embed.proj.weight"], w["mixins.patch_embed.proj.bias"], stride=2
    )
    tokens = patches.unflatten(0, (batch, frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)
    words, tokens = linear("mixins.patch_embed.text_proj", text), tokens
    for index in range(LAYERS):
        layer, mixin = f"transformer.layers.{index}", "mixins.adaln_layer"
        twelve = linear(f"{mixin}.adaLN_modulations.{index}.1", F.silu(moment)).chunk(12, 1)
        shift, scale, gate, shift_2, scale_2, gate_2 = twelve[:6]  # of the video: attention, then feed-forward
        t_shift, t_scale, t_gate, t_shift_2, t_scale_2, t_gate_2 = twelve[6:]  # of the text
        joint = torch.cat(
            [
                modulated(norm(f"{layer}.input_layernorm", words), t_shift, t_scale),
                modulated(norm(f"{layer}.input_layernorm", tokens), shift, scale),
            ],
            1,
        )
        q, k, v = (
            part.unflatten(-1, (HEADS, HEAD)).transpose(1, 2)
            for part in linear(f"{layer}.attention.query_key_value", joint).chunk(3, -1)
        )
        q = norm(f"{mixin}.query_layernorm_list.{index}", q)
        k = norm(f"{mixin}.key_layernorm_list.{index}", k)
        q = torch.cat([q[:, :, :TEXT], turned(q[:, :, TEXT:])], 2)
        k = torch.cat([k[:, :, :TEXT], turned(k[:, :, TEXT:])], 2)
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        found = linear(f"{layer}.attention.dense", found)
        words = words + t_gate[:, None] * found[:, :TEXT]
        tokens = tokens + gate[:, None] * found[:, TEXT:]
        joint = torch.cat(
            [
                modulated(norm(f"{layer}.post_attention_layernorm", words), t_shift_2, t_scale_2),
                modulated(norm(f"{layer}.post_attention_layernorm", tokens), shift_2, scale_2),
            ],
            1,
        )
        found = linear(
            f"{layer}.mlp.dense_4h_to_h", F.gelu(linear(f"{layer}.mlp.dense_h_to_4h", joint), approximate="tanh")
        )
        words = words + t_gate_2[:, None] * found[:, :TEXT]
        tokens = tokens + gate_2[:, None] * found[:, TEXT:]
    tokens = norm("transformer.final_layernorm", tokens)
    shift, scale = linear("mixins.final_layer.adaLN_modulation.1", F.silu(moment)).chunk(2, 1)
    out = linear("mixins.final_layer.linear", modulated(norm("mixins.final_layer.norm_final", tokens), shift, scale))
    out = out.unflatten(1, (frames, height // 2, width // 2)).unflatten(-1, (channels, 2, 2))
    return out.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def test_the_published_network_and_the_converted_one_agree():
    """What no key list shows: which of the twelve chunks are whose, and the order of query, key and value."""
    from diffusers import CogVideoXTransformer3DModel

    weights = sat_weights(channels=4)
    names = dict(published_names(weights.items()))
    config = transformer_config({name: tuple(tensor.shape) for name, tensor in names.items()})
    assert (config["num_attention_heads"], config["num_layers"], config["in_channels"]) == (HEADS, LAYERS, 4)
    model = CogVideoXTransformer3DModel(
        **config, norm_eps=1e-6, max_text_seq_length=TEXT, use_rotary_positional_embeddings=True
    ).eval()
    model.load_state_dict(names, strict=True)
    generator = torch.Generator().manual_seed(1)
    video = torch.randn(2, 3, 4, 4, 6, generator=generator)
    text = torch.randn(2, TEXT, 6, generator=generator)
    angles = torch.rand(3 * 2 * 3, HEAD // 2, generator=generator).repeat_interleave(2, 1)
    time = torch.tensor([37, 800])
    with torch.no_grad():
        expected = sat_forward(weights, video, text, time, angles.cos(), angles.sin())
        found = model(video, text, time, image_rotary_emb=(angles.cos(), angles.sin()), return_dict=False)[0]
    assert torch.allclose(found, expected, atol=2e-5)
    assert expected.std() > 0.1
