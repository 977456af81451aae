from __future__ import annotations

import gc
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.errors import CheckpointError, InputError
from motionloom.models.lora import LoraSpec, adapter, load_loras, read_lora, set_lora_strength, unload_loras
from motionloom.models.lora.check import parameter_of

CASES = [
    ("high_r4_a2", "", "1", 2, False),
    ("high_r4_a2", "", "0.8", 2, False),
    ("high_r4_a2", "_other", "1", 2, False),
    ("low_r8_a8_fp16", "", "1", 1, False),
    ("wan21_i2v_r2_a1", "", "1", 1, True),
]


@pytest.mark.parametrize(("case", "suffix", "strength", "layers", "image"), CASES)
def test_output_equals_published_merge(
    golden, transformer, pipeline, output, weights, case, suffix, strength, layers, image
):
    model, merged = transformer(layers=layers, image=image), transformer(layers=layers, image=image)
    assert not model.load_state_dict(weights(case, "base."), strict=False).unexpected_keys
    assert not merged.load_state_dict(weights(case, f"merged_{strength}."), strict=False).unexpected_keys
    base, expected = output(model), output(merged)
    pipe = pipeline(model)
    load_loras(pipe, [LoraSpec(golden / f"{case}_lora{suffix}.safetensors", float(strength))])
    assert (output(model) - expected).abs().max() < 1e-6
    assert (base - expected).abs().max() > 0.1
    unload_loras(pipe)
    assert torch.equal(output(model), base)


def merged_by_hand(model, files, strengths):
    """The change of every weight added up in float32, without any adapter."""
    for file, strength in zip(files, strengths, strict=True):
        lora = read_lora(file)
        for name, layer in lora.layers.items():
            weight = model.get_submodule(name).weight
            weight.data += strength * layer.delta().reshape(weight.shape)
        for name, offset in lora.offsets.items():
            parameter_of(model, name).data += strength * offset
    return model


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_pair_on_two_experts_and_facts(golden, transformer, pipeline, output):
    pipe = pipeline(transformer(seed=1), transformer(seed=2))
    before = state(pipe.transformer), state(pipe.transformer_2)
    high, low = (golden / f"{name}_lora.safetensors" for name in ("high_r4_a2", "low_r4_a1"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = load_loras(pipe, [LoraSpec(high, 0.5), LoraSpec(low)])
    assert [fact["experts"] for fact in facts] == [["high"], ["low"]]
    assert {fact["expert_from"] for fact in facts} == {"its header"}
    assert facts[0]["sha256"] == read_lora(high).sha256
    assert {key: facts[0][key] for key in ("name", "file", "rank", "modules", "offsets", "layout", "strength")} == {
        "name": "high_r4_a2_lora",
        "file": "high_r4_a2_lora.safetensors",
        "rank": 4,
        "modules": 20,
        "offsets": 0,
        "layout": "musubi",
        "strength": 0.5,
    }
    by_hand = [merged_by_hand(transformer(seed=1), [high], [0.5]), merged_by_hand(transformer(seed=2), [low], [1])]
    for model, expected in zip((pipe.transformer, pipe.transformer_2), by_hand, strict=True):
        assert (output(model) - output(expected)).abs().max() < 1e-6
    unload_loras(pipe)
    for model, expected in zip((pipe.transformer, pipe.transformer_2), before, strict=True):
        assert model.state_dict().keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_stacked_equals_double_merge_and_no_misleading_warning(lora_file, transformer, pipeline, output, caplog):
    files = [lora_file(f"{name}.safetensors", seed=i, rank=4 + i) for i, name in enumerate(("fast", "orbit", "orbit2"))]
    pipe = pipeline()
    load_loras(pipe, [LoraSpec(files[0]), LoraSpec(files[1], 0.8)])
    load_loras(pipe, [LoraSpec(files[2], -0.3)])
    expected = output(merged_by_hand(transformer(), files, [1, 0.8, -0.3]))
    assert (output(pipe.transformer) - expected).abs().max() < 2e-6
    assert "missing keys" not in caplog.text
    set_lora_strength(pipe, "orbit", 0)
    set_lora_strength(pipe, "orbit2", 0.5)
    expected = output(merged_by_hand(transformer(), [files[0], files[2]], [1, 0.5]))
    assert (output(pipe.transformer) - expected).abs().max() < 2e-6
    with pytest.raises(InputError, match="found 'gone', attached are: fast, orbit, orbit2"):
        set_lora_strength(pipe, "gone", 1)


def test_adapters_of_the_other_expert_stay_in_force(lora_file, transformer, pipeline, output):
    """`pipe.set_adapters` of diffusers would switch the other expert's off."""
    high, low = lora_file("style_high.safetensors", seed=1), lora_file("style_low.safetensors", seed=2)
    pipe = pipeline(transformer(seed=1), transformer(seed=2))
    load_loras(pipe, [LoraSpec(high, name="same")])
    load_loras(pipe, [LoraSpec(low)])
    set_lora_strength(pipe, "same", 0.4)
    assert (output(pipe.transformer) - output(merged_by_hand(transformer(seed=1), [high], [0.4]))).abs().max() < 1e-6
    assert (output(pipe.transformer_2) - output(merged_by_hand(transformer(seed=2), [low], [1]))).abs().max() < 1e-6


def test_adapters_loaded_by_diffusers_stay_in_force(lora_file, transformer, pipeline, output):
    first, second = lora_file("first.safetensors", seed=1), lora_file("second.safetensors", seed=2)
    pipe = pipeline()
    pipe.load_lora_weights(str(first), adapter_name="theirs")
    load_loras(pipe, [LoraSpec(second, 0.5)])
    expected = output(merged_by_hand(transformer(), [first, second], [1, 0.5]))
    assert (output(pipe.transformer) - expected).abs().max() < 1e-6


def test_strength_zero_is_the_base_bit_for_bit(lora_file, pipeline, output):
    pipe = pipeline()
    base = output(pipe.transformer)
    load_loras(pipe, [LoraSpec(lora_file(), 0.0)])
    assert torch.equal(output(pipe.transformer), base)
    set_lora_strength(pipe, "style", 1)
    assert not torch.equal(output(pipe.transformer), base)


def test_both_experts_without_a_hint_warns(lora_file, transformer, pipeline, output):
    pipe = pipeline(transformer(seed=1), transformer(seed=2))
    path = lora_file()
    with pytest.warns(
        UserWarning, match=r"style.safetensors: neither header nor name say .* on both; say :high or :low"
    ):
        facts = load_loras(pipe, [LoraSpec(path)])
    assert facts[0]["experts"] == ["high", "low"]
    for seed, model in ((1, pipe.transformer), (2, pipe.transformer_2)):
        assert (output(model) - output(merged_by_hand(transformer(seed=seed), [path], [1]))).abs().max() < 1e-6


@pytest.mark.parametrize(
    "keep",
    [
        lambda module: "self_attn" in module,
        lambda module: "blocks_1_" in module,
        lambda module: module.endswith("blocks_1_cross_attn_k"),
        lambda module: "ffn_2" in module,
    ],
)
def test_partial_files(lora_file, transformer, pipeline, output, keep):
    path = lora_file(keep=keep)
    pipe = pipeline()
    facts = load_loras(pipe, [LoraSpec(path)])
    assert facts[0]["modules"] == len(read_lora(path).layers) < 20
    expected = output(merged_by_hand(transformer(), [path], [1]))
    assert (output(pipe.transformer) - expected).abs().max() < 1e-6
    assert (expected - output(transformer())).abs().max() > 0.005


def test_every_module_keeps_its_own_rank_and_alpha(transformer, pipeline, output, tmp_path):
    """Blocks 1 and 11 with other ranks and alphas, among names that begin alike."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for block, rank, alpha in ((1, 2, 1.0), (10, 3, 6.0), (11, 5, 0.5)):
        for part in ("q", "v"):
            stem = f"diffusion_model.blocks.{block}.self_attn.{part}"
            tensors[f"{stem}.lora_down.weight"] = torch.randn(rank, 24, generator=generator)
            tensors[f"{stem}.lora_up.weight"] = torch.randn(24, rank, generator=generator)
            tensors[f"{stem}.alpha"] = torch.tensor(alpha * (2 if part == "v" else 1))
    save_file(tensors, tmp_path / "mixed.safetensors")
    pipe = pipeline(transformer(layers=12))
    facts = load_loras(pipe, [LoraSpec(tmp_path / "mixed.safetensors")])
    assert sorted(facts[0]["rank"]) == [2, 3, 5]
    expected = output(merged_by_hand(transformer(layers=12), [tmp_path / "mixed.safetensors"], [1]))
    assert (output(pipe.transformer) - expected).abs().max() < 2e-6


def distilled(path, seed=0):
    """A file like those of distilled models: factors, biases, norms, modulations, and both embeddings."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator) * 0.2

    prefix = "diffusion_model"
    tensors = {
        f"{prefix}.blocks.1.diff_m": random(1, 6, 24),
        f"{prefix}.head.diff_m": random(1, 2, 24),
        f"{prefix}.blocks.0.self_attn.q.diff_b": random(24),
        f"{prefix}.blocks.0.self_attn.norm_q.diff": random(24),
        f"{prefix}.blocks.0.norm3.diff": random(24),
        f"{prefix}.blocks.0.norm3.diff_b": random(24),
        f"{prefix}.head.head.lora_down.weight": random(4, 24),
        f"{prefix}.head.head.lora_up.weight": random(64, 4),
        f"{prefix}.time_embedding.0.lora_down.weight": random(4, 32),
        f"{prefix}.time_embedding.0.lora_up.weight": random(24, 4),
        f"{prefix}.patch_embedding.lora_down.weight": random(4, 36, 1, 2, 2),
        f"{prefix}.patch_embedding.lora_up.weight": random(24, 4, 1, 1, 1),
        f"{prefix}.blocks.0.self_attn.q.lora_down.weight": random(4, 24),
        f"{prefix}.blocks.0.self_attn.q.lora_up.weight": random(24, 4),
    }
    save_file(tensors, path)
    return path


def test_whole_differences_are_applied_scaled_and_taken_back(transformer, pipeline, output, tmp_path):
    files = [distilled(tmp_path / f"{name}.safetensors", i) for i, name in enumerate("ab")]
    pipe = pipeline()
    before, base = state(pipe.transformer), output(pipe.transformer)
    facts = load_loras(pipe, [LoraSpec(files[0]), LoraSpec(files[1], 0.5)])
    assert (facts[0]["modules"], facts[0]["offsets"]) == (4, 6)
    expected = output(merged_by_hand(transformer(), files, [1, 0.5]))
    assert (output(pipe.transformer) - expected).abs().max() < 2e-6
    assert (expected - base).abs().max() > 0.05
    set_lora_strength(pipe, "a", 0)
    expected = output(merged_by_hand(transformer(), files[1:], [0.5]))
    assert (output(pipe.transformer) - expected).abs().max() < 2e-6
    set_lora_strength(pipe, "b", 0)
    assert torch.equal(output(pipe.transformer), base)
    unload_loras(pipe)
    assert all(torch.equal(value, before[name]) for name, value in pipe.transformer.state_dict().items())


def test_nothing_is_attached_where_one_file_does_not_fit(lora_file, pipeline, output):
    pipe = pipeline()
    base, before = output(pipe.transformer), state(pipe.transformer)
    specs = [LoraSpec(lora_file("good.safetensors")), LoraSpec(lora_file("bad.safetensors", width=36))]
    with pytest.raises(CheckpointError, match=r"bad.safetensors: made for another base"):
        load_loras(pipe, specs)
    assert pipe.transformer.state_dict().keys() == before.keys()
    assert torch.equal(output(pipe.transformer), base)


def test_a_failure_half_way_takes_back_what_was_attached(lora_file, pipeline, output, monkeypatch):
    pipe = pipeline()
    base, before = output(pipe.transformer), state(pipe.transformer)
    stock = type(pipe.transformer).load_lora_adapter

    def fail_second(self, *args, **kwargs):
        if kwargs["adapter_name"] == "two":
            raise RuntimeError("out of memory")
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(type(pipe.transformer), "load_lora_adapter", fail_second)
    with pytest.raises(RuntimeError, match="out of memory"):
        load_loras(pipe, [LoraSpec(lora_file(f"{name}.safetensors")) for name in ("one", "two")])
    assert pipe.transformer.state_dict().keys() == before.keys()
    assert torch.equal(output(pipe.transformer), base)


def test_swapped_pair_and_odd_pair(golden, transformer, pipeline):
    high, low = (golden / f"{name}_lora.safetensors" for name in ("high_r4_a2", "low_r4_a1"))
    pipe = pipeline(transformer(seed=1), transformer(seed=2))
    with pytest.raises(CheckpointError, match="swapped, their headers say so; exchange :high and :low"):
        load_loras(pipe, [LoraSpec(low, expert="high"), LoraSpec(high, expert="low")])
    with pytest.warns(UserWarning, match="the same file twice"):
        load_loras(pipe, [LoraSpec(high, expert="high"), LoraSpec(high, expert="low")])


def test_several_pairs_are_told_apart_by_their_names(lora_file, transformer, pipeline):
    """Mixed up in order, of other ranks, and no warning; then one that is odd."""
    orbit = [lora_file(f"orbit_{expert}.safetensors", seed=i) for i, expert in enumerate("hl")]
    fast = [lora_file(f"Fast{expert}Noise.safetensors", seed=i, rank=8) for i, expert in enumerate(("High", "Low"))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe = pipeline(transformer(seed=1), transformer(seed=2))
        load_loras(pipe, [LoraSpec(file) for file in (orbit[0], fast[1], fast[0], orbit[1])])
    lora_file("orbit_l.safetensors", seed=1, rank=2)
    with pytest.warns(UserWarning, match=r"orbit_h.safetensors \(high\) and orbit_l.*rank \[4\] and \[2\]"):
        load_loras(pipeline(transformer(seed=1), transformer(seed=2)), [LoraSpec(file) for file in (*fast, *orbit)])


def test_image_branch_left_out_with_a_warning(golden, transformer, pipeline):
    with pytest.warns(UserWarning, match=r"2 changes are of a part that this model does not have .*add_k_proj"):
        facts = load_loras(pipeline(transformer(layers=1)), [LoraSpec(golden / "wan21_i2v_r2_a1_lora.safetensors")])
    assert facts[0]["left_out"] == ["blocks.0.attn2.add_k_proj", "blocks.0.attn2.add_v_proj"]


def test_names(lora_file, pipeline):
    pipe = pipeline()
    path = lora_file("my style v1.2.safetensors")
    facts = load_loras(pipe, [LoraSpec(path), LoraSpec(path), LoraSpec(path, name="own")])
    assert [fact["name"] for fact in facts] == ["my_style_v1_2", "my_style_v1_2_2", "own"]
    with pytest.raises(InputError, match="the name 'own' is taken"):
        load_loras(pipe, [LoraSpec(path, name="own")])


def test_only_wan(lora_file):
    with pytest.raises(InputError, match="are read for Wan models; this pipeline's transformer is Linear"):
        load_loras(type("Pipe", (), {"transformer": torch.nn.Linear(1, 1)})(), [LoraSpec(lora_file())])


def test_bfloat16_base(lora_file, transformer, pipeline, output):
    pipe = pipeline(transformer().to(torch.bfloat16))
    path = lora_file()
    load_loras(pipe, [LoraSpec(path)])
    wrapped = pipe.transformer.blocks[0].attn1.to_q
    assert wrapped.lora_A["style"].weight.dtype == torch.bfloat16
    expected = output(merged_by_hand(transformer(), [path], [1]))
    assert (output(pipe.transformer, torch.bfloat16).float() - expected).abs().max() < 0.1


@pytest.mark.slow
def test_float8_storage_keeps_the_factors(lora_file, transformer, pipeline, output):
    """Whether it was switched on before or after."""
    path = lora_file()
    plain = transformer()
    plain.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    reference = merged_by_hand(_through_float8(transformer()), [path], [1])
    expected = output(reference)
    pipe = pipeline(plain)
    load_loras(pipe, [LoraSpec(path)])
    wrapped = pipe.transformer.blocks[0].attn1.to_q
    assert wrapped.base_layer.weight.dtype == torch.float8_e4m3fn
    assert wrapped.lora_A["style"].weight.dtype == torch.float32
    assert (output(pipe.transformer) - expected).abs().max() < 1e-6
    after = pipeline()
    load_loras(after, [LoraSpec(path)])
    after.transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert after.transformer.blocks[0].attn1.to_q.lora_A["style"].weight.dtype == torch.float32
    assert (output(after.transformer) - expected).abs().max() < 1e-6


def _through_float8(model):
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    fresh = type(model).from_config(model.config)
    fresh.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    return fresh.eval()


def test_whole_differences_in_float8_storage(transformer, pipeline, output, tmp_path):
    """As if they had been there when the weights were stored, up to rounding twice; taken off bit for bit."""
    path = distilled(tmp_path / "a.safetensors")
    storage = {"storage_dtype": torch.float8_e4m3fn, "compute_dtype": torch.float32}
    before = merged_by_hand(transformer(), [path], [1])
    before.enable_layerwise_casting(**storage)
    model = transformer()
    model.enable_layerwise_casting(**storage)
    base, kept = output(model), state(model)
    pipe = pipeline(model)
    load_loras(pipe, [LoraSpec(path)])
    assert model.blocks[0].attn1.to_q.base_layer.bias.dtype == torch.float8_e4m3fn
    error, effect = ((output(model) - other).abs().max() for other in (output(before), base))
    assert error < 0.15 * effect
    unload_loras(pipe)
    assert torch.equal(output(model), base)
    assert all(torch.equal(value.float(), kept[name].float()) for name, value in model.state_dict().items())


@pytest.mark.parametrize("level", ["block_level", "leaf_level"])
def test_group_offload_before_or_after(lora_file, transformer, pipeline, output, tmp_path, level):
    cpu = torch.device("cpu")
    options = {"onload_device": cpu, "offload_device": cpu, "offload_type": level}
    if level == "block_level":
        options["num_blocks_per_group"] = 1
    files = [lora_file(), distilled(tmp_path / "a.safetensors")]
    expected = output(merged_by_hand(transformer(), files, [1, 1]))
    for early in (True, False):
        pipe = pipeline()
        if early:
            pipe.transformer.enable_group_offload(**options)
        base = output(pipe.transformer)
        load_loras(pipe, [LoraSpec(file) for file in files])
        if not early:
            pipe.transformer.enable_group_offload(**options)
        assert (output(pipe.transformer) - expected).abs().max() < 2e-6
        unload_loras(pipe)
        assert torch.equal(output(pipe.transformer), base)


@pytest.mark.slow
def test_records_die_with_the_model(lora_file, pipeline):
    pipe = pipeline()
    load_loras(pipe, [LoraSpec(lora_file())])
    gc.collect()
    before = len(adapter.RECORDS)
    del pipe
    gc.collect()
    assert len(adapter.RECORDS) == before - 1


def test_whole_pipeline_run_with_a_pair(lora_file, transformer, pipeline):
    """Two steps of each expert; the guided clip differs, unloading gives the base's clip back."""
    pipe = pipeline(transformer(seed=1), transformer(seed=2))
    inputs = {
        "image": torch.zeros(1, 3, 32, 32),
        "prompt_embeds": torch.ones(1, 16, 32),
        "negative_prompt_embeds": torch.zeros(1, 16, 32),
        "height": 32,
        "width": 32,
        "num_frames": 5,
        "num_inference_steps": 4,
        "output_type": "latent",
    }

    def run():
        return pipe(**inputs, generator=torch.Generator().manual_seed(0)).frames

    base = run()
    files = [lora_file(f"orbit_{expert}.safetensors", seed=i) for i, expert in enumerate("hl")]
    load_loras(pipe, [LoraSpec(file) for file in files])
    changed = run()
    assert (changed - base).abs().max() > 0.01
    assert torch.equal(run(), changed)
    unload_loras(pipe)
    assert torch.equal(run(), base)
    assert load_file(files[0])  # the files are as they were


def packed(model, make):
    """The model with every linear layer of its blocks replaced, and the same model with what those layers stand for."""
    plain = type(model).from_config(model.config).eval()
    plain.load_state_dict(model.state_dict())
    for name, module in list(model.blocks.named_modules()):
        if isinstance(module, torch.nn.Linear):
            parent, _, leaf = name.rpartition(".")
            layer, whole = make(module)
            setattr(model.blocks.get_submodule(parent), leaf, layer)
            plain.blocks.get_submodule(name).weight.data = whole
    return model, plain


def float8_layer(linear):
    from motionloom.models.checkpoints.float8 import Float8Linear

    layer = Float8Linear(linear.in_features, linear.out_features, compute_dtype=torch.float32)
    scale = linear.weight.detach().abs().max() / 448
    stored = (linear.weight.detach() / scale).to(torch.float8_e4m3fn)
    layer.load_state_dict({"weight": stored, "bias": linear.bias.detach()}, strict=False)
    layer.weight_scale = scale.reshape(1, 1)
    return layer, stored.float() * scale


def gguf_layer(linear):
    gguf = pytest.importorskip("gguf")
    from diffusers.quantizers.gguf.utils import GGUFParameter

    from motionloom.models.checkpoints.gguf import QuantizedLinear, dequantize

    kind = gguf.GGMLQuantizationType.Q8_0
    layer = QuantizedLinear(linear.in_features, linear.out_features, True, compute_dtype=torch.float32)
    stored = torch.from_numpy(gguf.quantize(linear.weight.detach().numpy(), kind))
    layer.weight = GGUFParameter(stored, quant_type=kind)
    layer.bias = linear.bias
    return layer, dequantize(layer.weight, torch.float32)


@pytest.mark.parametrize("make", [float8_layer, gguf_layer])
def test_on_weights_that_stay_packed(lora_file, transformer, pipeline, output, tmp_path, make):
    """The packed weight is left alone; the change is added to what it stands for, in the model's own precision."""
    model, plain = packed(transformer(heads=8), make)
    assert (output(model) - output(plain)).abs().max() < 1e-6
    base = output(model)
    path = lora_file(width=96)
    expected = output(merged_by_hand(plain, [path], [0.7]))
    pipe = pipeline(model)
    load_loras(pipe, [LoraSpec(path, 0.7)])
    wrapped = model.blocks[0].attn1.to_q
    assert wrapped.lora_A["style"].weight.dtype == torch.float32
    assert wrapped.base_layer.weight.dtype.itemsize == 1
    assert (output(model) - expected).abs().max() < 2e-6
    assert (base - expected).abs().max() > 0.05
    unload_loras(pipe)
    assert torch.equal(output(model), base)
    save_file({"diffusion_model.blocks.0.ffn.0.diff": torch.ones(192, 96)}, tmp_path / "whole.safetensors")
    with pytest.raises(CheckpointError, match=r"whole difference of blocks.0.ffn.net.0.proj.weight, which is packed"):
        load_loras(pipe, [LoraSpec(tmp_path / "whole.safetensors")])
